//! Rate limits of the one daemon of a SQLite store: counted in memory, booked ahead in the store.
//!
//! A row is what a restart would believe: the requests that were granted, and on top a booking of some more, dated at the
//! end of the time for which it holds. Requests are granted within a booking only. So a row never says less than what was
//! granted, nor that it was granted earlier, and every subject may be forgotten at any moment and read again.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use switchyard_actors::ports::StoreError;

use super::window::{SLOTS, Window};
use super::{Asked, Taken, decode, expires_at, standing};
use crate::store::Store;
use crate::store::entity::rate_limit;
use crate::store::error::run_time;

/// A booking is this share of the limit: what a crash may cost a subject, against the number of writes.
const BOOKED_SHARE: u32 = 16;

/// Slots for which a booking holds: what is left of it then is not used.
const BOOKED_SLOTS: i64 = 5;

/// Bookings under way at once; those of one subject wait for each other.
const STRIPES: usize = 64;

/// Times that a request books again because others took what it had booked.
const TRIES: usize = 100;

pub(super) struct Memory {
    store: Store,
    subjects_max: usize,
    entries: Mutex<HashMap<String, Entry>>,
    stripes: Vec<tokio::sync::Mutex<()>>,
}

/// One subject.
struct Entry {
    window: Window,
    slot_ms: i64,
    /// Requests that may be granted before the store must be written.
    booked: u32,
    /// The last slot in which they may be.
    booked_until: i64,
}

/// What a look at the entries says.
enum Look {
    Decided(Taken),
    MustBook,
}

impl Memory {
    pub(super) fn new(store: Store, subjects_max: usize) -> Self {
        let stripes = std::iter::repeat_with(|| tokio::sync::Mutex::new(())).take(STRIPES).collect();
        Self { store, subjects_max, entries: Mutex::default(), stripes }
    }

    pub(super) async fn take(&self, asked: &[Asked]) -> Result<Taken, StoreError> {
        let rows: Vec<String> = asked.iter().map(Asked::row).collect();
        if let Look::Decided(taken) = self.look(asked, &rows) {
            return Ok(taken);
        }
        let stripes: BTreeSet<usize> = rows.iter().map(|row| stripe(row)).collect();
        let mut held = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            // Always in one order, so that two never wait for each other.
            if let Some(stripe) = self.stripes.get(stripe) {
                held.push(stripe.lock().await);
            }
        }
        for _ in 0..TRIES {
            if let Look::Decided(taken) = self.look(asked, &rows) {
                return Ok(taken);
            }
            self.load(asked, &rows).await?;
            self.book(asked, &rows).await?;
        }
        Err(StoreError::Unavailable("too many requests of one caller at once".to_owned()))
    }

    pub(super) fn subjects(&self) -> usize {
        self.entries().len()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides from memory, if memory can.
    fn look(&self, asked: &[Asked], rows: &[String]) -> Look {
        let now = self.store.now();
        let mut entries = self.entries();
        let (mut full, mut unbooked) = (false, false);
        for (asked, row) in asked.iter().zip(rows) {
            let Some(entry) = entries.get_mut(row) else {
                unbooked = true;
                continue;
            };
            let slot = asked.limit.slot(now);
            entry.window.advance(slot);
            full |= entry.window.used() >= asked.limit.requests.get();
            unbooked |= entry.left(slot) == 0;
        }
        if !full && unbooked {
            return Look::MustBook;
        }
        let mut standings = Vec::with_capacity(asked.len());
        for (asked, row) in asked.iter().zip(rows) {
            standings.push(entries.get_mut(row).map(|entry| {
                if !full {
                    entry.booked = entry.booked.saturating_sub(1);
                    entry.window.add(asked.limit.slot(now), 1);
                }
                standing(&entry.window, asked.limit, now)
            }));
        }
        Look::Decided(Taken { granted: !full, standings })
    }

    /// Reads subjects that are not in memory.
    async fn load(&self, asked: &[Asked], rows: &[String]) -> Result<(), StoreError> {
        let absent: Vec<String> = {
            let entries = self.entries();
            rows.iter().filter(|row| !entries.contains_key(*row)).cloned().collect()
        };
        if absent.is_empty() {
            return Ok(());
        }
        let found = rate_limit::Entity::find().filter(rate_limit::Column::Subject.is_in(absent.clone()));
        let found = self.store.read(found.all(&self.store.readers)).await?;
        let mut windows = HashMap::with_capacity(found.len());
        for row in found {
            windows.insert(row.subject, decode(&row.counts)?);
        }
        let mut entries = self.entries();
        for (asked, row) in asked.iter().zip(rows).filter(|(_, row)| absent.contains(row)) {
            let window = windows.remove(row).unwrap_or_default();
            let slot_ms = asked.limit.slot_ms();
            let fresh = Entry { window, slot_ms, booked: 0, booked_until: 0 };
            entries.entry(row.clone()).or_insert(fresh);
        }
        make_room(&mut entries, self.subjects_max, self.store.now(), rows);
        Ok(())
    }

    /// Writes ahead what the subjects without a booking may use. Their stripes are held: nothing is granted to them meanwhile.
    async fn book(&self, asked: &[Asked], rows: &[String]) -> Result<(), StoreError> {
        let now = self.store.now();
        let mut plans = Vec::with_capacity(asked.len());
        {
            let mut entries = self.entries();
            for (asked, row) in asked.iter().zip(rows) {
                let Some(entry) = entries.get_mut(row) else { return Ok(()) };
                let slot = asked.limit.slot(now);
                entry.window.advance(slot);
                let requests = asked.limit.requests.get();
                let remaining = requests.saturating_sub(entry.window.used());
                if remaining == 0 {
                    // Refused: nobody needs a booking.
                    return Ok(());
                }
                if entry.left(slot) > 0 {
                    continue;
                }
                entry.booked = 0;
                let (booked, until) =
                    (remaining.min((requests / BOOKED_SHARE).max(1)), slot.saturating_add(BOOKED_SLOTS));
                let mut believed = entry.window.clone();
                believed.add(until, booked);
                plans.push((
                    row.clone(),
                    booked,
                    until,
                    believed.encode(),
                    expires_at(&believed, asked.limit),
                ));
            }
        }
        let models = plans.iter().map(|(row, _, _, counts, expires_at)| rate_limit::ActiveModel {
            subject: Set(row.clone()),
            counts: Set(counts.clone()),
            expires_at: Set(*expires_at),
        });
        let models: Vec<_> = models.collect();
        if !models.is_empty() {
            self.write(models).await?;
        }
        let mut entries = self.entries();
        for (row, booked, until, _, _) in plans {
            // One that was forgotten meanwhile is read again, with its booking as if it had been used.
            if let Some(entry) = entries.get_mut(&row) {
                (entry.booked, entry.booked_until) = (booked, until);
            }
        }
        Ok(())
    }

    async fn write(&self, rows: Vec<rate_limit::ActiveModel>) -> Result<(), StoreError> {
        let write = self.store.writer.run(move |transaction| {
            Box::pin(async move {
                rate_limit::Entity::insert_many(rows)
                    .on_conflict(
                        OnConflict::column(rate_limit::Column::Subject)
                            .update_columns([rate_limit::Column::Counts, rate_limit::Column::ExpiresAt])
                            .to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_written| ())
    }
}

impl Entry {
    /// What of the booking may be granted in this slot.
    fn left(&self, slot: i64) -> u32 {
        if slot <= self.booked_until { self.booked } else { 0 }
    }
}

fn stripe(row: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    usize::try_from(hasher.finish() % 64).unwrap_or(0) % STRIPES
}

/// Forgets subjects whose window is empty, and if that is not enough some others, but none of these.
fn make_room(entries: &mut HashMap<String, Entry>, subjects_max: usize, now: i64, keep: &[String]) {
    if entries.len() <= subjects_max {
        return;
    }
    entries.retain(|row, entry| {
        entry.window.advance(now.div_euclid(entry.slot_ms));
        !entry.window.is_empty() || keep.contains(row)
    });
    // A quarter more than needed, so that this does not come with every request.
    let target = subjects_max.saturating_sub(subjects_max / 4);
    if entries.len() > subjects_max {
        let surplus = entries.len().saturating_sub(target);
        let gone: Vec<String> =
            entries.keys().filter(|row| !keep.contains(row)).take(surplus).cloned().collect();
        for row in gone {
            entries.remove(&row);
        }
    }
}

const _: () = assert!(BOOKED_SLOTS < SLOTS, "a booking must not outlive its window");

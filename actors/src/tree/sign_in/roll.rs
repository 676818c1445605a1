//! Who signs in now: how many may at once, and which of those that are over are still remembered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::UserId;

/// How many sign-ins that are over may be remembered for each that may be under way.
const REMEMBERED: usize = 4;

struct Entry {
    id: String,
    owner: UserId,
    over: bool,
}

/// The sign-ins of one daemon, oldest first.
#[derive(Default)]
pub(super) struct Roll(Mutex<Vec<Entry>>);

/// One sign-in's place on the roll; dropped when the sign-in is forgotten.
pub(super) struct Place {
    roll: Arc<Roll>,
    id: String,
}

impl Roll {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; answers also which one that is over has to be forgotten for it.
    ///
    /// # Errors
    /// How many may be under way, where they are.
    pub(super) fn enter(
        self: &Arc<Self>,
        id: &str,
        owner: UserId,
        max: usize,
        max_per_user: usize,
    ) -> Result<(Place, Option<String>), usize> {
        let mut entries = self.lock();
        let under_way = entries.iter().filter(|entry| !entry.over);
        let (all, own) =
            under_way.fold((0, 0), |(all, own), entry| (all + 1, own + usize::from(entry.owner == owner)));
        if all >= max {
            return Err(max);
        }
        if own >= max_per_user {
            return Err(max_per_user);
        }
        let full = entries.len() >= max.saturating_mul(REMEMBERED);
        let oldest = entries.iter().find(|entry| full && entry.over).map(|entry| entry.id.clone());
        entries.push(Entry { id: id.to_owned(), owner, over: false });
        Ok((Place { roll: Arc::clone(self), id: id.to_owned() }, oldest))
    }
}

impl Place {
    /// It is over: another may begin.
    pub(super) fn over(&self) {
        for entry in self.roll.lock().iter_mut().filter(|entry| entry.id == self.id) {
            entry.over = true;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.roll.lock().retain(|entry| entry.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn places_are_bounded_over_all_and_for_each() {
        let roll = Arc::new(Roll::default());
        let user = |n| UserId::from_uuid(Uuid::from_u128(n));
        let enter = |id: &str, n| roll.enter(id, user(n), 3, 2);
        let (a, _) = enter("a", 1).unwrap();
        let (_b, _) = enter("b", 1).unwrap();
        assert_eq!(enter("c", 1).err(), Some(2), "one user takes no more than two");
        let (_c, _) = enter("c", 2).unwrap();
        assert_eq!(enter("d", 3).err(), Some(3));
        a.over();
        let (d, forget) = enter("d", 3).unwrap();
        assert_eq!(forget, None);
        drop(d);
        let mut kept = Vec::new();
        for n in 0..9 {
            let (place, forget) = enter(&format!("e{n}"), 9).unwrap();
            place.over();
            assert_eq!(forget, None);
            kept.push(place);
        }
        assert_eq!(enter("f", 9).unwrap().1.as_deref(), Some("a"), "the oldest that is over makes room");
    }
}

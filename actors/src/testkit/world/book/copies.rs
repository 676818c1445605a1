//! What should come of everything that people write: which parts at which targets, and what came of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::super::plan::{Plan, Writing};
use super::super::promise::Promise;
use super::Book;
use crate::model::{
    ChatId, DeadReason, EventKind, MessageId, Pair, PairId, PartBody, Place, RichText, SkipReason,
};
use crate::pipeline;
use crate::testkit::{FakePlatform, LedgerEnd, LedgerEntry, SentPart};

/// From writing to the last part at the target, where nothing disturbs it: a pair whose accounts two nodes share looks
/// for what it was not told of every 30 s.
const PROMPT: Duration = Duration::from_secs(45);
/// After a disturbance the backlog goes first, and children that were parked come back.
const RECOVERY: Duration = Duration::from_secs(120);

/// One source message on its way through one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CopyKey {
    pub(super) pair: PairId,
    pub(super) message: MessageId,
}

/// One part of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) copy: CopyKey,
    pub(super) version: u32,
    pub(super) part: usize,
}

/// What stands at a target for one part.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) message: MessageId,
    pub(super) at: Duration,
}

/// What should come and what came.
pub(super) struct Copy {
    pub(super) chat: ChatId,
    pub(super) target: Place,
    pub(super) written_at: Duration,
    pub(super) cursed: bool,
    /// Texts by version and part.
    versions: BTreeMap<u32, Vec<String>>,
    pub(super) deleted: bool,
    pub(super) posts: BTreeMap<usize, Vec<Post>>,
    pub(super) done_at: Option<Duration>,
    /// Tries that the platform failed, as the sender heard.
    pub(super) failures: u32,
    late: bool,
}

#[derive(Default)]
pub(super) struct Copies {
    pub(super) all: BTreeMap<CopyKey, Copy>,
    index: HashMap<(Place, String), Piece>,
    /// The first arrival of the latest part of a pair.
    latest: BTreeMap<PairId, (MessageId, usize)>,
    events: usize,
}

/// The texts that a pair makes of a text.
fn texts(plan: &Plan, pair: &Pair, text: &str) -> Vec<String> {
    let parts = pipeline::parts(&RichText::plain(text), pair.target.platform, &plan.config.pipeline);
    parts.iter().map(text_of).collect()
}

/// What a part says.
pub(super) fn text_of(body: &PartBody) -> String {
    match body {
        PartBody::Markdown { content, .. } => content.clone(),
        PartBody::Rich { text } => text.text().to_owned(),
        PartBody::Deletion => String::new(),
    }
}

impl Copies {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut copies = Self::default();
        for writing in &plan.writings {
            for pair in plan.pairs.iter().filter(|pair| pair.source == writing.place) {
                copies.expect(plan, pair, writing);
            }
        }
        copies
    }

    fn expect(&mut self, plan: &Plan, pair: &Pair, writing: &Writing) {
        self.events += 1;
        let key = CopyKey { pair: pair.id, message: writing.id };
        let copy = self.all.entry(key).or_insert_with(|| Copy {
            chat: writing.place.chat,
            target: pair.target,
            written_at: writing.at,
            cursed: writing.cursed,
            versions: BTreeMap::new(),
            deleted: false,
            posts: BTreeMap::new(),
            done_at: None,
            failures: 0,
            late: false,
        });
        if writing.kind == EventKind::Deleted {
            copy.deleted = true;
            return;
        }
        let texts = texts(plan, pair, &writing.text);
        for (part, text) in texts.iter().enumerate() {
            let piece = Piece { copy: key, version: writing.version, part };
            self.index.insert((pair.target, text.clone()), piece);
        }
        copy.versions.insert(writing.version, texts);
    }

    /// The part that a text at a target is; none when nobody wrote it.
    pub(super) fn piece(&self, target: Place, text: &str) -> Option<Piece> {
        self.index.get(&(target, text.to_owned())).copied()
    }

    /// The part for which a message stands.
    pub(super) fn of_post(&self, target: Place, message: MessageId) -> Option<CopyKey> {
        let stands = |copy: &Copy| {
            copy.target == target && copy.posts.values().flatten().any(|post| post.message == message)
        };
        self.all.iter().find(|(_, copy)| stands(copy)).map(|(key, _)| *key)
    }

    /// A part arrived for the first time: whether it came after all that were written before it.
    pub(super) fn arrives_in_order(&mut self, piece: Piece) -> bool {
        let place = (piece.copy.message, piece.part);
        let latest = self.latest.insert(piece.copy.pair, place);
        latest.is_none_or(|latest| latest < place)
    }
}

impl Copy {
    /// A part is posted.
    pub(super) fn posted(&mut self, part: usize, post: Post) {
        let at = post.at;
        self.posts.entry(part).or_default().push(post);
        if self
            .versions
            .get(&0)
            .is_some_and(|parts| (0..parts.len()).all(|part| self.posts.contains_key(&part)))
        {
            self.done_at.get_or_insert(at);
        }
    }

    /// The version that counts in the end.
    fn last(&self) -> (u32, &[String]) {
        self.versions.last_key_value().map_or((0, &[]), |(version, texts)| (*version, texts))
    }
}

impl Book {
    /// Whether every event has come to its end for every pair.
    pub(in crate::testkit::world) fn is_complete(&self, ledger: &[LedgerEntry]) -> bool {
        ledger.len() >= self.pages().copies.events
    }

    /// What is late although nothing disturbed it.
    pub(in crate::testkit::world) fn look_for_the_late(&self) {
        let now = self.log.now();
        let mut late = Vec::new();
        {
            let mut pages = self.pages();
            let pages = &mut *pages;
            let calm: Vec<CopyKey> = pages
                .copies
                .all
                .iter()
                .filter(|(_, copy)| !copy.late && !copy.cursed && copy.done_at.is_none())
                .filter(|(_, copy)| copy.written_at + PROMPT <= now)
                .map(|(key, _)| *key)
                .collect();
            for key in calm {
                let Some(copy) = pages.copies.all.get(&key) else { continue };
                let from = copy.written_at.saturating_sub(RECOVERY);
                let was_calm = pages.was_calm(key.pair, from, copy.written_at + PROMPT);
                let Some(copy) = pages.copies.all.get_mut(&key) else { continue };
                copy.late = true;
                if was_calm {
                    late.push((key, copy.written_at));
                }
            }
        }
        for (CopyKey { pair, message }, at) in late {
            let how = format!("message {message} of {pair}, written at {:.3}, is late", at.as_secs_f64());
            self.breaks(Promise::Bulkheads, &how);
        }
    }

    /// Holds the ledger and what stands at the targets against everything that was written.
    pub(in crate::testkit::world) fn settle_accounts(&self, ledger: &[LedgerEntry], platform: &FakePlatform) {
        let (sent, mut wrong) = (platform.sent(), Vec::new());
        let crashes: BTreeMap<PairId, u64> =
            self.plan.pairs.iter().map(|pair| (pair.id, self.crashes(pair.id))).collect();
        {
            let pages = self.pages();
            if ledger.len() != pages.copies.events {
                let how = format!("{} ends in the ledger of {} events", ledger.len(), pages.copies.events);
                wrong.push((Promise::NoneLost, how));
            }
            for (key, copy) in &pages.copies.all {
                let entries: Vec<&LedgerEntry> = ledger
                    .iter()
                    .filter(|entry| {
                        entry.pair == key.pair && entry.message == key.message && entry.chat == copy.chat
                    })
                    .collect();
                let end = Reckoning {
                    book: self,
                    key: *key,
                    copy,
                    entries,
                    crashes: crashes.get(&key.pair).copied().unwrap_or(0),
                };
                wrong.extend(end.first_version().err().or_else(|| end.last_version(&sent).err()));
            }
        }
        for (promise, how) in wrong {
            self.breaks(promise, &how);
        }
    }
}

/// One message at the end of a run.
struct Reckoning<'a> {
    book: &'a Book,
    key: CopyKey,
    copy: &'a Copy,
    entries: Vec<&'a LedgerEntry>,
    crashes: u64,
}

type Wrong = (Promise, String);

impl Reckoning<'_> {
    fn name(&self) -> String {
        format!("message {} of {}", self.key.message, self.key.pair)
    }

    /// Whether an end that brings nothing to the target is told for a true reason.
    fn is_just(&self, end: &LedgerEnd) -> bool {
        match end {
            LedgerEnd::Delivered(_) => true,
            LedgerEnd::Dead(_, DeadReason::Refused(_)) => self.copy.cursed,
            LedgerEnd::Dead(_, DeadReason::Exhausted(_)) => {
                self.copy.failures >= self.book.plan.config.tries_max
            }
            LedgerEnd::Skipped(SkipReason::Poison) => {
                self.crashes >= u64::from(self.book.plan.config.poison_attempts)
            }
            // An edit or a deletion of something that never came.
            LedgerEnd::Skipped(SkipReason::NotForwarded) | LedgerEnd::Dead(_, DeadReason::CopyUnknown) => {
                self.is_given_up()
            }
            LedgerEnd::Dead(..) | LedgerEnd::Skipped(_) => false,
        }
    }

    /// Whether the message itself was given up, for whatever reason.
    fn is_given_up(&self) -> bool {
        let new = self.entries.iter().find(|entry| entry.action == EventKind::New);
        new.is_none_or(|entry| !matches!(entry.end, LedgerEnd::Delivered(_)))
    }

    fn first_version(&self) -> Result<(), Wrong> {
        for entry in &self.entries {
            if !self.is_just(&entry.end) {
                let how =
                    format!("{:?} of {} ended as {:?}, for no reason", entry.action, self.name(), entry.end);
                return Err((Promise::NoneLost, how));
            }
        }
        if self.copy.done_at.is_none() && !self.is_given_up() {
            return Err((Promise::NoneLost, format!("{} never arrived", self.name())));
        }
        if self.entries.is_empty() {
            return Err((Promise::NoneLost, format!("{} is nowhere", self.name())));
        }
        Ok(())
    }

    fn last_version(&self, sent: &[SentPart]) -> Result<(), Wrong> {
        let changes = self.entries.iter().filter(|entry| entry.action != EventKind::New);
        let all_done = changes.clone().all(|entry| matches!(entry.end, LedgerEnd::Delivered(_)));
        let doubled = self.copy.posts.values().any(|posts| posts.len() > 1);
        if self.is_given_up() || !all_done {
            return Ok(());
        }
        let ids: Vec<MessageId> = self.copy.posts.values().flatten().map(|post| post.message).collect();
        let stands: Vec<String> =
            sent.iter().filter(|part| ids.contains(&part.id)).map(|part| text_of(&part.body)).collect();
        let (version, texts) = self.copy.last();
        let missing = texts.iter().any(|text| !stands.contains(text));
        let wrong = match (self.copy.deleted, doubled) {
            (true, false) => !stands.is_empty(),
            // The ids of the others are not known to anybody.
            (true, true) => false,
            (false, false) => stands != texts,
            (false, true) => missing,
        };
        if wrong {
            let last = if self.copy.deleted { "gone".to_owned() } else { format!("version {version}") };
            let how = format!("{} should be {last}, and there stands {stands:?}", self.name());
            return Err((Promise::LastWord, how));
        }
        Ok(())
    }
}

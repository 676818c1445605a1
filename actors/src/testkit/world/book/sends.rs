//! What left the nodes, what arrived, and what was heard of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::promise::Promise;
use super::copies::{CopyKey, Piece, Post, text_of};
use super::pauses::Leaving;
use super::{Book, Life};
use crate::model::{AccountKind, DeliveryId, IdempotencyKey, Place, SendOutcome};
use crate::ports::{Operation, SendRequest};
use crate::testkit::{Arrival, Caller, Handed};

/// After a restart nothing goes for so long, and so long what was sent before may still be on its way.
const STRAGGLES: Duration = Duration::from_secs(2);

/// A request that left its node.
struct Sent {
    life: Life,
    caller: Caller,
    target: Place,
    key: IdempotencyKey,
    /// Which part it writes; none for edits and deletions.
    piece: Option<Piece>,
    copy: CopyKey,
    at: Duration,
    posted: bool,
    heard: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Sends {
    sent: BTreeMap<Handed, Sent>,
    /// Marks by key: when each part was last marked, in the order of things.
    marks: BTreeMap<u64, u64>,
    /// Parts of which the store knows that they are at their target, and since when.
    settled: BTreeMap<u64, Duration>,
    /// When senders may have lost what they knew: of an account, or of everybody.
    blows: Vec<(Duration, Option<crate::model::AccountId>)>,
}

fn number(key: IdempotencyKey) -> u64 {
    u64::from_ne_bytes(key.telegram_random_id().to_ne_bytes())
}

/// What a request is about.
fn words(operation: &Operation) -> String {
    match operation {
        Operation::Send { body, .. } => text_of(body),
        Operation::Edit { message, body } => format!("edit of {message}: {}", text_of(body)),
        Operation::Delete { message } => format!("deletion of {message}"),
    }
}

impl Book {
    /// A part was marked as about to be handed over.
    pub(in crate::testkit::world) fn marked(&self, delivery: DeliveryId, part: u16) {
        let mut pages = self.pages();
        let tick = pages.next_tick();
        pages.sends.marks.insert(number(IdempotencyKey::derive(delivery, part)), tick);
    }

    /// The store knows that a part is at its target.
    pub(in crate::testkit::world) fn settled(&self, delivery: DeliveryId, part: u16) {
        let now = self.log.now();
        self.pages().sends.settled.entry(number(IdempotencyKey::derive(delivery, part))).or_insert(now);
    }

    /// Senders of an account, or all of them, may have lost what they just heard.
    pub(in crate::testkit::world) fn blow(&self, account: Option<crate::model::AccountId>) {
        let now = self.log.now();
        self.pages().sends.blows.push((now, account));
    }

    /// Whether a request is for a message that targets refuse.
    pub(in crate::testkit::world) fn is_cursed(&self, request: &SendRequest) -> bool {
        let Operation::Send { body, .. } = &request.operation else { return false };
        let pages = self.pages();
        let piece = pages.copies.piece(request.target, &text_of(body));
        piece.and_then(|piece| pages.copies.all.get(&piece.copy)).is_some_and(|copy| copy.cursed)
    }

    /// A part leaves its node: whoever sends it must be allowed to.
    pub(in crate::testkit::world) fn handed_over(&self, id: Handed, caller: Caller, request: &SendRequest) {
        let Some(life) = self.life(caller.node) else { return };
        let (account, target) = (caller.account, request.target);
        let words = words(&request.operation);
        self.log.note(&format!("node {} {account} -> {} #{}: {words}", life.node, target.chat, id.0));
        let (piece, copy) = {
            let pages = self.pages();
            match &request.operation {
                Operation::Send { body, .. } => {
                    let piece = pages.copies.piece(target, &text_of(body));
                    (piece, piece.map(|piece| piece.copy))
                }
                Operation::Edit { message, .. } | Operation::Delete { message } => {
                    (None, pages.copies.of_post(target, *message))
                }
            }
        };
        let Some(copy) = copy else {
            return self.breaks(Promise::Faithful, &format!("nobody wrote what is sent: {words}"));
        };
        self.check_holds(life, caller, target);
        let marked = self.pages().sends.marks.get(&number(request.key)).copied();
        let user = self.plan.accounts.iter().find(|other| other.id == account).map(|account| account.user);
        self.check_pauses(&Leaving { life, pair: copy.pair, account, user, marked });
        let (at, key) = (self.log.now(), request.key);
        let sent = Sent { life, caller, target, key, piece, copy, at, posted: false, heard: None };
        self.pages().sends.sent.insert(id, sent);
    }

    /// A request arrived.
    pub(in crate::testkit::world) fn arrived(
        &self,
        id: Handed,
        arrival: &Arrival,
        answer: Option<&SendOutcome>,
    ) {
        let told = answer.map_or("nobody hears it".to_owned(), |answer| format!("{answer:?}"));
        self.log.note(&format!("  #{} arrives: {arrival:?}, {told}", id.0));
        let found = self.pages().sends.sent.get(&id).map(|sent| (sent.caller, sent.target, sent.piece));
        let Some((caller, target, piece)) = found else { return };
        // What nobody answers and nothing came of was lost on its way.
        if (answer.is_some() || *arrival != Arrival::Refused) && !self.is_straggler(id) {
            self.count_against_limits(caller.account, target);
        }
        if let Some(SendOutcome::RetryAfter { wait, scope }) = answer {
            self.asked_to_wait(id, caller, target, (*wait, *scope));
        }
        if matches!(arrival, Arrival::Known(_)) {
            self.count("repeats known by their key");
        }
        let (Some(piece), Arrival::Posted(message)) = (piece, arrival) else { return };
        let at = self.log.now();
        let (doubled, in_order) = {
            let mut pages = self.pages();
            let first =
                pages.copies.all.get(&piece.copy).is_none_or(|copy| !copy.posts.contains_key(&piece.part));
            let in_order = !first || pages.copies.arrives_in_order(piece);
            if let Some(copy) = pages.copies.all.get_mut(&piece.copy) {
                copy.posted(piece.part, Post { message: *message, at });
            }
            (!first, in_order)
        };
        let CopyKey { pair, message } = piece.copy;
        if doubled {
            self.check_double(id, piece);
        }
        if !in_order {
            let how = format!("part {} of message {message} of {pair} arrives too late", piece.part);
            self.breaks(Promise::InOrder, &how);
        }
        if let Some(sent) = self.pages().sends.sent.get_mut(&id) {
            sent.posted = true;
        }
    }

    /// Whether a request was on its way longer than anybody waits for it after its sender, and what that knew, was gone.
    fn is_straggler(&self, id: Handed) -> bool {
        let now = self.log.now();
        let pages = self.pages();
        let Some(sent) = pages.sends.sent.get(&id) else { return false };
        let mut gone = pages.sends.blows.iter().filter(|(at, whose)| {
            *at >= sent.at && *at + STRAGGLES < now && whose.is_none_or(|whose| whose == sent.caller.account)
        });
        gone.next().is_some()
    }

    /// A part stands twice: that may be only where no key is taken and nobody knew of the first.
    fn check_double(&self, id: Handed, piece: Piece) {
        let why = {
            let pages = self.pages();
            let Some(second) = pages.sends.sent.get(&id) else { return };
            let account = self.plan.accounts.iter().find(|account| account.id == second.caller.account);
            let keyless = account.is_some_and(|account| account.kind == AccountKind::DiscordWebhook);
            let settled = pages.sends.settled.get(&number(second.key)).is_some_and(|at| *at < second.at);
            let before = pages
                .sends
                .sent
                .iter()
                .filter(|(other, sent)| **other != id && sent.posted && sent.piece == Some(piece));
            // Heard by a sender that went on living until it should have been written.
            let known = before
                .filter_map(|(_, first)| first.heard.map(|heard| (heard, first.caller.account)))
                .any(|(heard, account)| {
                    let blow = |(at, whose): &(Duration, Option<_>)| {
                        (heard..=second.at).contains(at) && whose.is_none_or(|whose| whose == account)
                    };
                    heard <= second.at && !pages.sends.blows.iter().any(blow)
                });
            match (keyless, settled, known) {
                (false, ..) => Some("the platform takes keys"),
                (true, true, _) => Some("the store knew that it is there"),
                (true, false, true) => Some("the answer had come"),
                (true, false, false) => None,
            }
        };
        self.count("doubles without a key");
        if let Some(why) = why {
            let CopyKey { pair, message } = piece.copy;
            let how = format!("part {} of message {message} of {pair} stands twice, and {why}", piece.part);
            self.breaks(Promise::NoneTwice, &how);
        }
    }

    /// An answer is back at its node.
    pub(in crate::testkit::world) fn answered(&self, id: Handed, outcome: &SendOutcome, heard: bool) {
        let heard_words = if heard { "is heard" } else { "finds nobody" };
        self.log.note(&format!("  #{} answer {heard_words}", id.0));
        let now = self.log.now();
        let life = {
            let mut pages = self.pages();
            let pages = &mut *pages;
            let Some(sent) = pages.sends.sent.get_mut(&id) else { return };
            // Any other answer leaves open whether it stands there.
            if heard && matches!(outcome, SendOutcome::Delivered { .. }) {
                sent.heard = Some(now);
            }
            let failed = matches!(outcome, SendOutcome::Backoff { .. } | SendOutcome::Unclear { .. });
            if let Some(copy) = pages.copies.all.get_mut(&sent.copy).filter(|_| failed && heard) {
                copy.failures = copy.failures.saturating_add(1);
            }
            sent.life
        };
        if heard && matches!(outcome, SendOutcome::RetryAfter { .. }) {
            self.heard_of_wait(id, life);
        }
    }

    /// A sender gave up waiting for an answer.
    pub(in crate::testkit::world) fn gave_up(&self, id: Handed) {
        let mut pages = self.pages();
        let pages = &mut *pages;
        let copy = pages.sends.sent.get(&id).map(|sent| sent.copy);
        if let Some(copy) = copy.and_then(|copy| pages.copies.all.get_mut(&copy)) {
            copy.failures = copy.failures.saturating_add(1);
        }
    }
}

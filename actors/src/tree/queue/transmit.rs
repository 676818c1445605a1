//! One try of one part: connection, permit, durable mark, send, durable outcome.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::verdict::{Circumstances, Next, Verdict, judge};
use crate::model::{
    DeadReason, Delivery, DeliveryId, EventKind, Fence, IdempotencyKey, MessageId, Part, PartBody, PartState,
    Place, SendOutcome, UserId,
};
use crate::ports::{MessageSender, Operation, SendRequest, StoreError, TryResult};
use crate::throttle::Class;
use crate::tree::allowance::{Refusal, Reservation, Sending};
use crate::tree::deps::{Deps, until_stored};
use crate::tree::session::{ConnectionId, GetSender, Lent};
use crate::tree::throttle::{Identity, Permit, Reserve};

/// All that must be there before a part is handed to the platform.
pub(super) struct Ready {
    sender: Arc<dyn MessageSender>,
    /// Whose sender it is.
    pub connection: ConnectionId,
    permits: [Permit; 2],
    /// One of the owner's messages of the day; none for a change of a message that stands.
    reserved: Option<Reservation>,
}

/// What is to be sent, and by whom.
pub(super) struct Order {
    /// The account's assignment.
    pub fence: Fence,
    pub user: UserId,
    pub delivery: DeliveryId,
    pub target: Place,
    pub action: EventKind,
    /// What an earlier try set aside already.
    pub reserved: Option<Reservation>,
}

/// Why nothing can be sent now.
pub(super) enum Unprepared {
    /// The owner is suspended.
    Suspended,
    /// Something is not there; why, in words.
    Waits(String),
}

impl From<Refusal> for Unprepared {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Suspended => Self::Suspended,
            Refusal::Store(error) => Self::Waits(error.to_string()),
        }
    }
}

impl From<String> for Unprepared {
    fn from(why: String) -> Self {
        Self::Waits(why)
    }
}

impl From<&str> for Unprepared {
    fn from(why: &str) -> Self {
        Self::Waits(why.to_owned())
    }
}

/// How a try ended, already written to the store.
pub(super) struct Tried {
    /// What the lane does.
    pub next: Next,
    /// Whether it speaks for or against the account as a whole.
    pub health: Option<bool>,
    /// Whether the try counts against the retry bound.
    pub counted: bool,
    /// The part may have arrived: when it was handed over, Unix milliseconds.
    pub unclear_since: Option<i64>,
    /// What was wrong.
    pub error: Option<String>,
    /// It is at the target, and an earlier try whose outcome nobody knows may have brought it there as well.
    pub maybe_twice: bool,
    /// What stays set aside for the rest of the delivery, or for another try.
    pub reserved: Option<Reservation>,
}

impl Tried {
    /// Nothing was handed to the platform.
    const fn unsent(next: Next) -> Self {
        Self {
            next,
            health: None,
            counted: false,
            unclear_since: None,
            error: None,
            maybe_twice: false,
            reserved: None,
        }
    }
}

/// What the ledger says of a send that may be the second one.
const SENT_AGAIN: &str =
    "outcome of an earlier try is unknown and cannot be looked up: sent again, may stand twice";

/// Waits for a connection, one of the owner's messages of the day, and a permit.
///
/// # Errors
/// Why the account cannot send now; nothing was sent.
pub(super) async fn prepare(deps: Deps, order: Order) -> Result<Ready, Unprepared> {
    let Order { fence, user, delivery, target, action, reserved } = order;
    let account = fence.account;
    if deps.links.allowances.is_suspended(user) {
        return Err(Unprepared::Suspended);
    }
    let session = deps.links.sessions.get(&account).ok_or("account has no session")?;
    // Asked before the permit, so that an account without a connection never holds a slot.
    session.ask(GetSender).await.map_err(|error| error.to_string())??;
    let reserved = match (action, reserved) {
        // A change of a message that stands costs nothing.
        (EventKind::Edited | EventKind::Deleted, _) => None,
        (EventKind::New, Some(reserved)) => Some(reserved),
        (EventKind::New, None) => Some(deps.links.allowances.reserve(&deps, user, delivery).await?),
    };
    let throttle = deps.links.throttles.get(&account).ok_or("account has no throttle")?;
    let class = match action {
        EventKind::New => Class::Live,
        EventKind::Edited | EventKind::Deleted => Class::Urgent,
    };
    let reserve = Reserve { target, cost: 1, class, fence: Some(fence) };
    let own = throttle.ask(reserve).await.map_err(|error| error.to_string())?;
    // The network address is asked last, so that a grant of it is never held while something else is waited for.
    let address =
        deps.links.egress.get(&Identity::DIRECT.to_owned()).ok_or("no throttle of the network address")?;
    let reserve = Reserve { target, cost: 1, class, fence: None };
    let shared = address.ask(reserve).await.map_err(|error| error.to_string())?;
    // Asked again: the wait for the permit may have been long.
    let Lent { sender, connection } = session.ask(GetSender).await.map_err(|error| error.to_string())??;
    if !deps.links.lease_lasts(deps.config.lease_margin) {
        return Err("node's lease is about to end".into());
    }
    Ok(Ready { sender, connection, permits: [own, shared], reserved })
}

/// A part that a queue is about to send.
pub(super) struct Attempt {
    /// Under which assignment.
    pub fence: Fence,
    /// Whose it is.
    pub user: UserId,
    /// The delivery, as last read.
    pub delivery: Delivery,
    /// The part.
    pub part: Part,
    /// Tries of this lane in a row that failed.
    pub failures: u32,
    /// The account fails as a whole.
    pub circuit_open: bool,
    /// Whether somebody has paused the queue, as it is at any moment.
    pub paused: Rc<Cell<bool>>,
}

/// What a last look came to.
enum Look {
    Send(Sending),
    /// Nothing may be sent now.
    Wait(Next, &'static str),
}

/// Sends a part and writes how that ended.
///
/// # Errors
/// [`StoreError::Fenced`] and whatever makes the store unusable; a busy or full store is waited for.
pub(super) async fn transmit(
    deps: &Deps,
    attempt: &Attempt,
    ready: Ready,
    beat: impl Fn(),
) -> Result<Tried, StoreError> {
    let Attempt { fence, user, delivery, part, .. } = attempt;
    deps.failpoints.hit("queue.attempt", &fence.account.to_string()).map_err(StoreError::Failed)?;
    let Ready { sender, permits, mut reserved, .. } = ready;
    let operation = match operation(deps, *fence, delivery, part, &beat).await? {
        Ok(operation) => operation,
        // Nothing is sent for it, and the permits go back.
        Err(result) => return settle(deps, *fence, delivery, result, &beat).await,
    };
    let removes = matches!(operation, Operation::Delete { .. });
    let knows_repeats = sender.knows_repeats();
    let request = request(deps, *fence, delivery, part, operation, knows_repeats, &beat).await?;
    let blind = request.unclear_since.is_some() && !knows_repeats;
    until_stored(deps, *fence, &beat, || deps.store.begin(*fence, delivery.id, part.index)).await?;
    // From here to the send nothing is waited for.
    let _under_way = match last_look(deps, *user, &attempt.paused, &permits) {
        Look::Send(under_way) => under_way,
        Look::Wait(next, why) => {
            drop(permits);
            return put_back(
                deps,
                *fence,
                delivery,
                part,
                Tried { reserved, ..Tried::unsent(next) },
                why,
                &beat,
            )
            .await;
        }
    };
    let handed_over = deps.now_ms();
    if let Some(reserved) = &mut reserved {
        reserved.hand_over();
    }
    let permits = permits.map(Permit::sending);
    let report = sender.send(request).await;
    beat();
    permits.into_iter().for_each(|permit| permit.done(&report));
    let unclear = matches!(report.outcome, SendOutcome::Unclear { .. });
    let unsent = (report.outcome.is_refusal() && part.sending_since.is_none()).then_some(part.index);
    let maybe_twice = blind && matches!(report.outcome, SendOutcome::Delivered { .. });
    let circumstances = Circumstances {
        part: part.index,
        removes,
        unsent,
        tries: delivery.tries,
        failures: attempt.failures,
        circuit_open: attempt.circuit_open,
        tries_max: deps.config.tries_max,
        retry: deps.config.retry,
        now_ms: deps.now_ms(),
        rng: deps.rng.as_ref(),
    };
    let Verdict { next, health, result } = judge(report.outcome, &circumstances);
    // Once unclear, a part stays so until the platform says otherwise; the first time is the one that counts.
    let unclear_since = part.sending_since.or(unclear.then_some(handed_over));
    let tried = Tried { next, health, counted: false, unclear_since, error: None, maybe_twice, reserved };
    record(deps, *fence, delivery, part, result, tried, &beat).await
}

/// Whether the part may go. Since that was last asked the store may have been waited for, and much may have happened.
fn last_look(deps: &Deps, user: UserId, paused: &Cell<bool>, permits: &[Permit]) -> Look {
    if !deps.links.lease_lasts(deps.config.lease_margin) {
        return Look::Wait(Next::Retry(deps.config.lease_margin), "node's lease is about to end");
    }
    if paused.get() {
        return Look::Wait(Next::Retry(Duration::ZERO), "the queue is paused");
    }
    if !permits.iter().all(Permit::is_good) {
        // Asked again, the throttle lets it wait for as long as it takes.
        return Look::Wait(Next::Retry(Duration::ZERO), "platform asks to wait, or the throttle began anew");
    }
    match deps.links.allowances.enter(user) {
        Some(under_way) => Look::Send(under_way),
        None => Look::Wait(Next::Leave, "the owner is suspended"),
    }
}

/// Writes how a send ended.
async fn record(
    deps: &Deps,
    fence: Fence,
    delivery: &Delivery,
    part: &Part,
    result: Option<TryResult>,
    mut tried: Tried,
    beat: &impl Fn(),
) -> Result<Tried, StoreError> {
    if let Some(result) = &result {
        until_stored(deps, fence, beat, || deps.store.finish(fence, delivery.id, result)).await?;
    }
    if completes(delivery, part, result.as_ref())
        && let Some(reserved) = tried.reserved.take()
    {
        reserved.confirm(deps);
    }
    (tried.counted, tried.error) = match result {
        Some(TryResult::Later { counts, error, .. }) => (counts, Some(error)),
        Some(TryResult::Dead(reason)) => (false, serde_json::to_string(&reason).ok()),
        Some(TryResult::Sent { .. } | TryResult::Gone { .. }) | None => (false, None),
    };
    Ok(tried)
}

/// Whether a result is the last that a delivery waited for.
fn completes(delivery: &Delivery, part: &Part, result: Option<&TryResult>) -> bool {
    let others = delivery.parts.iter().filter(|other| other.index != part.index);
    matches!(result, Some(TryResult::Sent { .. }))
        && others.into_iter().all(|other| other.state == PartState::Sent)
}

/// It was marked and may not go: the mark goes, and the delivery waits.
async fn put_back(
    deps: &Deps,
    fence: Fence,
    delivery: &Delivery,
    part: &Part,
    tried: Tried,
    why: &str,
    beat: &impl Fn(),
) -> Result<Tried, StoreError> {
    let unsent = part.sending_since.is_none().then_some(part.index);
    let error = why.to_owned();
    let later = TryResult::Later { not_before: deps.now_ms(), counts: false, error: error.clone(), unsent };
    until_stored(deps, fence, beat, || deps.store.finish(fence, delivery.id, &later)).await?;
    Ok(Tried { unclear_since: part.sending_since, error: Some(error), ..tried })
}

/// What is handed to the adapter, with what it needs to find an earlier try; where it cannot, the ledger says so.
async fn request(
    deps: &Deps,
    fence: Fence,
    delivery: &Delivery,
    part: &Part,
    operation: Operation,
    knows_repeats: bool,
    beat: &impl Fn(),
) -> Result<SendRequest, StoreError> {
    let unclear_since = part.sending_since.filter(|_| matches!(operation, Operation::Send { .. }));
    let known = match unclear_since {
        Some(_) if knows_repeats => known_copies(deps, fence, delivery.target, beat).await?,
        Some(_) => {
            note_blind_repeat(deps, fence, delivery, part, beat).await?;
            Vec::new()
        }
        None => Vec::new(),
    };
    let key = IdempotencyKey::derive(delivery.id, part.index);
    Ok(SendRequest { target: delivery.target, operation, key, unclear_since, known })
}

/// At least once: better twice than lost. The ledger keeps the words, also when the part is delivered after all.
async fn note_blind_repeat(
    deps: &Deps,
    fence: Fence,
    delivery: &Delivery,
    part: &Part,
    beat: &impl Fn(),
) -> Result<(), StoreError> {
    tracing::warn!(pair = %delivery.pair, delivery = %delivery.id, part = part.index, "{SENT_AGAIN}");
    let note = TryResult::Later {
        not_before: deps.now_ms(),
        counts: false,
        error: SENT_AGAIN.to_owned(),
        unsent: None,
    };
    until_stored(deps, fence, beat, || deps.store.finish(fence, delivery.id, &note)).await
}

/// What is to be done at the target, or how the part ends without anything being done.
async fn operation(
    deps: &Deps,
    fence: Fence,
    delivery: &Delivery,
    part: &Part,
    beat: &impl Fn(),
) -> Result<Result<Operation, TryResult>, StoreError> {
    let (pair, chat) = (delivery.pair, delivery.source_chat);
    let body = part.body.clone();
    if delivery.action == EventKind::New {
        // The first part answers for all.
        let answered = delivery.reply_to.filter(|_| part.index == 0);
        let reply_to = match answered {
            None => None,
            Some(message) => {
                until_stored(deps, fence, beat, || deps.store.counterpart(pair, chat, message)).await?
            }
        };
        return Ok(Ok(Operation::Send { body, reply_to }));
    }
    let source = delivery.source_message;
    let copies = until_stored(deps, fence, beat, || deps.store.copies(pair, chat, source)).await?;
    let copy = copies.into_iter().find(|copy| copy.part == part.index).map(|copy| copy.message);
    Ok(match (copy, body) {
        (Some(message), PartBody::Deletion) => Ok(Operation::Delete { message }),
        (Some(message), body) => Ok(Operation::Edit { message, body }),
        (None, PartBody::Deletion) => Err(TryResult::Gone { part: part.index }),
        (None, _) => Err(TryResult::Dead(DeadReason::CopyUnknown)),
    })
}

/// Writes how a part ended for which nothing was sent.
async fn settle(
    deps: &Deps,
    fence: Fence,
    delivery: &Delivery,
    result: TryResult,
    beat: &impl Fn(),
) -> Result<Tried, StoreError> {
    until_stored(deps, fence, beat, || deps.store.finish(fence, delivery.id, &result)).await?;
    let (next, error) = match result {
        TryResult::Dead(reason) => (Next::Drop, serde_json::to_string(&reason).ok()),
        _ => (Next::Advance, None),
    };
    Ok(Tried { error, ..Tried::unsent(next) })
}

/// Copies that a look must not take for the part that is looked for. More than a look reads are never needed.
const KNOWN_COPIES: u32 = 4_000;

async fn known_copies(
    deps: &Deps,
    fence: Fence,
    target: Place,
    beat: &impl Fn(),
) -> Result<Vec<MessageId>, StoreError> {
    until_stored(deps, fence, beat, || deps.store.known_copies(target, KNOWN_COPIES)).await
}

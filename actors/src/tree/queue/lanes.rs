//! The delivery lanes of a queue: per pair, deliveries in order, one try at a time; a head in retry blocks its own lane only. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;
use tokio::time::Instant;

use crate::model::{Delivery, PairId, Part, PartState, Place};

/// What a lane waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// Nothing: its head may be tried, or it may be read from the store.
    Idle,
    /// Its deliveries are being read.
    Reading,
    /// Its head is being tried.
    Trying,
}

#[derive(Debug)]
struct Lane {
    items: VecDeque<Delivery>,
    phase: Phase,
    /// The head may not be tried before.
    not_before: Option<Instant>,
    /// There may be more in the store than in memory.
    more: bool,
    /// Woken while it was being read: what was read may miss what it was woken for.
    woken: bool,
    /// Tries in a row that failed.
    failures: u32,
}

/// The lanes of one destination account.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<PairId, Lane>,
}

/// What a lane should do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read deliveries after this position.
    Read {
        /// The lane.
        pair: PairId,
        /// The last position in memory.
        after: Option<i64>,
    },
    /// Try this part of the head.
    Try {
        /// The delivery, as last read.
        delivery: Box<Delivery>,
        /// The part.
        part: Part,
        /// Tries of this lane in a row that failed.
        failures: u32,
    },
}

impl Lanes {
    /// There may be new deliveries in the store for a lane.
    pub(super) fn wake(&mut self, pair: PairId) {
        let fresh = || Lane {
            items: VecDeque::new(),
            phase: Phase::Idle,
            not_before: None,
            more: true,
            woken: false,
            failures: 0,
        };
        let lane = self.lanes.entry(pair).or_insert_with(fresh);
        lane.more = true;
        lane.woken = lane.phase == Phase::Reading;
    }

    /// The steps that can be taken now, at most `tries` of them tries; each lane is marked busy with its step. Where not all
    /// may be tried, those to the chats that failed least come first: they tell most of whether the account works, and a
    /// chat that fails holds up no other.
    pub(super) fn steps(&mut self, now: Instant, tries: usize) -> Vec<Step> {
        let mut left = tries;
        let mut steps = Vec::new();
        let failed = if tries < self.lanes.len() { self.failures_by_target() } else { HashMap::new() };
        let mut lanes: Vec<_> = self.lanes.iter_mut().collect();
        if !failed.is_empty() {
            lanes.sort_by_key(|(_, lane)| {
                (lane.target().and_then(|target| failed.get(&target)), lane.failures)
            });
        }
        for (pair, lane) in lanes {
            let Some(step) = lane.step(*pair, now, left > 0) else { continue };
            left = left.saturating_sub(usize::from(matches!(step, Step::Try { .. })));
            steps.push(step);
        }
        steps
    }

    /// Tries in a row that failed, of all lanes to a chat; without those that did not.
    fn failures_by_target(&self) -> HashMap<Place, u32> {
        let mut failed = HashMap::<_, u32>::new();
        for lane in self.lanes.values().filter(|lane| lane.failures > 0) {
            if let Some(target) = lane.target() {
                let sum = failed.entry(target).or_default();
                *sum = sum.saturating_add(lane.failures);
            }
        }
        failed
    }

    /// When the next lane that waits for a time may go on. One whose time has come waits for something else: for the end of
    /// another lane's try.
    #[must_use]
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let waits = |lane: &Lane| if lane.phase == Phase::Idle { lane.not_before } else { None };
        self.lanes.values().filter_map(waits).filter(|at| *at > now).min()
    }

    /// Deliveries read from the store arrive; fewer than asked for means that there are no more.
    pub(super) fn read(&mut self, pair: PairId, items: Vec<Delivery>, asked: u32, now_ms: i64, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&pair) else { return };
        lane.phase = Phase::Idle;
        let full = u32::try_from(items.len()).is_ok_and(|read| read >= asked);
        lane.more = std::mem::take(&mut lane.woken) || full;
        let was_empty = lane.items.is_empty();
        lane.items.extend(items);
        if was_empty {
            lane.hold_for_head(now_ms, now);
        }
        self.forget_if_done(pair);
    }

    /// Reading failed: again at this time.
    pub(super) fn read_failed(&mut self, pair: PairId, again: Instant) {
        if let Some(lane) = self.lanes.get_mut(&pair) {
            lane.phase = Phase::Idle;
            lane.more = true;
            lane.not_before = Some(again);
        }
    }

    /// The tried part is at the target.
    pub(super) fn advance(&mut self, pair: PairId, part: u16, now_ms: i64, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&pair) else { return };
        lane.phase = Phase::Idle;
        lane.failures = 0;
        lane.not_before = None;
        if let Some(head) = lane.items.front_mut() {
            if let Some(sent) = head.parts.iter_mut().find(|candidate| candidate.index == part) {
                sent.state = PartState::Sent;
            }
            if head.parts.iter().all(|candidate| candidate.state == PartState::Sent) {
                lane.items.pop_front();
                lane.hold_for_head(now_ms, now);
            }
        }
        self.forget_if_done(pair);
    }

    /// The head is given up.
    pub(super) fn drop_head(&mut self, pair: PairId, now_ms: i64, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&pair) else { return };
        lane.phase = Phase::Idle;
        lane.failures = 0;
        lane.not_before = None;
        lane.items.pop_front();
        lane.hold_for_head(now_ms, now);
        self.forget_if_done(pair);
    }

    /// The same part again, not before a time. `unclear` keeps that it may have arrived.
    pub(super) fn retry(
        &mut self,
        pair: PairId,
        part: u16,
        again: Instant,
        counts: bool,
        sent_at_ms: Option<i64>,
    ) {
        let Some(lane) = self.lanes.get_mut(&pair) else { return };
        lane.phase = Phase::Idle;
        lane.not_before = Some(again);
        lane.failures = lane.failures.saturating_add(1);
        if let Some(head) = lane.items.front_mut() {
            if counts {
                head.tries = head.tries.saturating_add(1);
            }
            if let Some(tried) = head.parts.iter_mut().find(|candidate| candidate.index == part)
                && sent_at_ms.is_some()
            {
                tried.state = PartState::Sending;
                tried.sending_since = sent_at_ms;
            }
        }
    }

    /// Forgets a lane: its pair is paused or gone. What it holds waits in the store.
    pub(super) fn remove(&mut self, pair: PairId) {
        self.lanes.remove(&pair);
    }

    /// Lets every waiting lane go on: the account is connected again.
    pub(super) fn resume(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.not_before = None;
        }
    }

    /// Lanes with something to do, and deliveries held in memory.
    #[must_use]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.lanes.len(), self.lanes.values().map(|lane| lane.items.len()).sum())
    }

    /// Lanes whose head is being tried.
    #[must_use]
    pub(super) fn trying(&self) -> usize {
        self.lanes.values().filter(|lane| lane.phase == Phase::Trying).count()
    }

    fn forget_if_done(&mut self, pair: PairId) {
        if self
            .lanes
            .get(&pair)
            .is_some_and(|lane| lane.items.is_empty() && !lane.more && lane.phase == Phase::Idle)
        {
            self.lanes.remove(&pair);
        }
    }
}

impl Lane {
    /// Where its head goes.
    fn target(&self) -> Option<Place> {
        self.items.front().map(|head| head.target)
    }

    fn step(&mut self, pair: PairId, now: Instant, may_try: bool) -> Option<Step> {
        if self.phase != Phase::Idle || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        if let Some(head) = self.items.front()
            && let Some(part) = head.parts.iter().find(|part| part.state != PartState::Sent)
        {
            if !may_try {
                return None;
            }
            let step =
                Step::Try { delivery: Box::new(head.clone()), part: part.clone(), failures: self.failures };
            self.phase = Phase::Trying;
            return Some(step);
        }
        if self.more {
            self.phase = Phase::Reading;
            let after = self.items.back().map(|last| last.seq);
            return Some(Step::Read { pair, after });
        }
        None
    }

    fn hold_for_head(&mut self, now_ms: i64, now: Instant) {
        let Some(head) = self.items.front() else { return };
        let wait = head.not_before.map_or(0, |at| at.saturating_sub(now_ms));
        self.not_before = u64::try_from(wait)
            .ok()
            .filter(|wait| *wait > 0)
            .map(|wait| now.checked_add(std::time::Duration::from_millis(wait)).unwrap_or(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountId, ChatId, DeliveryId, EventKind, MessageId, PartBody, Place, Platform};
    use std::time::Duration;
    use uuid::Uuid;

    fn delivery(pair: PairId, seq: i64, parts: u16) -> Delivery {
        let part = |index| Part {
            index,
            body: PartBody::Markdown { content: "x".to_owned(), author: None },
            state: PartState::Queued,
            sending_since: None,
            remote_id: None,
        };
        Delivery {
            id: DeliveryId::from_uuid(Uuid::from_u128(u128::try_from(seq).unwrap())),
            pair,
            account: AccountId::from_uuid(Uuid::from_u128(9)),
            target: Place { platform: Platform::Discord, chat: ChatId::new(1).unwrap(), thread: None },
            seq,
            action: EventKind::New,
            source_chat: ChatId::new(2).unwrap(),
            source_message: MessageId::new(seq.max(1)).unwrap(),
            reply_to: None,
            tries: 0,
            not_before: None,
            parts: (0..parts).map(part).collect(),
        }
    }

    fn pair(n: u128) -> PairId {
        PairId::from_uuid(Uuid::from_u128(n))
    }

    fn tried(steps: &[Step]) -> Vec<(i64, u16)> {
        let one = |step: &Step| match step {
            Step::Try { delivery, part, .. } => Some((delivery.seq, part.index)),
            Step::Read { .. } => None,
        };
        steps.iter().filter_map(one).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_in_retry_blocks_its_own_lane_only() {
        let (now, mut lanes) = (Instant::now(), Lanes::default());
        for n in [1, 2] {
            lanes.wake(pair(n));
        }
        assert_eq!(lanes.steps(now, 9).len(), 2, "both lanes read");
        assert_eq!(lanes.steps(now, 9), vec![], "and are busy with it");
        let base = |n: u128| i64::try_from(n).unwrap() * 10;
        for n in [1, 2] {
            lanes.read(
                pair(n),
                vec![delivery(pair(n), base(n), 1), delivery(pair(n), base(n) + 1, 1)],
                8,
                0,
                now,
            );
        }
        assert_eq!(tried(&lanes.steps(now, 9)), vec![(10, 0), (20, 0)]);
        lanes.retry(pair(1), 0, now + Duration::from_secs(5), true, Some(0));
        lanes.advance(pair(2), 0, 0, now);
        assert_eq!(tried(&lanes.steps(now, 9)), vec![(21, 0)], "lane 2 goes on, lane 1 waits with its head");
        assert_eq!(
            tried(&lanes.steps(now + Duration::from_secs(5), 9)),
            vec![(10, 0)],
            "the same head again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_may_go_on_and_may_not_try_asks_for_no_time() {
        let (now, mut lanes) = (Instant::now(), Lanes::default());
        let (soon, later) = (now + Duration::from_secs(1), now + Duration::from_secs(5));
        for (n, again) in [(1, soon), (2, later)] {
            lanes.wake(pair(n));
            let _ = lanes.steps(now, 9);
            lanes.read(pair(n), vec![delivery(pair(n), 1, 1)], 8, 0, now);
            let _ = lanes.steps(now, 9);
            lanes.retry(pair(n), 0, again, true, None);
        }
        assert_eq!(lanes.wake_at(now), Some(soon));
        assert_eq!(lanes.steps(soon, 0), vec![], "somebody else finds out whether the account works");
        assert_eq!(lanes.wake_at(soon), Some(later), "not now, and now, and now again");
        assert_eq!(lanes.wake_at(later), None);
        assert_eq!(tried(&lanes.steps(later, 9)).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn parts_go_in_order_and_a_finished_lane_is_forgotten() {
        let (now, mut lanes) = (Instant::now(), Lanes::default());
        lanes.wake(pair(1));
        let _ = lanes.steps(now, 9);
        lanes.read(pair(1), vec![delivery(pair(1), 1, 2)], 8, 0, now);
        assert_eq!(tried(&lanes.steps(now, 9)), vec![(1, 0)]);
        lanes.advance(pair(1), 0, 0, now);
        assert_eq!(tried(&lanes.steps(now, 9)), vec![(1, 1)]);
        lanes.advance(pair(1), 1, 0, now);
        assert_eq!(lanes.size(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_during_a_read_reads_again() {
        let (now, mut lanes) = (Instant::now(), Lanes::default());
        lanes.wake(pair(1));
        let _ = lanes.steps(now, 9);
        lanes.wake(pair(1));
        lanes.read(pair(1), vec![], 8, 0, now);
        assert_eq!(lanes.steps(now, 9), vec![Step::Read { pair: pair(1), after: None }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wake_during_a_try_is_not_lost() {
        let (now, mut lanes) = (Instant::now(), Lanes::default());
        lanes.wake(pair(1));
        let _ = lanes.steps(now, 9);
        lanes.read(pair(1), vec![delivery(pair(1), 1, 1)], 8, 0, now);
        assert_eq!(tried(&lanes.steps(now, 9)), vec![(1, 0)]);
        lanes.wake(pair(1));
        lanes.advance(pair(1), 0, 0, now);
        assert_eq!(lanes.steps(now, 9), vec![Step::Read { pair: pair(1), after: None }]);
    }

    #[test]
    fn the_chat_that_failed_least_is_tried_first_where_one_may_be() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        let chats = [(pair(1), 1), (pair(2), 1), (pair(3), 7)];
        for ((pair, chat), seq) in chats.into_iter().zip(1..) {
            lanes.wake(pair);
            lanes.steps(now, 0);
            let mut delivery = delivery(pair, seq, 1);
            delivery.target.chat = ChatId::new(chat).unwrap();
            lanes.read(pair, vec![delivery], 10, 0, now);
        }
        assert_eq!(tried(&lanes.steps(now, 1)), [(1, 0)], "none failed: in their order");
        lanes.retry(pair(1), 0, now, true, None);
        assert_eq!(tried(&lanes.steps(now, 1)), [(3, 0)], "not the other lane to the same chat");
        assert_eq!(tried(&lanes.steps(now, 1)), [(2, 0)], "all have their turn");
    }
}

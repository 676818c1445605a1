//! Whatever is asked in whatever order: budgets hold, lanes keep their order, nothing is lost.

use std::collections::{HashMap, HashSet, VecDeque};

use proptest::prelude::*;

use super::super::Polled;
use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve {
        chat: i64,
        thread: i64,
        cost: u32,
        class: Class,
    },
    Poll,
    /// Ends the nth send under way.
    Done {
        nth: usize,
        how: How,
    },
    DoneUnknown(u64),
    /// Cancels the nth reservation that waits.
    Cancel(usize),
    Wait(u64),
    /// Exports and goes on with what was restored.
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Answered,
    GaveUp,
    NotSent,
    Hold(HoldScope, u64),
    Headers(u32, u32, u64),
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Urgent), Just(Class::Live), Just(Class::Backfill)]
}

fn how() -> impl Strategy<Value = How> {
    let scope = prop_oneof![Just(HoldScope::Chat), Just(HoldScope::Account), Just(HoldScope::Egress)];
    prop_oneof![
        6 => Just(How::Answered),
        1 => Just(How::GaveUp),
        1 => Just(How::NotSent),
        1 => (scope, 0..20_u64).prop_map(|(scope, wait)| How::Hold(scope, wait)),
        1 => (1..8_u32, 0..8_u32, 0..9_000_u64).prop_map(|(limit, left, reset)| How::Headers(limit, left, reset)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let cost = prop_oneof![6 => Just(1_u32), 1 => 2..12_u32];
    prop_oneof![
        6 => (1..5_i64, 0..3_i64, cost, class())
            .prop_map(|(chat, thread, cost, class)| Step::Reserve { chat: -chat, thread, cost, class }),
        5 => Just(Step::Poll),
        5 => (0..20_usize, how()).prop_map(|(nth, how)| Step::Done { nth, how }),
        1 => any::<u64>().prop_map(Step::DoneUnknown),
        1 => (0..20_usize).prop_map(Step::Cancel),
        1 => Just(Step::Restart),
        4 => prop_oneof![0..2_000_u64, 0..90_000_u64].prop_map(Step::Wait),
    ]
}

/// A send as the model knows it.
#[derive(Clone, Copy, Debug)]
struct Sent {
    lane: Lane,
    cost: u32,
    answered: Option<Duration>,
}

/// What must be true, kept beside the limiter.
struct Model {
    profile: Profile,
    limiter: Limiter,
    now: Duration,
    waiting: HashMap<Lane, VecDeque<TicketId>>,
    costs: HashMap<TicketId, u32>,
    flying: Vec<(GrantId, Sent)>,
    sent: Vec<Sent>,
    account_held: Duration,
    chat_held: HashMap<Lane, Duration>,
}

impl Model {
    fn new(kind: AccountKind) -> Self {
        let profile = Profile::named(kind, "normal").unwrap();
        Self {
            limiter: Limiter::new(profile.clone(), 3),
            profile,
            now: Duration::ZERO,
            waiting: HashMap::new(),
            costs: HashMap::new(),
            flying: Vec::new(),
            sent: Vec::new(),
            account_held: Duration::ZERO,
            chat_held: HashMap::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Reserve { chat: id, thread: 0, cost, class } => self.reserve(chat(id), cost, class),
            Step::Reserve { chat: id, thread: topic, cost, class } => {
                self.reserve(thread(id, topic), cost, class)
            }
            Step::Poll => {
                self.poll();
            }
            Step::Done { nth, how } if nth < self.flying.len() => self.done(nth, how),
            Step::DoneUnknown(id) => {
                let id = GrantId(id);
                if self.flying.iter().all(|(grant, _)| *grant != id) {
                    let before = self.limiter.view(self.now);
                    self.limiter.done(self.now, id, hold(HoldScope::Account, secs(1_000)));
                    assert_eq!(self.limiter.view(self.now).holds, before.holds);
                }
            }
            Step::Cancel(nth) => self.cancel(nth),
            Step::Wait(wait) => self.now += ms(wait),
            Step::Restart => self.restart(),
            Step::Done { .. } => {}
        }
    }

    fn reserve(&mut self, lane: Lane, cost: u32, class: Class) {
        let ticket = self.limiter.reserve(self.now, lane, cost, class);
        self.waiting.entry(lane).or_default().push_back(ticket);
        assert!(self.costs.insert(ticket, cost).is_none(), "tickets are never used twice");
    }

    /// Every send under way counts as made now; what waited must be reserved again.
    fn restart(&mut self) {
        let wall = i64::try_from(self.now.as_millis()).unwrap();
        let state = self.limiter.export(self.now, wall);
        self.limiter = Limiter::restore(self.profile.clone(), 4, self.now, wall, state);
        let now = self.now;
        self.sent.extend(self.flying.drain(..).map(|(_, sent)| Sent { answered: Some(now), ..sent }));
        self.waiting.clear();
        self.costs.clear();
    }

    fn cancel(&mut self, nth: usize) {
        let mut tickets: Vec<TicketId> = self.waiting.values().flatten().copied().collect();
        tickets.sort_unstable();
        let Some(ticket) = tickets.get(nth) else { return };
        self.limiter.cancel(self.now, *ticket);
        self.waiting.values_mut().for_each(|lane| lane.retain(|other| other != ticket));
    }

    fn poll(&mut self) -> Polled {
        let polled = self.limiter.poll(self.now);
        for (ticket, grant) in &polled.granted {
            let lane =
                *self.waiting.iter().find(|(_, lane)| lane.front() == Some(ticket)).expect("in order").0;
            self.waiting.get_mut(&lane).unwrap().pop_front();
            assert!(self.flying.iter().all(|(_, sent)| sent.lane != lane), "one in flight in a lane");
            assert!(self.now >= self.account_held, "granted under a hold of the account");
            let key = self.profile.chat_of(lane);
            let held = self.chat_held.iter().filter(|(held, _)| self.profile.chat_of(**held) == key);
            assert!(
                held.into_iter().all(|(_, until)| self.now >= *until),
                "granted under a hold of the chat"
            );
            self.flying.push((*grant, Sent { lane, cost: self.costs[ticket], answered: None }));
            self.budgets_hold(lane);
        }
        if let Some(wake) = polled.wake_at {
            assert!(wake >= self.now, "the alarm lies ahead");
        }
        polled
    }

    /// No budget on the lane's path is over its limit, unless by one heavy message alone.
    fn budgets_hold(&self, lane: Lane) {
        let key = self.profile.chat_of(lane);
        let here = |sent: &&Sent| self.profile.chat_of(sent.lane) == key;
        let all = || self.sent.iter().chain(self.flying.iter().map(|(_, sent)| sent));
        for budget in self.profile.account_budgets() {
            within(budget.limit, budget.window, self.now, all());
        }
        for budget in self.profile.chat_budgets(key).filter(|budget| !budget.headers) {
            within(budget.limit, budget.window, self.now, all().filter(here));
        }
    }

    fn done(&mut self, nth: usize, how: How) {
        let (grant, mut sent) = self.flying.remove(nth);
        let answer = match how {
            How::GaveUp => Answer::GaveUp,
            How::NotSent => Answer::NotSent,
            _ => Answer::Answered { rtt: Duration::ZERO },
        };
        let mut done = Done { answer, hint: None, hold: None };
        match how {
            How::Hold(scope, wait) => {
                done.hold = Some((scope, secs(wait)));
                let until = self.now + secs(wait + 1);
                match scope {
                    HoldScope::Chat => {
                        let held = self.chat_held.entry(sent.lane).or_default();
                        *held = until.max(*held);
                    }
                    _ => self.account_held = until.max(self.account_held),
                }
            }
            How::Headers(limit, remaining, reset) => {
                done.hint = headers(limit, remaining, ms(reset)).hint;
            }
            _ => {}
        }
        self.limiter.done(self.now, grant, done);
        if answer != Answer::NotSent {
            sent.answered = Some(self.now);
            self.sent.push(sent);
        }
    }

    /// Everything that waits goes in the end, and then nothing is left behind.
    fn finish(mut self) {
        for _ in 0..10_000 {
            while !self.flying.is_empty() {
                self.done(0, How::Answered);
            }
            let polled = self.poll();
            if !polled.granted.is_empty() {
                continue;
            }
            let Some(wake) = polled.wake_at else { break };
            self.now = wake;
        }
        assert!(self.waiting.values().all(VecDeque::is_empty), "left waiting: {:?}", self.waiting);
        let view = self.limiter.view(self.now);
        assert_eq!(
            (view.reservations, view.lanes_waiting, view.lanes_ready, view.lanes_in_flight),
            (0, 0, 0, 0)
        );
        self.limiter.poll(self.now + secs(30 * 86_400));
        assert_eq!(self.limiter.remembered(), 0, "remembered for ever");
    }
}

fn within<'a>(limit: u32, window: Duration, now: Duration, sent: impl Iterator<Item = &'a Sent>) {
    let counted: Vec<u32> = sent
        .filter(|sent| sent.answered.is_none_or(|answered| answered + window > now))
        .map(|sent| sent.cost)
        .collect();
    let sum: u32 = counted.iter().sum();
    assert!(sum <= limit || counted.len() == 1, "{counted:?} in a budget of {limit} in {window:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn budgets_order_and_holds_are_kept_and_everything_goes_in_the_end(
        steps in prop::collection::vec(step(), 1..150),
        kind in prop_oneof![
            Just(AccountKind::TelegramBot),
            Just(AccountKind::TelegramUser),
            Just(AccountKind::DiscordBot),
            Just(AccountKind::DiscordWebhook),
        ],
    ) {
        let mut model = Model::new(kind);
        for step in steps {
            model.take(step);
        }
        model.finish();
    }
}

#[test]
fn grants_and_tickets_are_numbered_once() {
    let mut limiter = limiter(AccountKind::TelegramBot, "sandbox");
    let mut seen = HashSet::new();
    for n in 1..200 {
        limiter.reserve(ms(n), chat(1), 1, Class::Live);
        for (_, grant) in grants(&mut limiter, ms(n)) {
            assert!(seen.insert(grant));
            limiter.done(ms(n), grant, answered());
        }
    }
    assert_eq!(seen.len(), 199);
}

//! What can go wrong, whom it touches, and how a seed draws it.

use std::time::Duration;

use super::dice::Dice;
use super::plan::{Plan, Profile};
use crate::model::{AccountId, HoldScope, Pair, PairId, Place, UserId};
use crate::supervision::ChildPath;

/// Which requests a fault of the network or the platform meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Everywhere,
    Account(AccountId),
    Target(AccountId, Place),
}

impl Where {
    pub(super) fn meets(self, account: AccountId, target: Place) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Account(id) => id == account,
            Self::Target(id, place) => id == account && place == target,
        }
    }
}

/// What becomes of requests that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ill {
    /// The answer is lost.
    Unanswered,
    /// The request is lost.
    Lost,
    /// The platform fails and does nothing.
    Failed,
    /// The platform fails when it has done it already.
    FailedLate,
    /// The platform asks to wait.
    Flood { wait: Duration, scope: HoldScope },
    /// Everything takes up to this long.
    Slow { most: Duration },
    /// The target refuses the pair.
    RefusesPair,
    /// The account may not send.
    Quarantined,
    /// Nobody answers, and the adapter's own timeout does not work for this long.
    Hangs { patience: Duration },
}

/// How calls of the store go while a fault lasts. Without a node: on all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreIll {
    Slow {
        most: Duration,
    },
    Away,
    /// So many calls in a hundred hang for this long.
    Hangs {
        percent: u64,
        time: Duration,
    },
    /// So many calls in a hundred fail.
    Flaky {
        percent: u64,
    },
    /// So many writes in a hundred are done, and the answer is an error.
    Unsure {
        percent: u64,
    },
}

/// What an operator orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Restart(ChildPath),
    Suspend(ChildPath),
    Reconnect(AccountId),
    PausePair(PairId),
    PauseQueue(AccountId),
    SuspendUser(UserId),
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// So many requests in a hundred fare ill.
    Sends {
        at: Where,
        percent: u64,
        ill: Ill,
    },
    /// Connections break, and none can be made.
    Unreachable {
        account: Option<AccountId>,
    },
    /// Connections break once.
    HangUp {
        account: Option<AccountId>,
    },
    /// The platform asks to wait before connecting.
    DialWait {
        account: AccountId,
    },
    /// The platform ends the session for good, until somebody logs in again.
    Logout {
        account: AccountId,
    },
    Store {
        node: Option<usize>,
        ill: StoreIll,
    },
    /// A failpoint: `verb` is `panic` or `fail`.
    Failpoint {
        point: &'static str,
        key: String,
        verb: &'static str,
        times: u64,
    },
    /// The store call after so many others panics inside its caller.
    PortPanic {
        node: usize,
        after: u64,
    },
    /// The process dies at once, and starts again afterwards.
    Kill {
        node: usize,
    },
    /// The process stands still.
    Freeze {
        node: usize,
    },
    /// The process is drained and started again.
    Deploy {
        node: usize,
    },
    Operator {
        node: usize,
        order: Order,
    },
}

/// Whom a fault touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Pairs(Vec<PairId>),
}

/// A fault and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) trouble: Trouble,
    pub(super) scope: Scope,
}

/// Draws the faults of a plan, in order of time.
pub(super) fn draw(seed: u64, plan: &Plan) -> Vec<Fault> {
    let dice = Dice::new(seed, "faults");
    let drawer = Drawer { dice: &dice, plan };
    let mut faults: Vec<Fault> = match plan.profile {
        Profile::Calm => Vec::new(),
        Profile::OneVictim => drawer.one_victim(),
        Profile::Storm => (0..dice.count(2, 9)).filter_map(|_| drawer.anything()).collect(),
    };
    faults.sort_by_key(|fault| fault.at);
    faults
}

struct Drawer<'a> {
    dice: &'a Dice,
    plan: &'a Plan,
}

/// Everything of a fault that concerns a few pairs.
#[derive(Clone, Copy, Debug)]
enum Victim<'a> {
    Pair(&'a Pair),
    Target(&'a Pair),
    Account(AccountId),
    User(UserId),
}

impl Drawer<'_> {
    fn one_victim(&self) -> Vec<Fault> {
        let Some(victim) = self.victim() else { return Vec::new() };
        (0..self.dice.count(2, 6)).filter_map(|_| self.against(victim)).collect()
    }

    fn victim(&self) -> Option<Victim<'_>> {
        let pair = self.dice.pick(&self.plan.pairs)?;
        Some(match self.dice.between(0, 9) {
            0..=2 => Victim::Pair(pair),
            3..=5 => Victim::Target(pair),
            6..=8 => Victim::Account(pair.target_account),
            _ => Victim::User(pair.user),
        })
    }

    fn anything(&self) -> Option<Fault> {
        let dice = self.dice;
        let node = dice.count(0, self.plan.nodes.saturating_sub(1));
        let some_node = if dice.chance(50) { Some(node) } else { None };
        let (trouble, lasts) = match dice.between(0, 99) {
            0..=39 => return self.against(self.victim()?),
            40..=49 => (Trouble::Kill { node }, dice.seconds(0, 30)),
            50..=57 => (Trouble::Freeze { node }, dice.seconds(1, if dice.chance(30) { 150 } else { 40 })),
            58..=61 => (Trouble::Deploy { node }, Duration::ZERO),
            62..=69 => {
                let most = dice.time(Duration::from_millis(50), Duration::from_secs(12));
                (Trouble::Store { node: some_node, ill: StoreIll::Slow { most } }, dice.seconds(5, 60))
            }
            70..=72 => (Trouble::Store { node: some_node, ill: StoreIll::Away }, dice.seconds(1, 60)),
            73..=75 => {
                let ill = StoreIll::Flaky { percent: dice.between(20, 90) };
                (Trouble::Store { node: some_node, ill }, dice.seconds(5, 60))
            }
            76..=78 => {
                let ill = StoreIll::Hangs { percent: dice.between(1, 20), time: dice.seconds(20, 75) };
                (Trouble::Store { node: some_node, ill }, dice.seconds(5, 30))
            }
            79..=82 => {
                let ill = StoreIll::Unsure { percent: dice.between(5, 50) };
                (Trouble::Store { node: some_node, ill }, dice.seconds(5, 60))
            }
            83..=88 => (Trouble::PortPanic { node, after: dice.between(0, 60) }, Duration::ZERO),
            89..=90 => (Trouble::HangUp { account: None }, Duration::ZERO),
            91..=92 => (Trouble::Unreachable { account: None }, dice.seconds(5, 60)),
            93..=94 => {
                let ill = Ill::Flood { wait: dice.seconds(2, 40), scope: HoldScope::Egress };
                (self.sends(Where::Everywhere, ill), dice.seconds(2, 20))
            }
            95..=96 => {
                let path = self.common_path()?;
                (Trouble::Operator { node, order: Order::Restart(path) }, Duration::ZERO)
            }
            97..=98 => {
                let (point, key) =
                    *dice.pick(&[("throttle.poll", "egress/direct"), ("notifier.raise", "")])?;
                (self.failpoint(point, key.to_owned()), Duration::ZERO)
            }
            _ => {
                let path = self.common_path()?;
                (Trouble::Operator { node, order: Order::Suspend(path) }, dice.seconds(5, 40))
            }
        };
        Some(self.placed(trouble, lasts, Scope::All))
    }

    fn common_path(&self) -> Option<ChildPath> {
        let paths = ["throttles/egress/direct", "notifier", "scheduler"];
        ChildPath::parse(self.dice.pick(&paths)?).ok()
    }

    fn against(&self, victim: Victim<'_>) -> Option<Fault> {
        let node = self.dice.count(0, self.plan.nodes.saturating_sub(1));
        let (trouble, lasts) = match victim {
            Victim::Pair(pair) => self.against_pair(node, pair)?,
            Victim::Target(pair) => self.against_target(pair),
            Victim::Account(account) => self.against_account(node, account)?,
            Victim::User(user) => {
                (Trouble::Operator { node, order: Order::SuspendUser(user) }, self.dice.seconds(1, 40))
            }
        };
        let touched = |pair: &&Pair| match victim {
            Victim::Pair(one) => pair.id == one.id,
            Victim::Target(one) => pair.target == one.target && pair.target_account == one.target_account,
            Victim::Account(id) => pair.target_account == id || pair.source_account == id,
            Victim::User(user) => pair.user == user,
        };
        let pairs = self.plan.pairs.iter().filter(touched).map(|pair| pair.id).collect();
        Some(self.placed(trouble, lasts, Scope::Pairs(pairs)))
    }

    fn against_pair(&self, node: usize, pair: &Pair) -> Option<(Trouble, Duration)> {
        let dice = self.dice;
        let path = ChildPath::parse(&format!("pairs/{}", pair.id)).ok()?;
        let order = |order| Trouble::Operator { node, order };
        Some(match dice.between(0, 9) {
            0..=4 => (self.failpoint("pair.plan", pair.id.to_string()), Duration::ZERO),
            5 => (order(Order::Restart(path)), Duration::ZERO),
            6 => (order(Order::Suspend(path)), dice.seconds(5, 60)),
            _ => (order(Order::PausePair(pair.id)), dice.seconds(1, 60)),
        })
    }

    fn against_target(&self, pair: &Pair) -> (Trouble, Duration) {
        let at = Where::Target(pair.target_account, pair.target);
        let dice = self.dice;
        let ill = if dice.chance(20) { Ill::RefusesPair } else { self.ill(HoldScope::Chat) };
        (self.sends(at, ill), dice.seconds(2, 50))
    }

    fn against_account(&self, node: usize, account: AccountId) -> Option<(Trouble, Duration)> {
        let dice = self.dice;
        let kind = *dice.pick(&["sessions", "queues", "throttles"])?;
        let path = ChildPath::parse(&format!("{kind}/{account}")).ok()?;
        let order = |order| Trouble::Operator { node, order };
        let point = *dice.pick(&["queue.attempt", "session.intake", "throttle.poll"])?;
        Some(match dice.between(0, 99) {
            0..=34 => {
                (self.sends(Where::Account(account), self.ill(HoldScope::Account)), dice.seconds(2, 50))
            }
            35..=54 => (self.failpoint(point, account.to_string()), Duration::ZERO),
            55..=62 => (Trouble::HangUp { account: Some(account) }, Duration::ZERO),
            63..=68 => (Trouble::Unreachable { account: Some(account) }, dice.seconds(5, 60)),
            69..=71 => (Trouble::DialWait { account }, dice.seconds(5, 40)),
            72..=75 => (Trouble::Logout { account }, dice.seconds(1, 40)),
            76..=77 => (self.sends(Where::Account(account), Ill::Quarantined), dice.seconds(1, 5)),
            78..=85 => (order(Order::Restart(path)), Duration::ZERO),
            86..=90 => (order(Order::Suspend(path)), dice.seconds(5, 60)),
            91..=93 => (order(Order::Reconnect(account)), Duration::ZERO),
            _ => (order(Order::PauseQueue(account)), dice.seconds(1, 60)),
        })
    }

    fn ill(&self, scope: HoldScope) -> Ill {
        let dice = self.dice;
        match dice.between(0, 99) {
            0..=19 => Ill::Unanswered,
            20..=31 => Ill::Lost,
            32..=49 => Ill::Failed,
            50..=59 => Ill::FailedLate,
            60..=79 => {
                let most = if dice.chance(25) { 150 } else { 50 };
                Ill::Flood { wait: dice.seconds(1, most), scope }
            }
            80..=94 => Ill::Slow { most: dice.seconds(1, 25) },
            _ => Ill::Hangs { patience: dice.seconds(70, 150) },
        }
    }

    fn sends(&self, at: Where, ill: Ill) -> Trouble {
        let percent = match ill {
            Ill::Hangs { .. } => 30,
            _ => self.dice.between(20, 100),
        };
        Trouble::Sends { at, percent, ill }
    }

    fn failpoint(&self, point: &'static str, key: String) -> Trouble {
        let verb = if self.dice.chance(70) { "panic" } else { "fail" };
        let times = if self.dice.chance(15) { self.dice.between(4, 9) } else { self.dice.between(1, 3) };
        Trouble::Failpoint { point, key, verb, times }
    }

    /// Somewhere before the calm.
    fn placed(&self, trouble: Trouble, lasts: Duration, scope: Scope) -> Fault {
        let first = Duration::from_secs(3);
        let last = self.plan.calm_at.saturating_sub(lasts).max(first);
        let at = self.dice.time(first, last);
        let lasts = lasts.min(self.plan.calm_at.saturating_sub(at));
        Fault { at, lasts, trouble, scope }
    }
}

//! Plays one seed: the start, what people write and what goes wrong, the calm, the last drain, and the accounts.

mod close;
mod strike;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::book::Book;
use super::fault::{self, Fault};
use super::node::Node;
use super::operator::Staff;
use super::plan::{Plan, Writing, node_id};
use super::promise::Promise;
use super::weather::{NodeView as View, Weather};
use super::{Options, Outcome, Sabotage};
use crate::model::{Account, AccountKind};
use crate::ports::Clock;
use crate::testkit::{FakePlatform, MemoryStore, VirtualClock};

/// How often it is looked whether anything is late, or waits for a person.
const ROUND: Duration = Duration::from_secs(5);
/// As long as a real one is given.
const DRAIN: Duration = Duration::from_secs(25);
/// A platform forgets keys after a few minutes, as Discord does with nonces.
const KEY_LIFE: Duration = Duration::from_secs(180);
/// A clock that is off by a constant.
struct SkewedClock {
    right: Arc<VirtualClock>,
    off: TimeDelta,
}

impl Clock for SkewedClock {
    fn now(&self) -> DateTime<Utc> {
        let now = self.right.now();
        now.checked_add_signed(self.off).unwrap_or(now)
    }
}

/// Plays a seed on an actix system of its own, with a paused clock.
///
/// # Errors
/// When no runtime can be made.
pub fn run(seed: u64, options: Options) -> std::io::Result<Outcome> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let system = actix::System::with_tokio_rt(move || tokio);
    Ok(system.block_on(async move { Play::new(seed, options).play_out().await }))
}

/// What happens at a given time.
enum Cue {
    Written(usize),
    Fault(usize),
    Round,
}

struct Play {
    seed: u64,
    book: Arc<Book>,
    weather: Arc<Weather>,
    staff: Staff,
    faults: Vec<Fault>,
    begun: Instant,
    /// Faults and orders that are under way.
    tasks: RefCell<Vec<JoinHandle<()>>>,
    /// The person who puts things right does one thing after the other.
    busy: Rc<Cell<bool>>,
    rounds: RefCell<Option<JoinHandle<()>>>,
}

impl Play {
    fn new(seed: u64, options: Options) -> Self {
        let begun = Instant::now();
        let plan = Arc::new(Plan::draw(seed, options.profile, options.nodes));
        let faults = fault::draw(seed, &plan);
        let book = Arc::new(Book::new(Arc::clone(&plan)));
        let (store, right) = (MemoryStore::default(), Arc::new(VirtualClock::default()));
        plan.accounts.iter().for_each(|account| store.add_account(known(account, options.sabotage)));
        plan.pairs.iter().for_each(|pair| store.add_pair(pair.clone()));
        let clocks: Vec<Arc<dyn Clock>> = plan
            .skews
            .iter()
            .map(|off| -> Arc<dyn Clock> { Arc::new(SkewedClock { right: Arc::clone(&right), off: *off }) })
            .collect();
        let view = |(index, clock): (usize, &Arc<dyn Clock>)| {
            View::new(store.on_node(node_id(index), Arc::clone(clock)), Arc::clone(clock))
        };
        let views = clocks.iter().enumerate().map(view).collect();
        let platform = platform(&plan, options.sabotage);
        let weather =
            Arc::new(Weather::new(seed, Arc::clone(&book), views, platform.clone(), options.sabotage));
        platform.set_wire(Some(weather.clone()));
        let node = |(index, clock): (usize, &Arc<dyn Clock>)| {
            Node::new(index, seed, Arc::clone(&weather), Arc::clone(clock))
        };
        let nodes = Rc::new(clocks.iter().enumerate().map(node).collect());
        let staff = Staff { weather: Arc::clone(&weather), nodes };
        Self {
            seed,
            book,
            weather,
            staff,
            faults,
            begun,
            tasks: RefCell::default(),
            busy: Rc::default(),
            rounds: RefCell::default(),
        }
    }

    fn plan(&self) -> &Plan {
        &self.book.plan
    }

    fn nodes(&self) -> &[Node] {
        &self.staff.nodes
    }

    fn is_broken(&self) -> bool {
        self.book.broken().is_some()
    }

    async fn play_out(self) -> Outcome {
        self.introduce();
        self.nodes().iter().for_each(Node::start);
        self.trouble().await;
        if !self.is_broken() {
            self.calm().await;
        }
        if !self.is_broken() {
            self.farewell().await;
        }
        self.tasks.borrow().iter().for_each(JoinHandle::abort);
        self.rounds.borrow().iter().for_each(JoinHandle::abort);
        self.nodes().iter().for_each(Node::kill);
        self.weather.platform.set_wire(None);
        Outcome {
            seed: self.seed,
            profile: self.plan().profile,
            nodes: self.plan().nodes,
            broken: self.book.broken(),
            log: self.book.log.text(),
            counts: self.book.counts(),
            lasted: self.begun.elapsed(),
        }
    }

    fn introduce(&self) {
        let plan = self.plan();
        let note = |text: String| self.book.log.note(&text);
        note(format!(
            "seed {}: {:?}, {} nodes, calm at {:?}",
            self.seed, plan.profile, plan.nodes, plan.calm_at
        ));
        if self.weather.sabotage == Some(Sabotage::OutsideRandomness) {
            note(format!("{}", uuid::Uuid::from_u64_pair(std::process::id().into(), outside())));
        }
        for account in &plan.accounts {
            note(format!("{} is a {} of user {}", account.id, account.kind.as_str(), account.user));
        }
        for pair in &plan.pairs {
            let (from, to) = (pair.source.chat, pair.target.chat);
            note(format!("{}: {} {from} -> {} {to}", pair.id, pair.source_account, pair.target_account));
        }
    }

    /// Everything that was drawn happens at its time.
    async fn trouble(&self) {
        let plan = self.plan();
        let mut cues: Vec<(Duration, Cue)> = Vec::new();
        cues.extend(plan.writings.iter().zip(0..).map(|(writing, n)| (writing.at, Cue::Written(n))));
        cues.extend(self.faults.iter().zip(0..).map(|(fault, n)| (fault.at, Cue::Fault(n))));
        let rounds = plan.calm_at.as_secs() / ROUND.as_secs();
        cues.extend((1..=rounds).map(|n| (ROUND * u32::try_from(n).unwrap_or(u32::MAX), Cue::Round)));
        cues.retain(|(at, _)| *at <= plan.calm_at);
        cues.sort_by_key(|(at, _)| *at);
        for (at, cue) in cues {
            tokio::time::sleep_until(self.begun + at).await;
            if self.is_broken() {
                return;
            }
            match cue {
                Cue::Written(n) => plan.writings.get(n).into_iter().for_each(|writing| self.write(writing)),
                Cue::Fault(n) => self.faults.get(n).into_iter().for_each(|fault| self.strike(fault)),
                Cue::Round => self.round(),
            }
        }
        tokio::time::sleep_until(self.begun + plan.calm_at).await;
    }

    fn write(&self, writing: &Writing) {
        let Writing { place, id, kind, version, text, .. } = writing;
        self.book.log.note(&format!("{} {} {id} v{version}: {text}", place.chat, kind.as_str()));
        let now = self.weather.views.first().map_or(DateTime::<Utc>::UNIX_EPOCH, |view| view.clock.now());
        self.weather.platform.write(writing.reader, writing.event(now));
    }

    /// Looks for what is late or too much, and for what waits for a person.
    fn round(&self) {
        self.book.look_for_the_late();
        self.check_bounds();
        if self.busy.replace(true) {
            return;
        }
        let (staff, weather, busy) = (self.staff.clone(), Arc::clone(&self.weather), Rc::clone(&self.busy));
        let right = async move {
            staff.put_right(|account| weather.is_logged_out(account)).await;
            busy.set(false);
        };
        *self.rounds.borrow_mut() = Some(actix_rt::spawn(right));
    }

    fn under_way(&self, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        tasks.retain(|task| !task.is_finished());
        tasks.push(actix_rt::spawn(task));
    }

    fn check_bounds(&self) {
        let lookahead = u64::from(self.plan().config.lane_lookahead);
        let alerts = u64::try_from(self.plan().config.alert_backlog).unwrap_or(u64::MAX);
        for (node, view) in
            self.nodes().iter().flat_map(|node| node.children().into_iter().map(|view| (node.index, view)))
        {
            let number =
                |name: &str| view.observable.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
            let most = number("lanes").saturating_mul(lookahead);
            let too_much = match view.kind.as_str() {
                "queue" => number("in_memory") > most || number("trying") > number("lanes"),
                "notifier" => number("waiting") > alerts,
                _ => false,
            };
            if too_much {
                let how = format!("{} on node {node} holds more than it may: {}", view.path, view.observable);
                self.book.breaks(Promise::Bounds, &how);
            }
        }
    }
}

/// Something that no seed decides.
fn outside() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

/// An account as the store knows it.
fn known(account: &Account, sabotage: Option<Sabotage>) -> Account {
    let mut known = account.clone();
    if sabotage == Some(Sabotage::LimitsAreUnknown) {
        known.profile = "sandbox".to_owned();
    }
    known
}

fn platform(plan: &Plan, sabotage: Option<Sabotage>) -> FakePlatform {
    let platform = FakePlatform::default();
    platform.set_steerable(plan.steerable);
    platform.set_key_life(KEY_LIFE);
    let keyless = |kind| kind == AccountKind::DiscordWebhook;
    for account in plan.accounts.iter().filter(|account| keyless(account.kind)) {
        platform.take_no_keys(account.id);
    }
    if sabotage == Some(Sabotage::KeysAreForgotten) {
        platform.forget_keys();
    }
    platform
}

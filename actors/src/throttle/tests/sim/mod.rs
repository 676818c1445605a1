//! A client under the limiter, a network, and a server that counts: all in virtual time, all from one seed.

mod network;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use self::network::Network;
use super::super::server::Server;
use super::super::{Answer, Class, Done, GrantId, Lane, Limiter, LimiterState, Profile, TicketId};
use crate::ports::RateLimitHint;

pub(super) use self::network::Chance;

const MS: Duration = Duration::from_millis(1);
/// After this long without an answer the client gives up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is sent and what is against it.
pub(super) struct Load {
    pub(super) profile: Profile,
    /// Lanes that always have something to send.
    pub(super) backlogged: Vec<Lane>,
    /// How many reservations each of them keeps.
    pub(super) depth: usize,
    /// Cost and class of the next message.
    pub(super) next: fn(&mut Chance) -> (u32, Class),
    /// A lane that sends one live message every 7.3 s.
    pub(super) lone: Option<Lane>,
    pub(super) stalls: bool,
    /// How often the client is killed and started again.
    pub(super) kill_every: Option<Duration>,
    /// One answer in so many is lost; 0 for none.
    pub(super) lose_one_in: u64,
    /// The server answers with rate-limit headers of the first budget of the chat.
    pub(super) headers: bool,
    /// The run ends after so many sends, or at that time.
    pub(super) sends: usize,
    pub(super) until: Duration,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) sends: usize,
    pub(super) elapsed: Duration,
    /// Requests that were one too many for a kind of server.
    pub(super) violations: u32,
    pub(super) by_lane: BTreeMap<Lane, u32>,
    /// Longest time between two grants of a backlogged lane.
    pub(super) longest_gap: Duration,
    /// From reservation to grant of the lone messages, sorted.
    pub(super) lone_waits: Vec<Duration>,
    pub(super) examined: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival { grant: GrantId, life: u32 },
    Answer { grant: GrantId, life: u32, lost: bool },
    Poll,
    Lone,
    Kill,
    Restart,
}

#[derive(Clone, Copy)]
struct Flight {
    lane: Lane,
    cost: u32,
    sent_at: Duration,
}

struct Sim {
    load: Load,
    now: Duration,
    limiter: Limiter,
    saved: LimiterState,
    life: u32,
    down: bool,
    chance: Chance,
    network: Network,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    numbered: u64,
    planned_poll: Option<Duration>,
    tickets: HashMap<TicketId, (Lane, u32, Duration)>,
    flights: HashMap<(GrantId, u32), Flight>,
    last_grant: HashMap<Lane, Duration>,
    server: Server,
    window_starts: HashMap<i64, (Duration, u32)>,
    outcome: Outcome,
}

/// Runs a load to its end.
pub(super) fn run(load: Load) -> Outcome {
    let mut sim = Sim {
        now: Duration::ZERO,
        limiter: Limiter::new(load.profile.clone(), load.seed),
        saved: LimiterState::default(),
        life: 0,
        down: false,
        chance: Chance::new(load.seed ^ 0xc0ffee),
        network: Network::new(load.seed ^ 0xbeef, load.stalls),
        events: BinaryHeap::new(),
        numbered: 0,
        planned_poll: None,
        tickets: HashMap::new(),
        flights: HashMap::new(),
        last_grant: HashMap::new(),
        server: Server::new(load.profile.clone()),
        window_starts: HashMap::new(),
        outcome: Outcome::default(),
        load,
    };
    sim.start();
    while sim.outcome.sends < sim.load.sends && sim.now < sim.load.until {
        let Reverse((at, _, event)) = sim.events.pop().expect("a backlogged client never rests");
        sim.now = at;
        sim.happens(event);
    }
    sim.outcome.elapsed = sim.now;
    sim.outcome.lone_waits.sort_unstable();
    sim.outcome.examined = sim.limiter.view(sim.now).examined;
    sim.outcome
}

impl Sim {
    fn start(&mut self) {
        self.reserve_backlog();
        if self.load.lone.is_some() {
            self.plan(self.now + MS * 7_300, Event::Lone);
        }
        if let Some(every) = self.load.kill_every {
            self.plan(self.now + every, Event::Kill);
        }
        self.poll();
    }

    fn plan(&mut self, at: Duration, event: Event) {
        self.numbered += 1;
        self.events.push(Reverse((at, self.numbered, event)));
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrival { grant, life } => self.arrives(grant, life),
            Event::Answer { grant, life, lost } if life == self.life && !self.down => {
                self.answered(grant, lost);
                self.poll();
            }
            Event::Answer { .. } => {}
            Event::Poll => {
                self.planned_poll = self.planned_poll.filter(|at| *at > self.now);
                self.poll();
            }
            Event::Lone => {
                let lane = self.load.lone.unwrap();
                self.reserve(lane, 1, Class::Live);
                self.plan(self.now + MS * 7_300, Event::Lone);
                self.poll();
            }
            Event::Kill => {
                self.down = true;
                self.plan(self.now + MS * 300, Event::Restart);
                self.plan(self.now + self.load.kill_every.unwrap(), Event::Kill);
            }
            Event::Restart => self.restart(),
        }
    }

    fn restart(&mut self) {
        (self.down, self.life) = (false, self.life + 1);
        let (profile, seed) = (self.load.profile.clone(), self.load.seed + u64::from(self.life));
        // The clock that names the time starts anew, as in a new process.
        self.limiter = Limiter::restore(profile, seed, self.now, self.wall(), self.saved.clone());
        self.tickets.clear();
        self.reserve_backlog();
        self.poll();
    }

    fn wall(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.now.as_millis()).unwrap()
    }

    fn reserve_backlog(&mut self) {
        for lane in self.load.backlogged.clone() {
            for _ in 0..self.load.depth {
                let (cost, class) = (self.load.next)(&mut self.chance);
                self.reserve(lane, cost, class);
            }
        }
    }

    fn reserve(&mut self, lane: Lane, cost: u32, class: Class) {
        if !self.down {
            let ticket = self.limiter.reserve(self.now, lane, cost, class);
            self.tickets.insert(ticket, (lane, cost, self.now));
        }
    }

    fn poll(&mut self) {
        if self.down {
            return;
        }
        if self.load.kill_every.is_some() && self.limiter.must_persist() {
            self.saved = self.limiter.export(self.now, self.wall());
        }
        let polled = self.limiter.poll(self.now);
        for (ticket, grant) in polled.granted {
            let (lane, cost, since) = self.tickets.remove(&ticket).unwrap();
            self.sent(lane, since);
            self.flights.insert((grant, self.life), Flight { lane, cost, sent_at: self.now });
            let at = self.network.arrival(self.now);
            self.plan(at, Event::Arrival { grant, life: self.life });
        }
        let Some(wake) = polled.wake_at else { return };
        // A timer is late by up to 2 ms; what is due at once is not left to one.
        let late = if wake > self.now { self.chance.up_to(MS * 2) } else { Duration::ZERO };
        let at = wake.max(self.now) + late;
        if self.planned_poll.is_none_or(|planned| planned > at) {
            self.planned_poll = Some(at);
            self.plan(at, Event::Poll);
        }
    }

    fn sent(&mut self, lane: Lane, since: Duration) {
        self.outcome.sends += 1;
        if self.load.lone == Some(lane) {
            self.outcome.lone_waits.push(self.now - since);
            return;
        }
        *self.outcome.by_lane.entry(lane).or_default() += 1;
        let last = self.last_grant.insert(lane, self.now).unwrap_or_default();
        self.outcome.longest_gap = self.outcome.longest_gap.max(self.now - last);
    }

    fn arrives(&mut self, grant: GrantId, life: u32) {
        let flight = self.flights[&(grant, life)];
        let tallies = self.server.count(self.now, flight.lane, flight.cost);
        self.outcome.violations += tallies.iter().map(|tally| tally.over).sum::<u32>();
        let lost = self.load.lose_one_in > 0 && self.chance.below(self.load.lose_one_in) == 0;
        let at = if lost { flight.sent_at + TIMEOUT } else { self.network.arrival(self.now) };
        self.plan(at, Event::Answer { grant, life, lost });
    }

    fn answered(&mut self, grant: GrantId, lost: bool) {
        let flight = self.flights.remove(&(grant, self.life)).unwrap();
        let answer = if lost { Answer::GaveUp } else { Answer::Answered { rtt: self.now - flight.sent_at } };
        let hint = (self.load.headers && !lost).then(|| self.headers(flight.lane));
        self.limiter.done(self.now, grant, Done { answer, hint, hold: None });
        if self.load.lone != Some(flight.lane) {
            let (cost, class) = (self.load.next)(&mut self.chance);
            self.reserve(flight.lane, cost, class);
        }
    }

    /// What a server with windows from the first request writes into its answers.
    fn headers(&mut self, lane: Lane) -> RateLimitHint {
        let key = self.load.profile.chat_of(lane);
        let budget = self.load.profile.chat_budgets(key).next().unwrap();
        let (start, used) = self.window_starts.entry(key.0).or_insert((self.now, 0));
        if self.now >= *start + budget.window {
            (*start, *used) = (self.now, 0);
        }
        *used += 1;
        let reset_after = (*start + budget.window).saturating_sub(self.now);
        RateLimitHint { limit: budget.limit, remaining: budget.limit.saturating_sub(*used), reset_after }
    }
}

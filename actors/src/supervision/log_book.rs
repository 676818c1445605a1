//! One log line for each restart, parking, un-parking and escalation; of those that are alike only the first in a window,
//! and how many more there were.
//!
//! Two events are alike when the same thing happened to children of the same kind for a failure in the same phase at the
//! same place in the source; a branch is one of a kind, so its path tells it from others. What is not logged in full is in
//! the counters and goes to the sink all the same.

use std::{
    borrow::Cow,
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::{debug, error, info, warn};

use super::{
    event::{Happening, SupervisionEvent},
    failure::{Failure, Phase},
    node::{Node, lock},
    panics::Caught,
    path::ChildPath,
    world::World,
};

/// What makes events alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Signature {
    event: &'static str,
    why: Option<&'static str>,
    kind: &'static str,
    branch: Option<ChildPath>,
    phase: Option<Phase>,
    location: Option<String>,
    /// Where there is no place: the text, without what tells one child's from another's.
    text: Option<String>,
}

impl Signature {
    /// What is alike when there are more signatures in a window than are told apart.
    const OTHERS: Self = Self {
        event: "other",
        why: None,
        kind: "any",
        branch: None,
        phase: None,
        location: None,
        text: None,
    };

    fn new(
        (event, why): (&'static str, Option<&'static str>),
        node: &Node,
        failure: Option<&Failure>,
        text: Option<&str>,
    ) -> Self {
        Self {
            event,
            why,
            kind: node.kind(),
            branch: node.is_branch().then(|| node.path.clone()),
            phase: failure.map(|failure| failure.phase),
            location: failure.and_then(|failure| failure.location.clone()),
            text: text.map(words),
        }
    }
}

/// What tells an event that has no place in the source from others.
fn unplaced<'a>(what: &'a Happening, failure: Option<&'a Failure>) -> Option<&'a str> {
    match (failure, what) {
        (Some(failure), _) => failure.location.is_none().then_some(failure.text.as_str()),
        (None, Happening::Parked { reason, .. }) => Some(reason),
        (None, _) => None,
    }
}

/// A text without the words that have a digit: ids, numbers, times.
fn words(text: &str) -> String {
    let word = |word: &str| {
        if word.contains(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() }
    };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// The window of a signature, which began with a line in full.
#[derive(Debug)]
struct Window {
    until: Duration,
    more: u64,
    last: ChildPath,
}

#[derive(Debug, Default)]
struct Open {
    windows: HashMap<Signature, Window>,
    /// Somebody waits to tell what was only counted.
    awaited: bool,
}

/// What becomes of an event's line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Full,
    /// Counted only. `true`: nobody waits for the end of the window yet.
    Counted(bool),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LogBook {
    window: Option<Duration>,
    signatures_max: NonZeroUsize,
    open: Mutex<Open>,
    withheld: AtomicU64,
}

impl LogBook {
    pub(crate) fn new(window: Option<Duration>, signatures_max: NonZeroUsize) -> Self {
        Self { window, signatures_max, open: Mutex::default(), withheld: AtomicU64::new(0) }
    }

    /// Lines that were counted and not written.
    pub(crate) fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }

    /// Writes or counts the line of an event.
    pub(crate) fn write(&self, event: &SupervisionEvent, node: &Node) {
        let Some((name, why)) = name(&event.what) else { return quiet(event) };
        let failure = failure_of(event, node);
        let failure = failure.as_deref();
        let line = match self.window {
            None => Line::Full,
            Some(window) => {
                let text = unplaced(&event.what, failure);
                let signature = Signature::new((name, why), node, failure, text);
                self.admit(signature, window, &event.path, node.world.now())
            }
        };
        match line {
            Line::Full => full(event, failure),
            Line::Counted(true) => self.wait_for_the_end(&node.world),
            Line::Counted(false) => {}
        }
    }

    /// The sink panicked over an event.
    pub(crate) fn sink_panicked(&self, caught: &Caught, node: &Node) {
        let location = caught.location.clone();
        let signature = Signature {
            event: "sink_panic",
            kind: "sink",
            location,
            ..Signature::new(("", None), node, None, None)
        };
        let signature = Signature { branch: None, ..signature };
        let admit = |window| self.admit(signature, window, &node.path, node.world.now());
        match self.window.map_or(Line::Full, admit) {
            Line::Full => {
                let Caught { text, location } = caught;
                error!(
                    event = "sink_panic",
                    path = node.path.as_str(),
                    text,
                    location,
                    "supervision sink panicked"
                );
            }
            Line::Counted(true) => self.wait_for_the_end(&node.world),
            Line::Counted(false) => {}
        }
    }

    fn admit(&self, signature: Signature, length: Duration, path: &ChildPath, now: Duration) -> Line {
        let (line, told) = {
            let mut open = lock(&self.open);
            let mut told = open.end_of(&signature, now).into_iter().collect::<Vec<_>>();
            let signature = if open.has_room_for(&signature, self.signatures_max) {
                signature
            } else {
                told.extend(open.ended(now));
                if open.has_room_for(&signature, self.signatures_max) { signature } else { Signature::OTHERS }
            };
            let awaited = open.awaited;
            let line = match open.windows.get_mut(&signature) {
                Some(window) => {
                    window.more = window.more.saturating_add(1);
                    self.withheld.fetch_add(1, Ordering::Relaxed);
                    window.last = path.clone();
                    Line::Counted(!awaited)
                }
                None => {
                    let until = now.saturating_add(length);
                    open.windows.insert(signature, Window { until, more: 0, last: path.clone() });
                    Line::Full
                }
            };
            open.awaited |= line == Line::Counted(true);
            (line, told)
        };
        self.tell(&told);
        line
    }

    /// Tells what was counted in windows that are over. Answers when the next one is, if there will be something to tell.
    fn tell_ended(&self, now: Duration) -> Option<Duration> {
        let (told, next) = {
            let mut open = lock(&self.open);
            let told = open.ended(now);
            let next =
                open.windows.values().filter(|window| window.more > 0).map(|window| window.until).min();
            open.awaited = next.is_some();
            (told, next)
        };
        self.tell(&told);
        next
    }

    /// Tells everything that was only counted: nothing comes after.
    pub(crate) fn close(&self) {
        let told: Vec<_> = {
            let mut open = lock(&self.open);
            open.windows.drain().filter(|(_, window)| window.more > 0).collect()
        };
        self.tell(&told);
    }

    fn tell(&self, told: &[(Signature, Window)]) {
        let window_s = self.window.map_or(0, |window| window.as_secs());
        for (signature, Window { more, last, .. }) in told {
            let Signature { event, why, kind, phase, location, text, .. } = signature;
            let (phase, location) = (phase.map(Phase::as_str), location.as_deref());
            let (failure, last, more) = (text.as_deref(), last.as_str(), *more);
            warn!(
                event,
                why, kind, phase, location, failure, more, last, window_s, "and {more} more like it"
            );
        }
    }

    fn wait_for_the_end(&self, world: &Arc<World>) {
        let weak = Arc::downgrade(world);
        let waits = world.shards.run(0, move || drop(actix_rt::spawn(tell_at_the_end(weak))));
        if !waits {
            lock(&self.open).awaited = false;
        }
    }
}

impl Open {
    /// Ends the window of a signature if it is over. Answers with it if there is something to tell.
    fn end_of(&mut self, signature: &Signature, now: Duration) -> Option<(Signature, Window)> {
        self.windows.get(signature).filter(|window| window.until <= now)?;
        self.windows.remove_entry(signature).filter(|(_, window)| window.more > 0)
    }

    /// Ends all windows that are over. Answers with those that have something to tell, in order.
    fn ended(&mut self, now: Duration) -> Vec<(Signature, Window)> {
        let ended = self.windows.extract_if(|_, window| window.until <= now);
        let mut told: Vec<_> = ended.filter(|(_, window)| window.more > 0).collect();
        told.sort_by(|(_, a), (_, b)| (a.until, &a.last).cmp(&(b.until, &b.last)));
        told
    }

    fn has_room_for(&self, signature: &Signature, most: NonZeroUsize) -> bool {
        self.windows.contains_key(signature) || self.windows.len() < most.get()
    }
}

async fn tell_at_the_end(world: Weak<World>) {
    loop {
        let next = world.upgrade().and_then(|world| {
            let next = world.log_book.tell_ended(world.now())?;
            Some(world.instant(next))
        });
        let Some(next) = next else { return };
        tokio::time::sleep_until(next).await;
    }
}

/// What an event is called and the word for its cause; none for what is no trouble.
const fn name(what: &Happening) -> Option<(&'static str, Option<&'static str>)> {
    match what {
        Happening::Restarting { .. } => Some(("restart", None)),
        Happening::Parked { cause, .. } => Some(("park", Some(cause.as_str()))),
        Happening::Unparked { by } => Some(("unpark", Some(by.as_str()))),
        Happening::Escalated { .. } => Some(("escalation", None)),
        Happening::Stopped { clean: false } => Some(("unclean_stop", None)),
        Happening::Contained { .. } => Some(("contained", None)),
        Happening::Storm { .. } => Some(("storm", None)),
        Happening::StormOver => Some(("storm_over", None)),
        Happening::Stalled { .. } => Some(("stall", None)),
        Happening::StallOver { .. } => Some(("stall_over", None)),
        Happening::Started { .. } | Happening::Stopped { clean: true } => None,
    }
}

/// The failure behind an event.
fn failure_of<'a>(event: &'a SupervisionEvent, node: &Node) -> Option<Cow<'a, Failure>> {
    match &event.what {
        Happening::Restarting { failure, .. } => failure.as_ref().map(Cow::Borrowed),
        Happening::Contained { failure } => Some(Cow::Borrowed(failure)),
        // A child may be parked for something else than its latest failure.
        Happening::Parked { reason, .. } => {
            let failure = node.last_failure();
            let told = failure.filter(|failure| failure.text == *reason || failure.to_string() == *reason);
            told.map(Cow::Owned)
        }
        _ => None,
    }
}

fn quiet(event: &SupervisionEvent) {
    let (path, kind) = (event.path.as_str(), &*event.kind);
    match event.what {
        Happening::Started { epoch } => debug!(path, kind, epoch, "child is up"),
        _ => debug!(path, kind, "child stopped"),
    }
}

/// Milliseconds, for a field of a line.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn full(event: &SupervisionEvent, failure: Option<&Failure>) {
    let (path, kind) = (event.path.as_str(), &*event.kind);
    let phase = failure.map(|failure| failure.phase.as_str());
    let handling = failure.and_then(|failure| failure.message.as_deref());
    let location = failure.and_then(|failure| failure.location.as_deref());
    let text = failure.map(|failure| failure.text.as_str());
    match &event.what {
        Happening::Restarting { delay, restarts_in_window, .. } => {
            let delay_ms = millis(*delay);
            warn!(
                event = "restart",
                path,
                kind,
                phase,
                handling,
                location,
                failure = text,
                delay_ms,
                restarts_in_window,
                "child waits for its backoff, then starts again"
            );
        }
        Happening::Parked { cause, reason, probe_in } => {
            let (why, probe_in_ms) = (cause.as_str(), probe_in.map(millis));
            warn!(
                event = "park",
                path,
                kind,
                why,
                phase,
                handling,
                location,
                reason,
                probe_in_ms,
                "child is parked: it refuses messages until an admin or a probe starts it"
            );
        }
        Happening::Unparked { by } => {
            info!(event = "unpark", path, kind, why = by.as_str(), "parked child is started again");
        }
        Happening::Escalated { chain } => {
            error!(event = "escalation", path, kind, chain, "branch gives up: too many restarts in it");
        }
        Happening::Contained { .. } => warn!(
            event = "contained",
            path,
            kind,
            phase,
            handling,
            location,
            failure = text,
            "failure changes nothing by itself"
        ),
        _ => weather(event),
    }
}

/// What is said of a whole branch or a whole thread, and of an unclean end.
fn weather(event: &SupervisionEvent) {
    let (path, kind) = (event.path.as_str(), &*event.kind);
    match &event.what {
        Happening::Storm { restarts_in_window } => warn!(
            event = "storm",
            path, kind, restarts_in_window, "too many children of a branch fail: it starts them slower"
        ),
        Happening::StormOver => info!(event = "storm_over", path, kind, "branch is over its storm"),
        Happening::Stalled { shard, blocked_for } => {
            let blocked_ms = millis(*blocked_for);
            error!(
                event = "stall",
                path, kind, shard, blocked_ms, "child blocks its thread: everything on it waits"
            );
        }
        Happening::StallOver { shard } => {
            info!(event = "stall_over", path, kind, shard, "child gave its thread back");
        }
        _ => {
            warn!(event = "unclean_stop", path, kind, "child stopped with work left");
        }
    }
}

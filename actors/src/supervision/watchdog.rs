//! Watches from a thread of its own whether children give their threads back.
//!
//! A handler that does not await cannot be interrupted: its whole shard waits for it. All that can be done is to say
//! which child it is, and to turn health red.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Weak, mpsc},
    thread,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    event::Happening,
    node::{Node, lock},
    world::World,
};

/// Looks at each thread so often within the limit.
const LOOKS: u32 = 4;

/// A child that does not give its thread back. Held by its node: it may be taken off the directory, and blocks its thread all the same.
#[derive(Clone, Debug)]
pub(crate) struct Stall {
    pub(crate) node: Arc<Node>,
    pub(crate) shard: u16,
}

/// The watching thread; it ends when this goes.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _alive: mpsc::Sender<()>,
}

/// What was seen of a thread at an earlier look.
struct Seen {
    turn: u64,
    since: Instant,
    told: bool,
}

impl Watchdog {
    /// Begins to watch: a turn that takes longer than `limit` is a stall.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(world: &Arc<World>, limit: Duration) -> io::Result<Self> {
        let (alive, gone) = mpsc::channel::<()>();
        let world = Arc::downgrade(world);
        thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&world, limit, &gone))?;
        Ok(Self { _alive: alive })
    }
}

fn watch(world: &Weak<World>, limit: Duration, gone: &mpsc::Receiver<()>) {
    let mut seen = BTreeMap::new();
    let look = (limit / LOOKS).max(Duration::from_millis(1));
    while gone.recv_timeout(look) == Err(mpsc::RecvTimeoutError::Timeout) {
        let Some(world) = world.upgrade() else { return };
        for shard in 0..u16::try_from(world.shards.count()).unwrap_or(u16::MAX) {
            look_at(&world, shard, limit, &mut seen);
        }
    }
}

fn look_at(world: &World, shard: u16, limit: Duration, seen: &mut BTreeMap<u16, Seen>) {
    let inside = world.shards.pulse(shard).and_then(super::shards::Pulse::now);
    let same = seen.get_mut(&shard).filter(|seen| inside.is_some_and(|(turn, _)| turn == seen.turn));
    let (Some(seen_before), Some((_, child))) = (same, inside) else {
        if seen.remove(&shard).is_some_and(|seen| seen.told) {
            world.stall_over(shard);
        }
        if let Some((turn, _)) = inside {
            seen.insert(shard, Seen { turn, since: Instant::now(), told: false });
        }
        return;
    };
    let blocked_for = seen_before.since.elapsed();
    if blocked_for >= limit && !seen_before.told {
        seen_before.told = true;
        world.stalled(shard, child, blocked_for);
    }
}

impl World {
    fn stalled(&self, shard: u16, child: u64, blocked_for: Duration) {
        let Some(node) = self.by_id(child) else {
            let blocked_ms = u64::try_from(blocked_for.as_millis()).unwrap_or(u64::MAX);
            return tracing::error!(
                shard,
                blocked_ms,
                "an actor that is off the tree already does not give its thread back"
            );
        };
        lock(&self.stalls).push(Stall { node: Arc::clone(&node), shard });
        self.emit(&node, Happening::Stalled { shard, blocked_for });
    }

    fn stall_over(&self, shard: u16) {
        let over: Vec<Stall> = lock(&self.stalls).extract_if(.., |stall| stall.shard == shard).collect();
        for stall in over {
            self.emit(&stall.node, Happening::StallOver { shard });
        }
    }

    /// Children that do not give their threads back now.
    pub(crate) fn stalls(&self) -> Vec<Stall> {
        lock(&self.stalls).clone()
    }
}

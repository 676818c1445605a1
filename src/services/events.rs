//! Streams of domain events: from a number on, without gap or repeat, bounded per caller, ended when the caller may no longer listen.

mod follower;
mod relay;
mod telling;
mod watcher;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use switchyard_actors::model::{DomainEvent, UserId};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use crate::store::Store;

pub use crate::store::EventQuery as EventChoice;

pub use follower::{Follower, FollowerArgs};
pub use relay::{Relay, RelayArgs};
pub use watcher::{Watcher, WatcherArgs};

/// Bounds of the streams. Every field has a key in config.toml, section `events`.
#[derive(Clone, Copy, Debug)]
pub struct EventsConfig {
    /// How often the outbox is read.
    pub poll_interval: Duration,
    /// Events that are read at once.
    pub page: u64,
    /// Events that a listener may be behind before it is cut.
    pub buffer: usize,
    /// Streams that one caller may hold.
    pub streams_per_caller_max: usize,
    /// Time without an event after which a sign of life is sent.
    pub keep_alive: Duration,
    /// How often a caller's right to listen is looked at again.
    pub recheck_interval: Duration,
    /// How long a listener may take nothing before it is given up.
    pub stall_max: Duration,
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The listener was too slow: it goes on by the last number that it has.
    Slow,
    /// The daemon stops.
    Draining,
    /// The caller signed out, or the access token has expired.
    SignedOut,
    /// The caller was suspended or may no longer listen.
    Forbidden,
    /// The store does not answer.
    Unavailable,
}

impl StreamEnd {
    /// The name in the stream.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Draining => "draining",
            Self::SignedOut => "signed_out",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a listener is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The stream begins here.
    Ready {
        /// The newest number.
        newest: i64,
    },
    /// What came after the number asked for is not all there any more: take a snapshot, then go on from here.
    Reset {
        /// The newest number.
        newest: i64,
    },
    /// Something happened.
    Event(Arc<DomainEvent>),
    /// Nothing happened; everything up to this number was looked at.
    Alive {
        /// The number.
        last: i64,
    },
    /// The stream ends.
    End {
        /// Why.
        why: StreamEnd,
        /// From which number on the listener goes on.
        last: i64,
    },
}

/// Whose streams are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// A user.
    User(UserId),
    /// One of the staff, or the operator, by name.
    Staff(String),
}

/// Says whether the caller may still listen, and if not, how the stream ends.
pub type Recheck = Box<dyn Fn() -> BoxFuture<'static, Option<StreamEnd>> + Send + Sync>;

/// A stream that is asked for.
pub struct StreamOrder {
    /// Whose it is.
    pub listener: Listener,
    /// Which events.
    pub choice: EventChoice,
    /// From which number on; from now on without one.
    pub after: Option<i64>,
    /// Whether the caller may still listen.
    pub recheck: Recheck,
}

/// What listens: dropping it ends the stream.
pub type Listening = mpsc::Receiver<Told>;

/// Who begins streams.
pub trait Streams: Send + Sync {
    /// Begins a stream.
    ///
    /// # Errors
    /// [`Fault::TooMany`] when the caller holds as many as it may, [`Fault::Unavailable`] while the daemon stops.
    fn open(&self, order: StreamOrder) -> Result<Listening, Fault>;

    /// Ends every stream; new ones begin as before.
    fn end_all(&self);
}

impl Streams for Arc<Events> {
    fn open(&self, order: StreamOrder) -> Result<Listening, Fault> {
        Events::open(self, order)
    }

    fn end_all(&self) {
        Events::end_all(self);
    }
}

/// What all streams of one daemon share.
pub struct Events {
    store: Store,
    config: EventsConfig,
    live: broadcast::Sender<Arc<DomainEvent>>,
    /// The newest number that was told to the streams.
    newest: AtomicI64,
    listeners: Mutex<HashMap<Listener, usize>>,
    closing: CancellationToken,
    /// Ends the streams of the server that stops, and no others.
    server: Mutex<CancellationToken>,
    runtime: Handle,
}

impl Events {
    /// Without streams. `runtime` carries them.
    #[must_use]
    pub fn new(store: Store, config: EventsConfig, runtime: Handle) -> Arc<Self> {
        let (live, _) = broadcast::channel(config.buffer.max(1));
        Arc::new(Self {
            store,
            config,
            live,
            newest: AtomicI64::new(0),
            listeners: Mutex::default(),
            closing: CancellationToken::new(),
            server: Mutex::default(),
            runtime,
        })
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// [`Fault::TooMany`] when the caller holds as many as it may, [`Fault::Unavailable`] while the daemon stops.
    pub fn open(self: &Arc<Self>, order: StreamOrder) -> Result<Listening, Fault> {
        if self.closing.is_cancelled() {
            return Err(Fault::Unavailable("the daemon is draining".to_owned()));
        }
        let place = Place::take(self, &order.listener)?;
        // A few only: what a listener is behind is counted in the common buffer.
        let (out, listening) = mpsc::channel(8);
        let events = Arc::clone(self);
        self.runtime.spawn(async move {
            telling::tell(&events, order, &out).await;
            drop(place);
        });
        Ok(listening)
    }

    /// Every stream ends; new ones begin as before. For a server that starts anew: it waits for what it serves.
    pub fn end_all(&self) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *server).cancel();
    }

    fn server(&self) -> CancellationToken {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every stream ends, and none begins.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// How many streams are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// The newest number that streams were told.
    #[must_use]
    pub fn newest(&self) -> i64 {
        self.newest.load(Ordering::Acquire)
    }

    fn pass_on(&self, events: Vec<DomainEvent>) {
        for event in events {
            self.newest.store(event.id, Ordering::Release);
            // Without listeners there is nobody to tell.
            let _nobody = self.live.send(Arc::new(event));
        }
    }
}

/// One of a caller's streams.
struct Place {
    events: Arc<Events>,
    listener: Listener,
}

impl Place {
    fn take(events: &Arc<Events>, listener: &Listener) -> Result<Self, Fault> {
        let most = events.config.streams_per_caller_max;
        let mut listeners = events.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let held = listeners.entry(listener.clone()).or_insert(0);
        if *held >= most {
            return Err(Fault::TooMany(format!("{most} streams are open already: close one first")));
        }
        *held += 1;
        Ok(Self { events: Arc::clone(events), listener: listener.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut listeners = self.events.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = listeners.get_mut(&self.listener) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                listeners.remove(&self.listener);
            }
        }
    }
}

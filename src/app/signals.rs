//! The signals that a daemon takes: what they ask for, in order.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
pub(super) enum Asked {
    Stop,
    Reload,
}

/// Listens on the runtime that it was made in; each one that was made hears every signal.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            () = either(&mut self.terminate, &mut self.interrupt) => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Another signal keeps until somebody asks for it.
    pub(super) async fn stop(&mut self) {
        either(&mut self.terminate, &mut self.interrupt).await;
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

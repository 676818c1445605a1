//! The connections of a data centre and the queues of what is to be sent on them.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Names a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(u64);

/// A message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// The serialised object.
    pub(super) body: Vec<u8>,
    /// Whether the client must acknowledge it.
    pub(super) content: bool,
    /// Whether it answers a message of the client.
    pub(super) answers: bool,
}

/// What a connection holds of its place in the hub.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: ConnectionId,
    pub(super) queue: mpsc::Receiver<Outgoing>,
    /// Cancelled when the hub wants the connection cut.
    pub(super) cut: CancellationToken,
}

#[derive(Debug)]
struct Connection {
    key: i64,
    queue: mpsc::Sender<Outgoing>,
    cut: CancellationToken,
    wants_updates: bool,
}

/// All connections that have shown a known key.
#[derive(Debug, Default)]
pub(super) struct Hub {
    last: u64,
    connections: BTreeMap<ConnectionId, Connection>,
    by_key: BTreeMap<i64, BTreeSet<ConnectionId>>,
}

impl Hub {
    /// Seats a connection that uses a key; at most `max_outgoing` messages wait for it.
    pub(super) fn join(&mut self, key: i64, max_outgoing: usize) -> Seat {
        self.last = self.last.wrapping_add(1);
        let id = ConnectionId(self.last);
        let (sender, queue) = mpsc::channel(max_outgoing.max(1));
        let cut = CancellationToken::new();
        let connection = Connection { key, queue: sender, cut: cut.clone(), wants_updates: false };
        self.connections.insert(id, connection);
        self.by_key.entry(key).or_default().insert(id);
        Seat { id, queue, cut }
    }

    /// Forgets a connection that ended.
    pub(super) fn leave(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        if let Some(ids) = self.by_key.get_mut(&connection.key) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_key.remove(&connection.key);
            }
        }
    }

    /// From now on updates are pushed on this connection.
    pub(super) fn subscribe(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.wants_updates = true;
        }
    }

    /// The subscribed connections of a key.
    pub(super) fn subscribers(&self, key: i64) -> impl Iterator<Item = ConnectionId> + '_ {
        let ids = self.by_key.get(&key).into_iter().flatten().copied();
        ids.filter(|id| self.connections.get(id).is_some_and(|connection| connection.wants_updates))
    }

    /// Queues a message. Returns whether it was queued; a client that lets its queue fill up is cut.
    pub(super) fn send(&self, id: ConnectionId, message: Outgoing) -> bool {
        let Some(connection) = self.connections.get(&id) else { return true };
        let queued = connection.queue.try_send(message).is_ok();
        if !queued {
            connection.cut.cancel();
        }
        queued
    }

    /// A way to queue a message later, without holding the hub.
    pub(super) fn sender(&self, id: ConnectionId) -> Option<mpsc::Sender<Outgoing>> {
        self.connections.get(&id).map(|connection| connection.queue.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(byte: u8) -> Outgoing {
        Outgoing { body: vec![byte; 4], content: true, answers: false }
    }

    #[test]
    fn only_subscribed_connections_of_the_key_are_followed() {
        let mut hub = Hub::default();
        let (one, two, other) = (hub.join(5, 4), hub.join(5, 4), hub.join(6, 4));
        hub.subscribe(two.id);
        hub.subscribe(other.id);
        assert_eq!(hub.subscribers(5).collect::<Vec<_>>(), [two.id]);
        hub.leave(two.id);
        hub.leave(one.id);
        assert_eq!(hub.subscribers(5).count(), 0);
    }

    #[test]
    fn a_client_that_does_not_read_is_cut() {
        let mut hub = Hub::default();
        let seat = hub.join(5, 2);
        assert!(hub.send(seat.id, outgoing(1)));
        assert!(hub.send(seat.id, outgoing(2)));
        assert!(!seat.cut.is_cancelled());
        assert!(!hub.send(seat.id, outgoing(3)));
        assert!(seat.cut.is_cancelled());
    }
}

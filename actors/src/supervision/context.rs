//! What a child can do while it runs: futures, timers, declaring its own end.

use std::{future::Future, rc::Rc, sync::Arc, time::Duration};

use actix::{ActorContext, AsyncContext, Context};
use chrono::{DateTime, Utc};
use futures_util::Stream;
use tokio::time::Instant;

use super::{
    child::Child,
    host::{Ending, Host, Link, Request},
    message::Responder,
    node::Node,
    path::ChildPath,
    reference::ChildRef,
    task::{Service, Task, Ticker, Token, Work},
};

/// The context of a running child. Everything started through it belongs to this instance and is dropped with it.
pub struct Cx<'a, C: Child> {
    link: &'a Rc<Link<C>>,
    host: &'a mut Context<Host<C>>,
}

impl<'a, C: Child> Cx<'a, C> {
    pub(crate) const fn new(link: &'a Rc<Link<C>>, host: &'a mut Context<Host<C>>) -> Self {
        Self { link, host }
    }

    /// Runs a future beside the mailbox and then `then` with its output. It is work in flight: a drain waits for it and
    /// the stuck limit judges it, whatever else the child does meanwhile.
    pub fn spawn<F, K>(&mut self, future: F, then: K) -> Token
    where
        F: Future + 'static,
        K: FnOnce(&mut C, F::Output, &mut Cx<'_, C>) + 'static,
    {
        let (task, token) = Task::new(self.link, Work::InFlight, future, then);
        self.host.spawn(task);
        token
    }

    /// As [`spawn`](Self::spawn), but the child handles no message, timer or other future until it is done.
    pub fn wait<F, K>(&mut self, future: F, then: K) -> Token
    where
        F: Future + 'static,
        K: FnOnce(&mut C, F::Output, &mut Cx<'_, C>) + 'static,
    {
        let (task, token) = Task::new(self.link, Work::InFlight, future, then);
        self.host.wait(task);
        token
    }

    /// As [`spawn`](Self::spawn), for a future that lives as long as the child does: no drain waits for it, and it is
    /// not judged unless the child keeps a [`vigil`](Self::vigil).
    pub fn serve<F, K>(&mut self, future: F, then: K) -> Token
    where
        F: Future + 'static,
        K: FnOnce(&mut C, F::Output, &mut Cx<'_, C>) + 'static,
    {
        let (task, token) = Task::new(self.link, Work::Service, future, then);
        self.host.spawn(task);
        token
    }

    /// Calls `each` with every item of a stream, and `end` once it is over. A service like [`serve`](Self::serve).
    pub fn stream<S, K, E>(&mut self, stream: S, each: K, end: E) -> Token
    where
        S: Stream + 'static,
        K: FnMut(&mut C, S::Item, &mut Cx<'_, C>) + 'static,
        E: FnOnce(&mut C, &mut Cx<'_, C>) + 'static,
    {
        let (service, token) = Service::new(self.link, stream, each, end);
        self.host.spawn(service);
        token
    }

    /// Answers an ask with the output of a future.
    pub fn reply_with<F>(&mut self, responder: Responder<F::Output>, future: F) -> Token
    where
        F: Future + 'static,
    {
        self.spawn(future, move |_, reply, _| responder.reply(reply))
    }

    /// Calls `then` once, after `delay`.
    pub fn after<K>(&mut self, delay: Duration, then: K) -> Token
    where
        K: FnOnce(&mut C, &mut Cx<'_, C>) + 'static,
    {
        let (task, token) = Task::new(
            self.link,
            Work::Timer,
            tokio::time::sleep(delay),
            |state: &mut C, (), cx: &mut Cx<'_, C>| then(state, cx),
        );
        self.host.spawn(task);
        token
    }

    /// Calls `each` every `period` (at least 1 ms), first after one period; ticks that were missed are not made up for.
    pub fn every<K>(&mut self, period: Duration, each: K) -> Token
    where
        K: FnMut(&mut C, &mut Cx<'_, C>) + 'static,
    {
        let (ticker, token) = Ticker::new(self.link, period, each);
        self.host.spawn(ticker);
        token
    }

    /// Declares this instance failed: what follows is what follows a panic. Nothing more is handled by it.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.request(Request::Fail(reason.into()));
    }

    /// Ends this instance normally. Nothing more is handled by it.
    pub fn stop(&mut self) {
        self.request(Request::Stop);
    }

    /// Asks to be parked at once, without counting as a failure: nothing but an admin starts it again.
    pub fn park(&mut self, reason: impl Into<String>) {
        self.request(Request::Park(reason.into()));
    }

    fn request(&mut self, request: Request) {
        // The first one counts; after it this instance is over.
        self.link.request(request);
        self.host.terminate();
    }

    /// Says that all work in flight goes on; see `Policy::stuck_after`. Messages and timers say nothing of it.
    pub fn progress(&self) {
        self.link.beat();
    }

    /// A handle with which a future says so from inside, of itself alone.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        Heartbeat(Arc::clone(self.link.node()))
    }

    /// While on, the child is judged by its progress even when nothing is in flight: it must report some, or handle
    /// anything but a timer, within `Policy::stuck_after`.
    pub fn vigil(&self, on: bool) {
        self.link.vigil.set(on.then(|| self.link.stamp()));
    }

    /// Where this child stands.
    #[must_use]
    pub fn path(&self) -> &ChildPath {
        self.link.me.path()
    }

    /// Number of this start, from 1.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.link.node().epoch()
    }

    /// A handle to this child.
    #[must_use]
    pub fn me(&self) -> ChildRef<C> {
        self.link.me.clone()
    }

    /// Messages in the mailbox, the one in hand included.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.link.node().depth()
    }

    /// The injected wall clock.
    #[must_use]
    pub fn wall(&self) -> DateTime<Utc> {
        self.link.node().world.wall()
    }

    /// While the instance is being ended: how, and until when.
    #[must_use]
    pub fn ending(&self) -> Option<(Ending, Option<Instant>)> {
        self.link.ending()
    }
}

/// Reports progress: from inside a future that of this future, from anywhere else, such as another thread, that of all work
/// in flight.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Node>);

impl Heartbeat {
    /// Work in flight goes on.
    pub fn beat(&self) {
        self.0.beat();
    }
}

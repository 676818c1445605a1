//! Futures, streams and timers that run inside a child's context and die with its instance.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Poll, Waker},
    time::Duration,
};

use actix::{Context, fut::ActorFuture};
use futures_util::{
    Stream,
    future::LocalBoxFuture,
    stream::{LocalBoxStream, StreamExt},
};
use tokio::time::{Interval, MissedTickBehavior};

use super::{
    child::Child,
    contained::Contained,
    context::Cx,
    failure::Phase,
    host::{Host, Link},
    world::Stamp,
};

/// Items of one stream handled before its neighbours get a turn.
const STREAM_BUDGET: u32 = 32;

#[derive(Debug, Default)]
struct Flag {
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Cancels a future, stream or timer; dropping it cancels nothing. A token of an earlier instance does nothing.
#[derive(Clone, Debug)]
pub struct Token(Rc<Flag>);

impl Token {
    /// Drops the work; its continuation is never called.
    pub fn cancel(&self) {
        self.0.over.set(true);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// True once it ran to its end or was cancelled.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.over.get() || Rc::strong_count(&self.0) == 1
    }
}

impl Flag {
    fn cancelled(&self, task: &TaskContext<'_>) -> bool {
        if self.over.get() {
            return true;
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(task.waker())) {
            *waker = Some(task.waker().clone());
        }
        false
    }
}

/// What a piece of work counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Waited for by a drain, judged by the stuck limit.
    InFlight,
    /// Lives as long as the child.
    Service,
    /// A pending timer.
    Timer,
}

/// A future with its continuation.
pub(crate) struct Task<C: Child, T, K> {
    link: Rc<Link<C>>,
    flag: Rc<Flag>,
    phase: Phase,
    future: Contained<LocalBoxFuture<'static, T>>,
    then: Contained<K>,
    /// Of work in flight: when it last made progress. It is counted while it lives.
    since: Option<Stamp>,
}

impl<C: Child, T, K> Task<C, T, K> {
    pub(crate) fn new<F>(link: &Rc<Link<C>>, work: Work, future: F, then: K) -> (Self, Token)
    where
        F: Future<Output = T> + 'static,
    {
        let since = (work == Work::InFlight).then(|| link.stamp());
        if since.is_some() {
            link.inflight.set(link.inflight.get().saturating_add(1));
        }
        let flag = Rc::new(Flag::default());
        let task = Self {
            link: Rc::clone(link),
            flag: Rc::clone(&flag),
            phase: if work == Work::Timer { Phase::Timer } else { Phase::Future },
            future: Contained::new(Box::pin(future), Arc::clone(link.node())),
            then: Contained::new(then, Arc::clone(link.node())),
            since,
        };
        (task, Token(flag))
    }

    /// It was polled, and what it said meanwhile it said of itself.
    fn goes_on(&mut self, before: u64, task: &TaskContext<'_>) {
        if self.link.node().unbeat(before) {
            self.link.awake();
            self.forget(task);
            self.since = self.since.map(|_| self.link.stamp());
        }
        if let Some(since) = self.since {
            self.link.stands(since);
        }
    }

    /// What it was seen as in the same turn does not count any more: all are looked at once more.
    fn forget(&self, task: &TaskContext<'_>) {
        if self.since.is_some() && self.link.oldest.get() == self.since {
            self.link.oldest.set(None);
            task.waker().wake_by_ref();
        }
    }
}

impl<C: Child, T, K> Drop for Task<C, T, K> {
    fn drop(&mut self) {
        if self.since.is_some() {
            self.link.inflight.set(self.link.inflight.get().saturating_sub(1));
        }
    }
}

// Nothing in it is pinned in place: the future is boxed.
impl<C: Child, T, K> Unpin for Task<C, T, K> {}

impl<C, T, K> ActorFuture<Host<C>> for Task<C, T, K>
where
    C: Child,
    K: FnOnce(&mut C, T, &mut Cx<'_, C>),
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        _: &mut Host<C>,
        host: &mut Context<Host<C>>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if self.flag.cancelled(task) {
            self.future.clear();
            self.forget(task);
            return Poll::Ready(());
        }
        self.link.doing(self.phase, None);
        let before = self.link.node().beats();
        let Some(future) = self.future.get_mut() else { return Poll::Ready(()) };
        let polled = future.as_mut().poll(task);
        let Poll::Ready(output) = polled else {
            self.goes_on(before, task);
            return Poll::Pending;
        };
        self.link.node().unbeat(before);
        self.forget(task);
        self.future.clear();
        // Cancelled by its own last step.
        if let Some(then) = self.then.take().filter(|_| !self.flag.over.get()) {
            self.flag.over.set(true);
            self.link.with(host, |state, cx| then(state, output, cx));
        }
        Poll::Ready(())
    }
}

/// A stream with what to do for each item and at its end.
pub(crate) struct Service<C: Child, I, K, E> {
    link: Rc<Link<C>>,
    flag: Rc<Flag>,
    stream: Contained<LocalBoxStream<'static, I>>,
    each: Contained<K>,
    end: Contained<E>,
}

impl<C: Child, I, K, E> Service<C, I, K, E> {
    pub(crate) fn new<S>(link: &Rc<Link<C>>, stream: S, each: K, end: E) -> (Self, Token)
    where
        S: Stream<Item = I> + 'static,
    {
        let flag = Rc::new(Flag::default());
        let service = Self {
            link: Rc::clone(link),
            flag: Rc::clone(&flag),
            stream: Contained::new(Box::pin(stream), Arc::clone(link.node())),
            each: Contained::new(each, Arc::clone(link.node())),
            end: Contained::new(end, Arc::clone(link.node())),
        };
        (service, Token(flag))
    }
}

impl<C: Child, I, K, E> Unpin for Service<C, I, K, E> {}

impl<C, I, K, E> ActorFuture<Host<C>> for Service<C, I, K, E>
where
    C: Child,
    K: FnMut(&mut C, I, &mut Cx<'_, C>),
    E: FnOnce(&mut C, &mut Cx<'_, C>),
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        _: &mut Host<C>,
        host: &mut Context<Host<C>>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        for _ in 0..STREAM_BUDGET {
            if self.flag.cancelled(task) {
                self.stream.clear();
                return Poll::Ready(());
            }
            self.link.doing(Phase::Future, None);
            let this = &mut *self;
            let Some(stream) = this.stream.get_mut() else { return Poll::Ready(()) };
            match stream.poll_next_unpin(task) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(item)) => {
                    if let Some(each) = this.each.get_mut() {
                        this.link.with(host, |state, cx| each(state, item, cx));
                    }
                    if this.link.is_over() {
                        return Poll::Pending;
                    }
                }
                Poll::Ready(None) => {
                    this.stream.clear();
                    this.flag.over.set(true);
                    if let Some(end) = this.end.take() {
                        this.link.with(host, end);
                    }
                    return Poll::Ready(());
                }
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A repeating timer.
pub(crate) struct Ticker<C: Child, K> {
    link: Rc<Link<C>>,
    flag: Rc<Flag>,
    interval: Interval,
    each: Contained<K>,
}

impl<C: Child, K> Ticker<C, K> {
    pub(crate) fn new(link: &Rc<Link<C>>, period: Duration, each: K) -> (Self, Token) {
        let period = period.max(Duration::from_millis(1));
        let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let flag = Rc::new(Flag::default());
        let each = Contained::new(each, Arc::clone(link.node()));
        (Self { link: Rc::clone(link), flag: Rc::clone(&flag), interval, each }, Token(flag))
    }
}

impl<C: Child, K> Unpin for Ticker<C, K> {}

impl<C, K> ActorFuture<Host<C>> for Ticker<C, K>
where
    C: Child,
    K: FnMut(&mut C, &mut Cx<'_, C>),
{
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        _: &mut Host<C>,
        host: &mut Context<Host<C>>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        loop {
            if self.flag.cancelled(task) {
                return Poll::Ready(());
            }
            if self.interval.poll_tick(task).is_pending() {
                return Poll::Pending;
            }
            self.link.doing(Phase::Timer, None);
            let this = &mut *self;
            if let Some(each) = this.each.get_mut() {
                this.link.with(host, |state, cx| each(state, cx));
            }
            if this.link.is_over() {
                return Poll::Pending;
            }
        }
    }
}

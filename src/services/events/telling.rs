//! One stream: catches up from the outbox, then follows what the relay passes on.

use std::sync::Arc;

use switchyard_actors::model::DomainEvent;
use switchyard_actors::ports::StoreError;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::{EventChoice, Events, StreamEnd, StreamOrder, Told};

/// Why telling stopped.
enum Stop {
    /// The stream ends so.
    End(StreamEnd),
    /// Nobody listens any more.
    Gone,
}

impl From<StoreError> for Stop {
    fn from(_: StoreError) -> Self {
        Self::End(StreamEnd::Unavailable)
    }
}

/// Tells until the listener goes or the stream must end.
pub(super) async fn tell(events: &Arc<Events>, order: StreamOrder, out: &mpsc::Sender<Told>) {
    let mut teller = Teller { events, order, out, last: 0 };
    let server = events.server();
    let stop = tokio::select! {
        stop = teller.run() => stop,
        () = events.closing.cancelled() => Stop::End(StreamEnd::Draining),
        () = server.cancelled() => Stop::End(StreamEnd::Draining),
        () = out.closed() => Stop::Gone,
    };
    if let Stop::End(why) = stop {
        // One that takes nothing is not waited for for long: the connection ends with the sender.
        let end = Told::End { why, last: teller.last };
        let _unheard = timeout(events.config.stall_max, out.send(end)).await;
    }
}

struct Teller<'a> {
    events: &'a Arc<Events>,
    order: StreamOrder,
    out: &'a mpsc::Sender<Told>,
    /// Everything up to this number was told, or is not asked for.
    last: i64,
}

impl Teller<'_> {
    async fn run(&mut self) -> Stop {
        match self.take_up().await {
            Ok(()) => {}
            Err(stop) => return stop,
        }
        let live = match self.catch_up().await {
            Ok(live) => live,
            Err(stop) => return stop,
        };
        self.follow(live).await
    }

    async fn take_up(&mut self) -> Result<(), Stop> {
        let bounds = self.events.store.event_bounds().await?;
        match self.order.after {
            Some(after) if (bounds.purged..=bounds.newest).contains(&after) => {
                self.last = after;
                Ok(())
            }
            Some(_) => self.reset(bounds.newest).await,
            None => {
                self.last = bounds.newest;
                self.send(Told::Ready { newest: bounds.newest }).await
            }
        }
    }

    async fn reset(&mut self, newest: i64) -> Result<(), Stop> {
        self.last = newest;
        self.send(Told::Reset { newest }).await
    }

    /// Reads the outbox until nothing is left. The relay is listened to from before the last look on, so that nothing
    /// falls between the two; what comes by both ways is known by its number.
    async fn catch_up(&mut self) -> Result<broadcast::Receiver<Arc<DomainEvent>>, Stop> {
        let page = self.events.config.page.max(1);
        loop {
            let live = self.events.live.subscribe();
            let found = self.events.store.events_after(&self.order.choice, self.last, page).await?;
            // Retention may have gone by while the listener was behind.
            let bounds = self.events.store.event_bounds().await?;
            if bounds.purged > self.last {
                self.reset(bounds.newest).await?;
                continue;
            }
            let full = u64::try_from(found.len()).is_ok_and(|found| found >= page);
            for event in found {
                let id = event.id;
                self.send(Told::Event(Arc::new(event))).await?;
                self.last = id;
            }
            if !full {
                return Ok(live);
            }
        }
    }

    async fn follow(&mut self, mut live: broadcast::Receiver<Arc<DomainEvent>>) -> Stop {
        let config = self.events.config;
        let first = Instant::now() + config.recheck_interval;
        let mut recheck = interval_at(first, config.recheck_interval);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut quiet_until = Instant::now() + config.keep_alive;
        loop {
            let sent = tokio::select! {
                biased;
                _ = recheck.tick() => {
                    if let Some(why) = (self.order.recheck)().await {
                        return Stop::End(why);
                    }
                    continue;
                }
                told = live.recv() => match told {
                    Ok(event) if event.id <= self.last => continue,
                    Ok(event) => {
                        let id = event.id;
                        let sent = if wanted(&self.order.choice, &event) {
                            self.send(Told::Event(event)).await
                        } else {
                            self.last = id;
                            continue;
                        };
                        if sent.is_ok() {
                            self.last = id;
                        }
                        sent
                    }
                    Err(RecvError::Lagged(_)) => return Stop::End(StreamEnd::Slow),
                    Err(RecvError::Closed) => return Stop::End(StreamEnd::Draining),
                },
                () = sleep_until(quiet_until) => self.send(Told::Alive { last: self.last }).await,
            };
            if let Err(stop) = sent {
                return stop;
            }
            quiet_until = Instant::now() + config.keep_alive;
        }
    }

    async fn send(&self, told: Told) -> Result<(), Stop> {
        match timeout(self.events.config.stall_max, self.out.send(told)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stop::Gone),
            Err(_) => Err(Stop::End(StreamEnd::Slow)),
        }
    }
}

/// As the outbox itself would choose.
fn wanted(choice: &EventChoice, event: &DomainEvent) -> bool {
    choice.user.is_none_or(|user| event.user == Some(user))
        && !(choice.for_users && event.staff_only)
        && (choice.topics.is_empty() || choice.topics.contains(&event.topic))
}

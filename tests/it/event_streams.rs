//! Streams of events over a real outbox and relay: no gap, no repeat, bounded, cut when too slow, ended when forbidden.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use switchyard::services::events::{
    EventChoice, Events, EventsConfig, Listener, Listening, Relay, RelayArgs, StreamEnd, StreamOrder, Told,
};
use switchyard::services::fault::Fault;
use switchyard_actors::model::{Audience, NewDomainEvent, Topic};
use switchyard_actors::ports::Clock;
use switchyard_actors::supervision::{ChildSpec, NoSink, Runtime, RuntimeConfig};
use tokio::runtime::Handle;

use crate::harness::store::Fixture;

const CONFIG: EventsConfig = EventsConfig {
    poll_interval: Duration::from_millis(5),
    page: 7,
    buffer: 64,
    streams_per_caller_max: 3,
    keep_alive: Duration::from_millis(200),
    recheck_interval: Duration::from_millis(20),
    stall_max: Duration::from_secs(20),
};

const DEADLINE: Duration = Duration::from_secs(30);

struct World {
    fixture: Fixture,
    events: Arc<Events>,
    _runtime: Runtime,
}

impl World {
    async fn start(config: EventsConfig) -> Self {
        let fixture = Fixture::sqlite().await;
        let events = Events::new(fixture.store.clone(), config, Handle::current());
        let clock = Arc::clone(&fixture.clock);
        let runtime =
            Runtime::new(RuntimeConfig::default(), Arc::new(move || clock.now()), Arc::new(NoSink)).unwrap();
        let relay = RelayArgs { events: Arc::clone(&events) };
        runtime.root().add::<Relay>(ChildSpec::new("events", relay)).unwrap();
        runtime.start().await;
        Self { fixture, events, _runtime: runtime }
    }

    async fn publish(&self, from: i64, to: i64) {
        for n in from..to {
            let event = NewDomainEvent {
                topic: Topic::JobChanged,
                user: None,
                audience: Audience::Staff,
                subject: n.to_string(),
                body: json!({}),
            };
            self.fixture.store.publish_events(vec![event]).await.unwrap();
        }
    }

    fn order(&self, after: Option<i64>, may: &Arc<AtomicBool>) -> StreamOrder {
        let may = Arc::clone(may);
        StreamOrder {
            listener: Listener::Staff("somebody".to_owned()),
            choice: EventChoice::default(),
            after,
            recheck: Box::new(move || {
                let may = Arc::clone(&may);
                Box::pin(async move { (!may.load(Ordering::SeqCst)).then_some(StreamEnd::Forbidden) })
            }),
        }
    }

    fn open(&self, after: Option<i64>) -> Listening {
        self.events.open(self.order(after, &Arc::new(AtomicBool::new(true)))).unwrap()
    }
}

async fn next(listening: &mut Listening) -> Told {
    loop {
        match tokio::time::timeout(DEADLINE, listening.recv()).await.unwrap().unwrap() {
            Told::Alive { .. } => {}
            told => return told,
        }
    }
}

/// The next `count` events: their numbers, and what they are about.
async fn take(listening: &mut Listening, count: usize) -> Vec<(i64, i64)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match next(listening).await {
            Told::Event(event) => taken.push((event.id, event.subject.parse().unwrap())),
            Told::Ready { .. } => {}
            other => panic!("{other:?} after {taken:?}"),
        }
    }
    taken
}

#[actix_web::test]
async fn a_stream_goes_on_where_the_one_before_ended_while_others_write() {
    let world = World::start(CONFIG).await;
    world.publish(0, 1).await;
    let mut first = world.open(Some(0));
    let writer = world.publish(1, 300);
    let reader = async {
        let mut seen = take(&mut first, 20).await;
        drop(first);
        while seen.len() < 300 {
            // Comes back again and again, each time by the last number that it has.
            let mut again = world.open(seen.last().map(|(id, _)| *id));
            let most = (300 - seen.len()).min(61);
            seen.extend(take(&mut again, most).await);
        }
        seen
    };
    let ((), seen) = tokio::join!(writer, reader);
    assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(seen.into_iter().map(|(_, n)| n).collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
}

#[actix_web::test]
async fn a_stream_without_a_number_begins_now_and_lives_without_events() {
    let world = World::start(CONFIG).await;
    world.publish(0, 5).await;
    let newest = world.fixture.store.event_bounds().await.unwrap().newest;
    let mut listening = world.open(None);
    assert_eq!(next(&mut listening).await, Told::Ready { newest });
    let alive = tokio::time::timeout(DEADLINE, listening.recv()).await.unwrap().unwrap();
    assert_eq!(alive, Told::Alive { last: newest });
    world.publish(5, 6).await;
    assert_eq!(take(&mut listening, 1).await, [(newest + 1, 5)]);
}

#[actix_web::test]
async fn what_is_no_longer_kept_is_told_as_a_reset() {
    let world = World::start(CONFIG).await;
    world.publish(0, 10).await;
    world.fixture.clock.advance(Duration::from_secs(60));
    world.fixture.store.purge_events(world.fixture.clock.millis(), 4).await.unwrap();
    let bounds = world.fixture.store.event_bounds().await.unwrap();
    for (after, reset) in [(bounds.purged - 1, true), (bounds.purged, false), (bounds.newest + 1, true)] {
        let mut listening = world.open(Some(after));
        match next(&mut listening).await {
            Told::Reset { newest } => assert!(reset && newest == bounds.newest, "{after}"),
            Told::Event(event) => assert!(!reset && event.id == bounds.purged + 1, "{after}"),
            other => panic!("{other:?}"),
        }
    }
}

#[actix_web::test]
async fn a_slow_listener_is_cut_and_comes_back_without_loss() {
    let world = World::start(EventsConfig { buffer: 8, ..CONFIG }).await;
    let mut slow = world.open(None);
    assert!(matches!(next(&mut slow).await, Told::Ready { .. }));
    // It takes nothing while many come: what it is behind is more than is kept for it.
    world.publish(0, 100).await;
    let newest = world.fixture.store.event_bounds().await.unwrap().newest;
    while world.events.newest() < newest {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut seen, last) = (
        Vec::new(),
        loop {
            match next(&mut slow).await {
                Told::Event(_) => {}
                Told::End { why, last } => {
                    assert_eq!(why, StreamEnd::Slow);
                    break last;
                }
                other => panic!("{other:?}"),
            }
        },
    );
    assert!(slow.recv().await.is_none(), "that was the last word");
    let mut again = world.open(Some(last));
    let left = usize::try_from(newest - last).unwrap();
    seen.extend(take(&mut again, left).await);
    assert_eq!(seen.last().map(|(id, n)| (*id, *n)), Some((newest, 99)));
}

#[actix_web::test]
async fn streams_are_bounded_per_caller_and_end_with_the_right_and_the_daemon() {
    let world = World::start(CONFIG).await;
    let may = Arc::new(AtomicBool::new(true));
    let mut open: Vec<_> = (0..3).map(|_| world.events.open(world.order(None, &may)).unwrap()).collect();
    let refused = world.events.open(world.order(None, &may));
    assert!(matches!(refused, Err(Fault::TooMany(_))));
    let other = StreamOrder { listener: Listener::Staff("other".to_owned()), ..world.order(None, &may) };
    let mut other = world.events.open(other).unwrap();
    may.store(false, Ordering::SeqCst);
    for listening in open.iter_mut().chain([&mut other]) {
        assert!(matches!(next(listening).await, Told::Ready { .. }));
        assert!(matches!(next(listening).await, Told::End { why: StreamEnd::Forbidden, .. }));
    }
    drop((open, other));
    while world.events.streams() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut last = world.open(None);
    assert!(matches!(next(&mut last).await, Told::Ready { .. }));
    world.events.close();
    assert!(matches!(next(&mut last).await, Told::End { why: StreamEnd::Draining, .. }));
    assert!(matches!(world.events.open(world.order(None, &may)), Err(Fault::Unavailable(_))));
}

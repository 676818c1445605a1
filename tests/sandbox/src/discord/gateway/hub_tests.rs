//! Sessions: what a resume replays, and when one is refused.

use uuid::Uuid;

use super::*;
use crate::discord::world::Rights;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn hub(replay_events: usize) -> Hub {
    Hub::new(SessionBounds { replay_events, sessions: 2, resume_window: Duration::from_secs(60) })
}

fn open(hub: &mut Hub, id: &str) -> u64 {
    let connection = hub.connect();
    let rights = Rights { intents: 0, permissions: 0 };
    let bot = Bot { id: 1, account: Uuid::nil(), guild: 2, rights };
    hub.open(id, bot, Intents::default(), Shard::ONLY, connection, NOW);
    connection
}

fn seen(hub: &Hub, id: &str, connection: u64, after: u64) -> Option<Vec<u64>> {
    match hub.pending(id, connection, after, 10) {
        Pending::Events(events) => Some(events.iter().map(|event| event.seq).collect()),
        Pending::Gone => None,
    }
}

#[test]
fn a_resume_replays_exactly_what_was_missed() {
    let mut hub = hub(100);
    let first = open(&mut hub, "a");
    for _ in 0..5 {
        hub.push("a", "EVENT", Arc::from("{}"));
    }
    assert_eq!(seen(&hub, "a", first, 0), Some(vec![1, 2, 3, 4, 5]));
    hub.lose("a", first, NOW);
    hub.push("a", "EVENT", Arc::from("{}"));
    let second = hub.connect();
    assert!(hub.resume("a", 1, 4, second, NOW).is_ok());
    assert_eq!(seen(&hub, "a", second, 4), Some(vec![5, 6]));
    assert_eq!(seen(&hub, "a", second, 6), Some(vec![]));
    assert_eq!(seen(&hub, "a", first, 4), None, "the first connection was replaced");
}

#[test]
fn a_resume_is_refused_when_it_cannot_be_complete() {
    let mut hub = hub(3);
    let first = open(&mut hub, "a");
    for _ in 0..5 {
        hub.push("a", "EVENT", Arc::from("{}"));
    }
    assert_eq!(seen(&hub, "a", first, 1), None, "event 2 is no longer kept");
    assert_eq!(seen(&hub, "a", first, 2), Some(vec![3, 4, 5]));
    assert_eq!(hub.resume("a", 1, 6, 9, NOW).err(), Some(ResumeError::FutureSeq));
    assert_eq!(hub.resume("a", 2, 5, 9, NOW).err(), Some(ResumeError::Invalid), "another bot");
    assert_eq!(hub.resume("b", 1, 5, 9, NOW).err(), Some(ResumeError::Invalid), "unknown");
    assert_eq!(hub.resume("a", 1, 1, 9, NOW).err(), Some(ResumeError::Invalid), "too far behind");
    assert_eq!(hub.resume("a", 1, 5, 9, NOW).err(), Some(ResumeError::Invalid), "ended by the last try");
}

#[test]
fn lost_sessions_are_forgotten_by_time_and_by_number() {
    let mut hub = hub(3);
    let first = open(&mut hub, "a");
    hub.lose("a", first, NOW);
    let later = NOW + TimeDelta::seconds(60);
    assert_eq!(hub.resume("a", 1, 0, 9, later).err(), Some(ResumeError::Invalid));
    let first = open(&mut hub, "a");
    let second = open(&mut hub, "b");
    hub.lose("b", second, NOW);
    hub.lose("a", first, NOW + TimeDelta::seconds(1));
    open(&mut hub, "c");
    assert_eq!(
        hub.resume("b", 1, 0, 9, NOW).err(),
        Some(ResumeError::Invalid),
        "lost first, forgotten first"
    );
    assert!(hub.resume("a", 1, 0, 9, NOW).is_ok());
    let session = hub.connect();
    hub.end("a", session);
    assert!(hub.resume("a", 1, 0, 9, NOW).is_ok(), "only its own connection ends a session");
    hub.end("a", 9);
    assert!(hub.resume("a", 1, 0, 9, NOW).is_err());
}

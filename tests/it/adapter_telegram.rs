//! Telegram sessions against the sandbox's data centre, over real sockets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use switchyard::adapters::telegram::{ClientExchange, SandboxKeys, TelegramConnector};
use switchyard::config::TelegramConfig;
use switchyard::crypto::SystemRng;
use switchyard_actors::model::{
    Account, AccountKind, ChatId, Cursor, CursorKey, CursorValue, EntityKind, Place, Platform, SenderKind,
    SourceEvent,
};
use switchyard_actors::ports::{ConnectionError, PlatformConnector};
use switchyard_sandbox::faults::{FaultKind, FaultTarget};
use switchyard_sandbox::messages::{EditedMessage, EntityKind as Kind, TextEntity};
use switchyard_sandbox::platform::Platform as Side;
use switchyard_sandbox::{Sandbox, SandboxConfig};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::adapter_harness::{
    MemoryCredentials, Reader, account, fault, request, sandbox, says, telegram_config, text, within,
};

/// A sandbox with one account, and what connects it.
struct World {
    sandbox: Sandbox,
    credentials: Arc<MemoryCredentials>,
    config: TelegramConfig,
    account: Account,
    chat: String,
    source: Place,
}

impl World {
    async fn new(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let sandbox = sandbox(change).await;
        let user = &sandbox.seed().telegram.users[0];
        let account = account(user.account, AccountKind::TelegramUser, user.user_id);
        let chat = sandbox.seed().pairs[0].source.chat.clone();
        let source = place(&chat);
        let config = telegram_config(&sandbox);
        Self { sandbox, credentials: Arc::default(), config, account, chat, source }
    }

    fn connector(&self, config: TelegramConfig) -> TelegramConnector {
        let control = format!("http://{}", self.sandbox.control_address());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let keys = SandboxKeys::new(http, &control, Arc::new(SystemRng), Duration::from_secs(10));
        TelegramConnector::new(config, self.credentials.clone(), Arc::new(keys), Handle::current())
    }

    async fn try_connect(&self, sources: &[Place], cursors: Vec<Cursor>) -> Result<Reader, ConnectionError> {
        let connector = self.connector(self.config.clone());
        let request = request(&self.account, sources, cursors.clone());
        let connection = within(connector.connect(request)).await?;
        assert_eq!(connection.platform_id, self.account.platform_id);
        Ok(Reader::new(connection, &cursors))
    }

    async fn connect(&self, cursors: Vec<Cursor>) -> Reader {
        self.try_connect(&[self.source], cursors).await.unwrap()
    }

    fn write(&self, text: &str) -> String {
        self.sandbox.telegram().post_message(&self.chat, &says(text)).unwrap()
    }

    fn write_numbers(&self, numbers: std::ops::Range<u32>) {
        numbers.for_each(|number| drop(self.write(&number.to_string())));
    }
}

fn place(chat: &str) -> Place {
    Place { platform: Platform::Telegram, chat: chat.parse().unwrap(), thread: None }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_message_arrives_with_its_format_and_its_author() {
    let world = World::new(|_| {}).await;
    let mut reader = world.connect(Vec::new()).await;
    let first = reader.unit().await.unwrap();
    assert!(first.events.is_empty(), "before anything is read the positions are recorded");
    assert_eq!(first.cursors.len(), 3, "common stream, channel, last message");
    let bold = TextEntity {
        kind: Kind::Bold,
        offset: 6,
        length: 5,
        url: None,
        language: None,
        user: None,
        custom_emoji_id: None,
    };
    let mut new = says("hello world");
    new.entities.push(bold);
    let id = world.sandbox.telegram().post_message(&world.chat, &new).unwrap();
    let events = reader.events(1).await;
    let [SourceEvent::New(message)] = events.as_slice() else { panic!("not one message: {events:?}") };
    assert_eq!((message.place, message.id.to_string()), (world.source, id));
    assert_eq!(message.text.text(), "hello world");
    let entity = &message.text.entities()[0];
    assert_eq!((entity.offset, entity.length, &entity.kind), (6, 5, &EntityKind::Bold));
    let sender = message.sender.as_ref().unwrap();
    assert_eq!((sender.name.as_str(), sender.kind), ("Ada Lindqvist", SenderKind::Person));
    assert_eq!(message.restrictions, vec![]);
    assert!(world.sandbox.shared().violations.snapshot().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_while_away_arrives_once_and_in_order() {
    let world = World::new(|_| {}).await;
    let mut reader = world.connect(Vec::new()).await;
    world.write_numbers(0..3);
    assert_eq!(reader.texts(3).await, numbers(0..3));
    let cursors = reader.stored();
    drop(reader);
    world.write_numbers(3..253);
    let mut reader = world.connect(cursors).await;
    assert_eq!(reader.texts(250).await, numbers(3..253));
    let cursors = reader.stored();
    drop(reader);
    let mut reader = world.connect(cursors).await;
    world.write("marker");
    assert_eq!(reader.texts(1).await, ["marker"], "nothing comes twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_stands_behind_the_events_of_its_unit() {
    let world = World::new(|_| {}).await;
    let mut reader = world.connect(Vec::new()).await;
    reader.unit().await.unwrap();
    let start = reader.stored();
    drop(reader);
    world.write_numbers(0..250);
    // Reading ends after each unit in turn; the next connection goes on exactly there.
    let (mut cursors, mut seen, mut rounds) = (start, Vec::new(), 0);
    while seen.len() < 250 {
        let mut reader = world.connect(cursors).await;
        let unit = reader.unit().await.unwrap();
        seen.extend(unit.events.iter().map(text));
        cursors = reader.stored();
        rounds += 1;
    }
    assert_eq!(seen, numbers(0..250));
    assert!(rounds >= 3, "a difference has at most 100 steps: {rounds} rounds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_that_is_too_long_is_read_from_history() {
    let mut world = World::new(|config| config.telegram.update_log = 20).await;
    world.config.history_page = 10;
    let mut reader = world.connect(Vec::new()).await;
    world.write_numbers(0..5);
    assert_eq!(reader.texts(5).await, numbers(0..5));
    let before = reader.stored();
    let pts = |reader: &Reader| {
        reader
            .cursors
            .iter()
            .find(|(key, _)| matches!(key, CursorKey::TelegramChannel { .. }))
            .map(|(_, v)| *v)
    };
    let old = pts(&reader);
    drop(reader);
    world.write_numbers(5..60);
    let mut reader = world.connect(before).await;
    assert_eq!(reader.texts(10).await, numbers(5..15), "a page is a unit");
    assert_eq!(pts(&reader), old, "the stream's position stays behind until all history is read");
    // Killed in the middle: the last message seen is where it goes on.
    let middle = reader.stored();
    drop(reader);
    let mut reader = world.connect(middle).await;
    assert_eq!(reader.texts(45).await, numbers(15..60));
    world.write("marker");
    assert_eq!(reader.texts(1).await, ["marker"]);
    assert_ne!(pts(&reader), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_chats_are_read_by_the_common_stream_and_others_only_move_it() {
    let mut world = World::new(|config| config.telegram.update_log = 20).await;
    world.config.history_page = 10;
    let persons = world.sandbox.seed().telegram.persons.clone();
    let inbox = world.account.platform_id.to_string();
    let write = |person: usize, text: &str| {
        let mut new = says(text);
        new.from = Some(persons[person].id.to_string());
        world.sandbox.telegram().post_message(&inbox, &new).unwrap();
    };
    write(0, "before anybody reads");
    write(1, "from somebody else");
    let source = place(&persons[0].id.to_string());
    let mut reader = world.try_connect(&[source], Vec::new()).await.unwrap();
    let common = |reader: &Reader| match reader.cursors.get(&CursorKey::TelegramCommon) {
        Some(CursorValue::TelegramCommon { pts, .. }) => *pts,
        other => panic!("no common position: {other:?}"),
    };
    reader.unit().await.unwrap();
    let start = common(&reader);
    write(0, "one");
    assert_eq!(reader.texts(1).await, ["one"]);
    write(1, "not forwarded");
    let unit = reader.unit().await.unwrap();
    assert!(unit.events.is_empty(), "{unit:?}");
    assert_eq!(common(&reader), start + 2);
    let cursors = reader.stored();
    drop(reader);
    for number in 0..30 {
        write(0, &number.to_string());
    }
    let mut reader = world.try_connect(&[source], cursors).await.unwrap();
    assert_eq!(reader.texts(30).await, numbers(0..30), "too long as a difference, whole as history");
    write(0, "marker");
    assert_eq!(reader.texts(1).await, ["marker"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_and_deletions_are_told_live_and_after_an_absence() {
    let world = World::new(|_| {}).await;
    let mut reader = world.connect(Vec::new()).await;
    let (first, second) = (world.write("first"), world.write("second"));
    reader.events(2).await;
    let edit = |text: &str| EditedMessage { text: text.to_owned(), entities: Vec::new() };
    world.sandbox.telegram().edit_message(&world.chat, &first, &edit("first, edited")).unwrap();
    let events = reader.events(1).await;
    assert!(matches!(&events[0], SourceEvent::Edited(message) if message.text.text() == "first, edited"));
    let cursors = reader.stored();
    drop(reader);
    world.sandbox.telegram().edit_message(&world.chat, &first, &edit("first, again")).unwrap();
    world.sandbox.telegram().delete_message(&world.chat, &second).unwrap();
    world.write("third");
    let mut reader = world.connect(cursors).await;
    let events = reader.events(3).await;
    assert!(matches!(&events[0], SourceEvent::New(message) if message.text.text() == "third"), "{events:?}");
    assert!(matches!(&events[1], SourceEvent::Edited(message) if message.text.text() == "first, again"));
    assert!(matches!(&events[2], SourceEvent::Deleted { id, .. } if id.to_string() == second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_finds_everything_in_the_store_and_writes_nothing() {
    let world = World::new(|_| {}).await;
    let mut reader = world.connect(Vec::new()).await;
    reader.unit().await.unwrap();
    let (writes, cursors) = (world.credentials.writes(), reader.stored());
    assert!(world.credentials.kept_peers(world.account.id).contains(&world.source.chat.get()));
    drop(reader);
    let mut reader = world.connect(cursors).await;
    world.write("x");
    assert_eq!(reader.texts(1).await, ["x"]);
    assert_eq!(world.credentials.writes(), writes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_ends_the_source_and_nothing_is_lost() {
    let world = World::new(|_| {}).await;
    let mut reader = world.connect(Vec::new()).await;
    world.write("one");
    assert_eq!(reader.texts(1).await, ["one"]);
    let target = FaultTarget::Account(world.account.id.as_uuid());
    fault(&world.sandbox, target, FaultKind::DropConnection, 1, Duration::ZERO);
    let end = reader.end().await;
    assert!(matches!(end, ConnectionError::Unreachable(_)), "{end}");
    assert_eq!(reader.end().await, end, "an ended source stays ended: it does not connect by itself");
    world.write("two");
    let mut reader = world.connect(reader.stored()).await;
    assert_eq!(reader.texts(1).await, ["two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_is_told_with_its_length() {
    let world = World::new(|_| {}).await;
    let target = FaultTarget::Account(world.account.id.as_uuid());
    drop(world.connect(Vec::new()).await);
    fault(&world.sandbox, target, FaultKind::FloodWait, 1, Duration::from_secs(5));
    let refused = world.try_connect(&[world.source], Vec::new()).await.map(drop);
    let Err(ConnectionError::Wait { wait, .. }) = refused else { panic!("not told to wait: {refused:?}") };
    assert_eq!(wait, Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_under_a_difference_ends_the_connection_and_loses_nothing() {
    let world = World::new(|_| {}).await;
    let mut reader = world.connect(Vec::new()).await;
    reader.unit().await.unwrap();
    let cursors = reader.stored();
    drop(reader);
    world.write_numbers(0..3);
    let mut reader = world.connect(cursors).await;
    // The next call is the pump's first: the account's difference.
    fault(&world.sandbox, FaultTarget::Platform(Side::Telegram), FaultKind::ServerError, 1, Duration::ZERO);
    let end = reader.end().await;
    assert!(matches!(end, ConnectionError::Unreachable(_)), "{end}");
    let mut reader = world.connect(reader.stored()).await;
    assert_eq!(reader.texts(3).await, numbers(0..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_up_on_waiting_loses_nothing() {
    let world = World::new(|_| {}).await;
    let connector = world.connector(world.config.clone());
    let wish = request(&world.account, &[world.source], Vec::new());
    let mut source = within(connector.connect(wish)).await.unwrap().source.unwrap();
    let mut seen = Vec::new();
    let mut written = 0_u32;
    while seen.len() < 100 {
        if written < 100 {
            world.write(&written.to_string());
            written += 1;
        }
        // Whoever waits for several things at once drops this wait again and again.
        let patience = Duration::from_micros(u64::from(written) * 20 + 1);
        if let Ok(unit) = tokio::time::timeout(patience, source.next()).await {
            seen.extend(unit.unwrap().events.iter().map(text));
        }
    }
    assert_eq!(seen, numbers(0..100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_does_not_know_needs_a_login() {
    let world = World::new(|_| {}).await;
    drop(world.connect(Vec::new()).await);
    // The same account at a server that never saw its key.
    let other = sandbox(|_| {}).await;
    let mut config = telegram_config(&other);
    config.request_timeout = Duration::from_secs(5);
    let connector = TelegramConnector::new(
        config,
        world.credentials.clone(),
        Arc::new(ClientExchange),
        Handle::current(),
    );
    let refused = within(connector.connect(request(&world.account, &[], Vec::new()))).await;
    assert!(matches!(refused, Err(ConnectionError::NeedsLogin(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_somebody_else_is_refused() {
    let world = World::new(|_| {}).await;
    drop(world.connect(Vec::new()).await);
    let other = Account { platform_id: world.account.platform_id + 1, ..world.account.clone() };
    let connector = world.connector(world.config.clone());
    let refused = within(connector.connect(request(&other, &[], Vec::new()))).await;
    assert!(matches!(refused, Err(ConnectionError::Refused(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_and_nobody_answering_are_unreachable() {
    let mut world = World::new(|_| {}).await;
    drop(world.connect(Vec::new()).await);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.config.request_timeout = Duration::from_millis(300);
    world.config.address = Some(silent.local_addr().unwrap());
    let refused = world.try_connect(&[], Vec::new()).await.map(drop);
    assert!(matches!(refused, Err(ConnectionError::Unreachable(_))), "silent: {refused:?}");
    drop(silent);
    let refused = world.try_connect(&[], Vec::new()).await.map(drop);
    assert!(matches!(refused, Err(ConnectionError::Unreachable(_))), "nobody: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_exist_holds_up_nobody() {
    let world = World::new(|_| {}).await;
    let missing = Place { chat: ChatId::new(-1_000_000_000_999_999).unwrap(), ..world.source };
    let absent = Place { chat: ChatId::new(-1_001_999_999_999).unwrap(), ..world.source };
    let mut reader = world.try_connect(&[missing, absent, world.source], Vec::new()).await.unwrap();
    world.write("x");
    assert_eq!(reader.texts(1).await, ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_updates_than_there_is_room_for_are_asked_for_again() {
    let mut world = World::new(|_| {}).await;
    world.config.updates_capacity = NonZeroUsize::new(8).unwrap();
    let mut reader = world.connect(Vec::new()).await;
    reader.unit().await.unwrap();
    world.write_numbers(0..500);
    assert_eq!(reader.texts(500).await, numbers(0..500), "none lost, none twice, in order");
}

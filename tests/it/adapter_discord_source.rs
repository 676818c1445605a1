//! Discord bots as sources against the sandbox's REST API and gateway, over real sockets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretSlice;
use switchyard::adapters::discord::{DiscordConnector, TOKEN};
use switchyard::config::DiscordConfig;
use switchyard_actors::model::{
    Account, AccountId, AccountKind, Cursor, CursorKey, CursorValue, DeliveryId, IdempotencyKey, MessageId,
    PartBody, Place, Platform, SenderKind, SourceEvent,
};
use switchyard_actors::ports::{
    ConnectionError, Credentials, MessageSender, Operation, PlatformConnector, SendRequest, SourceLog,
    StoreError,
};
use switchyard_sandbox::config::{Limits, PairCounts};
use switchyard_sandbox::discord::RightsChange;
use switchyard_sandbox::faults::{FaultKind, FaultTarget};
use switchyard_sandbox::messages::EditedMessage;
use switchyard_sandbox::{Sandbox, SandboxConfig};
use uuid::Uuid;

use super::adapter_harness::{
    MemoryCredentials, Reader, ShiftedClock, account, discord_config, fault, request, sandbox, says, text,
    within,
};

/// What was accepted from sources, as a test says.
#[derive(Default)]
struct Accepted(Mutex<Vec<MessageId>>);

#[async_trait]
impl SourceLog for Accepted {
    async fn accepted(
        &self,
        _: AccountId,
        _: Place,
        up_to: i64,
        _: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let known = self.0.lock().unwrap().clone();
        Ok(known.into_iter().filter(|id| id.get() <= up_to).collect())
    }
}

/// A sandbox with a bot that reads two channels.
struct World {
    sandbox: Sandbox,
    credentials: Arc<MemoryCredentials>,
    clock: Arc<ShiftedClock>,
    log: Arc<Accepted>,
    account: Account,
    chat: String,
    other: String,
    change: fn(&mut DiscordConfig),
}

/// A reader with the connector whose thread its session lives on.
struct Reading {
    reader: Reader,
    sender: Arc<dyn MessageSender>,
    _connector: DiscordConnector,
}

impl World {
    async fn new(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let sandbox = sandbox(|config| {
            config.shape.pairs = PairCounts { discord_to_telegram: 2, ..PairCounts::default() };
            change(config);
        })
        .await;
        let bot = sandbox.seed().discord.bots[0].clone();
        let account = account(bot.account, AccountKind::DiscordBot, i64::try_from(bot.id).unwrap());
        let credentials = Arc::new(MemoryCredentials::default());
        let token = SecretSlice::from(bot.token.reveal().as_bytes().to_vec());
        credentials.set_secret(account.id, TOKEN, token).await.unwrap();
        let chat = sandbox.seed().pairs[0].source.chat.clone();
        let other = sandbox.seed().pairs[1].source.chat.clone();
        let (clock, log) = (Arc::default(), Arc::default());
        Self { sandbox, credentials, clock, log, account, chat, other, change: |_| {} }
    }

    fn connector(&self) -> DiscordConnector {
        let mut config = discord_config(&self.sandbox.discord().api_base());
        config.history_interval = Duration::from_millis(1);
        (self.change)(&mut config);
        let connector = DiscordConnector::new(config, self.credentials.clone(), self.clock.clone()).unwrap();
        connector.with_source_log(self.log.clone())
    }

    async fn read(&self, sources: &[Place], cursors: &[Cursor]) -> Reading {
        let connector = self.connector();
        let wish = request(&self.account, sources, cursors.to_vec());
        let connection = within(connector.connect(wish)).await.unwrap();
        let sender = connection.sender.clone().unwrap();
        Reading { reader: Reader::new(connection, cursors), sender, _connector: connector }
    }

    async fn read_both(&self, cursors: &[Cursor]) -> Reading {
        self.read(&[place(&self.chat), place(&self.other)], cursors).await
    }

    fn say(&self, chat: &str, text: &str) -> i64 {
        self.sandbox.discord().post_message(chat, &says(text)).unwrap().parse().unwrap()
    }

    fn edit(&self, id: i64, text: &str) {
        let edit = EditedMessage { text: text.to_owned(), entities: Vec::new() };
        self.sandbox.discord().edit_message(&self.chat, &id.to_string(), &edit).unwrap();
    }

    fn delete(&self, id: i64) {
        self.sandbox.discord().delete_message(&self.chat, &id.to_string()).unwrap();
    }

    fn strike(&self, kind: FaultKind, count: u64) {
        fault(&self.sandbox, FaultTarget::Account(self.account.id.as_uuid()), kind, count, Duration::ZERO);
    }

    fn accepted(&self, ids: &[i64]) {
        *self.log.0.lock().unwrap() = ids.iter().map(|id| MessageId::new(*id).unwrap()).collect();
    }
}

fn place(chat: &str) -> Place {
    Place { platform: Platform::Discord, chat: chat.parse().unwrap(), thread: None }
}

fn cursor(chat: &str, last: i64) -> Cursor {
    let key = CursorKey::DiscordChannel { chat: chat.parse().unwrap() };
    Cursor { key, value: CursorValue::LastMessage { id: last } }
}

/// What an event says: kind, message, and its text where it has one.
fn told(event: &SourceEvent) -> (&'static str, i64, String) {
    let text = match event {
        SourceEvent::New(message) | SourceEvent::Edited(message) => message.text.text().to_owned(),
        SourceEvent::Deleted { .. } => String::new(),
    };
    (event.kind().as_str(), event.message_id().get(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_edits_and_deletions_come_in_order() {
    let world = World::new(|_| {}).await;
    let early = world.say(&world.chat, "before anyone listens");
    let mut bot = world.read(&[place(&world.chat)], &[]).await;
    let placed = bot.reader.unit().await.unwrap();
    assert_eq!(placed.events, vec![], "a new source begins after its last message");
    assert_eq!(placed.cursors, vec![cursor(&world.chat, early)]);
    world.say(&world.chat, "first");
    assert_eq!(bot.reader.texts(1).await, ["first"], "history is read by then");
    let first = world.say(&world.chat, "**one**");
    world.say(&world.other, "nobody reads this");
    let second = world.say(&world.chat, "two");
    world.edit(first, "one, *edited*");
    world.delete(second);
    let events = bot.reader.events(4).await;
    let expected = [
        ("new", first, "one".to_owned()),
        ("new", second, "two".to_owned()),
        ("edited", first, "one, edited".to_owned()),
        ("deleted", second, String::new()),
    ];
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), expected);
    let SourceEvent::New(message) = &events[0] else { panic!("{events:?}") };
    assert_eq!(message.place, place(&world.chat));
    assert_eq!(message.sender.as_ref().unwrap().kind, SenderKind::Person);
    assert_eq!(message.text.entities().len(), 1, "the markdown is read");
    assert_eq!(bot.reader.stored(), vec![cursor(&world.chat, second)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bot_writes_itself_is_its_own() {
    let world = World::new(|_| {}).await;
    let target = world.sandbox.seed().pairs[1].source.chat.clone();
    let mut bot = world.read(&[place(&target)], &[]).await;
    let report = bot
        .sender
        .send(SendRequest {
            target: place(&target),
            operation: Operation::Send {
                body: PartBody::Markdown { content: "mine".to_owned(), author: None },
                reply_to: None,
            },
            key: IdempotencyKey::derive(DeliveryId::from_uuid(Uuid::from_u128(1)), 0),
            unclear_since: None,
            known: Vec::new(),
        })
        .await;
    let events = bot.reader.events(1).await;
    let SourceEvent::New(message) = &events[0] else { panic!("{report:?} {events:?}") };
    assert!(message.own, "{message:?}");
    assert_eq!(message.sender.as_ref().unwrap().kind, SenderKind::Bot);
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_read_before_what_comes_live_without_gaps_or_repeats() {
    let world = World::new(|_| {}).await;
    let start = world.say(&world.chat, "seen");
    let start_other = world.say(&world.other, "seen");
    let away: Vec<String> = (0..230).map(|number| format!("away {number}")).collect();
    for text in &away {
        world.say(&world.chat, text);
    }
    world.say(&world.other, "other away");
    let cursors = [cursor(&world.chat, start), cursor(&world.other, start_other)];
    let mut bot = world.read_both(&cursors).await;
    let live: Vec<String> = (0..50).map(|number| format!("live {number}")).collect();
    for text in &live {
        world.say(&world.chat, text);
    }
    let (mut seen, mut others, mut units) = (Vec::new(), 0, 0);
    while seen.len() < away.len() + live.len() || others < 1 {
        let unit = bot.reader.unit().await.unwrap();
        units += 1;
        assert!(unit.events.len() <= 100, "{} events in one unit", unit.events.len());
        for event in &unit.events {
            if event.place() == place(&world.chat) { seen.push(text(event)) } else { others += 1 }
        }
        if let Some(SourceEvent::New(last)) = unit.events.last() {
            let reached = cursor(&last.place.chat.to_string(), last.id.get());
            assert!(unit.cursors.contains(&reached), "each unit carries the cursor behind its events");
        }
    }
    assert_eq!(seen, away.into_iter().chain(live).collect::<Vec<_>>());
    assert!(units >= 4, "a long history comes in several units: {units}");
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_and_deletions_made_while_away_are_found() {
    let world = World::new(|_| {}).await;
    let mut bot = world.read(&[place(&world.chat)], &[]).await;
    let ids: Vec<i64> = ["a", "b", "c", "d", "e"].iter().map(|text| world.say(&world.chat, text)).collect();
    bot.reader.events(5).await;
    let cursors = bot.reader.stored();
    drop(bot);
    world.accepted(&[ids[0], ids[1], ids[2], ids[4]]);
    world.edit(ids[0], "a, edited");
    world.edit(ids[3], "never accepted");
    world.delete(ids[1]);
    world.delete(ids[4]);
    let late = world.say(&world.chat, "f");
    let mut bot = world.read(&[place(&world.chat)], &cursors).await;
    let events = bot.reader.events(4).await;
    let mut events: Vec<_> = events.iter().map(told).collect();
    assert_eq!(events.remove(0), ("new", late, "f".to_owned()), "what is new goes first");
    let expected = [
        ("edited", ids[0], "a, edited".to_owned()),
        ("deleted", ids[1], String::new()),
        ("deleted", ids[4], String::new()),
    ];
    assert_eq!(events, expected);
    // Afterwards live events go on.
    world.edit(late, "f, edited");
    assert_eq!(told(&bot.reader.events(1).await[0]), ("edited", late, "f, edited".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_resumes_and_loses_nothing() {
    let world = World::new(|config| config.discord.heartbeat = Duration::from_secs(1)).await;
    let mut bot = world.read(&[place(&world.chat)], &[]).await;
    bot.reader.unit().await.unwrap();
    world.say(&world.chat, "before");
    assert_eq!(bot.reader.texts(1).await, ["before"]);
    for (round, kind) in [FaultKind::DropConnection, FaultKind::Reconnect, FaultKind::InvalidSessionResumable]
        .iter()
        .enumerate()
    {
        world.strike(*kind, 1);
        let texts: Vec<String> = (0..20).map(|number| format!("{round}.{number}")).collect();
        for text in &texts {
            world.say(&world.chat, text);
        }
        assert_eq!(bot.reader.texts(20).await, texts, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_resume_ends_and_the_next_one_catches_up() {
    let world = World::new(|config| config.discord.heartbeat = Duration::from_millis(500)).await;
    let mut cursors = Vec::new();
    for (round, kind) in [FaultKind::InvalidSession, FaultKind::Zombie].iter().enumerate() {
        let mut bot = world.read(&[place(&world.chat)], &cursors).await;
        if cursors.is_empty() {
            bot.reader.unit().await.unwrap();
        } else {
            assert_eq!(bot.reader.texts(1).await, ["missed 0"]);
        }
        world.say(&world.chat, &format!("seen {round}"));
        assert_eq!(bot.reader.texts(1).await, [format!("seen {round}")]);
        world.strike(*kind, 1);
        let end = bot.reader.end().await;
        assert!(matches!(end, ConnectionError::Unreachable(_)), "{end}");
        cursors = bot.reader.stored();
        world.say(&world.chat, &format!("missed {round}"));
    }
    let mut bot = world.read(&[place(&world.chat)], &cursors).await;
    assert_eq!(bot.reader.texts(1).await, ["missed 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn live_events_wait_while_history_is_read_slowly() {
    let mut world = World::new(|_| {}).await;
    // History takes its time, and live events come in units of one.
    world.change = |config| {
        config.events_per_unit = 1.try_into().unwrap();
        config.history_interval = Duration::from_millis(20);
    };
    let start = world.say(&world.chat, "seen");
    let away: Vec<String> = (0..150).map(|number| format!("away {number}")).collect();
    for text in &away {
        world.say(&world.chat, text);
    }
    let mut bot = world.read(&[place(&world.chat)], &[cursor(&world.chat, start)]).await;
    let live: Vec<String> = (0..300).map(|number| format!("live {number}")).collect();
    for text in &live {
        world.say(&world.chat, text);
    }
    assert_eq!(bot.reader.texts(450).await, away.into_iter().chain(live).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_refused_does_not_stop_the_others() {
    let world = World::new(|_| {}).await;
    let nowhere = place("4711");
    let sources = [place(&world.chat), nowhere];
    // Without a cursor it would begin behind what is there when its history is asked for, which may be after "still read".
    let start = world.say(&world.chat, "before");
    let mut bot = world.read(&sources, &[cursor(&world.chat, start), cursor("4711", 4711)]).await;
    world.say(&world.chat, "still read");
    assert_eq!(bot.reader.texts(1).await, ["still read"]);
    // The channel's history was refused by then, or is now.
    while bot.reader.troubles().is_empty() {
        bot.reader.unit().await.unwrap();
    }
    let troubles = bot.reader.troubles();
    assert_eq!(troubles.len(), 1);
    assert_eq!(troubles[0].0, nowhere);
    assert!(troubles[0].1.contains("Unknown Channel"), "{troubles:?}");
    assert_eq!(bot.reader.stored().len(), 2, "its cursor stays");
    assert!(bot.reader.stored().contains(&cursor("4711", 4711)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_may_not_read_is_refused_in_plain_words() {
    let world = World::new(|_| {}).await;
    let account = world.account.id.as_uuid();
    let no_content = RightsChange { message_content: Some(false), ..RightsChange::default() };
    let connector = world.connector();
    world.sandbox.discord().set_rights(account, no_content).unwrap();
    let wish = request(&world.account, &[place(&world.chat)], Vec::new());
    let refused = within(connector.connect(wish)).await.unwrap_err();
    let ConnectionError::ContentIntentOff { reason: words, .. } = refused else { panic!("{refused}") };
    assert!(words.contains("Developer Portal") && words.contains("Message Content Intent"), "{words}");
    // Sending needs no such right.
    within(connector.connect(request(&world.account, &[], Vec::new()))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preview_of_a_link_is_no_edit() {
    let world = World::new(|_| {}).await;
    let mut bot = world.read(&[place(&world.chat)], &[]).await;
    bot.reader.unit().await.unwrap();
    for whole in [true, false] {
        if !whole {
            fault(
                &world.sandbox,
                FaultTarget::Platform(switchyard_sandbox::platform::Platform::Discord),
                FaultKind::PartialUpdate,
                1,
                Duration::ZERO,
            );
        }
        let link = world.say(&world.chat, "see https://example.org/page");
        let next = world.say(&world.chat, "next");
        let events: Vec<_> = bot.reader.events(2).await.iter().map(told).collect();
        let ids: Vec<_> = events.iter().map(|(kind, id, _)| (*kind, *id)).collect();
        assert_eq!(ids, [("new", link), ("new", next)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_history_keeps_to_the_published_limits() {
    let mut world = World::new(|config| config.limits = Limits::Published).await;
    world.change = |config| config.history_interval = Duration::from_millis(100);
    let start = world.say(&world.chat, "seen");
    let texts: Vec<String> = (0..1_050).map(|number| number.to_string()).collect();
    for text in &texts {
        world.say(&world.chat, text);
    }
    let mut bot = world.read_both(&[cursor(&world.chat, start)]).await;
    let mut seen = Vec::new();
    while seen.len() < texts.len() {
        seen.extend(bot.reader.unit().await.unwrap().events.iter().map(text));
    }
    assert_eq!(seen, texts);
    assert!(world.sandbox.shared().violations.snapshot().is_empty());
}

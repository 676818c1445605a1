//! The gateway through serenity: order, edits, deletes, resume, and a token that is wrong.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use serenity::all::{ClientBuilder, Context, Event, GatewayIntents, RawEventHandler};
use serenity::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::harness::{self, DEADLINE, World};

const INTENTS: GatewayIntents =
    GatewayIntents::GUILDS.union(GatewayIntents::GUILD_MESSAGES).union(GatewayIntents::MESSAGE_CONTENT);

struct Pump(mpsc::UnboundedSender<Event>);

#[async_trait]
impl RawEventHandler for Pump {
    async fn raw_event(&self, _: Context, event: Event) {
        let _ = self.0.send(event);
    }
}

/// A connected serenity client and what it was told.
struct Listener {
    events: mpsc::UnboundedReceiver<Event>,
    client: JoinHandle<serenity::Result<()>>,
}

impl Listener {
    async fn connect(world: &World, intents: GatewayIntents) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let builder = ClientBuilder::new_with_http(world.http(0), intents).raw_event_handler(Pump(sender));
        let mut client = builder.await.unwrap();
        let mut listener = Self { events, client: tokio::spawn(async move { client.start().await }) };
        listener.find(|event| matches!(event, Event::GuildCreate(_)).then_some(())).await;
        listener
    }

    /// The next event for which `pick` answers something.
    async fn find<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the client ended");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(DEADLINE, found).await.expect("no such event came")
    }

    async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let text = self.find(|event| match event {
                Event::MessageCreate(event) => Some(event.message.content.clone()),
                _ => None,
            });
            texts.push(text.await);
        }
        texts
    }
}

#[tokio::test]
async fn serenity_is_told_of_everything_in_order() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let mut listener = Listener::connect(&world, INTENTS).await;
    let written: Vec<_> = (0..300).map(|n| format!("message {n}")).collect();
    let mut ids = Vec::new();
    for text in &written {
        ids.push(world.write(&channel, text).await);
    }
    assert_eq!(listener.texts(300).await, written);
    let path = |id: &str| format!("/discord/chats/{channel}/messages/{id}");
    world.control(Method::PATCH, &path(&ids[1]), Some(json!({"text": "changed"}))).await;
    let edited = listener.find(|event| match event {
        Event::MessageUpdate(event) => Some((event.id.to_string(), event.content)),
        _ => None,
    });
    assert_eq!(edited.await, (ids[1].clone(), Some("changed".to_owned())));
    world.control(Method::DELETE, &path(&ids[2]), None).await;
    let deleted = listener.find(|event| match event {
        Event::MessageDelete(event) => Some(event.message_id.to_string()),
        _ => None,
    });
    assert_eq!(deleted.await, ids[2]);
    world.write(&world.channel(1, 0), "another guild").await;
    world.send(0, &channel, json!({"content": "my own"})).await.unwrap();
    assert_eq!(listener.texts(1).await, ["my own"], "own messages come back, other guilds' do not");
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_dropped_connection_is_resumed_without_loss() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let mut listener = Listener::connect(&world, INTENTS).await;
    let mut written = Vec::new();
    for round in 0..3 {
        let account = world.bot(0).account;
        world.fault(json!({"target": account, "kind": "drop_connection", "count": 1})).await;
        for n in 0..20 {
            let text = format!("{round}.{n}");
            world.write(&channel, &text).await;
            written.push(text);
        }
        let mut texts = Vec::new();
        listener
            .find(|event| match event {
                Event::MessageCreate(event) => {
                    texts.push(event.message.content.clone());
                    None
                }
                Event::Resumed(_) => Some(()),
                Event::Ready(_) => panic!("a new session instead of a resumed one"),
                _ => None,
            })
            .await;
        let rest = listener.texts(20 - texts.len()).await;
        texts.extend(rest);
        assert_eq!(texts, written[round * 20..]);
    }
    world.sandbox.stop().await;
}

#[tokio::test]
async fn without_the_intent_the_content_is_empty() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let intents = GatewayIntents::GUILDS | GatewayIntents::GUILD_MESSAGES;
    let mut listener = Listener::connect(&world, intents).await;
    world.write(&channel, "not for you").await;
    world.write(&channel, &format!("for <@{}>", world.bot(0).id)).await;
    world.send(0, &channel, json!({"content": "my own"})).await.unwrap();
    let mentioned = format!("for <@{}>", world.bot(0).id);
    assert_eq!(listener.texts(3).await, ["", mentioned.as_str(), "my own"]);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_wrong_token_or_intent_ends_the_client() {
    let world = harness::start().await;
    let presences = INTENTS | GatewayIntents::GUILD_PRESENCES;
    for (http, intents, code) in [
        (world.http_with("Bot a.b.c"), INTENTS, "InvalidAuthentication"),
        (world.http(0), presences, "DisallowedGatewayIntents"),
    ] {
        let (sender, _events) = mpsc::unbounded_channel();
        let builder = ClientBuilder::new_with_http(http, intents).raw_event_handler(Pump(sender));
        let mut client = builder.await.unwrap();
        let ended = tokio::time::timeout(DEADLINE, client.start()).await.unwrap().unwrap_err();
        assert!(format!("{ended:?}").contains(code), "{ended:?}");
    }
    world.sandbox.stop().await;
}

#[tokio::test]
async fn stopping_the_sandbox_ends_its_connections() {
    let world = harness::start().await;
    let mut listener = Listener::connect(&world, INTENTS).await;
    tokio::time::timeout(DEADLINE, world.sandbox.stop()).await.unwrap();
    let gone = async {
        while !listener.client.is_finished() && listener.events.try_recv().is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.unwrap();
}

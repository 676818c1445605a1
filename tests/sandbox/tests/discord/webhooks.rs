//! Webhooks: written to under their token, read back, changed and deleted; and the bots that manage them.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use serenity::all::{CreateMessage, EditWebhookMessage, ExecuteWebhook, Webhook, WebhookId};
use switchyard_sandbox::seed::DiscordWebhook;
use switchyard_sandbox::{Limits, SandboxConfig};

use crate::harness::{World, config, limited, number, parts};

/// Three webhooks: two of the first bot's guild, one of the second's.
fn with_webhooks(mut config: SandboxConfig) -> SandboxConfig {
    config.shape.webhooks = 3;
    config
}

async fn start() -> World {
    World::start(with_webhooks(config(Limits::None))).await
}

impl World {
    fn webhook(&self, index: usize) -> &DiscordWebhook {
        &self.sandbox.seed().discord.webhooks[index]
    }

    /// A call under a webhook's token, without any other credential.
    async fn hook(
        &self,
        index: usize,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, reqwest::Error> {
        let webhook = self.webhook(index);
        let path = format!("/webhooks/{}/{}{path}", webhook.id, webhook.token.reveal());
        self.call_bare(method, &path, body).await
    }

    async fn execute(&self, index: usize, query: &str, body: Value) -> (StatusCode, Value) {
        parts(self.hook(index, Method::POST, query, Some(&body)).await).await
    }

    async fn give(&self, bot: usize, permission: &str) {
        let path = format!("/discord/bots/{}/permissions", self.bot(bot).account);
        let (status, view) = self.control(Method::POST, &path, Some(json!({permission: true}))).await;
        assert_eq!((status, &view[permission]), (StatusCode::OK, &json!(true)));
    }
}

#[tokio::test]
async fn a_webhook_writes_under_any_name_and_its_messages_follow() {
    let world = start().await;
    let webhook = world.webhook(0);
    let channel = webhook.channel.to_string();
    let body = json!({"content": "hello @everyone", "username": "Ada | Telegram",
        "avatar_url": "https://example.org/a.png", "allowed_mentions": {"parse": []}});
    let (status, sent) = world.execute(0, "?wait=true", body).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    let id = webhook.id.to_string();
    assert_eq!((&sent["webhook_id"], &sent["author"]["id"]), (&json!(id), &json!(id)));
    assert_eq!(sent["author"]["username"], json!("Ada | Telegram"));
    assert_eq!((&sent["author"]["bot"], &sent["author"]["discriminator"]), (&json!(true), &json!("0000")));
    assert_eq!(sent["author"]["avatar"].as_str().map(str::len), Some(32));
    assert_eq!((&sent["mention_everyone"], &sent["channel_id"]), (&json!(false), &json!(channel)));
    let (status, nothing) = world.execute(0, "", json!({"content": "without waiting"})).await;
    assert_eq!((status, nothing), (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(world.texts(&channel).await, ["hello @everyone", "without waiting"]);

    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    let (_, got) = parts(world.hook(0, Method::GET, &path, None).await).await;
    assert_eq!((&got["id"], &got["author"]), (&sent["id"], &sent["author"]));
    let (status, edited) =
        parts(world.hook(0, Method::PATCH, &path, Some(&json!({"content": "changed"}))).await).await;
    assert_eq!((status, &edited["content"]), (StatusCode::OK, &json!("changed")));
    assert!(edited["edited_timestamp"].is_string());
    assert_eq!(edited["author"]["username"], json!("Ada | Telegram"), "an edit changes no name");
    let (status, _) = parts(world.hook(0, Method::DELETE, &path, None).await).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, gone) = parts(world.hook(0, Method::DELETE, &path, None).await).await;
    assert_eq!((status, &gone["code"]), (StatusCode::NOT_FOUND, &json!(10008)));
    assert_eq!(world.texts(&channel).await, ["without waiting"]);
    let (_, listed) = world.control(Method::GET, &format!("/discord/chats/{channel}/messages"), None).await;
    assert_eq!(listed["items"][0]["from"], json!(id));
    assert_eq!(world.violations().await, json!({}));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn serenity_writes_by_webhook() {
    let world = start().await;
    let (known, http) = (world.webhook(0), world.http_with(""));
    let hook: Webhook =
        http.get_webhook_with_token(WebhookId::new(known.id), known.token.reveal()).await.unwrap();
    assert_eq!(hook.channel_id.map(|id| id.get()), Some(known.channel));
    assert!(hook.user.is_none(), "who made it is not for everybody");
    let message = ExecuteWebhook::new().content("by serenity").username("somebody");
    let sent = hook.execute(&http, true, message).await.unwrap().unwrap();
    assert_eq!((sent.webhook_id, sent.author.name.as_str()), (Some(hook.id), "somebody"));
    let edit = EditWebhookMessage::new().content("edited");
    assert_eq!(hook.edit_message(&http, sent.id, edit).await.unwrap().content, "edited");
    assert_eq!(hook.get_message(&http, None, sent.id).await.unwrap().content, "edited");
    hook.delete_message(&http, None, sent.id).await.unwrap();
    hook.delete(&http).await.unwrap();
    assert!(hook.execute(&http, true, ExecuteWebhook::new().content("x")).await.is_err());
    let bot = world.http(0);
    let channel = serenity::all::ChannelId::new(known.channel);
    assert!(channel.send_message(&bot, CreateMessage::new().content("still there")).await.is_ok());
    world.sandbox.stop().await;
}

#[tokio::test]
async fn webhooks_are_refused_in_discords_words() {
    let world = start().await;
    let (hook, channel) = (world.webhook(0), world.webhook(0).channel.to_string());
    let text = json!({"content": "x"});
    let own = format!("/webhooks/{}/{}", hook.id, hook.token.reveal());
    let by_bot = world.send(0, &channel, text.clone()).await;
    let by_bot = parts(by_bot).await.1["id"].as_str().unwrap().to_owned();
    let other = parts(world.hook(1, Method::POST, "?wait=true", Some(&text)).await).await.1;
    let table: Vec<(Method, String, Option<Value>, u16, u32)> = vec![
        (Method::POST, "/webhooks/4711/abc".into(), Some(text.clone()), 404, 10015),
        (Method::POST, format!("/webhooks/{}/abc", hook.id), Some(text.clone()), 401, 50027),
        (Method::GET, format!("/webhooks/{}/abc", hook.id), None, 401, 50027),
        (Method::GET, format!("/webhooks/{}", hook.id), None, 401, 0),
        (Method::POST, own.clone(), Some(json!({})), 400, 50006),
        (Method::POST, own.clone(), None, 400, 50109),
        (Method::POST, own.clone(), Some(json!({"content": "x".repeat(2001)})), 400, 50035),
        (Method::POST, own.clone(), Some(json!({"content": "x", "username": "my Discord"})), 400, 50035),
        (Method::POST, own.clone(), Some(json!({"content": "x", "username": "Clyde"})), 400, 50035),
        (Method::POST, own.clone(), Some(json!({"content": "x", "username": "a".repeat(81)})), 400, 50035),
        (Method::POST, own.clone(), Some(json!({"content": "x", "avatar_url": "a.png"})), 400, 50035),
        (Method::POST, own.clone(), Some(json!({"content": "x", "thread_name": "t"})), 400, 220_003),
        (Method::POST, format!("{own}?wait=perhaps"), Some(text.clone()), 400, 50035),
        (Method::POST, format!("{own}?thread_id=5"), Some(text.clone()), 404, 10003),
        (Method::PATCH, format!("{own}/messages/{by_bot}"), Some(text.clone()), 404, 10008),
        (Method::GET, format!("{own}/messages/{}", other["id"].as_str().unwrap()), None, 404, 10008),
        (Method::PUT, own.clone(), None, 405, 0),
    ];
    for (method, path, body, status, code) in table {
        let (seen, answer) = parts(world.call_bare(method.clone(), &path, body.as_ref()).await).await;
        assert_eq!((seen.as_u16(), &answer["code"]), (status, &json!(code)), "{method} {path}: {answer}");
    }
    assert_eq!(world.texts(&channel).await, ["x"], "nothing of it had an effect");
    assert_eq!(world.violations().await["discord.webhook_gone"], Value::Null);
    world.call_bare(Method::POST, "/webhooks/4711/abc", Some(&text)).await.unwrap();
    assert_eq!(world.violations().await["discord.webhook_gone"], json!(1), "it was told that it is gone");
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_webhook_has_no_nonce_and_answers_nothing() {
    let world = start().await;
    let channel = world.webhook(0).channel.to_string();
    let asked = world.write(&channel, "a question").await;
    let body = json!({"content": "x", "nonce": "n", "enforce_nonce": true,
        "message_reference": {"message_id": asked}});
    let (_, first) = world.execute(0, "?wait=true", body.clone()).await;
    let (_, second) = world.execute(0, "?wait=1", body).await;
    assert_ne!(first["id"], second["id"], "a repeat is a second message");
    assert_eq!((&first["nonce"], &first["message_reference"]), (&Value::Null, &Value::Null));
    assert_eq!(first["type"], json!(0));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn bots_with_the_permission_make_webhooks() {
    let world = start().await;
    let channel = world.channel(0, 0);
    let path = format!("/channels/{channel}/webhooks");
    let named = |name: &str| json!({"name": name});
    let (status, refused) = parts(world.call(0, Method::POST, &path, Some(&named("bridge"))).await).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!(50013)));
    world.give(0, "manage_webhooks").await;
    let (status, made) = parts(world.call(0, Method::POST, &path, Some(&named("bridge"))).await).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!((token.len(), &made["user"]["id"]), (68, &json!(world.bot(0).id.to_string())));
    assert_eq!(made["application_id"], json!(world.bot(0).id.to_string()));
    let (status, _) = parts(
        world
            .call_bare(Method::POST, &format!("/webhooks/{id}/{token}"), Some(&json!({"content": "x"})))
            .await,
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(world.texts(&channel).await, ["x"]);
    for name in ["discord", " ", &"x".repeat(81)] {
        let (status, _) = parts(world.call(0, Method::POST, &path, Some(&named(name))).await).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}");
    }
    for _ in 1..15 {
        let made = world.call(0, Method::POST, &path, Some(&named("another"))).await;
        assert_eq!(made.unwrap().status(), StatusCode::OK);
    }
    let (_, full) = parts(world.call(0, Method::POST, &path, Some(&named("more"))).await).await;
    assert_eq!(full["code"], json!(30007));
    let (_, listed) = parts(world.call(0, Method::GET, &path, None).await).await;
    assert_eq!(listed.as_array().unwrap().len(), 15);
    let guild = format!("/guilds/{}/webhooks", world.bot(0).guild);
    let (_, listed) = parts(world.call(0, Method::GET, &guild, None).await).await;
    assert_eq!(listed.as_array().unwrap().len(), 17, "and two seeded ones");
    let foreign = format!("/webhooks/{}", world.webhook(1).id);
    let (_, refused) = parts(world.call(0, Method::GET, &foreign, None).await).await;
    assert_eq!(refused["code"], json!(50001), "a webhook of another guild");
    let one = format!("/webhooks/{id}");
    let (_, got) = parts(world.call(0, Method::GET, &one, None).await).await;
    assert_eq!(got["token"], json!(token));
    let (status, _) = parts(world.call(0, Method::DELETE, &one, None).await).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, gone) = parts(world.call(0, Method::GET, &one, None).await).await;
    assert_eq!(gone["code"], json!(10015));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn faults_strike_a_webhook_by_its_account() {
    let world = start().await;
    let (account, text) = (world.webhook(0).account, json!({"content": "x"}));
    let channel = world.webhook(0).channel.to_string();
    world.fault(json!({"target": account, "kind": "unauthorized", "count": 1})).await;
    let (status, refused) = world.execute(0, "", text.clone()).await;
    assert_eq!((status, &refused["code"]), (StatusCode::UNAUTHORIZED, &json!(50027)));
    world.fault(json!({"target": account, "kind": "lost_answer", "count": 1})).await;
    assert!(world.hook(0, Method::POST, "?wait=true", Some(&text)).await.is_err(), "no answer comes");
    assert_eq!(world.texts(&channel).await, ["x"]);
    world.fault(json!({"target": account, "kind": "flood_wait", "count": 1, "wait": 60})).await;
    let refused = world.hook(0, Method::POST, "", Some(&text)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["x-ratelimit-scope"], "user");
    assert_eq!(world.execute(2, "", text.clone()).await.0, StatusCode::NO_CONTENT, "another webhook is free");
    assert_eq!(world.violations().await, json!({}), "the client did nothing wrong");
    assert_eq!(world.execute(0, "", text.clone()).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(world.violations().await["discord.call_during_wait"], json!(1));
    world.advance(60.0).await;
    assert_eq!(world.execute(0, "", text).await.0, StatusCode::NO_CONTENT);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_channel_takes_thirty_webhook_messages_a_minute_and_says_so_only_when_it_is_full() {
    let world = World::start(with_webhooks(limited())).await;
    let text = json!({"content": "x"});
    for n in 0..30 {
        if n % 5 == 0 && n > 0 {
            world.advance(2.0).await;
        }
        let sent = world.hook(0, Method::POST, "?wait=true", Some(&text)).await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK, "{n}");
        assert_eq!(number(&sent, "x-ratelimit-limit"), 5.0);
    }
    let refused = world.hook(0, Method::POST, "", Some(&text)).await.unwrap();
    assert_eq!(refused.headers()["x-ratelimit-scope"], "user", "the sixth in two seconds");
    world.advance(2.0).await;
    let refused = world.hook(0, Method::POST, "", Some(&text)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["x-ratelimit-scope"], "shared");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 4.0, "the headers look well");
    assert_eq!(number(&refused, "retry-after"), 48.0);
    let body: Value = refused.json().await.unwrap();
    assert_eq!((&body["retry_after"], &body["global"]), (&json!(48.0), &json!(false)));
    let counted = json!({"discord.rate_limit": 1, "discord.invalid_request": 1,
        "discord.webhook_channel_limit": 1});
    assert_eq!(world.violations().await, counted, "a shared refusal is no invalid request");
    world.advance(48.0).await;
    assert_eq!(world.execute(0, "", text).await.0, StatusCode::NO_CONTENT);
    world.sandbox.stop().await;
}

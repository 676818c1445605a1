//! REST through serenity, and its refusals by hand.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use serenity::all::{
    ChannelId, CreateMessage, EditMessage, GetMessages, GuildId, MessageId, Nonce, ReactionType,
};

use crate::harness::{self, parts};

#[tokio::test]
async fn serenity_reads_the_bot_its_guild_and_its_channels() {
    let world = harness::start().await;
    let http = world.http(0);
    let me = http.get_current_user().await.unwrap();
    assert_eq!(me.id.get(), world.bot(0).id);
    assert!(me.bot);
    let gateway = http.get_bot_gateway().await.unwrap();
    assert_eq!(gateway.url, world.sandbox.discord().gateway_url());
    assert_eq!(gateway.session_start_limit.remaining, 1000);
    assert_eq!(http.get_gateway().await.unwrap().url, gateway.url);
    let guilds = http.get_guilds(None, None).await.unwrap();
    assert_eq!(guilds.len(), 1);
    let guild = http.get_guild(GuildId::new(world.bot(0).guild)).await.unwrap();
    assert_eq!(guild.id, guilds[0].id);
    let channels = http.get_channels(guild.id).await.unwrap();
    assert_eq!(channels.len(), 3);
    let channel = http.get_channel(channels[0].id).await.unwrap().guild().unwrap();
    assert_eq!(channel.name, "target-1");
    let application = http.get_current_application_info().await.unwrap();
    assert_eq!(application.id.get(), world.bot(0).id);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn serenity_writes_edits_lists_and_deletes() {
    let world = harness::start().await;
    let http = world.http(0);
    let id = world.channel(0, 0);
    let channel = ChannelId::new(id.parse().unwrap());
    let asked = world.write(&id, "a question").await;
    let reply = CreateMessage::new()
        .content("**bold** <@1> 😀")
        .reference_message((channel, MessageId::new(asked.parse().unwrap())));
    let sent = channel.send_message(&http, reply).await.unwrap();
    assert_eq!(sent.content, "**bold** <@1> 😀");
    assert_eq!(sent.referenced_message.as_ref().unwrap().content, "a question");
    let edited = EditMessage::new().content("changed");
    let edited = channel.edit_message(&http, sent.id, edited).await.unwrap();
    assert!(edited.edited_timestamp.is_some());
    let mut listed = channel.messages(&http, GetMessages::new().limit(10)).await.unwrap();
    listed.reverse();
    let texts: Vec<_> = listed.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(texts, ["a question", "changed"]);
    assert!(listed[0].timestamp < listed[1].timestamp || listed[0].id < listed[1].id);
    assert_eq!(listed[0].author.name, "gail");
    let one = channel.message(&http, sent.id).await.unwrap();
    assert_eq!(one.content, "changed");
    channel.delete_message(&http, sent.id).await.unwrap();
    assert_eq!(world.texts(&id).await, ["a question"]);
    let gone = channel.message(&http, sent.id).await;
    assert!(gone.is_err());
    let unserved = http.create_reaction(channel, MessageId::new(1), &ReactionType::Unicode("a".into())).await;
    assert!(unserved.is_err(), "routes of later steps are unknown");
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_nonce_makes_one_message_of_two_for_a_few_minutes() {
    let world = harness::start().await;
    let http = world.http(0);
    let id = world.channel(0, 0);
    let channel = ChannelId::new(id.parse().unwrap());
    let message = || {
        let nonce = Nonce::String("delivery-1".to_owned());
        CreateMessage::new().content("once").nonce(nonce).enforce_nonce(true)
    };
    let first = channel.send_message(&http, message()).await.unwrap();
    let second = channel.send_message(&http, message()).await.unwrap();
    assert_eq!(first.id, second.id);
    assert!(matches!(second.nonce, Some(Nonce::String(nonce)) if nonce == "delivery-1"));
    let unenforced = json!({"content": "once", "nonce": "delivery-1"});
    let (status, third) = parts(world.send(0, &id, unenforced).await).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(third["id"], json!(first.id.to_string()), "without enforce_nonce it is a new message");
    let other_channel = world.channel(0, 1);
    let body = json!({"content": "once", "nonce": "delivery-1", "enforce_nonce": true});
    let (_, elsewhere) = parts(world.send(0, &other_channel, body.clone()).await).await;
    assert_ne!(elsewhere["id"], json!(first.id.to_string()));
    world.advance(179.0).await;
    let (_, again) = parts(world.send(0, &other_channel, body.clone()).await).await;
    assert_eq!(again["id"], elsewhere["id"]);
    world.advance(2.0).await;
    let (_, late) = parts(world.send(0, &other_channel, body).await).await;
    assert_ne!(late["id"], elsewhere["id"], "the nonce is forgotten");
    assert_eq!(world.texts(&id).await.len(), 2);
    assert_eq!(world.texts(&other_channel).await.len(), 2);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn an_integer_nonce_counts_and_keeps_its_type() {
    let world = harness::start().await;
    let id = world.channel(0, 0);
    let body = json!({"content": "once", "nonce": 12, "enforce_nonce": true});
    let (_, first) = parts(world.send(0, &id, body.clone()).await).await;
    let (_, second) = parts(world.send(0, &id, body).await).await;
    assert_eq!(first["id"], second["id"]);
    assert_eq!(second["nonce"], json!(12));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn only_bots_with_a_known_token_are_let_in() {
    let world = harness::start().await;
    let token = world.bot(0).token.reveal().to_owned();
    let unauthorized = json!({"message": "401: Unauthorized", "code": 0});
    for header in [token.clone(), format!("Bearer {token}"), format!("Bot {token}x"), "Bot ".to_owned()] {
        let answer = world.call_as(&header, Method::GET, "/users/@me", None).await;
        assert_eq!(parts(answer).await, (StatusCode::UNAUTHORIZED, unauthorized.clone()), "{header}");
    }
    assert_eq!(world.violations().await["discord.invalid_request"], json!(4));
    let error = world.http_with("x.y.z").get_current_user().await.unwrap_err();
    let serenity::Error::Http(error) = error else { panic!("{error}") };
    assert_eq!(error.status_code().map(|status| status.as_u16()), Some(401));
    world.sandbox.stop().await;
}

/// What is asked, what is answered: status and code.
#[tokio::test]
async fn refusals_have_discords_codes() {
    let world = harness::start().await;
    let own = world.channel(0, 0);
    let read_only = world.channel(0, 2);
    let foreign = world.channel(1, 0);
    let person = world.write(&own, "by a person").await;
    let text = json!({"content": "x"});
    let table: Vec<(Method, String, Option<Value>, u16, u32)> = vec![
        (Method::GET, "/channels/1".into(), None, 404, 10003),
        (Method::GET, format!("/channels/{foreign}"), None, 403, 50001),
        (Method::POST, format!("/channels/{foreign}/messages"), Some(text.clone()), 403, 50001),
        (Method::POST, format!("/channels/{read_only}/messages"), Some(text.clone()), 403, 50013),
        (Method::POST, format!("/channels/{own}/messages"), Some(json!({})), 400, 50006),
        (
            Method::POST,
            format!("/channels/{own}/messages"),
            Some(json!({"content": "x".repeat(2001)})),
            400,
            50035,
        ),
        (
            Method::POST,
            format!("/channels/{own}/messages"),
            Some(json!({"content": "x", "nonce": []})),
            400,
            50035,
        ),
        (
            Method::POST,
            format!("/channels/{own}/messages"),
            Some(json!({"content": "x", "embeds": [{}]})),
            400,
            50035,
        ),
        (Method::POST, format!("/channels/{own}/messages"), None, 400, 50109),
        (Method::PATCH, format!("/channels/{own}/messages/{person}"), Some(text.clone()), 403, 50005),
        (Method::DELETE, format!("/channels/{own}/messages/{person}"), None, 403, 50013),
        (Method::GET, format!("/channels/{own}/messages/5"), None, 404, 10008),
        (Method::PATCH, format!("/channels/{own}/messages/5"), Some(text.clone()), 404, 10008),
        (Method::GET, format!("/channels/{own}/messages?limit=0"), None, 400, 50035),
        (Method::GET, format!("/channels/{own}/messages?limit=101"), None, 400, 50035),
        (Method::GET, format!("/channels/{own}/messages?after=x"), None, 400, 50035),
        (Method::GET, format!("/channels/{own}/messages?after=1&before=2"), None, 400, 50035),
        (Method::GET, "/channels/x".into(), None, 400, 50035),
        (Method::GET, "/guilds/1".into(), None, 404, 10004),
        (Method::GET, "/nothing".into(), None, 404, 0),
        (Method::PUT, format!("/channels/{own}/messages"), None, 405, 0),
    ];
    for (method, path, body, status, code) in table {
        let (seen, answer) = parts(world.call(0, method.clone(), &path, body.as_ref()).await).await;
        assert_eq!((seen.as_u16(), &answer["code"]), (status, &json!(code)), "{method} {path}: {answer}");
        assert!(answer["message"].is_string());
    }
    assert_eq!(world.texts(&own).await, ["by a person"], "nothing of it had an effect");
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_channel_is_paged_in_every_direction() {
    let world = harness::start().await;
    let id = world.channel(0, 0);
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(world.write(&id, &format!("message {n}")).await);
    }
    let page = async |query: String| -> Vec<String> {
        let path = format!("/channels/{id}/messages?{query}");
        let (status, listed) = parts(world.call(0, Method::GET, &path, None).await).await;
        assert_eq!(status, StatusCode::OK, "{listed}");
        let texts = listed.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap());
        texts.map(|text| text.trim_start_matches("message ").to_owned()).collect()
    };
    assert_eq!(page("limit=3".to_owned()).await, ["9", "8", "7"]);
    assert_eq!(page(format!("after={}&limit=3", ids[4])).await, ["7", "6", "5"]);
    assert_eq!(page(format!("before={}&limit=3", ids[4])).await, ["3", "2", "1"]);
    assert_eq!(page(format!("around={}&limit=3", ids[4])).await, ["5", "4", "3"]);
    assert_eq!(page(format!("after={}", ids[9])).await, Vec::<String>::new());
    assert_eq!(page(String::new()).await.len(), 10);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn mentions_follow_what_is_allowed() {
    let world = harness::start().await;
    let id = world.channel(0, 0);
    let person = world.sandbox.seed().discord.persons[1].id.to_string();
    let content = format!("<@{person}> <@!{person}> <@5> @everyone");
    let send = async |allowed: Option<Value>| {
        let mut body = json!({"content": content});
        if let Some(allowed) = allowed {
            body["allowed_mentions"] = allowed;
        }
        let (_, sent) = parts(world.send(0, &id, body).await).await;
        let users: Vec<_> =
            sent["mentions"].as_array().unwrap().iter().map(|user| user["id"].clone()).collect();
        (users, sent["mention_everyone"].as_bool().unwrap())
    };
    assert_eq!(send(None).await, (vec![json!(person)], true));
    assert_eq!(send(Some(json!({"parse": []}))).await, (vec![], false));
    assert_eq!(send(Some(json!({"parse": ["everyone"]}))).await, (vec![], true));
    assert_eq!(send(Some(json!({"users": [person]}))).await, (vec![json!(person)], false));
    world.sandbox.stop().await;
}

//! What bots and channels allow, and what is told when it changes.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gateway_protocol::{Socket, identify};
use crate::harness::{self, World, parts};

async fn set(world: &World, what: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("/discord/bots/{}/{what}", world.bot(0).account);
    world.control(Method::POST, &path, Some(body)).await
}

async fn flags(world: &World) -> u64 {
    let (_, application) = parts(world.call(0, Method::GET, "/applications/@me", None).await).await;
    application["flags"].as_u64().unwrap()
}

#[tokio::test]
async fn without_the_content_intent_a_bot_may_not_ask_for_it() {
    let world = harness::start().await;
    assert_eq!(flags(&world).await, 1 << 19, "limited, as of every bot in few guilds");
    let (status, view) = set(&world, "intents", json!({"message_content": false})).await;
    let expected = json!({"message_content": false, "guild_members": false, "guild_presences": false,
        "manage_messages": false, "manage_webhooks": false, "manage_threads": false});
    assert_eq!((status, view), (StatusCode::OK, expected));
    assert_eq!(flags(&world).await, 0);
    let mut socket = Socket::hello(&world).await;
    socket.send(identify(&world, 33_281)).await;
    assert_eq!(socket.closed().await, Some(4014));
    let mut socket = Socket::hello(&world).await;
    socket.send(identify(&world, 513)).await;
    assert_eq!(socket.payload().await["d"]["application"]["flags"], json!(0));
    assert_eq!(socket.payload().await["t"], json!("GUILD_CREATE"));
    world.write(&world.channel(0, 0), "https://example.org is not for you").await;
    let created = socket.payload().await["d"].clone();
    assert_eq!((&created["content"], &created["author"]["username"]), (&json!(""), &json!("gail")));
    assert_eq!(socket.payload().await["d"]["embeds"], json!([]), "nor is the preview");
    set(&world, "intents", json!({"guild_members": true, "message_content": true})).await;
    let mut socket = Socket::hello(&world).await;
    socket.send(identify(&world, 33_281 | 2)).await;
    assert_eq!(socket.payload().await["t"], json!("READY"));
    assert_eq!(set(&world, "intents", json!({"everything": true})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_permission_shows_in_the_bots_role_and_its_guild() {
    let world = harness::start().await;
    let guild = world.bot(0).guild;
    set(&world, "permissions", json!({"manage_messages": true, "manage_webhooks": true})).await;
    let extra: u64 = (1 << 13) | (1 << 29);
    let (_, guilds) = parts(world.call(0, Method::GET, "/users/@me/guilds", None).await).await;
    let all: u64 = guilds[0]["permissions"].as_str().unwrap().parse().unwrap();
    assert_eq!(all & extra, extra);
    let member = format!("/guilds/{guild}/members/{}", world.bot(0).id);
    let (_, member) = parts(world.call(0, Method::GET, &member, None).await).await;
    let (_, roles) = parts(world.call(0, Method::GET, &format!("/guilds/{guild}/roles"), None).await).await;
    let own = roles.as_array().unwrap().iter().find(|role| role["id"] == member["roles"][0]).unwrap();
    assert_eq!((&own["permissions"], &own["managed"]), (&json!(extra.to_string()), &json!(true)));
    assert_eq!(own["tags"]["bot_id"], json!(world.bot(0).id.to_string()));
    let parsed = world.http(0).get_guild(guild.into()).await.unwrap();
    assert_eq!(parsed.roles.len(), 2, "serenity reads it");
    let nobody = format!("/guilds/{guild}/members/5");
    let (status, answer) = parts(world.call(0, Method::GET, &nobody, None).await).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!(10007)));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_channel_can_be_closed_to_writers_and_opened_again() {
    let world = harness::start().await;
    let channel = world.channel(0, 0);
    let path = format!("/discord/chats/{channel}/permissions");
    let text = json!({"content": "x"});
    let (status, _) = world.control(Method::POST, &path, Some(json!({"send_messages": false}))).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, refused) = parts(world.send(0, &channel, text.clone()).await).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!(50013)));
    world.control(Method::POST, &path, Some(json!({"send_messages": true}))).await;
    assert_eq!(parts(world.send(0, &channel, text).await).await.0, StatusCode::OK);
    world.sandbox.stop().await;
}

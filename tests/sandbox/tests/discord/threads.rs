//! Threads, as far as somebody needs them who writes in them.

use reqwest::{Method, StatusCode};
use serde_json::json;
use switchyard_sandbox::Limits;

use crate::gateway_protocol::Socket;
use crate::harness::{World, config, parts};

#[tokio::test]
async fn a_thread_is_written_to_archived_and_locked() {
    let world = World::start(config(Limits::None)).await;
    let channel = world.channel(0, 0);
    let (mut socket, _) = Socket::ready(&world).await;
    let threads = format!("/channels/{channel}/threads");
    let named = json!({"name": "a topic", "type": 11});
    let (status, thread) = parts(world.call(0, Method::POST, &threads, Some(&named)).await).await;
    assert_eq!((status, &thread["type"]), (StatusCode::OK, &json!(11)), "{thread}");
    assert_eq!(thread["parent_id"], json!(channel));
    assert_eq!(socket.payload().await["t"], json!("THREAD_CREATE"));
    let id = thread["id"].as_str().unwrap().to_owned();
    let (_, sent) = parts(world.send(0, &id, json!({"content": "inside"})).await).await;
    assert_eq!(sent["channel_id"], json!(id));
    let told = socket.payload().await;
    assert_eq!((&told["t"], &told["d"]["channel_id"]), (&json!("MESSAGE_CREATE"), &json!(id)));
    assert!(world.texts(&channel).await.is_empty(), "the channel is another place");
    let read = world.http(0).get_channel(id.parse::<u64>().unwrap().into()).await.unwrap().guild().unwrap();
    assert!(!read.thread_metadata.unwrap().archived, "serenity reads it");

    let path = format!("/channels/{id}");
    let archive = json!({"archived": true});
    world.call(0, Method::PATCH, &path, Some(&archive)).await.unwrap();
    assert_eq!(socket.payload().await["d"]["thread_metadata"]["archived"], json!(true));
    let message = format!("{path}/messages/{}", sent["id"].as_str().unwrap());
    let (status, refused) =
        parts(world.call(0, Method::PATCH, &message, Some(&json!({"content": "x"}))).await).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!(50083)));
    let (status, _) = parts(world.send(0, &id, json!({"content": "opens it"})).await).await;
    assert_eq!(status, StatusCode::OK);
    let opened = socket.payload().await;
    assert_eq!(
        (&opened["t"], &opened["d"]["thread_metadata"]["archived"]),
        (&json!("THREAD_UPDATE"), &json!(false))
    );

    let lock = json!({"archived": true, "locked": true});
    let (_, refused) = parts(world.call(0, Method::PATCH, &path, Some(&lock)).await).await;
    assert_eq!(refused["code"], json!(50013));
    let rights = format!("/discord/bots/{}/permissions", world.bot(0).account);
    world.control(Method::POST, &rights, Some(json!({"manage_threads": true}))).await;
    world.call(0, Method::PATCH, &path, Some(&lock)).await.unwrap();
    let (_, refused) = parts(world.send(0, &id, json!({"content": "x"})).await).await;
    assert_eq!(refused["code"], json!(50083), "a locked thread stays closed");
    let (_, refused) =
        parts(world.call(0, Method::POST, &format!("{path}/threads"), Some(&named)).await).await;
    assert_eq!(refused["code"], json!(50024), "no thread in a thread");
    world.sandbox.stop().await;
}

#[tokio::test]
async fn a_webhook_writes_in_a_thread_of_its_channel() {
    let mut config = config(Limits::None);
    config.shape.webhooks = 1;
    let world = World::start(config).await;
    let webhook = world.sandbox.seed().discord.webhooks[0].clone();
    let threads = format!("/channels/{}/threads", webhook.channel);
    let (_, thread) = parts(world.call(0, Method::POST, &threads, Some(&json!({"name": "t"}))).await).await;
    let id = thread["id"].as_str().unwrap();
    let hook = format!("/webhooks/{}/{}", webhook.id, webhook.token.reveal());
    let path = format!("{hook}?wait=true&thread_id={id}");
    let (status, sent) =
        parts(world.call_bare(Method::POST, &path, Some(&json!({"content": "x"}))).await).await;
    assert_eq!((status, &sent["channel_id"]), (StatusCode::OK, &json!(id)));
    let message = format!("{hook}/messages/{}", sent["id"].as_str().unwrap());
    let (_, unknown) = parts(world.call_bare(Method::GET, &message, None).await).await;
    assert_eq!(unknown["code"], json!(10008), "the thread must be named");
    let named = format!("{message}?thread_id={id}");
    let (status, _) = parts(world.call_bare(Method::DELETE, &named, None).await).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, elsewhere) = parts(
        world
            .call(
                0,
                Method::POST,
                &format!("/channels/{}/threads", world.channel(0, 0)),
                Some(&json!({"name": "t"})),
            )
            .await,
    )
    .await;
    let wrong = format!("{hook}?thread_id={}", elsewhere["id"].as_str().unwrap());
    let (_, refused) =
        parts(world.call_bare(Method::POST, &wrong, Some(&json!({"content": "x"}))).await).await;
    assert_eq!(refused["code"], json!(10003), "a thread of another channel");
    world.sandbox.stop().await;
}

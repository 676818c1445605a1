//! What `GET /sandbox` says of accounts of every kind.

use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SeedShape};

use super::harness::{USER, sandbox_with, source_chat};

#[tokio::test]
async fn accounts_of_every_kind_are_named_with_what_signs_them_in() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pairs = PairCounts {
        telegram_to_discord: 1,
        telegram_to_telegram: 1,
        discord_to_telegram: 1,
        discord_to_discord: 1,
    };
    let shape = SeedShape { telegram_users: 2, telegram_bots: 1, discord_bots: 1, webhooks: 1, pairs };
    let sandbox = sandbox_with(|config| config.shape = shape).await;
    let identity: Value =
        reqwest::get(format!("{}/sandbox", sandbox.control_url())).await.unwrap().json().await.unwrap();
    let accounts = identity["accounts"].as_array().unwrap();
    let kinds: Vec<_> = accounts.iter().map(|account| account["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["telegram_user", "telegram_user", "telegram_bot", "discord_bot", "discord_webhook"]);
    let seed = sandbox.seed();
    assert!(accounts[0].get("password").is_none());
    assert_eq!(accounts[1]["password"], seed.telegram.users[1].password.as_ref().unwrap().reveal());
    let bot = &seed.telegram.bots[0];
    let expected = json!({
        "kind": "telegram_bot", "id": bot.account, "name": "Telegram Bot 1",
        "platform_id": "3000001", "token": bot.token.reveal(),
    });
    assert_eq!(accounts[2], expected);
    let webhook = &seed.discord.webhooks[0];
    let (id, token) = (webhook.id.to_string(), webhook.token.reveal());
    let expected = json!({
        "kind": "discord_webhook", "id": webhook.account, "name": "Webhook 1", "platform_id": id, "token": token,
        "chat": webhook.channel.to_string(),
        "url": format!("http://{}/api/webhooks/{id}/{token}", sandbox.discord_address()),
    });
    assert_eq!(accounts[4], expected);
    assert_eq!(identity["pairs"].as_array().unwrap().len(), 4);
    let chats = identity["chats"].as_array().unwrap();
    for pair in identity["pairs"].as_array().unwrap() {
        for end in [&pair["source"], &pair["target"]] {
            let chat = chats.iter().find(|chat| chat["chat"] == end["chat"]).unwrap();
            assert_eq!((&chat["readable"], &chat["writable"]), (&json!(true), &json!(true)), "{chat}");
        }
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn places_in_channels_and_faults_of_chats_are_set_over_http() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = sandbox_with(|_| {}).await;
    let client = reqwest::Client::new();
    let post = |path: String, body: Value| {
        let url = format!("{}/sandbox/{path}", sandbox.control_url());
        let request = client.post(url).json(&body);
        async { request.send().await.unwrap() }
    };
    let chat = source_chat(&sandbox);
    let members = format!("telegram/chats/{chat}/members");
    for role in [json!("restricted"), json!("admin"), Value::Null, json!("member")] {
        let answer = post(members.clone(), json!({ "user_id": USER, "role": role })).await;
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body, json!({ "user_id": USER, "role": role }));
    }
    assert_eq!(post(members.clone(), json!({ "user_id": 5, "role": "member" })).await.status(), 422);
    assert_eq!(post(members, json!({ "user_id": USER, "role": "king" })).await.status(), 422);
    let nowhere = "telegram/chats/-1005/members".to_owned();
    assert_eq!(post(nowhere, json!({ "user_id": USER, "role": "member" })).await.status(), 404);

    let target = format!("telegram:{chat}");
    let fault = json!({ "target": target, "kind": "chat_write_forbidden", "count": 2, "wait": 1 });
    let answer = post("faults".to_owned(), fault).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["items"][0]["target"], target);
    let wrong = json!({ "target": "telegram:here", "kind": "chat_write_forbidden", "count": 2 });
    assert_eq!(post("faults".to_owned(), wrong).await.status(), 422);
    sandbox.stop().await;
}

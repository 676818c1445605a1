//! The chats that accounts of a running daemon know: dialogs, what a bot has met, servers' channels, a webhook's channel.

use serde_json::Value;
use switchyard_sandbox::SandboxConfig;

use crate::account_changes::get;
use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::operator::seeded;

fn id<'w>(world: &'w World, kind: &str) -> &'w str {
    seeded(world, kind, 0)["id"].as_str().expect("an id")
}

async fn chats(data: &DataDir, account: &str, query: &str) -> Vec<Value> {
    let page = get(data, &format!("/api/v1/accounts/{account}/chats{query}")).await;
    page["items"].as_array().expect("items").clone()
}

daemon_on_both_databases! {
    async fn every_kind_of_account_names_the_chats_that_its_pairs_use(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        for pair in world.pairs() {
            let read = eventually("the session to be up", || async {
                let found = chats(&data, &pair.source.account, "").await;
                (!found.is_empty()).then_some(found)
            })
            .await;
            let source = read.iter().find(|chat| chat["chat"] == pair.source.chat.as_str());
            assert_eq!(source.expect("the source")["can_read"], true, "{read:?}");
            let written = chats(&data, &pair.target.account, "").await;
            let target = written.iter().find(|chat| chat["chat"] == pair.target.chat.as_str());
            assert_eq!(target.expect("the target")["can_write"], true, "{written:?}");
        }
        let hook = seeded(&world, "discord_webhook", 0);
        let only = chats(&data, id(&world, "discord_webhook"), "").await;
        assert_eq!((only.len(), &only[0]["chat"], &only[0]["can_read"]), (1, &hook["chat"], &false.into()));
    }

    async fn chats_are_searched_and_paged(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let user = id(&world, "telegram_user");
        let all = chats(&data, user, "").await;
        let title = all[0]["title"].as_str().expect("a title");
        let found = chats(&data, user, &format!("?query={}", title.to_uppercase().replace(' ', "%20"))).await;
        assert!(found.iter().any(|chat| chat["title"] == title), "{title}: {found:?}");
        assert!(chats(&data, user, "?query=nobody%20has%20this%20name").await.is_empty());
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&data, &format!("/api/v1/accounts/{user}/chats?limit=1{cursor}")).await;
            paged.extend(page["items"].as_array().expect("items").clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, all);
    }
}

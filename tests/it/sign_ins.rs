//! Sign-ins and removals through a running daemon: QR, webhooks, bounds, and a platform that does not answer.

use serde_json::json;
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, World, eventually};
use crate::harness::operator::{fails, list, ok, seeded, told};

daemon_on_both_databases! {
    async fn a_scanned_code_signs_a_user_in(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let user = world.sandbox.seed().telegram.users[0].user_id;
        let login = ok(&data, &["accounts", "login", "--qr"], "");
        let scan = eventually("the code to be shown", || async { world.scan(user).await.then_some(()) });
        let (said, ()) = tokio::join!(login, scan);
        let link = said.lines().find(|line| line.starts_with("tg://login?token=")).expect("a link");
        assert!(said.contains("has a new login"), "{said}");
        assert!(!data.read_log().contains(link), "the link is in the log");
        let pair = world.pairs().remove(0);
        world.write_text(&pair.source, "by the new session").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["by the new session"]);
    }

    async fn a_webhook_is_added_and_written_by(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let hook = seeded(&world, "discord_webhook", 0);
        let text = |name: &str| hook[name].as_str().expect("a text").to_owned();
        ok(&data, &["accounts", "remove", &text("id"), "--yes"], "").await;
        let said = ok(&data, &["accounts", "add-webhook"], &text("url")).await;
        assert!(said.contains("is connected as account"), "{said}");
        let accounts = list(&data, "accounts").await;
        let added = accounts.iter().find(|found| found["kind"] == "discord_webhook").expect("the webhook");
        assert_eq!(added["health"]["status"], "connected");
        let mut pair = world.pairs().remove(0);
        let from = format!("{}:{}", pair.source.account, pair.source.chat);
        let to = format!("{}:{}", added["id"].as_str().expect("an id"), text("chat"));
        ok(&data, &["pairs", "add", "--from", &from, "--to", &to], "").await;
        world.write_text(&pair.source, "by webhook").await;
        pair.target.chat = text("chat");
        assert_eq!(world.wait_for(&pair.target, 1).await, ["by webhook"]);
        assert!(!data.read_log().contains(&text("token")), "the webhook's token is in the log");
    }

    async fn a_sign_in_that_nobody_finishes_holds_its_place_until_its_deadline(data) {
        let world = World::start(SandboxConfig::default()).await;
        let bounds = [("SWITCHYARD_LIMITS__SIGN_INS_MAX", "1"), ("SWITCHYARD_LIMITS__SIGN_IN_DEADLINE", "20s")];
        let _daemon = Daemon::start_with(&world, &data, &bounds).await;
        let user = &world.sandbox.seed().telegram.users[0];
        let login = ["accounts", "login"];
        // Whoever signs in leaves when the code is asked for.
        fails(&data, &login, &format!("{}\n", user.phone)).await;
        let answers = format!("{}\n{}\n", user.phone, user.code.reveal());
        let (code, complaint) = fails(&data, &login, &answers).await;
        assert!(code == 75 && complaint.contains("1 sign-ins are under way"), "{code}: {complaint}");
        eventually("the sign-in to be given up", || async {
            let (code, said, complaint) = told(&data, &login, &answers).await;
            assert!(code == 0 || code == 75, "{code}: {said}{complaint}");
            (code == 0).then_some(())
        })
        .await;
    }

    async fn an_account_whose_platform_does_not_answer_is_removed_by_force_only(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pairs = world.pairs();
        let account = &pairs[0].source.account;
        let cut = json!({ "target": account, "kind": "drop_connection", "seconds": 36_000 });
        world.fault(&cut).await;
        let (code, complaint) = fails(&data, &["accounts", "remove", account, "--yes"], "").await;
        assert!(code == 69 && complaint.contains("nothing was removed"), "{code}: {complaint}");
        for pair in &pairs {
            world.write_text(&pair.source, "written meanwhile").await;
        }
        world.no_faults().await;
        for pair in &pairs {
            assert_eq!(world.wait_for(&pair.target, 1).await, ["written meanwhile"]);
        }
        world.fault(&cut).await;
        let said = ok(&data, &["accounts", "remove", account, "--yes", "--force"], "").await;
        assert!(said.contains("did not confirm the log-out"), "{said}");
        assert!(list(&data, "accounts").await.iter().all(|found| found["id"] != account.as_str()));
        let left = list(&data, "pairs").await;
        assert!(!left.is_empty(), "pairs of other accounts stay");
        for pair in pairs.iter().filter(|pair| left.iter().any(|left| left["id"] == pair.id.as_str())) {
            world.write_text(&pair.source, "goes on").await;
            assert_eq!(world.wait_for(&pair.target, 2).await, ["written meanwhile", "goes on"]);
        }
    }
}

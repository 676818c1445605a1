//! A Telegram message arrives in Discord: real clients, real sockets, formatted text (features F3, F4, F12).

use serde_json::{Value, json};
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, World, eventually, verb};

fn entity(kind: &str, offset: usize, length: usize) -> Value {
    json!({ "type": kind, "offset": offset, "length": length })
}

daemon_on_both_databases! {
    async fn formatted_text_goes_from_telegram_to_discord(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pair = world.pairs().remove(0);
        let link = json!({ "type": "text_link", "offset": 0, "length": 4, "url": "https://example.org/a" });
        let pre = json!({ "type": "pre", "offset": 0, "length": 9, "language": "rust" });
        let cases = [
            (json!({ "text": "plain *stars* and _lines_" }), "plain \\*stars\\* and \\_lines\\_"),
            (json!({ "text": "bold word", "entities": [entity("bold", 0, 4)] }), "**bold** word"),
            (json!({ "text": "an italic word", "entities": [entity("italic", 3, 6)] }), "an *italic* word"),
            (
                json!({ "text": "both here", "entities": [entity("bold", 0, 9), entity("italic", 5, 4)] }),
                "**both *here***",
            ),
            (json!({ "text": "see x = 1", "entities": [entity("code", 4, 5)] }), "see `x = 1`"),
            (json!({ "text": "fn x() {}", "entities": [pre] }), "```rust\nfn x() {}\n```"),
            (json!({ "text": "docs", "entities": [link] }), "[docs](<https://example.org/a>)"),
            (json!({ "text": "😀 👩‍👩‍👧 🇩🇪 ok", "entities": [entity("bold", 17, 2)] }), "😀 👩‍👩‍👧 🇩🇪 **ok**"),
        ];
        for (body, _) in &cases {
            world.write(&pair.source, body).await;
        }
        let arrived = world.wait_for(&pair.target, cases.len()).await;
        let expected: Vec<&str> = cases.iter().map(|(_, markdown)| *markdown).collect();
        assert_eq!(arrived, expected);
        assert!(verb(&data, &["status"]).await.status.success());
    }

    async fn a_long_text_arrives_in_parts_and_in_order(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pair = world.pairs().remove(0);
        let long: String = (0..700).map(|n| format!("{n:04} ")).collect();
        let long = long.trim_end();
        let bold = json!({ "text": long, "entities": [entity("bold", 0, long.len())] });
        world.write(&pair.source, &bold).await;
        world.write_text(&pair.source, "after").await;
        let arrived = world.wait_for(&pair.target, 3).await;
        assert_eq!(arrived.last().map(String::as_str), Some("after"));
        let parts = &arrived[..arrived.len() - 1];
        assert!(
            parts
                .iter()
                .all(|part| part.chars().count() <= 2_000 && part.starts_with("**") && part.ends_with("**"))
        );
        let joined: Vec<&str> = parts.iter().map(|part| part.trim_matches('*')).collect();
        let numbers = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(numbers(&joined.join(" ")), numbers(long));
    }

    async fn what_must_never_be_forwarded_is_not(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pair = world.pairs().remove(0);
        // A sign-in code is written by 777000, even if it reaches a chat that a pair reads.
        world.write(&pair.source, &json!({ "from": "777000", "text": "Login code: 12345" })).await;
        world.write_text(&pair.source, "ordinary").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["ordinary"]);
    }

    async fn messages_written_while_the_daemon_is_away_arrive_once_and_in_order(data) {
        let world = World::start(SandboxConfig::default()).await;
        let pair = world.pairs().remove(0);
        let daemon = Daemon::start(&world, &data).await;
        world.write_text(&pair.source, "before").await;
        world.wait_for(&pair.target, 1).await;
        assert!(daemon.terminate().await.success(), "{}", data.read_log());
        for n in 0..250 {
            world.write_text(&pair.source, &format!("away {n}")).await;
        }
        let _daemon = Daemon::start(&world, &data).await;
        world.write_text(&pair.source, "back").await;
        let arrived = world.wait_for(&pair.target, 252).await;
        let expected: Vec<String> = std::iter::once("before".to_owned())
            .chain((0..250).map(|n| format!("away {n}")))
            .chain(["back".to_owned()])
            .collect();
        assert_eq!(arrived, expected);
    }
}

/// The `curl` lines of the latest start-up report.
fn curl_lines(data: &DataDir) -> Vec<String> {
    let log = data.read_log();
    let lines: Vec<String> =
        log.lines().filter(|line| line.starts_with("curl ")).map(str::to_owned).collect();
    lines[lines.len() - 2..].to_vec()
}

async fn shell(line: &str) -> Value {
    let line = line.to_owned();
    let run = move || std::process::Command::new("sh").args(["-c", &line]).output().expect("a shell");
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

daemon_on_both_databases! {
    async fn the_two_lines_of_the_report_work_verbatim_also_after_a_kill(data) {
        for round in 1..=3 {
            let daemon = Daemon::start_embedded(&data).await;
            let lines = curl_lines(&data);
            assert!(shell(&lines[0]).await["id"].is_string());
            eventually("the message to arrive", || async {
                let page = shell(&lines[1]).await;
                (page["items"].as_array().expect("items").len() == round).then_some(())
            })
            .await;
            // The world of an embedded sandbox goes on where it was, whatever ended the process.
            daemon.kill();
        }
    }
}

//! The operator of a test: verbs that are told secrets, and accounts and pairs by the command line.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::daemon::{DataDir, End, SeededPair, World, switchyard};

/// Runs a verb with lines on its standard input, as a script does.
pub(crate) async fn told(data: &DataDir, args: &[&str], input: &str) -> (i32, String, String) {
    let mut command = switchyard(args);
    command.arg("--data-dir").arg(data.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().expect("the command starts");
        // A command that refuses at once reads nothing.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("the command ends")
    };
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await.expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

pub(crate) async fn ok(data: &DataDir, args: &[&str], input: &str) -> String {
    let (code, out, err) = told(data, args, input).await;
    assert_eq!(code, 0, "{args:?}: {out}{err}\n{}", data.read_log());
    out
}

/// A verb that must fail: its exit code and its complaint.
pub(crate) async fn fails(data: &DataDir, args: &[&str], input: &str) -> (i32, String) {
    let (code, out, err) = told(data, args, input).await;
    assert_ne!(code, 0, "{args:?}: {out}");
    (code, err)
}

pub(crate) async fn list(data: &DataDir, what: &str) -> Vec<Value> {
    let text = ok(data, &[what, "list", "--json"], "").await;
    serde_json::from_str(&text).expect("a list")
}

/// A seeded account of a kind, by its place among those.
pub(crate) fn seeded<'w>(world: &'w World, kind: &str, index: usize) -> &'w Value {
    let of_kind = |account: &&Value| account["kind"] == kind;
    let accounts = world.seed["accounts"].as_array().expect("accounts");
    accounts.iter().filter(of_kind).nth(index).expect("such an account")
}

/// Adds a pair by the command line; answers what it is from then on.
pub(crate) async fn add_pair(data: &DataDir, source: End, target: End) -> SeededPair {
    let said = ok(data, &["pairs", "add", "--from", &place(&source), "--to", &place(&target)], "").await;
    assert!(said.trim_end().ends_with("forwards"), "{said}");
    SeededPair { id: second_word(&said), source, target }
}

/// Where a seeded webhook writes.
pub(crate) fn webhook(world: &World, index: usize) -> End {
    let hook = seeded(world, "discord_webhook", index);
    let text = |field: &str| hook[field].as_str().expect("a text").to_owned();
    End { platform: "discord".to_owned(), chat: text("chat"), account: text("id") }
}

/// An end of a pair as the command line takes it.
pub(crate) fn place(end: &End) -> String {
    format!("{}:{}", end.account, end.chat)
}

/// The id in "pair ID forwards".
pub(crate) fn second_word(said: &str) -> String {
    said.split_whitespace().nth(1).expect("an id").to_owned()
}

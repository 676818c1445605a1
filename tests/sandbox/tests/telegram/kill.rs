//! kill -9 at any instant: whatever a client was answered or told before is what the world says afterwards.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use grammers_session::updates::UpdatesLike;
use grammers_tl_types::{enums, functions, types};
use serde_json::{Value, json};
use switchyard_sandbox::WorldKey;

use super::harness::{Peer, USER, connect, key, sandbox_with, send, within};

/// Names the folder to the process that is killed.
const FOLDER: &str = "SWITCHYARD_SANDBOX_TO_KILL";
/// How often the process is killed.
const ROUNDS: usize = 4;
const SOURCE: &str = "-1001000000001";

/// Not a test: what the other one starts as a process of its own, and nothing without its folder.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let sandbox = sandbox_with(|config| {
        config.data_dir = Some(folder.into());
        config.world_key = Some(WorldKey::new([9; 32]));
    })
    .await;
    let target = &sandbox.seed().pairs[0].target.chat;
    println!("\nLISTENING {} {} {target}", sandbox.telegram_address(), sandbox.control_url());
    // It also ends when the process that started it does.
    let input = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    input.await.unwrap().unwrap();
}

/// A sandbox in a process of its own; dropping it is kill -9.
struct Process {
    child: Child,
    telegram: std::net::SocketAddr,
    control: Control,
    discord_chat: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Process {
    async fn start(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["kill::the_process_that_is_killed", "--exact", "--nocapture"]);
        let mut child =
            command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.into_iter().find_map(|line| line.strip_prefix("LISTENING ").map(str::to_owned))
        });
        let line = within(line).await.unwrap().expect("the process says where it listens");
        let words: Vec<_> = line.split(' ').collect();
        let control = Control { client: reqwest::Client::new(), base: words[1].to_owned() };
        Self { child, telegram: words[0].parse().unwrap(), control, discord_chat: words[2].to_owned() }
    }

    /// The account's client.
    async fn peer(&self) -> Peer {
        let body = json!({"auth_key": hex(&key(1)), "user_id": USER});
        self.control.post("telegram/auth-keys", &body).await.unwrap();
        let peer = connect(self.telegram, key(1));
        assert!(within(peer.client.is_authorized()).await.unwrap());
        peer.dialogs().await;
        peer
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Clone)]
struct Control {
    client: reqwest::Client,
    base: String,
}

impl Control {
    async fn call(&self, request: reqwest::RequestBuilder) -> Option<Value> {
        let response = within(request.send()).await.ok()?;
        assert!(response.status().is_success(), "{response:?}");
        let body = response.text().await.ok()?;
        serde_json::from_str(&body).ok()
    }

    /// `None` if the server is gone.
    async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        self.call(self.client.post(format!("{}/sandbox/{path}", self.base)).json(body)).await
    }

    async fn edit(&self, path: &str, text: &str) -> Option<Value> {
        let request = self.client.patch(format!("{}/sandbox/{path}", self.base));
        self.call(request.json(&json!({"text": text}))).await
    }

    /// All messages of a chat by id.
    async fn texts(&self, platform: &str, chat: &str) -> BTreeMap<u64, String> {
        let (mut texts, mut after) = (BTreeMap::new(), String::new());
        loop {
            let path = format!("{}/sandbox/{platform}/chats/{chat}/messages?after={after}", self.base);
            let listed = self.call(self.client.get(path)).await.unwrap();
            let items = listed["items"].as_array().unwrap();
            let Some(last) = items.last() else { return texts };
            after = last["id"].as_str().unwrap().to_owned();
            for item in items {
                let id = item["id"].as_str().unwrap().parse().unwrap();
                texts.insert(id, item["text"].as_str().unwrap().to_owned());
            }
        }
    }
}

/// What the account's session was told.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    pts: i32,
    id: i32,
    is_edit: bool,
}

/// Everything that was answered or told.
#[derive(Default)]
struct Seen {
    told: Vec<Told>,
    telegram: BTreeMap<u64, String>,
    discord: BTreeMap<u64, String>,
}

impl Seen {
    fn update(&mut self, update: &enums::Update) {
        let (message, pts, is_edit) = match update {
            enums::Update::NewChannelMessage(new) => (&new.message, new.pts, false),
            enums::Update::EditChannelMessage(edit) => (&edit.message, edit.pts, true),
            _ => return,
        };
        let enums::Message::Message(message) = message else { panic!("a message, got {message:?}") };
        self.told.push(Told { pts, id: message.id, is_edit });
        // An edit makes a text longer; it may have happened without having been told.
        self.telegram.entry(u64::try_from(message.id).unwrap()).or_insert_with(|| message.message.clone());
    }

    fn pushed(&mut self, updates: &UpdatesLike) {
        if let UpdatesLike::Updates(enums::Updates::Updates(updates)) = updates {
            updates.updates.iter().for_each(|update| self.update(update));
        }
    }
}

/// Writes as people on both platforms, and edits, until the server is gone.
async fn people(control: Control, discord_chat: String, round: usize) -> Seen {
    let mut seen = Seen::default();
    for n in 0.. {
        let text = format!("round {round} number {n}");
        let path = format!("telegram/chats/{SOURCE}/messages");
        let Some(answer) = control.post(&path, &json!({"text": text})).await else { break };
        let id = answer["id"].as_str().unwrap().to_owned();
        seen.telegram.insert(id.parse().unwrap(), text.clone());
        if n % 5 == 0 && control.edit(&format!("{path}/{id}"), &format!("{text} changed")).await.is_none() {
            break;
        }
        let path = format!("discord/chats/{discord_chat}/messages");
        let Some(answer) = control.post(&path, &json!({"text": text})).await else { break };
        seen.discord.insert(answer["id"].as_str().unwrap().parse().unwrap(), text);
    }
    seen
}

/// Sends as the account until the server is gone.
async fn account(
    client: grammers_client::Client,
    to: grammers_session::types::PeerRef,
    round: usize,
) -> Seen {
    let mut seen = Seen::default();
    for n in 0.. {
        let random_id = i64::try_from(round * 1_000_000 + n + 1).unwrap();
        let request = send(to, &format!("round {round} own {n}"), random_id);
        let Ok(enums::Updates::Updates(updates)) = within(client.invoke(&request)).await else { break };
        updates.updates.iter().for_each(|update| seen.update(update));
    }
    seen
}

/// The world says what was seen, and the event sequence has every event where it was.
async fn check(process: &Process, peer: &Peer, seen: &Seen) {
    let begins = |texts: &BTreeMap<u64, String>, seen: &BTreeMap<u64, String>| {
        for (id, text) in seen {
            let now = texts.get(id).unwrap_or_else(|| panic!("{id} ({text}) is gone"));
            assert!(now == text || now.strip_suffix(" changed") == Some(text), "{id}: {text} is now {now}");
        }
    };
    let strip = |seen: &BTreeMap<u64, String>| {
        seen.iter().map(|(id, text)| (*id, text.trim_end_matches(" changed").to_owned())).collect()
    };
    begins(&process.control.texts("telegram", SOURCE).await, &strip(&seen.telegram));
    begins(&process.control.texts("discord", &process.discord_chat).await, &seen.discord);
    let channel = peer.input_channel(SOURCE).await;
    for told in &seen.told {
        let request = functions::updates::GetChannelDifference {
            force: false,
            channel: channel.clone(),
            filter: enums::ChannelMessagesFilter::Empty,
            pts: told.pts - 1,
            limit: 1,
        };
        let difference = peer.call(&request).await.unwrap();
        let enums::updates::ChannelDifference::Difference(difference) = difference else {
            panic!("{told:?} is not in the sequence: {difference:?}")
        };
        let types::updates::ChannelDifference { pts, new_messages, other_updates, .. } = difference;
        let edited = other_updates.iter().find_map(|update| match update {
            enums::Update::EditChannelMessage(edit) => Some(edit.message.id()),
            _ => None,
        });
        let found = if told.is_edit { edited } else { new_messages.first().map(enums::Message::id) };
        assert_eq!((pts, found), (told.pts, Some(told.id)), "{told:?}");
    }
}

#[tokio::test]
async fn what_was_answered_or_told_before_a_kill_is_so_after_it() {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let process = Process::start(folder.path()).await;
        let mut peer = process.peer().await;
        check(&process, &peer, &seen).await;
        let to = peer.peer(SOURCE).await;
        let people = tokio::spawn(people(process.control.clone(), process.discord_chat.clone(), round));
        let account = tokio::spawn(account(peer.client.clone(), to, round));
        let enough = seen.told.len() + 60 + 37 * round;
        while seen.told.len() < enough {
            seen.pushed(&within(peer.updates.recv()).await.unwrap());
        }
        drop(process);
        // What had arrived by then was told as well.
        while let Some(updates) = within(peer.updates.recv()).await {
            if matches!(updates, UpdatesLike::ConnectionClosed) {
                break;
            }
            seen.pushed(&updates);
        }
        for part in [within(people).await.unwrap(), within(account).await.unwrap()] {
            seen.told.extend(part.told);
            seen.telegram.extend(part.telegram);
            seen.discord.extend(part.discord);
        }
    }
    let process = Process::start(folder.path()).await;
    check(&process, &process.peer().await, &seen).await;
    assert!(seen.told.iter().any(|told| told.is_edit) && seen.discord.len() > ROUNDS);
}

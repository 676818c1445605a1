//! `status --watch`: the command as a process of its own beside a daemon that goes and comes back.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};
use switchyard_actors::supervision::NodeView;
use tempfile::TempDir;

use crate::harness::daemon::eventually;
use crate::http_support::{FakeAdmin, Harness, node};

/// What a stream said so far.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// Keeps what comes until the stream ends.
    fn listen(&self, mut stream: impl Read + Send + 'static) {
        let heard = self.0.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // A terminal whose other end is closed answers with an error.
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                heard.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    fn lines(&self) -> Vec<String> {
        let text = self.text();
        // Only whole lines.
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    async fn wait_for(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        eventually(what, || async { Some(self.text()).filter(|text| fits(text)) }).await
    }
}

/// The command, and what it says.
struct Watching {
    child: Child,
    out: Heard,
    err: Heard,
}

fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command
        .args(["status", "--watch", "--interval", "100ms", "--data-dir"])
        .arg(folder.path())
        .args(arguments);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Watching {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (out, err) = (Heard::default(), Heard::default());
        if let Some(stream) = child.stdout.take() {
            out.listen(stream);
        }
        err.listen(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    fn through_a_pipe(folder: &TempDir, arguments: &[&str]) -> Self {
        let mut command = command(folder, arguments);
        command.stdout(Stdio::piped());
        Self::start(command)
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        let child = Mutex::new(&mut self.child);
        eventually("the command to end", || async { child.lock().unwrap().try_wait().unwrap() }).await
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn parked(path: &str) -> NodeView {
    let mut parked = serde_json::to_value(node(path)).unwrap();
    parked["state"] = json!("parked");
    parked["reason"] = json!("6 restarts in 60 s");
    serde_json::from_value(parked).unwrap()
}

fn daemon(folder: &TempDir, admin: FakeAdmin) -> Harness {
    let harness = Harness::start(admin);
    harness.access.publish(folder.path()).unwrap();
    harness
}

#[actix_web::test]
async fn snapshots_follow_each_other_until_an_interrupt() {
    let folder = TempDir::new().unwrap();
    let harness = daemon(&folder, FakeAdmin::with_paths(&["root", "pairs"]));
    let mut watching = Watching::through_a_pipe(&folder, &[]);
    let three = |text: &str| text.matches("ready, green; 2 actors shown: 2 running").count() >= 3;
    let text = watching.out.wait_for("three snapshots", three).await;
    assert!(text.contains("\n\nready, green;") && !text.contains('\u{1b}'), "{text}");
    watching.interrupt();
    assert_eq!(watching.ended().await.code(), Some(0));
    assert_eq!(watching.err.text(), "");
    harness.stop().await;
}

#[actix_web::test]
async fn a_daemon_that_is_away_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let first = daemon(&folder, FakeAdmin::with_paths(&["root"]));
    let mut watching = Watching::through_a_pipe(&folder, &["--json"]);
    let mut plain = Watching::through_a_pipe(&folder, &["--state", "running"]);
    watching.out.wait_for("a snapshot", |text| text.contains('\n')).await;
    plain.out.wait_for("a snapshot", |text| text.contains("1 actors")).await;
    first.stop().await;
    for watching in [&watching, &plain] {
        watching.err.wait_for("the daemon to be missed", |text| text.contains("; waiting for it\n")).await;
    }
    watching
        .out
        .wait_for("a line without a daemon", |text| text.contains("\"away\":\"no daemon answers"))
        .await;
    // Another run of the daemon: another port, another token, other actors.
    let second = daemon(&folder, FakeAdmin::with_paths(&["root", "pairs", "queues"]));
    for watching in [&watching, &plain] {
        watching.err.wait_for("the daemon to be back", |text| text.contains("the daemon is back\n")).await;
    }
    plain.out.wait_for("its actors", |text| text.contains("3 actors shown: 3 running")).await;
    let found = eventually("its actors", || async {
        let lines: Vec<Value> =
            watching.out.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines.last()?["items"].as_array()?.len() == 3).then_some(lines)
    });
    for line in found.await {
        let keys: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            keys,
            ["away", "items", "jobs", "ready", "reasons", "verdict"],
            "one shape, there or away"
        );
        assert_eq!(line["away"].is_null(), line["ready"] == true);
    }
    watching.interrupt();
    assert_eq!(watching.ended().await.code(), Some(0), "it was there when last looked at");
    for said in [watching.err.text(), plain.err.text()] {
        assert_eq!((said.matches("waiting for it").count(), said.lines().count()), (1, 2), "{said}");
    }
    second.stop().await;
    plain
        .err
        .wait_for("the daemon to be missed again", |text| text.matches("waiting for it").count() == 2)
        .await;
    plain.interrupt();
    assert_eq!(plain.ended().await.code(), Some(69), "it was away when last looked at");
}

#[actix_web::test]
async fn it_may_begin_before_the_daemon() {
    let folder = TempDir::new().unwrap();
    let mut watching = Watching::through_a_pipe(&folder, &[]);
    let missed =
        watching.err.wait_for("the daemon to be missed", |text| text.contains("waiting for it")).await;
    assert!(missed.starts_with("switchyard: no daemon runs on the data folder "), "{missed}");
    let harness = daemon(&folder, FakeAdmin::with_paths(&["root"]));
    watching.out.wait_for("a snapshot", |text| text.contains("1 actors")).await;
    harness.state.drain();
    watching.err.wait_for("the drain to be told", |text| text.contains("the daemon is draining")).await;
    watching.interrupt();
    assert_eq!(watching.ended().await.code(), Some(75), "try again later");
    harness.stop().await;
}

#[actix_web::test]
async fn it_ends_when_nobody_reads_any_more() {
    let folder = TempDir::new().unwrap();
    let harness = daemon(&folder, FakeAdmin::with_paths(&["root"]));
    for arguments in [[].as_slice(), &["--json"], &["--interval", "1h"]] {
        let mut command = command(&folder, &[]);
        // The last one counts.
        command.args(arguments).stdout(Stdio::piped());
        if arguments.len() == 2 {
            command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
            command.args(["status", "--watch", "--data-dir"]).arg(folder.path()).args(arguments);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        assert!(read.await.unwrap().contains("ready"));
        let err = Heard::default();
        err.listen(child.stderr.take().unwrap());
        let mut watching = Watching { child, out: Heard::default(), err };
        assert_eq!(watching.ended().await.code(), Some(0), "{arguments:?}");
        assert_eq!(watching.err.text(), "", "the reader had what it wanted");
    }
    harness.stop().await;
    // Also while there is nothing to write.
    let nothing = TempDir::new().unwrap();
    let mut alone = command(&nothing, &[]);
    let (reader, writer) = std::io::pipe().unwrap();
    alone.stdout(writer);
    let mut waiting = Watching::start(alone);
    waiting.err.wait_for("the daemon to be missed", |text| text.contains("waiting for it")).await;
    drop(reader);
    assert_eq!(waiting.ended().await.code(), Some(69), "the daemon was away");
}

#[actix_web::test]
async fn what_another_look_cannot_mend_ends_it() {
    let folder = TempDir::new().unwrap();
    let harness = daemon(&folder, FakeAdmin::with_paths(&["root"]));
    *harness.admin.lost.lock().unwrap() = true;
    let mut watching = Watching::through_a_pipe(&folder, &["--prefix", "pairs/gone"]);
    assert_eq!(watching.ended().await.code(), Some(64));
    assert_eq!(watching.err.text(), "switchyard: actor pairs/gone not found\n");
    let full = File::options().write(true).open("/dev/full").unwrap();
    *harness.admin.lost.lock().unwrap() = false;
    let mut command = command(&folder, &["--json"]);
    command.stdout(full);
    let mut watching = Watching::start(command);
    assert_eq!(watching.ended().await.code(), Some(74));
    let said = watching.err.text();
    assert!(said.starts_with("switchyard: the output cannot be written: "), "{said}");
    harness.stop().await;
}

/// A terminal of so many rows and columns: our end, and the command's.
fn terminal(rows: u16, columns: u16) -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    resize(&ours, rows, columns);
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = File::options().read(true).write(true).open(name).unwrap();
    (File::from(ours), OwnedFd::from(theirs))
}

fn resize(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

/// What stood on the terminal after each drawing.
fn drawings(text: &str) -> Vec<Vec<String>> {
    let drawn = text.split("\u{1b}[H").skip(1).filter_map(|drawing| drawing.split_once("\u{1b}[J"));
    let clean = |line: &str| line.trim_end_matches('\r').trim_end_matches("\u{1b}[K").to_owned();
    drawn.map(|(drawing, _)| drawing.split_terminator('\n').map(clean).collect()).collect()
}

#[actix_web::test]
async fn a_terminal_is_drawn_anew() {
    let folder = TempDir::new().unwrap();
    let paths: Vec<String> = (0..40).map(|n| format!("pairs/{n:02}")).collect();
    let mut admin = FakeAdmin::with_paths(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    admin.nodes.push(parked("sessions/broken"));
    let harness = daemon(&folder, admin);
    let (ours, theirs) = terminal(12, 60);
    let mut command = command(&folder, &[]);
    command.stdout(theirs);
    let mut watching = Watching::start(command);
    // The command has its end to itself, so that ours ends with it.
    watching.out.listen(ours.try_clone().unwrap());
    let text = watching.out.wait_for("drawings", |text| drawings(text).len() >= 3).await;
    assert!(text.starts_with("\u{1b}[2J\u{1b}[H") && text.matches("\u{1b}[2J").count() == 1, "{text:?}");
    let drawing = &drawings(&text)[1];
    assert_eq!(drawing.len(), 11, "as many lines as fit: {drawing:?}");
    assert_eq!(drawing[0], "ready, green; 41 actors shown: 40 running, 1 parked");
    assert!(
        drawing[2].starts_with("PATH") && drawing[3].starts_with("sessions/broken  pair  parked"),
        "{drawing:?}"
    );
    assert!(drawing[4].starts_with("pairs/00"), "then in order of paths");
    assert_eq!(drawing[10], "and 34 more; choose with --prefix and --state");
    assert!(drawing.iter().all(|line| line.chars().count() <= 60), "{drawing:?}");
    resize(&ours, 30, 200);
    let wide = |text: &str| drawings(text).last().is_some_and(|drawing| drawing.len() == 29);
    let text = watching.out.wait_for("a larger drawing", wide).await;
    assert!(drawings(&text).last().unwrap()[3].ends_with("6 restarts in 60 s"));
    harness.stop().await;
    let away = |text: &str| {
        drawings(text).last().is_some_and(|drawing| {
            drawing.first().is_some_and(|line| line.starts_with("AWAY: ")) && drawing.len() > 20
        })
    };
    watching.out.wait_for("the daemon to be missed, above what was seen", away).await;
    let harness = daemon(&folder, FakeAdmin::with_paths(&["root"]));
    let back = |text: &str| {
        drawings(text).last().is_some_and(|drawing| {
            drawing.first().is_some_and(|line| line == "ready, green; 1 actors shown: 1 running")
        })
    };
    watching.out.wait_for("the daemon to be back", back).await;
    watching.interrupt();
    assert_eq!(watching.ended().await.code(), Some(0));
    assert_eq!(watching.err.text(), "");
    harness.stop().await;
}

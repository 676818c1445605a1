//! Erlang/OTP's own supervisor, which plays scripts in a process of its own: see `oracle.escript`.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// With this variable set, a missing Erlang fails the tests instead of skipping them.
const REQUIRE: &str = "SWITCHYARD_REQUIRE_ERLANG";

/// An answer takes a millisecond; one that does not come in this time never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// Scripts that are on their way at once.
const BATCH: usize = 256;

pub struct Oracle {
    process: Child,
    scripts: Option<ChildStdin>,
    logs: Receiver<String>,
    /// Which OTP it is.
    pub version: String,
}

impl Oracle {
    /// `None`, said loudly, where Erlang is not installed.
    pub fn start(test: &str) -> Option<Self> {
        let Some(escript) = escript() else {
            assert!(std::env::var_os(REQUIRE).is_none(), "{REQUIRE} is set and Erlang is not installed");
            // Past the test harness, which swallows what a passing test prints.
            let said = format!("SKIPPED: {test}: escript not found; {REQUIRE}=1 makes that a failure\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/oracle.escript");
        let mut process = Command::new(escript)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("escript starts");
        let (send, logs) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut oracle = Self { scripts: process.stdin.take(), process, logs, version: String::new() };
        oracle.version = oracle.hear();
        Some(oracle)
    }

    /// The logs of these scripts.
    pub fn play(&mut self, scripts: &[String]) -> Vec<String> {
        let mut logs = Vec::with_capacity(scripts.len());
        for batch in scripts.chunks(BATCH) {
            let input = self.scripts.as_mut().unwrap();
            input.write_all((batch.join("\n") + "\n").as_bytes()).expect("the oracle lives");
            logs.extend(batch.iter().map(|_| self.hear()));
        }
        logs
    }

    fn hear(&self) -> String {
        self.logs.recv_timeout(PATIENCE).expect("the oracle answers; what it says of an error stands above")
    }
}

impl Drop for Oracle {
    /// The end of its input is the end of the oracle.
    fn drop(&mut self) {
        drop(self.scripts.take());
        if thread::panicking() {
            let _already_gone = self.process.kill();
        }
        let _status = self.process.wait();
    }
}

fn escript() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("escript")).find(|program| program.is_file())
}

//! What the supervision runtime costs: start, memory, messages, crashes, the view of a large tree; in real time.
//!
//! `cargo bench -p switchyard-actors --bench runtime -- [PART...] [--children N]`; without a part, all of them. Each part
//! runs in a process of its own, so that none inherits the heap of another. A measurement is a line
//! `metric<TAB>unit<TAB>value`; a table for people follows. `benches/peers` compares these lines with other runtimes'.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its result and fails loudly"
)]

mod child;
mod crash;
mod mailbox;
mod report;
mod scene;
mod soak;
mod start;
mod view;

use std::{env, future::Future, pin::Pin, process, time::Duration};

use report::Report;

/// Children of the parts that want many.
const CHILDREN: usize = 100_000;

/// Longest time of one part.
const PART_MAX: Duration = Duration::from_secs(300);

/// A part: what it is called, and its work with that many children.
type Part = (&'static str, fn(usize) -> Pin<Box<dyn Future<Output = Report>>>);

const PARTS: [Part; 12] = [
    ("start", |children| Box::pin(start::run(children))),
    ("tell", |_| Box::pin(mailbox::tell())),
    ("tell_child", |_| Box::pin(mailbox::tell_child())),
    ("ask", |_| Box::pin(mailbox::ask())),
    ("ask_child", |_| Box::pin(mailbox::ask_child())),
    ("crash", |_| Box::pin(crash::one(crash::Log::Text))),
    ("crash_json", |_| Box::pin(crash::one(crash::Log::Json))),
    ("crash_daemon", |_| Box::pin(crash::one(crash::Log::Daemon))),
    ("crash_quiet", |_| Box::pin(crash::one(crash::Log::Off))),
    ("mass_crash", |children| Box::pin(crash::all(children))),
    ("tree", |children| Box::pin(view::run(children))),
    ("soak", |children| Box::pin(soak::run(children))),
];

fn main() {
    let arguments = Arguments::read();
    if let Some(name) = &arguments.only {
        let (_, part) = PARTS.iter().find(|(part, _)| part == name).expect("a part of this name");
        let work = async { tokio::time::timeout(PART_MAX, part(arguments.children)).await };
        return scene::run_system(work).expect("within its time").print();
    }
    println!("build: {}", if cfg!(debug_assertions) { "debug" } else { "optimised" });
    let mut reports = Report::default();
    for (name, _) in PARTS.iter().filter(|(name, _)| arguments.wants(name)) {
        let lines = in_its_own_process(name, arguments.children);
        print!("{lines}");
        reports.read(&lines);
    }
    reports.print_table();
}

/// What the command line says.
struct Arguments {
    children: usize,
    /// Run this part in this process.
    only: Option<String>,
    parts: Vec<String>,
}

impl Arguments {
    fn read() -> Self {
        let mut read = Self { children: CHILDREN, only: None, parts: Vec::new() };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--children" => read.children = words.next().and_then(|n| n.parse().ok()).expect("a number"),
                "--only" => read.only = Some(words.next().expect("a part")),
                // What cargo adds.
                "--bench" => {}
                part if PARTS.iter().any(|(name, _)| *name == part) => read.parts.push(word),
                other => panic!("no part and no option: {other}"),
            }
        }
        read
    }

    fn wants(&self, name: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| part == name)
    }
}

fn in_its_own_process(part: &str, children: usize) -> String {
    let program = env::current_exe().expect("the path of this program");
    let output = process::Command::new(program)
        .args(["--only", part, "--children", &children.to_string()])
        .stderr(process::Stdio::inherit())
        .output()
        .expect("a process");
    assert!(output.status.success(), "{part}: {}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

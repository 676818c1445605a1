//! What `SEMANTICS.md` promises, sentence by sentence, under paused virtual time on one arbiter.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

#[path = "semantics/bench.rs"]
mod bench;
#[path = "semantics/branches.rs"]
mod branches;
#[path = "semantics/context.rs"]
mod context;
#[path = "semantics/core.rs"]
mod core;
#[path = "differential/mod.rs"]
mod differential;
#[path = "semantics/groups.rs"]
mod groups;
#[path = "semantics/health.rs"]
mod health;
#[path = "semantics/limits.rs"]
mod limits;
#[path = "semantics/log.rs"]
mod log;
#[path = "semantics/mailbox.rs"]
mod mailbox;
#[path = "semantics/orders.rs"]
mod orders;
#[path = "semantics/page.rs"]
mod page;
#[path = "semantics/panics.rs"]
mod panics;
#[path = "semantics/parking.rs"]
mod parking;
#[path = "semantics/properties.rs"]
mod properties;
#[path = "semantics/puppet.rs"]
mod puppet;
#[path = "semantics/reload.rs"]
mod reload;
#[path = "semantics/replay.rs"]
mod replay;
#[path = "semantics/restart.rs"]
mod restart;
#[path = "semantics/runners.rs"]
mod runners;
#[path = "semantics/shards.rs"]
mod shards;
#[path = "semantics/significant.rs"]
mod significant;
#[path = "semantics/soak.rs"]
mod soak;
#[path = "semantics/stopping.rs"]
mod stopping;
#[path = "semantics/storms.rs"]
mod storms;
#[path = "semantics/view.rs"]
mod view;

/// The promises and the tests name each other.
#[test]
fn every_promise_has_its_test() {
    let room = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let promises = std::fs::read_to_string(room.join("SEMANTICS.md")).unwrap();
    let mut tests = Vec::new();
    for (folder, all) in [("tests/semantics", true), ("tests/tree", false)] {
        for file in std::fs::read_dir(room.join(folder)).unwrap() {
            let found = tests_in(&std::fs::read_to_string(file.unwrap().path()).unwrap());
            // Of the domain's tests those that show a promise of the runtime at work have its number.
            tests.extend(found.into_iter().filter(|name| all || is_numbered(name)));
        }
    }
    assert!(tests.len() > 80, "{}", tests.len());
    let named: Vec<_> = promises.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect();
    // The words of code on that page that look like tests, and this test itself.
    let other = ["reset_after", "log_window", "log_signatures_max", "every_promise_has_its_test"];
    for name in named.iter().filter(|name| !other.contains(name)) {
        assert!(tests.iter().any(|test| test == name), "SEMANTICS.md names {name}, which is no test");
    }
    for test in tests {
        assert!(named.contains(&test.as_str()), "SEMANTICS.md does not say what {test} is for");
    }
}

fn tests_in(text: &str) -> Vec<String> {
    let (mut lines, mut tests) = (text.lines(), Vec::new());
    while let Some(line) = lines.next() {
        if line.trim() == "#[test]" {
            let name = lines.find_map(|line| line.trim().strip_prefix("fn "));
            tests.extend(name.and_then(|line| line.split('(').next()).map(str::to_owned));
        }
    }
    tests
}

fn is_numbered(test: &str) -> bool {
    test.strip_prefix('s').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

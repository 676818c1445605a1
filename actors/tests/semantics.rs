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
#[path = "semantics/corners.rs"]
mod corners;
#[path = "differential/mod.rs"]
mod differential;
#[path = "semantics/fresh.rs"]
mod fresh;
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
#[path = "semantics/otp.rs"]
mod otp;
#[path = "semantics/otp_endings.rs"]
mod otp_endings;
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
#[path = "semantics/scale.rs"]
mod scale;
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

fn room() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names of the tests in a folder.
fn tests_in(folder: &str) -> Vec<String> {
    let mut tests = Vec::new();
    for file in std::fs::read_dir(room().join(folder)).unwrap().map(|file| file.unwrap().path()) {
        if file.extension() != Some("rs".as_ref()) {
            continue;
        }
        let text = std::fs::read_to_string(file).unwrap();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.trim() == "#[test]" {
                let name = lines.find_map(|line| line.trim().strip_prefix("fn "));
                tests.extend(name.and_then(|line| line.split('(').next()).map(str::to_owned));
            }
        }
    }
    tests
}

/// The tests that show promises of the runtime.
fn all_tests() -> Vec<String> {
    let mut tests = tests_in("tests/semantics");
    tests.extend(tests_in("tests/differential"));
    // What one look at the directory costs is seen from within only.
    tests.extend(tests_in("src/supervision/directory"));
    // Of the domain's tests those that show a promise of the runtime at work have its number.
    tests.extend(tests_in("tests/tree").into_iter().filter(|name| is_numbered(name)));
    assert!(tests.len() > 80, "{}", tests.len());
    tests
}

fn is_numbered(test: &str) -> bool {
    test.strip_prefix('s').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The words of code that look like names of tests.
fn named(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect()
}

/// The promises and the tests name each other.
#[test]
fn every_promise_has_its_test() {
    let promises = std::fs::read_to_string(room().join("SEMANTICS.md")).unwrap();
    let (tests, named) = (all_tests(), named(&promises));
    // The words of code on that page that look like tests, and this test itself.
    let other = [
        "reset_after",
        "log_window",
        "log_signatures_max",
        "brutal_kill",
        "get_childspec",
        "every_promise_has_its_test",
    ];
    for name in named.iter().filter(|name| !other.contains(name)) {
        assert!(tests.iter().any(|test| test == name), "SEMANTICS.md names {name}, which is no test");
    }
    for test in &tests {
        assert!(named.contains(&test.as_str()), "SEMANTICS.md does not say what {test} is for");
    }
    let without = promises_without_a_test(&promises, &tests);
    assert!(without.is_empty(), "nothing shows that {without:#?}");
}

/// The sentences of that page that name none of the tests.
fn promises_without_a_test<'a>(page: &'a str, tests: &[String]) -> Vec<&'a str> {
    let shown = |line: &str| named(line).iter().any(|name| tests.iter().any(|test| test == name));
    page.lines().filter(|line| line.starts_with("- ") && !shown(line)).collect()
}

/// Each case of OTP's own suite has a line: with tests that exist, or with the reason why there is none.
#[test]
fn every_case_of_otp_has_a_test_or_a_reason() {
    let page = std::fs::read_to_string(room().join("tests/README.md")).unwrap();
    let tests = all_tests();
    let fields = |line: &str| line.split('|').map(|field| field.trim().to_owned()).collect::<Vec<_>>();
    let cases: Vec<_> =
        page.lines().map(fields).filter(|row| row.len() == 7 && row[1].parse::<u32>().is_ok()).collect();
    let numbers: Vec<_> = cases.iter().map(|row| row[1].parse::<u32>().unwrap()).collect();
    assert_eq!(numbers, (1..=88).collect::<Vec<_>>());
    for row in &cases {
        let [_, _, case, mark, witnesses, remark, _] = row.as_slice() else { panic!("{row:?}") };
        assert!(["R", "A", "-"].contains(&mark.as_str()), "{case}: {mark}");
        assert!(!witnesses.is_empty() || !remark.is_empty(), "{case} has neither a test nor a reason");
        for name in named(witnesses) {
            assert!(tests.iter().any(|test| test == name), "{case} names {name}, which is no test");
        }
    }
    let names: std::collections::BTreeSet<_> = cases.iter().map(|row| &row[2]).collect();
    assert_eq!(names.len(), 88, "each case once");
}

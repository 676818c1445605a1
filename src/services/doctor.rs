//! What a look at an installation found: one line a check, the gravest failure decides how it ends.

use std::fmt;

use serde::Serialize;

/// What a failure is about. Later ones are graver: what stands before all else is mended first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A platform that does not answer, or an account that may not do what its pairs need.
    Platform,
    /// Somebody else holds the database: later it may be free.
    Locked,
    /// The store or its disk.
    Store,
    /// Configuration, keys, ownership.
    Config,
}

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Ok,
    /// Nobody could be asked: nothing is known, good or bad.
    NotAsked {
        /// Where it is said.
        advice: String,
    },
    /// Works, and will not for long or not for everything.
    Warn {
        /// What to do.
        advice: String,
    },
    /// Does not work.
    Fail {
        /// What it is about.
        class: Class,
        /// What to do.
        advice: String,
    },
}

/// One check: what was looked at, what was found, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, such as `store.schema`.
    pub name: &'static str,
    /// What was found, for people, without secrets.
    pub found: String,
    /// How it went.
    pub verdict: Verdict,
}

impl Check {
    /// All is well.
    pub fn ok(name: &'static str, found: impl fmt::Display) -> Self {
        Self { name, found: flat(found), verdict: Verdict::Ok }
    }

    /// Nobody could be asked.
    pub fn not_asked(name: &'static str, found: impl fmt::Display, advice: impl fmt::Display) -> Self {
        Self { name, found: flat(found), verdict: Verdict::NotAsked { advice: flat(advice) } }
    }

    /// Something to look after.
    pub fn warn(name: &'static str, found: impl fmt::Display, advice: impl fmt::Display) -> Self {
        Self { name, found: flat(found), verdict: Verdict::Warn { advice: flat(advice) } }
    }

    /// Something that does not work.
    pub fn fail(
        name: &'static str,
        class: Class,
        found: impl fmt::Display,
        advice: impl fmt::Display,
    ) -> Self {
        Self { name, found: flat(found), verdict: Verdict::Fail { class, advice: flat(advice) } }
    }

    fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Ok => "ok",
            Verdict::NotAsked { .. } => "skip",
            Verdict::Warn { .. } => "warn",
            Verdict::Fail { .. } => "fail",
        }
    }

    fn class(&self) -> Option<Class> {
        match self.verdict {
            Verdict::Fail { class, .. } => Some(class),
            Verdict::Ok | Verdict::NotAsked { .. } | Verdict::Warn { .. } => None,
        }
    }

    fn advice(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Ok => None,
            Verdict::NotAsked { advice } | Verdict::Warn { advice } | Verdict::Fail { advice, .. } => {
                Some(advice)
            }
        }
    }
}

/// What others say may hold line ends and worse: a check is one line.
fn flat(text: impl fmt::Display) -> String {
    text.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Every check, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    checks: Vec<Check>,
}

/// A report as `--json` prints it.
#[derive(Serialize)]
struct Shown<'a> {
    verdict: &'static str,
    exit_code: u8,
    checks: Vec<ShownCheck<'a>>,
}

#[derive(Serialize)]
struct ShownCheck<'a> {
    check: &'static str,
    verdict: &'static str,
    class: Option<Class>,
    found: &'a str,
    advice: Option<&'a str>,
}

impl Report {
    /// Adds a check.
    pub fn push(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// The checks so far.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The gravest failure; none when nothing failed.
    #[must_use]
    pub fn gravest(&self) -> Option<Class> {
        self.checks.iter().filter_map(Check::class).max()
    }

    /// A line a check, then a line that counts.
    #[must_use]
    pub fn render(&self) -> String {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        let line = |check: &Check| {
            let advice = check.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
            format!("{:<4}  {:<width$}  {}{advice}", check.word(), check.name, check.found)
        };
        let count = |word: &str| self.checks.iter().filter(|check| check.word() == word).count();
        let mut lines: Vec<String> = self.checks.iter().map(line).collect();
        let skipped = match count("skip") {
            0 => String::new(),
            skipped => format!("{skipped} not asked, "),
        };
        lines.push(format!(
            "{} checks: {} ok, {skipped}{} to look after, {} failed",
            self.checks.len(),
            count("ok"),
            count("warn"),
            count("fail")
        ));
        lines.join("\n")
    }

    /// The report for programs, with the exit code that goes with it.
    #[must_use]
    pub fn to_json(&self, exit_code: u8) -> String {
        let worst =
            ["fail", "warn", "skip"].into_iter().find(|word| self.checks.iter().any(|c| c.word() == *word));
        let checks = self.checks.iter().map(|check| ShownCheck {
            check: check.name,
            verdict: check.word(),
            class: check.class(),
            found: &check.found,
            advice: check.advice(),
        });
        let shown = Shown { verdict: worst.unwrap_or("ok"), exit_code, checks: checks.collect() };
        serde_json::to_string_pretty(&shown).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(classes: &[Class]) -> Report {
        let mut report = Report::default();
        report.push(Check::ok("config", "it is valid"));
        report.push(Check::warn("data.disk", "2 GiB are free", "make room"));
        for class in classes {
            report.push(Check::fail("store", *class, "a\nb\u{1b}[31m", "do\tthis"));
        }
        report
    }

    #[test]
    fn the_gravest_failure_wins_in_any_order() {
        use Class::{Config, Locked, Platform, Store};
        assert_eq!(report(&[]).gravest(), None, "a warning is no failure");
        assert_eq!(report(&[Platform]).gravest(), Some(Platform));
        assert_eq!(report(&[Platform, Locked]).gravest(), Some(Locked));
        assert_eq!(report(&[Store, Locked, Platform]).gravest(), Some(Store));
        assert_eq!(report(&[Platform, Config, Store, Locked]).gravest(), Some(Config));
    }

    #[test]
    fn a_check_is_one_line_with_what_to_do() {
        let text = report(&[Class::Locked]).render();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "ok    config     it is valid",
                "warn  data.disk  2 GiB are free; make room",
                "fail  store      a b [31m; do this",
                "3 checks: 1 ok, 1 to look after, 1 failed",
            ]
        );
    }

    #[test]
    fn what_nobody_was_asked_is_not_called_good() {
        let mut report = Report::default();
        report.push(Check::ok("config", "it is valid"));
        report.push(Check::not_asked("pair", "not asked: source", "ask the daemon"));
        assert_eq!(report.gravest(), None);
        let text = report.render();
        assert!(text.contains("skip  pair    not asked: source; ask the daemon"), "{text}");
        assert!(text.ends_with("2 checks: 1 ok, 1 not asked, 0 to look after, 0 failed"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&report.to_json(0)).unwrap();
        assert_eq!(json["verdict"], "skip");
    }

    #[test]
    fn programs_get_the_same() {
        let json: serde_json::Value = serde_json::from_str(&report(&[Class::Store]).to_json(74)).unwrap();
        assert_eq!((&json["verdict"], &json["exit_code"]), (&"fail".into(), &74.into()));
        assert_eq!(json["checks"][0]["advice"], serde_json::Value::Null);
        assert_eq!(json["checks"][2]["class"], "store");
        let json: serde_json::Value = serde_json::from_str(&report(&[]).to_json(0)).unwrap();
        assert_eq!(json["verdict"], "warn");
    }
}

//! Random scripts played by the core and by Erlang/OTP's own supervisor, whose logs must be equal.
//!
//! `SWITCHYARD_DIFFERENTIAL_SCRIPTS` says how many, `SWITCHYARD_DIFFERENTIAL_SEED` which.

mod model;
mod oracle;
mod orders;
mod script;

use std::collections::BTreeMap;

use switchyard_actors::supervision::{
    AutoShutdown, Intensity, RestartType, Strategy,
    core::{CorePolicy, SlotPolicy},
};

use self::{
    model::{Twist, play, sort_ends},
    oracle::Oracle,
    script::{Kind, Script},
};

const SCRIPTS: u64 = 10_000;
const SEED: u64 = 1;

/// Scripts that are compared at once.
const PORTION: u64 = 500;

struct Difference {
    script: String,
    core: String,
    otp: String,
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |given| {
        given.parse().unwrap_or_else(|_| panic!("{variable}={given} is no number"))
    })
}

/// OTP's logs, in an order that says something.
fn otp(oracle: &mut Oracle, scripts: &[Script]) -> Vec<String> {
    let lines: Vec<_> = scripts.iter().map(ToString::to_string).collect();
    let mut logs = oracle.play(&lines);
    for (log, script) in logs.iter_mut().zip(scripts) {
        if script.kind == Kind::Dynamic {
            *log = log.split("; ").map(in_order).collect::<Vec<_>>().join("; ");
        }
    }
    logs
}

fn in_order(part: &str) -> String {
    let fields: Vec<_> = part.split(" | ").collect();
    let mut notes: Vec<_> = fields[1].split(' ').map(str::to_owned).collect();
    sort_ends(&mut notes);
    [fields[0], &notes.join(" "), fields[2]].join(" | ")
}

/// The difference that a script makes, if any.
fn difference(oracle: &mut Oracle, script: &Script, twist: Twist) -> Option<(Script, Difference)> {
    let (script, core) = play(script, twist);
    let otp = otp(oracle, std::slice::from_ref(&script)).remove(0);
    let line = script.to_string();
    (core != otp).then_some((script, Difference { script: line, core, otp }))
}

/// The smallest script that still makes a difference.
fn shrink(oracle: &mut Oracle, script: &Script, twist: Twist) -> Difference {
    let (mut script, mut found) = difference(oracle, script, twist).expect("it differs every time");
    while let Some(smaller) = script.smaller().iter().find_map(|it| difference(oracle, it, twist)) {
        (script, found) = smaller;
    }
    found
}

/// Plays the scripts of a seed and hands each, as drawn and as played, with the log that both agree on to `agreed`; the
/// first difference, shrunk.
fn compare(
    oracle: &mut Oracle,
    (seed, scripts): (u64, u64),
    twist: Twist,
    mut agreed: impl FnMut(&Script, &Script, &str),
) -> Option<(u64, Difference)> {
    for from in (0..scripts).step_by(PORTION.try_into().unwrap()) {
        let numbers = from..scripts.min(from + PORTION);
        let drawn: Vec<_> = numbers.clone().map(|n| Script::random(seed, n)).collect();
        let played: Vec<_> = drawn.iter().map(|script| play(script, twist)).collect();
        let (scripts, ours): (Vec<_>, Vec<_>) = played.into_iter().unzip();
        let theirs = otp(oracle, &scripts);
        for (at, n) in numbers.enumerate() {
            if ours[at] != theirs[at] {
                return Some((n, shrink(oracle, &scripts[at], twist)));
            }
            agreed(&drawn[at], &scripts[at], &ours[at]);
        }
    }
    None
}

/// Counts what scripts were about.
#[derive(Default)]
struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    fn add(&mut self, drawn: &Script, script: &Script, log: &str) {
        let kind = script.kind.word();
        let words = script.to_string();
        let marks = [
            ("scripts", true),
            ("gave up", log.contains('x')),
            ("ended with significant children", log.ends_with("ended shutdown") && ended_early(script, log)),
            ("restarts failed", log.contains('!')),
            ("starts were ignored", log.contains('~')),
            ("several orders at once", words.contains(',')),
            ("limits changed", words.contains("reload")),
            ("specs changed", words.contains("respec")),
            ("stopped amid exits", words.contains(",shutdown") && log.contains("ended")),
        ];
        for (mark, _) in marks.iter().filter(|(_, found)| *found) {
            *self.0.entry(format!("{kind}: {mark}")).or_default() += 1;
        }
        let actions =
            |script: &Script| u64::try_from(script.steps.iter().map(Vec::len).sum::<usize>()).unwrap();
        *self.0.entry("actions".into()).or_default() += actions(script);
        *self.0.entry("actions outside of the subset".into()).or_default() +=
            actions(drawn) - actions(script);
    }
}

/// Neither told to end nor too often restarted.
fn ended_early(script: &Script, log: &str) -> bool {
    let parts = log.split("; ").count();
    let last = log.rsplit("; ").next().unwrap();
    let told = parts == script.steps.len() + 2 || script.steps[parts - 2].len() > 1;
    !told && !last.contains('x')
}

/// On everything that OTP's supervisor has, the core decides as it does: same starts and ends in the same order, same
/// answers, same children left.
#[test]
fn decisions_equal_those_of_otp() {
    let Some(mut oracle) = Oracle::start("decisions_equal_those_of_otp") else { return };
    let scripts = number("SWITCHYARD_DIFFERENTIAL_SCRIPTS", SCRIPTS);
    let seed = number("SWITCHYARD_DIFFERENTIAL_SEED", SEED);
    println!("{scripts} scripts of seed {seed} against {}", oracle.version);
    let mut coverage = Coverage::default();
    let found = compare(&mut oracle, (seed, scripts), Twist::NONE, |drawn, script, log| {
        coverage.add(drawn, script, log)
    });
    if let Some((number, Difference { script, core, otp })) = found {
        panic!("seed {seed}, script {number}, shrunk:\n{script}\ncore: {core}\nOTP:  {otp}");
    }
    println!("{:#?}", coverage.0);
    for kind in Kind::ALL {
        for mark in
            ["gave up", "restarts failed", "starts were ignored", "several orders at once", "specs changed"]
        {
            let name = format!("{}: {mark}", kind.word());
            assert!(scripts < SCRIPTS || coverage.0.get(&name).is_some_and(|count| *count > 10), "{name}");
        }
    }
}

/// A core that is wrong in one thing is found out.
#[test]
fn a_core_that_decides_otherwise_is_found_out() {
    let Some(mut oracle) = Oracle::start("a_core_that_decides_otherwise_is_found_out") else { return };
    let branch = |branch| Twist { branch, ..Twist::NONE };
    let child = |child| Twist { child, ..Twist::NONE };
    let wrong: [(&str, Twist); 6] = [
        (
            "rest_for_one restarts one",
            branch(|policy| only(policy, Strategy::RestForOne, Strategy::OneForOne)),
        ),
        (
            "one_for_all restarts the rest",
            branch(|policy| only(policy, Strategy::OneForAll, Strategy::RestForOne)),
        ),
        (
            "one restart more",
            branch(|policy| CorePolicy { intensity: policy.intensity.map(one_more), ..policy }),
        ),
        ("any for all", branch(any_for_all)),
        (
            "transient is permanent",
            child(|policy| SlotPolicy { restart: never_down(policy.restart), ..policy }),
        ),
        ("nobody is significant", child(|policy| SlotPolicy { significant: false, ..policy })),
    ];
    for (name, twist) in wrong {
        let (number, found) =
            compare(&mut oracle, (SEED, SCRIPTS), twist, |_, _, _| {}).unwrap_or_else(|| panic!("{name}"));
        println!("{name}: script {number}: {}", found.script);
        assert!(found.script.split(';').count() <= 6, "not shrunk: {}", found.script);
        assert_ne!(found.core, found.otp);
    }
}

fn only(policy: CorePolicy, of: Strategy, to: Strategy) -> CorePolicy {
    CorePolicy { strategy: if policy.strategy == of { to } else { policy.strategy }, ..policy }
}

const fn one_more(intensity: Intensity) -> Intensity {
    Intensity::new(intensity.max_restarts.saturating_add(1), intensity.window)
}

fn any_for_all(policy: CorePolicy) -> CorePolicy {
    let all = policy.auto_shutdown == AutoShutdown::AllSignificant;
    let auto_shutdown = if all { AutoShutdown::AnySignificant } else { policy.auto_shutdown };
    CorePolicy { auto_shutdown, ..policy }
}

fn never_down(restart: RestartType) -> RestartType {
    if restart == RestartType::Transient { RestartType::Permanent } else { restart }
}

//! Rules for single files: module lines, lengths, leftovers, clocks, transactions, words.

use std::collections::BTreeMap;

use crate::files::File;

const LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// The first line says what lives in the file.
pub(crate) fn module_line(file: &File) -> Vec<String> {
    let first = file.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|text| text.trim().len() >= 10);
    if says { Vec::new() } else { vec!["the first line must be `//! what lives here`".into()] }
}

/// A file is one concept.
pub(crate) fn file_length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines > LINES_MAX { vec![format!("{lines} lines, at most {LINES_MAX}: split it")] } else { Vec::new() }
}

/// A function fits on a screen. Relies on rustfmt: a body ends at the first `}` as far in as its `fn`.
pub(crate) fn function_length(file: &File) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut complaints = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let length =
            lines[start..].iter().position(|line| ends_function(line, indent)).map_or(1, |end| end + 1);
        if length > FUNCTION_LINES_MAX {
            complaints.push(format!(
                "line {}: `{name}` has {length} lines, at most {FUNCTION_LINES_MAX}",
                start + 1
            ));
        }
    }
    complaints
}

fn function_name(line: &str) -> Option<&str> {
    let words = line.trim_start();
    let mut rest = words.split(' ').skip_while(|word| {
        matches!(*word, "pub" | "async" | "const" | "unsafe" | "extern") || word.starts_with("pub(")
    });
    (rest.next() == Some("fn")).then(|| rest.next())??.split(['(', '<']).next()
}

fn ends_function(line: &str, indent: usize) -> bool {
    let at_indent = line.len() - line.trim_start().len() == indent;
    at_indent && (line.trim_start().starts_with('}') || line.ends_with(';') || line.ends_with('}'))
}

/// Nothing is left for later, and no test is switched off.
pub(crate) fn leftovers(file: &File) -> Vec<String> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[", "ignore"), concat!("X", "XX:")];
    mentions(file, &marks, "left for later")
}

/// The project speaks of itself, not of where or by what it was written.
pub(crate) fn foreign_words(file: &File) -> Vec<String> {
    let words = [
        concat!("/wor", "k/"),
        concat!("/ho", "me/"),
        concat!("/tm", "p/"),
        concat!("../sha", "red"),
        concat!("sub", "agent"),
        concat!("LL", "M "),
        concat!("bash_", "jobs"),
    ];
    mentions(file, &words, "does not belong here")
}

fn mentions(file: &File, words: &[&str], complaint: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            found.push(format!("line {number}: `{word}`: {complaint}"));
        }
    }
    found
}

/// A deferred SQLite transaction fails with BUSY_SNAPSHOT when it comes to write: `begin_with_options` says immediate.
pub(crate) fn deferred_transactions(file: &File) -> Vec<String> {
    mentions(
        file,
        &[concat!(".beg", "in()"), concat!(".trans", "action("), concat!(".trans", "action::<")],
        "deferred",
    )
}

/// The system has one clock: at most one file of each crate's sources reads the real one.
pub(crate) fn clock_readers(files: &[File]) -> Vec<String> {
    let calls = [concat!("Utc::", "now()"), concat!("SystemTime::", "now()"), concat!("Local::", "now()")];
    let mut readers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files {
        let Some((member, _)) = file.path.split_once("src/") else { continue };
        if file.lines().any(|(_, line)| {
            !line.trim_start().starts_with("//") && calls.iter().any(|call| line.contains(call))
        }) {
            readers.entry(member).or_default().push(&file.path);
        }
    }
    readers
        .into_values()
        .filter(|paths| paths.len() > 1)
        .map(|paths| format!("more than one file reads the clock: {}", paths.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_module_line_is_seen() {
        assert_eq!(module_line(&File::sample("a.rs", "use x;\n")).len(), 1);
        assert_eq!(module_line(&File::sample("a.rs", "//! x\n")).len(), 1);
        assert!(module_line(&File::sample("a.rs", "//! What lives in here.\n")).is_empty());
    }

    #[test]
    fn a_long_file_is_seen() {
        assert_eq!(file_length(&File::sample("a.rs", &"x\n".repeat(501))).len(), 1);
        assert!(file_length(&File::sample("a.rs", &"x\n".repeat(500))).is_empty());
    }

    #[test]
    fn a_long_function_is_seen_and_its_neighbours_are_not_counted() {
        let function = |body: usize| {
            format!(
                "    pub(crate) async fn long<T>(\n        a: T,\n    ) -> T {{\n{}    }}\n",
                "        a;\n".repeat(body)
            )
        };
        assert!(function_length(&File::sample("a.rs", &function(66))).is_empty());
        assert_eq!(function_length(&File::sample("a.rs", &function(67))).len(), 1);
        let short = "trait A {\n    fn a(&self);\n    fn b() {}\n}\n";
        assert!(function_length(&File::sample("a.rs", &format!("{short}{}", "x\n".repeat(90)))).is_empty());
    }

    #[test]
    fn leftovers_and_foreign_words_are_seen() {
        assert_eq!(leftovers(&File::sample("a.rs", &format!("// TO{}: later", "DO"))).len(), 1);
        assert_eq!(foreign_words(&File::sample("a.md", &format!("see /wor{}x", "k/"))).len(), 1);
        assert!(foreign_words(&File::sample("a.md", "a framework at work")).is_empty());
    }

    #[test]
    fn deferred_transactions_are_seen() {
        let call = format!("db.beg{}.await", "in()");
        assert_eq!(deferred_transactions(&File::sample("a.rs", &call)).len(), 1);
        assert!(deferred_transactions(&File::sample("a.rs", "outbox.begin(fence, id, 0)")).is_empty());
    }

    #[test]
    fn a_second_clock_is_seen() {
        let text = format!("let t = Utc::{};", "now()");
        let one = File::sample("actors/src/a.rs", &text);
        let other = File::sample("src/b.rs", &text);
        let second = File::sample("src/c.rs", &text);
        assert!(clock_readers(&[one.clone(), other.clone()]).is_empty());
        assert_eq!(clock_readers(&[one, other, second]).len(), 1);
    }
}

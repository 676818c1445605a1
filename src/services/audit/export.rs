//! Entries of the audit log as lines of a file: NDJSON and CSV.

use serde_json::Value;

use super::{Actor, AuditEntry, Phase};

/// The columns of the CSV file, in order.
const COLUMNS: [&str; 14] = [
    "seq",
    "order",
    "at",
    "phase",
    "actor_kind",
    "actor_id",
    "actor_email",
    "address",
    "request_id",
    "action",
    "target",
    "before",
    "after",
    "outcome",
];

/// One entry as JSON on a line of its own.
#[must_use]
pub fn ndjson_line(entry: &AuditEntry) -> String {
    let mut line = serde_json::to_string(entry).unwrap_or_default();
    line.push('\n');
    line
}

/// The first line of the CSV file (RFC 4180).
#[must_use]
pub fn csv_head() -> String {
    format!("{},hash\r\n", COLUMNS.join(","))
}

/// One entry as a line of CSV.
#[must_use]
pub fn csv_line(entry: &AuditEntry) -> String {
    let json = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
    let (kind, id, email) = match &entry.actor {
        Actor::Operator => ("operator", String::new(), ""),
        Actor::Admin { id, email } => ("admin", id.to_string(), email.as_str()),
        Actor::User { id } => ("user", id.to_string(), ""),
    };
    let phase = match entry.phase {
        Phase::Asked => "asked",
        Phase::Done => "done",
        Phase::Failed => "failed",
    };
    let cells = [
        entry.seq.to_string(),
        entry.order.to_string(),
        entry.at.to_rfc3339(),
        phase.to_owned(),
        kind.to_owned(),
        id,
        email.to_owned(),
        entry.address.clone(),
        entry.request_id.clone(),
        entry.action.clone(),
        entry.target.clone().unwrap_or_default(),
        json(&entry.before),
        json(&entry.after),
        entry.outcome.clone().unwrap_or_default(),
        entry.hash.clone(),
    ];
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// Quoted where it must be. A cell that a spreadsheet would run as a formula gets an apostrophe before it.
fn cell(text: &str) -> String {
    let guarded =
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if guarded.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_run_nothing() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"no\"\n"), "\"say \"\"no\"\"\n\"");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("-1"), "'-1");
    }
}

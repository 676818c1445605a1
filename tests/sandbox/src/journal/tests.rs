//! The journal across crashes: torn lines, wrong keys, moved lines, full replays.

use std::fs;
use std::path::Path;

use super::super::Journal;
use super::*;

const KEY: WorldKey = WorldKey::new([7; 32]);

fn open(folder: &Path, key: Option<&WorldKey>) -> (Journal, Vec<String>) {
    let journal = Journal::open(folder, "discord", key, "seed 1").unwrap();
    let mut ops = Vec::new();
    journal.replay(|op: String| ops.push(op)).unwrap();
    (journal, ops)
}

#[test]
fn replays_what_was_appended() {
    for key in [None, Some(&KEY)] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, ops) = open(folder.path(), key);
        assert!(ops.is_empty());
        journal.append(&"one\n").unwrap();
        journal.append(&"two").unwrap();
        drop(journal);
        let (journal, ops) = open(folder.path(), key);
        assert_eq!(ops, ["one\n", "two"]);
        journal.append(&"three").unwrap();
        drop(journal);
        assert_eq!(open(folder.path(), key).1, ["one\n", "two", "three"]);
    }
}

#[test]
fn a_crash_at_any_byte_of_the_last_line_loses_that_line_only() {
    for key in [None, Some(&KEY)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("discord.journal");
        let (journal, _) = open(folder.path(), key);
        journal.append(&"kept").unwrap();
        let kept = fs::read(&path).unwrap().len();
        journal.append(&"torn").unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for cut in kept..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (journal, ops) = open(folder.path(), key);
            assert_eq!(ops, ["kept"], "cut at byte {cut}");
            journal.append(&"next").unwrap();
            drop(journal);
            assert_eq!(open(folder.path(), key).1, ["kept", "next"], "cut at byte {cut}");
        }
    }
}

#[test]
fn a_crash_within_the_header_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("discord.journal");
    drop(open(folder.path(), None));
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (journal, ops) = open(folder.path(), None);
        assert!(ops.is_empty());
        journal.append(&"first").unwrap();
        drop(journal);
        assert_eq!(open(folder.path(), None).1, ["first"]);
    }
}

#[test]
fn nothing_is_readable_on_disk_under_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), Some(&KEY));
    journal.append(&"a very secret sentence").unwrap();
    let bytes = fs::read(folder.path().join("discord.journal")).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.contains("secret"));
    assert!(text.contains("aes-256-gcm"));
}

#[test]
fn refuses_another_key_seed_or_name() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), Some(&KEY)));
    let reason =
        |key: Option<&WorldKey>, fingerprint| match Journal::open(folder.path(), "discord", key, fingerprint)
        {
            Err(JournalError::Foreign { reason, .. }) => reason,
            other => panic!("not refused: {other:?}"),
        };
    assert_eq!(reason(None, "seed 1"), "it was written under another key");
    assert_eq!(reason(Some(&WorldKey::new([8; 32])), "seed 1"), "it was written under another key");
    assert_eq!(reason(Some(&KEY), "seed 2"), "its world grew from another seed");
    fs::rename(folder.path().join("discord.journal"), folder.path().join("telegram.journal")).unwrap();
    let moved = Journal::open(folder.path(), "telegram", Some(&KEY), "seed 1");
    assert!(matches!(moved, Err(JournalError::Foreign { .. })));
}

#[test]
fn refuses_a_damaged_or_moved_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("discord.journal");
    let (journal, _) = open(folder.path(), Some(&KEY));
    journal.append(&"one").unwrap();
    journal.append(&"two").unwrap();
    drop(journal);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for bad in [
        format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1]),
        format!("{}\n{}\n", lines[0], lines[2]),
        format!("{}\nAAAA\n{}\n", lines[0], lines[2]),
    ] {
        fs::write(&path, bad).unwrap();
        let journal = Journal::open(folder.path(), "discord", Some(&KEY), "seed 1").unwrap();
        let replayed = journal.replay(|_: String| {});
        assert!(matches!(replayed, Err(JournalError::Damaged { line: 2, .. })), "{replayed:?}");
    }
}

#[test]
fn one_journal_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), None);
    let second = Journal::open(folder.path(), "discord", None, "seed 1");
    assert!(matches!(second, Err(JournalError::InUse { .. })));
    journal.close();
    assert!(matches!(journal.append(&"late"), Err(JournalError::Closed)));
    drop(open(folder.path(), None));
}

#[test]
fn appending_without_a_replay_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), Some(&KEY));
    journal.append(&"one").unwrap();
    drop(journal);
    let journal = Journal::open(folder.path(), "discord", Some(&KEY), "seed 1").unwrap();
    journal.append(&"two").unwrap();
    drop(journal);
    assert_eq!(open(folder.path(), Some(&KEY)).1, ["one", "two"]);
}

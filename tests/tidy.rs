//! House rules as a test: what the compiler and clippy cannot see, checked over every tracked file.
//!
//! A rule is a function from a file to complaints, so that each is tested on a sample that breaks it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a file that cannot be read is a failed test"
)]

#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/logs.rs"]
mod logs;
#[path = "tidy/style.rs"]
mod style;

use files::File;

/// Runs one rule over the files it is for and shows every complaint at once.
fn check(files: &[File], rule: impl Fn(&File) -> Vec<String>) {
    let complaints: Vec<String> = files
        .iter()
        .flat_map(|file| rule(file).into_iter().map(|text| format!("{}: {text}", file.path)))
        .collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn every_module_says_what_lives_in_it() {
    check(&files::rust(), style::module_line);
}

#[test]
fn files_and_functions_are_short() {
    check(&files::rust(), style::file_length);
    check(&files::rust(), style::function_length);
}

#[test]
fn nothing_is_left_for_later() {
    check(&files::text(), style::leftovers);
}

#[test]
fn no_word_speaks_of_a_machine_or_a_workplace() {
    check(&files::text(), style::foreign_words);
}

#[test]
fn transactions_are_never_deferred() {
    check(&files::rust(), style::deferred_transactions);
}

#[test]
fn one_file_per_crate_reads_the_clock() {
    let complaints = style::clock_readers(&files::rust());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn rooms_look_one_way() {
    check(&files::rust(), layers::violations);
}

#[test]
fn crates_depend_one_way() {
    check(&files::manifests(), crates::manifest_violations);
}

#[test]
fn banned_crates_are_not_locked() {
    let lock = files::read("Cargo.lock");
    let complaints = crates::lock_violations(&lock);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn log_messages_read_alike() {
    check(&files::rust(), logs::violations);
}

//! The files that the rules read: those git tracks, or, in an unpacked archive, those that lie there.

use std::fs;
use std::path::Path;
use std::process::Command;

/// One file and its text.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl File {
    /// A file made up for a test of a rule.
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Every Rust file.
pub(crate) fn rust() -> Vec<File> {
    with_ending(&["rs"])
}

/// Every file that people read or write.
pub(crate) fn text() -> Vec<File> {
    with_ending(&["rs", "toml", "md", "py", "sh", "txt", "yml", "yaml", "json", "sql", "escript"])
}

/// Every `Cargo.toml`.
pub(crate) fn manifests() -> Vec<File> {
    with_ending(&["toml"]).into_iter().filter(|file| file.path.ends_with("Cargo.toml")).collect()
}

/// One file by its path in the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn with_ending(endings: &[&str]) -> Vec<File> {
    let mut paths = tracked().unwrap_or_else(|| {
        let mut found = Vec::new();
        walk(root(), &mut found);
        found
    });
    paths.retain(|path| {
        path.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
            && root().join(path).is_file()
    });
    assert!(!paths.is_empty(), "no file ends in one of {endings:?}: the rules would hold for nothing");
    paths.into_iter().map(|path| File { text: read(&path), path }).collect()
}

fn tracked() -> Option<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().ok()?;
    let names = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> = names.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" || name == "switchyard-data" {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if let Ok(relative) = path.strip_prefix(root()) {
            found.push(relative.to_string_lossy().into_owned());
        }
    }
}

#[test]
fn the_walk_finds_what_git_tracks() {
    let mut walked = Vec::new();
    walk(root(), &mut walked);
    for path in ["src/main.rs", "actors/Cargo.toml", "tests/tidy.rs"] {
        assert!(walked.iter().any(|found| found == path), "{path} not among {} files", walked.len());
    }
    assert!(!walked.iter().any(|path| path.starts_with("target/")));
}

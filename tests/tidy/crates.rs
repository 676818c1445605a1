//! Rules for dependencies: what each crate may name, and what Cargo.lock may hold.

use crate::files::File;

/// Crates that must not be linked, and why is in deny.toml.
const BANNED: [&str; 9] = [
    "aws-lc-rs",
    "aws-lc-sys",
    "openssl-sys",
    "native-tls",
    "libsql",
    "libsql-ffi",
    "rusqlite",
    "cmake",
    "actix-governor",
];

/// Crates of which there must be exactly one: two would be two worlds that do not meet.
const SINGLE: [&str; 6] = ["libsqlite3-sys", "ring", "sqlx-core", "sea-orm", "actix-web", "tokio"];

/// What a member's manifest must not name, by the beginning of the name.
const WALLS: [(&str, &[&str]); 3] = [
    (
        "actors/Cargo.toml",
        &[
            "grammers",
            "serenity",
            "reqwest",
            "actix-web",
            "actix-http",
            "hyper",
            "sea-orm",
            "sqlx",
            "rustls",
            "ring",
            "lettre",
            "clap",
            "figment",
        ],
    ),
    ("tests/sandbox/Cargo.toml", &["switchyard"]),
    ("migrations/Cargo.toml", &["switchyard", "grammers", "serenity", "reqwest", "actix"]),
];

/// Dependencies that a manifest must not have.
pub(crate) fn manifest_violations(manifest: &File) -> Vec<String> {
    let Some((_, never)) = WALLS.iter().find(|(path, _)| *path == manifest.path) else { return Vec::new() };
    dependencies(&manifest.text)
        .into_iter()
        .filter(|name| never.iter().any(|start| name.starts_with(start)))
        .map(|name| format!("must not depend on {name}"))
        .collect()
}

/// Names under `[dependencies]` and `[build-dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let table: toml::Table = manifest.parse().unwrap();
    ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| table.get(*section)?.as_table())
        .flat_map(|section| section.keys().cloned())
        .collect()
}

/// Banned crates in the lock file, and crates that stand there more or less than once.
pub(crate) fn lock_violations(lock: &str) -> Vec<String> {
    let table: toml::Table = lock.parse().unwrap();
    let names: Vec<&str> = table["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    let count = |name: &str| names.iter().filter(|found| **found == name).count();
    let banned =
        BANNED.iter().filter(|name| count(name) > 0).map(|name| format!("{name} is banned: see deny.toml"));
    let single = SINGLE
        .iter()
        .filter(|name| count(name) != 1)
        .map(|name| format!("{name} is there {} times, must be once", count(name)));
    banned.chain(single).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(names: &[&str]) -> String {
        let all = SINGLE.iter().chain(names);
        all.map(|name| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n")).collect()
    }

    #[test]
    fn banned_and_doubled_crates_are_seen() {
        assert_eq!(lock_violations(&lock(&[])), Vec::<String>::new());
        assert_eq!(lock_violations(&lock(&["native-tls", "libsqlite3-sys"])).len(), 2);
    }

    #[test]
    fn a_client_crate_in_the_domain_is_seen() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nserde = \"1\"\ngrammers-client = \"1\"\n";
        assert_eq!(manifest_violations(&File::sample("actors/Cargo.toml", manifest)).len(), 1);
        assert!(manifest_violations(&File::sample("Cargo.toml", manifest)).is_empty());
    }
}

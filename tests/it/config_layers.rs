//! Layers of the configuration: order, types, unknown keys, dangerous values, secrets.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use switchyard::config::{Config, ConfigError, Flag, REFERENCE, SandboxMode, Sources};
use tempfile::TempDir;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with_environment(pairs: &[(&str, &str)]) -> Sources {
    Sources { environment: environment(pairs), ..Sources::default() }
}

fn with_file(folder: &TempDir, text: &str) -> Sources {
    let path = folder.path().join("switchyard.toml");
    fs::write(&path, text).unwrap();
    Sources { file: Some(path), ..Sources::default() }
}

fn refused(sources: &Sources) -> ConfigError {
    Config::load(sources).map(|_| ()).unwrap_err()
}

#[test]
fn the_reference_alone_is_a_configuration() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.queue.tries_max.get(), 8);
    assert_eq!(config.queue.backoff_base, Duration::from_millis(500));
    assert_eq!(config.supervision.probe_interval, Some(Duration::from_secs(60)));
    assert_eq!(config.sandbox.mode, SandboxMode::Off);
    assert!(config.vault.master_key.is_none());
}

#[test]
fn every_key_of_the_reference_says_why() {
    let lines: Vec<&str> = REFERENCE.lines().collect();
    let keys = lines.iter().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with('#'));
    let mut count = 0;
    for (index, line) in keys {
        count += 1;
        let above = lines[index - 1];
        assert!(above.starts_with("# ") && above.len() > 12, "no comment above {line}");
    }
    assert!(count > 50, "only {count} keys were found");
}

/// Keys that the configuration itself uses up.
const USED_IN_CONFIG: [&str; 4] =
    ["http.allow_public", "http.behind_proxy", "store.url_file", "telegram.api_hash_file"];

fn sources(folder: &Path) -> String {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("config"))
        .map(|path| if path.is_dir() { sources(&path) } else { fs::read_to_string(path).unwrap() })
        .collect()
}

#[test]
fn every_key_is_used() {
    let code = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let used = |name: &str| {
        let field = format!(".{name}");
        code.match_indices(&field)
            .any(|(at, _)| !code[at + field.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let reference: toml::Table = REFERENCE.parse().unwrap();
    let dead: Vec<String> = reference
        .iter()
        .flat_map(|(section, keys)| {
            keys.as_table().unwrap().keys().map(move |key| format!("{section}.{key}"))
        })
        .filter(|key| !USED_IN_CONFIG.contains(&key.as_str()))
        .filter(|key| !key.rsplit('.').next().is_some_and(used))
        .collect();
    assert!(dead.is_empty(), "keys that change nothing: {dead:?}");
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let folder = TempDir::new().unwrap();
    let mut sources =
        with_file(&folder, "[http]\nlisten = \"127.0.0.1:1\"\nworkers = 3\n[queue]\ntries_max = 4\n");
    sources.environment =
        environment(&[("SWITCHYARD_HTTP__LISTEN", "127.0.0.1:2"), ("SWITCHYARD_HTTP__WORKERS", "5")]);
    sources.flags = vec![Flag { name: "--listen", key: "http.listen", value: "127.0.0.1:3".into() }];
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.http.listen.port(), 3, "flags are on top");
    assert_eq!(config.http.workers.get(), 5, "the environment is over the file");
    assert_eq!(config.queue.tries_max.get(), 4, "the file is over the reference");
    assert_eq!(config.http.backlog.get(), 256, "the reference is at the bottom");
}

#[test]
fn variables_without_a_section_are_not_configuration() {
    let sources = with_environment(&[
        ("SWITCHYARD_FAILPOINTS", "pair=panic"),
        ("SWITCHYARD_REQUIRE_POSTGRES", "1"),
        ("OTHER__LISTEN", "x"),
        ("SWITCHYARD_LOG__LEVEL", "debug"),
    ]);
    assert_eq!(Config::load(&sources).unwrap().log.level, "debug");
}

#[test]
fn an_unknown_key_is_named_with_its_layer_and_the_nearest_one() {
    let folder = TempDir::new().unwrap();
    let error = refused(&with_file(&folder, "[http]\nlisen = \"127.0.0.1:1\"\n[queues]\na = 1\n"));
    let texts: Vec<String> = error.faults().iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with("http.lisen (from file "), "{texts:?}");
    assert!(texts[0].ends_with("did you mean http.listen?"), "{texts:?}");
    assert!(texts[1].starts_with("queues.a (from file "), "{texts:?}");

    let error = refused(&with_environment(&[("SWITCHYARD_HTTP__LISTENER__PORT", "1")]));
    assert!(error.to_string().contains("environment variable SWITCHYARD_HTTP__LISTENER__PORT"), "{error}");
}

#[test]
fn a_wrong_type_is_named_with_its_layer() {
    for (variable, value, key) in [
        ("SWITCHYARD_HTTP__WORKERS", "many", "http.workers"),
        ("SWITCHYARD_HTTP__LISTEN", "8080", "http.listen"),
        ("SWITCHYARD_HTTP__METRICS_LISTEN", "9464", "http.metrics_listen"),
        ("SWITCHYARD_SUPERVISION__LOG_WINDOW", "60", "supervision.log_window"),
        ("SWITCHYARD_SUPERVISION__LOG_SIGNATURES_MAX", "0", "supervision.log_signatures_max"),
        ("SWITCHYARD_HTTP__BODY_MAX", "256", "http.body_max"),
        ("SWITCHYARD_HTTP__ALLOW_PUBLIC", "perhaps", "http.allow_public"),
        ("SWITCHYARD_QUEUE__POLL_INTERVAL", "5", "queue.poll_interval"),
        ("SWITCHYARD_SANDBOX__LIMITS", "some", "sandbox.limits"),
        ("SWITCHYARD_SANDBOX__MODE", "on", "sandbox.mode"),
        ("SWITCHYARD_TELEGRAM__ADDRESS", "somewhere", "telegram.address"),
    ] {
        let error = refused(&with_environment(&[(variable, value)]));
        let [fault] = error.faults() else { panic!("{error}") };
        assert_eq!(
            (fault.key.as_str(), fault.layer.as_str()),
            (key, &*format!("environment variable {variable}"))
        );
        assert!(!fault.reason.is_empty());
    }
}

#[test]
fn dangerous_values_are_refused() {
    for (variable, value) in [
        ("SWITCHYARD_HTTP__LISTEN", "0.0.0.0:8080"),
        ("SWITCHYARD_HTTP__CONNECTIONS_MAX", "0"),
        ("SWITCHYARD_HTTP__CONNECTIONS_MAX", "1"),
        ("SWITCHYARD_HTTP__BODY_MAX", "0B"),
        ("SWITCHYARD_HTTP__ANSWER_TIMEOUT", "0s"),
        ("SWITCHYARD_STORE__LEASE_TTL", "10s"),
        ("SWITCHYARD_STORE__BUSY_TIMEOUT", "61s"),
        ("SWITCHYARD_DOCTOR__DISK_FREE_FAIL", "2GiB"),
        ("SWITCHYARD_DOCTOR__INODES_FREE_FAIL", "10001"),
        ("SWITCHYARD_DOCTOR__CLOCK_SKEW_FAIL", "1s"),
        ("SWITCHYARD_STORE__URL", "mysql://localhost/x"),
        ("SWITCHYARD_SUPERVISION__MAILBOX", "0"),
        ("SWITCHYARD_SUPERVISION__BACKOFF_CAP", "1ms"),
        ("SWITCHYARD_SUPERVISION__BACKOFF_JITTER_PERCENT", "101"),
        ("SWITCHYARD_SUPERVISION__STOP_RESERVE", "10s"),
        ("SWITCHYARD_SUPERVISION__SHARDS", "1025"),
        ("SWITCHYARD_SUPERVISION__RESTARTS_MAX", "1000001"),
        ("SWITCHYARD_SUPERVISION__STORM_RESTARTS", "1000001"),
        ("SWITCHYARD_SUPERVISION__STORM_STARTS_PER_SECOND", "0"),
        ("SWITCHYARD_SUPERVISION__PROBE_CAP", "3651d"),
        ("SWITCHYARD_SUPERVISION__MESSAGES_A_TURN", "0"),
        ("SWITCHYARD_SUPERVISION__DRAIN_DEADLINE", "1s"),
        ("SWITCHYARD_QUEUE__TRIES_MAX", "0"),
        ("SWITCHYARD_QUEUE__BACKOFF_CAP", "1ms"),
        ("SWITCHYARD_TELEGRAM__DEVICE", " "),
        ("SWITCHYARD_DISCORD__API_BASE", "http://discord.com"),
        ("SWITCHYARD_SANDBOX__CONTROL_LISTEN", "0.0.0.0:1"),
        ("SWITCHYARD_LOG__LEVEL", "loud and clear"),
        ("SWITCHYARD_RETENTION__PURGE_BATCH", "0"),
    ] {
        let error = refused(&with_environment(&[(variable, value)]));
        assert!(
            error.to_string().contains(&format!("environment variable {variable}")),
            "{variable}: {error}"
        );
    }
    let public = [
        ("SWITCHYARD_HTTP__LISTEN", "0.0.0.0:8080"),
        ("SWITCHYARD_HTTP__ALLOW_PUBLIC", "true"),
        ("SWITCHYARD_HTTP__BEHIND_PROXY", "true"),
    ];
    assert!(Config::load(&with_environment(&public)).is_ok(), "with the word said it is allowed");
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_says_so() {
    let missing = Sources { file: Some(PathBuf::from("/nowhere/switchyard.toml")), ..Sources::default() };
    assert!(matches!(refused(&missing), ConfigError::Unreadable { .. }));
    let folder = TempDir::new().unwrap();
    let broken = refused(&with_file(&folder, "[http\nlisten = 1"));
    assert!(matches!(&broken, ConfigError::Syntax { layer, .. } if layer.starts_with("file ")), "{broken}");
}

#[test]
fn secrets_come_from_a_key_or_from_its_twin_and_are_never_shown() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("hash");
    fs::write(&path, "planted-hash\n").unwrap();
    let sources = with_environment(&[
        ("SWITCHYARD_TELEGRAM__API_HASH_FILE", path.to_str().unwrap()),
        ("SWITCHYARD_STORE__URL", "postgres://user:planted-password@localhost/x"),
        ("SWITCHYARD_VAULT__MASTER_KEY", "123456"),
    ]);
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.telegram.api_hash.as_ref().unwrap().expose(), "planted-hash");
    assert_eq!(config.vault.master_key.as_ref().unwrap().expose(), "123456", "digits stay a text");
    let shown = format!("{config:?}");
    for secret in ["planted-hash", "planted-password", "123456"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

#[test]
fn a_secret_given_twice_or_not_readable_is_refused_without_being_shown() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("hash");
    fs::write(&path, "").unwrap();
    let empty = refused(&with_environment(&[("SWITCHYARD_TELEGRAM__API_HASH_FILE", path.to_str().unwrap())]));
    assert!(empty.to_string().contains("is empty"), "{empty}");
    let missing = refused(&with_environment(&[("SWITCHYARD_STORE__URL_FILE", "/nowhere/url")]));
    assert!(missing.to_string().contains("store.url_file"), "{missing}");
    let twice = refused(&with_environment(&[
        ("SWITCHYARD_TELEGRAM__API_HASH", "planted"),
        ("SWITCHYARD_TELEGRAM__API_HASH_FILE", path.to_str().unwrap()),
    ]));
    assert!(twice.to_string().contains("telegram.api_hash is given too"), "{twice}");
    let typed = refused(&with_file(&folder, "[vault]\nmaster_key = 918273645\n"));
    for error in [twice, typed] {
        assert!(
            !error.to_string().contains("planted") && !error.to_string().contains("918273645"),
            "{error}"
        );
    }
}

#[test]
fn the_master_key_is_handed_on_unread() {
    let variables =
        [("SWITCHYARD_VAULT__MASTER_KEY_FILE", "/etc/key"), ("CREDENTIALS_DIRECTORY", "/run/credentials")];
    let vault = Config::load(&with_environment(&variables)).unwrap().vault;
    assert!(vault.master_key.is_none());
    assert_eq!(vault.master_key_file, Some(PathBuf::from("/etc/key")));
    assert_eq!(vault.credentials_directory, Some(PathBuf::from("/run/credentials")));
    let twice =
        [("SWITCHYARD_VAULT__MASTER_KEY", "planted"), ("SWITCHYARD_VAULT__MASTER_KEY_FILE", "/etc/key")];
    let error = refused(&with_environment(&twice)).to_string();
    assert!(error.contains("give one of the two") && !error.contains("planted"), "{error}");
}

#[test]
fn a_sandbox_is_off_embedded_or_elsewhere() {
    let mode = |value: &str| {
        let flags = vec![Flag { name: "--sandbox", key: "sandbox.mode", value: value.into() }];
        Config::load(&Sources { flags, ..Sources::default() }).map(|config| config.sandbox.mode)
    };
    assert_eq!(mode("embedded").unwrap(), SandboxMode::Embedded);
    assert_eq!(mode("http://127.0.0.1:9/").unwrap(), SandboxMode::Attached("http://127.0.0.1:9".into()));
    assert!(mode("sideways").unwrap_err().to_string().contains("flag --sandbox"));
}

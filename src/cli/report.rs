//! What `serve` and `sandbox` print once they are up: what was bound, what was seeded, and two lines to try it with.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use switchyard_actors::model::{PairId, Platform};

/// The text of the message that the first line sends.
const GREETING: &str = "Hello from the other side";

/// A daemon that is up.
#[derive(Clone, Debug)]
pub struct StartupReport {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where metrics are served, if they are.
    pub metrics: Option<SocketAddr>,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The sandbox it works against, if it does.
    pub sandbox: Option<SandboxReport>,
}

/// A sandbox that is up.
#[derive(Clone, Debug)]
pub struct SandboxReport {
    /// Base of its control API, without a slash at the end.
    pub control: String,
    /// Its Telegram data centre.
    pub telegram: String,
    /// Base of its Discord.
    pub discord: String,
    /// `none` or `published`.
    pub limits: String,
    /// How many accounts it seeded.
    pub accounts: usize,
    /// The seeded pairs.
    pub pairs: Vec<PairReport>,
}

/// A seeded pair.
#[derive(Clone, Debug)]
pub struct PairReport {
    /// Its id.
    pub id: PairId,
    /// Where it reads.
    pub source: (Platform, String),
    /// Where it writes.
    pub target: (Platform, String),
}

impl StartupReport {
    /// The text, many lines.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!("switchyard {} is up\n", env!("CARGO_PKG_VERSION"));
        entry(&mut text, "API", format_args!("http://{}", self.listen));
        if let Some(address) = self.metrics {
            entry(&mut text, "metrics", format_args!("http://{address}/metrics"));
        }
        entry(&mut text, "data folder", self.data_dir.display());
        match &self.sandbox {
            Some(sandbox) => sandbox.describe(&mut text),
            None => entry(&mut text, "platforms", "Telegram and Discord"),
        }
        entry(
            &mut text,
            "look at it",
            format_args!("switchyard status --data-dir {}", self.data_dir.display()),
        );
        if let Some(sandbox) = &self.sandbox {
            sandbox.invite(&mut text);
        }
        text
    }
}

impl SandboxReport {
    /// The text of a sandbox that runs alone.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!("switchyard {} sandbox is up\n", env!("CARGO_PKG_VERSION"));
        self.describe(&mut text);
        entry(&mut text, "daemon", format_args!("switchyard serve --sandbox={}", self.control));
        self.invite(&mut text);
        text
    }

    fn describe(&self, text: &mut String) {
        entry(text, "sandbox", format_args!("{}/sandbox (limits: {})", self.control, self.limits));
        entry(text, "Telegram", &self.telegram);
        entry(text, "Discord", &self.discord);
        entry(
            text,
            "seeded",
            format_args!(
                "1 user, {}, {}",
                counted(self.accounts, "account"),
                counted(self.pairs.len(), "pair")
            ),
        );
        for pair in self.pairs.iter().take(PAIRS_SHOWN) {
            let ((source, from), (target, to)) = (&pair.source, &pair.target);
            entry(text, "pair", format_args!("{}: {source} {from} -> {target} {to}", pair.id));
        }
        if let Some(more) = self.pairs.len().checked_sub(PAIRS_SHOWN).filter(|more| *more > 0) {
            entry(text, "", format_args!("and {more} more"));
        }
    }

    /// Two lines that work as they stand: one writes into a source chat, one lists what arrived in the target.
    fn invite(&self, text: &mut String) {
        let Some(pair) = self.pairs.first() else { return };
        let chat = |(platform, chat): &(Platform, String)| {
            format!("{}/sandbox/{platform}/chats/{chat}/messages", self.control)
        };
        let _infallible = write!(
            text,
            "\nSend a message, then see it arrive:\n\
             curl -s -H 'Content-Type: application/json' -d '{{\"text\": \"{GREETING}\"}}' {}\n\
             curl -s '{}?limit=1000'\n",
            chat(&pair.source),
            chat(&pair.target),
        );
    }
}

fn counted(count: usize, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{count} {of}s") }
}

/// More would scroll the two lines away.
const PAIRS_SHOWN: usize = 8;

fn entry(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _infallible = writeln!(text, "  {name:<12} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(pairs: u8) -> SandboxReport {
        let pair = |number: u8| PairReport {
            id: format!("0193a0b0-0000-7000-8000-0000000000{number:02}").parse().unwrap(),
            source: (Platform::Telegram, format!("-100{number}")),
            target: (Platform::Discord, format!("200{number}")),
        };
        SandboxReport {
            control: "http://127.0.0.1:7001".into(),
            telegram: "127.0.0.1:7002".into(),
            discord: "http://127.0.0.1:7003".into(),
            limits: "none".into(),
            accounts: 2,
            pairs: (1..=pairs).map(pair).collect(),
        }
    }

    #[test]
    fn a_daemon_with_a_sandbox_says_how_to_try_it() {
        let report = StartupReport {
            listen: "127.0.0.1:8080".parse().unwrap(),
            metrics: Some("127.0.0.1:9464".parse().unwrap()),
            data_dir: "./switchyard-data".into(),
            sandbox: Some(sandbox(1)),
        };
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "switchyard {version} is up
  API          http://127.0.0.1:8080
  metrics      http://127.0.0.1:9464/metrics
  data folder  ./switchyard-data
  sandbox      http://127.0.0.1:7001/sandbox (limits: none)
  Telegram     127.0.0.1:7002
  Discord      http://127.0.0.1:7003
  seeded       1 user, 2 accounts, 1 pair
  pair         0193a0b0-0000-7000-8000-000000000001: telegram -1001 -> discord 2001
  look at it   switchyard status --data-dir ./switchyard-data

Send a message, then see it arrive:
curl -s -H 'Content-Type: application/json' -d '{{\"text\": \"Hello from the other side\"}}' http://127.0.0.1:7001/sandbox/telegram/chats/-1001/messages
curl -s 'http://127.0.0.1:7001/sandbox/discord/chats/2001/messages?limit=1000'
"
        );
        assert_eq!(report.render(), expected);
    }

    #[test]
    fn a_daemon_without_one_has_nothing_to_try() {
        let report = StartupReport {
            listen: "127.0.0.1:1".parse().unwrap(),
            metrics: None,
            data_dir: "d".into(),
            sandbox: None,
        };
        assert!(!report.render().contains("curl"));
    }

    #[test]
    fn a_sandbox_alone_says_how_a_daemon_attaches_and_shows_a_few_of_its_pairs() {
        let text = sandbox(12).render();
        assert!(text.contains("switchyard serve --sandbox=http://127.0.0.1:7001\n"), "{text}");
        assert_eq!(text.matches(" -> ").count(), PAIRS_SHOWN);
        assert!(text.contains("and 4 more"), "{text}");
    }
}

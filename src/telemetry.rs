//! Logs: text for people on a terminal, JSON otherwise, to standard error.
//!
//! A line has a lower-case sentence for people and fields for queries. Secrets and message texts are kept out by the types
//! that hold them; what other people's crates say below `info` is never shown, for they know nothing of our secrets.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter, fmt};

use crate::config::{LogConfig, LogFormat};

/// Our crates' targets begin with it.
const OURS: &str = "switchyard";

/// Never shown at any level: serenity's spans carry whole gateway events, and its warnings the payload they are about.
const SILENT: &str = "serenity";

/// A subscriber as the configuration wants it. Tests give it a writer of their own and use it as the default of a scope.
pub fn subscriber<W>(config: &LogConfig, terminal: bool, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let text = match config.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if text {
        Box::new(fmt::layer().with_ansi(terminal).with_writer(writer))
    } else {
        Box::new(fmt::layer().json().flatten_event(true).with_current_span(true).with_writer(writer))
    };
    Registry::default()
        .with(lines.with_filter(filter::filter_fn(may_be_shown)))
        .with(directives(&config.level))
}

/// A bare level is ours; of other people's crates it lets through warnings and errors only.
fn directives(level: &str) -> EnvFilter {
    let text = match level.trim().parse::<LevelFilter>() {
        Ok(bare) => format!("{},{OURS}={bare}", bare.min(LevelFilter::WARN)),
        Err(_) => level.to_owned(),
    };
    // The configuration was checked: what does not parse never comes here.
    EnvFilter::try_new(text).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Makes it this process's subscriber, also for crates that speak through `log`. Called once, by `main`'s commands.
pub fn install(config: &LogConfig) {
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // An error means that there is one already, which is as good.
    let _already = subscriber(config, terminal, std::io::stderr).try_init();
}

fn may_be_shown(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    !target.starts_with(SILENT) && (target.starts_with(OURS) || *metadata.level() <= Level::INFO)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, terminal: bool, say: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let config = LogConfig { format, level: level.to_owned() };
        let subscriber = subscriber(&config, terminal, move || writer.clone());
        tracing::subscriber::with_default(subscriber, say);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn machines_get_an_object_per_line() {
        let lines = logged(LogFormat::Auto, "info", false, || {
            let _entered = tracing::info_span!("http_request", request_id = "r-1").entered();
            tracing::info!(path = "pairs/1", "child restarted in place");
            tracing::debug!("not shown");
        });
        let [line] = lines.lines().collect::<Vec<_>>()[..] else { panic!("{lines}") };
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["message"], "child restarted in place");
        assert_eq!((&line["level"], &line["path"]), (&"INFO".into(), &"pairs/1".into()));
        assert_eq!(line["span"]["request_id"], "r-1");
    }

    #[test]
    fn people_get_a_line_of_text() {
        let line = logged(LogFormat::Auto, "info", true, || tracing::info!("child restarted in place"));
        assert!(line.contains("child restarted in place") && !line.starts_with('{'), "{line}");
        let plain = logged(LogFormat::Text, "info", false, || tracing::info!("child restarted in place"));
        assert!(!plain.contains('\u{1b}'), "no colours outside a terminal: {plain}");
    }

    #[test]
    fn other_crates_are_never_heard_below_info() {
        let lines = logged(LogFormat::Json, "trace,grammers_mtsender=trace", false, || {
            tracing::debug!(target: "grammers_mtsender", token = "planted", "request");
            tracing::info!(target: "grammers_mtsender", "connected");
            tracing::trace!(target: "switchyard_actors::tree", "ours");
        });
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(!lines.contains("planted"), "{lines}");
    }

    #[test]
    fn serenity_is_not_heard_at_all() {
        let lines = logged(LogFormat::Json, "trace", false, || {
            let span =
                tracing::info_span!(target: "serenity::gateway::shard", "handle_event", event = "planted");
            let _inside = span.enter();
            tracing::warn!(target: "serenity::gateway::ws", "err deserializing text: planted");
            tracing::info!("ours, said meanwhile");
        });
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(!lines.contains("planted"), "{lines}");
    }

    #[test]
    fn a_bare_level_is_ours() {
        let heard = |level: &str| {
            logged(LogFormat::Json, level, false, || {
                tracing::info!(target: "actix_server::builder", "starting 2 workers");
                tracing::warn!(target: "sqlx::query", "slow statement");
                tracing::info!(target: "switchyard_actors::tree", "ours");
            })
            .lines()
            .count()
        };
        assert_eq!(
            (heard("debug"), heard("info"), heard("warn"), heard("error"), heard("off")),
            (2, 2, 1, 0, 0)
        );
        assert_eq!(heard("info,switchyard=info"), 3, "directives are taken as they stand");
    }

    #[test]
    fn directives_choose_by_target() {
        let lines = logged(LogFormat::Json, "warn,switchyard::http=debug", false, || {
            tracing::debug!(target: "switchyard::http", "request answered");
            tracing::info!(target: "switchyard::store", "opened");
        });
        assert_eq!(lines.lines().count(), 1, "{lines}");
    }
}

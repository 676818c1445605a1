//! `status --watch`: looks again and again, draws on a terminal or prints one after the other, and waits for a daemon that is
//! away. It ends when it is interrupted or when nobody reads any more.

use std::io;
use std::time::Duration;

use switchyard_actors::supervision::{NodeState, NodeView};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::args::StatusArgs;
use super::client::{Client, ClientError};
use super::console::Console;
use super::status::{Status, actors, fetch, head};

/// How often it looks whether anybody still reads, between two looks at the daemon.
const READER_INTERVAL: Duration = Duration::from_millis(250);

/// Runs until it is interrupted or nobody reads any more.
///
/// # Errors
/// Why the daemon gave no answer, if the last look got none; what no further look can mend; what the output says.
pub(super) async fn run(args: &StatusArgs, console: &mut Console) -> Result<(), ClientError> {
    let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| output(&error))?;
    let mut watch = Watch { args, client: None, seen: None, printed: false, away: None };
    loop {
        let next = Instant::now() + args.interval;
        let looked = tokio::select! {
            biased;
            _ = interrupts.recv() => return watch.end(),
            looked = watch.look() => looked,
        };
        let shown = match looked {
            Ok(status) => watch.found(status, console),
            Err(error) if error.is_away() => watch.missed(error, console),
            Err(error) => return Err(error),
        };
        match shown {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return watch.end(),
            Err(error) => return Err(output(&error)),
        }
        if !wait(next, &mut interrupts, console).await {
            return watch.end();
        }
    }
}

/// Waits for the next look. False when there is none: interrupted, or nobody reads.
async fn wait(next: Instant, interrupts: &mut Signal, console: &Console) -> bool {
    loop {
        let until = next.min(Instant::now() + READER_INTERVAL);
        tokio::select! {
            biased;
            _ = interrupts.recv() => return false,
            () = sleep_until(until) => {}
        }
        if console.is_deserted() {
            return false;
        }
        if until == next {
            return true;
        }
    }
}

fn output(error: &io::Error) -> ClientError {
    ClientError::Output(error.to_string())
}

struct Watch<'a> {
    args: &'a StatusArgs,
    /// Of the daemon that answered last: one that comes back has another token, and maybe another port.
    client: Option<Client>,
    /// What stands on the terminal.
    seen: Option<Status>,
    printed: bool,
    away: Option<ClientError>,
}

impl Watch<'_> {
    async fn look(&mut self) -> Result<Status, ClientError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::open(&self.args.data.data_dir)?,
        };
        let status = fetch(&client, self.args).await?;
        self.client = Some(client);
        Ok(status)
    }

    fn found(&mut self, status: Status, console: &mut Console) -> io::Result<()> {
        let back = self.away.take().is_some();
        if self.draws(console) {
            let drawn = draw(&status, None, console);
            self.seen = Some(status);
            return drawn;
        }
        if back {
            console.complain("the daemon is back");
        }
        if self.args.json {
            return console.tell(line(&status));
        }
        let between = if std::mem::replace(&mut self.printed, true) { "\n" } else { "" };
        console.tell(format_args!("{between}{}", super::status::render(&status).join("\n")))
    }

    fn missed(&mut self, error: ClientError, console: &mut Console) -> io::Result<()> {
        let text = format!("{error}; waiting for it");
        let first = self.away.replace(error).is_none();
        if self.draws(console) {
            let nothing = Status::default();
            return draw(self.seen.as_ref().unwrap_or(&nothing), Some(&text), console);
        }
        if first {
            console.complain(&text);
        }
        let away = self.away.as_ref().map(ToString::to_string);
        if self.args.json { console.tell(line(&Status { away, ..Status::default() })) } else { Ok(()) }
    }

    fn draws(&self, console: &Console) -> bool {
        !self.args.json && console.size().is_some()
    }

    /// How it ends: well if the daemon answered last.
    fn end(self) -> Result<(), ClientError> {
        self.away.map_or(Ok(()), Err)
    }
}

/// A line for whatever reads along.
fn line(status: &Status) -> String {
    serde_json::to_string(status).unwrap_or_default()
}

/// As much as the terminal has room for: what is wrong first.
fn draw(status: &Status, away: Option<&str>, console: &mut Console) -> io::Result<()> {
    let mut lines: Vec<String> = away.map(|text| format!("AWAY: {text}")).into_iter().collect();
    if away.is_none() || !status.items.is_empty() {
        let mut nodes: Vec<&NodeView> = status.items.iter().collect();
        nodes.sort_by_key(|node| gravity(node.state));
        lines.extend(head(status));
        lines.push(String::new());
        // The head of the table, the last line and the cursor's take a row each.
        let room =
            console.size().map_or(usize::MAX, |size| size.rows.saturating_sub(lines.len().saturating_add(3)));
        let hidden = nodes.len().saturating_sub(room);
        lines.extend(actors(nodes.into_iter().take(room)));
        if hidden > 0 {
            lines.push(format!("and {hidden} more; choose with --prefix and --state"));
        }
    }
    console.draw(&lines)
}

/// What needs somebody first stands first.
const fn gravity(state: NodeState) -> u8 {
    match state {
        NodeState::Parked => 0,
        NodeState::Stopped => 1,
        NodeState::Backoff => 2,
        NodeState::Suspended => 3,
        NodeState::Draining => 4,
        NodeState::Starting => 5,
        NodeState::Running => 6,
    }
}

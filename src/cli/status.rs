//! `status`: the live tree and its scheduled jobs as tables, or as JSON.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use switchyard_actors::supervision::{ChildPath, NodeView};
use switchyard_actors::tree::JobView;

use super::args::StatusArgs;
use super::client::{Client, ClientError};
use super::console::Console;
use super::table;

const WHY_MAX: usize = 90;

/// Time between two looks of `--watch`.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// The path of the actor that runs the jobs.
const SCHEDULER: &str = "scheduler";

/// The whole tree and how well it is.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Whether the daemon is ready.
    pub ready: bool,
    /// Why not, or what is parked though it is.
    pub reasons: Vec<String>,
    /// The actors, the root first, then in order of paths.
    pub items: Vec<NodeView>,
    /// The scheduled jobs, where the scheduler is among the actors.
    pub jobs: Vec<JobView>,
}

pub(super) async fn run(args: &StatusArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    loop {
        let status = fetch(&client, args.prefix.as_ref()).await?;
        match (args.json, args.watch) {
            // A line each, for whatever reads along.
            (true, true) => console.say(serde_json::to_string(&status).unwrap_or_default()),
            (true, false) => console.say(serde_json::to_string_pretty(&status).unwrap_or_default()),
            (false, _) => console.say(render(&status)),
        }
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        if !args.json {
            console.say("");
        }
    }
}

async fn fetch(client: &Client, prefix: Option<&ChildPath>) -> Result<Status, ClientError> {
    let (ready, reasons) = match client.health(true).await {
        Ok(health) => (true, health.reasons),
        Err(ClientError::Refused(problem)) => (false, vec![problem.detail]),
        Err(error) => return Err(error),
    };
    let mut page = client.supervision(prefix, None).await?;
    let mut items = page.items;
    while let Some(cursor) = page.next_cursor {
        page = client.supervision(prefix, Some(&cursor)).await?;
        items.append(&mut page.items);
    }
    let jobs = items.iter().find(|node| node.path.as_str() == SCHEDULER).map(jobs).unwrap_or_default();
    Ok(Status { ready, reasons, items, jobs })
}

/// What the scheduler shows of itself. A daemon of another version may show it otherwise: then there is nothing to tell.
fn jobs(scheduler: &NodeView) -> Vec<JobView> {
    let jobs = scheduler.observable.get("jobs").cloned().unwrap_or_default();
    serde_json::from_value(jobs).unwrap_or_default()
}

/// The table for people.
fn render(status: &Status) -> String {
    let head = ["PATH", "KIND", "STATE", "SINCE", "START", "RESTARTS", "QUEUED", "NEXT", "WHY"];
    let rows: Vec<_> = status.items.iter().map(row).collect();
    let verdict = if status.ready { "ready" } else { "not ready" };
    let mut lines = vec![format!("{verdict}, {} actors", status.items.len())];
    lines.extend(status.reasons.iter().map(|reason| format!("  {reason}")));
    lines.push(String::new());
    lines.push(table::render(head, &rows));
    if !status.jobs.is_empty() {
        let head = ["JOB", "LAST RUN", "NEXT RUN", "STATE", "FAILURES", "WHY"];
        let rows: Vec<_> = status.jobs.iter().map(job).collect();
        lines.extend([String::new(), table::render(head, &rows)]);
    }
    lines.join("\n")
}

fn time(at: &DateTime<Utc>) -> String {
    at.format("%m-%d %H:%M:%SZ").to_string()
}

fn job(job: &JobView) -> [String; 6] {
    let state = match (job.running, &job.error) {
        (true, _) => "running",
        (false, Some(_)) => "failed",
        (false, None) => "waiting",
    };
    [
        job.job.clone(),
        job.last_run.as_ref().map_or_else(|| "never".to_owned(), time),
        time(&job.next_run),
        state.to_owned(),
        job.failures.to_string(),
        table::short(job.error.as_deref().unwrap_or_default(), WHY_MAX),
    ]
}

fn row(node: &NodeView) -> [String; 9] {
    let failure = node.last_failure.as_ref().map(|last| last.failure.to_string());
    let why = node.reason.clone().or(failure).unwrap_or_default();
    [
        node.path.to_string(),
        node.kind.clone(),
        state(node),
        time(&node.since),
        node.epoch.to_string(),
        node.restarts_total.to_string(),
        node.depth.to_string(),
        node.next_attempt.as_ref().map(time).unwrap_or_default(),
        table::short(&why, WHY_MAX),
    ]
}

/// As in the API.
fn state(node: &NodeView) -> String {
    serde_json::to_value(node.state)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

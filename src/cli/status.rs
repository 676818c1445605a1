//! `status`: the live tree and its scheduled jobs as tables, or as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use switchyard_actors::supervision::{LastFailure, NodeState, NodeView, Verdict};
use switchyard_actors::tree::JobView;

use super::args::StatusArgs;
use super::client::{Client, ClientError};
use super::console::Console;
use super::{table, watch};

const WHY_MAX: usize = 90;

const REASON_MAX: usize = 400;

/// The path of the actor that runs the jobs.
const SCHEDULER: &str = "scheduler";

/// The tree, or the part of it that was asked for, and how well it is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Why there is no answer, where there is none; then the rest is empty.
    pub away: Option<String>,
    /// Whether the daemon is ready.
    pub ready: bool,
    /// How well the whole tree is; none where the daemon gave no verdict.
    pub verdict: Option<Verdict>,
    /// Why it is not ready or not green, a sentence each.
    pub reasons: Vec<String>,
    /// The actors, the root first, then in order of paths.
    pub items: Vec<NodeView>,
    /// The scheduled jobs, where the scheduler is among the actors.
    pub jobs: Vec<JobView>,
}

pub(super) async fn run(args: &StatusArgs, console: &mut Console) -> Result<(), ClientError> {
    if args.watch {
        return watch::run(args, console).await;
    }
    let client = Client::open(&args.data.data_dir)?;
    let status = fetch(&client, args).await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&status).unwrap_or_default());
    } else {
        console.say(render(&status).join("\n"));
    }
    Ok(())
}

pub(super) async fn fetch(client: &Client, args: &StatusArgs) -> Result<Status, ClientError> {
    let health = match client.health(false).await {
        Ok(health) => Status {
            ready: health.ready,
            verdict: Some(health.verdict),
            reasons: health.reasons,
            ..Status::default()
        },
        Err(ClientError::Refused(problem)) => Status { reasons: vec![problem.detail], ..Status::default() },
        Err(error) => return Err(error),
    };
    let mut page = client.supervision(args.below(), args.state, None).await?;
    let mut items = page.items;
    while let Some(cursor) = page.next_cursor {
        page = client.supervision(args.below(), args.state, Some(&cursor)).await?;
        items.append(&mut page.items);
    }
    let jobs = items.iter().find(|node| node.path.as_str() == SCHEDULER).map(jobs).unwrap_or_default();
    Ok(Status { items, jobs, ..health })
}

/// What the scheduler shows of itself. A daemon of another version may show it otherwise: then there is nothing to tell.
fn jobs(scheduler: &NodeView) -> Vec<JobView> {
    let jobs = scheduler.observable.get("jobs").cloned().unwrap_or_default();
    serde_json::from_value(jobs).unwrap_or_default()
}

/// The tables for people, line by line.
pub(super) fn render(status: &Status) -> Vec<String> {
    let mut lines = head(status);
    lines.push(String::new());
    lines.extend(actors(status.items.iter()));
    if !status.jobs.is_empty() {
        let head = ["JOB", "LAST RUN", "NEXT RUN", "STATE", "FAILURES", "WHY"];
        let rows: Vec<_> = status.jobs.iter().map(job).collect();
        lines.push(String::new());
        lines.extend(table::render(head, &rows).lines().map(str::to_owned));
    }
    lines
}

/// How well the daemon is, how many of the actors that are shown are in which state, and what is wrong.
pub(super) fn head(status: &Status) -> Vec<String> {
    let ready = if status.ready { "ready" } else { "not ready" };
    let verdict = status.verdict.map(|verdict| format!(", {verdict}")).unwrap_or_default();
    let mut counts: BTreeMap<NodeState, usize> = BTreeMap::new();
    for node in &status.items {
        *counts.entry(node.state).or_default() += 1;
    }
    let counts: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let mut lines = vec![format!("{ready}{verdict}; {} actors shown{counts}", status.items.len())];
    lines.extend(
        status.reasons.iter().map(|reason| format!("  {}", table::short(reason, REASON_MAX).trim_end())),
    );
    lines
}

/// The table of actors, line by line.
pub(super) fn actors<'a>(nodes: impl Iterator<Item = &'a NodeView>) -> Vec<String> {
    let head = [
        "PATH",
        "KIND",
        "STATE",
        "SINCE",
        "EPOCH",
        "RESTARTS",
        "RECENT",
        "QUEUED",
        "NEXT",
        "FAILED AT",
        "WHY",
    ];
    let rows: Vec<_> = nodes.map(row).collect();
    table::render(head, &rows).lines().map(str::to_owned).collect()
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

fn row(node: &NodeView) -> [String; 11] {
    let failure = node.last_failure.as_ref().map(|last| last.failure.to_string());
    let why = node.reason.clone().or(failure).unwrap_or_default();
    [
        node.path.to_string(),
        node.kind.clone(),
        node.state.to_string(),
        time(&node.since),
        node.epoch.to_string(),
        node.restarts_total.to_string(),
        node.restarts_in_window.to_string(),
        node.depth.to_string(),
        node.next_attempt.as_ref().map(time).unwrap_or_default(),
        node.last_failure.as_ref().map(place).unwrap_or_default(),
        table::short(&why, WHY_MAX),
    ]
}

/// File and line of a failure, or what the actor was doing; and how often in a row it was the same.
fn place(last: &LastFailure) -> String {
    let place = last.failure.location.clone().unwrap_or_else(|| last.failure.phase.to_string());
    let place = table::short(&place, WHY_MAX);
    if last.count > 1 { format!("{place} ({}x)", last.count) } else { place }
}

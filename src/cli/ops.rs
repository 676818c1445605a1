//! `queues`, `dead-letters`, `jobs`, and `reconnect` of many.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Serialize;

use super::client::{Client, ClientError};
use super::console::Console;
use super::ops_args::{
    DeadLettersArgs, DeadLettersVerb, JobChoice, JobsArgs, LetterFilterArgs, LetterListArgs,
    LetterReplayArgs, QueueArgs, QueueListArgs, QueueRestartArgs, QueuesArgs, QueuesVerb, ReconnectArgs,
};
use super::table;
use crate::http::{QueuesOrder, SessionsOrder};
use crate::services::deliveries::{DeliveryFilter, DeliveryView, ReplayOrder};
use crate::services::queues::QueueView;
use crate::services::work::JobView;

const QUEUES: &str = "/api/v1/admin/queues";
const LETTERS: &str = "/api/v1/admin/dead-letters";
const JOBS: &str = "/api/v1/admin/jobs";
const WHY_MAX: usize = 80;

pub(super) async fn queues(args: &QueuesArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        QueuesVerb::List(args) => list_queues(args, console).await,
        QueuesVerb::Restart(args) => restart_queues(args, console).await,
        QueuesVerb::Pause(args) => hold(args, "pause", console).await,
        QueuesVerb::Resume(args) => hold(args, "resume", console).await,
    }
}

pub(super) async fn dead_letters(args: &DeadLettersArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        DeadLettersVerb::List(args) => list_letters(args, console).await,
        DeadLettersVerb::Replay(args) => replay(args, console).await,
    }
}

fn json(value: &impl Serialize, console: &mut Console) {
    console.say(serde_json::to_string_pretty(value).unwrap_or_default());
}

fn time(at: Option<&DateTime<Utc>>) -> String {
    at.map(|at| at.format("%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
}

async fn list_queues(args: &QueueListArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let query: Vec<(&str, &str)> = args.state.iter().map(|state| ("state", state.as_str())).collect();
    let queues: Vec<QueueView> = client.every_of(QUEUES, &query).await?;
    if args.json {
        json(&queues, console);
        return Ok(());
    }
    let row = |queue: &QueueView| {
        [
            queue.id.to_string(),
            table::short(&queue.name, 24),
            queue.state.as_str().to_owned(),
            queue.waiting.to_string(),
            time(queue.oldest_waiting.as_ref()),
            table::short(queue.reason.as_deref().unwrap_or_default(), WHY_MAX),
        ]
    };
    let rows: Vec<_> = queues.iter().map(row).collect();
    console.say(table::render(["QUEUE", "ACCOUNT", "STATE", "WAITING", "OLDEST", "WHY"], &rows));
    Ok(())
}

async fn restart_queues(args: &QueueRestartArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    if let Some(state) = args.state {
        let order = QueuesOrder { state };
        let job: JobView = client.call(Method::POST, &format!("{QUEUES}/restart"), &[], Some(&order)).await?;
        ordered(&job, args.json, console);
        return Ok(());
    }
    let Some(queue) = args.queue else { return Err(ClientError::Input("name a queue".to_owned())) };
    let path = format!("{QUEUES}/{queue}/restart");
    let queue: QueueView = client.call(Method::POST, &path, &[], None::<&()>).await?;
    show(&queue, "restarts", args.json, console);
    Ok(())
}

async fn hold(args: &QueueArgs, verb: &str, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let path = format!("{QUEUES}/{}/{verb}", args.queue);
    let queue: QueueView = client.call(Method::POST, &path, &[], None::<&()>).await?;
    let said = format!("is {}, {} deliveries wait", queue.state.as_str(), queue.waiting);
    show(&queue, &said, args.json, console);
    Ok(())
}

fn show(queue: &QueueView, said: &str, as_json: bool, console: &mut Console) {
    if as_json {
        json(queue, console);
    } else {
        console.say(format_args!("queue {} {said}", queue.id));
    }
}

pub(super) async fn reconnect(args: &ReconnectArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    if let Some(state) = args.state {
        let order = SessionsOrder { state };
        let path = "/api/v1/admin/sessions/reconnect";
        let job: JobView = client.call(Method::POST, path, &[], Some(&order)).await?;
        ordered(&job, args.json, console);
        return Ok(());
    }
    let Some(account) = args.account else { return Err(ClientError::Input("name an account".to_owned())) };
    let accepted = client.reconnect(account).await?;
    if args.json {
        json(&accepted, console);
    } else {
        console.say(format_args!("{} reconnects", accepted.path));
    }
    Ok(())
}

fn filter(args: &LetterFilterArgs) -> DeliveryFilter {
    let LetterFilterArgs { user, account, pair, reason, from, to } = args.clone();
    DeliveryFilter { user, account, pair, state: None, reason, from, to }
}

async fn list_letters(args: &LetterListArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let fields = serde_json::to_value(filter(&args.filter)).unwrap_or_default();
    let fields = fields.as_object().cloned().unwrap_or_default();
    let query: Vec<(&str, &str)> =
        fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let letters: Vec<DeliveryView> = client.every_of(LETTERS, &query).await?;
    if args.json {
        json(&letters, console);
        return Ok(());
    }
    let why = |letter: &DeliveryView| serde_json::to_string(&letter.dead).unwrap_or_default();
    let row = |letter: &DeliveryView| {
        [
            letter.id.to_string(),
            letter.pair.to_string(),
            time(Some(&letter.created_at)),
            letter.tries.to_string(),
            table::short(&why(letter), WHY_MAX),
        ]
    };
    let rows: Vec<_> = letters.iter().map(row).collect();
    console.say(table::render(["DELIVERY", "PAIR", "MADE", "TRIES", "WHY"], &rows));
    Ok(())
}

async fn replay(args: &LetterReplayArgs, console: &mut Console) -> Result<(), ClientError> {
    let filter = filter(&args.filter);
    let nothing = filter == DeliveryFilter::default();
    let order = match (args.ids.is_empty(), nothing, args.all) {
        (false, true, false) => ReplayOrder { ids: Some(args.ids.clone()), filter: None },
        (true, false, false) | (true, true, true) => ReplayOrder { ids: None, filter: Some(filter) },
        _ => {
            let text = "name deliveries, or a filter, or --all: one of the three";
            return Err(ClientError::Input(text.to_owned()));
        }
    };
    let client = Client::open(&args.data.data_dir)?;
    let job: JobView = client.call(Method::POST, &format!("{LETTERS}/replay"), &[], Some(&order)).await?;
    ordered(&job, args.json, console);
    Ok(())
}

pub(super) fn ordered(job: &JobView, as_json: bool, console: &mut Console) {
    if as_json {
        json(job, console);
    } else {
        let total = job.total.unwrap_or(0);
        console.say(format_args!("job {} works on {total}: see `switchyard jobs {}`", job.id, job.id));
    }
}

pub(super) async fn jobs(args: &JobsArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let one = match args.job {
        Some(JobChoice::One(job)) => Some(job),
        Some(JobChoice::List) | None => None,
    };
    let jobs: Vec<JobView> = match one {
        Some(job) => vec![client.call(Method::GET, &format!("{JOBS}/{job}"), &[], None::<&()>).await?],
        None => client.every_of(JOBS, &[]).await?,
    };
    match (args.json, one, jobs.as_slice()) {
        (true, Some(_), [job]) => json(job, console),
        (true, ..) => json(&jobs, console),
        (false, ..) => {
            let row = |job: &JobView| {
                let total = job.total.map_or_else(|| "?".to_owned(), |total| total.to_string());
                [
                    job.id.to_string(),
                    job.kind.clone(),
                    serde_json::to_value(job.state)
                        .ok()
                        .and_then(|v| v.as_str().map(str::to_owned))
                        .unwrap_or_default(),
                    format!("{} of {total}", job.done),
                    job.failed.to_string(),
                    table::short(job.error.as_deref().unwrap_or_default(), WHY_MAX),
                ]
            };
            let rows: Vec<_> = jobs.iter().map(row).collect();
            console.say(table::render(["JOB", "KIND", "STATE", "DONE", "FAILED", "WHY"], &rows));
        }
    }
    Ok(())
}

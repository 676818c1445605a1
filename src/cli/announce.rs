//! `announce`: announcements and promotions through the bot. The text comes from a file or from standard input.

use std::io::Read;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use switchyard_actors::model::AnnouncementId;

use super::args::DataDir;
use super::client::{Client, ClientError};
use super::console::Console;
use super::table;
use crate::services::announcements::{
    Announced, Announcement, AnnouncementKind, AnnouncementOrder, Audience,
};

const PATH: &str = "/api/v1/admin/announcements";
/// More than any announcement may have.
const TEXT_MAX: u64 = 64 * 1024;

/// `announce`
#[derive(Args, Clone, Debug)]
pub struct AnnounceArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AnnounceVerb,
}

/// The verbs of `announce`.
#[derive(Subcommand, Clone, Debug)]
pub enum AnnounceVerb {
    /// Make an announcement, or preview it.
    Send(SendArgs),
    /// List announcements, newest first.
    List(ListAnnouncementsArgs),
    /// Show one with its progress.
    Show(OneAnnouncementArgs),
    /// Stop one.
    Cancel(OneAnnouncementArgs),
    /// Let a cancelled one go on with those who had no outcome.
    Resume(OneAnnouncementArgs),
}

/// What an announcement is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// About the service itself.
    System,
    /// Marketing: only to those who agreed.
    Promotion,
}

/// `announce send`
#[derive(Args, Clone, Debug)]
pub struct SendArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// What it is.
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// File that holds the text; without it standard input is read.
    #[arg(long, value_name = "FILE")]
    pub text_file: Option<PathBuf>,
    /// A plan whose users get it, several times for several, `*` for all. Without it: free.
    #[arg(long = "plan", value_name = "PLAN")]
    pub plans: Vec<String>,
    /// Not to linked private chats.
    #[arg(long)]
    pub no_linked_chats: bool,
    /// Not to registered channels.
    #[arg(long)]
    pub no_channels: bool,
    /// When it begins, such as 2026-12-01T09:00:00Z; without it at once.
    #[arg(long, value_name = "TIME")]
    pub at: Option<DateTime<Utc>>,
    /// Only show what it would look like and how many chats the audience has.
    #[arg(long)]
    pub preview: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `announce list`
#[derive(Args, Clone, Debug)]
pub struct ListAnnouncementsArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// One announcement.
#[derive(Args, Clone, Debug)]
pub struct OneAnnouncementArgs {
    /// Which.
    #[arg(value_name = "ANNOUNCEMENT")]
    pub id: AnnouncementId,
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn run(args: &AnnounceArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        AnnounceVerb::Send(args) => send(args, console).await,
        AnnounceVerb::List(args) => {
            let all: Vec<Announcement> = Client::open(&args.data.data_dir)?.every(PATH).await?;
            if args.json {
                console.say(serde_json::to_string_pretty(&all).unwrap_or_default());
            } else if all.is_empty() {
                console.say("no announcements yet: make one with `switchyard announce send --kind system`");
            } else {
                let rows: Vec<_> = all.iter().map(row).collect();
                console.say(table::render(["ANNOUNCEMENT", "KIND", "STATE", "PROGRESS", "TEXT"], &rows));
            }
            Ok(())
        }
        AnnounceVerb::Show(args) => one(args, Method::GET, "", console).await,
        AnnounceVerb::Cancel(args) => one(args, Method::POST, "/cancel", console).await,
        AnnounceVerb::Resume(args) => one(args, Method::POST, "/resume", console).await,
    }
}

async fn send(args: &SendArgs, console: &mut Console) -> Result<(), ClientError> {
    let plans = args.plans.iter().cloned().collect();
    let audience = Audience {
        plans: if args.plans.is_empty() { Audience::default().plans } else { plans },
        linked_chats: !args.no_linked_chats,
        channels: !args.no_channels,
    };
    let kind = match args.kind {
        Kind::System => AnnouncementKind::System,
        Kind::Promotion => AnnouncementKind::Promotion,
    };
    let text = text(args.text_file.as_ref())?;
    let order = AnnouncementOrder { kind, text, audience, send_at: args.at, preview: args.preview };
    let client = Client::open(&args.data.data_dir)?;
    let done: Announced = client.call(Method::POST, PATH, &[], Some(&order)).await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&done).unwrap_or_default());
        return Ok(());
    }
    match &done.announcement {
        None => {
            console.say(&done.preview.html);
            console.say(format_args!("to {} chats, as things are now", done.preview.recipients));
        }
        Some(made) => {
            let (id, state) = (made.id, made.state.as_str());
            console.say(format_args!("announcement {id} is {state}, for {} chats", done.preview.recipients));
        }
    }
    Ok(())
}

fn text(file: Option<&PathBuf>) -> Result<String, ClientError> {
    let mut text = String::new();
    let read = match file {
        Some(file) => {
            std::fs::File::open(file).and_then(|file| file.take(TEXT_MAX).read_to_string(&mut text))
        }
        None => std::io::stdin().take(TEXT_MAX).read_to_string(&mut text),
    };
    read.map_err(|error| ClientError::Input(format!("the text cannot be read: {error}")))?;
    Ok(text.trim_end().to_owned())
}

async fn one(
    args: &OneAnnouncementArgs,
    method: Method,
    verb: &str,
    console: &mut Console,
) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let path = format!("{PATH}/{}{verb}", args.id);
    let found: Announcement = client.call(method, &path, &[], None::<&()>).await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&found).unwrap_or_default());
    } else {
        console.say(format_args!(
            "announcement {} is {}: {}",
            found.id,
            found.state.as_str(),
            progress(&found)
        ));
    }
    Ok(())
}

fn row(found: &Announcement) -> [String; 5] {
    [
        found.id.to_string(),
        found.kind.as_str().to_owned(),
        found.state.as_str().to_owned(),
        progress(found),
        table::short(&found.text.replace('\n', " "), 40),
    ]
}

fn progress(found: &Announcement) -> String {
    let outcomes = &found.progress.outcomes;
    let told: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    if told.is_empty() { "nobody yet".to_owned() } else { told.join(", ") }
}

//! `pairs`: list, add, pause, resume, remove.

use super::client::{Client, ClientError};
use super::console::Console;
use super::manage_args::{AddPairArgs, ListArgs, PairsArgs, PairsVerb};
use super::table;
use crate::http::PairOrder;
use crate::services::pairs::{EndView, PairView};

pub(super) async fn run(args: &PairsArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        PairsVerb::List(args) => list(args, console).await,
        PairsVerb::Add(args) => add(args, console).await,
        PairsVerb::Pause(args) => {
            let pair = Client::open(&args.data.data_dir)?.pause_pair(args.pair).await?;
            console.say(format_args!("pair {} is {}", pair.id, pair.text));
            Ok(())
        }
        PairsVerb::Resume(args) => {
            let pair = Client::open(&args.data.data_dir)?.resume_pair(args.pair).await?;
            if pair.paused.is_empty() {
                console.say(format_args!("pair {} goes on, with what was written meanwhile", pair.id));
            } else {
                console.say(format_args!("pair {} is still {}", pair.id, pair.text));
            }
            Ok(())
        }
        PairsVerb::Remove(args) => {
            let removed = Client::open(&args.data.data_dir)?.remove_pair(args.pair).await?;
            console.say(format_args!("pair {} is removed", removed.id));
            Ok(())
        }
    }
}

async fn list(args: &ListArgs, console: &mut Console) -> Result<(), ClientError> {
    let pairs = Client::open(&args.data.data_dir)?.pairs().await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&pairs).unwrap_or_default());
    } else if pairs.is_empty() {
        console
            .say("no pairs yet: add one with `switchyard pairs add --from ACCOUNT:CHAT --to ACCOUNT:CHAT`");
    } else {
        let rows: Vec<_> = pairs.iter().map(row).collect();
        console.say(table::render(["PAIR", "FROM", "TO", "STATE"], &rows));
    }
    Ok(())
}

fn row(pair: &PairView) -> [String; 4] {
    [pair.id.to_string(), end(&pair.source), end(&pair.target), table::short(&pair.text, 90)]
}

fn end(end: &EndView) -> String {
    let thread = end.thread.map(|thread| format!("/{thread}")).unwrap_or_default();
    format!("{} {}:{}{thread}", end.platform, end.account, end.chat)
}

async fn add(args: &AddPairArgs, console: &mut Console) -> Result<(), ClientError> {
    let order = PairOrder { source: args.from.0, target: args.to.0 };
    let pair = Client::open(&args.data.data_dir)?.add_pair(&order).await?;
    console.say(format_args!("pair {} {}", pair.id, pair.text));
    Ok(())
}

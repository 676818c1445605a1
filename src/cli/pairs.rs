//! `pairs`: list, add, change, pause, resume, remove.

use super::client::{Client, ClientError};
use super::console::Console;
use super::manage_args::{AddPairArgs, ChangePairArgs, ListArgs, PairsArgs, PairsVerb};
use super::table;
use crate::services::pairs::{EndView, PairOrder, PairPatch, PairView};

pub(super) async fn run(args: &PairsArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        PairsVerb::List(args) => list(args, console).await,
        PairsVerb::Add(args) => add(args, console).await,
        PairsVerb::Change(args) => change(args, console).await,
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
        console.say(table::render(["PAIR", "NAME", "FROM", "TO", "STATE"], &rows));
    }
    Ok(())
}

fn row(pair: &PairView) -> [String; 5] {
    let name = table::short(pair.name.as_deref().unwrap_or_default(), 30);
    [pair.id.to_string(), name, end(&pair.source), end(&pair.target), table::short(&pair.text, 90)]
}

fn end(end: &EndView) -> String {
    let thread = end.thread.map(|thread| format!("/{thread}")).unwrap_or_default();
    format!("{} {}:{}{thread}", end.platform, end.account, end.chat)
}

async fn add(args: &AddPairArgs, console: &mut Console) -> Result<(), ClientError> {
    let order = PairOrder {
        source: args.from.0,
        target: args.to.0,
        name: args.name.clone(),
        allow_cycle: args.allow_cycle,
    };
    let pair = Client::open(&args.data.data_dir)?.add_pair(&order).await?;
    console.say(format_args!("pair {} {}", pair.id, pair.text));
    Ok(())
}

async fn change(args: &ChangePairArgs, console: &mut Console) -> Result<(), ClientError> {
    let name = match (&args.name, args.no_name) {
        (Some(name), _) => Some(Some(name.clone())),
        (None, true) => Some(None),
        (None, false) => None,
    };
    let patch = PairPatch { name, enabled: args.enabled };
    let pair = Client::open(&args.data.data_dir)?.change_pair(args.pair, &patch).await?;
    let name = pair.name.as_deref().map(|name| format!(" {name:?}")).unwrap_or_default();
    console.say(format_args!("pair {}{name} {}", pair.id, pair.text));
    Ok(())
}

//! `plans`: list.

use switchyard_actors::model::Plan;

use super::client::{Client, ClientError};
use super::console::Console;
use super::manage_args::{PlansArgs, PlansVerb};
use super::table;

pub(super) async fn run(args: &PlansArgs, console: &mut Console) -> Result<(), ClientError> {
    let PlansVerb::List(args) = &args.verb;
    let plans = Client::open(&args.data.data_dir)?.plans().await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&plans.items).unwrap_or_default());
    } else {
        let rows: Vec<_> = plans.items.iter().map(row).collect();
        console.say(table::render(
            ["PLAN", "MONTH", "YEAR", "ACCOUNTS", "PAIRS", "MESSAGES A DAY", "REQUESTS A MINUTE"],
            &rows,
        ));
    }
    Ok(())
}

fn row(plan: &Plan) -> [String; 7] {
    let limit = |most: Option<u64>| most.map_or_else(|| "any".to_owned(), |most| most.to_string());
    [
        plan.name.to_string(),
        plan.monthly.to_string(),
        plan.yearly.to_string(),
        limit(plan.accounts),
        limit(plan.pairs),
        limit(plan.messages_per_day),
        plan.requests_per_minute.to_string(),
    ]
}

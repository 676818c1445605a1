//! `restart`, `healthcheck`: one call each.

use super::args::{HealthcheckArgs, RestartArgs};
use super::client::{Client, ClientError};
use super::console::Console;

pub(super) async fn restart(args: &RestartArgs, console: &mut Console) -> Result<(), ClientError> {
    let accepted = Client::open(&args.data.data_dir)?.restart(&args.path).await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&accepted).unwrap_or_default());
    } else {
        console.say(format_args!("{} restarts", accepted.path));
    }
    Ok(())
}

pub(super) async fn healthcheck(args: &HealthcheckArgs, console: &mut Console) -> Result<(), ClientError> {
    let health = Client::open(&args.data.data_dir)?.health(args.ready).await?;
    console.say(health.status);
    Ok(())
}

//! `accounts`: list, connect, remove.

mod login;

use std::io::IsTerminal;
use std::time::Duration;

use switchyard_actors::model::AccountKind;

use super::client::{Client, ClientError};
use super::console::Console;
use super::manage_args::{
    AccountsArgs, AccountsVerb, AddBotArgs, AddWebhookArgs, ImportArgs, ListArgs, OwnerArgs, RemoveArgs,
};
use super::{secret_input, table};
use crate::http::AccountOrder;
use crate::services::accounts::{AccountStatus, AccountView, ConnectedAccount};
use crate::services::sensitive::Sensitive;

/// How long a new account is watched until it is connected.
const WATCHED: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

pub(super) async fn run(args: &AccountsArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        AccountsVerb::List(args) => list(args, console).await,
        AccountsVerb::AddBot(args) => add_bot(args, console).await,
        AccountsVerb::AddWebhook(args) => add_webhook(args, console).await,
        AccountsVerb::Import(args) => import(args, console).await,
        AccountsVerb::Login(args) => login::run(args, console).await,
        AccountsVerb::Remove(args) => remove(args, console).await,
    }
}

async fn list(args: &ListArgs, console: &mut Console) -> Result<(), ClientError> {
    let accounts = Client::open(&args.data.data_dir)?.accounts().await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&accounts).unwrap_or_default());
    } else if accounts.is_empty() {
        console.say("no accounts yet: connect one with `switchyard accounts add-bot`, `add-webhook`, `import` or `login`");
    } else {
        let rows: Vec<_> = accounts.iter().map(row).collect();
        console.say(table::render(["ACCOUNT", "KIND", "NAME", "CHAT", "PAIRS", "HEALTH"], &rows));
    }
    Ok(())
}

fn row(account: &AccountView) -> [String; 6] {
    [
        account.id.to_string(),
        account.kind.as_str().to_owned(),
        table::short(&account.name, 30),
        account.chat.map(|chat| chat.to_string()).unwrap_or_default(),
        account.pairs.to_string(),
        table::short(&account.health.text, 90),
    ]
}

async fn add_bot(args: &AddBotArgs, console: &mut Console) -> Result<(), ClientError> {
    let kind = if args.telegram { AccountKind::TelegramBot } else { AccountKind::DiscordBot };
    let token = secret_input::secret("token", args.token_file.as_deref(), console)?;
    connect(
        &args.owner,
        AccountOrder { token: Some(token), ..AccountOrder::new(kind, args.owner.user) },
        console,
    )
    .await
}

async fn add_webhook(args: &AddWebhookArgs, console: &mut Console) -> Result<(), ClientError> {
    let url = secret_input::secret("webhook address", args.url_file.as_deref(), console)?;
    let order = AccountOrder::new(AccountKind::DiscordWebhook, args.owner.user);
    connect(&args.owner, AccountOrder { url: Some(url), ..order }, console).await
}

async fn import(args: &ImportArgs, console: &mut Console) -> Result<(), ClientError> {
    let session: Sensitive = secret_input::secret("session", Some(&args.telethon_session), console)?;
    let order = AccountOrder::new(AccountKind::TelegramUser, args.owner.user);
    connect(&args.owner, AccountOrder { telethon_session: Some(session), ..order }, console).await
}

async fn connect(owner: &OwnerArgs, order: AccountOrder, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&owner.data.data_dir)?;
    let connected = client.connect_account(&order).await?;
    settle(&client, connected, console).await
}

/// Waits until a new account is connected, and says what happens next.
async fn settle(
    client: &Client,
    connected: ConnectedAccount,
    console: &mut Console,
) -> Result<(), ClientError> {
    let until = tokio::time::Instant::now() + WATCHED;
    let mut account = connected.account;
    while matches!(account.health.status, AccountStatus::Connecting | AccountStatus::Stopped)
        && tokio::time::Instant::now() < until
    {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        account = client.account(account.id).await?;
    }
    let what = if connected.renewed { "has a new login" } else { "is connected as" };
    let (id, name, kind) = (account.id, &account.name, account.kind.as_str());
    if connected.renewed {
        console.say(format_args!("{kind} {name} {what}: {id}"));
    } else {
        console.say(format_args!("{kind} {name} {what} account {id}"));
    }
    match account.health.status {
        AccountStatus::Connected | AccountStatus::CatchingUp if connected.renewed => {
            console.say("what waited for it is being sent")
        }
        AccountStatus::Connected | AccountStatus::CatchingUp => {
            console.say("next: `switchyard pairs add --from ACCOUNT:CHAT --to ACCOUNT:CHAT`");
        }
        _ => console.say(format_args!("its session: {}", account.health.text)),
    }
    Ok(())
}

async fn remove(args: &RemoveArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    if !args.yes {
        let account = client.account(args.account).await?;
        let (kind, name, pairs) = (account.kind.as_str(), &account.name, account.pairs);
        if !std::io::stdin().is_terminal() {
            return Err(ClientError::Input(format!(
                "{kind} {name} would be logged out and deleted with its {pairs} pairs: say --yes to do so"
            )));
        }
        console.ask(&format!("Log {kind} {name} out and delete it with its {pairs} pairs? Type yes: "));
        let mut answer = String::new();
        // An answer that cannot be read is no yes.
        let _unread = std::io::stdin().read_line(&mut answer);
        if answer.trim() != "yes" {
            return Err(ClientError::Input("nothing was removed".to_owned()));
        }
    }
    let removed = client.remove_account(args.account, args.force).await?;
    console.say(format_args!("account {} is removed, with {} pairs", removed.id, removed.pairs_removed));
    if !removed.logged_out {
        console.say("its platform did not confirm the log-out: end the session there by hand");
    }
    Ok(())
}

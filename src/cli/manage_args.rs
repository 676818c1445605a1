//! The command line of `accounts` and `pairs`. Secrets are never arguments: other users of the machine can see those.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use switchyard_actors::model::{AccountId, PairId, UserId};

use crate::services::pairs::EndOrder;

use super::args::DataDir;

/// `accounts`
#[derive(Args, Clone, Debug)]
pub struct AccountsArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AccountsVerb,
}

/// The verbs of `accounts`.
#[derive(Subcommand, Clone, Debug)]
pub enum AccountsVerb {
    /// List connected accounts and how they are.
    List(ListArgs),
    /// Connect a bot by its token; one that is connected already gets the new token.
    AddBot(AddBotArgs),
    /// Connect a Discord webhook by its address.
    AddWebhook(AddWebhookArgs),
    /// Connect a Telegram user by a session that another program has.
    Import(ImportArgs),
    /// Sign a Telegram user in: asks for number, code and second-factor password.
    Login(LoginArgs),
    /// Log an account out at its platform and delete it with its pairs.
    Remove(RemoveArgs),
}

/// `accounts list`, `pairs list`
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// For whom something is connected.
#[derive(Args, Clone, Debug)]
pub struct OwnerArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The user's id; needed only where there are several users.
    #[arg(long, value_name = "USER")]
    pub user: Option<UserId>,
}

/// `accounts add-bot`
#[derive(Args, Clone, Debug)]
#[group(id = "platform", required = true, multiple = false, args = ["telegram", "discord"])]
pub struct AddBotArgs {
    /// Where the daemon is, and for whom.
    #[command(flatten)]
    pub owner: OwnerArgs,
    /// A bot of Telegram, by the token that BotFather gave.
    #[arg(long)]
    pub telegram: bool,
    /// A bot of Discord, by the token of its application.
    #[arg(long)]
    pub discord: bool,
    /// File that holds the token; without it the token is read from standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// `accounts add-webhook`
#[derive(Args, Clone, Debug)]
pub struct AddWebhookArgs {
    /// Where the daemon is, and for whom.
    #[command(flatten)]
    pub owner: OwnerArgs,
    /// File that holds the webhook's address; without it the address is read from standard input.
    #[arg(long, value_name = "FILE")]
    pub url_file: Option<PathBuf>,
}

/// `accounts import`
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// Where the daemon is, and for whom.
    #[command(flatten)]
    pub owner: OwnerArgs,
    /// File that holds a Telethon StringSession; `-` for standard input. The other program must not use it any more.
    #[arg(long, value_name = "FILE")]
    pub telethon_session: PathBuf,
}

/// `accounts login`
#[derive(Args, Clone, Debug)]
pub struct LoginArgs {
    /// Where the daemon is, and for whom.
    #[command(flatten)]
    pub owner: OwnerArgs,
    /// Show a QR code for a signed-in phone to scan, in place of number and code.
    #[arg(long)]
    pub qr: bool,
}

/// `accounts remove`
#[derive(Args, Clone, Debug)]
pub struct RemoveArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The account's id, as `accounts list` shows it.
    #[arg(value_name = "ACCOUNT")]
    pub account: AccountId,
    /// Remove it also when its platform does not confirm the log-out.
    #[arg(long)]
    pub force: bool,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// `pairs`
#[derive(Args, Clone, Debug)]
pub struct PairsArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: PairsVerb,
}

/// The verbs of `pairs`.
#[derive(Subcommand, Clone, Debug)]
pub enum PairsVerb {
    /// List pairs and how they are.
    List(ListArgs),
    /// Forward what is written in one chat to another, from now on.
    Add(AddPairArgs),
    /// Give a pair another name, or hold it and let it go on.
    Change(ChangePairArgs),
    /// Hold a pair: what is written meanwhile waits.
    Pause(PairArgs),
    /// Let a paused pair go on; one whose target refused is tried again.
    Resume(PairArgs),
    /// Delete a pair with what waits for it.
    Remove(PairArgs),
}

/// `pairs add`
#[derive(Args, Clone, Debug)]
pub struct AddPairArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The account that reads, and the chat: ACCOUNT:CHAT or ACCOUNT:CHAT/THREAD, with the platform's numbers.
    #[arg(long, value_name = "ACCOUNT:CHAT[/THREAD]")]
    pub from: End,
    /// The account that writes, and the chat.
    #[arg(long, value_name = "ACCOUNT:CHAT[/THREAD]")]
    pub to: End,
    /// A name for it.
    #[arg(long)]
    pub name: Option<String>,
    /// Add it also where three or more pairs would form a circle.
    #[arg(long)]
    pub allow_cycle: bool,
}

/// `pairs change`
#[derive(Args, Clone, Debug)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub struct ChangePairArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The pair's id, as `pairs list` shows it.
    #[arg(value_name = "PAIR")]
    pub pair: PairId,
    /// Another name.
    #[arg(long, group = "change", conflicts_with = "no_name")]
    pub name: Option<String>,
    /// Take its name away.
    #[arg(long, group = "change")]
    pub no_name: bool,
    /// `false` holds it, `true` lets it go on.
    #[arg(long, group = "change", value_name = "true|false")]
    pub enabled: Option<bool>,
}

/// `plans`
#[derive(Args, Clone, Debug)]
pub struct PlansArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: PlansVerb,
}

/// The verbs of `plans`.
#[derive(Subcommand, Clone, Debug)]
pub enum PlansVerb {
    /// List the plans with prices and limits.
    List(ListArgs),
}

/// `pairs pause`, `resume`, `remove`
#[derive(Args, Clone, Debug)]
pub struct PairArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The pair's id, as `pairs list` shows it.
    #[arg(value_name = "PAIR")]
    pub pair: PairId,
}

/// One end of a pair: `ACCOUNT:CHAT[/THREAD]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End(pub EndOrder);

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (account, place) = text.split_once(':').ok_or("expected ACCOUNT:CHAT or ACCOUNT:CHAT/THREAD")?;
        let (chat, thread) =
            place.split_once('/').map_or((place, None), |(chat, thread)| (chat, Some(thread)));
        let account = account
            .parse()
            .map_err(|_| format!("{account:?} is not the id of an account (accounts list)"))?;
        let chat = chat.parse().map_err(|error| format!("{error}"))?;
        let thread = thread.map(str::parse).transpose().map_err(|error| format!("{error}"))?;
        Ok(Self(EndOrder { account, chat, thread }))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.account, self.0.chat)?;
        self.0.thread.map_or(Ok(()), |thread| write!(f, "/{thread}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_with_negative_chats_and_threads() {
        let account = "0193a0b0-0000-7000-8000-000000000001";
        for text in [format!("{account}:-1001234567890"), format!("{account}:42/7")] {
            assert_eq!(text.parse::<End>().unwrap().to_string(), text);
        }
        for wrong in
            [account, "me:5", &format!("{account}:chat"), &format!("{account}:0"), &format!("{account}:5/")]
        {
            assert!(wrong.parse::<End>().is_err(), "{wrong}");
        }
    }
}

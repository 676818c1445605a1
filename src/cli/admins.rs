//! `admin`: the staff, by way of the running daemon, so that every change is in its audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use switchyard_actors::model::AdminId;

use super::args::DataDir;
use super::client::{Client, ClientError};
use super::console::Console;
use super::manage_args::ListArgs;
use super::secret_input;
use super::table;
use crate::http::AdminList;
use crate::services::caller::Role;
use crate::services::staff::{AdminChangeOrder, AdminOrder, AdminState, AdminView};

const ADMINS: &str = "/api/v1/admin/admins";

/// `admin`
#[derive(Args, Clone, Debug)]
pub struct AdminArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AdminVerb,
}

/// The verbs of `admin`. The daemon must be running: it makes the change and puts it on record.
#[derive(Subcommand, Clone, Debug)]
pub enum AdminVerb {
    /// List admins.
    List(ListArgs),
    /// Make an admin; the password is read from the terminal, a file or standard input.
    Add(AddAdminArgs),
    /// Give an admin another role.
    SetRole(SetRoleArgs),
    /// Let an admin sign in no more, and end their sign-ins.
    Disable(AdminRefArgs),
    /// Let a disabled admin sign in again.
    Enable(AdminRefArgs),
    /// Set a new password, and end the admin's sign-ins.
    ResetPassword(ResetPasswordArgs),
}

/// `admin add`
#[derive(Args, Clone, Debug)]
pub struct AddAdminArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// E-mail address.
    #[arg(value_name = "EMAIL")]
    pub email: String,
    /// owner, support, billing or content.
    #[arg(long)]
    pub role: Role,
    /// File that holds the password; without it the password is read from standard input.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `admin set-role`
#[derive(Args, Clone, Debug)]
pub struct SetRoleArgs {
    /// Whom.
    #[command(flatten)]
    pub admin: AdminRefArgs,
    /// owner, support, billing or content.
    #[arg(long)]
    pub role: Role,
}

/// Which admin.
#[derive(Args, Clone, Debug)]
pub struct AdminRefArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// E-mail address.
    #[arg(value_name = "EMAIL")]
    pub email: String,
}

/// `admin reset-password`
#[derive(Args, Clone, Debug)]
pub struct ResetPasswordArgs {
    /// Whom.
    #[command(flatten)]
    pub admin: AdminRefArgs,
    /// File that holds the password; without it the password is read from standard input.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Take the authenticator away as well: for an admin who lost it.
    #[arg(long)]
    pub without_totp: bool,
}

pub(super) async fn run(args: &AdminArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        AdminVerb::List(args) => list(args, console).await,
        AdminVerb::Add(args) => add(args, console).await,
        AdminVerb::SetRole(args) => {
            let order = AdminChangeOrder { role: Some(args.role), ..AdminChangeOrder::default() };
            change(&args.admin, &order, console).await
        }
        AdminVerb::Disable(args) => set_state(args, AdminState::Disabled, console).await,
        AdminVerb::Enable(args) => set_state(args, AdminState::Active, console).await,
        AdminVerb::ResetPassword(args) => {
            let password = secret_input::secret("password", args.password_file.as_deref(), console)?;
            let order = AdminChangeOrder {
                password: Some(password),
                without_totp: args.without_totp,
                ..AdminChangeOrder::default()
            };
            change(&args.admin, &order, console).await
        }
    }
}

async fn list(args: &ListArgs, console: &mut Console) -> Result<(), ClientError> {
    let admins = admins(&Client::open(&args.data.data_dir)?).await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&admins).unwrap_or_default());
    } else if admins.is_empty() {
        console.say("no admins yet: make one with `switchyard admin add EMAIL --role owner`");
    } else {
        let rows: Vec<_> = admins.iter().map(row).collect();
        console.say(table::render(["EMAIL", "ROLE", "STATE", "TOTP", "SIGNED IN"], &rows));
    }
    Ok(())
}

fn row(admin: &AdminView) -> [String; 5] {
    let signed_in = admin.signed_in_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339());
    [
        admin.email.clone(),
        admin.role.as_str().to_owned(),
        state(admin).to_owned(),
        if admin.totp_enrolled { "yes" } else { "no" }.to_owned(),
        signed_in,
    ]
}

const fn state(admin: &AdminView) -> &'static str {
    match admin.state {
        AdminState::Active => "active",
        AdminState::Disabled => "disabled",
    }
}

async fn add(args: &AddAdminArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let password = secret_input::secret("password", args.password_file.as_deref(), console)?;
    let order = AdminOrder { email: args.email.clone(), password, role: args.role };
    let admin: AdminView = client.call(Method::POST, ADMINS, &[], Some(&order)).await?;
    if args.json {
        console.say(serde_json::to_string_pretty(&admin).unwrap_or_default());
    } else {
        console.say(format_args!("{} is {} now", admin.email, admin.role.as_str()));
    }
    Ok(())
}

async fn set_state(args: &AdminRefArgs, state: AdminState, console: &mut Console) -> Result<(), ClientError> {
    let order = AdminChangeOrder { state: Some(state), ..AdminChangeOrder::default() };
    change(args, &order, console).await
}

async fn change(
    args: &AdminRefArgs,
    order: &AdminChangeOrder,
    console: &mut Console,
) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let id = find(&client, &args.email).await?;
    let admin: AdminView = client.call(Method::PATCH, &format!("{ADMINS}/{id}"), &[], Some(order)).await?;
    console.say(format_args!("{} is {}, {}", admin.email, admin.role.as_str(), state(&admin)));
    Ok(())
}

async fn admins(client: &Client) -> Result<Vec<AdminView>, ClientError> {
    let list: AdminList = client.call(Method::GET, ADMINS, &[], None::<&()>).await?;
    Ok(list.items)
}

async fn find(client: &Client, email: &str) -> Result<AdminId, ClientError> {
    let wanted = email.trim().to_lowercase();
    let found = admins(client).await?.into_iter().find(|admin| admin.email == wanted);
    found.map(|admin| admin.id).ok_or_else(|| ClientError::Input(format!("there is no admin {wanted}")))
}

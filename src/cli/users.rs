//! `users`: list, show, suspend, restore, plan, delete, and all pairs of one.

use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use switchyard_actors::model::UserId;

use super::client::{Client, ClientError};
use super::console::Console;
use super::users_args::{
    BulkPairsArgs, DeleteUserArgs, ListUsersArgs, PlanUserArgs, SuspendUserArgs, UserPairsVerb, UserRef,
    UserRefArgs, UsersArgs, UsersVerb,
};
use super::{ops, table};
use crate::http::{PlanOrder, SuspendOrder, Taken};
use crate::services::identity::UserState;
use crate::services::membership::{MembershipView, Used};
use crate::services::page::Listed;
use crate::services::users::{UserDetails, UserView};
use crate::services::work::{JobState, JobView};

const USERS: &str = "/api/v1/admin/users";
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

pub(super) async fn run(args: &UsersArgs, console: &mut Console) -> Result<(), ClientError> {
    match &args.verb {
        UsersVerb::List(args) => list(args, console).await,
        UsersVerb::Show(args) => show(args, console).await,
        UsersVerb::Suspend(args) => suspend(args, console).await,
        UsersVerb::Restore(args) => restore(args, console).await,
        UsersVerb::Plan(args) => plan(args, console).await,
        UsersVerb::Delete(args) => delete(args, console).await,
        UsersVerb::Pairs(args) => pairs(&args.verb, console).await,
    }
}

fn json(value: &impl Serialize, console: &mut Console) {
    console.say(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// The daemon, and the path of the user who is meant.
async fn find(args: &UserRefArgs) -> Result<(Client, String), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let id = match &args.user {
        UserRef::Id(id) => *id,
        UserRef::Email(email) => by_email(&client, email).await?,
    };
    Ok((client, format!("{USERS}/{id}")))
}

async fn by_email(client: &Client, email: &str) -> Result<UserId, ClientError> {
    let wanted = email.trim().to_lowercase();
    let query = [("query", email.trim())];
    let found: Listed<UserView, UserId> = client.call(Method::GET, USERS, &query, None::<&()>).await?;
    // A label may hold the same text.
    let own =
        |user: &&UserView| user.email.as_ref().is_some_and(|address| address.trim().to_lowercase() == wanted);
    let found = found.items.iter().find(own).map(|user| user.id);
    found.ok_or_else(|| ClientError::Input(format!("there is no user with the address {email}")))
}

fn used(used: Used) -> String {
    let limit = used.limit.map_or_else(|| "any".to_owned(), |limit| limit.to_string());
    format!("{}/{limit}", used.used)
}

const fn state(state: UserState) -> &'static str {
    state.as_str()
}

async fn list(args: &ListUsersArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.data.data_dir)?;
    let fields = [
        ("query", args.query.as_deref()),
        ("plan", args.plan.as_ref().map(switchyard_actors::model::PlanName::as_str)),
        ("state", args.state.map(state)),
    ];
    let query: Vec<(&str, &str)> =
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let users: Vec<UserView> = client.every_of(USERS, &query).await?;
    if args.json {
        json(&users, console);
        return Ok(());
    }
    let row = |user: &UserView| {
        let name = [&user.email, &user.label, &user.name].into_iter().find_map(Option::as_deref);
        [
            user.id.to_string(),
            table::short(name.unwrap_or_default(), 40),
            state(user.state).to_owned(),
            user.plan.name.to_string(),
            user.plan.paid_through.map(|at| at.format("%Y-%m-%d").to_string()).unwrap_or_default(),
            used(user.usage.accounts),
            used(user.usage.pairs),
            used(user.usage.messages_today),
        ]
    };
    let rows: Vec<_> = users.iter().map(row).collect();
    console.say(table::render(
        ["USER", "WHO", "STATE", "PLAN", "PAID THROUGH", "ACCOUNTS", "PAIRS", "MESSAGES TODAY"],
        &rows,
    ));
    Ok(())
}

async fn show(args: &UserRefArgs, console: &mut Console) -> Result<(), ClientError> {
    let (client, path) = find(args).await?;
    let details: UserDetails = client.call(Method::GET, &path, &[], None::<&()>).await?;
    if args.json {
        json(&details, console);
        return Ok(());
    }
    let UserDetails { user, counts } = &details;
    let time = |at: Option<chrono::DateTime<chrono::Utc>>| {
        at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string())
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let billed = user.subscription.as_ref().map(|billed| {
        format!("{} a {:?} by {:?}, {:?}", billed.price, billed.period, billed.provider, billed.state)
            .to_lowercase()
    });
    let sessions: Vec<String> =
        counts.sessions.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    let rows = [
        ["user", &user.id.to_string()].map(str::to_owned),
        ["address", &text(&user.email)].map(str::to_owned),
        ["name", &text(&user.name)].map(str::to_owned),
        ["label", &text(&user.label)].map(str::to_owned),
        ["state", state(user.state)].map(str::to_owned),
        ["suspended for", &text(&user.state_reason)].map(str::to_owned),
        ["plan", &format!("{}, {} a month", user.plan.name, user.plan.monthly)].map(str::to_owned),
        ["paid through", &time(user.plan.paid_through)].map(str::to_owned),
        ["subscription", &text(&billed)].map(str::to_owned),
        ["accounts", &used(user.usage.accounts)].map(str::to_owned),
        ["pairs", &format!("{}, {} paused", used(user.usage.pairs), counts.pairs_paused)].map(str::to_owned),
        ["messages today", &used(user.usage.messages_today)].map(str::to_owned),
        ["waiting", &counts.deliveries_waiting.to_string()].map(str::to_owned),
        ["sessions", &sessions.join(", ")].map(str::to_owned),
        ["sign-ins", &counts.sign_ins.to_string()].map(str::to_owned),
        ["API keys", &counts.api_keys.to_string()].map(str::to_owned),
        ["here since", &time(Some(user.created_at))].map(str::to_owned),
        ["last seen", &time(user.last_seen_at)].map(str::to_owned),
    ];
    console.say(table::render(["WHAT", "HOW"], &rows));
    Ok(())
}

fn member(member: &MembershipView, as_json: bool, console: &mut Console) {
    if as_json {
        json(member, console);
        return;
    }
    let until = member.plan.paid_through.map(|until| format!(" until {}", until.to_rfc3339()));
    console.say(format_args!(
        "user {} is {}, plan {}{}",
        member.user,
        state(member.state),
        member.plan.name,
        until.unwrap_or_default()
    ));
}

async fn suspend(args: &SuspendUserArgs, console: &mut Console) -> Result<(), ClientError> {
    let (client, path) = find(&args.user).await?;
    let order = SuspendOrder { reason: args.reason.clone() };
    let done = client.call(Method::POST, &format!("{path}/suspend"), &[], Some(&order)).await?;
    member(&done, args.user.json, console);
    Ok(())
}

async fn restore(args: &UserRefArgs, console: &mut Console) -> Result<(), ClientError> {
    let (client, path) = find(args).await?;
    let done = client.call(Method::POST, &format!("{path}/restore"), &[], None::<&()>).await?;
    member(&done, args.json, console);
    Ok(())
}

async fn plan(args: &PlanUserArgs, console: &mut Console) -> Result<(), ClientError> {
    let (client, path) = find(&args.user).await?;
    let order = PlanOrder { plan: args.plan.clone(), until: args.until };
    let done = client.call(Method::POST, &format!("{path}/plan"), &[], Some(&order)).await?;
    member(&done, args.user.json, console);
    Ok(())
}

async fn delete(args: &DeleteUserArgs, console: &mut Console) -> Result<(), ClientError> {
    let (client, path) = find(&args.user).await?;
    let taken: Taken = client.call(Method::DELETE, &path, &[], None::<&()>).await?;
    if args.user.json {
        json(&taken, console);
    } else {
        console.say(taken.message);
    }
    Ok(())
}

async fn pairs(verb: &UserPairsVerb, console: &mut Console) -> Result<(), ClientError> {
    let (what, BulkPairsArgs { user, wait }) = verb.parts();
    let (client, path) = find(user).await?;
    let path = format!("{path}/pairs/{}", what.as_str());
    let mut job: JobView = client.call(Method::POST, &path, &[], None::<&()>).await?;
    if !*wait {
        ops::ordered(&job, user.json, console);
        return Ok(());
    }
    let look = format!("/api/v1/admin/jobs/{}", job.id);
    while matches!(job.state, JobState::Waiting | JobState::Running) {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        job = client.call(Method::GET, &look, &[], None::<&()>).await?;
    }
    if user.json {
        json(&job, console);
    }
    if job.state != JobState::Done || job.failed > 0 {
        let why = job.error.unwrap_or_else(|| "see the job".to_owned());
        return Err(ClientError::Input(format!("job {}: {} of its pairs failed: {why}", job.id, job.failed)));
    }
    if !user.json {
        console.say(format_args!("job {} is done with {} pairs", job.id, job.done));
    }
    Ok(())
}

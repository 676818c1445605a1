//! Accounts: list, connect, sign in, remove. What is secret in a request is never in an answer.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{AccountId, AccountKind, UserId};
use switchyard_actors::ports::NewCredential;

use super::faults::{Asking, page};
use crate::http::api::{Access, Created, Endpoint, Upserted, delete, get, post};
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::accounts::{AccountView, ConnectedAccount, RemovedAccount};
use crate::services::caller::Scope;
use crate::services::page::Listed;
use crate::services::sensitive::Sensitive;
use crate::services::sign_ins::{SignInAnswer, SignInId, SignInMethod, SignInView};

/// Which accounts are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccountsQuery {
    /// At most this many, 1 to 200.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// Only accounts after this one: the `next_cursor` of the page before.
    cursor: Option<AccountId>,
}

/// An account to be connected, with the one credential that fits its kind.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountOrder {
    /// Its kind.
    pub kind: AccountKind,
    /// A bot's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Sensitive>,
    /// A webhook's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Sensitive>,
    /// A Telegram user's session as Telethon writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telethon_session: Option<Sensitive>,
    /// For whom, where the operator connects it and there are several users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

impl AccountOrder {
    /// The credential, and for whom.
    fn parts(self) -> Result<(Option<UserId>, NewCredential), Problem> {
        let Self { kind, token, url, telethon_session, user } = self;
        let given = [("/token", &token), ("/url", &url), ("/telethon_session", &telethon_session)];
        let wanted = match kind {
            AccountKind::TelegramUser => "/telethon_session",
            AccountKind::TelegramBot | AccountKind::DiscordBot => "/token",
            AccountKind::DiscordWebhook => "/url",
        };
        let wrong = |pointer: &str, detail: String| {
            Problem::new(ProblemCode::InvalidRequest, "the body is not what is expected here")
                .at_pointer(pointer, detail)
        };
        if let Some((pointer, _)) =
            given.iter().find(|(pointer, value)| value.is_some() && *pointer != wanted)
        {
            return Err(wrong(
                pointer,
                format!("it does not belong to an account of kind {}", kind.as_str()),
            ));
        }
        let secret = token.or(url).or(telethon_session).map(Sensitive::into_secret);
        let secret = secret
            .ok_or_else(|| wrong(wanted, format!("it is needed for an account of kind {}", kind.as_str())))?;
        let credential = match kind {
            AccountKind::TelegramUser => NewCredential::TelethonSession { session: secret },
            AccountKind::TelegramBot => NewCredential::TelegramBot { token: secret },
            AccountKind::DiscordBot => NewCredential::DiscordBot { token: secret },
            AccountKind::DiscordWebhook => NewCredential::DiscordWebhook { url: secret },
        };
        Ok((user, credential))
    }
}

/// How a Telegram user signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// A code is sent to a telephone number.
    Phone,
    /// A signed-in device scans a code.
    Qr,
}

/// A sign-in to be begun.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginOrder {
    /// How.
    pub method: LoginMethod,
    /// The telephone number, in international form; only for the method `phone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// For whom, where the operator connects it and there are several users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// What a sign-in waits for: one of the two.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginAnswerOrder {
    /// The code that the platform sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Sensitive>,
    /// The second-factor password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Sensitive>,
}

/// How an account is removed.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveQuery {
    /// Remove it also when its platform does not confirm the log-out.
    #[serde(default)]
    pub force: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct AccountParam {
    id: AccountId,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct SignInParam {
    id: SignInId,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    use ProblemCode::{
        CodeExpired, Conflict, CredentialRefused, OutOfStep, PlatformUnreachable, PlatformWait, WrongCode,
        WrongPassword,
    };
    const READ: Access = Access::User(Scope::AccountsRead);
    const WRITE: Access = Access::User(Scope::AccountsWrite);
    const TAG: &str = "accounts";
    vec![
        get("/api/v1/accounts", READ).id("list_accounts").tag(TAG).summary("List accounts, oldest first").to(list),
        post("/api/v1/accounts", WRITE)
            .id("connect_account")
            .tag(TAG)
            .summary("Connect an account by a credential")
            .describe(
                "Connects a bot by its token, a webhook by its address, a Telegram user by a session made elsewhere. An account \
                 that is connected already has its login renewed. A platform account of another user is refused: `conflict`.",
            )
            .problems(&[Conflict, CredentialRefused, PlatformUnreachable, PlatformWait])
            .to(connect),
        post("/api/v1/accounts/telegram/logins", WRITE)
            .id("begin_telegram_login")
            .tag(TAG)
            .summary("Begin a sign-in of a Telegram user")
            .problems(&[Conflict, CredentialRefused, PlatformUnreachable, PlatformWait])
            .to(begin),
        get("/api/v1/accounts/telegram/logins/{id}", READ)
            .id("get_telegram_login")
            .tag(TAG)
            .summary("How a sign-in stands")
            .to(login),
        post("/api/v1/accounts/telegram/logins/{id}", WRITE)
            .id("answer_telegram_login")
            .tag(TAG)
            .summary("Tell a sign-in the code or the password")
            .problems(&[
                CodeExpired,
                Conflict,
                CredentialRefused,
                OutOfStep,
                PlatformUnreachable,
                PlatformWait,
                WrongCode,
                WrongPassword,
            ])
            .to(answer),
        get("/api/v1/accounts/{id}", READ).id("get_account").tag(TAG).summary("One account").to(get_one),
        delete("/api/v1/accounts/{id}", WRITE)
            .id("remove_account")
            .tag(TAG)
            .summary("Remove an account with its pairs, and log it out at its platform")
            .problems(&[Conflict, PlatformUnreachable, PlatformWait])
            .to(remove),
    ]
}

async fn list(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<AccountsQuery>,
) -> Result<Json<Listed<AccountView, AccountId>>, Problem> {
    let page = page(query.limit, query.cursor)?;
    Ok(Json(services.accounts.list(caller, page).await?))
}

async fn get_one(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(account): Params<AccountParam>,
) -> Result<Json<AccountView>, Problem> {
    Ok(Json(services.accounts.get(caller, account.id).await?))
}

/// 201 for a new account, 200 for one whose login was renewed.
async fn connect(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Body(order): Body<AccountOrder>,
) -> Result<Upserted<ConnectedAccount>, Problem> {
    let (user, credential) = order.parts()?;
    let connected = services.accounts.connect(caller, user, credential).await?;
    let location = format!("/api/v1/accounts/{}", connected.account.id);
    Ok(Upserted { created: !connected.renewed, location, body: connected })
}

async fn remove(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<RemoveQuery>,
    Params(account): Params<AccountParam>,
) -> Result<Json<RemovedAccount>, Problem> {
    Ok(Json(services.accounts.remove(caller, account.id, query.force).await?))
}

async fn begin(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Body(order): Body<LoginOrder>,
) -> Result<Created<SignInView>, Problem> {
    let wrong = |detail: &str| {
        Err(Problem::new(ProblemCode::InvalidRequest, "the body is not what is expected here")
            .at_pointer("/phone", detail))
    };
    let method = match (order.method, order.phone) {
        (LoginMethod::Phone, Some(number)) => SignInMethod::Phone(number),
        (LoginMethod::Phone, None) => return wrong("it is needed for the method phone"),
        (LoginMethod::Qr, None) => SignInMethod::Qr,
        (LoginMethod::Qr, Some(_)) => return wrong("it does not belong to the method qr"),
    };
    let begun = services.accounts.begin_sign_in(caller, order.user, method).await?;
    let location = format!("/api/v1/accounts/telegram/logins/{}", begun.id);
    Ok(Created { location, body: begun })
}

async fn login(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(login): Params<SignInParam>,
) -> Result<Json<SignInView>, Problem> {
    Ok(Json(services.accounts.sign_in(caller, login.id).await?))
}

async fn answer(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Params(login): Params<SignInParam>,
    Body(order): Body<LoginAnswerOrder>,
) -> Result<Json<SignInView>, Problem> {
    let answer = match (order.code, order.password) {
        (Some(code), None) => SignInAnswer::Code(code),
        (None, Some(password)) => SignInAnswer::Password(password),
        _ => {
            let text = "a sign-in is told either the code or the password";
            return Err(Problem::new(ProblemCode::InvalidRequest, text).at_pointer("", text));
        }
    };
    Ok(Json(services.accounts.answer_sign_in(caller, login.id, answer).await?))
}

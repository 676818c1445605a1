//! Accounts: list, connect, sign in, remove. What is secret in a request is never in an answer.

use actix_web::web::Json;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use switchyard_actors::model::{AccountId, AccountKind, ChatId, UserId};
use switchyard_actors::ports::{KnownChat, NewCredential, Proxy};

use super::faults::{Asking, page};
use crate::http::api::{
    Accepted, Access, Created, Endpoint, IfMatch, Tagged, Upserted, delete, get, patch, post,
};
use crate::http::changes::Changes;
use crate::http::extract::{Body, Nothing, Params, Query};
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::Serving;
use crate::services::accounts::{
    AccountChange, AccountView, ChatQuery, ConnectedAccount, NewProxy, ReconnectView, RemovedAccount,
};
use crate::services::caller::{Caller, Scope};
use crate::services::page::Listed;
use crate::services::sealed::{SealedSession, SealingKey};
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
#[schemars(example = serde_json::json!({
    "kind": "discord_webhook",
    "url": "https://discord.com/api/webhooks/1323799230497615736/the-token-of-the-webhook"
}))]
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
    /// A Telegram user's session, sealed to the key of `GET /api/v1/accounts/telegram/sealing-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_session: Option<SealedSession>,
    /// The proxy through which it is reached, from the first request on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<NewProxy>,
    /// For whom, where the operator connects it and there are several users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// What an account is connected by.
enum Offered {
    Open(NewCredential),
    Sealed(SealedSession),
}

impl AccountOrder {
    /// With no credential yet.
    #[must_use]
    pub const fn new(kind: AccountKind, user: Option<UserId>) -> Self {
        Self { kind, token: None, url: None, telethon_session: None, sealed_session: None, proxy: None, user }
    }

    /// The credential, and for whom. Only the operator may name the address at which a session is used.
    fn parts(self, caller: Caller) -> Result<(Option<UserId>, Offered, Option<Proxy>), Problem> {
        let Self { kind, token, url, telethon_session, sealed_session, proxy, user } = self;
        let proxy = proxy.map(NewProxy::read).transpose()?;
        let given = [
            ("/token", token.is_some()),
            ("/url", url.is_some()),
            ("/telethon_session", telethon_session.is_some()),
            ("/sealed_session", sealed_session.is_some()),
        ];
        let wanted: &[&str] = match kind {
            AccountKind::TelegramUser => &["/sealed_session", "/telethon_session"],
            AccountKind::TelegramBot | AccountKind::DiscordBot => &["/token"],
            AccountKind::DiscordWebhook => &["/url"],
        };
        let wrong = |pointer: &str, detail: String| {
            Problem::new(ProblemCode::InvalidRequest, "the body is not what is expected here")
                .at_pointer(pointer, detail)
        };
        if let Some((pointer, _)) = given.iter().find(|(pointer, given)| *given && !wanted.contains(pointer))
        {
            let detail = format!("it does not belong to an account of kind {}", kind.as_str());
            return Err(wrong(pointer, detail));
        }
        if telethon_session.is_some() && sealed_session.is_some() {
            return Err(wrong("/telethon_session", "a session is either sealed or not".to_owned()));
        }
        if let Some(sealed) = sealed_session {
            return Ok((user, Offered::Sealed(sealed), proxy));
        }
        let secret = token.or(url).or(telethon_session).map(Sensitive::into_secret);
        let missing = || {
            let pointer = wanted.first().copied().unwrap_or_default();
            wrong(pointer, format!("it is needed for an account of kind {}", kind.as_str()))
        };
        let secret = secret.ok_or_else(missing)?;
        let credential = match kind {
            AccountKind::TelegramUser => {
                let own_address = matches!(caller, Caller::Operator);
                NewCredential::TelethonSession { session: secret, own_address }
            }
            AccountKind::TelegramBot => NewCredential::TelegramBot { token: secret },
            AccountKind::DiscordBot => NewCredential::DiscordBot { token: secret },
            AccountKind::DiscordWebhook => NewCredential::DiscordWebhook { url: secret },
        };
        Ok((user, Offered::Open(credential), proxy))
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
#[schemars(rename = "TelegramLoginOrder")]
#[schemars(example = serde_json::json!({ "method": "qr" }))]
pub struct LoginOrder {
    /// How.
    pub method: LoginMethod,
    /// The telephone number, in international form; only for the method `phone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The proxy through which it signs in, and through which the account is reached from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<NewProxy>,
    /// For whom, where the operator connects it and there are several users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// What a sign-in waits for: one of the two.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "code": "12345" }))]
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
    /// The sign-in, as the answer that began it names it.
    id: SignInId,
}

/// For whom a session is to be sealed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SealingQuery {
    /// The user, where the operator asks and there are several users.
    user: Option<UserId>,
}

/// Which chats are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChatsQuery {
    /// Words of the title, or of the server's name; upper and lower case are the same.
    query: Option<String>,
    /// At most this many, 1 to 200.
    limit: Option<usize>,
    /// Only chats after this one: the `next_cursor` of the page before.
    cursor: Option<ChatId>,
}

const READ: Access = Access::User(Scope::AccountsRead);
const WRITE: Access = Access::User(Scope::AccountsWrite);
const TAG: &str = "accounts";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut all = sign_in_endpoints();
    all.extend(one_account_endpoints());
    all
}

/// What is done with one account that is connected.
fn one_account_endpoints() -> Vec<Endpoint> {
    use ProblemCode::{Conflict, NeedsLogin, PlatformUnreachable, PlatformWait, PreconditionFailed};
    vec![
        get("/api/v1/accounts/{id}", READ).id("get_account").tag(TAG).summary("One account").to(get_one),
        patch("/api/v1/accounts/{id}", WRITE)
            .id("change_account")
            .tag(TAG)
            .summary("Change an account's name or proxy")
            .describe(
                "What is left out stays as it is. With another proxy the session connects anew at once, through it or not at all. \
                 `If-Match` with the `ETag` of the last answer keeps two editors from overwriting each other.",
            )
            .problems(&[PreconditionFailed])
            .to(change),
        delete("/api/v1/accounts/{id}", WRITE)
            .id("remove_account")
            .tag(TAG)
            .summary("Remove an account with its pairs, and log it out at its platform")
            .problems(&[Conflict, PlatformUnreachable, PlatformWait])
            .to(remove),
        post("/api/v1/accounts/{id}/reconnect", WRITE)
            .id("reconnect_account")
            .tag(TAG)
            .summary("Connect an account's session anew")
            .describe("Never shortens a wait that the platform asked for. A session that the platform ended needs a new login.")
            .problems(&[Conflict, NeedsLogin, PlatformWait])
            .to(reconnect),
        get("/api/v1/accounts/{id}/chats", READ)
            .id("list_account_chats")
            .tag(TAG)
            .summary("List and search the chats that an account knows")
            .describe(
                "A Telegram user's dialogs, latest first; the chats that a Telegram bot has met; the channels of a Discord bot's \
                 servers; the one channel of a webhook. Asked of the platform at most once a minute.",
            )
            .problems(&[NeedsLogin, PlatformUnreachable, PlatformWait])
            .to(chats),
    ]
}

fn sign_in_endpoints() -> Vec<Endpoint> {
    use ProblemCode::{
        CodeExpired, Conflict, CredentialRefused, OutOfStep, PlatformUnreachable, PlatformWait,
        ServerLoginOff, SignInLost, WrongCode, WrongPassword,
    };
    vec![
        get("/api/v1/accounts", READ).id("list_accounts").tag(TAG).summary("List accounts, oldest first").to(list),
        post("/api/v1/accounts", WRITE)
            .id("connect_account")
            .tag(TAG)
            .summary("Connect an account by a credential")
            .describe(
                "Connects a bot by its token, a webhook by its address, a Telegram user by a session made elsewhere, best sealed. An account \
                 that is connected already has its login renewed. A platform account of another user is refused: `conflict`.",
            )
            .problems(&[Conflict, CredentialRefused, PlatformUnreachable, PlatformWait])
            .to(connect),
        post("/api/v1/accounts/telegram/logins", WRITE)
            .id("begin_telegram_login")
            .tag(TAG)
            .summary("Begin a sign-in of a Telegram user")
            .describe(
                "By QR code, or by telephone number where this server takes those (`telegram.server_login`). It lives in memory: \
                 when this server loses it, the answer is `sign_in_lost`.",
            )
            .problems(&[Conflict, CredentialRefused, PlatformUnreachable, PlatformWait, ServerLoginOff])
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
                SignInLost,
                WrongCode,
                WrongPassword,
            ])
            .to(answer),
        get("/api/v1/accounts/telegram/sealing-key", READ)
            .id("get_sealing_key")
            .tag(TAG)
            .summary("The key to which a Telegram session is sealed before it is handed over")
            .describe(
                "For `switchyard login` and programs like it: a session that was signed in elsewhere is sealed by HPKE (RFC 9180, \
                 base mode) to this key, for this user and for nothing else.",
            )
            .to(sealing_key),
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
) -> Result<Tagged<AccountView>, Problem> {
    let body = services.accounts.get(caller, account.id).await?;
    Ok(Tagged { version: body.version, body })
}

async fn change(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(account): Params<AccountParam>,
    expected: IfMatch,
    Body(change): Body<AccountChange>,
) -> Result<Tagged<AccountView>, Problem> {
    changes.before_by(services.accounts.get(caller, account.id)).await;
    let body = services.accounts.change(caller, account.id, expected.version(), change).await?;
    Ok(Tagged { version: body.version, body })
}

async fn reconnect(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    _: Query<Nothing>,
    Params(account): Params<AccountParam>,
) -> Result<Accepted<ReconnectView>, Problem> {
    changes.before_by(services.accounts.get(caller, account.id)).await;
    Ok(Accepted(services.accounts.reconnect(caller, account.id).await?))
}

async fn chats(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<ChatsQuery>,
    Params(account): Params<AccountParam>,
) -> Result<Json<Listed<KnownChat, ChatId>>, Problem> {
    let query = ChatQuery { text: query.query, page: page(query.limit, query.cursor)? };
    Ok(Json(services.accounts.chats(caller, account.id, query).await?))
}

async fn sealing_key(
    Serving(services): Serving,
    Asking(caller): Asking,
    Query(query): Query<SealingQuery>,
) -> Result<Json<SealingKey>, Problem> {
    Ok(Json(services.accounts.sealing_key(caller, query.user).await?))
}

/// 201 for a new account, 200 for one whose login was renewed.
async fn connect(
    Serving(services): Serving,
    Asking(caller): Asking,
    _: Query<Nothing>,
    Body(order): Body<AccountOrder>,
) -> Result<Upserted<ConnectedAccount>, Problem> {
    let (user, offered, proxy) = order.parts(caller)?;
    let connected = match offered {
        Offered::Open(credential) => services.accounts.connect(caller, user, credential, proxy).await?,
        Offered::Sealed(sealed) => services.accounts.connect_sealed(caller, user, sealed, proxy).await?,
    };
    let location = format!("/api/v1/accounts/{}", connected.account.id);
    Ok(Upserted { created: !connected.renewed, location, body: connected })
}

async fn remove(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
    Query(query): Query<RemoveQuery>,
    Params(account): Params<AccountParam>,
) -> Result<Json<RemovedAccount>, Problem> {
    changes.before_by(services.accounts.get(caller, account.id)).await;
    Ok(Json(services.accounts.remove(caller, account.id, query.force).await?))
}

async fn begin(
    Serving(services): Serving,
    Asking(caller): Asking,
    changes: Changes,
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
    let proxy = order.proxy.map(NewProxy::read).transpose()?;
    let begun = services.accounts.begin_sign_in(caller, order.user, method, proxy).await?;
    // Its link signs somebody in: no more than its name is put on record.
    changes.after(&json!({ "sign_in": begun.id, "method": order.method, "expires_at": begun.expires_at }));
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
    changes: Changes,
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
    let view = services.accounts.answer_sign_in(caller, login.id, answer).await?;
    changes.after(&json!({ "sign_in": view.id, "expires_at": view.expires_at }));
    Ok(Json(view))
}

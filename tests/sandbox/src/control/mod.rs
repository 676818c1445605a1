//! The control API: plays the people in the chats, causes faults, moves the clock, shows what was seeded.
//!
//! ```text
//! GET    /sandbox                                          addresses, accounts, tokens, chats, pairs, limits
//! POST   /sandbox/{platform}/chats/{chat}/messages         {from?, text, entities?, reply_to?} -> {id}
//! GET    /sandbox/{platform}/chats/{chat}/messages         ?after=ID&limit=1..1000 -> {items}, oldest first
//! GET    /sandbox/{platform}/chats/{chat}/messages/{id}    one item
//! PATCH  /sandbox/{platform}/chats/{chat}/messages/{id}    {text, entities?} -> the item as it now stands
//! DELETE /sandbox/{platform}/chats/{chat}/messages/{id}
//! POST   /sandbox/discord/chats/{chat}/messages/bulk-delete {ids: [...]}, as a moderator would
//! POST   /sandbox/discord/chats/{chat}/permissions         {send_messages}: of everyone, bots included
//! POST   /sandbox/discord/bots/{account}/intents           {message_content?, guild_members?, guild_presences?}
//! POST   /sandbox/discord/bots/{account}/permissions       {manage_messages?, manage_webhooks?, manage_threads?}
//! POST   /sandbox/telegram/auth-keys                       {auth_key: hex of 256 bytes, user_id?}
//! POST   /sandbox/telegram/chats/{chat}/members            {user_id, role: admin | member | restricted | null}
//! POST   /sandbox/telegram/login-tokens/accept             {token?: base64url, user_id} -> {token, user_id}: scans a QR code,
//!                                                          without a token the one that was shown last
//! GET    /sandbox/bot/messages                             {items}: everything that the bot wrote; ?count=true: {chat: count}
//! GET    /sandbox/bot/chats                                {items}: every chat of the bot, and what it is there
//! POST   /sandbox/bot/chats                                {id, kind, title, username?, admins?, role?}; without a role not in it;
//!                                                          {first, count}: so many people start the bot
//! POST   /sandbox/bot/chats/{chat}/role                    {role: administrator | member | left | kicked, by?};
//!                                                          kicked in a private chat: the person blocks the bot
//! POST   /sandbox/bot/chats/{chat}/migrate                 {to}: a group becomes a supergroup
//! POST   /sandbox/faults                                   {target, kind, count | seconds, wait?} -> {items}
//! GET    /sandbox/faults                                   {items}; DELETE ends them all
//! POST   /sandbox/clock                                    {advance_seconds} -> {now, offset_seconds}
//! GET    /sandbox/violations                               {rule: count}, without those that are zero
//! ```

mod body;
mod bot;
mod discord;
mod identity;
mod messages;
mod operations;
mod problem;
mod sign_in;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::bot::Bot;
use crate::discord::Discord;
use crate::http::{self, HttpHandle};
use crate::journal::Journal;
use crate::platform::Platform;
use crate::seed::Seed;
use crate::shared::Shared;
use crate::telegram::Telegram;
pub(crate) use operations::restore_clock;
use problem::Problem;

/// The largest body that the control API reads, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// What the control API's handlers work on.
pub(crate) struct ControlState {
    pub(crate) seed: Seed,
    pub(crate) shared: Shared,
    pub(crate) telegram: Telegram,
    pub(crate) discord: Discord,
    pub(crate) bot: Bot,
    /// Keeps the clock's offset.
    pub(crate) journal: Journal,
}

impl std::fmt::Debug for ControlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlState").field("seed", &self.seed.value()).finish_non_exhaustive()
    }
}

impl ControlState {
    /// Stops the worlds and closes all journals.
    pub(crate) async fn stop(&self) {
        self.telegram.stop().await;
        self.discord.stop().await;
        self.bot.stop().await;
        self.journal.close();
    }
}

/// The running control API.
#[derive(Debug)]
pub(crate) struct Control {
    server: HttpHandle,
}

impl Control {
    pub(crate) fn start(state: Arc<ControlState>, listen: SocketAddr) -> std::io::Result<Self> {
        let configure = move |config: &mut web::ServiceConfig| {
            let state = Arc::clone(&state);
            let handler = move |request: HttpRequest, body: web::Payload| {
                let state = Arc::clone(&state);
                async move { answer(&state, &request, body).await }
            };
            config.default_service(web::to(handler));
        };
        Ok(Self { server: http::serve(listen, NonZeroUsize::MIN, configure)? })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub(crate) async fn stop(&self) {
        self.server.stop().await;
    }
}

/// A path of the control API.
enum Route<'a> {
    Identity,
    Messages(Platform, &'a str),
    Message(Platform, &'a str, &'a str),
    DiscordBulkDelete(&'a str),
    DiscordChatPermissions(&'a str),
    DiscordRights(&'a str),
    AuthKeys,
    AcceptLoginToken,
    BotMessages,
    BotChats,
    BotRole(&'a str),
    BotMigrate(&'a str),
    Members(&'a str),
    Faults,
    Clock,
    Violations,
}

impl<'a> Route<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let (&"sandbox", segments) = segments.split_first()? else { return None };
        Some(match segments {
            [] => Self::Identity,
            ["discord", "chats", chat, "messages", "bulk-delete"] => Self::DiscordBulkDelete(chat),
            ["discord", "chats", chat, "permissions"] => Self::DiscordChatPermissions(chat),
            ["discord", "bots", account, "intents" | "permissions"] => Self::DiscordRights(account),
            ["bot", "messages"] => Self::BotMessages,
            ["bot", "chats"] => Self::BotChats,
            ["bot", "chats", chat, "role"] => Self::BotRole(chat),
            ["bot", "chats", chat, "migrate"] => Self::BotMigrate(chat),
            ["telegram", "auth-keys"] => Self::AuthKeys,
            ["telegram", "login-tokens", "accept"] => Self::AcceptLoginToken,
            ["telegram", "chats", chat, "members"] => Self::Members(chat),
            ["faults"] => Self::Faults,
            ["clock"] => Self::Clock,
            ["violations"] => Self::Violations,
            [platform, "chats", chat, "messages"] => Self::Messages(platform_named(platform)?, chat),
            [platform, "chats", chat, "messages", id] => Self::Message(platform_named(platform)?, chat, id),
            _ => return None,
        })
    }

    const fn methods(&self) -> &'static [Method] {
        match self {
            Self::Identity | Self::Violations | Self::BotMessages => &[Method::GET],
            Self::Messages(..) | Self::BotChats => &[Method::GET, Method::POST],
            Self::BotRole(_) | Self::BotMigrate(_) => &[Method::POST],
            Self::Message(..) => &[Method::GET, Method::PATCH, Method::DELETE],
            Self::AuthKeys | Self::AcceptLoginToken | Self::Members(_) | Self::Clock => &[Method::POST],
            Self::DiscordBulkDelete(_) | Self::DiscordChatPermissions(_) | Self::DiscordRights(_) => {
                &[Method::POST]
            }
            Self::Faults => &[Method::GET, Method::POST, Method::DELETE],
        }
    }
}

fn platform_named(name: &str) -> Option<Platform> {
    [Platform::Telegram, Platform::Discord, Platform::Bot]
        .into_iter()
        .find(|platform| platform.as_str() == name)
}

async fn answer(state: &ControlState, request: &HttpRequest, body: web::Payload) -> HttpResponse {
    let body = match body.to_bytes_limited(MAX_BODY).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Problem::malformed("the body could not be read").into(),
        Err(_) => return Problem::too_large(MAX_BODY).into(),
    };
    dispatch(state, request, &body).unwrap_or_else(HttpResponse::from)
}

fn dispatch(state: &ControlState, request: &HttpRequest, body: &[u8]) -> Result<HttpResponse, Problem> {
    let path = request.path();
    let route = Route::parse(path).ok_or_else(|| Problem::unknown_route(path))?;
    let method = request.method();
    if !route.methods().contains(method) {
        return Err(Problem::method_not_allowed(method, route.methods()));
    }
    match route {
        Route::Identity => {
            let address = request.app_config().local_addr();
            Ok(HttpResponse::Ok().json(identity::Identity::of(state, address)))
        }
        Route::Violations => Ok(HttpResponse::Ok().json(state.shared.violations.snapshot())),
        Route::Clock => operations::advance_clock(state, body),
        Route::DiscordBulkDelete(chat) => discord::bulk_delete(state, chat, body),
        Route::DiscordChatPermissions(chat) => discord::set_chat_permissions(state, chat, body),
        Route::DiscordRights(account) => discord::set_rights(state, account, body),
        Route::BotMessages => bot::sent(state, request.query_string()),
        Route::BotChats if method == Method::POST => bot::set_chats(state, body),
        Route::BotChats => Ok(bot::chats(state)),
        Route::BotRole(chat) => bot::set_role(state, chat, body),
        Route::BotMigrate(chat) => bot::migrate(state, chat, body),
        Route::AuthKeys => sign_in::register_auth_key(state, body),
        Route::Members(chat) => sign_in::set_member(state, chat, body),
        Route::AcceptLoginToken => sign_in::accept_login_token(state, body),
        Route::Faults if method == Method::POST => operations::add_fault(state, body),
        Route::Faults if method == Method::DELETE => Ok(operations::clear_faults(state)),
        Route::Faults => Ok(operations::list_faults(state)),
        Route::Messages(platform, chat) if method == Method::POST => {
            messages::post(state, platform, chat, body)
        }
        Route::Messages(platform, chat) => messages::list(state, platform, chat, request.query_string()),
        Route::Message(platform, chat, id) if method == Method::PATCH => {
            messages::edit(state, platform, chat, id, body)
        }
        Route::Message(platform, chat, id) if method == Method::DELETE => {
            messages::delete(state, platform, chat, id)
        }
        Route::Message(platform, chat, id) => messages::get(state, platform, chat, id),
    }
}

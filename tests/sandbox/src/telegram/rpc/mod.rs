//! The methods of the API that a forwarder calls, by family. What is not here is refused and logged, never ignored.

mod account;
mod auth;
mod channels;
mod contacts;
mod dialogs;
mod error;
mod help;
mod history;
mod password;
mod peers;
mod qr;
mod read;
mod request;
mod send;
mod updates;
mod users;

use std::sync::Arc;

use grammers_tl_types::{Cursor, Deserializable, Identifiable, RemoteCall, Serializable, functions as f};

pub(crate) use error::RpcError;
pub(crate) use request::Request;

use super::dc::{Call, Dc, State};
use super::hub::ConnectionId;
use super::view::View;
use super::wire::Malformed;
use super::world::{Change, Op, Standing};
use crate::violations::Rule;

/// Layers whose constructors all have the same ids and fields as far as they are served here.
const LAYERS: std::ops::RangeInclusive<i32> = 229..=grammers_tl_types::LAYER;

/// Users or channels that one call may name.
const MAX_IDS: usize = 200;

/// Result of a method.
type Answer<T> = Result<T, RpcError>;

/// What a method is handled with.
struct Context<'a> {
    dc: &'a Dc,
    state: &'a mut State,
    call: Call,
    user: Option<i64>,
}

impl Context<'_> {
    /// Who calls.
    fn me(&self) -> Answer<i64> {
        self.user.ok_or_else(|| match self.state.world.keys.standing(self.call.key) {
            _ if self.state.passwords.waiting(self.call.key).is_some() => RpcError::password_needed(),
            Some(Standing::Revoked) => RpcError::new(401, "SESSION_REVOKED"),
            _ => RpcError::unregistered(),
        })
    }

    /// Whether a user is a bot.
    fn is_bot(&self, user: i64) -> bool {
        self.state.world.users.get(&user).is_some_and(|user| user.bot)
    }

    /// The world as the caller sees it.
    fn view(&self, me: i64) -> View<'_> {
        self.dc.view(&self.state.world, me)
    }

    /// Lets something happen; the caller's own connection learns of it from the answer.
    fn commit(&mut self, op: Op) -> Answer<Vec<Change>> {
        Ok(self.dc.commit(self.state, op, Some(self.call.connection))?)
    }

    const fn connection(&self) -> ConnectionId {
        self.call.connection
    }
}

/// Handles a call whose answer is ready when this returns.
///
/// # Errors
/// [`Malformed`] if the parameters do not follow the schema.
pub(super) fn handle(
    dc: &Arc<Dc>,
    state: &mut State,
    call: Call,
    user: Option<i64>,
    request: &Request,
) -> Result<Result<Vec<u8>, RpcError>, Malformed> {
    let mut context = Context { dc, state, call, user };
    if let Err(error) = admit(&mut context, request) {
        return Ok(Err(error));
    }
    if request.is_for_users() && context.user.is_some_and(|user| context.is_bot(user)) {
        return Ok(Err(RpcError::bad("BOT_METHOD_INVALID")));
    }
    if request.subscribes && context.user.is_some() {
        context.state.hub.subscribe(context.connection());
    }
    dispatch(&mut context, request)
}

/// Checks that the client has said what it speaks, now or before with the same key.
fn admit(context: &mut Context<'_>, request: &Request) -> Answer<()> {
    let known = context.state.world.keys.layer(context.call.key);
    match request.layer {
        Some(layer) if !LAYERS.contains(&layer) => {
            tracing::warn!(layer, "a Telegram client speaks a layer that the sandbox does not");
            Err(RpcError::bad("CONNECTION_LAYER_INVALID"))
        }
        Some(layer) if request.inits && known != Some(layer) => {
            context.commit(Op::Layer { key: context.call.key, layer }).map(drop)
        }
        None if known.is_none() => {
            context.dc.violation(Rule::TelegramNotInited);
            Err(RpcError::bad("CONNECTION_NOT_INITED"))
        }
        _ => Ok(()),
    }
}

/// Reads the parameters, calls the handler and serialises what it returns.
fn run<M>(
    context: &mut Context<'_>,
    body: &[u8],
    handler: impl FnOnce(&mut Context<'_>, M) -> Answer<M::Return>,
) -> Result<Result<Vec<u8>, RpcError>, Malformed>
where
    M: RemoteCall + Deserializable,
    M::Return: Serializable,
{
    let mut cursor = Cursor::from_slice(body);
    u32::deserialize(&mut cursor)?;
    let method = M::deserialize(&mut cursor)?;
    if cursor.pos() != body.len() {
        return Err(Malformed::Length);
    }
    Ok(handler(context, method).map(|result| result.to_bytes()))
}

macro_rules! methods {
    ($context:ident, $request:ident, $($method:ty => $handler:path,)+) => {
        match $request.method {
            $(<$method>::CONSTRUCTOR_ID => run::<$method>($context, &$request.body, $handler),)+
            unknown => {
                let name = grammers_tl_types::name_for_id(unknown);
                tracing::warn!(method = name, "a Telegram client called a method that the sandbox does not serve");
                Ok(Err(RpcError::bad("INPUT_METHOD_INVALID")))
            }
        }
    };
}

fn dispatch(context: &mut Context<'_>, request: &Request) -> Result<Result<Vec<u8>, RpcError>, Malformed> {
    methods!(context, request,
        f::account::GetPassword => password::get_password,
        f::account::UpdateStatus => account::update_status,
        f::auth::AcceptLoginToken => qr::accept_login_token,
        f::auth::BindTempAuthKey => auth::bind_temp_auth_key,
        f::auth::CancelCode => auth::cancel_code,
        f::auth::CheckPassword => password::check_password,
        f::auth::ExportAuthorization => auth::export_authorization,
        f::auth::ExportLoginToken => qr::export_login_token,
        f::auth::ImportAuthorization => auth::import_authorization,
        f::auth::ImportBotAuthorization => auth::import_bot_authorization,
        f::auth::ImportLoginToken => qr::import_login_token,
        f::auth::LogOut => auth::log_out,
        f::auth::ResetAuthorizations => auth::reset_authorizations,
        f::auth::SendCode => auth::send_code,
        f::auth::SignIn => auth::sign_in,
        f::auth::SignUp => auth::sign_up,
        f::channels::DeleteMessages => send::delete_channel_messages,
        f::channels::GetChannels => channels::get_channels,
        f::channels::GetFullChannel => channels::get_full_channel,
        f::channels::GetMessages => history::get_channel_messages,
        f::channels::ReadHistory => read::read_channel_history,
        f::contacts::ResolveUsername => contacts::resolve_username,
        f::help::GetAppConfig => help::get_app_config,
        f::help::GetConfig => help::get_config,
        f::help::GetNearestDc => help::get_nearest_dc,
        f::messages::DeleteMessages => send::delete_messages,
        f::messages::EditMessage => send::edit_message,
        f::messages::GetDialogs => dialogs::get_dialogs,
        f::messages::GetHistory => history::get_history,
        f::messages::GetMessages => history::get_messages,
        f::messages::GetPeerDialogs => dialogs::get_peer_dialogs,
        f::messages::ReadHistory => read::read_history,
        f::messages::SendMessage => send::send_message,
        f::messages::SetTyping => send::set_typing,
        f::updates::GetChannelDifference => updates::get_channel_difference,
        f::updates::GetDifference => updates::get_difference,
        f::updates::GetState => updates::get_state,
        f::users::GetFullUser => users::get_full_user,
        f::users::GetUsers => users::get_users,
    )
}

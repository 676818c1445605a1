//! Writing, changing and deleting messages (core.telegram.org/method/messages.sendMessage).

use grammers_tl_types::{enums, functions as f, types};

use super::super::control::dialog_id;
use super::super::push;
use super::super::view::entities;
use super::super::world::{Change, Chat, Delete, Edit, Kind, Op, Post};
use super::{Answer, Context, RpcError};
use crate::config::Limits;
use crate::faults::{FaultKind, later};
use crate::messages::TextEntity;
use crate::violations::Rule;

/// Faults that refuse a send.
const SENDS: [FaultKind; 4] =
    [FaultKind::Frozen, FaultKind::PeerFlood, FaultKind::SlowmodeWait, FaultKind::ChatWriteForbidden];
/// Faults that refuse a change of what was sent.
const CHANGES: [FaultKind; 2] = [FaultKind::Frozen, FaultKind::ChatWriteForbidden];

/// Messages deleted by one call, at most.
const MAX_DELETED: usize = 100;

pub(super) fn send_message(
    context: &mut Context<'_>,
    request: f::messages::SendMessage,
) -> Answer<enums::Updates> {
    let me = context.me()?;
    let chat = context.peer(me, &request.peer)?;
    refuse_extras(&request)?;
    writable(context, me, chat)?;
    struck(context, me, chat, &SENDS)?;
    let entities = checked(context, me, &request.message, request.entities.as_deref())?;
    let reply_to = reply(context, me, chat, request.reply_to.as_ref())?;
    if request.random_id == 0 {
        return Err(RpcError::bad("RANDOM_ID_EMPTY"));
    }
    if context.state.world.mailbox(me).is_some_and(|mailbox| mailbox.sent.contains(request.random_id)) {
        return Err(RpcError::new(500, "RANDOM_ID_DUPLICATE"));
    }
    within_limits(context, me, chat)?;
    let changes = context.commit(Op::Post(Post {
        chat,
        by: me,
        at: context.dc.now(),
        text: request.message,
        entities,
        reply_to,
        random_id: Some(request.random_id),
        silent: request.silent,
        noforwards: request.noforwards,
    }))?;
    sent(context, me, chat, request.random_id, &changes)
}

/// Options of a send that the sandbox cannot honour. Silence would be a lie.
fn refuse_extras(request: &f::messages::SendMessage) -> Answer<()> {
    let refused = if request.schedule_date.is_some() || request.schedule_repeat_period.is_some() {
        "SCHEDULE_DATE_INVALID"
    } else if request.send_as.is_some() {
        "SEND_AS_PEER_INVALID"
    } else if request.quick_reply_shortcut.is_some() {
        "SHORTCUT_INVALID"
    } else if request.rich_message.is_some() || request.suggested_post.is_some() || request.effect.is_some() {
        "INPUT_METHOD_INVALID"
    } else {
        return Ok(());
    };
    tracing::warn!(
        error = refused,
        "a Telegram client sent a message with an option that the sandbox does not have"
    );
    Err(RpcError::bad(refused))
}

fn writable(context: &Context<'_>, me: i64, chat: Chat) -> Answer<()> {
    let Chat::Channel(id) = chat else { return Ok(()) };
    let channel = context.state.world.channels.get(&id).ok_or(RpcError::bad("CHANNEL_INVALID"))?;
    if channel.is_writable_by(me) { Ok(()) } else { Err(RpcError::forbidden("CHAT_WRITE_FORBIDDEN")) }
}

/// Whether a fault refuses what the caller would write in a chat, or slow mode still does.
fn struck(context: &mut Context<'_>, me: i64, chat: Chat, kinds: &[FaultKind]) -> Answer<()> {
    let (now, site) = (context.dc.shared.clock.now(), context.dc.site(Some(me)));
    if kinds.contains(&FaultKind::SlowmodeWait)
        && let Some(left) = context.state.floods.slowed(me, chat, now)
    {
        context.dc.violation(Rule::TelegramCallDuringWait);
        return Err(RpcError::slowmode_wait(left));
    }
    let Some(fault) = context.dc.shared.faults.take_in(site, Some(dialog_id(chat)), kinds) else {
        return Ok(());
    };
    Err(match fault.kind {
        FaultKind::Frozen => RpcError::new(420, "FROZEN_METHOD_INVALID"),
        FaultKind::PeerFlood => RpcError::bad("PEER_FLOOD"),
        FaultKind::SlowmodeWait => {
            context.state.floods.slow(me, chat, later(now, fault.wait), now);
            RpcError::slowmode_wait(fault.wait)
        }
        _ => RpcError::forbidden("CHAT_WRITE_FORBIDDEN"),
    })
}

/// The text's entities, if Telegram would take them.
fn checked(
    context: &Context<'_>,
    me: i64,
    text: &str,
    input: Option<&[enums::MessageEntity]>,
) -> Answer<Vec<TextEntity>> {
    let mut found = Vec::new();
    for entity in input.unwrap_or_default() {
        found.extend(entities::from_schema(entity, |user| context.user(me, user))?);
    }
    Ok(entities::check(text, found)?)
}

/// The message of this conversation that is answered.
fn reply(
    context: &Context<'_>,
    me: i64,
    chat: Chat,
    input: Option<&enums::InputReplyTo>,
) -> Answer<Option<i32>> {
    let Some(input) = input else { return Ok(None) };
    let enums::InputReplyTo::Message(input) = input else { return Err(RpcError::bad("REPLY_TO_INVALID")) };
    if input.reply_to_peer_id.is_some() || input.quote_text.is_some() || input.top_msg_id.is_some() {
        return Err(RpcError::bad("REPLY_TO_INVALID"));
    }
    let id = input.reply_to_msg_id;
    let exists = match chat {
        Chat::Channel(channel) => context
            .state
            .world
            .channels
            .get(&channel)
            .is_some_and(|channel| channel.messages.contains_key(&id)),
        Chat::User(peer) => context
            .state
            .world
            .mailbox(me)
            .and_then(|mailbox| mailbox.letters.get(&id))
            .is_some_and(|letter| letter.peer == peer),
    };
    if exists { Ok(Some(id)) } else { Err(RpcError::bad("REPLY_MESSAGE_ID_INVALID")) }
}

fn within_limits(context: &mut Context<'_>, me: i64, chat: Chat) -> Answer<()> {
    if context.dc.shared.limits == Limits::None {
        return Ok(());
    }
    match context.state.floods.count(me, chat, context.dc.shared.clock.now()) {
        None => Ok(()),
        Some(wait) => {
            context.dc.violation(Rule::TelegramRateLimit);
            Err(RpcError::flood_wait(wait))
        }
    }
}

/// The answer to a send: in private conversations the short form, as on the real servers.
fn sent(
    context: &Context<'_>,
    me: i64,
    chat: Chat,
    random_id: i64,
    changes: &[Change],
) -> Answer<enums::Updates> {
    let view = context.view(me);
    let own = changes.iter().find(|change| match change {
        Change::Channel(..) => true,
        Change::Mailbox(owner, _) => *owner == me,
    });
    let (update, mentioned) = own.and_then(|change| push::live(&view, change)).ok_or(RpcError::internal())?;
    if let (Chat::User(_), enums::Update::NewMessage(new)) = (chat, &update)
        && let enums::Message::Message(message) = &new.message
    {
        return Ok(enums::Updates::UpdateShortSentMessage(types::UpdateShortSentMessage {
            out: true,
            id: message.id,
            pts: new.pts,
            pts_count: new.pts_count,
            date: message.date,
            media: None,
            entities: message.entities.clone(),
            ttl_period: None,
        }));
    }
    let id = match &update {
        enums::Update::NewChannelMessage(new) => new.message.id(),
        _ => return Err(RpcError::internal()),
    };
    let named = types::UpdateMessageId { id, random_id }.into();
    Ok(push::wrap(&view, vec![named, update], &mentioned, context.dc.now()))
}

pub(super) fn edit_message(
    context: &mut Context<'_>,
    request: f::messages::EditMessage,
) -> Answer<enums::Updates> {
    let me = context.me()?;
    let chat = context.peer(me, &request.peer)?;
    let unsupported = request.media.is_some()
        || request.rich_message.is_some()
        || request.schedule_date.is_some()
        || request.quick_reply_shortcut_id.is_some();
    if unsupported {
        tracing::warn!("a Telegram client edited more of a message than the sandbox can");
        return Err(RpcError::bad("MEDIA_NEW_INVALID"));
    }
    let (by, text, entities) = editable(context, me, chat, request.id)?;
    if by != me {
        return Err(RpcError::forbidden("MESSAGE_AUTHOR_REQUIRED"));
    }
    // Without a text only buttons change, which users' messages do not have.
    let Some(new_text) = request.message else { return Err(RpcError::bad("MESSAGE_NOT_MODIFIED")) };
    let new_entities = checked(context, me, &new_text, request.entities.as_deref())?;
    if new_text == text && new_entities == entities {
        return Err(RpcError::bad("MESSAGE_NOT_MODIFIED"));
    }
    writable(context, me, chat)?;
    struck(context, me, chat, &CHANGES)?;
    within_limits(context, me, chat)?;
    let changes = context.commit(Op::Edit(Edit {
        chat,
        by: me,
        id: request.id,
        at: context.dc.now(),
        text: new_text,
        entities: new_entities,
    }))?;
    own_updates(context, me, &changes)
}

/// Who may change a message, and what it says now. In broadcast channels administrators may change every post.
fn editable(context: &Context<'_>, me: i64, chat: Chat, id: i32) -> Answer<(i64, String, Vec<TextEntity>)> {
    let gone = RpcError::bad("MESSAGE_ID_INVALID");
    match chat {
        Chat::Channel(channel) => {
            let channel = context.state.world.channels.get(&channel).ok_or(RpcError::internal())?;
            let message = channel.messages.get(&id).filter(|message| !message.service).ok_or(gone)?;
            let shared = channel.kind == Kind::Broadcast && channel.is_admin(me);
            let by = if shared { me } else { message.by };
            Ok((by, message.text.clone(), message.entities.clone()))
        }
        Chat::User(peer) => {
            let letter = context.state.world.mailbox(me).and_then(|mailbox| mailbox.letters.get(&id));
            let letter = letter.filter(|letter| letter.peer == peer).ok_or(gone)?;
            let by = if letter.out { me } else { peer };
            Ok((by, letter.message.text.clone(), letter.message.entities.clone()))
        }
    }
}

/// The caller's part of what changed.
fn own_updates(context: &Context<'_>, me: i64, changes: &[Change]) -> Answer<enums::Updates> {
    let view = context.view(me);
    let own = changes.iter().find(|change| match change {
        Change::Channel(..) => true,
        Change::Mailbox(owner, _) => *owner == me,
    });
    let (update, mentioned) = own.and_then(|change| push::live(&view, change)).ok_or(RpcError::internal())?;
    Ok(push::wrap(&view, vec![update], &mentioned, context.dc.now()))
}

pub(super) fn delete_messages(
    context: &mut Context<'_>,
    request: f::messages::DeleteMessages,
) -> Answer<enums::messages::AffectedMessages> {
    let me = context.me()?;
    let ids = deletable(request.id)?;
    struck(context, me, Chat::User(me), &[FaultKind::Frozen])?;
    let delete = Delete { channel: None, by: me, ids, revoke: request.revoke };
    let changes = context.commit(Op::Delete(delete))?;
    Ok(affected(&changes, context.common_pts(me), |change| match change {
        Change::Mailbox(owner, entry) if *owner == me => Some(entry.count),
        _ => None,
    }))
}

pub(super) fn delete_channel_messages(
    context: &mut Context<'_>,
    request: f::channels::DeleteMessages,
) -> Answer<enums::messages::AffectedMessages> {
    let me = context.me()?;
    let ids = deletable(request.id)?;
    let channel = context.channel(me, &request.channel)?;
    let id = channel.id;
    let mut named = ids.iter().filter_map(|id| channel.messages.get(id));
    if !channel.is_admin(me) && named.any(|message| message.by != me || message.service) {
        return Err(RpcError::forbidden("MESSAGE_DELETE_FORBIDDEN"));
    }
    struck(context, me, Chat::Channel(id), &[FaultKind::Frozen])?;
    let delete = Delete { channel: Some(id), by: me, ids, revoke: true };
    let changes = context.commit(Op::Delete(delete))?;
    let pts = context.state.world.channels.get(&id).map_or(1, |channel| channel.log.pts());
    Ok(affected(&changes, pts, |change| match change {
        Change::Channel(_, entry) => Some(entry.count),
        Change::Mailbox(..) => None,
    }))
}

fn deletable(mut ids: Vec<i32>) -> Answer<Vec<i32>> {
    ids.sort_unstable();
    ids.dedup();
    match ids.len() {
        0 => Err(RpcError::bad("MESSAGE_IDS_EMPTY")),
        1..=MAX_DELETED => Ok(ids),
        _ => Err(RpcError::bad("MESSAGE_ID_INVALID")),
    }
}

fn affected(
    changes: &[Change],
    pts: i32,
    count: impl Fn(&Change) -> Option<i32>,
) -> enums::messages::AffectedMessages {
    let pts_count = changes.iter().find_map(count).unwrap_or(0);
    enums::messages::AffectedMessages::Messages(types::messages::AffectedMessages { pts, pts_count })
}

/// Nobody in the sandbox watches others type, but the peer must be right.
pub(super) fn set_typing(context: &mut Context<'_>, request: f::messages::SetTyping) -> Answer<bool> {
    let me = context.me()?;
    let chat = context.peer(me, &request.peer)?;
    writable(context, me, chat)?;
    Ok(true)
}

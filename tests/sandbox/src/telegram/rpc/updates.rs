//! `updates.*`: the state of the event sequences and what was missed (core.telegram.org/api/updates).

use grammers_tl_types::{enums, functions as f, types};

use super::super::control::dialog_id;
use super::super::push::{self, Stretch};
use super::super::salts::unix_i32;
use super::super::view::Mentioned;
use super::super::world::{Channel, Chat};
use super::{Answer, Context, RpcError};
use crate::faults::FaultKind;

/// The sequence number of updates whose order matters only together; nothing here is of that kind.
const SEQ: i32 = 1;

impl Context<'_> {
    /// The caller's state, at a pts of the private messages.
    pub(super) fn updates_state(&self, pts: i32) -> enums::updates::State {
        enums::updates::State::State(types::updates::State {
            pts,
            qts: 0,
            date: unix_i32(self.dc.now()),
            seq: SEQ,
            unread_count: 0,
        })
    }

    /// The current pts of the caller's private messages.
    pub(super) fn common_pts(&self, me: i64) -> i32 {
        self.state.world.mailbox(me).map_or(1, |mailbox| mailbox.log.pts())
    }
}

pub(super) fn get_state(context: &mut Context<'_>, _: f::updates::GetState) -> Answer<enums::updates::State> {
    let me = context.me()?;
    Ok(context.updates_state(context.common_pts(me)))
}

pub(super) fn get_difference(
    context: &mut Context<'_>,
    request: f::updates::GetDifference,
) -> Answer<enums::updates::Difference> {
    let me = context.me()?;
    let current = context.common_pts(me);
    if request.date == 0 {
        return Err(RpcError::bad("DATE_EMPTY"));
    }
    if !(1..=current).contains(&request.pts) {
        return Err(RpcError::bad("PERSISTENT_TIMESTAMP_INVALID"));
    }
    let date = unix_i32(context.dc.now());
    let behind = current.saturating_sub(request.pts);
    if behind == 0 {
        let empty = types::updates::DifferenceEmpty { date, seq: SEQ };
        return Ok(enums::updates::Difference::Empty(empty));
    }
    let too_long = types::updates::DifferenceTooLong { pts: current };
    let fault = context.dc.shared.faults.take(context.dc.site(Some(me)), &[FaultKind::DifferenceTooLong]);
    if fault.is_some() || request.pts_total_limit.is_some_and(|limit| behind > limit) {
        return Ok(enums::updates::Difference::TooLong(too_long));
    }
    let page = request.pts_limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let page =
        page.map_or(context.dc.config.difference_page, |page| page.min(context.dc.config.difference_page));
    let view = context.view(me);
    let stretch = context
        .state
        .world
        .mailbox(me)
        .and_then(|mailbox| push::mailbox_stretch(&view, mailbox, request.pts, page));
    let Some(Stretch { new_messages, other_updates, mentioned, pts, complete }) = stretch else {
        return Ok(enums::updates::Difference::TooLong(too_long));
    };
    let (users, chats) = view.describe(&mentioned);
    let state = context.updates_state(pts);
    let new_encrypted_messages = Vec::new();
    Ok(if complete {
        enums::updates::Difference::Difference(types::updates::Difference {
            new_messages,
            new_encrypted_messages,
            other_updates,
            chats,
            users,
            state,
        })
    } else {
        enums::updates::Difference::Slice(types::updates::DifferenceSlice {
            new_messages,
            new_encrypted_messages,
            other_updates,
            chats,
            users,
            intermediate_state: state,
        })
    })
}

pub(super) fn get_channel_difference(
    context: &mut Context<'_>,
    request: f::updates::GetChannelDifference,
) -> Answer<enums::updates::ChannelDifference> {
    let me = context.me()?;
    let channel = context.channel(me, &request.channel)?;
    let current = channel.log.pts();
    if !(1..=current).contains(&request.pts) {
        return Err(RpcError::bad("PERSISTENT_TIMESTAMP_INVALID"));
    }
    let timeout = Some(i32::try_from(context.dc.config.channel_timeout.as_secs()).unwrap_or(i32::MAX));
    if request.pts == current {
        let empty = types::updates::ChannelDifferenceEmpty { r#final: true, pts: current, timeout };
        return Ok(enums::updates::ChannelDifference::Empty(empty));
    }
    let limit = usize::try_from(request.limit).unwrap_or(0).clamp(1, context.dc.config.channel_page);
    let view = context.view(me);
    let (site, chat) = (context.dc.site(Some(me)), dialog_id(Chat::Channel(channel.id)));
    let fault = context.dc.shared.faults.take_in(site, Some(chat), &[FaultKind::DifferenceTooLong]);
    let stretch = push::channel_stretch(&view, channel, request.pts, limit).filter(|_| fault.is_none());
    let Some(stretch) = stretch else {
        return Ok(too_long(context, me, channel, limit, timeout));
    };
    let (users, chats) = view.describe(&stretch.mentioned);
    Ok(enums::updates::ChannelDifference::Difference(types::updates::ChannelDifference {
        r#final: stretch.complete,
        pts: stretch.pts,
        timeout,
        new_messages: stretch.new_messages,
        other_updates: stretch.other_updates,
        chats,
        users,
    }))
}

/// The dialog as it stands and its latest messages: the client starts anew from there.
fn too_long(
    context: &Context<'_>,
    me: i64,
    channel: &Channel,
    limit: usize,
    timeout: Option<i32>,
) -> enums::updates::ChannelDifference {
    let view = context.view(me);
    let (dialog, _) = view.channel_dialog(channel);
    let mut mentioned = Mentioned::default();
    let latest = channel.messages.values().rev().take(limit);
    let messages = latest.map(|message| {
        mentioned.channel_message(channel, message);
        view.channel_message(channel, message)
    });
    let messages = messages.collect();
    let (users, chats) = view.describe(&mentioned);
    enums::updates::ChannelDifference::TooLong(types::updates::ChannelDifferenceTooLong {
        r#final: true,
        timeout,
        dialog,
        messages,
        chats,
        users,
    })
}

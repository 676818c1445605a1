//! Telegram's objects for tests: the plainest of each kind.

use grammers_tl_types as tl;

pub(super) fn user_peer(user_id: i64) -> tl::enums::Peer {
    tl::types::PeerUser { user_id }.into()
}

pub(super) fn channel_peer(channel_id: i64) -> tl::enums::Peer {
    tl::types::PeerChannel { channel_id }.into()
}

/// A text message in a chat.
pub(super) fn message(id: i32, peer_id: tl::enums::Peer, text: &str) -> tl::types::Message {
    tl::types::Message {
        out: false,
        mentioned: false,
        media_unread: false,
        silent: false,
        post: false,
        from_scheduled: false,
        legacy: false,
        edit_hide: false,
        pinned: false,
        noforwards: false,
        invert_media: false,
        offline: false,
        video_processing_pending: false,
        paid_suggested_post_stars: false,
        paid_suggested_post_ton: false,
        id,
        from_id: None,
        from_boosts_applied: None,
        from_rank: None,
        peer_id,
        saved_peer_id: None,
        fwd_from: None,
        via_bot_id: None,
        via_business_bot_id: None,
        guestchat_via_from: None,
        reply_to: None,
        date: 1_700_000_000,
        message: text.to_owned(),
        media: None,
        reply_markup: None,
        entities: None,
        views: None,
        forwards: None,
        replies: None,
        edit_date: None,
        post_author: None,
        grouped_id: None,
        reactions: None,
        restriction_reason: None,
        ttl_period: None,
        quick_reply_shortcut_id: None,
        effect: None,
        factcheck: None,
        report_delivery_until_date: None,
        paid_message_stars: None,
        suggested_post: None,
        schedule_repeat_period: None,
        summary_from_language: None,
        rich_message: None,
    }
}

/// A basic group, which has the fewest fields of all chats.
pub(super) fn group(id: i64, title: &str, noforwards: bool) -> tl::enums::Chat {
    let group = tl::types::Chat {
        creator: false,
        left: false,
        deactivated: false,
        call_active: false,
        call_not_empty: false,
        noforwards,
        id,
        title: title.to_owned(),
        photo: tl::enums::ChatPhoto::Empty,
        participants_count: 2,
        date: 1_700_000_000,
        version: 1,
        migrated_to: None,
        admin_rights: None,
        default_banned_rights: None,
    };
    group.into()
}

/// An answer header.
pub(super) fn reply(forum_topic: bool, message: i32, top: Option<i32>) -> tl::enums::MessageReplyHeader {
    let header = tl::types::MessageReplyHeader {
        reply_to_scheduled: false,
        forum_topic,
        quote: false,
        reply_to_ephemeral: false,
        reply_to_msg_id: Some(message),
        reply_to_peer_id: None,
        reply_from: None,
        reply_media: None,
        reply_to_top_id: top,
        quote_text: None,
        quote_entities: None,
        quote_offset: None,
        todo_item_id: None,
        poll_option: None,
    };
    header.into()
}

/// A forward header that names its author.
pub(super) fn forwarded_from(from: tl::enums::Peer) -> tl::enums::MessageFwdHeader {
    let header = tl::types::MessageFwdHeader {
        imported: false,
        saved_out: false,
        from_id: Some(from),
        from_name: None,
        date: 1_700_000_000,
        channel_post: None,
        post_author: None,
        saved_from_peer: None,
        saved_from_msg_id: None,
        saved_from_id: None,
        saved_from_name: None,
        saved_date: None,
        psa_type: None,
    };
    header.into()
}

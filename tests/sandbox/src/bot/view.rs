//! The world's things as the Bot API shows them.

use serde_json::{Value, json};

use super::world::{BotRole, Chat, ChatKind, Letter};
use crate::messages::TextEntity;

/// Who the bot is.
#[derive(Clone, Debug)]
pub(super) struct Me {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) username: String,
}

impl Me {
    pub(super) fn user(&self) -> Value {
        json!({"id": self.id, "is_bot": true, "first_name": self.name, "username": self.username})
    }

    /// As `getMe` shows it.
    pub(super) fn full(&self) -> Value {
        json!({
            "id": self.id, "is_bot": true, "first_name": self.name, "username": self.username,
            "can_join_groups": true, "can_read_all_group_messages": false,
            "supports_inline_queries": false, "can_connect_to_business": false, "has_main_web_app": false,
        })
    }
}

pub(super) fn person(id: i64) -> Value {
    json!({"id": id, "is_bot": false, "first_name": format!("Person {id}"), "language_code": "en"})
}

pub(super) fn chat(chat: &Chat) -> Value {
    let mut shown = json!({"id": chat.id, "type": chat.kind.as_str()});
    if let Some(object) = shown.as_object_mut() {
        let name = if chat.kind == ChatKind::Private { "first_name" } else { "title" };
        object.insert(name.to_owned(), json!(chat.title));
        if let Some(username) = &chat.username {
            object.insert("username".to_owned(), json!(username));
        }
    }
    shown
}

/// As `getChat` shows it.
pub(super) fn full_chat(chat_shown: &Chat) -> Value {
    let mut shown = chat(chat_shown);
    if let Some(object) = shown.as_object_mut() {
        object.insert("accent_color_id".to_owned(), json!(0));
        object.insert("max_reaction_count".to_owned(), json!(11));
        object.insert(
            "accepted_gift_types".to_owned(),
            json!({"unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false,
                   "premium_subscription": false, "gifts_from_channels": false}),
        );
    }
    shown
}

pub(super) fn letter(chat_shown: &Chat, letter: &Letter, me: &Me) -> Value {
    let mut shown = json!({
        "message_id": letter.id, "date": letter.at.timestamp(), "chat": chat(chat_shown),
    });
    let Some(object) = shown.as_object_mut() else { return shown };
    match letter.from {
        // A channel's posts are the channel's own, whoever wrote them.
        _ if chat_shown.kind == ChatKind::Channel => {
            object.insert("sender_chat".to_owned(), chat(chat_shown));
        }
        Some(id) if id == me.id => {
            object.insert("from".to_owned(), me.user());
        }
        Some(id) => {
            object.insert("from".to_owned(), person(id));
        }
        None => {}
    }
    let (text, entities) =
        if letter.document.is_some() { ("caption", "caption_entities") } else { ("text", "entities") };
    if !letter.text.is_empty() {
        object.insert(text.to_owned(), json!(letter.text));
    }
    if !letter.entities.is_empty() {
        object.insert(entities.to_owned(), letter.entities.iter().map(entity).collect());
    }
    if let Some(document) = &letter.document {
        let shown = json!({"file_id": document.id, "file_unique_id": document.id,
                           "file_name": document.name, "file_size": document.size});
        object.insert("document".to_owned(), shown);
    }
    if let Some(edited) = letter.edited_at {
        object.insert("edit_date".to_owned(), json!(edited.timestamp()));
    }
    if let Some(markup) = letter.markup.as_ref().filter(|markup| markup.get("inline_keyboard").is_some()) {
        object.insert("reply_markup".to_owned(), markup.clone());
    }
    let answered = letter.reply_to.and_then(|id| chat_shown.letters.get(&id));
    if let Some(answered) = answered {
        let mut answered = Letter { reply_to: None, ..answered.clone() };
        answered.markup = None;
        object.insert("reply_to_message".to_owned(), self::letter(chat_shown, &answered, me));
    }
    shown
}

fn entity(entity: &TextEntity) -> Value {
    let mut shown = json!(entity);
    if let (Some(user), Some(object)) = (entity.user, shown.as_object_mut()) {
        object.insert("user".to_owned(), person(user.id));
    }
    shown
}

/// The bot, or a person, as a member of a chat.
pub(super) fn member(user: Value, role: BotRole) -> Value {
    let mut shown = json!({"user": user, "status": role.as_str()});
    let Some(object) = shown.as_object_mut() else { return shown };
    match role {
        BotRole::Administrator => {
            for right in [
                "can_be_edited",
                "is_anonymous",
                "can_manage_video_chats",
                "can_promote_members",
                "can_change_info",
                "can_post_stories",
                "can_edit_stories",
                "can_delete_stories",
                "can_restrict_members",
            ] {
                object.insert(right.to_owned(), json!(false));
            }
            for right in [
                "can_manage_chat",
                "can_delete_messages",
                "can_invite_users",
                "can_post_messages",
                "can_edit_messages",
            ] {
                object.insert(right.to_owned(), json!(true));
            }
        }
        BotRole::Kicked => {
            object.insert("until_date".to_owned(), json!(0));
        }
        BotRole::Member | BotRole::Left => {}
    }
    shown
}

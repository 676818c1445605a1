//! The id of a message that was sent, from what the server answers or tells later.

use grammers_tl_types as tl;
use switchyard_actors::model::MessageId;

/// The id that the answer to a send names; `None` if it names none.
pub(crate) fn sent_id(answer: &tl::enums::Updates, random_id: i64) -> Option<MessageId> {
    let updates = match answer {
        tl::enums::Updates::UpdateShortSentMessage(short) => return id(short.id),
        tl::enums::Updates::Updates(container) => container.updates.as_slice(),
        tl::enums::Updates::Combined(container) => container.updates.as_slice(),
        tl::enums::Updates::UpdateShort(one) => std::slice::from_ref(&one.update),
        tl::enums::Updates::TooLong
        | tl::enums::Updates::UpdateShortMessage(_)
        | tl::enums::Updates::UpdateShortChatMessage(_) => return None,
    };
    assigned(updates, random_id).or_else(|| {
        let mut written = updates.iter().filter_map(|update| match update {
            tl::enums::Update::NewMessage(new) => Some(&new.message),
            tl::enums::Update::NewChannelMessage(new) => Some(&new.message),
            _ => None,
        });
        // The answer to one send holds one message.
        let only = written.next().filter(|_| written.next().is_none())?;
        id(only.id())
    })
}

/// The id that was assigned to a `random_id` (core.telegram.org/constructor/updateMessageID).
pub(crate) fn assigned(updates: &[tl::enums::Update], random_id: i64) -> Option<MessageId> {
    updates.iter().find_map(|update| match update {
        tl::enums::Update::MessageId(named) if named.random_id == random_id => id(named.id),
        _ => None,
    })
}

/// Among messages the oldest that this account wrote with this text at this time (Unix seconds) or later, and that
/// stands for nothing else. Texts are compared as Telegram keeps them: without white space around.
pub(crate) fn looks_like(
    messages: &[tl::enums::Message],
    text: &str,
    since: i64,
    known: &[MessageId],
) -> Option<MessageId> {
    let ids = messages.iter().filter_map(|message| match message {
        tl::enums::Message::Message(message)
            if message.out && i64::from(message.date) >= since && message.message.trim() == text.trim() =>
        {
            id(message.id).filter(|id| !known.contains(id))
        }
        _ => None,
    });
    ids.min()
}

fn id(id: i32) -> Option<MessageId> {
    MessageId::new(i64::from(id)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{channel_peer, message};
    use super::*;

    fn named(id: i32, random_id: i64) -> tl::enums::Update {
        tl::types::UpdateMessageId { id, random_id }.into()
    }

    fn written(id: i32) -> tl::enums::Update {
        let message = message(id, channel_peer(7), "x").into();
        tl::types::UpdateNewChannelMessage { message, pts: 2, pts_count: 1 }.into()
    }

    fn updates(updates: Vec<tl::enums::Update>) -> tl::enums::Updates {
        tl::types::Updates { updates, users: Vec::new(), chats: Vec::new(), date: 1, seq: 0 }.into()
    }

    fn number(id: Option<MessageId>) -> Option<i64> {
        id.map(MessageId::get)
    }

    #[test]
    fn an_answer_names_the_message_in_one_of_several_ways() {
        assert_eq!(number(sent_id(&updates(vec![named(4, 8), named(5, 9), written(5)]), 9)), Some(5));
        assert_eq!(number(sent_id(&updates(vec![written(6)]), 9)), Some(6));
        assert_eq!(number(sent_id(&updates(vec![written(6), written(7)]), 9)), None, "which one?");
        assert_eq!(number(sent_id(&tl::enums::Updates::TooLong, 9)), None);
        let short = tl::types::UpdateShortSentMessage {
            out: true,
            id: 11,
            pts: 2,
            pts_count: 1,
            date: 1,
            media: None,
            entities: None,
            ttl_period: None,
        };
        assert_eq!(number(sent_id(&short.into(), 9)), Some(11));
    }

    #[test]
    fn a_message_is_recognised_by_author_time_text_and_by_being_no_other() {
        let own = |id, text: &str, date| {
            let mut own = message(id, channel_peer(7), text);
            own.out = true;
            own.date = date;
            tl::enums::Message::from(own)
        };
        let messages = [
            own(9, "hi", 200),
            own(8, "hi", 150),
            own(7, "hi", 150),
            own(6, "hi", 50),
            own(5, "ho", 150),
            message(4, channel_peer(7), "hi").into(),
        ];
        let known = [MessageId::new(7).unwrap()];
        assert_eq!(number(looks_like(&messages, " hi\n", 100, &known)), Some(8));
        assert_eq!(number(looks_like(&messages, "hi", 100, &[])), Some(7), "the oldest");
        assert_eq!(number(looks_like(&messages, "hi", 201, &[])), None);
    }
}

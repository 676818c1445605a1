//! Users, accounts, pairs and messages to start from.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeSet;

use chrono::DateTime;
use switchyard::store::Store;
use switchyard_actors::model::{
    Account, AccountId, AccountKind, AccountState, ChatId, Cursor, CursorKey, CursorValue, EventKind,
    Message, MessageId, NewDelivery, Pair, PairId, PartBody, Place, Platform, RichText, RouteVerdict,
    SourceEvent, UserId,
};
use switchyard_actors::ports::IntakeUnit;
use uuid::Uuid;

/// A user with a Telegram account that reads and a Discord account that writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct People {
    pub(crate) user: UserId,
    pub(crate) reader: AccountId,
    pub(crate) writer: AccountId,
}

/// Makes the people with this number.
pub(crate) async fn people(store: &Store, number: u128) -> People {
    let id = |kind: u128| Uuid::from_u128(number << 8 | kind);
    let people = People {
        user: UserId::from_uuid(id(1)),
        reader: AccountId::from_uuid(id(2)),
        writer: AccountId::from_uuid(id(3)),
    };
    store.create_user(people.user, "Ada").await.unwrap();
    store.create_account(&account(people.reader, people.user, AccountKind::TelegramUser)).await.unwrap();
    store.create_account(&account(people.writer, people.user, AccountKind::DiscordBot)).await.unwrap();
    people
}

pub(crate) fn account(id: AccountId, user: UserId, kind: AccountKind) -> Account {
    Account {
        id,
        user,
        kind,
        platform_id: i64::try_from(id.as_uuid().as_u128()).unwrap(),
        name: "an account".to_owned(),
        profile: "sandbox".to_owned(),
        state: AccountState::Active,
    }
}

pub(crate) fn place(platform: Platform, chat: i64) -> Place {
    Place { platform, chat: ChatId::new(chat).unwrap(), thread: None }
}

/// A pair with this number from a Telegram chat to a Discord channel.
pub(crate) async fn pair(store: &Store, people: People, number: u128, source: i64, target: i64) -> Pair {
    let pair = Pair {
        id: PairId::from_uuid(Uuid::from_u128(number)),
        user: people.user,
        source_account: people.reader,
        source: place(Platform::Telegram, source),
        target_account: people.writer,
        target: place(Platform::Discord, target),
        paused: BTreeSet::new(),
    };
    store.create_pair(&pair).await.unwrap();
    pair
}

pub(crate) fn message(chat: i64, id: i64, text: &str) -> SourceEvent {
    SourceEvent::New(Message {
        place: place(Platform::Telegram, chat),
        id: message_id(id),
        sender: None,
        sent_at: DateTime::from_timestamp_millis(1_795_000_000_000).unwrap(),
        edited_at: None,
        text: RichText::plain(text),
        reply_to: None,
        album: None,
        attachments: Vec::new(),
        restrictions: Vec::new(),
        own: false,
    })
}

pub(crate) fn message_id(id: i64) -> MessageId {
    MessageId::new(id).unwrap()
}

/// Messages of one chat, and the account's common state behind them.
pub(crate) fn unit(chat: i64, ids: std::ops::RangeInclusive<i64>, pts: i32) -> IntakeUnit {
    let events = ids.map(|id| message(chat, id, &format!("message {id}"))).collect();
    IntakeUnit { events, cursors: vec![common(pts)] }
}

pub(crate) fn common(pts: i32) -> Cursor {
    let value = CursorValue::TelegramCommon { pts, qts: 0, seq: 0, date: pts };
    Cursor { key: CursorKey::TelegramCommon, value }
}

/// A new message of these parts.
pub(crate) fn deliver(parts: &[&str]) -> RouteVerdict {
    let body = |text: &&str| PartBody::Markdown { content: (*text).to_owned(), author: None };
    let parts = parts.iter().map(body).collect();
    RouteVerdict::Deliver(NewDelivery { action: EventKind::New, parts, reply_to: None })
}

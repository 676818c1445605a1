//! What can be known of a pair without asking a platform, and what its platforms say of its two chats.

use switchyard_actors::model::{Account, AccountKind, ChatId, Pair, Place, Platform};
use switchyard_actors::pipeline::filter::TELEGRAM_SERVICE_ACCOUNTS;
use switchyard_actors::ports::{Look, Need};

use super::super::desk::Desk;
use super::super::fault::Fault;
use super::EndOrder;

impl Desk {
    /// Whether the accounts may read and write where the pair needs it, as their platforms say now.
    ///
    /// # Errors
    /// [`Fault::Invalid`] only where a platform says no: what cannot be asked now is found out when it is used.
    pub(super) async fn look_at_ends(&self, pair: &Pair) -> Result<(), Fault> {
        let limit = self.config.look_wait;
        let (source, target) = tokio::join!(
            self.operator.look(pair.source_account, pair.source, Need::Read, limit),
            self.operator.look(pair.target_account, pair.target, Need::Write, limit),
        );
        for (look, pointer, what) in
            [(source, "/source/chat", "read its source"), (target, "/target/chat", "write to its target")]
        {
            match look {
                Look::Allowed => {}
                Look::Refused(why) => {
                    return Err(Fault::invalid(pointer, format!("the pair cannot {what}: {why}")));
                }
                Look::Unknown(why) => {
                    tracing::info!(pair = %pair.id, pointer, why, "pair's end cannot be looked at now");
                }
            }
        }
        Ok(())
    }
}

pub(super) fn place(account: &Account, end: EndOrder) -> Place {
    Place { platform: account.kind.platform(), chat: end.chat, thread: end.thread }
}

/// What can be known without asking a platform; what it refuses later pauses the pair.
pub(super) fn check(
    reader: &Account,
    writer: &Account,
    pair: &Pair,
    only: Option<ChatId>,
) -> Result<(), Fault> {
    if reader.user != writer.user {
        return Err(Fault::invalid(
            "/target/account",
            "it belongs to another user than the source's account",
        ));
    }
    if reader.kind == AccountKind::DiscordWebhook {
        return Err(Fault::invalid(
            "/source/account",
            "a webhook cannot read: name a bot that is in the channel",
        ));
    }
    for (pointer, place) in [("/source/chat", pair.source), ("/target/chat", pair.target)] {
        if place.platform == Platform::Discord && place.chat.get() < 0 {
            return Err(Fault::invalid(pointer, "it is not the id of a Discord channel: those are positive"));
        }
    }
    for (pointer, place) in [("/source/chat", pair.source), ("/target/chat", pair.target)] {
        if place.platform == Platform::Telegram && TELEGRAM_SERVICE_ACCOUNTS.contains(&place.chat.get()) {
            let detail = "it is Telegram itself: sign-in codes and notices are never forwarded, nor is anything sent there";
            return Err(Fault::invalid(pointer, detail));
        }
    }
    if let Some(only) = only.filter(|only| *only != pair.target.chat) {
        let detail = format!("this webhook writes to channel {only} only");
        return Err(Fault::invalid("/target/chat", detail));
    }
    if pair.source == pair.target {
        return Err(Fault::invalid("/target/chat", "source and target are the same place"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use switchyard_actors::model::{AccountId, AccountState, PairId, UserId};
    use uuid::Uuid;

    use super::*;

    fn account(n: u128, kind: AccountKind, user: u128) -> Account {
        Account {
            id: AccountId::from_uuid(Uuid::from_u128(n)),
            user: UserId::from_uuid(Uuid::from_u128(user)),
            kind,
            platform_id: 1,
            name: "x".to_owned(),
            profile: "sandbox".to_owned(),
            state: AccountState::Active,
        }
    }

    fn verdict(
        reader: &Account,
        writer: &Account,
        chats: (i64, i64),
        only: Option<i64>,
    ) -> Option<&'static str> {
        let end = |account: &Account, chat| EndOrder {
            account: account.id,
            chat: ChatId::new(chat).unwrap(),
            thread: None,
        };
        let pair = Pair {
            id: PairId::from_uuid(Uuid::nil()),
            user: reader.user,
            source_account: reader.id,
            source: place(reader, end(reader, chats.0)),
            target_account: writer.id,
            target: place(writer, end(writer, chats.1)),
            paused: BTreeSet::new(),
        };
        match check(reader, writer, &pair, only.map(|only| ChatId::new(only).unwrap())) {
            Ok(()) => None,
            Err(Fault::Invalid { pointer, .. }) => Some(pointer),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_end_at_fault_is_named() {
        let telegram = account(1, AccountKind::TelegramUser, 1);
        let bot = account(2, AccountKind::DiscordBot, 1);
        let webhook = account(3, AccountKind::DiscordWebhook, 1);
        let stranger = account(4, AccountKind::DiscordBot, 2);
        assert_eq!(verdict(&telegram, &bot, (-100, 7), None), None);
        assert_eq!(verdict(&bot, &telegram, (7, -100), None), None);
        assert_eq!(verdict(&telegram, &telegram, (-100, -200), None), None);
        assert_eq!(verdict(&telegram, &telegram, (-100, -100), None), Some("/target/chat"));
        assert_eq!(verdict(&telegram, &stranger, (-100, 7), None), Some("/target/account"));
        assert_eq!(verdict(&webhook, &bot, (7, 8), None), Some("/source/account"));
        assert_eq!(verdict(&telegram, &bot, (-100, -7), None), Some("/target/chat"));
        assert_eq!(verdict(&bot, &telegram, (-7, -100), None), Some("/source/chat"));
        assert_eq!(verdict(&telegram, &webhook, (-100, 7), Some(8)), Some("/target/chat"));
        assert_eq!(verdict(&telegram, &webhook, (-100, 8), Some(8)), None);
        assert_eq!(verdict(&telegram, &bot, (777_000, 7), None), Some("/source/chat"));
        assert_eq!(verdict(&bot, &telegram, (7, 777_000), None), Some("/target/chat"));
        assert_eq!(verdict(&bot, &telegram, (777_000, -100), None), None, "another platform's number");
    }
}

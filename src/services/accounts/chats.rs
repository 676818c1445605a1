//! The chats that an account knows, searched and cut into pages.

use switchyard_actors::model::{Account, ChatId};
use switchyard_actors::ports::{ChatKind, ConnectionError, KnownChat};

use crate::services::desk::Desk;
use crate::services::fault::Fault;
use crate::services::page::{Listed, Page};

/// Which chats are asked for.
#[derive(Clone, Debug, Default)]
pub struct ChatQuery {
    /// Words of the title or of the group; upper and lower case are the same.
    pub text: Option<String>,
    /// Which page.
    pub page: Page<ChatId>,
}

impl Desk {
    pub(super) async fn chats_of(
        &self,
        account: &Account,
        query: ChatQuery,
    ) -> Result<Listed<KnownChat, ChatId>, Fault> {
        if let Some(chat) = self.only_chat(account).await? {
            let title = account.name.clone();
            let only = KnownChat {
                chat,
                title,
                group: None,
                kind: ChatKind::Group,
                can_read: false,
                can_write: true,
            };
            return Ok(search(&[only], &query));
        }
        let lent = self.operator.chats(account.id).await;
        let lent = lent.map_err(|why| Fault::Unreachable(format!("the account is not connected: {why}")))?;
        let Some(directory) = lent else { return Ok(search(&[], &query)) };
        let known = directory.chats().await.map_err(|error| match error {
            ConnectionError::Wait { wait, reason } => Fault::PlatformWait { wait, reason },
            ConnectionError::NeedsLogin(text) => Fault::NeedsLogin(text),
            other => Fault::Unreachable(other.to_string()),
        })?;
        Ok(search(&known, &query))
    }
}

/// The page of what is found, in the order of the list; after a cursor that is gone there is nothing.
fn search(known: &[KnownChat], query: &ChatQuery) -> Listed<KnownChat, ChatId> {
    let wanted = query.text.as_deref().map(|text| text.trim().to_lowercase()).unwrap_or_default();
    let holds = |text: &str| text.to_lowercase().contains(&wanted);
    let fits = |chat: &&KnownChat| holds(&chat.title) || chat.group.as_deref().is_some_and(holds);
    let found = known.iter().filter(fits);
    let cursor = query.page.cursor;
    let mut rest: Vec<KnownChat> = match cursor {
        None => found.take(query.page.limit.saturating_add(1)).cloned().collect(),
        Some(cursor) => {
            let after = found.skip_while(|chat| chat.chat != cursor).skip(1);
            after.take(query.page.limit.saturating_add(1)).cloned().collect()
        }
    };
    let more = rest.len() > query.page.limit;
    rest.truncate(query.page.limit);
    let next_cursor = rest.last().filter(|_| more).map(|chat| chat.chat);
    Listed { items: rest, next_cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(id: i64, title: &str, group: Option<&str>) -> KnownChat {
        KnownChat {
            chat: ChatId::new(id).unwrap(),
            title: title.to_owned(),
            group: group.map(str::to_owned),
            kind: ChatKind::Group,
            can_read: true,
            can_write: true,
        }
    }

    #[test]
    fn names_are_searched_whatever_their_case_and_pages_follow_each_other() {
        let known = [chat(9, "News", None), chat(3, "ÄRGER", None), chat(5, "general", Some("The News"))];
        let ask = |text: Option<&str>, limit, cursor: Option<i64>| {
            let cursor = cursor.map(|id| ChatId::new(id).unwrap());
            let query = ChatQuery { text: text.map(str::to_owned), page: Page { limit, cursor } };
            let found = search(&known, &query);
            let ids: Vec<i64> = found.items.iter().map(|chat| chat.chat.get()).collect();
            (ids, found.next_cursor.map(ChatId::get))
        };
        assert_eq!(ask(None, 10, None), (vec![9, 3, 5], None));
        assert_eq!(ask(Some(" news "), 10, None), (vec![9, 5], None));
        assert_eq!(ask(Some("ärger"), 10, None), (vec![3], None));
        assert_eq!(ask(None, 2, None), (vec![9, 3], Some(3)));
        assert_eq!(ask(None, 2, Some(3)), (vec![5], None));
        assert_eq!(ask(Some("nothing"), 2, None), (vec![], None));
        assert_eq!(ask(None, 2, Some(77)), (vec![], None), "that chat is gone");
    }
}

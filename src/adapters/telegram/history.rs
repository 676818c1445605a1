//! History of a chat from the last message seen to now, oldest first, a page a unit.

use grammers_tl_types as tl;
use switchyard_actors::model::ChatId;
use switchyard_actors::ports::{ConnectionError, IntakeUnit};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::errors::Fault;
use super::events::written;
use super::pump::Pump;

/// A chat whose history is being read.
#[derive(Debug)]
pub(crate) struct CatchUp {
    chat: ChatId,
    peer: tl::enums::InputPeer,
    not_before: Option<Instant>,
}

impl CatchUp {
    /// Reads a chat from the last message that the ledger knows.
    pub(crate) const fn new(chat: ChatId, peer: tl::enums::InputPeer) -> Self {
        Self { chat, peer, not_before: None }
    }
}

impl Pump {
    /// Reads the next page of the first history in line. The page's unit moves the chat's last message alone; the
    /// streams' positions follow when every history is read.
    pub(crate) async fn read_history(&mut self) -> Result<(), ConnectionError> {
        let Some(current) = self.catch_up.front() else { return Ok(()) };
        if let Some(at) = current.not_before {
            sleep_until(at).await;
        }
        let chat = current.chat;
        let limit = self.config.history_page.max(1);
        let last = self.ledger.last(chat).unwrap_or(0);
        let last_id = i32::try_from(last).unwrap_or(i32::MAX);
        // "Newer than": from just after the last message, shifted by a page towards the present
        // (core.telegram.org/api/offsets).
        let request = tl::functions::messages::GetHistory {
            peer: current.peer.clone(),
            offset_id: last_id.saturating_add(1),
            offset_date: 0,
            add_offset: limit.saturating_neg(),
            limit,
            max_id: 0,
            min_id: last_id,
            hash: 0,
        };
        let answer = match self.link.call(&request).await {
            Ok(answer) => answer,
            Err(error) if matches!(error.fault(), Fault::Chat | Fault::Repair | Fault::Refused) => {
                warn!(%chat, error = %ConnectionError::from(error), "history of a source chat cannot be read");
                self.finish_history();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let mut messages = self.history_page(answer);
        messages.retain(|message| i64::from(message.id()) > last);
        messages.sort_by_key(tl::enums::Message::id);
        let events: Vec<_> = messages.iter().filter_map(|message| written(&self.book, message)).collect();
        if let Some(newest) = messages.last() {
            self.ledger.saw(chat, i64::from(newest.id()));
        }
        let cursors = self.ledger.tell_chat(chat);
        if !events.is_empty() || !cursors.is_empty() {
            self.ready.push_back(IntakeUnit { events, cursors });
        }
        if i32::try_from(messages.len()).is_ok_and(|count| count < limit) {
            self.finish_history();
        } else if let Some(current) = self.catch_up.front_mut() {
            current.not_before = Some(Instant::now() + self.config.history_interval);
        }
        Ok(())
    }

    fn history_page(&mut self, answer: tl::enums::messages::Messages) -> Vec<tl::enums::Message> {
        use tl::enums::messages::Messages;
        let (messages, users, chats) = match answer {
            Messages::Messages(all) => (all.messages, all.users, all.chats),
            Messages::Slice(page) => (page.messages, page.users, page.chats),
            Messages::ChannelMessages(page) => (page.messages, page.users, page.chats),
            Messages::NotModified(_) => return Vec::new(),
        };
        self.learn(&users, &chats);
        messages
    }

    /// After the last history the streams' positions are told.
    fn finish_history(&mut self) {
        self.catch_up.pop_front();
        if self.catch_up.is_empty() {
            self.finish_unit(Vec::new());
        }
    }
}

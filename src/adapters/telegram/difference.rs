//! Differences: what the server tells a stream has missed (core.telegram.org/api/updates#recovering-gaps).

use grammers_session::types::{PeerId, PeerKind};
use grammers_session::updates::{PrematureEndReason, UpdatesLike};
use grammers_tl_types as tl;
use switchyard_actors::model::{ChatId, SourceEvent};
use switchyard_actors::ports::{ConnectionError, IntakeUnit};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::book::{chat_id, peer_of};
use super::errors::Fault;
use super::events::{events, written};
use super::feed;
use super::history::CatchUp;
use super::link::CallError;
use super::pump::Pump;
use super::sources::{input_channel, input_peer};

impl Pump {
    /// Fetches one step of the account's common difference.
    pub(crate) async fn account_difference(
        &mut self,
        request: tl::functions::updates::GetDifference,
    ) -> Result<(), ConnectionError> {
        use tl::enums::updates::Difference;
        let mut difference = match self.link.call(&request).await {
            Ok(difference) => difference,
            Err(error) if error.is("PERSISTENT_TIMESTAMP_INVALID") => {
                // The server does not know our position: the same as one that is too far back.
                let tl::enums::updates::State::State(state) =
                    self.link.call(&tl::functions::updates::GetState {}).await?;
                Difference::TooLong(tl::types::updates::DifferenceTooLong { pts: state.pts })
            }
            Err(error) => return Err(error.into()),
        };
        let too_long = matches!(difference, Difference::TooLong(_));
        match &mut difference {
            Difference::Difference(full) => feed::admit_list(&mut full.other_updates, &self.ledger),
            Difference::Slice(slice) => feed::admit_list(&mut slice.other_updates, &self.ledger),
            Difference::Empty(_) | Difference::TooLong(_) => {}
        }
        let (updates, users, chats) = self.boxes.apply_difference(difference);
        self.learn(&users, &chats);
        let told = updates.iter().flat_map(|(update, _)| events(&self.book, update)).collect();
        if too_long {
            self.read_private_histories();
            // What came after the position in the answer is told by a difference from there.
            let _ = self.boxes.process_updates(UpdatesLike::MalformedUpdates);
        }
        self.finish_step(told);
        Ok(())
    }

    /// Replaces a common difference that is too long by the histories of private chats and groups, which bots cannot
    /// read.
    fn read_private_histories(&mut self) {
        let private = self
            .book
            .sources()
            .filter(|chat| peer_of(*chat).is_some_and(|peer| peer.kind() != PeerKind::Channel));
        let private: Vec<ChatId> = private.collect();
        if self.book.is_bot() {
            for chat in private {
                error!(%chat, after = self.ledger.last(chat), "messages to the bot are lost: telegram no longer tells what it missed, and bots cannot read history");
            }
            return;
        }
        info!("telegram's difference is too long, reading history of private chats and groups instead");
        let session = self.link.session();
        let histories =
            private.into_iter().filter_map(|chat| Some(CatchUp::new(chat, input_peer(session, chat)?)));
        self.catch_up.extend(histories);
    }

    /// Fetches one step of the difference of the channel that the message boxes ask for.
    pub(crate) async fn channel_difference(
        &mut self,
        mut request: tl::functions::updates::GetChannelDifference,
    ) -> Result<(), ConnectionError> {
        let tl::enums::InputChannel::Channel(asked) = &request.channel else {
            self.boxes.end_channel_difference(PrematureEndReason::Banned);
            return Ok(());
        };
        let channel = asked.channel_id;
        let Some(input) = input_channel(self.link.session(), channel) else {
            self.lose_channel(channel, "its access hash is not known");
            return Ok(());
        };
        request.channel = input;
        request.limit = self.config.channel_difference_limit;
        match self.link.call(&request).await {
            Ok(difference) => self.apply_channel_difference(channel, difference),
            Err(error) if error.is("PERSISTENT_TIMESTAMP_INVALID") => {
                self.restart_channel(channel, request.channel).await?;
            }
            Err(error) => self.channel_failed(channel, error)?,
        }
        Ok(())
    }

    fn apply_channel_difference(
        &mut self,
        channel: i64,
        mut difference: tl::enums::updates::ChannelDifference,
    ) {
        use tl::enums::updates::ChannelDifference;
        // After a final difference the message boxes would drop its edits and deletions as already known: they are
        // taken out and told here.
        let mut others = Vec::new();
        match &mut difference {
            ChannelDifference::Difference(full) => others = std::mem::take(&mut full.other_updates),
            ChannelDifference::TooLong(long) => {
                let position = match &long.dialog {
                    tl::enums::Dialog::Dialog(dialog) => dialog.pts,
                    tl::enums::Dialog::Folder(_) | tl::enums::Dialog::Community(_) => None,
                };
                if position.is_none() {
                    return self.ask_again(channel, "the server does not tell the channel's position");
                }
                info!(channel, "telegram's difference is too long, reading history instead");
                self.learn(&long.users, &long.chats);
                self.read_from_last(channel, std::mem::take(&mut long.messages));
            }
            ChannelDifference::Empty(_) => {}
        }
        let (updates, users, chats) = self.boxes.apply_channel_difference(difference);
        self.learn(&users, &chats);
        let others = others.iter().flat_map(|update| events(&self.book, update));
        let told = updates.iter().flat_map(|(update, _)| events(&self.book, update)).chain(others).collect();
        self.finish_step(told);
    }

    /// Replaces a channel's difference by its history.
    fn read_from_last(&mut self, channel: i64, told: Vec<tl::enums::Message>) {
        let chat = PeerId::channel(channel).and_then(chat_id);
        let found = chat.and_then(|chat| Some((chat, input_peer(self.link.session(), chat)?)));
        let Some((chat, peer)) = found else { return };
        if self.book.is_bot() || self.ledger.last(chat).is_none() {
            // A bot cannot read history; and where nothing was ever seen, it has no place to begin. The answer's own
            // messages are all that there is.
            let told = self.told_instead(chat, told);
            self.ledger.saw_events(&told);
            self.ready.push_back(IntakeUnit { events: told, cursors: Vec::new() });
            return;
        }
        self.catch_up.push_back(CatchUp::new(chat, peer));
    }

    /// Messages that came with an answer in place of a difference, as far as they are new. For a bot, what lies before
    /// them is lost, and that is said.
    fn told_instead(&self, chat: ChatId, told: Vec<tl::enums::Message>) -> Vec<SourceEvent> {
        let last = self.ledger.last(chat);
        let is_new = |message: &tl::enums::Message| match (last, message) {
            (Some(last), message) => i64::from(message.id()) > last,
            (None, _) if !self.book.is_bot() => true,
            (None, tl::enums::Message::Message(message)) => message.date >= self.since,
            (None, tl::enums::Message::Service(message)) => message.date >= self.since,
            (None, tl::enums::Message::Empty(_)) => false,
        };
        let oldest = told.iter().map(tl::enums::Message::id).min();
        let whole =
            last.zip(oldest).is_some_and(|(last, oldest)| i64::from(oldest) <= last.saturating_add(1));
        if self.book.is_bot() && !whole {
            error!(%chat, after = last, before = oldest, "messages to the bot are lost: telegram no longer tells what it missed, and bots cannot read history");
        }
        let mut new: Vec<_> = told
            .iter()
            .filter(|message| is_new(message))
            .filter_map(|message| written(&self.book, message))
            .collect();
        new.sort_by_key(SourceEvent::message_id);
        new
    }

    /// Begins a channel anew at its present position, after its history.
    async fn restart_channel(
        &mut self,
        channel: i64,
        input: tl::enums::InputChannel,
    ) -> Result<(), ConnectionError> {
        let request = tl::functions::channels::GetFullChannel { channel: input };
        let tl::enums::messages::ChatFull::Full(answer) = match self.link.call(&request).await {
            Ok(answer) => answer,
            Err(error) => return self.channel_failed(channel, error),
        };
        self.learn(&answer.users, &answer.chats);
        let tl::enums::ChatFull::ChannelFull(full) = answer.full_chat else {
            self.lose_channel(channel, "the server says it is no channel");
            return Ok(());
        };
        self.read_from_last(channel, Vec::new());
        let now = tl::types::updates::ChannelDifferenceEmpty { r#final: true, pts: full.pts, timeout: None };
        self.boxes.apply_channel_difference(now.into());
        self.finish_step(Vec::new());
        Ok(())
    }

    /// One channel's failure is that channel's alone.
    fn channel_failed(&mut self, channel: i64, error: CallError) -> Result<(), ConnectionError> {
        let fault = error.fault();
        let outdated = error.is("PERSISTENT_TIMESTAMP_OUTDATED");
        let error = ConnectionError::from(error);
        match fault {
            Fault::Chat | Fault::Repair => self.lose_channel(channel, &error.to_string()),
            Fault::Backoff | Fault::Refused => self.ask_again(channel, &error.to_string()),
            _ if outdated => self.ask_again(channel, &error.to_string()),
            _ => return Err(error),
        }
        Ok(())
    }

    fn lose_channel(&mut self, channel: i64, why: &str) {
        warn!(channel, why, "source channel can no longer be read");
        self.ledger.unfollow(channel);
        self.lost.insert(channel, why.to_owned());
        self.boxes.end_channel_difference(PrematureEndReason::Banned);
    }

    fn ask_again(&mut self, channel: i64, why: &str) {
        warn!(channel, why, "a channel's difference is not available, asking again later");
        self.again.insert(channel, Instant::now() + self.config.difference_retry);
        self.boxes.end_channel_difference(PrematureEndReason::TemporaryServerIssues);
    }

    /// While histories are to be read, the streams' positions are not told: they stand behind what is missing.
    fn finish_step(&mut self, told: Vec<SourceEvent>) {
        if self.catch_up.is_empty() {
            self.finish_difference(told);
        } else if !told.is_empty() {
            self.ready.push_back(IntakeUnit { events: told, cursors: Vec::new() });
        }
    }
}

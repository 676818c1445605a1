//! Writes, changes and deletes messages through an account's one connection.
//!
//! A new message goes by a raw `messages.sendMessage` under the `random_id` that belongs to its key, so that a repeat
//! is recognised by Telegram (core.telegram.org/api/errors, `RANDOM_ID_DUPLICATE`); edits and deletions that are
//! already so count as done.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use grammers_session::types::{PeerId, PeerInfo, PeerKind};
use grammers_tl_types as tl;
use switchyard_actors::model::{
    ChatId, IdempotencyKey, MessageId, PartBody, Place, RichText, SendOutcome, ThreadId,
};
use switchyard_actors::ports::{Look, MessageSender, Need, Operation, SendReport, SendRequest};
use tokio::sync::Mutex;
use tracing::{debug, warn};

use crate::config::TelegramConfig;

use super::answer::sent_id;
use super::book::{channel_of, peer_of};
use super::entities::to_telegram;
use super::errors::{self, Fault};
use super::link::{CallError, Link};
use super::lookup::{Sought, find_sent};
use super::resolve::{self, Described};
use super::sight;
use super::sources::{input_channel, input_peer};

/// The topic in which a forum's messages without a topic stand (core.telegram.org/api/forum).
const GENERAL_TOPIC: i64 = 1;

/// Sends through a connection that a pump reads at the same time.
pub(crate) struct TelegramSender {
    link: Arc<Link>,
    config: TelegramConfig,
    bot: bool,
    /// One search for a chat at a time: the next one may find it done.
    search: Mutex<()>,
}

/// Where a message goes, as requests name it.
struct Target {
    place: Place,
    peer: tl::enums::InputPeer,
}

/// What a send says.
struct Text<'a> {
    rich: &'a RichText,
    entities: Option<Vec<tl::enums::MessageEntity>>,
}

impl TelegramSender {
    /// A sender over a connection that is signed in.
    pub(crate) fn new(link: Arc<Link>, config: TelegramConfig, bot: bool) -> Self {
        Self { link, config, bot, search: Mutex::new(()) }
    }

    /// Carries an operation out; the id of the message, if it is known.
    async fn carry_out(&self, request: &SendRequest) -> Result<Option<MessageId>, SendOutcome> {
        let place = request.target;
        let peer = match input_peer(self.link.session(), place.chat) {
            Some(peer) => peer,
            None => self.search(place.chat, None).await?,
        };
        let target = Target { place, peer };
        let stale = match self.attempt(request, &target).await {
            Ok(outcome) => return outcome,
            Err(error) if error.answer().is_some_and(errors::is_stale_peer) => error,
            Err(error) => return Err(self.judge(&error).await),
        };
        debug!(chat = %place.chat, error = %stale, "the chat's access hash may be out of date");
        let peer = self.search(place.chat, Some(&target.peer)).await?;
        match self.attempt(request, &Target { place, peer }).await {
            Ok(outcome) => outcome,
            Err(error) if error.answer().is_some_and(errors::is_stale_peer) => {
                Err(SendOutcome::PausePair { error: format!("chat {}: {error}", place.chat) })
            }
            Err(error) => Err(self.judge(&error).await),
        }
    }

    /// One try. The outer error says that the request itself failed.
    async fn attempt(
        &self,
        request: &SendRequest,
        target: &Target,
    ) -> Result<Result<Option<MessageId>, SendOutcome>, CallError> {
        let body = match &request.operation {
            Operation::Send { body, .. } | Operation::Edit { body, .. } => Some(body),
            Operation::Delete { .. } => None,
        };
        let text = match body {
            Some(PartBody::Rich { text }) => Some(self.text(text)),
            Some(PartBody::Markdown { .. } | PartBody::Deletion) => {
                let error = "the message is in a form that telegram does not take".to_owned();
                return Ok(Err(SendOutcome::Refused { error }));
            }
            None => None,
        };
        match (&request.operation, text) {
            (Operation::Send { reply_to, .. }, Some(text)) => {
                self.write(request, target, &text, *reply_to).await.map(Ok)
            }
            (Operation::Edit { message, .. }, Some(text)) => self.edit(target, *message, &text).await,
            (Operation::Delete { message }, _) => self.delete(target, *message).await,
            (Operation::Send { .. } | Operation::Edit { .. }, None) => {
                Ok(Err(SendOutcome::Refused { error: "the message has no text".to_owned() }))
            }
        }
    }

    fn text<'a>(&self, rich: &'a RichText) -> Text<'a> {
        let entities = to_telegram(rich, |user| self.input_user(user));
        Text { rich, entities: Some(entities).filter(|entities| !entities.is_empty()) }
    }

    /// A person as requests name them, if the account has met them.
    fn input_user(&self, id: i64) -> Option<tl::enums::InputUser> {
        match self.link.session().known(PeerId::user(id)?)? {
            PeerInfo::User { auth: Some(auth), .. } => {
                Some(tl::types::InputUser { user_id: id, access_hash: auth.hash() }.into())
            }
            _ => None,
        }
    }

    /// Writes a message, without the answered one if that is gone; under the same key in both cases.
    async fn write(
        &self,
        request: &SendRequest,
        target: &Target,
        text: &Text<'_>,
        reply_to: Option<MessageId>,
    ) -> Result<Option<MessageId>, CallError> {
        let first = self.call_send(target, text, request.key, reply_to).await;
        let answer = match first {
            Err(error) if reply_to.is_some() && error.answer().is_some_and(errors::is_reply_gone) => {
                debug!(chat = %target.place.chat, %error, "the answered message is gone, sending without it");
                self.call_send(target, text, request.key, None).await
            }
            answer => answer,
        };
        let random_id = request.key.telegram_random_id();
        match answer {
            Ok(answer) => Ok(sent_id(&answer, random_id)),
            Err(error) if error.fault() == Fault::AlreadySent => {
                let sought = Sought {
                    chat: target.place.chat,
                    peer: &target.peer,
                    random_id,
                    text: text.rich.text(),
                    since: request.unclear_since,
                    known: &request.known,
                };
                let found = find_sent(&self.link, &self.config, self.bot, &sought).await?;
                if found.is_none() {
                    warn!(chat = %target.place.chat, "a message was sent before, its id is not to be found");
                }
                Ok(found)
            }
            Err(error) => Err(error),
        }
    }

    async fn call_send(
        &self,
        target: &Target,
        text: &Text<'_>,
        key: IdempotencyKey,
        reply_to: Option<MessageId>,
    ) -> Result<tl::enums::Updates, CallError> {
        let request = tl::functions::messages::SendMessage {
            no_webpage: false,
            silent: false,
            background: false,
            clear_draft: false,
            noforwards: false,
            update_stickersets_order: false,
            invert_media: false,
            allow_paid_floodskip: false,
            peer: target.peer.clone(),
            reply_to: reply_header(target.place.thread, reply_to),
            message: text.rich.text().to_owned(),
            random_id: key.telegram_random_id(),
            reply_markup: None,
            entities: text.entities.clone(),
            schedule_date: None,
            schedule_repeat_period: None,
            send_as: None,
            quick_reply_shortcut: None,
            effect: None,
            allow_paid_stars: None,
            suggested_post: None,
            rich_message: None,
        };
        self.link.call(&request).await
    }

    async fn edit(
        &self,
        target: &Target,
        message: MessageId,
        text: &Text<'_>,
    ) -> Result<Result<Option<MessageId>, SendOutcome>, CallError> {
        let Some(id) = number(message) else { return Ok(Err(no_number(message))) };
        let request = tl::functions::messages::EditMessage {
            no_webpage: false,
            invert_media: false,
            peer: target.peer.clone(),
            id,
            message: Some(text.rich.text().to_owned()),
            media: None,
            reply_markup: None,
            entities: text.entities.clone(),
            schedule_date: None,
            schedule_repeat_period: None,
            quick_reply_shortcut_id: None,
            rich_message: None,
        };
        match self.link.call(&request).await {
            Ok(_) => Ok(Ok(Some(message))),
            Err(error) if error.is("MESSAGE_NOT_MODIFIED") => Ok(Ok(Some(message))),
            Err(error) => Err(error),
        }
    }

    async fn delete(
        &self,
        target: &Target,
        message: MessageId,
    ) -> Result<Result<Option<MessageId>, SendOutcome>, CallError> {
        let Some(id) = number(message) else { return Ok(Err(no_number(message))) };
        let channel = channel_of(target.place.chat);
        let answer = match channel.and_then(|channel| input_channel(self.link.session(), channel)) {
            Some(channel) => {
                let request = tl::functions::channels::DeleteMessages { channel, id: vec![id] };
                self.link.call(&request).await
            }
            None => {
                let request = tl::functions::messages::DeleteMessages { revoke: true, id: vec![id] };
                self.link.call(&request).await
            }
        };
        match answer {
            Ok(_) => Ok(Ok(Some(message))),
            Err(error) if error.is("MESSAGE_ID_INVALID") => Ok(Ok(Some(message))),
            Err(error) => Err(error),
        }
    }

    /// Asks the server for a chat, once; `stale` is how it was named in vain.
    async fn search(
        &self,
        chat: ChatId,
        stale: Option<&tl::enums::InputPeer>,
    ) -> Result<tl::enums::InputPeer, SendOutcome> {
        let unknown = || SendOutcome::PausePair { error: self.unknown_chat(chat) };
        if peer_of(chat).is_none() {
            return Err(unknown());
        }
        let known = || input_peer(self.link.session(), chat).filter(|peer| stale != Some(peer));
        let _alone = self.search.lock().await;
        if let Some(peer) = known() {
            return Ok(peer);
        }
        let mut learn_nothing = |_: &Described| {};
        let wanted = BTreeSet::from([chat]);
        let find = resolve::find(&self.link, &self.config, self.bot, wanted, &mut learn_nothing);
        match tokio::time::timeout(self.config.connect_timeout, find).await {
            Ok(Ok(_)) => known().ok_or_else(unknown),
            Ok(Err(error)) => Err(self.judge(&error).await),
            Err(_) => {
                let waited = self.config.connect_timeout.as_millis();
                Err(SendOutcome::Backoff { error: format!("chat {chat} was not found within {waited} ms") })
            }
        }
    }

    fn unknown_chat(&self, chat: ChatId) -> String {
        let kind = peer_of(chat).map(PeerId::kind);
        match (self.bot, kind) {
            (_, None) => format!("{chat} is not the id of a telegram chat"),
            (true, Some(PeerKind::User)) => {
                format!("the bot cannot write to user {chat}: they have to write to the bot first")
            }
            (true, Some(_)) => format!("the bot is not a member of chat {chat}: add it there"),
            (false, Some(_)) => {
                format!("chat {chat} is not among the account's chats: join or open it first")
            }
        }
    }

    /// What a failed request means for the message. An authorisation error of an unknown name means the end of the
    /// session only if asking who one is says so too.
    async fn judge(&self, error: &CallError) -> SendOutcome {
        if error.fault() == Fault::Suspect {
            let request = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
            if let Err(second) = self.link.call(&request).await
                && matches!(second.fault(), Fault::Suspect | Fault::SessionDead)
            {
                return SendOutcome::SessionDead { error: error.to_string() };
            }
        }
        error.outcome()
    }
}

#[async_trait]
impl MessageSender for TelegramSender {
    async fn send(&self, request: SendRequest) -> SendReport {
        let outcome = match self.carry_out(&request).await {
            Ok(message) => SendOutcome::Delivered { message },
            Err(outcome) => outcome,
        };
        SendReport { outcome, hint: None }
    }

    async fn look(&self, place: Place, need: Need) -> Look {
        sight::look(&self.link, place, need).await
    }
}

/// The answered message and the topic. A topic is named by its first message, also where nothing else is answered
/// (core.telegram.org/api/forum#send-messages-to-topics).
fn reply_header(thread: Option<ThreadId>, reply_to: Option<MessageId>) -> Option<tl::enums::InputReplyTo> {
    let thread = thread.map(ThreadId::get).filter(|thread| *thread != GENERAL_TOPIC);
    let top_msg_id = thread.and_then(|thread| i32::try_from(thread).ok());
    let reply_to_msg_id = reply_to.and_then(number).or(top_msg_id)?;
    let reply = tl::types::InputReplyToMessage {
        reply_to_msg_id,
        top_msg_id,
        reply_to_peer_id: None,
        quote_text: None,
        quote_entities: None,
        quote_offset: None,
        monoforum_peer_id: None,
        todo_item_id: None,
        poll_option: None,
    };
    Some(reply.into())
}

fn number(message: MessageId) -> Option<i32> {
    i32::try_from(message.get()).ok()
}

fn no_number(message: MessageId) -> SendOutcome {
    SendOutcome::Refused { error: format!("{message} is not the id of a telegram message") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_with_every_message_and_the_general_one_never() {
        let header = |thread: Option<i64>, reply: Option<i64>| {
            let thread = thread.map(|id| ThreadId::new(id).unwrap());
            let reply = reply.map(|id| MessageId::new(id).unwrap());
            reply_header(thread, reply).map(|header| match header {
                tl::enums::InputReplyTo::Message(reply) => (reply.reply_to_msg_id, reply.top_msg_id),
                other => panic!("not a message: {other:?}"),
            })
        };
        assert_eq!(header(None, None), None);
        assert_eq!(header(None, Some(5)), Some((5, None)));
        assert_eq!(header(Some(3), None), Some((3, Some(3))));
        assert_eq!(header(Some(3), Some(5)), Some((5, Some(3))));
        assert_eq!(header(Some(1), None), None);
        assert_eq!(header(Some(1), Some(5)), Some((5, None)));
        assert_eq!(header(None, Some(i64::MAX)), None, "no id of Telegram");
    }
}

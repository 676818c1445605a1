//! Which cursors moved since they were last handed out, and the last message seen in each source chat.

use std::collections::{BTreeMap, BTreeSet};

use grammers_session::types::UpdatesState;
use switchyard_actors::model::{ChatId, Cursor, CursorKey, CursorValue, SourceEvent};

/// Cursors as they were handed out with the last units, and where the streams stand by now.
#[derive(Debug, Default)]
pub(crate) struct CursorLedger {
    told: BTreeMap<CursorKey, CursorValue>,
    last: BTreeMap<ChatId, i64>,
    /// Channels whose position counts: the sources. Others are not read.
    channels: BTreeSet<i64>,
}

impl CursorLedger {
    /// Begins with what the store has.
    pub(crate) fn new(cursors: &[Cursor]) -> Self {
        let told: BTreeMap<_, _> = cursors.iter().map(|cursor| (cursor.key, cursor.value)).collect();
        let last = told.iter().filter_map(|(key, value)| match (key, value) {
            (CursorKey::TelegramChat { chat }, CursorValue::LastMessage { id }) => Some((*chat, *id)),
            _ => None,
        });
        Self { last: last.collect(), told, channels: BTreeSet::new() }
    }

    /// The stored position of the account's common stream.
    pub(crate) fn common(&self) -> Option<(i32, i32, i32, i32)> {
        match self.told.get(&CursorKey::TelegramCommon)? {
            CursorValue::TelegramCommon { pts, qts, seq, date } => Some((*pts, *qts, *seq, *date)),
            _ => None,
        }
    }

    /// The stored position of a channel.
    pub(crate) fn channel(&self, channel: i64) -> Option<i32> {
        match self.told.get(&CursorKey::TelegramChannel { channel })? {
            CursorValue::TelegramChannel { pts } => Some(*pts),
            _ => None,
        }
    }

    /// Reads a channel from now on.
    pub(crate) fn follow(&mut self, channel: i64) {
        self.channels.insert(channel);
    }

    /// A channel that can no longer be read.
    pub(crate) fn unfollow(&mut self, channel: i64) {
        self.channels.remove(&channel);
    }

    /// Channels that are read.
    pub(crate) fn followed(&self) -> impl Iterator<Item = i64> {
        self.channels.iter().copied()
    }

    /// Whether a channel is read.
    pub(crate) fn follows(&self, channel: i64) -> bool {
        self.channels.contains(&channel)
    }

    /// The last message seen in a chat.
    pub(crate) fn last(&self, chat: ChatId) -> Option<i64> {
        self.last.get(&chat).copied()
    }

    /// Notes the last message of a chat where none is known.
    pub(crate) fn begin(&mut self, chat: ChatId, last: i64) {
        self.last.entry(chat).or_insert(last);
    }

    /// Notes a message as seen.
    pub(crate) fn saw(&mut self, chat: ChatId, id: i64) {
        let last = self.last.entry(chat).or_insert(id);
        *last = (*last).max(id);
    }

    /// Notes the new messages among events as seen.
    pub(crate) fn saw_events(&mut self, events: &[SourceEvent]) {
        for event in events {
            if let SourceEvent::New(message) = event {
                self.saw(message.place.chat, message.id.get());
            }
        }
    }

    /// Whether a position moved. Sequence number and date alone do not count: the server tells them anew with every
    /// difference.
    pub(crate) fn moved(&self, state: &UpdatesState) -> bool {
        self.positions(state).into_iter().any(|cursor| match (cursor.value, self.told.get(&cursor.key)) {
            (
                CursorValue::TelegramCommon { pts, qts, .. },
                Some(CursorValue::TelegramCommon { pts: told_pts, qts: told_qts, .. }),
            ) => pts != *told_pts || qts != *told_qts,
            (value, told) => Some(&value) != told,
        })
    }

    /// Every cursor that differs from what was told, and from now on counts as told.
    pub(crate) fn tell(&mut self, state: &UpdatesState) -> Vec<Cursor> {
        let mut changed = self.positions(state);
        changed.retain(|cursor| self.told.get(&cursor.key) != Some(&cursor.value));
        self.told.extend(changed.iter().map(|cursor| (cursor.key, cursor.value)));
        changed
    }

    /// The last message of one chat alone: the streams' positions stay behind until its history is read.
    pub(crate) fn tell_chat(&mut self, chat: ChatId) -> Vec<Cursor> {
        let key = CursorKey::TelegramChat { chat };
        let Some(id) = self.last(chat) else { return Vec::new() };
        let value = CursorValue::LastMessage { id };
        if self.told.insert(key, value) == Some(value) { Vec::new() } else { vec![Cursor { key, value }] }
    }

    fn positions(&self, state: &UpdatesState) -> Vec<Cursor> {
        let UpdatesState { pts, qts, date, seq, channels } = state;
        let value = CursorValue::TelegramCommon { pts: *pts, qts: *qts, seq: *seq, date: *date };
        let common = Cursor { key: CursorKey::TelegramCommon, value };
        let channels = channels.iter().filter(|channel| self.channels.contains(&channel.id));
        let channels = channels.map(|channel| Cursor {
            key: CursorKey::TelegramChannel { channel: channel.id },
            value: CursorValue::TelegramChannel { pts: channel.pts },
        });
        let chats = self.last.iter().map(|(chat, id)| Cursor {
            key: CursorKey::TelegramChat { chat: *chat },
            value: CursorValue::LastMessage { id: *id },
        });
        std::iter::once(common).chain(channels).chain(chats).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grammers_session::types::ChannelState;

    fn state(pts: i32, date: i32, channel_pts: i32) -> UpdatesState {
        let channel = |id| ChannelState { id, pts: channel_pts };
        UpdatesState { pts, qts: 0, date, seq: 1, channels: vec![channel(7), channel(8)] }
    }

    #[test]
    fn only_what_moved_is_told_and_only_once() {
        let mut ledger = CursorLedger::new(&[]);
        ledger.follow(7);
        assert!(ledger.moved(&state(1, 1, 5)));
        assert_eq!(ledger.tell(&state(1, 1, 5)).len(), 2, "the common stream and the followed channel");
        assert!(!ledger.moved(&state(1, 9, 5)), "a date alone is not worth a write");
        let told = ledger.tell(&state(1, 9, 6));
        let pts = CursorValue::TelegramChannel { pts: 6 };
        assert!(told.contains(&Cursor { key: CursorKey::TelegramChannel { channel: 7 }, value: pts }));
        assert_eq!(told.len(), 2, "with a write the date goes along");
        assert_eq!(ledger.tell(&state(1, 9, 6)), vec![]);
    }

    #[test]
    fn a_chat_is_told_without_the_streams() {
        let mut ledger = CursorLedger::new(&[]);
        let chat = ChatId::new(-1_000_000_000_007).unwrap();
        ledger.begin(chat, 10);
        ledger.begin(chat, 3);
        ledger.saw(chat, 12);
        ledger.saw(chat, 11);
        assert_eq!(ledger.last(chat), Some(12));
        assert_eq!(ledger.tell_chat(chat).len(), 1);
        assert_eq!(ledger.tell_chat(chat), vec![]);
        let again = CursorLedger::new(&[Cursor {
            key: CursorKey::TelegramChat { chat },
            value: CursorValue::LastMessage { id: 12 },
        }]);
        assert_eq!(again.last(chat), Some(12));
    }
}

//! One MTProto session on one connection: numbering of what is sent, and the checks that the protocol makes of what
//! is received (core.telegram.org/mtproto/description#message-identifier-msg-id).

use std::collections::BTreeMap;

use super::wire::Message;

/// Message ids further than this in the past are refused, in seconds.
const MAX_AGE: i64 = 300;
/// Message ids further than this in the future are refused, in seconds.
const MAX_AHEAD: i64 = 30;
/// Message ids remembered against repeats.
const REMEMBERED: usize = 1024;

/// Whether a message must be acknowledged, which decides the parity of its sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relevance {
    /// Must be: odd.
    Content,
    /// Must not be: even.
    Service,
    /// Clients differ.
    Either,
}

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new and in order.
    Fresh,
    /// It was handled before.
    Repeat,
    /// It is refused with this `bad_msg_notification` code
    /// (core.telegram.org/mtproto/service_messages_about_messages#notice-of-ignored-error-message).
    Bad(i32),
}

/// The state of a session.
#[derive(Debug)]
pub(super) struct Session {
    id: i64,
    last_sent: i64,
    sent_content: i32,
    seen: BTreeMap<i64, i32>,
    forgotten: i64,
    /// Whether `new_session_created` was sent.
    pub(super) announced: bool,
}

impl Session {
    /// A session with the id that the client chose.
    pub(super) const fn new(id: i64) -> Self {
        Self { id, last_sent: 0, sent_content: 0, seen: BTreeMap::new(), forgotten: 0, announced: false }
    }

    /// The id that the client chose.
    pub(super) const fn id(&self) -> i64 {
        self.id
    }

    /// Message id and sequence number of the next message to the client. Ids of answers to a client's message are 1
    /// modulo 4, others 3; both rise. `now_ms` is Unix time.
    pub(super) fn number(&mut self, now_ms: u64, answers: bool, content: bool) -> (i64, i32) {
        let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let fraction = (now_ms % 1000).saturating_mul(1 << 32) / 1000;
        let base = ((now_ms / 1000) << 32 | fraction) & !3;
        let remainder = if answers { 1 } else { 3 };
        let next = self.last_sent.saturating_add(4) & !3;
        self.last_sent = base.max(next) | remainder;
        let seq_no = self.sent_content.saturating_mul(2).saturating_add(i32::from(content));
        self.sent_content = self.sent_content.saturating_add(i32::from(content));
        (self.last_sent, seq_no)
    }

    /// Judges a message of the client and remembers it if it is fresh. `now` is Unix time in seconds.
    pub(super) fn judge(&mut self, message: &Message, relevance: Relevance, now: i64) -> Verdict {
        let Message { msg_id, seq_no, .. } = *message;
        if msg_id % 4 != 0 {
            return Verdict::Bad(18);
        }
        let sent = msg_id >> 32;
        if sent < now.saturating_sub(MAX_AGE) {
            return Verdict::Bad(16);
        }
        if sent > now.saturating_add(MAX_AHEAD) {
            return Verdict::Bad(17);
        }
        if self.seen.contains_key(&msg_id) {
            return Verdict::Repeat;
        }
        if msg_id <= self.forgotten {
            return Verdict::Bad(20);
        }
        match (relevance, seq_no % 2) {
            (Relevance::Content, 0) => return Verdict::Bad(35),
            (Relevance::Service, 1 | -1) => return Verdict::Bad(34),
            _ => {}
        }
        if self.seen.range(..msg_id).next_back().is_some_and(|(_, before)| *before > seq_no) {
            return Verdict::Bad(32);
        }
        if self.seen.range(msg_id..).next().is_some_and(|(_, after)| *after < seq_no) {
            return Verdict::Bad(33);
        }
        self.seen.insert(msg_id, seq_no);
        if self.seen.len() > REMEMBERED
            && let Some((oldest, _)) = self.seen.pop_first()
        {
            self.forgotten = oldest;
        }
        Verdict::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn message(msg_id: i64, seq_no: i32) -> Message {
        Message { msg_id, seq_no, body: vec![0; 4] }
    }

    fn at(second: i64, step: i64) -> i64 {
        (second << 32) + 4 * step
    }

    #[test]
    fn ids_rise_and_tell_answers_from_the_rest() {
        let mut session = Session::new(1);
        let mut last = 0;
        for step in 0..100 {
            let (id, _) = session.number(1_800_000_000_123, step % 2 == 0, step % 3 == 0);
            assert!(id > last);
            assert_eq!(id % 4, if step % 2 == 0 { 1 } else { 3 });
            assert_eq!(id >> 32, NOW);
            last = id;
        }
        let numbers: Vec<i32> =
            [true, false, true, true].map(|content| session.number(0, false, content).1).to_vec();
        let first = numbers[0];
        assert_eq!(numbers, [first, first + 1, first + 2, first + 4]);
    }

    #[test]
    fn clearly_wrong_messages_get_the_code_of_the_protocol() {
        let mut session = Session::new(1);
        let mut judge = |msg_id, seq_no, relevance| session.judge(&message(msg_id, seq_no), relevance, NOW);
        assert_eq!(judge(at(NOW, 1) + 1, 1, Relevance::Content), Verdict::Bad(18));
        assert_eq!(judge(at(NOW - 301, 1), 1, Relevance::Content), Verdict::Bad(16));
        assert_eq!(judge(at(NOW + 31, 1), 1, Relevance::Content), Verdict::Bad(17));
        assert_eq!(judge(at(NOW, 1), 2, Relevance::Content), Verdict::Bad(35));
        assert_eq!(judge(at(NOW, 1), 1, Relevance::Service), Verdict::Bad(34));
        assert_eq!(judge(at(NOW, 10), 5, Relevance::Content), Verdict::Fresh);
        assert_eq!(judge(at(NOW, 10), 5, Relevance::Content), Verdict::Repeat);
        assert_eq!(judge(at(NOW, 11), 3, Relevance::Content), Verdict::Bad(32));
        assert_eq!(judge(at(NOW, 9), 7, Relevance::Content), Verdict::Bad(33));
        assert_eq!(judge(at(NOW, 9), 3, Relevance::Content), Verdict::Fresh, "late but in order");
        assert_eq!(judge(at(NOW, 12), 6, Relevance::Service), Verdict::Fresh);
        assert_eq!(judge(at(NOW, 13), 6, Relevance::Either), Verdict::Fresh);
    }

    #[test]
    fn what_is_too_old_to_be_remembered_is_refused() {
        let mut session = Session::new(1);
        for step in 1..=1500 {
            let seq_no = i32::try_from(step).unwrap() * 2 - 1;
            assert_eq!(
                session.judge(&message(at(NOW, step), seq_no), Relevance::Content, NOW),
                Verdict::Fresh
            );
        }
        assert_eq!(session.judge(&message(at(NOW, 1), 1), Relevance::Content, NOW), Verdict::Bad(20));
        let last = message(at(NOW, 1500), 2999);
        assert_eq!(session.judge(&last, Relevance::Content, NOW), Verdict::Repeat);
    }
}

//! How fast the bot may write: pure windows, counted from the answers, so that no jitter on the way can break a limit.
//!
//! A message reaches the platform between its start and its answer. If the next one starts a whole window after the answer
//! of the one that must have left the window, then the platform too sees a whole window between the two.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::ChatId;

/// So many messages within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Messages, at least one.
    pub count: usize,
    /// Within.
    pub span: Duration,
}

/// The bot's limits; none: as fast as it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceLimits {
    /// All chats together.
    pub overall: Option<Window>,
    /// One chat.
    pub chat: Option<Window>,
    /// One group or channel.
    pub group: Option<Window>,
}

/// Answers within a window.
type Answers = VecDeque<Instant>;

/// What is on its way and what was answered.
#[derive(Debug)]
pub(super) struct Pace {
    limits: PaceLimits,
    overall: Answers,
    chats: HashMap<ChatId, Answers>,
    under_way: HashSet<ChatId>,
    held_until: Option<Instant>,
}

/// Why a message may not start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Not before then.
    Until(Instant),
    /// Not before something that is on its way was answered.
    UnderWay,
}

impl Pace {
    pub(super) fn new(limits: PaceLimits) -> Self {
        Self {
            limits,
            overall: VecDeque::new(),
            chats: HashMap::new(),
            under_way: HashSet::new(),
            held_until: None,
        }
    }

    /// The longest time for which an answer counts.
    pub(super) fn memory(&self) -> Duration {
        let PaceLimits { overall, chat, group } = self.limits;
        [overall, chat, group].into_iter().flatten().map(|window| window.span).max().unwrap_or_default()
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Whether everything waits, and until when.
    pub(super) fn held(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| *until > now)
    }

    /// Lets a message to a chat start, or says what it waits for.
    pub(super) fn start(&mut self, chat: ChatId, now: Instant) -> Result<(), Blocked> {
        if let Some(until) = self.held(now) {
            return Err(Blocked::Until(until));
        }
        if self.under_way.contains(&chat) {
            return Err(Blocked::UnderWay);
        }
        if let Some(window) = self.limits.overall {
            free(&self.overall, window, self.under_way.len(), now)?;
        }
        if let Some(answers) = self.chats.get(&chat) {
            let group = self.limits.group.filter(|_| chat.get() < 0);
            for window in [self.limits.chat, group].into_iter().flatten() {
                free(answers, window, 0, now)?;
            }
        }
        self.under_way.insert(chat);
        Ok(())
    }

    /// A message to a chat was answered, or never went.
    pub(super) fn answered(&mut self, chat: ChatId, went: bool, now: Instant) {
        self.under_way.remove(&chat);
        if went {
            self.remember(chat, now);
        }
    }

    /// Counts a message that was answered at that time.
    pub(super) fn remember(&mut self, chat: ChatId, at: Instant) {
        let keep = |window: Option<Window>| window.map_or(0, |window| window.count);
        let in_chat = Ord::max(keep(self.limits.chat), keep(self.limits.group));
        if in_chat > 0 {
            push(self.chats.entry(chat).or_default(), at, in_chat);
        }
        push(&mut self.overall, at, keep(self.limits.overall));
    }

    /// The platform asks everything to wait.
    pub(super) fn hold(&mut self, until: Instant) {
        self.held_until = self.held_until.max(Some(until));
    }

    /// Forgets chats whose answers no longer count.
    pub(super) fn forget(&mut self, now: Instant) {
        let memory = self.memory();
        self.chats.retain(|_, answers| answers.back().is_some_and(|at| *at + memory > now));
    }
}

fn push(answers: &mut Answers, at: Instant, keep: usize) {
    answers.push_back(at);
    while answers.len() > keep {
        answers.pop_front();
    }
}

/// Whether one more fits into a window beside those on their way.
fn free(answers: &Answers, window: Window, under_way: usize, now: Instant) -> Result<(), Blocked> {
    let recent: Vec<Instant> = answers.iter().copied().filter(|at| *at + window.span > now).collect();
    if recent.len() + under_way < window.count {
        return Ok(());
    }
    // So many must leave the window before there is room.
    let leaving = (recent.len() + under_way).saturating_sub(window.count);
    recent.get(leaving).map_or(Err(Blocked::UnderWay), |at| Err(Blocked::Until(*at + window.span)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PaceLimits = PaceLimits {
        overall: Some(Window { count: 29, span: Duration::from_secs(1) }),
        chat: Some(Window { count: 1, span: Duration::from_secs(1) }),
        group: Some(Window { count: 20, span: Duration::from_secs(60) }),
    };

    fn chat(id: i64) -> ChatId {
        ChatId::new(id).unwrap()
    }

    /// Sends as fast as it may to these chats in turn, each answered after `delay`; answers when each started.
    fn run(chats: &[i64], count: usize, delay: Duration) -> Vec<(i64, Duration)> {
        let (mut pace, origin) = (Pace::new(LIMITS), Instant::now());
        let (mut now, mut starts, mut flying) = (origin, Vec::new(), VecDeque::new());
        let mut turn = chats.iter().copied().cycle().take(count).peekable();
        while let Some(id) = turn.peek().copied() {
            while let Some((at, done)) = flying.front().copied().filter(|(at, _)| *at <= now) {
                pace.answered(chat(done), true, at);
                flying.pop_front();
            }
            match pace.start(chat(id), now) {
                Ok(()) => {
                    starts.push((id, now - origin));
                    flying.push_back((now + delay, id));
                    turn.next();
                }
                Err(Blocked::Until(at)) => now = at.max(now + Duration::from_micros(1)),
                Err(Blocked::UnderWay) => now = flying.front().expect("something is under way").0,
            }
        }
        starts
    }

    #[test]
    fn no_window_of_a_second_ever_holds_more_than_the_limit_at_the_platform() {
        let chats: Vec<i64> = (1..=200).collect();
        for delay in [0, 5, 300, 2_500] {
            let delay = Duration::from_millis(delay);
            let starts = run(&chats, 200, delay);
            // The worst arrival: one at its answer, the one thirty later at its start.
            for pair in starts.windows(30) {
                let (first, last) = (pair[0].1 + delay, pair[29].1);
                assert!(last >= first + Duration::from_secs(1) || last >= pair[0].1 + Duration::from_secs(1));
                assert!(last >= first, "{delay:?}: {pair:?}");
            }
        }
    }

    #[test]
    fn a_group_gets_twenty_a_minute_and_one_a_second() {
        let starts = run(&[-5], 41, Duration::from_millis(10));
        for pair in starts.windows(2) {
            assert!(pair[1].1 - pair[0].1 >= Duration::from_secs(1));
        }
        for group in starts.windows(21) {
            assert!(group[20].1 - group[0].1 >= Duration::from_secs(60));
        }
    }

    #[test]
    fn a_hold_stops_everything_until_its_last_moment() {
        let (mut pace, now) = (Pace::new(PaceLimits::default()), Instant::now());
        pace.hold(now + Duration::from_secs(7));
        assert_eq!(pace.start(chat(1), now), Err(Blocked::Until(now + Duration::from_secs(7))));
        assert_eq!(pace.start(chat(1), now + Duration::from_secs(7)), Ok(()));
        assert_eq!(
            pace.start(chat(1), now + Duration::from_secs(7)),
            Err(Blocked::UnderWay),
            "one at a time"
        );
    }
}

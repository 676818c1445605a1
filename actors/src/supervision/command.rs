//! Commands from a supervisor to a child's runner: they bypass the mailbox.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// What a runner is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Load and run now.
    Start,
    /// Stay down until told otherwise; tell the supervisor when the time given is over.
    Wait { due_in: Option<Duration> },
    /// Handle nothing until resumed.
    Suspend,
    /// Go on after a suspension.
    Resume,
    /// The instance is to be treated as failed (a branch whose intensity was exceeded).
    Fail(Box<Failure>),
    /// The instance is to end normally (a branch whose significant children ended).
    Finish,
    /// End this instance in good order, keep the queue; one that is to stay `down` refuses messages from now on.
    Halt { deadline: Option<Instant>, down: bool },
    /// End for good: finish the queue, drain, by the deadline.
    Stop { deadline: Option<Instant> },
    /// End for good; there is no instance any more.
    End,
    /// End for good at once.
    Kill,
}

impl Command {
    const fn rank(&self) -> u8 {
        match self {
            // From outside, not from the supervisor, whose orders are never lost for them.
            Self::Suspend | Self::Resume => 0,
            Self::Start | Self::Wait { .. } => 1,
            Self::Fail(_) | Self::Finish => 2,
            Self::Halt { .. } => 3,
            Self::Stop { .. } => 4,
            Self::End => 5,
            Self::Kill => 6,
        }
    }

    /// Combines a command that nobody has read yet with a newer one: the stronger wins, the newer among equals.
    pub(crate) fn merge(&mut self, newer: Self) {
        if newer.rank() < self.rank() {
            return;
        }
        let earlier = self.deadline();
        *self = newer;
        if let (Some(earlier), Self::Halt { deadline, .. } | Self::Stop { deadline }) = (earlier, self) {
            *deadline = Some(deadline.map_or(earlier, |later| later.min(earlier)));
        }
    }

    const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Halt { deadline, .. } | Self::Stop { deadline } => *deadline,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_from_outside_never_replaces_one_of_the_supervisor() {
        for ours in
            [Command::Start, Command::Wait { due_in: Some(Duration::ZERO) }, Command::Finish, Command::End]
        {
            let rank = ours.rank();
            let mut slot = ours;
            slot.merge(Command::Suspend);
            slot.merge(Command::Resume);
            assert_eq!(slot.rank(), rank, "{slot:?}");
        }
        let mut slot = Command::Suspend;
        slot.merge(Command::Resume);
        assert!(matches!(slot, Command::Resume), "the newer among equals");
        slot.merge(Command::Start);
        assert!(matches!(slot, Command::Start));
    }
}

//! Faults that strike a connection: cut, sent away, its session invalidated, or left without a word.

use super::connection::{Connection, End};
use super::protocol::{self, Close};
use crate::discord::core::fault_site;
use crate::discord::world::Bot;
use crate::faults::FaultKind;

/// Faults that strike open connections with a session at once.
const OF_A_SESSION: [FaultKind; 4] =
    [FaultKind::Reconnect, FaultKind::InvalidSession, FaultKind::InvalidSessionResumable, FaultKind::Zombie];

impl Connection {
    /// Counts a fault of these kinds down that is for whom this connection serves.
    fn takes(&self, kinds: &[FaultKind]) -> Option<FaultKind> {
        let site = fault_site(self.attached.as_ref().map(|session| &session.bot));
        self.core.shared.faults.take(site, kinds).map(|fault| fault.kind)
    }

    /// Counts a dropped connection down, if one is asked for.
    pub(super) fn is_to_be_dropped(&self) -> bool {
        self.takes(&[FaultKind::DropConnection]).is_some()
    }

    /// Lets a new fault strike. Told to go, an identified client is also told to come back; others just lose the
    /// connection.
    pub(super) async fn strike(&mut self) -> Result<(), End> {
        if self.is_to_be_dropped() {
            if self.attached.is_none() {
                return Err(End::Lost);
            }
            self.send(protocol::reconnect()).await?;
            return Err(Close::UnknownError.into());
        }
        let struck = self.attached.as_ref().and_then(|_| self.takes(&OF_A_SESSION));
        match struck {
            Some(FaultKind::Reconnect) => self.send(protocol::reconnect()).await,
            Some(FaultKind::InvalidSession) => self.invalidate(false).await,
            Some(FaultKind::InvalidSessionResumable) => self.invalidate(true).await,
            Some(FaultKind::Zombie) => {
                self.silent = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A connection becomes a zombie before it hears of anything that happens after the fault was asked for: a new one
    /// after READY.
    pub(super) fn become_zombie_if_asked(&mut self) {
        if self.attached.is_some() && self.takes(&[FaultKind::Zombie]).is_some() {
            self.silent = true;
        }
    }

    /// Takes the session from a connection, which may then identify anew or, if allowed, resume.
    async fn invalidate(&mut self, resumable: bool) -> Result<(), End> {
        if let Some(session) = self.attached.take() {
            let now = self.core.shared.clock.now();
            let mut state = self.core.lock();
            if resumable {
                state.hub.lose(&session.id, self.number, now);
            } else {
                state.hub.end(&session.id, self.number);
            }
        }
        self.send(protocol::invalid_session(resumable)).await
    }

    /// Whether an IDENTIFY or RESUME is answered with an invalid session, and if so with one that can be resumed.
    pub(super) fn invalidates(&self, bot: &Bot) -> Option<bool> {
        let kinds = [FaultKind::InvalidSession, FaultKind::InvalidSessionResumable];
        let fault = self.core.shared.faults.take(fault_site(Some(bot)), &kinds)?;
        Some(fault.kind == FaultKind::InvalidSessionResumable)
    }
}

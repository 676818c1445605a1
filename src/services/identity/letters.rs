//! The letters that identity sends. They name no price and ask for nothing but what their reader began.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::{Letter, Mailer};
use tracing::Instrument;

use super::IdentityService;

impl IdentityService {
    /// Sends in the background: how long a letter takes must not tell whether there was one.
    fn post(&self, to: &str, subject: &str, text: String) {
        let letter =
            Letter { to: to.to_owned(), subject: subject.to_owned(), text: SecretString::from(text) };
        let mailer: Arc<dyn Mailer> = Arc::clone(&self.parts.mailer);
        let subject = subject.to_owned();
        let sending = async move {
            if let Err(error) = mailer.send(&letter).await {
                tracing::warn!(%error, subject, "a letter was not sent");
            }
        };
        self.parts.runtime.spawn(sending.in_current_span());
    }

    pub(super) fn write_welcome(&self, to: &str) {
        let text = "You have registered with Switchyard with this address. You can sign in now.\n\n\
                    If it was not you, set a new password of your own with \"forgot password\" and delete the account.\n";
        self.post(to, "Welcome to Switchyard", text.to_owned());
    }

    pub(super) fn write_taken(&self, to: &str, token: &SecretString) {
        let text = format!(
            "Somebody, perhaps you, wanted to register with Switchyard with this address. You have an account already, and \
             nothing was changed. If it was not you, you need do nothing.\n\nIf you do not remember the password: {}",
            self.way_to_reset(token)
        );
        self.post(to, "You have an account with Switchyard already", text);
    }

    pub(super) fn write_password_reset(&self, to: &str) {
        let text = "The password of your account with Switchyard was reset. All sign-ins were ended and all API keys \
                    revoked; make new keys where programs of yours need them.\n\nIf it was not you, somebody reads your \
                    mail: ask for a new password at once with \"forgot password\".\n";
        self.post(to, "Your password was reset", text.to_owned());
    }

    pub(super) fn write_reset(&self, to: &str, token: &SecretString) {
        let text = format!(
            "A new password was asked for at Switchyard for this address. If it was not you, you need do nothing: your \
             password is as it was.\n\n{}",
            self.way_to_reset(token)
        );
        self.post(to, "A new password for Switchyard", text);
    }

    fn way_to_reset(&self, token: &SecretString) -> String {
        let minutes = self.parts.config.reset_lifetime.as_secs() / 60;
        let token = token.expose_secret();
        let how = match &self.parts.config.reset_page {
            Some(page) => {
                let joint = if page.contains('?') { '&' } else { '?' };
                format!("Choose a new password here:\n\n{page}{joint}token={token}")
            }
            None => format!("Choose a new password with this code:\n\n{token}"),
        };
        format!(
            "{how}\n\nIt counts once, within {minutes} minutes, ends all sign-ins and revokes all API keys.\n"
        )
    }

    pub(super) fn write_password_changed(&self, to: &str) {
        let text = "The password of your account with Switchyard was changed, and all other sign-ins were ended.\n\nIf it \
                    was not you, ask for a new one at once with \"forgot password\".\n";
        self.post(to, "Your password was changed", text.to_owned());
    }

    pub(super) fn write_stolen(&self, to: &str) {
        let text = "A sign-in of yours at Switchyard was ended: its refresh token was used twice, which happens when \
                    somebody has a copy of it.\n\nSign in again. If you see sign-ins that you do not know, change your \
                    password.\n";
        self.post(to, "A sign-in was ended for safety", text.to_owned());
    }

    pub(super) fn write_deleted(&self, to: &str) {
        let text = "Your account with Switchyard is being deleted: its connected accounts are signed out at their \
                    platforms, and everything that was kept is erased. Nothing can be brought back.\n";
        self.post(to, "Your account is being deleted", text.to_owned());
    }
}

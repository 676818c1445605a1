//! How accounts come in and leave: stored, connected, renewed, logged out, deleted, each in an order that loses no key.

use secrecy::{ExposeSecret, SecretSlice};
use switchyard_actors::model::{Account, AccountId, AccountState, Pair, UserId};
use switchyard_actors::ports::{Directory, Identified};

use super::{CHAT, ConnectedAccount, RemovedAccount};
use crate::services::desk::Desk;
use crate::services::fault::Fault;
use crate::services::gates;
use crate::store::{Admitted, Connected};

/// Authorisation keys of Telegram lie under names that begin so.
const AUTH_KEY: &str = "dc.";

impl Desk {
    /// Stores an account that its platform has confirmed, and connects it.
    pub(in crate::services) async fn admit(
        &self,
        owner: UserId,
        found: Identified,
    ) -> Result<ConnectedAccount, Fault> {
        let Identified { kind, platform_id, name, chat, fresh, mut secrets } = found;
        if let Some(chat) = chat {
            secrets.push((CHAT.to_owned(), SecretSlice::from(chat.to_string().into_bytes())));
        }
        let account = Account {
            id: AccountId::from_uuid(self.ids.uuid()),
            user: owner,
            kind,
            platform_id,
            name,
            profile: self.profile.clone(),
            state: AccountState::Active,
        };
        let kept = self.keep(&account, &secrets).await;
        let Connected { account, renewed } = match kept {
            Ok(connected) => connected,
            Err(fault) => {
                if fresh {
                    // Nobody else uses what was signed in just now: it must not stay alive at the platform.
                    self.revoke(account, secrets);
                }
                return Err(fault);
            }
        };
        tracing::info!(account = %account.id, kind = kind.as_str(), renewed, "account was connected");
        Ok(ConnectedAccount { account: self.account_view(account).await?, renewed })
    }

    async fn keep(
        &self,
        account: &Account,
        secrets: &[(String, SecretSlice<u8>)],
    ) -> Result<Connected, Fault> {
        let _alone = self.gates.pass([gates::key(account)]).await;
        match self.store.account_at(account.kind, account.platform_id).await? {
            Some(known) if known.user == account.user => self.renew(&known, account, secrets).await,
            _ => {
                let plan = self.plan_of(account.user).await?;
                let admitted = self.store.connect_account_within(account, secrets, plan.accounts).await?;
                let Admitted::Connected(connected) = admitted else {
                    let most = plan.accounts.unwrap_or(u64::MAX);
                    return Err(Fault::PlanLimit { what: "accounts", plan: plan.name, most });
                };
                self.operator.account_added(connected.account.id, connected.account.user)?;
                Ok(connected)
            }
        }
    }

    /// The old session is stopped before its credentials are replaced: it must not write over the new ones. Then its own
    /// session at the platform is ended: nobody would use it again, and it would stay signed in.
    async fn renew(
        &self,
        known: &Account,
        account: &Account,
        secrets: &[(String, SecretSlice<u8>)],
    ) -> Result<Connected, Fault> {
        self.operator.account_renewing(known.id).await;
        let replaced = self.store.account_secrets(known.id).await;
        let stored = self.store.connect_account(account, secrets).await;
        self.operator.account_renewed(known.id, known.user).await?;
        let connected = stored?;
        match replaced {
            Ok(replaced) if !shares_key(&replaced, secrets) => self.revoke(known.clone(), replaced),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(account = %known.id, %error, "the replaced session cannot be read and stays signed in");
            }
        }
        Ok(connected)
    }

    /// Ends a session that nobody uses any more, beside what goes on: its platform may not answer.
    fn revoke(&self, account: Account, secrets: Vec<(String, SecretSlice<u8>)>) {
        let login = std::sync::Arc::clone(&self.login);
        self.runtime.spawn(async move {
            let id = account.id;
            match login.revoke(account.kind, secrets).await {
                Ok(()) => tracing::debug!(account = %id, "a session that is not used any more was ended"),
                Err(error) => {
                    tracing::warn!(account = %id, %error, "a session that is not used any more stays signed in");
                }
            }
        });
    }

    /// Stop, log out, delete: in this order, so that a key is never used by two, and nothing is deleted under an actor.
    pub(super) async fn dismiss(&self, account: Account, force: bool) -> Result<RemovedAccount, Fault> {
        let _alone = self.gates.pass([gates::key(&account)]).await;
        let id = account.id;
        let account = self.store.account(id).await?;
        let pairs = self.operator.account_removed(id).await?;
        let logged_out = match self.login.log_out(&account).await {
            Ok(()) => true,
            Err(error) if force => {
                tracing::warn!(account = %id, %error, "account is removed without a log-out at its platform");
                false
            }
            Err(error) => {
                self.put_back(&account, &pairs).await;
                return Err(Fault::Unreachable(format!(
                    "{} could not be logged out at {}, so nothing was removed: {error}; try again, or force it and end \
                     the session there by hand",
                    account.name,
                    account.kind.platform(),
                )));
            }
        };
        if let Err(error) = self.store.remove_account(id).await {
            self.put_back(&account, &pairs).await;
            return Err(error.into());
        }
        tracing::info!(account = %id, logged_out, pairs = pairs.len(), "account was removed");
        Ok(RemovedAccount { id, logged_out, pairs_removed: pairs.len() })
    }

    /// Starts again what was stopped for a removal that did not come about.
    async fn put_back(&self, account: &Account, pairs: &[Pair]) {
        if let Err(error) = self.operator.account_added(account.id, account.user) {
            tracing::error!(account = %account.id, %error, "account could not be started again");
        }
        for pair in pairs {
            if let Err(error) = self.operator.pair_added(pair.id, std::time::Duration::ZERO).await {
                tracing::error!(pair = %pair.id, %error, "pair could not be started again");
            }
        }
    }
}

/// Whether both hold one authorisation key: then it is the same session.
fn shares_key(old: &[(String, SecretSlice<u8>)], new: &[(String, SecretSlice<u8>)]) -> bool {
    let keys = |secrets: &'_ [(String, SecretSlice<u8>)]| -> Vec<SecretSlice<u8>> {
        let keys = secrets.iter().filter(|(name, _)| name.starts_with(AUTH_KEY));
        keys.map(|(_, value)| value.clone()).collect()
    };
    let (old, new) = (keys(old), keys(new));
    // What a record holds before the key says where the data centre is: the key is its end.
    let tail = |value: &SecretSlice<u8>| value.expose_secret().last_chunk::<256>().copied();
    old.iter().any(|old| new.iter().any(|new| tail(old).is_some() && tail(old) == tail(new)))
}

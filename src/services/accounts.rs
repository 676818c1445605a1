//! Accounts: list, connect by a credential or by signing in, remove. Each change reaches the running tree at once.

mod view;

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{Account, AccountId, AccountState, ChatId, Pair, UserId};
use switchyard_actors::ports::{Credentials, Directory, Identified, NewCredential};

use super::caller::Caller;
use super::desk::Desk;
use super::fault::Fault;
use super::gates;
use super::page::{Listed, Page};
use super::sign_ins::{SignInAnswer, SignInId, SignInMethod, SignInView, SignIns};
use crate::store::Connected;

pub(super) use view::health;
pub use view::{AccountHealth, AccountStatus, AccountView};

/// Name under which the only chat of an account that has one is kept.
pub(super) const CHAT: &str = "chat";

/// An account that was connected.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConnectedAccount {
    /// The account.
    pub account: AccountView,
    /// Whether it was here before: then it has new credentials and goes on with what waited for them.
    pub renewed: bool,
}

/// An account that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedAccount {
    /// The account that was.
    pub id: AccountId,
    /// Whether its session was ended at the platform (bots and webhooks: there was none to end). When not, its owner
    /// should end it there.
    pub logged_out: bool,
    /// How many pairs went with it.
    pub pairs_removed: usize,
}

/// What can be asked about accounts.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// A page of the caller's accounts, oldest first.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list(
        &self,
        caller: Caller,
        page: Page<AccountId>,
    ) -> Result<Listed<AccountView, AccountId>, Fault>;

    /// One account.
    ///
    /// # Errors
    /// [`Fault`].
    async fn get(&self, caller: Caller, id: AccountId) -> Result<AccountView, Fault>;

    /// Asks the platform whose the credential is, stores it and connects. An account that the same user connected
    /// before gets the new credential.
    ///
    /// # Errors
    /// [`Fault`]; [`Fault::Conflict`] when another user connected it.
    async fn connect(
        &self,
        caller: Caller,
        user: Option<UserId>,
        credential: NewCredential,
    ) -> Result<ConnectedAccount, Fault>;

    /// Stops the account, ends its session at the platform, and deletes it with its pairs.
    ///
    /// # Errors
    /// [`Fault::Unreachable`] when the platform did not confirm; then nothing is removed, unless `force`.
    async fn remove(&self, caller: Caller, id: AccountId, force: bool) -> Result<RemovedAccount, Fault>;

    /// Begins to sign a Telegram user in.
    ///
    /// # Errors
    /// [`Fault`].
    async fn begin_sign_in(
        &self,
        caller: Caller,
        user: Option<UserId>,
        method: SignInMethod,
    ) -> Result<SignInView, Fault>;

    /// How a sign-in stands.
    ///
    /// # Errors
    /// [`Fault::NotFound`], also when its time is over.
    async fn sign_in(&self, caller: Caller, id: SignInId) -> Result<SignInView, Fault>;

    /// Hands in what a sign-in waits for.
    ///
    /// # Errors
    /// [`Fault`]; after [`Fault::WrongCode`] and [`Fault::WrongPassword`] it still waits.
    async fn answer_sign_in(
        &self,
        caller: Caller,
        id: SignInId,
        answer: SignInAnswer,
    ) -> Result<SignInView, Fault>;
}

/// Accounts of a running daemon.
pub struct AccountService {
    desk: Arc<Desk>,
    sign_ins: SignIns,
}

impl AccountService {
    /// Over what the services share.
    #[must_use]
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { sign_ins: SignIns::new(Arc::clone(&desk)), desk }
    }
}

#[async_trait]
impl Accounts for AccountService {
    async fn list(
        &self,
        caller: Caller,
        page: Page<AccountId>,
    ) -> Result<Listed<AccountView, AccountId>, Fault> {
        let mut accounts = self.desk.store.accounts().await?;
        accounts.retain(|account| caller.reaches(account.user));
        let Listed { items, next_cursor } = page.cut(accounts, |account| account.id);
        let pairs = self.desk.store.pairs().await?;
        let mut views = Vec::with_capacity(items.len());
        for account in items {
            views.push(self.desk.account_view(account, &pairs).await?);
        }
        Ok(Listed { items: views, next_cursor })
    }

    async fn get(&self, caller: Caller, id: AccountId) -> Result<AccountView, Fault> {
        let account = self.desk.account(caller, id).await?;
        let pairs = self.desk.store.pairs().await?;
        self.desk.account_view(account, &pairs).await
    }

    async fn connect(
        &self,
        caller: Caller,
        user: Option<UserId>,
        credential: NewCredential,
    ) -> Result<ConnectedAccount, Fault> {
        let owner = self.desk.owner(caller, user).await?;
        let desk = Arc::clone(&self.desk);
        let order = async move {
            let identified = desk.login.identify(credential).await?;
            desk.admit(owner, identified).await
        };
        self.desk.to_the_end(order).await
    }

    async fn remove(&self, caller: Caller, id: AccountId, force: bool) -> Result<RemovedAccount, Fault> {
        let account = self.desk.account(caller, id).await?;
        let desk = Arc::clone(&self.desk);
        self.desk.to_the_end(async move { desk.dismiss(account, force).await }).await
    }

    async fn begin_sign_in(
        &self,
        caller: Caller,
        user: Option<UserId>,
        method: SignInMethod,
    ) -> Result<SignInView, Fault> {
        let owner = self.desk.owner(caller, user).await?;
        self.sign_ins.begin(owner, method).await
    }

    async fn sign_in(&self, caller: Caller, id: SignInId) -> Result<SignInView, Fault> {
        self.sign_ins.view(caller, id)
    }

    async fn answer_sign_in(
        &self,
        caller: Caller,
        id: SignInId,
        answer: SignInAnswer,
    ) -> Result<SignInView, Fault> {
        self.sign_ins.answer(caller, id, answer).await
    }
}

impl Desk {
    /// An account that is the caller's affair; others do not exist for the caller.
    pub(super) async fn account(&self, caller: Caller, id: AccountId) -> Result<Account, Fault> {
        let account = self.store.account(id).await?;
        if caller.reaches(account.user) { Ok(account) } else { Err(Fault::NotFound(format!("account {id}"))) }
    }

    pub(super) async fn account_view(&self, account: Account, pairs: &[Pair]) -> Result<AccountView, Fault> {
        let chat = self.only_chat(&account).await?;
        let path = format!("sessions/{}", account.id);
        let node = switchyard_actors::supervision::ChildPath::parse(&path).ok();
        let node = node.and_then(|path| self.operator.tree().view(&path));
        let of = |pair: &&Pair| pair.source_account == account.id || pair.target_account == account.id;
        Ok(view::account(&account, node.as_ref(), chat, pairs.iter().filter(of).count()))
    }

    /// The only chat that an account can write to: a webhook's channel.
    pub(super) async fn only_chat(&self, account: &Account) -> Result<Option<ChatId>, Fault> {
        if !view::has_one_chat(account.kind) {
            return Ok(None);
        }
        let kept = self.store.secret(account.id, CHAT).await?;
        Ok(kept.and_then(|kept| std::str::from_utf8(kept.expose_secret()).ok()?.parse().ok()))
    }

    /// Stores an account that its platform has confirmed, and connects it.
    pub(super) async fn admit(&self, owner: UserId, found: Identified) -> Result<ConnectedAccount, Fault> {
        let Identified { kind, platform_id, name, chat, mut secrets } = found;
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
        let _alone = self.gates.pass([gates::key(&account)]).await;
        let known = self.store.accounts().await?;
        let known = known.into_iter().find(|known| known.kind == kind && known.platform_id == platform_id);
        let Connected { account, renewed } = match known {
            Some(known) if known.user == owner => self.renew(&known, &account, &secrets).await?,
            _ => {
                self.room_for_account(owner).await?;
                let connected = self.store.connect_account(&account, &secrets).await?;
                self.operator.account_added(connected.account.id)?;
                connected
            }
        };
        tracing::info!(account = %account.id, kind = kind.as_str(), renewed, "account was connected");
        let pairs = self.store.pairs().await?;
        Ok(ConnectedAccount { account: self.account_view(account, &pairs).await?, renewed })
    }

    /// The old session is stopped before its credentials are replaced: it must not write over the new ones.
    async fn renew(
        &self,
        known: &Account,
        account: &Account,
        secrets: &[(String, SecretSlice<u8>)],
    ) -> Result<Connected, Fault> {
        self.operator.account_renewing(known.id).await;
        let stored = self.store.connect_account(account, secrets).await;
        self.operator.account_renewed(known.id).await?;
        Ok(stored?)
    }

    /// Stop, log out, delete: in this order, so that a key is never used by two, and nothing is deleted under an actor.
    async fn dismiss(&self, account: Account, force: bool) -> Result<RemovedAccount, Fault> {
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
                self.put_back(id, &pairs).await;
                return Err(Fault::Unreachable(format!(
                    "{} could not be logged out at {}, so nothing was removed: {error}; try again, or force it and end \
                     the session there by hand",
                    account.name,
                    account.kind.platform(),
                )));
            }
        };
        if let Err(error) = self.store.remove_account(id).await {
            self.put_back(id, &pairs).await;
            return Err(error.into());
        }
        tracing::info!(account = %id, logged_out, pairs = pairs.len(), "account was removed");
        Ok(RemovedAccount { id, logged_out, pairs_removed: pairs.len() })
    }

    /// Starts again what was stopped for a removal that did not come about.
    async fn put_back(&self, id: AccountId, pairs: &[Pair]) {
        if let Err(error) = self.operator.account_added(id) {
            tracing::error!(account = %id, %error, "account could not be started again");
        }
        for pair in pairs {
            if let Err(error) = self.operator.pair_added(pair.id, std::time::Duration::ZERO).await {
                tracing::error!(pair = %pair.id, %error, "pair could not be started again");
            }
        }
    }
}

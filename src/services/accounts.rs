//! Accounts: list, connect by a credential or by signing in, remove. Each change reaches the running tree at once.

mod admission;
mod change;
mod chats;
mod view;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{Account, AccountId, ChatId, Pair, UserId};
use switchyard_actors::ports::{Credentials, Directory, KnownChat, NewCredential, Proxy};
use switchyard_actors::supervision::{ChildPath, NodeView};

use super::caller::Caller;
use super::desk::Desk;
use super::fault::Fault;
use super::page::{Listed, Page};
use super::sealed::{SealedSession, SealingKey};
use super::sign_ins::{SignInAnswer, SignInId, SignInMethod, SignInView, SignIns};
use crate::store::AccountSettings;

pub use change::{AccountChange, NewProxy, ReconnectView};
pub use chats::ChatQuery;
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
        proxy: Option<Proxy>,
    ) -> Result<ConnectedAccount, Fault>;

    /// What a Telegram session is sealed to, so that it can be handed over.
    ///
    /// # Errors
    /// [`Fault`].
    async fn sealing_key(&self, caller: Caller, user: Option<UserId>) -> Result<SealingKey, Fault>;

    /// Takes over a Telegram user's session that was sealed for this user.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); [`Fault::Invalid`] for one that was sealed for somebody else, or elsewhere.
    async fn connect_sealed(
        &self,
        caller: Caller,
        user: Option<UserId>,
        sealed: SealedSession,
        proxy: Option<Proxy>,
    ) -> Result<ConnectedAccount, Fault>;

    /// Changes an account's name or proxy. A session with another proxy connects anew through it.
    ///
    /// # Errors
    /// [`Fault::Stale`] when its version is another than `expected`.
    async fn change(
        &self,
        caller: Caller,
        id: AccountId,
        expected: Option<i64>,
        change: AccountChange,
    ) -> Result<AccountView, Fault>;

    /// Connects an account's session anew.
    ///
    /// # Errors
    /// [`Fault::NeedsLogin`]; [`Fault::PlatformWait`], for no order shortens a platform's wait.
    async fn reconnect(&self, caller: Caller, id: AccountId) -> Result<ReconnectView, Fault>;

    /// The chats that a connected account knows.
    ///
    /// # Errors
    /// [`Fault::Unreachable`] while it is not connected.
    async fn chats(
        &self,
        caller: Caller,
        id: AccountId,
        query: ChatQuery,
    ) -> Result<Listed<KnownChat, ChatId>, Fault>;

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
        proxy: Option<Proxy>,
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

    /// Asks the platform whose a credential is, and keeps the account.
    async fn take_in(
        &self,
        owner: UserId,
        credential: NewCredential,
        proxy: Option<Proxy>,
    ) -> Result<ConnectedAccount, Fault> {
        let desk = Arc::clone(&self.desk);
        let order = async move {
            let identified = desk.login.identify(credential, proxy.as_ref()).await?;
            desk.admit(owner, identified).await
        };
        self.desk.to_the_end(order).await
    }
}

#[async_trait]
impl Accounts for AccountService {
    async fn list(
        &self,
        caller: Caller,
        page: Page<AccountId>,
    ) -> Result<Listed<AccountView, AccountId>, Fault> {
        let accounts = match caller {
            Caller::User(id) => self.desk.store.accounts_of(id).await?,
            Caller::Operator | Caller::Admin(..) => self.desk.store.accounts().await?,
        };
        let Listed { items, next_cursor } = page.cut(accounts, |account| account.id);
        let views = self.desk.account_views(items).await?;
        Ok(Listed { items: views, next_cursor })
    }

    async fn get(&self, caller: Caller, id: AccountId) -> Result<AccountView, Fault> {
        let account = self.desk.account(caller, id).await?;
        let view = self.desk.account_views(vec![account]).await?.pop();
        view.ok_or_else(|| Fault::NotFound(format!("account {id}")))
    }

    async fn connect(
        &self,
        caller: Caller,
        user: Option<UserId>,
        credential: NewCredential,
        proxy: Option<Proxy>,
    ) -> Result<ConnectedAccount, Fault> {
        let owner = self.desk.owner(caller, user).await?;
        self.take_in(owner, credential, proxy).await
    }

    async fn sealing_key(&self, caller: Caller, user: Option<UserId>) -> Result<SealingKey, Fault> {
        let owner = self.desk.owner(caller, user).await?;
        Ok(self.desk.uploads.describe(owner))
    }

    async fn connect_sealed(
        &self,
        caller: Caller,
        user: Option<UserId>,
        sealed: SealedSession,
        proxy: Option<Proxy>,
    ) -> Result<ConnectedAccount, Fault> {
        let owner = self.desk.owner(caller, user).await?;
        let credential = self.desk.uploads.open(owner, &sealed)?;
        self.take_in(owner, credential, proxy).await
    }

    async fn change(
        &self,
        caller: Caller,
        id: AccountId,
        expected: Option<i64>,
        change: AccountChange,
    ) -> Result<AccountView, Fault> {
        let account = self.desk.account(caller, id).await?;
        let desk = Arc::clone(&self.desk);
        self.desk.to_the_end(async move { desk.change_account(account, expected, change).await }).await
    }

    async fn reconnect(&self, caller: Caller, id: AccountId) -> Result<ReconnectView, Fault> {
        let account = self.desk.account(caller, id).await?;
        self.desk.reconnect_account(caller, &account).await
    }

    async fn chats(
        &self,
        caller: Caller,
        id: AccountId,
        query: ChatQuery,
    ) -> Result<Listed<KnownChat, ChatId>, Fault> {
        let account = self.desk.account(caller, id).await?;
        self.desk.chats_of(&account, query).await
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
        proxy: Option<Proxy>,
    ) -> Result<SignInView, Fault> {
        let owner = self.desk.owner(caller, user).await?;
        self.sign_ins.begin(owner, method, proxy).await
    }

    async fn sign_in(&self, caller: Caller, id: SignInId) -> Result<SignInView, Fault> {
        self.sign_ins.view(caller, id).await
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

    pub(super) async fn account_view(&self, account: Account) -> Result<AccountView, Fault> {
        let settings = self.store.account_settings(&[account.id]).await?;
        let pairs = self.store.pairs_through(&[account.id]).await?;
        let path = ChildPath::parse(&format!("sessions/{}", account.id)).ok();
        let node = path.and_then(|path| self.operator.tree().view(&path));
        self.view_with(account, &pairs, &settings, node.as_ref()).await
    }

    /// As many as are asked for, with as few questions as can be, and sessions asked how they are at this moment.
    async fn account_views(&self, accounts: Vec<Account>) -> Result<Vec<AccountView>, Fault> {
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
        let settings = self.store.account_settings(&ids).await?;
        let pairs = self.store.pairs_through(&ids).await?;
        let nodes = self.session_views(&accounts).await;
        let mut views = Vec::with_capacity(accounts.len());
        for (account, node) in accounts.into_iter().zip(nodes) {
            views.push(self.view_with(account, &pairs, &settings, node.as_ref()).await?);
        }
        Ok(views)
    }

    async fn view_with(
        &self,
        account: Account,
        pairs: &[Pair],
        settings: &HashMap<AccountId, AccountSettings>,
        node: Option<&NodeView>,
    ) -> Result<AccountView, Fault> {
        let chat = self.only_chat(&account).await?;
        let of = |pair: &&Pair| pair.source_account == account.id || pair.target_account == account.id;
        let count = pairs.iter().filter(of).count();
        let settings = settings.get(&account.id).cloned().unwrap_or_default();
        Ok(view::account(&account, settings, node, chat, count))
    }

    /// The only chat that an account can write to: a webhook's channel.
    pub(super) async fn only_chat(&self, account: &Account) -> Result<Option<ChatId>, Fault> {
        if !view::has_one_chat(account.kind) {
            return Ok(None);
        }
        let kept = self.store.secret(account.id, CHAT).await?;
        Ok(kept.and_then(|kept| std::str::from_utf8(kept.expose_secret()).ok()?.parse().ok()))
    }
}

//! A connected account: owns the client, records what it reads, lends its sender to the account's queue.

mod connection;
mod message;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use self::connection::{Made, Roles, Unmade, Unplaced, connect, record};
pub use self::message::{ConnectionId, GetChats};
pub(super) use self::message::{
    Dead, GetSender, IsConnected, LeaseLost, Lent, Observe, OwnerChanged, PairsChanged, Reconnect,
    ReconnectAnswer,
};
use self::standing::Standing;
use super::deps::{Deps, until_stored};
use crate::model::{Account, AccountId, AccountState, AlertSeverity, Fence, Place};
use crate::ports::{
    ChatDirectory, ConnectionError, EventSource, IntakeUnit, MessageSender, Steering, StoreError,
};
use crate::supervision::{Child, Cx, Handle, LoadEnv, LoadError, Loaded, Token};

/// Identity and what it is given.
#[derive(Clone)]
pub struct SessionArgs {
    /// The account.
    pub id: AccountId,
    /// Ports and siblings.
    pub deps: Deps,
}

/// The actor of one account.
pub struct SessionActor {
    args: SessionArgs,
    account: Account,
    fence: Fence,
    standing: Standing,
    sender: Option<Arc<dyn MessageSender>>,
    chats: Option<Arc<dyn ChatDirectory>>,
    /// The connection that stands, or stood last.
    connection: ConnectionId,
    /// Its owner was told that the message content intent is off.
    told_of_intent: bool,
    /// It still reads what was written before it connected.
    catching_up: bool,
    /// What the connection was told to work for.
    roles: Roles,
    /// What of that has no cursor yet.
    unplaced: Unplaced,
    steering: Option<Arc<dyn Steering>>,
    /// Pairs came or went and the connection does not follow yet.
    behind: bool,
    /// The future that connects or reads; dropping it closes the connection.
    link: Option<Token>,
    retry: Option<Token>,
    failures: u32,
    accepted: u64,
    last_event_at: Option<DateTime<Utc>>,
    /// Source places that cannot be read, and why.
    troubles: Vec<(Place, String)>,
}

impl Child for SessionActor {
    type Args = SessionArgs;

    const KIND: &'static str = "session";

    fn load(args: SessionArgs, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let account = match args.deps.store.account(args.id).await {
                Ok(account) => account,
                Err(StoreError::NotFound(what)) => return Err(LoadError::Fatal(format!("{what} not found"))),
                Err(error) => return Err(LoadError::Retry(error.to_string())),
            };
            if account.state == AccountState::NeedsLogin {
                args.deps.links.attempted(args.id);
                return Err(LoadError::Fatal("account needs login".to_owned()));
            }
            let fence = args.deps.fence(args.id).await;
            let fence = fence.map_err(|error| LoadError::Retry(error.to_string()))?;
            let standing = args.deps.links.allowances.sync(&args.deps, account.user).await;
            standing.map_err(|error| LoadError::Retry(error.to_string()))?;
            let connection = args.deps.links.next_connection();
            Ok(Loaded::Ready(Self {
                args,
                chats: None,
                connection,
                catching_up: false,
                told_of_intent: false,
                account,
                fence,
                standing: Standing::Connecting,
                sender: None,
                roles: Roles::default(),
                unplaced: Unplaced::default(),
                steering: None,
                behind: false,
                link: None,
                retry: None,
                failures: 0,
                accepted: 0,
                last_event_at: None,
                troubles: Vec::new(),
            }))
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        self.connect(cx);
    }

    fn snapshot(&self) -> Value {
        let mut view = serde_json::to_value(&self.standing).unwrap_or(Value::Null);
        if let Some(fields) = view.as_object_mut() {
            fields.insert("account".to_owned(), json!(self.account.name));
            fields.insert("catching_up".to_owned(), json!(self.catching_up));
            fields.insert("account_kind".to_owned(), json!(self.account.kind));
            fields.insert("user".to_owned(), json!(self.account.user));
            fields.insert("node_epoch".to_owned(), json!(self.fence.epoch));
            fields.insert("events_accepted".to_owned(), json!(self.accepted));
            fields.insert("last_event_at".to_owned(), json!(self.last_event_at));
            let troubles = self.troubles.iter().map(|(place, why)| json!({"source": place, "error": why}));
            fields.insert("unreadable_sources".to_owned(), troubles.collect());
        }
        view
    }
}

impl Handle<GetSender> for SessionActor {
    fn handle(&mut self, GetSender: GetSender, _cx: &mut Cx<'_, Self>) -> Result<Lent, String> {
        match &self.sender {
            Some(sender) => Ok(Lent { sender: Arc::clone(sender), connection: self.connection }),
            None => Err(self.standing.why_not().unwrap_or_else(|| "account cannot send".to_owned())),
        }
    }
}

impl Handle<GetChats> for SessionActor {
    fn handle(
        &mut self,
        GetChats: GetChats,
        _cx: &mut Cx<'_, Self>,
    ) -> Result<Option<Arc<dyn ChatDirectory>>, String> {
        self.standing.why_not().map_or_else(|| Ok(self.chats.clone()), Err)
    }
}

impl Handle<Reconnect> for SessionActor {
    fn handle(&mut self, Reconnect: Reconnect, cx: &mut Cx<'_, Self>) -> ReconnectAnswer {
        if let Standing::WaitingForPlatform { until, .. } = &self.standing {
            return ReconnectAnswer::Waiting(*until);
        }
        self.connect(cx);
        match self.standing {
            Standing::Suspended { .. } => ReconnectAnswer::Suspended,
            _ => ReconnectAnswer::Connecting,
        }
    }
}

impl Handle<OwnerChanged> for SessionActor {
    fn handle(&mut self, OwnerChanged: OwnerChanged, cx: &mut Cx<'_, Self>) {
        let suspended = self.args.deps.links.allowances.is_suspended(self.account.user);
        if suspended {
            self.connect(cx);
        } else if let Standing::Suspended { not_before } = self.standing {
            match not_before.and_then(|until| (until - cx.wall()).to_std().ok().zip(Some(until))) {
                Some((wait, until)) => {
                    let error = "platform asked to wait before its owner was suspended".to_owned();
                    self.standing = Standing::WaitingForPlatform { until, error };
                    self.connect_after(wait, cx);
                }
                None => self.connect(cx),
            }
        }
    }
}

impl Handle<PairsChanged> for SessionActor {
    fn handle(&mut self, PairsChanged: PairsChanged, cx: &mut Cx<'_, Self>) {
        // What was settled before was settled without them.
        self.args.deps.links.forget(self.args.id);
        match self.standing {
            Standing::Connected { .. } => self.follow(cx),
            // What is being made may have read the pairs before.
            Standing::Connecting => self.behind = true,
            // The next connection reads them.
            Standing::WaitingToRetry { .. }
            | Standing::WaitingForPlatform { .. }
            | Standing::Suspended { .. } => {
                self.args.deps.links.attempted(self.args.id);
            }
            // Without those that read, the bot may be of use.
            Standing::ContentIntentOff { .. } => self.connect(cx),
        }
    }
}

impl Handle<LeaseLost> for SessionActor {
    fn handle(&mut self, LeaseLost: LeaseLost, cx: &mut Cx<'_, Self>) {
        if matches!(self.standing, Standing::Connected { .. } | Standing::Connecting) {
            self.disconnected(ConnectionError::Unreachable("node's lease has ended".to_owned()), cx);
        }
    }
}

impl Handle<Observe> for SessionActor {
    fn handle(&mut self, Observe: Observe, _cx: &mut Cx<'_, Self>) -> Value {
        self.snapshot()
    }
}

impl Handle<IsConnected> for SessionActor {
    fn handle(&mut self, IsConnected: IsConnected, _cx: &mut Cx<'_, Self>) -> bool {
        matches!(self.standing, Standing::Connected { .. })
    }
}

impl Handle<Dead> for SessionActor {
    fn handle(&mut self, Dead { connection, error }: Dead, cx: &mut Cx<'_, Self>) {
        if self.sender.is_none() || connection != self.connection {
            // Told of a connection that is gone already: several sends may have met the same end, and one may have met
            // it after a new login.
            return;
        }
        self.disconnected(ConnectionError::NeedsLogin(error), cx);
    }
}

impl SessionActor {
    fn connect(&mut self, cx: &mut Cx<'_, Self>) {
        self.disconnect();
        if self.args.deps.links.allowances.is_suspended(self.account.user) {
            tracing::info!(account = %self.args.id, "session stands still, its owner is suspended");
            let not_before = match self.standing {
                Standing::WaitingForPlatform { until, .. } => Some(until),
                Standing::Suspended { not_before } => not_before,
                _ => None,
            };
            (self.standing, self.behind) = (Standing::Suspended { not_before }, false);
            return self.settled();
        }
        self.standing = Standing::Connecting;
        self.behind = false;
        let connect = connect(self.args.clone(), self.account.clone(), self.fence);
        self.link = Some(cx.serve(connect, |session: &mut Self, made, cx| match made {
            Ok(made) => session.connected(made, cx),
            // Loaded anew, it asks for the account again.
            Err(Unmade::Fenced(error)) => cx.fail(error.to_string()),
            Err(Unmade::Failed(error)) => {
                session.disconnected(error, cx);
                session.behind = false;
                session.settled();
            }
        }));
    }

    fn disconnect(&mut self) {
        (self.sender, self.steering, self.chats) = (None, None, None);
        (self.catching_up, self.unplaced) = (false, Unplaced::default());
        self.troubles.clear();
        for token in [self.link.take(), self.retry.take()].into_iter().flatten() {
            token.cancel();
        }
    }

    /// What is written at the sources from now on is seen, unless some have no cursor yet.
    fn settled(&self) {
        if !self.behind && self.unplaced.is_none() {
            self.args.deps.links.attempted(self.args.id);
        }
    }

    fn connected(&mut self, Made { connection, roles, unplaced }: Made, cx: &mut Cx<'_, Self>) {
        if connection.platform_id != self.account.platform_id {
            let (expected, found) = (self.account.platform_id, connection.platform_id);
            let error = format!("credential belongs to platform account {found}, not to {expected}");
            self.disconnected(ConnectionError::Refused(error), cx);
            return;
        }
        tracing::info!(account = %self.args.id, kind = self.account.kind.as_str(), "session is connected");
        self.standing = Standing::Connected { since: cx.wall() };
        self.told_of_intent = false;
        self.connection = self.args.deps.links.next_connection();
        (self.sender, self.chats) = (connection.sender, connection.chats);
        if self.sender.is_some() {
            self.args.deps.links.connected(self.args.id);
        }
        self.roles = roles;
        self.unplaced = unplaced;
        self.settled();
        match connection.source {
            Some(source) => {
                self.steering = source.steering();
                self.read(source, cx);
            }
            None => self.link = None,
        }
        if self.behind {
            self.follow(cx);
        }
    }

    /// Looks which chats the account is to work for now, and makes the connection follow: by itself where it can, else
    /// it is made anew. A chat that is no longer worked for needs nothing: intake keeps no event of it.
    fn follow(&mut self, cx: &mut Cx<'_, Self>) {
        self.behind = true;
        let (store, id) = (Arc::clone(&self.args.deps.store), self.args.id);
        let read = async move { Roles::read(store.as_ref(), id).await };
        cx.serve(read, |session: &mut Self, read, cx| match read {
            Ok(roles) => session.take_on(roles, cx),
            Err(error) => {
                tracing::warn!(account = %session.args.id, %error, "session waits for the store");
                let wait = session.args.deps.config.retry.delay(1, session.args.deps.rng.next_u64());
                cx.after(wait, |session: &mut Self, cx| session.follow(cx));
            }
        });
    }

    fn take_on(&mut self, roles: Roles, cx: &mut Cx<'_, Self>) {
        if !self.behind || !matches!(self.standing, Standing::Connected { .. }) {
            // A connection that was begun meanwhile has read them itself.
            return;
        }
        let (sources, targets) = roles.lists();
        let steered = self.steering.as_ref().is_some_and(|steering| steering.steer(&sources, &targets));
        if steered || self.roles.cover(&roles) {
            (self.roles, self.behind) = (roles, false);
            self.settled();
        } else {
            tracing::info!(account = %self.args.id, "session connects anew for other chats");
            self.connect(cx);
        }
    }

    fn read(&mut self, mut source: Box<dyn EventSource>, cx: &mut Cx<'_, Self>) {
        self.troubles = source.troubles();
        self.catching_up = source.catching_up();
        let next = async move {
            let unit = source.next().await;
            (source, unit)
        };
        self.link = Some(cx.serve(next, |session: &mut Self, (source, unit), cx| match unit {
            Ok(unit) => session.record(source, unit, cx),
            Err(error) => session.disconnected(error, cx),
        }));
    }

    /// Records a unit before the next one is read. In flight, so that a drain finishes it.
    fn record(&mut self, source: Box<dyn EventSource>, unit: IntakeUnit, cx: &mut Cx<'_, Self>) {
        self.failures = 0;
        let heartbeat = cx.heartbeat();
        let (deps, fence) = (self.args.deps.clone(), self.fence);
        let record = async move {
            let recorded = record(&deps, fence, &unit, || heartbeat.beat()).await;
            (source, unit.cursors, recorded)
        };
        self.link =
            Some(cx.spawn(record, |session: &mut Self, (source, cursors, recorded), cx| match recorded {
                Ok(receipt) => {
                    session.unplaced.recorded(&cursors, &source.troubles());
                    session.settled();
                    session.accepted += u64::try_from(receipt.accepted).unwrap_or(u64::MAX);
                    if receipt.accepted > 0 {
                        session.last_event_at = Some(cx.wall());
                    }
                    for pair in receipt.pairs {
                        session.args.deps.links.wake_pair(pair);
                    }
                    session.read(source, cx);
                }
                Err(error) => cx.fail(error.to_string()),
            }));
    }

    fn disconnected(&mut self, error: ConnectionError, cx: &mut Cx<'_, Self>) {
        self.disconnect();
        match error {
            ConnectionError::NeedsLogin(error) if self.begins_another() => self.retry(error, cx),
            ConnectionError::NeedsLogin(error) => self.give_up(AccountState::NeedsLogin, error, cx),
            ConnectionError::Refused(error) => self.give_up(AccountState::NeedsLogin, error, cx),
            ConnectionError::Wait { wait, reason } => {
                let until = after(cx.wall(), wait);
                tracing::warn!(account = %self.args.id, wait_s = wait.as_secs(), reason, "platform asks to wait");
                self.standing = Standing::WaitingForPlatform { until, error: reason };
                self.connect_after(wait, cx);
            }
            ConnectionError::ContentIntentOff { wait, reason } => self.wait_for_intent(wait, reason, cx),
            ConnectionError::Unreachable(error) => self.retry(error, cx),
            ConnectionError::Store(error) => self.retry(error.to_string(), cx),
        }
    }

    /// A session that ended in use is no loss to an account whose credential begins another: whether it still does is
    /// for the next connection to find out.
    const fn begins_another(&self) -> bool {
        self.account.kind.signs_in_by_itself() && matches!(self.standing, Standing::Connected { .. })
    }

    fn retry(&mut self, error: String, cx: &mut Cx<'_, Self>) {
        let kept = self.args.deps.config.retry.reset_after;
        if let Standing::Connected { since } = &self.standing
            && (cx.wall() - *since).to_std().is_ok_and(|up| up >= kept)
        {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let deps = &self.args.deps;
        let wait = deps.config.retry.delay(self.failures, deps.rng.next_u64());
        tracing::warn!(account = %self.args.id, error, failures = self.failures, ?wait, "session backs off");
        if self.failures == deps.config.circuit_failures {
            let text = format!("session of {} cannot connect: {error}", self.account.name);
            let subject = cx.path().to_string();
            deps.alert(
                AlertSeverity::Warning,
                "session.unreachable",
                &subject,
                Some(self.account.user),
                text,
            );
        }
        self.standing = Standing::WaitingToRetry { until: after(cx.wall(), wait), error };
        self.connect_after(wait, cx);
    }

    /// Its owner has to change a setting at the platform: they are told once, and it is looked at again now and then.
    fn wait_for_intent(&mut self, wait: Duration, error: String, cx: &mut Cx<'_, Self>) {
        if !self.told_of_intent {
            let text = format!("{} cannot read: {error}", self.account.name);
            let (subject, user) = (cx.path().to_string(), Some(self.account.user));
            self.args.deps.alert(AlertSeverity::Warning, "session.content_intent_off", &subject, user, text);
            self.told_of_intent = true;
        }
        self.standing = Standing::ContentIntentOff { until: after(cx.wall(), wait), error };
        self.connect_after(wait, cx);
    }

    fn connect_after(&mut self, wait: Duration, cx: &mut Cx<'_, Self>) {
        self.retry = Some(cx.after(wait, |session: &mut Self, cx| session.connect(cx)));
    }

    /// Only a person helps: notes it, tells, parks.
    fn give_up(&mut self, state: AccountState, error: String, cx: &mut Cx<'_, Self>) {
        let (deps, id) = (self.args.deps.clone(), self.args.id);
        let text = format!(
            "{} needs login: the platform ended its session ({error}); what it is to send waits until then",
            self.account.name
        );
        let subject = cx.path().to_string();
        deps.alert(AlertSeverity::Critical, "session.needs_login", &subject, Some(self.account.user), text);
        let (fence, heartbeat) = (self.fence, cx.heartbeat());
        // A need that is not noted is not seen, and nothing but a person ends it.
        let note = async move {
            until_stored(&deps, fence, &|| heartbeat.beat(), || deps.store.set_account_state(id, state)).await
        };
        cx.wait(note, move |_: &mut Self, noted, cx| {
            if let Err(failed) = noted {
                tracing::error!(error = %failed, "account state could not be noted");
            }
            cx.park(format!("needs login: {error}"));
        });
    }
}

fn after(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

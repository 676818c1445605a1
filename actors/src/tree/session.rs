//! A connected account: owns the client, records what it reads, lends its sender to the account's queue.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::{Value, json};

use super::deps::{Deps, until_stored};
use crate::model::{Account, AccountId, AccountState, AlertSeverity, Fence};
use crate::ports::{
    ConnectRequest, Connection, ConnectionError, EventSource, IntakeReceipt, IntakeUnit, MessageSender,
    StoreError,
};
use crate::supervision::{Child, Cx, Handle, LoadEnv, LoadError, Loaded, Message, Token};

/// Identity and what it is given.
#[derive(Clone)]
pub struct SessionArgs {
    /// The account.
    pub id: AccountId,
    /// Ports and siblings.
    pub deps: Deps,
}

/// Lend the sender.
pub struct GetSender;

impl Message for GetSender {
    type Reply = Result<Arc<dyn MessageSender>, String>;
}

/// An operator asks for a new connection.
pub struct Reconnect;

impl Message for Reconnect {
    type Reply = ReconnectAnswer;
}

/// What a reconnect comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconnectAnswer {
    /// It connects now.
    Connecting,
    /// The platform asked to wait until then; an operator cannot shorten that.
    Waiting(DateTime<Utc>),
}

/// The platform refused the session while it was used for sending.
pub struct Dead(pub String);

impl Message for Dead {
    type Reply = ();
}

/// How a session stands, in words that operators and users see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "connection", rename_all = "snake_case")]
enum Standing {
    Connecting,
    Connected { since: DateTime<Utc> },
    WaitingToRetry { until: DateTime<Utc>, error: String },
    WaitingForPlatform { until: DateTime<Utc>, error: String },
}

/// The actor of one account.
pub struct SessionActor {
    args: SessionArgs,
    account: Account,
    fence: Fence,
    standing: Standing,
    sender: Option<Arc<dyn MessageSender>>,
    /// The future that connects or reads; dropping it closes the connection.
    link: Option<Token>,
    retry: Option<Token>,
    failures: u32,
    accepted: u64,
    last_event_at: Option<DateTime<Utc>>,
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
            Ok(Loaded::Ready(Self {
                args,
                account,
                fence,
                standing: Standing::Connecting,
                sender: None,
                link: None,
                retry: None,
                failures: 0,
                accepted: 0,
                last_event_at: None,
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
            fields.insert("account_kind".to_owned(), json!(self.account.kind));
            fields.insert("user".to_owned(), json!(self.account.user));
            fields.insert("node_epoch".to_owned(), json!(self.fence.epoch));
            fields.insert("events_accepted".to_owned(), json!(self.accepted));
            fields.insert("last_event_at".to_owned(), json!(self.last_event_at));
        }
        view
    }
}

impl Handle<GetSender> for SessionActor {
    fn handle(
        &mut self,
        GetSender: GetSender,
        _cx: &mut Cx<'_, Self>,
    ) -> Result<Arc<dyn MessageSender>, String> {
        self.sender.clone().ok_or_else(|| match &self.standing {
            Standing::Connected { .. } => "account cannot send".to_owned(),
            Standing::Connecting => "session is connecting".to_owned(),
            Standing::WaitingToRetry { error, .. } | Standing::WaitingForPlatform { error, .. } => {
                error.clone()
            }
        })
    }
}

impl Handle<Reconnect> for SessionActor {
    fn handle(&mut self, Reconnect: Reconnect, cx: &mut Cx<'_, Self>) -> ReconnectAnswer {
        if let Standing::WaitingForPlatform { until, .. } = &self.standing {
            return ReconnectAnswer::Waiting(*until);
        }
        self.connect(cx);
        ReconnectAnswer::Connecting
    }
}

impl Handle<Dead> for SessionActor {
    fn handle(&mut self, Dead(error): Dead, cx: &mut Cx<'_, Self>) {
        if self.sender.is_none() {
            // Told of a connection that is gone already: several sends may have met the same end.
            return;
        }
        self.disconnected(ConnectionError::NeedsLogin(error), cx);
    }
}

impl SessionActor {
    fn connect(&mut self, cx: &mut Cx<'_, Self>) {
        self.disconnect();
        self.standing = Standing::Connecting;
        let connect = connect(self.args.clone(), self.account.clone(), self.fence);
        self.link = Some(cx.serve(connect, |session: &mut Self, made, cx| match made {
            Ok((connection, placed)) => session.connected(connection, placed, cx),
            Err(error) => {
                session.disconnected(error, cx);
                session.args.deps.links.attempted(session.args.id);
            }
        }));
    }

    fn disconnect(&mut self) {
        self.sender = None;
        for token in [self.link.take(), self.retry.take()].into_iter().flatten() {
            token.cancel();
        }
    }

    /// `placed`: cursors are kept already, so that whatever is written from now on is found even after a failure.
    fn connected(&mut self, connection: Connection, placed: bool, cx: &mut Cx<'_, Self>) {
        if connection.platform_id != self.account.platform_id {
            let (expected, found) = (self.account.platform_id, connection.platform_id);
            let error = format!("credential belongs to platform account {found}, not to {expected}");
            self.disconnected(ConnectionError::Refused(error), cx);
            return;
        }
        tracing::info!(account = %self.args.id, kind = self.account.kind.as_str(), "session is connected");
        self.standing = Standing::Connected { since: cx.wall() };
        self.sender = connection.sender;
        if self.sender.is_some() {
            self.args.deps.links.connected(self.args.id);
        }
        if placed {
            self.args.deps.links.attempted(self.args.id);
        }
        match connection.source {
            Some(source) => self.read(source, cx),
            None => self.link = None,
        }
    }

    fn read(&mut self, mut source: Box<dyn EventSource>, cx: &mut Cx<'_, Self>) {
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
            (source, recorded)
        };
        self.link = Some(cx.spawn(record, |session: &mut Self, (source, recorded), cx| match recorded {
            Ok(receipt) => {
                session.args.deps.links.attempted(session.args.id);
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
            ConnectionError::NeedsLogin(error) => self.give_up(AccountState::NeedsLogin, error, cx),
            ConnectionError::Refused(error) => self.give_up(AccountState::NeedsLogin, error, cx),
            ConnectionError::Wait { wait, reason } => {
                let until = after(cx.wall(), wait);
                tracing::warn!(account = %self.args.id, wait_s = wait.as_secs(), reason, "platform asks to wait");
                self.standing = Standing::WaitingForPlatform { until, error: reason };
                self.connect_after(wait, cx);
            }
            ConnectionError::Unreachable(error) => self.retry(error, cx),
            ConnectionError::Store(error) => self.retry(error.to_string(), cx),
        }
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

    fn connect_after(&mut self, wait: Duration, cx: &mut Cx<'_, Self>) {
        self.retry = Some(cx.after(wait, |session: &mut Self, cx| session.connect(cx)));
    }

    /// Only a person helps: notes it, tells, parks.
    fn give_up(&mut self, state: AccountState, error: String, cx: &mut Cx<'_, Self>) {
        let (deps, id) = (self.args.deps.clone(), self.args.id);
        let text = format!("session of {} ended: {error}", self.account.name);
        let subject = cx.path().to_string();
        deps.alert(AlertSeverity::Critical, "session.needs_login", &subject, Some(self.account.user), text);
        let note = async move { deps.store.set_account_state(id, state).await };
        cx.wait(note, move |_: &mut Self, noted, cx| {
            if let Err(failed) = noted {
                tracing::error!(error = %failed, "account state could not be noted");
            }
            cx.park(format!("needs login: {error}"));
        });
    }
}

/// Reads what the connection needs to know and makes it.
async fn connect(
    args: SessionArgs,
    account: Account,
    fence: Fence,
) -> Result<(Connection, bool), ConnectionError> {
    if !args.deps.links.lease_lasts(args.deps.config.lease_margin) {
        return Err(ConnectionError::Unreachable("node's lease has ended".to_owned()));
    }
    let store = &args.deps.store;
    let pairs = store.pairs().await?;
    let sources = pairs.iter().filter(|pair| pair.source_account == account.id).map(|pair| pair.source);
    let sources: Vec<_> = sources.collect::<BTreeSet<_>>().into_iter().collect();
    let targets = pairs.iter().filter(|pair| pair.target_account == account.id).map(|pair| pair.target);
    let targets = targets.collect::<BTreeSet<_>>().into_iter().collect();
    let cursors = store.cursors(account.id).await?;
    let placed = sources.is_empty() || !cursors.is_empty();
    let request = ConnectRequest { account, fence, sources, targets, cursors };
    let connection = args.deps.connector.connect(request).await?;
    Ok((connection, placed))
}

/// Records one unit; a store that is busy, away or full is waited for: intake stops and the cursor stays.
async fn record(
    deps: &Deps,
    fence: Fence,
    unit: &IntakeUnit,
    beat: impl Fn(),
) -> Result<IntakeReceipt, StoreError> {
    deps.failpoints.hit("session.intake", &fence.account.to_string()).map_err(StoreError::Failed)?;
    until_stored(deps, fence, &beat, || deps.store.record(fence, unit)).await
}

fn after(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

//! Events, jobs, queues, dead letters and the monitor: their services, and the actors behind them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use switchyard_actors::tree::{Operator, Root, RootError};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::config::Config;
use crate::services::admin::Admin;
use crate::services::deliveries::{DeliveryService, ReplayWork};
use crate::services::events::{
    Events, EventsConfig, Follower, FollowerArgs, Relay, RelayArgs, Watcher, WatcherArgs,
};
use crate::services::monitor::MonitorService;
use crate::services::queues::{QueueService, ReconnectSession, RestartQueue};
use crate::services::work::{Each, JobDesk, JobKind, Runner, RunnerArgs, RunnerConfig, Workers};
use crate::store::Store;

/// What the services of this room share with the actors behind them.
pub(super) struct Operations {
    pub(super) events: Arc<Events>,
    pub(super) jobs: JobDesk,
    pub(super) queues: Arc<QueueService>,
    pub(super) deliveries: Arc<DeliveryService>,
    pub(super) monitor: Arc<MonitorService>,
    workers: Workers,
    bell: Arc<Notify>,
    store: Store,
    runner: RunnerConfig,
    portion: usize,
    /// For a database that other nodes may share.
    follower: Option<FollowerArgs>,
}

impl Operations {
    /// Over store and tree.
    pub(super) fn new(config: &Config, store: &Store, operator: &Operator, admin: &Arc<dyn Admin>) -> Self {
        let (streams, work) = (&config.events, &config.jobs);
        let bounds = EventsConfig {
            poll_interval: streams.poll_interval,
            page: streams.page.get(),
            buffer: streams.buffer.get(),
            streams_per_caller_max: streams.streams_per_caller_max.get(),
            keep_alive: streams.keep_alive,
            recheck_interval: streams.recheck_interval,
            stall_max: streams.stall_max,
        };
        let events = Events::new(store.clone(), bounds, Handle::current());
        let bell = Arc::new(Notify::new());
        let jobs = JobDesk::new(store.clone(), Arc::clone(&bell));
        let runner = RunnerConfig {
            parallel_max: work.parallel_max.get(),
            lease: work.lease,
            poll_interval: work.poll_interval,
            retry_interval: work.retry_interval,
        };
        let portion = work.portion.get();
        let replay = ReplayWork::new(
            store.clone(),
            operator.clone(),
            u64::try_from(portion).unwrap_or(u64::MAX),
            work.lease,
        );
        let reconnect = ReconnectSession { admin: Arc::clone(admin), operator: operator.clone() };
        let reconnect = Each::new(Arc::new(reconnect), portion, work.reconnect_pace);
        let restart = Each::new(Arc::new(RestartQueue(operator.clone())), portion, Duration::ZERO);
        let mut workers: Workers = HashMap::new();
        workers.insert(JobKind::ReplayDeadLetters.as_str(), Arc::new(replay));
        workers.insert(JobKind::ReconnectSessions.as_str(), Arc::new(reconnect));
        workers.insert(JobKind::RestartQueues.as_str(), Arc::new(restart));
        let monitor = MonitorService {
            store: store.clone(),
            operator: operator.clone(),
            admin: Arc::clone(admin),
            events: Arc::clone(&events),
        };
        let follower = store.is_shared().then(|| FollowerArgs {
            events: Arc::clone(&events),
            operator: operator.clone(),
            wait: config.limits.suspension_wait,
        });
        Self {
            queues: Arc::new(QueueService::new(store.clone(), operator.clone(), jobs.clone())),
            deliveries: Arc::new(DeliveryService::new(store.clone(), operator.clone(), jobs.clone())),
            monitor: Arc::new(monitor),
            events,
            jobs,
            workers,
            bell,
            store: store.clone(),
            runner,
            portion,
            follower,
        }
    }

    /// Adds who does another kind of work to each of a list of items.
    pub(super) fn work_on(&mut self, kind: JobKind, item: Arc<dyn crate::services::work::Item>) {
        self.workers.insert(kind.as_str(), Arc::new(Each::new(item, self.portion, Duration::ZERO)));
    }

    /// Adds the actors behind the services; answers the streams, which end before the daemon drains.
    ///
    /// # Errors
    /// [`RootError`].
    pub(super) fn take_their_places(self, root: &Root) -> Result<Arc<Events>, RootError> {
        root.add::<Relay>("events", RelayArgs { events: Arc::clone(&self.events) })?;
        root.add::<Watcher>("watcher", WatcherArgs { tree: root.tree(), store: self.store.clone() })?;
        if let Some(args) = self.follower {
            root.add::<Follower>("follower", args)?;
        }
        let (store, workers, bell) = (self.store, Arc::new(self.workers), self.bell);
        root.add::<Runner>("jobs", RunnerArgs { store, workers, bell, config: self.runner })?;
        Ok(self.events)
    }
}

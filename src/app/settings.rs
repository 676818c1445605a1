//! From the configuration's sections to what each room takes.

use std::num::NonZeroUsize;
use std::path::Path;

use secrecy::SecretString;
use switchyard_actors::model::{Plans, Quotas};
use switchyard_actors::pipeline::PipelineLimits;
use switchyard_actors::supervision::{
    Backoff, BranchLimits, Intensity, OnExceed, Policy, Probe, RuntimeConfig, StopLimit, Storm,
};
use switchyard_actors::tree::{Supervision, TreeConfig};

use crate::config::{Config, SandboxMode};
use crate::crypto::KeySources;
use crate::services::keys::KeeperPace;
use crate::store::{RotationPace, StoreConfig};

pub(super) fn tree(config: &Config, quotas: Quotas) -> TreeConfig {
    let retry =
        Backoff { base: config.queue.backoff_base, cap: config.queue.backoff_cap, ..Backoff::default() };
    TreeConfig {
        claim_batch: config.queue.claim_batch.get(),
        poison_attempts: config.queue.event_attempts_max.get(),
        lane_lookahead: config.queue.lane_lookahead.get(),
        tries_max: config.queue.tries_max.get(),
        retry,
        circuit_failures: config.queue.circuit_failures.get(),
        answer_wait: config.queue.answer_wait,
        poll_interval: config.queue.poll_interval,
        lease_ttl: config.store.lease_ttl,
        lease_renew: config.store.lease_renew,
        lease_margin: config.store.lease_margin,
        retention: config.retention.finished_after,
        purge_interval: config.retention.purge_interval,
        purge_batch: config.retention.purge_batch.get(),
        alert_backlog: config.limits.alerts_waiting_max.get(),
        quotas,
        pipeline: PipelineLimits::default(),
    }
}

/// What is wrong with them was found when the configuration was checked.
pub(super) fn plans(config: &Config) -> Result<Plans, String> {
    let given = &config.plans;
    Plans::new(given.list.clone(), &given.default, &given.operator)
}

pub(super) fn supervision(config: &Config) -> Supervision {
    let given = &config.supervision;
    let storm = Storm { floor: given.storm_floor, starts_per_second: given.storm_starts_per_second };
    let branch = match given.storm_restarts {
        0 => BranchLimits::default(),
        restarts => BranchLimits {
            intensity: Some(Intensity::new(restarts, given.storm_window)),
            on_exceed: OnExceed::Storm(storm),
            ..BranchLimits::default()
        },
    };
    Supervision { child: policy(config), branch }
}

fn policy(config: &Config) -> Policy {
    let given = &config.supervision;
    let backoff = Backoff {
        base: given.backoff_base,
        cap: given.backoff_cap,
        jitter_percent: given.backoff_jitter_percent,
        reset_after: given.backoff_reset_after,
    };
    Policy {
        backoff,
        intensity: Intensity::new(given.restarts_max, given.restarts_window),
        mailbox: given.mailbox,
        stop: StopLimit { limit: given.stop_deadline, reserve: given.stop_reserve },
        load_limit: given.load_deadline,
        stuck_after: given.stuck_after,
        probe: given.probe_interval.map(|interval| Probe { interval, cap: given.probe_cap }),
        ..Policy::default()
    }
}

pub(super) fn runtime(config: &Config, seed: u64) -> RuntimeConfig {
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let spare = NonZeroUsize::new(processors.get().saturating_sub(1)).unwrap_or(NonZeroUsize::MIN);
    let asked = NonZeroUsize::new(usize::from(config.supervision.shards));
    RuntimeConfig {
        seed,
        shards: asked.unwrap_or(spare),
        stall_limit: config.supervision.stall_limit,
        log_window: config.supervision.log_window,
        log_signatures_max: config.supervision.log_signatures_max,
        messages_a_turn: config.supervision.messages_a_turn,
        publish_interval: config.supervision.publish_interval,
    }
}

pub(super) fn store(config: &Config) -> StoreConfig {
    let url = config.store.url.as_ref().map_or("", |url| url.expose());
    StoreConfig {
        url: SecretString::from(url),
        read_connections: config.store.connections.get(),
        postgres_connections: config.store.connections.get(),
        busy_timeout: config.store.busy_timeout,
        acquire_timeout: config.store.acquire_timeout,
        intake_chunk: usize::try_from(config.store.intake_chunk.get()).unwrap_or(usize::MAX),
        ..StoreConfig::new(&config.data_dir)
    }
}

pub(super) fn key_pace(config: &Config) -> KeeperPace {
    let steps =
        RotationPace { batch: config.vault.rotation_batch.get().into(), grace: config.vault.key_grace };
    KeeperPace { interval: config.vault.watch_interval, steps, pause: config.vault.rotation_pause }
}

pub(super) fn keys(config: &Config, data_dir: &Path) -> KeySources {
    KeySources {
        file: config.vault.master_key_file.clone(),
        text: config.vault.master_key.as_ref().map(|key| SecretString::from(key.expose())),
        credentials_directory: config.vault.credentials_directory.clone(),
        data_dir: data_dir.to_owned(),
        sandbox: config.sandbox.mode != SandboxMode::Off,
    }
}

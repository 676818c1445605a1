//! Many children, random panics, and every number right in the end.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_rt::System;
use chrono::DateTime;
use futures_util::future::{self, LocalBoxFuture, join_all};
use switchyard_actors::supervision::{
    AskError, Backoff, BranchSpec, Child, ChildRef, ChildSpec, Cx, Handle, Intensity, LoadEnv, LoadError,
    Loaded, Message, NoSink, NodeState, Policy, Runtime, RuntimeConfig,
};

use crate::bench::secs;

const CHILDREN: u64 = 2_000;
const ROUNDS: u64 = 60;

/// Counts what it was asked to, in a place that outlives its instances.
struct Counter {
    stored: Arc<AtomicU64>,
}

impl Child for Counter {
    type Args = Arc<AtomicU64>;
    const KIND: &'static str = "counter";

    fn load(stored: Self::Args, _: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(future::ready(Ok(Loaded::Ready(Self { stored }))))
    }
}

/// Counts one more, and panics before or after when told to.
struct Count {
    panics: bool,
}
impl Message for Count {
    type Reply = u64;
}
impl Handle<Count> for Counter {
    fn handle(&mut self, Count { panics }: Count, _: &mut Cx<'_, Self>) -> u64 {
        assert!(!panics, "told to panic");
        self.stored.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// SplitMix64.
fn roll(state: &mut u64, sides: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % sides
}

#[test]
fn s45_after_random_panics_every_count_is_exact() {
    System::new().block_on(async {
        let config = RuntimeConfig { shards: NonZeroUsize::new(2).unwrap(), ..RuntimeConfig::default() };
        let runtime = Runtime::new(config, Arc::new(|| DateTime::UNIX_EPOCH), Arc::new(NoSink)).unwrap();
        let branch = runtime.root().add_branch(BranchSpec::dynamic("x")).unwrap();
        let backoff = Backoff { base: Duration::ZERO, cap: Duration::ZERO, ..Backoff::default() };
        let policy = Policy { backoff, intensity: Intensity::new(u32::MAX, secs(60)), ..Policy::default() };
        let stored: Vec<Arc<AtomicU64>> = (0..CHILDREN).map(|_| Arc::default()).collect();
        let children: Vec<ChildRef<Counter>> = (0..)
            .zip(&stored)
            .map(|(n, stored)| {
                let spec = ChildSpec::new(n.to_string(), Arc::clone(stored));
                branch.add(spec.shard_key(n).policy(policy.clone())).unwrap()
            })
            .collect();
        runtime.start().await;
        let (mut dice, mut acknowledged, mut panics) = (1, HashMap::<usize, u64>::new(), HashMap::new());
        for _ in 0..ROUNDS {
            let mut asks = Vec::new();
            for (n, child) in children.iter().enumerate() {
                if roll(&mut dice, 100) == 0 {
                    *panics.entry(n).or_default() += 1_u64;
                    asks.push((n, true, child.ask(Count { panics: true })));
                }
                if roll(&mut dice, 10) == 0 {
                    asks.push((n, false, child.ask(Count { panics: false })));
                }
            }
            let answers = asks.into_iter().map(|(n, panics, ask)| async move { (n, panics, ask.await) });
            for (n, panics, answer) in join_all(answers).await {
                match (panics, answer) {
                    (true, Err(AskError::ChildCrashed { .. })) => {}
                    (false, Ok(_)) => *acknowledged.entry(n).or_default() += 1,
                    (_, other) => panic!("{n}: {other:?}"),
                }
            }
        }
        for (n, child) in children.iter().enumerate() {
            let (acknowledged, panics) = (acknowledged.get(&n).copied(), panics.get(&n).copied());
            assert_eq!(
                stored[n].load(Ordering::Relaxed),
                acknowledged.unwrap_or(0),
                "neither lost nor doubled"
            );
            assert_eq!(child.epoch(), panics.unwrap_or(0) + 1, "an epoch for each panic");
            assert_eq!((child.status(), child.depth()), (NodeState::Running, 0));
        }
        let counts = runtime.tree().counts();
        assert_eq!(counts[&NodeState::Running], children.len() + 2, "with the root and the branch");
        assert!(runtime.drain(secs(60)).await.is_clean());
    });
}

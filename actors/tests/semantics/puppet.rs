//! A child that does what it is told.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use switchyard_actors::supervision::{
    Child, ChildSpec, Cx, ExitReason, Handle, LoadEnv, LoadError, Loaded, Message, Phase, Receive, Responder,
};

use crate::bench::exact;

/// What a load does, in turn; the last one is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Ready,
    Ignore,
    Retry,
    Fatal,
    Panic,
    Hang,
}

/// Everything the outside of a puppet knows and decides.
#[derive(Default)]
pub struct Strings {
    pub log: Vec<String>,
    pub loads: VecDeque<Script>,
    pub panic_in: Vec<&'static str>,
    pub drain_takes: Duration,
    pub stop_in_started: bool,
    pub load_epochs: Vec<u64>,
    pub load_failures: Vec<Option<Phase>>,
    /// The state as a store would keep it.
    pub stored: u64,
}

#[derive(Clone, Default)]
pub struct Rope(pub Arc<Mutex<Strings>>);

impl Rope {
    pub fn log(&self, line: impl Into<String>) {
        self.0.lock().unwrap().log.push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().log.clone()
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().log.clear();
    }

    pub fn loads(&self, script: impl IntoIterator<Item = Script>) {
        self.0.lock().unwrap().loads = script.into_iter().collect();
    }

    pub fn panic_in(&self, places: &[&'static str]) {
        self.0.lock().unwrap().panic_in = places.to_vec();
    }

    /// Panics once if told to panic in this place.
    pub fn maybe_panic(&self, place: &'static str) {
        let mut strings = self.0.lock().unwrap();
        if let Some(at) = strings.panic_in.iter().position(|told| *told == place) {
            strings.panic_in.remove(at);
            drop(strings);
            panic!("told to panic in {place}");
        }
    }
}

/// A child that does what it is told and logs what is done to it.
pub struct Puppet {
    rope: Rope,
    name: String,
    pub sum: u64,
    held: Option<Responder<()>>,
}

impl Child for Puppet {
    type Args = (String, Rope);
    const KIND: &'static str = "puppet";

    fn load(
        (name, rope): Self::Args,
        env: LoadEnv,
    ) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let (script, sum) = {
                let mut strings = rope.0.lock().unwrap();
                strings.load_epochs.push(env.epoch());
                strings.load_failures.push(env.last_failure().map(|failure| failure.phase));
                let next = if strings.loads.len() > 1 {
                    strings.loads.pop_front()
                } else {
                    strings.loads.front().copied()
                };
                (next.unwrap_or(Script::Ready), strings.stored)
            };
            rope.log(format!("{name}: load"));
            match script {
                Script::Ready => Ok(Loaded::Ready(Self { rope, name, sum, held: None })),
                Script::Ignore => Ok(Loaded::Ignore),
                Script::Retry => Err(LoadError::Retry("store is busy".into())),
                Script::Fatal => Err(LoadError::Fatal("credentials are gone".into())),
                Script::Panic => panic!("load panics"),
                Script::Hang => pending().await,
            }
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        if self.rope.0.lock().unwrap().stop_in_started {
            return cx.stop();
        }
        self.rope.maybe_panic("started");
        self.rope.log(format!("{}: started", self.name));
    }

    fn closing(&mut self, _cx: &mut Cx<'_, Self>) {
        self.rope.maybe_panic("closing");
        self.rope.log(format!("{}: closing", self.name));
    }

    fn drain(&mut self, _cx: &mut Cx<'_, Self>) -> LocalBoxFuture<'static, ()> {
        self.rope.log(format!("{}: drain", self.name));
        self.rope.maybe_panic("drain");
        let takes = self.rope.0.lock().unwrap().drain_takes;
        Box::pin(tokio::time::sleep(takes))
    }

    fn stopped(&mut self, reason: &ExitReason) {
        let word = match reason {
            ExitReason::Normal => "normal",
            ExitReason::Shutdown => "shutdown",
            ExitReason::Restart => "restart",
            ExitReason::Parked(_) => "parked",
            ExitReason::Failed(_) => "failed",
        };
        self.rope.log(format!("{}: stopped {word}", self.name));
        self.rope.maybe_panic("stopped");
    }

    fn snapshot(&self) -> Value {
        self.rope.maybe_panic("snapshot");
        json!({ "sum": self.sum })
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.rope.maybe_panic("drop");
    }
}

/// Adds a number; answers with the sum and the epoch.
pub struct Add(pub u64);
impl Message for Add {
    type Reply = (u64, u64);
}
impl Handle<Add> for Puppet {
    fn handle(&mut self, Add(n): Add, cx: &mut Cx<'_, Self>) -> (u64, u64) {
        self.sum += n;
        self.rope.log(format!("{}: add {n}", self.name));
        (self.sum, cx.epoch())
    }
}

type Order = Box<dyn FnOnce(&mut Puppet, &mut Cx<'_, Puppet>) + Send>;

/// Runs a closure inside the child.
pub struct Do(Order);
impl Do {
    pub fn it(order: impl FnOnce(&mut Puppet, &mut Cx<'_, Puppet>) + Send + 'static) -> Self {
        Self(Box::new(order))
    }
}
impl Message for Do {
    type Reply = ();
}
impl Handle<Do> for Puppet {
    fn handle(&mut self, Do(order): Do, cx: &mut Cx<'_, Self>) {
        order(self, cx);
    }
}

/// Panics.
pub struct Poison;
impl Message for Poison {
    type Reply = ();
}
impl Handle<Poison> for Puppet {
    fn handle(&mut self, _: Poison, _: &mut Cx<'_, Self>) {
        panic!("poisoned");
    }
}

/// Answers after a while, from a future; panics in it when told to.
pub struct Later(pub Duration, pub bool);
impl Message for Later {
    type Reply = u64;
}
impl Receive<Later> for Puppet {
    fn receive(&mut self, Later(wait, fails): Later, cx: &mut Cx<'_, Self>, responder: Responder<u64>) {
        let work = async move {
            tokio::time::sleep(wait).await;
            assert!(!fails, "future panics");
            7
        };
        cx.spawn(work, |_, answer, _| responder.reply(answer));
    }
}

/// Panics when it is dropped.
pub struct Bomb(pub &'static str);
impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("bomb in a {}", self.0);
    }
}

/// A puppet's spec under the exact policy.
pub fn puppet(name: &str, rope: &Rope) -> ChildSpec<Puppet> {
    ChildSpec::new(name, (name.to_owned(), rope.clone())).policy(exact())
}

/// Keeps the responder in the state, or lets it go.
pub struct Hold {
    pub keep: bool,
}
impl Message for Hold {
    type Reply = ();
}
impl Receive<Hold> for Puppet {
    fn receive(&mut self, Hold { keep }: Hold, _: &mut Cx<'_, Self>, responder: Responder<()>) {
        self.held = keep.then_some(responder);
    }
}

/// Tells itself the same again.
pub struct Loop;
impl Message for Loop {
    type Reply = ();
}
impl Handle<Loop> for Puppet {
    fn handle(&mut self, _: Loop, cx: &mut Cx<'_, Self>) {
        cx.me().tell(Loop).unwrap();
    }
}

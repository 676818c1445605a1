//! The children that are measured: one that counts, and one that talks to it.

use futures_util::future::{self, LocalBoxFuture};
use switchyard_actors::supervision::{
    Child, ChildRef, ChildSpec, Cx, Handle, LoadEnv, LoadError, Loaded, Message, Receive, Responder,
};

/// Its state is one number.
pub(crate) struct Counter(u64);

/// Adds one.
pub(crate) struct Add;

/// Asks for the number.
pub(crate) struct Get;

/// Answers an ask of somebody else's with the number.
pub(crate) struct Report(Responder<u64>);

/// Makes it panic.
pub(crate) struct Crash;

impl Message for Add {
    type Reply = ();
}

impl Message for Get {
    type Reply = u64;
}

impl Message for Report {
    type Reply = ();
}

impl Message for Crash {
    type Reply = ();
}

impl Child for Counter {
    type Args = ();

    const KIND: &'static str = "counter";

    fn load((): (), _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(future::ready(Ok(Loaded::Ready(Self(0)))))
    }
}

impl Handle<Add> for Counter {
    fn handle(&mut self, Add: Add, _cx: &mut Cx<'_, Self>) {
        self.0 += 1;
    }
}

impl Handle<Get> for Counter {
    fn handle(&mut self, Get: Get, _cx: &mut Cx<'_, Self>) -> u64 {
        self.0
    }
}

impl Handle<Report> for Counter {
    fn handle(&mut self, Report(responder): Report, _cx: &mut Cx<'_, Self>) {
        responder.reply(self.0);
    }
}

impl Handle<Crash> for Counter {
    fn handle(&mut self, Crash: Crash, _cx: &mut Cx<'_, Self>) {
        panic!("asked to crash after {} messages", self.0);
    }
}

/// The spec of a counter with the default policy.
pub(crate) fn counter(number: usize) -> ChildSpec<Counter> {
    ChildSpec::new(format!("counter-{number:06}"), ())
}

/// Talks to a counter.
pub(crate) struct Talker(ChildRef<Counter>);

/// Tells the counter this many times, then has it answer.
pub(crate) struct TellTimes(pub(crate) usize);

/// Asks the counter this many times, one after the other.
pub(crate) struct AskTimes(pub(crate) usize);

impl Message for TellTimes {
    type Reply = u64;
}

impl Message for AskTimes {
    type Reply = u64;
}

impl Child for Talker {
    type Args = ChildRef<Counter>;

    const KIND: &'static str = "talker";

    fn load(counter: Self::Args, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(future::ready(Ok(Loaded::Ready(Self(counter)))))
    }
}

impl Receive<TellTimes> for Talker {
    fn receive(&mut self, TellTimes(times): TellTimes, _cx: &mut Cx<'_, Self>, responder: Responder<u64>) {
        for _ in 0..times {
            self.0.tell(Add).expect("room in the mailbox");
        }
        self.0.tell(Report(responder)).expect("room in the mailbox");
    }
}

impl Receive<AskTimes> for Talker {
    fn receive(&mut self, AskTimes(times): AskTimes, cx: &mut Cx<'_, Self>, responder: Responder<u64>) {
        let counter = self.0.clone();
        cx.reply_with(responder, async move {
            let mut sum = 0;
            for _ in 0..times {
                sum += counter.ask(Get).await.expect("an answer");
            }
            sum
        });
    }
}

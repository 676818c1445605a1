//! The actors' thread wakes whenever something is told to an actor, whatever its actors do meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc as answers;
use std::thread;
use std::time::Duration;

use switchyard::threads::run_system;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const CALLS: u32 = 2_000;
/// Takes a while to be written into a channel, so that a look finds it half done.
type Big = [u8; 65_536];
/// Far beyond any answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Calls one after the other from a thread of its own; an answer that does not come ends it with its number.
fn caller(
    calls: UnboundedSender<u32>,
    answered: answers::Receiver<u32>,
    meanwhile: impl Fn(u32) + Send + 'static,
) -> thread::JoinHandle<Option<u32>> {
    thread::spawn(move || {
        (1..=CALLS).find(|&n| {
            let told = calls.send(n).is_ok();
            meanwhile(n);
            !told || answered.recv_timeout(ANSWER) != Ok(n)
        })
    })
}

/// Answers each call when something was found in a channel, into which it looks until then.
async fn look(
    mut called: UnboundedReceiver<u32>,
    mut found: UnboundedReceiver<Big>,
    looking: Arc<AtomicU32>,
    answer: answers::Sender<u32>,
) {
    while let Some(n) = called.recv().await {
        looking.store(n, Ordering::SeqCst);
        while found.try_recv().is_err() {}
        let _ = answer.send(n);
    }
}

async fn answer(mut called: UnboundedReceiver<u32>, answer: answers::Sender<u32>) {
    while let Some(n) = called.recv().await {
        let _ = answer.send(n);
    }
}

/// A look into a channel while a send is half done waits on this thread. Under a multi-thread runtime's `block_on` that
/// used up wakes of the actors: after at most a few hundred calls nothing was answered any more.
#[test]
fn no_wake_is_lost_while_a_channel_is_looked_into() {
    let unanswered = run_system(async {
        let looking = Arc::new(AtomicU32::new(0));
        let ((calls, called), (finds, found)) = (unbounded_channel(), unbounded_channel::<Big>());
        let (answers, answered) = answers::channel();
        actix::spawn(look(called, found, Arc::clone(&looking), answers));
        let finder = caller(calls, answered, move |n| {
            let began = tokio::time::Instant::now();
            while looking.load(Ordering::SeqCst) != n && began.elapsed() < ANSWER {
                std::hint::spin_loop();
            }
            let _ = finds.send([0; 65_536]);
        });
        let (calls, called) = unbounded_channel();
        let (answers, answered) = answers::channel();
        actix::spawn(answer(called, answers));
        let other = caller(calls, answered, |_| {});
        let ended =
            tokio::task::spawn_blocking(|| [finder, other].map(|caller| caller.join().expect("a caller")));
        ended.await.expect("callers")
    });
    assert_eq!(unanswered.expect("threads"), [None, None], "every call is answered");
}

//! The actors' thread wakes whenever something is told to an actor, whatever its actors do meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as answers;
use std::thread;
use std::time::Duration;

use switchyard::threads::run_system;
use tokio::sync::mpsc;

const CALLERS: usize = 2;
const CALLS: u32 = 2_000;
/// Looks into the busy channel before each answer.
const LOOKS: usize = 256;
/// More senders than cores, so that one is interrupted now and then in the middle of a send.
const SENDERS: usize = 4;
const ROOM: usize = 64;
/// Far beyond any answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Calls one after the other from a thread of its own; an answer that does not come ends it with its number.
fn caller(calls: mpsc::UnboundedSender<u32>, answered: answers::Receiver<u32>) -> thread::JoinHandle<Option<u32>> {
    thread::spawn(move || {
        (0..CALLS).find(|&n| calls.send(n).is_err() || answered.recv_timeout(ANSWER) != Ok(n))
    })
}

/// A look into a channel while a send is half done waits on this thread. Under a multi-thread runtime's `block_on` that
/// used up wakes of the actors: within some thousand calls nothing was answered any more.
#[test]
fn no_wake_is_lost_while_a_channel_is_looked_into() {
    let over = Arc::new(AtomicBool::new(false));
    let (noise, mut heard) = mpsc::channel(ROOM);
    let sender = || {
        let (over, noise) = (Arc::clone(&over), noise.clone());
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let _full = noise.try_send(0_u8);
            }
        })
    };
    let senders: Vec<_> = (0..SENDERS).map(|_| sender()).collect();
    let unanswered = run_system(async move {
        let (looks, mut looking) = mpsc::unbounded_channel::<(u32, answers::Sender<u32>)>();
        actix::spawn(async move {
            while let Some((n, answer)) = looking.recv().await {
                for _ in 0..LOOKS {
                    let _ = heard.try_recv();
                }
                let _ = answer.send(n);
            }
        });
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            let (calls, mut called) = mpsc::unbounded_channel();
            let (answer, answered) = answers::channel();
            let looks = looks.clone();
            actix::spawn(async move {
                while let Some(n) = called.recv().await {
                    let _ = looks.send((n, answer.clone()));
                }
            });
            callers.push(caller(calls, answered));
        }
        let ended = tokio::task::spawn_blocking(move || {
            callers.into_iter().filter_map(|caller| caller.join().expect("a caller")).collect::<Vec<_>>()
        });
        ended.await.expect("callers")
    });
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().expect("a sender");
    }
    assert_eq!(unanswered.expect("threads"), Vec::<u32>::new(), "every call is answered");
}

//! What goes wrong, when its time comes, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::{DRAIN, Play};
use crate::model::{AccountId, Platform};
use crate::ports::ConnectionError;
use crate::testkit::world::fault::{Fault, Trouble};
use crate::testkit::world::plan::node_id;

/// A Telegram server closes the connection of a client that was silent for so long (`ping_delay_disconnect`).
const SILENCE: Duration = Duration::from_secs(75);

/// What a fault does from now on; it ends with it.
type Course = LocalBoxFuture<'static, ()>;

fn at_once() -> Course {
    Box::pin(std::future::ready(()))
}

impl Play {
    pub(super) fn strike(&self, fault: &Fault) {
        let Fault { lasts, trouble, scope, .. } = fault;
        self.book.log.note(&format!("fault for {:.3} s: {trouble:?}", lasts.as_secs_f64()));
        self.book.count(name(trouble));
        let disturbance = self.book.disturbed(scope);
        let (book, lasts) = (Arc::clone(&self.book), *lasts);
        let work: Course = match trouble {
            Trouble::Sends { .. }
            | Trouble::Store { .. }
            | Trouble::Unreachable { .. }
            | Trouble::DialWait { .. }
            | Trouble::Logout { .. } => self.weather_changes(fault),
            Trouble::HangUp { account } => {
                self.hang_up(*account, "connection reset");
                at_once()
            }
            Trouble::Failpoint { point, key, verb, times } => self.arm(point, key, verb, *times),
            Trouble::PortPanic { node, after } => {
                self.weather.panic_after(*node, *after);
                at_once()
            }
            Trouble::Kill { node } => self.kill(*node, lasts),
            Trouble::Freeze { node } => self.freeze(*node, lasts),
            Trouble::Deploy { node } => self.deploy(*node),
            Trouble::Operator { node, order } => {
                Box::pin(self.staff.clone().carry_out(*node, order.clone(), lasts))
            }
        };
        self.under_way(async move {
            work.await;
            book.calmed(disturbance);
        });
    }

    fn hang_up(&self, account: Option<AccountId>, why: &str) {
        let error = ConnectionError::Unreachable(why.to_owned());
        self.weather.platform.hang_up(|caller| account.is_none_or(|id| id == caller.account), &error);
    }

    fn weather_changes(&self, fault: &Fault) -> Course {
        let (number, weather, lasts) =
            (self.weather.begin(fault.clone()), Arc::clone(&self.weather), fault.lasts);
        match &fault.trouble {
            Trouble::Unreachable { account } => self.hang_up(*account, "no route"),
            Trouble::DialWait { account } => self.hang_up(Some(*account), "session invalidated"),
            Trouble::Logout { account } => {
                let error = ConnectionError::NeedsLogin("AUTH_KEY_UNREGISTERED".to_owned());
                self.weather.platform.hang_up(|caller| caller.account == *account, &error);
            }
            _ => {}
        }
        Box::pin(async move {
            tokio::time::sleep(lasts).await;
            weather.end(number);
        })
    }

    fn arm(&self, point: &str, key: &str, verb: &str, times: u64) -> Course {
        let place = if key.is_empty() { point.to_owned() } else { format!("{point}@{key}") };
        let text = format!("{place}={verb}*{times}");
        self.nodes().iter().for_each(|node| node.arm(&text));
        // Whoever does not come by keeps it armed until the calm.
        let calm = self.begun + self.plan().calm_at;
        Box::pin(async move { tokio::time::sleep_until(calm).await })
    }

    fn kill(&self, node: usize, down: Duration) -> Course {
        let Some(node) = self.nodes().get(node).cloned() else { return at_once() };
        Box::pin(async move {
            node.kill();
            tokio::time::sleep(down).await;
            node.start();
            node.until_up().await;
        })
    }

    fn freeze(&self, node: usize, lasts: Duration) -> Course {
        let weather = Arc::clone(&self.weather);
        Box::pin(async move {
            weather.freeze(node, true);
            tokio::time::sleep(lasts.min(SILENCE)).await;
            if lasts > SILENCE && weather.is_frozen(node) {
                let telegram = |id: AccountId| {
                    let account = weather.book.plan.accounts.iter().find(|account| account.id == id);
                    account.is_some_and(|account| account.kind.platform() == Platform::Telegram)
                };
                let silent = ConnectionError::Unreachable("closed after a silence".to_owned());
                let owner = node_id(node);
                weather.platform.hang_up(|caller| caller.node == owner && telegram(caller.account), &silent);
            }
            tokio::time::sleep(lasts.saturating_sub(SILENCE)).await;
            weather.freeze(node, false);
        })
    }

    fn deploy(&self, node: usize) -> Course {
        let Some(node) = self.nodes().get(node).cloned() else { return at_once() };
        let book = Arc::clone(&self.book);
        Box::pin(async move {
            if let Some(report) = node.drain(DRAIN).await {
                book.log.note(&format!("node {} is drained: {:?}", node.index, report.unfinished));
            }
            node.start();
            node.until_up().await;
        })
    }
}

/// What a fault is counted as.
const fn name(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Sends { .. } => "faults of sends",
        Trouble::Unreachable { .. } => "platforms unreachable",
        Trouble::HangUp { .. } => "connections broken",
        Trouble::DialWait { .. } => "waits before connecting",
        Trouble::Logout { .. } => "sessions ended",
        Trouble::Store { .. } => "faults of the store",
        Trouble::Failpoint { .. } => "failpoints armed",
        Trouble::PortPanic { .. } => "panics in ports",
        Trouble::Kill { .. } => "nodes killed",
        Trouble::Freeze { .. } => "nodes frozen",
        Trouble::Deploy { .. } => "nodes drained",
        Trouble::Operator { .. } => "orders",
    }
}

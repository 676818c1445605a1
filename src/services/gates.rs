//! One change at a time: of an account, and of the pairs that use it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use switchyard_actors::model::Account;
use tokio::sync::OwnedMutexGuard;

/// A platform account, whether it is connected already or not.
pub(super) type GateKey = (&'static str, i64);

/// The gates that are in use; each goes when nobody holds it or waits for it.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<GateKey, Arc<tokio::sync::Mutex<()>>>>);

/// Held while a change is made.
pub(super) struct Passage {
    _gates: Vec<OwnedMutexGuard<()>>,
}

/// The gate of an account.
pub(super) fn key(account: &Account) -> GateKey {
    (account.kind.as_str(), account.platform_id)
}

impl Gates {
    /// Waits until nobody else changes any of these. Always in one order, so that two never wait for each other.
    pub(super) async fn pass(&self, keys: impl IntoIterator<Item = GateKey>) -> Passage {
        let keys: BTreeSet<_> = keys.into_iter().collect();
        let mut held = Vec::with_capacity(keys.len());
        for key in keys {
            held.push(self.gate(key).lock_owned().await);
        }
        Passage { _gates: held }
    }

    fn gate(&self, key: GateKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        Arc::clone(gates.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_gate_lets_one_through_and_is_gone_when_nobody_needs_it() {
        let gates = Gates::default();
        let (one, two) = (("a", 1), ("b", 2));
        let held = gates.pass([two, one, two]).await;
        assert!(gates.pass([one]).now_or_never().is_none());
        assert!(gates.pass([("a", 2)]).now_or_never().is_some());
        drop(held);
        assert!(gates.pass([one, two]).now_or_never().is_some());
        assert!(gates.0.lock().unwrap().len() <= 3);
        drop(gates.gate(("c", 1)));
        drop(gates.gate(("d", 1)));
        assert_eq!(gates.0.lock().unwrap().len(), 1);
    }
}

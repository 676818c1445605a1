//! The keeper of keys as a child of the tree: what it does survives a crash, because every step is in the store.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use switchyard_actors::supervision::{Child, Cx, LoadEnv, LoadError, Loaded};

use super::settings;
use crate::config::Config;
use crate::crypto::{KeySources, Keyring, Vault};
use crate::services::keys::{KeeperParts, KeyKeeper};
use crate::store::Store;

/// The vault over a keyring.
pub(super) fn vault(config: &Config, keyring: Keyring) -> Arc<Vault> {
    let vault = Vault::new(keyring, config.vault.data_keys_cached.get());
    Arc::new(vault.with_data_key_ttl(config.vault.data_key_ttl))
}

/// The keeper of the store's keys.
pub(super) fn keeper(
    config: &Config,
    store: &Store,
    vault: &Arc<Vault>,
    sources: KeySources,
    keeps_world: bool,
) -> Arc<KeyKeeper> {
    KeyKeeper::new(KeeperParts {
        store: store.clone(),
        vault: Arc::clone(vault),
        sources,
        keeps_world,
        pace: settings::key_pace(config),
    })
}

/// The actor that looks after keys.
pub(super) struct KeysActor {
    keeper: Arc<KeyKeeper>,
}

impl Child for KeysActor {
    type Args = Arc<KeyKeeper>;

    const KIND: &'static str = "keys";

    fn load(keeper: Self::Args, _: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        async move { Ok(Loaded::Ready(Self { keeper })) }.boxed_local()
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        cx.serve(Arc::clone(&self.keeper).watch(), |_, (), cx| cx.fail("the keeper of keys ended"));
    }
}

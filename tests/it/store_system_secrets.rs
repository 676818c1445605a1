//! Secrets that belong to no user: sealed under the system's own key, bound to their row, the same on every node.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use secrecy::ExposeSecret;
use switchyard_actors::ports::StoreError;

const PLACE: (&str, &str) = ("provider_secrets", "value");

on_both_databases! {
    async fn a_system_secret_opens_in_its_place_only(world) {
        let store = &world.store;
        let blob = store.seal_system(PLACE, b"paypal", b"hush").await.unwrap();
        assert!(!blob.windows(4).any(|window| window == b"hush"));
        assert_eq!(store.open_system(PLACE, b"paypal", &blob).await.unwrap().expose_secret(), b"hush");
        let elsewhere = store.open_system(PLACE, b"bot", &blob).await;
        assert!(matches!(elsewhere, Err(StoreError::Corrupt(_))));
        let column = store.open_system(("provider_secrets", "other"), b"paypal", &blob).await;
        assert!(matches!(column, Err(StoreError::Corrupt(_))));
    }

    async fn keys_for_a_purpose_are_the_same_for_every_node(world) {
        let other = world.open_as(2).await;
        // At once: one of the two makes the key, both use it.
        let (ours, theirs) = tokio::join!(world.store.derive("tokens"), other.derive("tokens"));
        assert_eq!(ours.clone().unwrap(), theirs.unwrap());
        assert_ne!(ours.unwrap(), world.store.derive("lookups").await.unwrap());
        let blob = world.store.seal_system(PLACE, b"bot", b"hush").await.unwrap();
        assert_eq!(other.open_system(PLACE, b"bot", &blob).await.unwrap().expose_secret(), b"hush");
    }
}

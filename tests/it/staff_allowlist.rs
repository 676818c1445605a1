//! The allow-list of the staff's networks: what it admits, who may change it, and when a change counts.

use std::net::IpAddr;
use std::time::Duration;

use switchyard::network::Network;
use switchyard::services::fault::Fault;
use switchyard::services::networks::{
    AdminAllowList, Changer, NetworkOrder, NetworkSource, Networks, NetworksConfig,
};
use switchyard::store::Store;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn networks(store: &Store, configured: &str) -> AdminAllowList {
    let configured = Network::parse_list(configured).unwrap();
    let config = NetworksConfig { configured, stored_max: 3, refresh: Duration::from_secs(3_600) };
    AdminAllowList::new(store.clone(), config)
}

fn order(networks: &str) -> Vec<NetworkOrder> {
    let networks = Network::parse_list(networks).unwrap();
    networks.into_iter().map(|network| NetworkOrder { network, note: String::new() }).collect()
}

async fn admits(list: &AdminAllowList, addresses: &[&str]) -> Vec<bool> {
    let mut found = Vec::new();
    for address in addresses {
        found.push(list.allows(ip(address)).await);
    }
    found
}

on_both_databases! {
    /// Before any list: this machine alone. With one: that list alone.
    async fn until_a_list_is_configured_it_is_this_machine(fixture) {
        let some = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "203.0.113.9", "2001:db8::1"];
        let list = networks(&fixture.store, "");
        assert_eq!(admits(&list, &some).await, [true, true, true, true, false, false, false]);
        let configured = networks(&fixture.store, "10.0.0.0/8, 2001:db8::/32");
        assert_eq!(admits(&configured, &some).await, [false, false, false, false, true, false, true]);
        list.replace(Changer::Operator, 0, order("203.0.113.0/24")).await.unwrap();
        assert_eq!(admits(&list, &some).await, [false, false, false, false, false, true, false]);
        let both = networks(&fixture.store, "10.0.0.0/8, 2001:db8::/32");
        assert_eq!(admits(&both, &some).await, [false, false, false, false, true, true, true]);
        let back = list.replace(Changer::Operator, 1, Vec::new()).await.unwrap();
        assert_eq!(admits(&list, &some).await, [true, true, true, true, false, false, false]);
        assert!(back.items.iter().any(|entry| entry.source == NetworkSource::Default));
    }

    /// The operator's entry is always there and always seen.
    async fn the_operator_s_entry_is_permanent_and_visible(fixture) {
        let list = networks(&fixture.store, "192.0.2.7");
        for step in 0..2 {
            let shown = list.list().await.unwrap();
            let permanent: Vec<_> =
                shown.items.iter().filter(|entry| entry.source == NetworkSource::Permanent).collect();
            assert_eq!(permanent.len(), 2, "IPv4 and IPv6 of this machine");
            assert!(permanent.iter().all(|entry| entry.note.contains("operator")));
            list.replace(Changer::Operator, step, order("203.0.113.0/24")).await.unwrap();
        }
        let shown = list.list().await.unwrap();
        let sources: Vec<_> = shown.items.iter().map(|entry| entry.source).collect();
        assert_eq!(shown.revision, 2);
        assert_eq!(sources[2..], [NetworkSource::Configuration, NetworkSource::Stored]);
    }

    /// An admin cannot leave themselves outside; the operator can, for the operator's way stays.
    async fn nobody_locks_themselves_out(fixture) {
        let list = networks(&fixture.store, "");
        let me = Changer::At(ip("203.0.113.9"));
        let refused = list.replace(me, 0, order("198.51.100.0/24")).await.unwrap_err();
        assert!(matches!(&refused, Fault::Conflict(text) if text.contains("would lock you out")), "{refused:?}");
        let refused = list.replace(me, 0, Vec::new()).await.unwrap_err();
        assert!(matches!(refused, Fault::Conflict(_)), "an empty list is this machine alone: {refused:?}");
        assert!(list.allows(ip("127.0.0.1")).await, "nothing was changed");
        list.replace(me, 0, order("198.51.100.0/24, 203.0.113.9")).await.unwrap();
        assert_eq!(admits(&list, &["203.0.113.9", "203.0.113.8"]).await, [true, false]);
        list.replace(Changer::At(ip("::ffff:203.0.113.9")), 1, order("203.0.113.0/24")).await.unwrap();
        list.replace(Changer::Operator, 2, order("198.51.100.0/24")).await.unwrap();
        assert!(!list.allows(ip("203.0.113.9")).await);
    }

    /// Of two editors the second is told.
    async fn two_editors_do_not_overwrite_each_other(fixture) {
        let (one, other) = (networks(&fixture.store, ""), networks(&fixture.store, ""));
        one.replace(Changer::Operator, 0, order("203.0.113.0/24")).await.unwrap();
        let late = other.replace(Changer::Operator, 0, order("198.51.100.0/24")).await.unwrap_err();
        assert!(matches!(&late, Fault::Conflict(text) if text.contains("somebody else")), "{late:?}");
        let shown = other.list().await.unwrap();
        assert_eq!(shown.revision, 1);
        other.replace(Changer::Operator, shown.revision, order("198.51.100.0/24")).await.unwrap();
        assert!(other.allows(ip("198.51.100.1")).await);
    }

    /// Another node's change counts when what is known here has grown old, not later.
    async fn a_change_reaches_other_nodes(fixture) {
        let here = networks(&fixture.store, "");
        let config = NetworksConfig { configured: Vec::new(), stored_max: 3, refresh: Duration::ZERO };
        let there = AdminAllowList::new(fixture.store.clone(), config);
        assert!(!there.allows(ip("203.0.113.9")).await);
        here.replace(Changer::Operator, 0, order("203.0.113.0/24")).await.unwrap();
        assert!(there.allows(ip("203.0.113.9")).await);
        assert!(!there.allows(ip("127.0.0.1")).await);
    }

    /// Bounds and forms.
    async fn a_list_that_cannot_be_is_refused(fixture) {
        let list = networks(&fixture.store, "");
        let many = list.replace(Changer::Operator, 0, order("10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4")).await;
        assert!(matches!(&many, Err(Fault::Invalid { pointer, .. }) if *pointer == "/networks"), "{many:?}");
        let twice = list.replace(Changer::Operator, 0, order("10.0.0.1, ::ffff:10.0.0.1")).await;
        assert!(matches!(&twice, Err(Fault::Invalid { .. })), "{twice:?}");
        let noted = vec![NetworkOrder { network: "10.0.0.1".parse().unwrap(), note: "x".repeat(201) }];
        assert!(matches!(list.replace(Changer::Operator, 0, noted).await, Err(Fault::Invalid { .. })));
    }

    /// What the store does not say is not guessed.
    async fn without_the_store_nobody_new_is_admitted(fixture) {
        fixture.execute("DROP TABLE admin_networks").await;
        assert!(!networks(&fixture.store, "").allows(ip("127.0.0.1")).await);
    }
}

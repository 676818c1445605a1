//! The audit log: complete, in one order, without secrets, and closed to everybody who would change it.

use std::net::IpAddr;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use serde_json::json;
use switchyard::services::audit::{
    Actor, ActorFilter, Asked, Audit, AuditLog, AuditQuery, Change, Outcome, Phase, csv_head, csv_line,
    ndjson_line,
};
use switchyard::services::caller::{Caller, Role};
use switchyard::services::fault::Fault;
use switchyard::services::page::Page;
use switchyard::store::{NewAdmin, Store};
use switchyard_actors::model::AdminId;
use uuid::Uuid;

use crate::harness::store::Fixture;

fn log(fixture: &Fixture, store: &Store) -> AuditLog {
    AuditLog::new(store.clone(), fixture.ids.clone(), 4_096)
}

fn asked(caller: Caller, action: &str, target: &str) -> Asked {
    Asked {
        caller,
        address: IpAddr::from([203, 0, 113, 9]),
        request_id: "r-1".to_owned(),
        action: action.to_owned(),
        target: Some(target.to_owned()),
    }
}

async fn order(log: &AuditLog, caller: Caller, action: &str, target: &str, change: Change) {
    let open = log.asked(asked(caller, action, target)).await.unwrap();
    log.ended(open, Outcome::Done(200), change).await.unwrap();
}

fn planted() -> Change {
    Change {
        target: None,
        before: Some(json!({ "state": "active", "password": "planted-before" })),
        after: Some(json!({ "state": "suspended", "token": "planted-after", "count": 3 })),
    }
}

on_both_databases! {
    /// Two entries for an order, one chain for all, and of a secret no more than its hash.
    async fn an_order_stands_in_the_log_twice_and_without_its_secrets(fixture) {
        let admin = AdminId::from_uuid(Uuid::from_u128(7));
        let new = NewAdmin {
            id: admin,
            email: "ada@example.org".to_owned(),
            password: "$argon2id$x".to_owned(),
            role: "support".to_owned(),
        };
        fixture.store.add_admin(new).await.unwrap();
        let log = log(&fixture, &fixture.store);
        order(&log, Caller::Admin(admin, Role::Support), "suspend_user", "u-1", planted()).await;
        let open = log.asked(asked(Caller::Operator, "restart_actor", "pairs/1")).await.unwrap();
        log.ended(open, Outcome::Failed("conflict".to_owned()), Change::default()).await.unwrap();

        let page = log.entries(&AuditQuery::default(), Page::default()).await.unwrap();
        let phases: Vec<_> = page.items.iter().map(|entry| (entry.seq, entry.phase)).collect();
        assert_eq!(phases, [(4, Phase::Failed), (3, Phase::Asked), (2, Phase::Done), (1, Phase::Asked)]);
        let done = &page.items[2];
        assert_eq!(done.order, page.items[3].order);
        assert_eq!(done.actor, Actor::Admin { id: admin.as_uuid(), email: "ada@example.org".to_owned() });
        assert_eq!((done.address.as_str(), done.request_id.as_str()), ("203.0.113.9", "r-1"));
        assert_eq!((done.action.as_str(), done.target.as_deref()), ("suspend_user", Some("u-1")));
        assert_eq!((done.outcome.as_deref(), page.items[0].outcome.as_deref()), (Some("200"), Some("conflict")));
        assert_eq!(done.before.as_ref().unwrap()["state"], "active");
        assert_eq!(done.after.as_ref().unwrap()["count"], 3);
        let hashed = done.after.as_ref().unwrap()["token"].as_str().unwrap();
        assert!(hashed.starts_with("hmac-sha256:"), "{hashed}");
        let text = serde_json::to_string(&page.items).unwrap();
        assert!(!text.contains("planted"), "{text}");
        assert_eq!(log.verify().await.unwrap(), 4);
    }

    /// Neither UPDATE nor DELETE, nor what takes rows away by other words; a break of the chain is found and named.
    async fn no_statement_changes_an_entry(fixture) {
        let log = log(&fixture, &fixture.store);
        for number in 0..3 {
            order(&log, Caller::Operator, "restart_actor", &number.to_string(), Change::default()).await;
        }
        let raw = fixture.raw().await;
        let columns = "seq, order_id, at, phase, actor_kind, actor_id, actor_name, address, request_id, action, target, \
                       \"before\", \"after\", outcome, hash";
        let mut attempts = vec![
            "UPDATE audit_log SET action = 'x'".to_owned(),
            "UPDATE audit_log SET hash = 'x' WHERE seq = 2".to_owned(),
            "DELETE FROM audit_log".to_owned(),
            "DELETE FROM audit_log WHERE seq = 6".to_owned(),
        ];
        match raw.get_database_backend() {
            sea_orm::DbBackend::Postgres => {
                attempts.push("TRUNCATE audit_log".to_owned());
                attempts.push(format!(
                    "INSERT INTO audit_log SELECT {columns} FROM audit_log WHERE seq = 1 \
                     ON CONFLICT (seq) DO UPDATE SET action = 'x'"
                ));
            }
            _ => attempts.push(format!(
                "REPLACE INTO audit_log ({columns}) SELECT {columns} FROM audit_log WHERE seq = 1"
            )),
        }
        for sql in &attempts {
            let error = raw.execute_unprepared(sql).await.unwrap_err().to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
        raw.close().await.unwrap();
        assert_eq!(log.verify().await.unwrap(), 6);

        // Whoever may change the schema can take the triggers away; the chain shows what they did then.
        let postgres = fixture.store.group_stats().is_none();
        let drop = |name: &str| match postgres {
            true => format!("DROP TRIGGER {name} ON audit_log"),
            false => format!("DROP TRIGGER {name}"),
        };
        let (update, delete) = match postgres {
            true => ("audit_log_no_change", "audit_log_no_truncate"),
            false => ("audit_log_no_update", "audit_log_no_delete"),
        };
        fixture.execute(&drop(update)).await;
        fixture.execute(&drop(delete)).await;
        fixture.execute("DELETE FROM audit_log WHERE seq = 6").await;
        let cut = log.verify().await.unwrap_err();
        assert!(matches!(&cut, Fault::Conflict(text) if text.contains("entry 6 is missing")), "{cut:?}");
        fixture.execute("UPDATE audit_log SET action = 'x' WHERE seq = 3").await;
        let changed = log.verify().await.unwrap_err();
        assert!(matches!(&changed, Fault::Conflict(text) if text.contains("entry 3 was changed")), "{changed:?}");
        fixture.execute("DELETE FROM audit_log WHERE seq = 2").await;
        let gone = log.verify().await.unwrap_err();
        assert!(matches!(&gone, Fault::Conflict(text) if text.contains("entry 2 is missing")), "{gone:?}");
    }

    /// Filters and pages answer the same entries however they are cut.
    async fn entries_are_found_by_actor_action_target_and_time(fixture) {
        let log = log(&fixture, &fixture.store);
        let user = switchyard_actors::model::UserId::from_uuid(Uuid::from_u128(9));
        let start = fixture.clock.millis();
        for number in 0..5 {
            order(&log, Caller::Operator, "restart_actor", &number.to_string(), Change::default()).await;
            fixture.clock.advance(std::time::Duration::from_secs(10));
        }
        order(&log, Caller::User(user), "change_password", "me", Change::default()).await;
        let count = |query: AuditQuery| {
            let log = &log;
            async move { log.entries(&query, Page::default()).await.unwrap().items.len() }
        };
        let at = |seconds: i64| chrono::DateTime::from_timestamp_millis(start + seconds * 1_000);
        assert_eq!(count(AuditQuery::default()).await, 12);
        assert_eq!(count(AuditQuery { actor: Some(ActorFilter::Operator), ..AuditQuery::default() }).await, 10);
        let of_user = ActorFilter::Id(user.as_uuid());
        assert_eq!(count(AuditQuery { actor: Some(of_user), ..AuditQuery::default() }).await, 2);
        assert_eq!(count(AuditQuery { action: Some("change_password".into()), ..AuditQuery::default() }).await, 2);
        assert_eq!(count(AuditQuery { target: Some("3".into()), ..AuditQuery::default() }).await, 2);
        assert_eq!(count(AuditQuery { from: at(20), to: at(40), ..AuditQuery::default() }).await, 4);

        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = log.entries(&AuditQuery::default(), Page { limit: 5, cursor }).await.unwrap();
            seen.extend(page.items.iter().map(|entry| entry.seq));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=12).rev().collect::<Vec<_>>());
    }

    /// Many at once, on two nodes where the database allows it: no number twice, none left out, one chain.
    async fn entries_of_all_nodes_are_one_chain(fixture) {
        let other = match fixture.store.group_stats() {
            None => fixture.open_as(2).await,
            Some(_) => fixture.store.clone(),
        };
        let logs = [Arc::new(log(&fixture, &fixture.store)), Arc::new(log(&fixture, &other))];
        let orders = (0..20_usize).map(|number| {
            let log = Arc::clone(&logs[number % 2]);
            tokio::spawn(async move {
                order(&log, Caller::Operator, "restart_actor", &number.to_string(), Change::default()).await;
            })
        });
        for done in futures_util::future::join_all(orders).await {
            done.unwrap();
        }
        assert_eq!(logs[0].verify().await.unwrap(), 40);
        let page = logs[1].entries(&AuditQuery::default(), Page::default()).await.unwrap();
        assert_eq!(page.items.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=40).rev().collect::<Vec<_>>());
    }

    /// What cannot be put on record is refused.
    async fn without_its_entry_nothing_is_done(fixture) {
        let log = log(&fixture, &fixture.store);
        fixture.execute("ALTER TABLE audit_head RENAME TO audit_head_gone").await;
        let refused = log.asked(asked(Caller::Operator, "restart_actor", "x")).await.unwrap_err();
        assert!(matches!(refused, Fault::Unavailable(_)), "{refused:?}");
    }

    /// NDJSON and CSV say the same as the API.
    async fn an_export_has_every_field(fixture) {
        let log = log(&fixture, &fixture.store);
        order(&log, Caller::Operator, "restart_actor", "a,\"b\"", planted()).await;
        let page = log.entries(&AuditQuery::default(), Page::default()).await.unwrap();
        let line = ndjson_line(&page.items[0]);
        assert!(line.ends_with("}\n") && !line.trim_end().contains('\n'));
        let back: switchyard::services::audit::AuditEntry = serde_json::from_str(&line).unwrap();
        assert_eq!(back, page.items[0]);
        let csv = format!("{}{}", csv_head(), csv_line(&page.items[0]));
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert_eq!((lines.len(), lines[2]), (3, ""));
        assert!(lines[0].starts_with("seq,order,at,phase") && lines[0].ends_with(",outcome,hash"));
        assert!(lines[1].contains("\"a,\"\"b\"\"\"") && lines[1].ends_with(&page.items[0].hash), "{}", lines[1]);
    }
}

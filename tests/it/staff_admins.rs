//! Admins and their sign-ins in the store: the last owner, refresh tokens that count once.

use std::time::Duration;

use switchyard::store::{AdminChange, NewAdmin, NewAdminSession, Refreshed, Store};
use switchyard_actors::model::{AdminId, LoginSessionId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

const LIFE: Duration = Duration::from_secs(3_600);

fn admin_id(number: u128) -> AdminId {
    AdminId::from_uuid(Uuid::from_u128(number))
}

fn session_id(number: u128) -> LoginSessionId {
    LoginSessionId::from_uuid(Uuid::from_u128(number))
}

async fn admin(store: &Store, number: u128, role: &str) -> AdminId {
    let new = NewAdmin {
        id: admin_id(number),
        email: format!("a{number}@example.org"),
        password: "$one".to_owned(),
        role: role.to_owned(),
    };
    store.add_admin(new).await.unwrap();
    admin_id(number)
}

async fn sign_in(store: &Store, admin: AdminId, number: u128, password: &str) -> bool {
    let new = NewAdminSession {
        id: session_id(number),
        admin,
        token: vec![1],
        address: "203.0.113.9".to_owned(),
        life: LIFE,
        password: password.to_owned(),
    };
    store.open_admin_session(new).await.unwrap()
}

on_both_databases! {
    /// Whatever is taken from the last active owner, they stay one.
    async fn the_last_owner_stays(fixture) {
        let (first, second) = (admin(&fixture.store, 1, "owner").await, admin(&fixture.store, 2, "support").await);
        let demote = || AdminChange { role: Some("support".to_owned()), ..AdminChange::default() };
        let disable = || AdminChange { active: Some(false), ..AdminChange::default() };
        for change in [demote(), disable()] {
            let refused = fixture.store.change_admin(first, change).await.unwrap_err();
            assert!(matches!(&refused, StoreError::Conflict(text) if text.contains("last active owner")), "{refused:?}");
        }
        let promote = AdminChange { role: Some("owner".to_owned()), ..AdminChange::default() };
        fixture.store.change_admin(second, promote).await.unwrap();
        let (one, other) = tokio::join!(
            fixture.store.change_admin(first, disable()),
            fixture.store.change_admin(second, demote()),
        );
        assert!(one.is_ok() != other.is_ok(), "of two at once one is refused: {one:?} {other:?}");
        let twin = NewAdmin {
            id: admin_id(3),
            email: "a1@example.org".to_owned(),
            password: String::new(),
            role: "owner".to_owned(),
        };
        assert!(matches!(fixture.store.add_admin(twin).await, Err(StoreError::Conflict(_))));
    }

    /// A refresh token counts once; a second use ends the sign-in for both who have it.
    async fn a_refresh_token_used_twice_ends_the_sign_in(fixture) {
        let id = admin(&fixture.store, 1, "owner").await;
        assert!(sign_in(&fixture.store, id, 1, "$one").await);
        let refresh = |token: u8, next: u8| {
            fixture.store.refresh_admin_session(session_id(1), vec![token], vec![next], LIFE)
        };
        assert_eq!(refresh(1, 2).await.unwrap(), Refreshed::Renewed(id));
        assert!(fixture.store.admin_of_session(session_id(1)).await.unwrap().is_some());
        assert_eq!(refresh(1, 3).await.unwrap(), Refreshed::Reused(id));
        assert!(fixture.store.admin_of_session(session_id(1)).await.unwrap().is_none());
        assert_eq!(refresh(2, 3).await.unwrap(), Refreshed::Unknown, "the newer one is worth nothing either");
        assert!(sign_in(&fixture.store, id, 2, "$one").await);
        let twice = |next: u8| fixture.store.refresh_admin_session(session_id(2), vec![1], vec![next], LIFE);
        let (one, other) = tokio::join!(twice(4), twice(5));
        let renewed = [one.unwrap(), other.unwrap()].iter().filter(|x| **x == Refreshed::Renewed(id)).count();
        assert_eq!(renewed, 1, "two at once with one token");
    }

    /// Sign-ins end with time, with the password, with the admin.
    async fn a_sign_in_ends_with_what_it_rests_on(fixture) {
        let id = admin(&fixture.store, 1, "owner").await;
        let other = admin(&fixture.store, 2, "owner").await;
        let goes_on = |number| {
            let store = fixture.store.clone();
            async move { store.admin_of_session(session_id(number)).await.unwrap().is_some() }
        };
        assert!(!sign_in(&fixture.store, id, 1, "$other").await, "the password was changed meanwhile");
        assert!(sign_in(&fixture.store, id, 2, "$one").await && goes_on(2).await);
        fixture.clock.advance(LIFE);
        assert!(!goes_on(2).await);
        assert!(sign_in(&fixture.store, id, 3, "$one").await && goes_on(3).await);
        fixture.store.end_admin_session(session_id(3)).await.unwrap();
        assert!(!goes_on(3).await);
        assert!(sign_in(&fixture.store, id, 4, "$one").await);
        let change = AdminChange { password: Some("$two".to_owned()), ..AdminChange::default() };
        fixture.store.change_admin(id, change).await.unwrap();
        assert!(!goes_on(4).await);
        assert!(sign_in(&fixture.store, other, 5, "$one").await && goes_on(5).await);
        let off = AdminChange { active: Some(false), ..AdminChange::default() };
        fixture.store.change_admin(other, off).await.unwrap();
        assert!(!goes_on(5).await && !sign_in(&fixture.store, other, 6, "$one").await);
    }

    /// A one-time password is taken once, and asked for only after it was confirmed.
    async fn a_one_time_password_is_taken_once(fixture) {
        let id = admin(&fixture.store, 1, "owner").await;
        assert!(!fixture.store.take_admin_totp(id, 5, true).await.unwrap(), "there is none");
        fixture.store.offer_admin_totp(id, vec![7]).await.unwrap();
        assert!(fixture.store.admin(id).await.unwrap().unwrap().totp_since.is_none());
        assert!(fixture.store.take_admin_totp(id, 5, true).await.unwrap());
        assert!(fixture.store.admin(id).await.unwrap().unwrap().totp_since.is_some());
        assert!(!fixture.store.take_admin_totp(id, 5, false).await.unwrap(), "the same step again");
        assert!(fixture.store.take_admin_totp(id, 6, false).await.unwrap());
        assert!(matches!(fixture.store.offer_admin_totp(id, vec![8]).await, Err(StoreError::Conflict(_))));
    }
}

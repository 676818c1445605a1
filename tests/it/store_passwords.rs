//! What was found out about a password by a slow hash counts only while the password is the same; what a mailed token resets.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use secrecy::{ExposeSecret, SecretString};
use switchyard::store::Store;
use switchyard::store::identity::{Device, NewPerson, NewSession, Profile};
use switchyard_actors::model::{LoginSessionId, UserId};

use crate::harness::store::Fixture;

const TAG: [u8; 32] = [7; 32];

async fn registered(world: &Fixture) -> UserId {
    let id = UserId::from_uuid(world.ids.uuid());
    let profile = Profile { email: "ann@example.org".to_owned(), name: None, locale: None, time_zone: None };
    let person = NewPerson { id, email_tag: [1; 32], profile, password: SecretString::from("first") };
    assert!(world.store.register_person(person).await.unwrap());
    id
}

async fn password(store: &Store, user: UserId) -> (String, Option<i64>) {
    let person = store.person(user).await.unwrap();
    (person.password.unwrap().expose_secret().to_owned(), person.password_at)
}

async fn signs_in(world: &Fixture, user: UserId, password_at: Option<i64>) -> bool {
    let id = LoginSessionId::from_uuid(world.ids.uuid());
    let device = Device { address: "127.0.0.1".to_owned(), agent: None };
    let mut tag = [0; 32];
    tag[..16].copy_from_slice(id.as_uuid().as_bytes());
    let new = NewSession { id, user, tag, device, expires_at: i64::MAX, keep: 9, password_at };
    world.store.open_session(new).await.unwrap()
}

on_both_databases! {
    /// The clock stands still in between: two passwords have different times all the same.
    async fn what_was_compared_with_an_earlier_password_counts_no_more(world) {
        let (store, user) = (&world.store, registered(&world).await);
        let (_, first) = password(store, user).await;
        assert!(signs_in(&world, user, first).await);
        let ends = Some((None, "changed"));
        assert!(store.set_password(user, first, &SecretString::from("second"), ends).await.unwrap());
        let (now, second) = password(store, user).await;
        assert_eq!((now.as_str(), second > first), ("second", true));
        assert!(!store.set_password(user, first, &SecretString::from("third"), ends).await.unwrap());
        assert!(!store.set_password(user, first, &SecretString::from("rehash"), None).await.unwrap());
        assert_eq!(password(store, user).await, ("second".to_owned(), second));
        assert!(!signs_in(&world, user, first).await, "the password that was compared is another");
        assert!(signs_in(&world, user, second).await);
        assert!(store.set_password(user, second, &SecretString::from("rehash"), None).await.unwrap());
        assert_eq!(password(store, user).await, ("rehash".to_owned(), second), "the same password");
        store.begin_erasure(user).await.unwrap();
        assert!(!signs_in(&world, user, second).await, "nobody comes in who is going");
    }

    /// Somebody may have registered with an address of another: its owner gets everything by the first reset.
    async fn the_first_reset_shows_whose_the_address_is(world) {
        let (store, user) = (&world.store, registered(&world).await);
        for (round, left) in [false, true].into_iter().enumerate() {
            assert!(store.begin_totp(user, &secrecy::SecretSlice::from(vec![1; 20])).await.unwrap());
            assert!(store.confirm_totp(user, 1, vec![[3; 32]]).await.unwrap());
            world.clock.advance(std::time::Duration::from_secs(3_600));
            assert!(store.add_reset(user, TAG, i64::MAX, 0).await.unwrap());
            let new = SecretString::from(format!("reset {round}"));
            assert!(store.reset_password(user, TAG, &new).await.unwrap());
            assert!(!store.reset_password(user, TAG, &new).await.unwrap(), "a token counts once");
            assert_eq!(store.person(user).await.unwrap().totp, left, "round {round}");
            assert_eq!(store.recovery_codes_left(user).await.unwrap(), u64::from(left));
        }
    }
}

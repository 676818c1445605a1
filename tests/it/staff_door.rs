//! The staff's door: sign-ins, their tokens, failures, one-time codes, and what ends them.

use std::time::Duration;

use chrono::DateTime;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use switchyard::crypto::{Audience, Totp};
use uuid::Uuid;

use crate::staff_support::{PASSWORD, StaffServer, tokens};

const OWNER: &str = "ada@example.org";
const ADMINS: &str = "/api/v1/admin/admins";

async fn refresh(server: &StaffServer, token: &Value) -> (u16, Value) {
    let request = server.anonymous(Method::POST, "/api/v1/admin/auth/refresh");
    let answer = request.json(&json!({ "refresh_token": token })).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn may(server: &StaffServer, tokens: &Value) -> (u16, Value) {
    let (status, body) = server.call(tokens, Method::GET, "/api/v1/admin/allowlist", None).await;
    (status, body["code"].clone())
}

on_both_databases! {
    /// In, on, around, and out.
    async fn the_life_of_a_sign_in(fixture) {
        let server = StaffServer::start(&fixture);
        server.admin(OWNER, "owner").await;
        let first = server.sign_in(" ADA@example.org ").await;
        assert_eq!(first["token_type"], "Bearer");
        assert_eq!(may(&server, &first).await.0, 200);
        fixture.clock.advance(Duration::from_secs(601));
        assert_eq!(may(&server, &first).await, (401, json!("token_expired")));
        let (status, second) = refresh(&server, &first["refresh_token"]).await;
        assert_eq!((status, &second["session"]), (200, &first["session"]));
        assert_eq!(may(&server, &second).await.0, 200);
        let logout = server.anonymous(Method::POST, "/api/v1/admin/auth/logout");
        let logout = logout.json(&json!({ "refresh_token": second["refresh_token"] })).send().await.unwrap();
        assert_eq!(logout.status().as_u16(), 204);
        assert_eq!(may(&server, &second).await, (401, json!("unauthorized")), "at once, not when the token expires");
        assert_eq!(refresh(&server, &second["refresh_token"]).await.0, 401);
        server.stop().await;
    }

    /// A stolen refresh token that is used after its owner ends the sign-in of both; so does the owner's after the thief's.
    async fn a_refresh_token_counts_once(fixture) {
        let server = StaffServer::start(&fixture);
        server.admin(OWNER, "owner").await;
        let first = server.sign_in(OWNER).await;
        let (_, second) = refresh(&server, &first["refresh_token"]).await;
        assert_eq!(refresh(&server, &first["refresh_token"]).await.0, 401);
        assert_eq!(refresh(&server, &second["refresh_token"]).await.0, 401);
        assert_eq!(may(&server, &second).await.0, 401);
        for wrong in ["swa_", "x", "swr_AAAA", PASSWORD] {
            assert_eq!(refresh(&server, &json!(wrong)).await.0, 401, "{wrong}");
        }
        let entries = server.operator(Method::GET, "/api/v1/admin/audit?action=refresh_admin").send().await.unwrap();
        let entries: Value = entries.json().await.unwrap();
        assert_eq!(entries["items"][0]["outcome"], "token_reused");
        server.stop().await;
    }

    /// A sign-in lasts so long at most, however often it is renewed.
    async fn a_sign_in_does_not_last_for_ever(fixture) {
        let server = StaffServer::start(&fixture);
        server.admin(OWNER, "owner").await;
        let mut pair = server.sign_in(OWNER).await;
        for _ in 0..2 {
            fixture.clock.advance(Duration::from_secs(3_000));
            pair = refresh(&server, &pair["refresh_token"]).await.1;
        }
        fixture.clock.advance(Duration::from_secs(1_201));
        assert_eq!(refresh(&server, &pair["refresh_token"]).await.0, 401, "two hours are over");
        let idle = server.sign_in(OWNER).await;
        fixture.clock.advance(Duration::from_secs(3_601));
        assert_eq!(refresh(&server, &idle["refresh_token"]).await.0, 401, "an hour without use");
        server.stop().await;
    }

    /// Guesses are answered alike whether there is such an admin, and soon not at all; many at once count as many.
    async fn guesses_are_slowed_down(fixture) {
        let server = StaffServer::start(&fixture);
        server.admin(OWNER, "owner").await;
        let mut seen: Vec<Vec<u16>> = Vec::new();
        for email in [OWNER, "nobody@example.org"] {
            let guess = json!({ "email": email, "password": "wrong password" });
            let guesses = (0..12).map(|_| server.login(&guess));
            let answers = futures_util::future::join_all(guesses).await;
            let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
            statuses.sort_unstable();
            seen.push(statuses);
            let waits = answers.iter().find(|answer| answer.status().as_u16() == 429).unwrap();
            assert_eq!(waits.headers().get("retry-after").unwrap(), "1");
        }
        assert_eq!(seen[0], seen[1], "nobody learns who is an admin");
        assert_eq!(seen[0].iter().filter(|status| **status == 401).count(), 4, "{seen:?}");
        let right = json!({ "email": OWNER, "password": PASSWORD });
        assert_eq!(server.login(&right).await.status().as_u16(), 429, "not even the right one meanwhile");
        fixture.clock.advance(Duration::from_secs(2));
        assert_eq!(server.login(&right).await.status().as_u16(), 200);
        let failed = server.operator(Method::GET, "/api/v1/admin/audit?action=login_admin").send().await.unwrap();
        let failed: Value = failed.json().await.unwrap();
        let outcomes = failed["items"].as_array().unwrap();
        assert_eq!(outcomes.iter().filter(|entry| entry["outcome"] == "wrong_password").count(), 4);
        server.stop().await;
    }

    /// With an authenticator the password alone lets nobody in, and a code does so once.
    async fn one_time_codes_are_asked_for_and_taken_once(fixture) {
        let server = StaffServer::start(&fixture);
        let id = server.admin(OWNER, "owner").await;
        let pair = server.sign_in(OWNER).await;
        let (status, offer) = server.call(&pair, Method::POST, "/api/v1/admin/auth/totp/enroll", None).await;
        assert_eq!(status, 200, "{offer}");
        assert!(offer["url"].as_str().unwrap().starts_with("otpauth://totp/"));
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let bits: String = offer["secret"].as_str().unwrap().chars()
            .map(|letter| format!("{:05b}", alphabet.find(letter).unwrap())).collect();
        let secret: Vec<u8> = bits.as_bytes().chunks_exact(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect();
        let totp = Totp::new(&secret, "switchyard", OWNER).unwrap();
        let code = || totp.code(u64::try_from(fixture.clock.millis() / 1_000).unwrap());

        assert_eq!(server.login(&json!({ "email": OWNER, "password": PASSWORD })).await.status().as_u16(), 200, "not yet");
        let confirm = "/api/v1/admin/auth/totp/confirm";
        let wrong = server.call(&pair, Method::POST, confirm, Some(&json!({ "code": "000000" }))).await;
        assert_eq!((wrong.0, &wrong.1["code"]), (422, &json!("wrong_code")));
        let first = code();
        assert_eq!(server.call(&pair, Method::POST, confirm, Some(&json!({ "code": first }))).await.0, 204);
        let alone = server.login(&json!({ "email": OWNER, "password": PASSWORD })).await;
        assert_eq!(alone.status().as_u16(), 401);
        assert_eq!(alone.json::<Value>().await.unwrap()["errors"][0]["pointer"], "/code");
        let with = |code: String| json!({ "email": OWNER, "password": PASSWORD, "code": code });
        assert_eq!(server.login(&with(first)).await.status().as_u16(), 401, "it was taken already");
        fixture.clock.advance(Duration::from_secs(30));
        assert_eq!(server.login(&with(code())).await.status().as_u16(), 200);
        assert_eq!(server.login(&with(code())).await.status().as_u16(), 401, "once");
        let again = server.call(&pair, Method::POST, "/api/v1/admin/auth/totp/enroll", None).await;
        assert_eq!(again.0, 409);
        let lost = server.operator(Method::PATCH, &format!("{ADMINS}/{id}")).json(&json!({ "without_totp": true }));
        assert_eq!(lost.send().await.unwrap().status().as_u16(), 200);
        assert_eq!(may(&server, &pair).await.0, 401, "sign-ins end with it");
        server.sign_in(OWNER).await;
        server.stop().await;
    }

    /// Role and state are what the store says now, not what a token once said.
    async fn what_an_admin_may_is_read_at_every_request(fixture) {
        let server = StaffServer::start(&fixture);
        server.admin(OWNER, "owner").await;
        let id = server.admin("bob@example.org", "owner").await;
        let bob = server.sign_in("bob@example.org").await;
        let change = |body: Value| {
            let request = server.operator(Method::PATCH, &format!("{ADMINS}/{id}")).json(&body);
            async move { request.send().await.unwrap().status().as_u16() }
        };
        assert_eq!(server.call(&bob, Method::GET, ADMINS, None).await.0, 200);
        assert_eq!(change(json!({ "role": "content" })).await, 200);
        assert_eq!(server.call(&bob, Method::GET, ADMINS, None).await.0, 403);
        assert_eq!(change(json!({ "state": "disabled" })).await, 200);
        assert_eq!(may(&server, &bob).await.0, 401);
        let login = server.login(&json!({ "email": "bob@example.org", "password": PASSWORD })).await;
        assert_eq!(login.status().as_u16(), 401);
        assert_eq!(change(json!({ "state": "active", "password": "another password" })).await, 200);
        assert_eq!(may(&server, &bob).await.0, 401, "an ended sign-in stays ended");
        server.stop().await;
    }

    /// Tokens for others, of other keys, of nobody.
    async fn confused_tokens_open_nothing(fixture) {
        let server = StaffServer::start(&fixture);
        let id: Uuid = server.admin(OWNER, "owner").await.parse().unwrap();
        let other: Uuid = server.admin("bob@example.org", "support").await.parse().unwrap();
        let pair = server.sign_in(OWNER).await;
        let session: Uuid = pair["session"].as_str().unwrap().parse().unwrap();
        let now = DateTime::from_timestamp_millis(fixture.clock.millis()).unwrap();
        let foreign_key = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let issue = |key: &str, audience, subject: Uuid, session: Uuid| {
            let token = tokens(key, audience).issue(subject, session, Uuid::from_u128(1), now).unwrap();
            json!({ "access_token": token.expose_secret() })
        };
        let good = issue(&fixture.key, Audience::Admin, id, session);
        assert_eq!(may(&server, &good).await.0, 200, "the test's own forge works");
        for (what, forged) in [
            ("a user's audience", issue(&fixture.key, Audience::User, id, session)),
            ("another key", issue(foreign_key, Audience::Admin, id, session)),
            ("another admin's sign-in", issue(&fixture.key, Audience::Admin, other, session)),
            ("no sign-in", issue(&fixture.key, Audience::Admin, id, Uuid::from_u128(9))),
        ] {
            assert_eq!(may(&server, &forged).await, (401, json!("unauthorized")), "{what}");
        }
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30.";
        assert_eq!(may(&server, &json!({ "access_token": none })).await.0, 401);
        server.stop().await;
    }
}

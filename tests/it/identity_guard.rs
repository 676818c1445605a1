//! What guards sign-ins: guesses are slowed down, one-time codes count once, tokens that are not ours are nothing.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use switchyard::crypto::{AccessTokens, Audience, Keyring, Totp, Vault};
use switchyard_sandbox::SandboxConfig;
use uuid::Uuid;

use crate::harness::daemon::{Daemon, World, eventually};
use crate::harness::people::{Api, PASSWORD, answer};

const ANN: &str = "ann@example.org";

pub(crate) fn seconds() -> u64 {
    use switchyard_actors::ports::Clock;
    u64::try_from(switchyard::clock::SystemClock.now().timestamp()).unwrap()
}

/// The bytes of a secret in base 32 (RFC 4648).
pub(crate) fn base32(text: &str) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::new());
    for letter in text.bytes() {
        let value = letters.iter().position(|found| *found == letter).expect("base 32");
        held = (held << 5) | u32::try_from(value).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).unwrap());
        }
    }
    bytes
}

daemon_on_both_databases! {
    async fn who_is_suspended_sees_and_does_not_change(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let (ann, ben) = (api.new_user(ANN).await, api.new_user("ben@example.org").await);
        let order = json!({ "name": "a program", "scopes": ["pairs:read", "pairs:write"] });
        let (status, made) = answer(api.user(&ann, Method::POST, "/me/api-keys").json(&order)).await;
        assert_eq!(status, 201, "{made}");
        let key = made["secret"].as_str().unwrap().to_owned();
        let me = answer(api.user(&ann, Method::GET, "/me")).await.1;
        let suspend = format!("/admin/users/{}/suspend", me["id"].as_str().unwrap());
        let suspend = api.operator(Method::POST, &suspend).json(&json!({ "reason": "spam" }));
        let (status, suspended) = answer(suspend).await;
        assert_eq!((status, &suspended["state"]), (200, &json!("suspended")), "{suspended}");

        let (status, me) = answer(api.user(&ann, Method::GET, "/me")).await;
        assert_eq!((status, &me["state"]), (200, &json!("suspended")), "{me}");
        assert_eq!(answer(api.key(&key, Method::GET, "/pairs")).await.0, 200);
        let (status, problem) = answer(api.user(&ann, Method::GET, "/events")).await;
        assert_eq!((status, &problem["code"]), (403, &json!("suspended")), "no stream that ends at once: {problem}");
        let misplaced = api.anonymous(Method::GET, "/me").bearer_auth(&key);
        for request in [misplaced.try_clone().unwrap(), misplaced.header("x-forwarded-for", "203.0.113.9")] {
            let (status, problem) = answer(request).await;
            let said = problem["detail"].as_str().unwrap_or_default();
            assert!(status == 401 && said.contains("X-Api-Key"), "{problem}");
        }
        let changes = (0..8).map(|n| answer(api.user(&ben, Method::PATCH, "/me").json(&json!({ "name": format!("Ben {n}") }))));
        for (status, body) in futures_util::future::join_all(changes).await {
            assert_eq!(status, 200, "nobody set a condition: {body}");
        }
        for (field, value, words) in [("time_zone", "Nowhere/Here", "IANA"), ("name", "a\nb", "control"), ("name", "a\u{0}", "NUL")] {
            let (status, problem) = answer(api.user(&ben, Method::PATCH, "/me").json(&json!({ field: value }))).await;
            let said = problem["errors"][0]["detail"].as_str().unwrap_or_default();
            assert!(status == 400 && said.contains(words), "{problem}");
        }
        let late = json!({ "name": "a program", "scopes": ["pairs:read"], "expires_at": "+262142-12-31T23:59:59Z" });
        let (status, problem) = answer(api.user(&ben, Method::POST, "/me/api-keys").json(&late)).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!("/expires_at")), "{problem}");
        for refused in [
            api.user(&ann, Method::POST, "/pairs"), api.user(&ann, Method::POST, "/accounts"),
            api.key(&key, Method::POST, "/pairs"),
        ] {
            let (status, problem) = answer(refused.json(&json!({}))).await;
            assert_eq!((status, &problem["code"]), (403, &json!("suspended")), "{problem}");
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("spam")), "{problem}");
        }
        let again = api.login(ANN).await;
        assert_eq!(api.lets_in(&again).await, 200, "they may come in and look");
        assert_eq!(answer(api.user(&ben, Method::POST, "/pairs").json(&json!({}))).await.0, 400, "nobody else");
        assert_eq!(answer(api.user(&ann, Method::GET, "/me/export")).await.0, 200, "their data are theirs");
        assert_eq!(answer(api.user(&ann, Method::DELETE, &format!("/me/sessions/{}", again.session))).await.0, 204);
    }

    async fn guesses_are_slowed_down_and_nobody_is_locked_out_from_elsewhere(data) {
        let world = World::start(SandboxConfig::default()).await;
        let env = [("SWITCHYARD_AUTH__DELAY_FIRST", "10m"), ("SWITCHYARD_AUTH__FAILURES_FREE_ADDRESS", "100")];
        let daemon = Daemon::start_with(&world, &data, &env).await;
        let (api, elsewhere) = (Api::of(&data), "127.0.0.2".parse().unwrap());
        api.register(ANN).await;
        api.login(ANN).await;
        // Many at once count as many: five are free, the sixth is answered and starts the delay.
        let guesses = (0..20).map(|n| {
            let api = api.clone();
            tokio::spawn(async move { api.try_login(ANN, &format!("guess number {n}")).await.0 })
        });
        let mut answers = Vec::new();
        for guess in guesses.collect::<Vec<_>>() {
            answers.push(guess.await.unwrap());
        }
        answers.sort_unstable();
        assert_eq!(answers.iter().filter(|status| **status == 401).count(), 6, "{answers:?}");
        assert_eq!(answers.iter().filter(|status| **status == 429).count(), 14, "{answers:?}");
        let slow = api.anonymous(Method::POST, "/auth/login").json(&json!({ "email": ANN, "password": PASSWORD }));
        let slow = slow.send().await.unwrap();
        let wait: u64 = slow.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert_eq!(slow.status().as_u16(), 429, "also with the right password");
        assert!((500..=600).contains(&wait), "{wait}");
        assert_eq!(api.try_login("nobody@example.org", PASSWORD).await.0, 401, "other accounts are not slowed down");
        // From another address the owner comes in, also after kill -9.
        daemon.kill();
        let _daemon = Daemon::start_with(&world, &data, &env).await;
        let (api, other) = (Api::of(&data), Api::from_address(&data, Some(elsewhere)));
        assert_eq!(api.try_login(ANN, PASSWORD).await.0, 429, "a restart forgets nothing");
        assert_eq!(other.try_login(ANN, PASSWORD).await.0, 200);
        // Somebody who is not there is guessed at no faster, and answered alike.
        let mut unknown = Vec::new();
        for _ in 0..8 {
            unknown.push(other.try_login("nobody@example.org", "some password").await.0);
        }
        assert_eq!(unknown, [401, 401, 401, 401, 401, 401, 429, 429]);
        assert!(!data.read_log().contains("guess number"), "a password is in the log");
    }

    async fn one_time_codes_count_once_and_recovery_codes_stand_in(data) {
        let world = World::start(SandboxConfig::default()).await;
        let env = [("SWITCHYARD_AUTH__FAILURES_FREE", "100")];
        let _daemon = Daemon::start_with(&world, &data, &env).await;
        let api = Api::of(&data);
        let ann = api.new_user(ANN).await;
        let post = |path: &'static str, body: Value| answer(api.user(&ann, Method::POST, path).json(&body));
        assert_eq!(post("/me/totp/confirm", json!({ "code": "123456" })).await.1["code"], "out_of_step");
        let (_, dropped) = post("/me/totp", json!({})).await;
        let (status, begun) = post("/me/totp", json!({})).await;
        assert_eq!(status, 200, "{begun}");
        assert_ne!(begun["secret"], dropped["secret"], "each beginning has its secret");
        assert!(begun["url"].as_str().unwrap().starts_with("otpauth://totp/switchyard"), "{begun}");
        assert_eq!(api.try_login(ANN, PASSWORD).await.0, 200, "it counts when it is confirmed");
        let totp = Totp::new(&base32(begun["secret"].as_str().unwrap()), "x", "y").unwrap();
        assert_eq!(post("/me/totp/confirm", json!({ "code": "000000" })).await.1["code"], "wrong_code");
        // A whole step before the next one, so that the clock does not step over it meanwhile.
        eventually("the beginning of a step", || async { (seconds() % 30 < 10).then_some(()) }).await;
        let code = totp.code(seconds());
        let (status, confirmed) = post("/me/totp/confirm", json!({ "code": code })).await;
        assert_eq!(status, 200, "{confirmed}");
        let recovery: Vec<String> = serde_json::from_value(confirmed["recovery_codes"].clone()).unwrap();
        assert_eq!(recovery.len(), 10);
        assert_eq!(post("/me/totp", json!({})).await.0, 409);

        let login = |code: Option<String>| {
            let mut body = json!({ "email": ANN, "password": PASSWORD });
            if let Some(code) = code {
                body["code"] = json!(code);
            }
            let api = api.clone();
            async move { api.post("/auth/login", &body).await }
        };
        let (status, problem) = login(None).await;
        assert_eq!((status, &problem["code"]), (401, &json!("second_factor_needed")));
        assert_eq!(login(Some(code.clone())).await.0, 401, "the code that confirmed was used");
        let next = totp.code(seconds() + 30);
        let race = tokio::join!(login(Some(next.clone())), login(Some(next.clone())), login(Some(next.clone())));
        let won = [race.0.0, race.1.0, race.2.0].into_iter().filter(|status| *status == 200).count();
        assert_eq!(won, 1, "a code counts once, also for many at once");
        assert_eq!(login(Some(next)).await.0, 401);
        assert_eq!(login(Some(recovery[0].to_uppercase())).await.0, 200);
        assert_eq!(login(Some(recovery[0].clone())).await.0, 401, "a recovery code counts once");
        let me = answer(api.user(&ann, Method::GET, "/me")).await.1;
        assert_eq!((&me["totp"], &me["recovery_codes_left"]), (&json!(true), &json!(9)));
        let end = |password: &str, code: &str| {
            post("/me/totp/disable", json!({ "password": password, "code": code }))
        };
        assert_eq!(end("not the password", &recovery[1]).await.1["code"], "wrong_password");
        assert_eq!(end(PASSWORD, "000000").await.1["code"], "wrong_code");
        assert_eq!(end(PASSWORD, &recovery[1]).await.0, 204);
        assert_eq!(login(None).await.0, 200);
        for (place, content) in data.contents().await {
            for secret in [begun["secret"].as_str().unwrap(), recovery[2].as_str()] {
                let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "a secret lies in {place}");
            }
        }
    }

    async fn tokens_that_are_not_ours_are_nothing(data) {
        let world = World::start(SandboxConfig::default()).await;
        let env = [("SWITCHYARD_AUTH__ACCESS_LIFETIME", "2s")];
        let _daemon = Daemon::start_with(&world, &data, &env).await;
        let api = Api::of(&data);
        let ann = api.new_user(ANN).await;
        assert_eq!(api.lets_in(&ann).await, 200);
        let me = answer(api.user(&ann, Method::GET, "/me")).await.1;
        let user: Uuid = me["id"].as_str().unwrap().parse().unwrap();
        let session: Uuid = ann.session.parse().unwrap();
        // Right in everything but the key, or made for the staff.
        let now = {
            use switchyard_actors::ports::Clock;
            switchyard::clock::SystemClock.now()
        };
        let keyring = Keyring::parse("hKG6w0T3Jr7vJ1i0n8lS0c5m4yWm3Xq1kZl5r2t9uA0=", "a test").unwrap();
        let foreign = Arc::new(Vault::new(keyring, 1));
        for audience in [Audience::User, Audience::Admin] {
            let made = AccessTokens::new(Arc::clone(&foreign), audience, "switchyard", Duration::from_secs(600));
            let token = made.issue(user, session, Uuid::nil(), now).unwrap();
            let request = api.anonymous(Method::GET, "/me").bearer_auth(token.expose_secret());
            assert_eq!(answer(request).await.0, 401);
        }
        let parts: Vec<&str> = ann.access.split('.').collect();
        let none = {
            use base64::Engine;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#)
        };
        let forged = [
            format!("{none}.{}.", parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}.{}", parts[0], parts[1], parts[0]),
            ann.refresh.clone(),
            "a.b.c".to_owned(),
            "..".to_owned(),
        ];
        for token in &forged {
            let request = api.anonymous(Method::GET, "/me").bearer_auth(token);
            let (status, problem) = answer(request).await;
            assert!([401, 403].contains(&status), "{token}: {status} {problem}");
        }
        // A user's token opens nothing of the staff.
        for path in ["/admin/supervision", "/admin/nowhere"] {
            let status = answer(api.user(&ann, Method::GET, path)).await.0;
            assert!([401, 403].contains(&status), "{path}: {status}");
        }
        eventually("the token's end", || async {
            let (status, problem) = answer(api.user(&ann, Method::GET, "/me")).await;
            (status == 401 && problem["code"] == "token_expired").then_some(())
        })
        .await;
        assert_eq!(api.refresh(&ann.refresh).await.0, 200);
    }
}

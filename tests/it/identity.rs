//! Users from outside: the whole life of a sign-in, refresh tokens, API keys, passwords.

use reqwest::Method;
use serde_json::{Value, json};
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, World};
use crate::harness::people::{Api, PASSWORD, answer, letter, letters, tokens};

const ANN: &str = "ann@example.org";
const BEN: &str = "ben@example.org";

daemon_on_both_databases! {
    async fn a_user_comes_in_changes_things_and_leaves(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        for (body, pointer) in [
            (json!({ "email": ANN, "password": PASSWORD, "role": "owner" }), "/role"),
            (json!({ "email": ANN, "password": PASSWORD, "state": "active" }), "/state"),
            (json!({ "email": ANN, "password": PASSWORD, "id": "x" }), "/id"),
            (json!({ "email": ANN, "password": "short" }), "/password"),
            (json!({ "email": "nobody", "password": PASSWORD }), "/email"),
        ] {
            let (status, problem) = api.post("/auth/register", &body).await;
            assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!(pointer)), "{problem}");
        }
        api.register(ANN).await;
        letter(&data, ANN, "You have registered").await;
        let first = api.login("Ann@Example.ORG").await;
        api.register(ANN).await;
        letter(&data, ANN, "You have an account already").await;
        api.register(ANN).await;
        assert_eq!(api.try_login(ANN, "another password").await.0, 401, "the first password stays");

        let (status, plan) = answer(api.user(&first, Method::GET, "/me/plan")).await;
        assert_eq!((status, &plan["plan"]["name"]), (200, &json!("free")), "{plan}");
        let me = api.user(&first, Method::GET, "/me").send().await.unwrap();
        assert_eq!(me.headers()["etag"], "\"1\"");
        let me: Value = me.json().await.unwrap();
        assert_eq!((&me["email"], &me["totp"], &me["state"]), (&json!(ANN), &json!(false), &json!("active")));
        let change = |tag: &'static str, body: Value| {
            answer(api.user(&first, Method::PATCH, "/me").header("if-match", tag).json(&body))
        };
        let (status, me) = change("\"1\"", json!({ "name": "Ann", "time_zone": "Europe/London" })).await;
        assert_eq!((status, &me["name"], &me["version"]), (200, &json!("Ann"), &json!(2)), "{me}");
        let (status, problem) = change("\"1\"", json!({ "name": "Eve" })).await;
        assert_eq!((status, &problem["code"]), (412, &json!("precondition_failed")));
        let (status, me) = change("\"2\"", json!({ "name": null })).await;
        assert_eq!((status, &me["name"], &me["time_zone"]), (200, &Value::Null, &json!("Europe/London")));
        for odd in [json!({ "plan": "business" }), json!({ "email": BEN }), json!({ "version": 9 })] {
            assert_eq!(change("*", odd.clone()).await.0, 400, "{odd}");
        }

        let second = api.login(ANN).await;
        let list = answer(api.user(&second, Method::GET, "/me/sessions")).await.1;
        let present: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|row| &row["present"]).collect();
        assert_eq!(present, [&json!(true), &json!(false)], "{list}");
        assert_eq!(list["items"][0]["address"], "127.0.0.1");
        let ben = api.new_user(BEN).await;
        let of_ann = format!("/me/sessions/{}", first.session);
        assert_eq!(answer(api.user(&ben, Method::DELETE, &of_ann)).await.0, 404, "others' do not exist");
        assert_eq!(answer(api.user(&second, Method::DELETE, &of_ann)).await.0, 204);
        assert_eq!((api.lets_in(&first).await, api.lets_in(&second).await), (401, 200), "at once");
        assert_eq!(api.refresh(&first.refresh).await.0, 401);

        drop(daemon);
        let _again = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        assert_eq!(api.lets_in(&second).await, 200, "a restart ends no sign-in");
        let (status, _) = api.post("/auth/logout", &json!({ "refresh_token": second.refresh })).await;
        assert_eq!((status, api.lets_in(&second).await), (204, 401));
        assert_eq!(answer(api.operator(Method::GET, "/me")).await.0, 403, "the operator is nobody's profile");
        assert_eq!(answer(api.anonymous(Method::GET, "/me")).await.0, 401);
        let told = letters(&data).iter().filter(|text| text.contains("You have an account already")).count();
        assert_eq!(told, 1, "whoever registers often with an address of another fills no box");
    }

    async fn a_refresh_token_counts_once_and_a_copy_ends_the_sign_in(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let (ann, other) = (api.new_user(ANN).await, api.login(ANN).await);
        let (status, body) = api.refresh(&ann.refresh).await;
        assert_eq!(status, 200, "{body}");
        let renewed = tokens(&body);
        assert_eq!((&renewed.session, api.lets_in(&renewed).await), (&ann.session, 200));
        let (status, body) = api.refresh(&ann.refresh).await;
        assert_eq!((status, &body["code"]), (409, &json!("conflict")), "a moment later it may be a second window");
        assert_eq!(api.lets_in(&renewed).await, 200);
        for made_up in ["", "swr_AAAA", &ann.access, &format!("{}A", ann.refresh), &ann.refresh.replace("swr_", "swa_")] {
            assert!([400, 401].contains(&api.refresh(made_up).await.0), "{made_up}");
        }
        drop(daemon);
        let env = [("SWITCHYARD_AUTH__REFRESH_RACE", "1ms")];
        let _daemon = Daemon::start_with(&world, &data, &env).await;
        let api = Api::of(&data);
        assert_eq!(api.refresh(&ann.refresh).await.0, 401, "later somebody has a copy");
        assert_eq!((api.refresh(&renewed.refresh).await.0, api.lets_in(&renewed).await), (401, 401));
        letter(&data, ANN, "used twice").await;
        assert_eq!(api.lets_in(&other).await, 200, "other sign-ins stay");

        // Of many at once one gets the successor, and nobody else gets anything.
        let race = tokio::join!(
            api.refresh(&other.refresh), api.refresh(&other.refresh), api.refresh(&other.refresh),
            api.refresh(&other.refresh)
        );
        let won = [race.0.0, race.1.0, race.2.0, race.3.0].into_iter().filter(|status| *status == 200).count();
        assert_eq!(won, 1);
    }

    async fn an_api_key_does_what_its_scopes_say(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let (ann, ben) = (api.new_user(ANN).await, api.new_user(BEN).await);
        let make = |body: Value| answer(api.user(&ann, Method::POST, "/me/api-keys").json(&body));
        for odd in [
            json!({ "name": "x", "scopes": [] }),
            json!({ "name": "", "scopes": ["pairs:read"] }),
            json!({ "name": "x", "scopes": ["everything"] }),
            json!({ "name": "x", "scopes": ["pairs:read"], "expires_at": "2020-01-01T00:00:00Z" }),
            json!({ "name": "x", "scopes": ["pairs:read"], "user": "y" }),
        ] {
            assert_eq!(make(odd.clone()).await.0, 400, "{odd}");
        }
        let (status, made) = make(json!({ "name": "reader", "scopes": ["pairs:read"] })).await;
        assert_eq!(status, 201, "{made}");
        let (secret, id) = (made["secret"].as_str().unwrap(), made["key"]["id"].as_str().unwrap());
        assert!(secret.starts_with("swy_") && secret.starts_with(made["key"]["begins"].as_str().unwrap()));
        let (status, list) = answer(api.user(&ann, Method::GET, "/me/api-keys")).await;
        assert_eq!((status, &list["items"][0]["name"]), (200, &json!("reader")));
        assert!(!list.to_string().contains(secret), "it is shown once");

        assert_eq!(answer(api.key(secret, Method::GET, "/pairs")).await.0, 200);
        for (method, path) in [(Method::GET, "/accounts"), (Method::GET, "/me"), (Method::POST, "/pairs")] {
            let (status, problem) = answer(api.key(secret, method, path).json(&json!({}))).await;
            assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "{path}: {problem}");
        }
        for (method, path) in [
            (Method::GET, "/me/api-keys"), (Method::DELETE, "/me"), (Method::PUT, "/me/password"),
            (Method::POST, "/me/totp"), (Method::GET, "/me/export"), (Method::GET, "/me/sessions"),
        ] {
            assert_eq!(answer(api.key(secret, method, path).json(&json!({}))).await.0, 403, "{path}: no key opens this");
        }
        let wrong = [&secret[..secret.len() - 1], "swy_", "", "Bearer x"];
        for key in wrong {
            assert_eq!(answer(api.key(key, Method::GET, "/pairs")).await.0, 401, "{key}");
        }
        let both = api.key(secret, Method::GET, "/pairs").bearer_auth(&ann.access);
        assert_eq!(answer(both).await.0, 401, "one credential, not two");
        let path = format!("/me/api-keys/{id}");
        assert_eq!(answer(api.user(&ben, Method::DELETE, &path)).await.0, 404, "others' do not exist");
        assert_eq!(answer(api.user(&ann, Method::DELETE, &path)).await.0, 204);
        assert_eq!(answer(api.key(secret, Method::GET, "/pairs")).await.0, 401, "at once");
        let (status, kept) = make(json!({ "name": "profile", "scopes": ["profile:read"] })).await;
        assert_eq!(status, 201);
        let (status, me) = answer(api.key(kept["secret"].as_str().unwrap(), Method::GET, "/me")).await;
        assert_eq!((status, &me["email"]), (200, &json!(ANN)));
        for (place, content) in data.contents().await {
            let found = |needle: &str| content.windows(needle.len()).any(|window| window == needle.as_bytes());
            assert!(!found(secret) && !found(&ann.refresh) && !found(&ann.access), "a token lies in {place}");
            assert!(!found(PASSWORD) && !found("argon2id"), "a password lies in {place}");
            let mail = place.ends_with(".eml");
            assert!(mail || !found(ANN), "an address lies in {place}");
        }
    }

    async fn a_password_is_changed_and_reset(data) {
        let world = World::start(SandboxConfig::default()).await;
        let env = [("SWITCHYARD_AUTH__RESET_GAP", "1ms")];
        let _daemon = Daemon::start_with(&world, &data, &env).await;
        let api = Api::of(&data);
        let (ann, other) = (api.new_user(ANN).await, api.login(ANN).await);
        let change = |present: &str, new: &str| {
            answer(api.user(&ann, Method::PUT, "/me/password").json(&json!({ "present": present, "new": new })))
        };
        assert_eq!(change("not the password", "a better password").await.1["code"], "wrong_password");
        assert_eq!(change(PASSWORD, "short").await.0, 400);
        assert_eq!(change(PASSWORD, "a better password").await.0, 204);
        assert_eq!((api.lets_in(&ann).await, api.lets_in(&other).await), (200, 401), "the others end");
        assert_eq!(api.try_login(ANN, PASSWORD).await.0, 401);

        let order = json!({ "name": "x", "scopes": ["profile:read"] });
        let (_, key) = answer(api.user(&ann, Method::POST, "/me/api-keys").json(&order)).await;
        let key = key["secret"].as_str().unwrap();
        assert_eq!(api.key(key, Method::GET, "/me").send().await.unwrap().status(), 200);
        let forgot = |email: &'static str| {
            let api = api.clone();
            async move { api.post("/auth/password/forgot", &json!({ "email": email })).await }
        };
        let (known, unknown, odd) = (forgot(ANN).await, forgot("eve@example.org").await, forgot("odd").await);
        assert_eq!((known.0, &known.1), (202, &unknown.1), "both are answered alike");
        assert_eq!((odd.0, &odd.1), (202, &unknown.1));
        let text = letter(&data, ANN, "swp_").await;
        let at = text.find("swp_").unwrap();
        let token: String = text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
        assert!(letters(&data).iter().all(|text| !text.contains("eve@example.org")));
        let reset = |token: String, password: &'static str| {
            let api = api.clone();
            async move {
                api.post("/auth/password/reset", &json!({ "token": token, "password": password })).await.0
            }
        };
        assert_eq!(reset(format!("{token}A"), "the third password").await, 401);
        assert_eq!(reset(token.clone(), "short").await, 400, "and the token still counts");
        let race = tokio::join!(
            reset(token.clone(), "the third password"), reset(token.clone(), "the third password"),
            reset(token.clone(), "the third password")
        );
        let done = [race.0, race.1, race.2].into_iter().filter(|status| *status == 204).count();
        assert_eq!(done, 1, "a token counts once: {race:?}");
        assert_eq!(reset(token.clone(), "the fourth password").await, 401);
        assert_eq!(api.lets_in(&ann).await, 401, "all sign-ins end");
        assert_eq!(api.try_login(ANN, "a better password").await.0, 401);
        assert_eq!(api.try_login(ANN, "the third password").await.0, 200);
        letter(&data, ANN, "was changed").await;
        letter(&data, ANN, "was reset").await;
        assert_eq!(api.key(key, Method::GET, "/me").send().await.unwrap().status(), 401, "and the API keys");
        assert!(!data.read_log().contains(&token), "the token is in the log");
    }
}

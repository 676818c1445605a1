//! Rate limits and idempotency keys of a whole daemon, over HTTP: on both databases, over kill -9, over two daemons.

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use switchyard::crypto::SANDBOX_KEYRING;
use switchyard_sandbox::{SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, End, World, eventually};
use crate::harness::operator::{list, webhook};
use crate::harness::{people, postgres};

/// The API of one daemon, as the operator and as somebody unknown.
#[derive(Clone)]
struct Api {
    client: Client,
    base: String,
    token: String,
}

impl Api {
    fn of(data: &DataDir) -> Self {
        let file =
            |name: &str| std::fs::read_to_string(data.path().join(name)).expect("a file").trim().to_owned();
        let client = Client::builder().no_proxy().build().expect("a client");
        Self {
            client,
            base: format!("http://{}/api/v1", file("http-address")),
            token: file("operator-token"),
        }
    }

    /// Somebody with an API key that is nobody's.
    async fn guess(&self) -> Response {
        let asked = self.client.get(format!("{}/pairs", self.base)).header("x-api-key", "sk_guess");
        asked.send().await.expect("an answer")
    }

    /// Guesses until one is not listened to any more; how many were.
    async fn guess_all(&self, times: usize) -> usize {
        let guesses = (0..times).map(|_| async {
            let status = self.guess().await.status().as_u16();
            assert!(status == 401 || status == 429, "{status}");
            usize::from(status == 401)
        });
        futures_util::future::join_all(guesses).await.into_iter().sum()
    }

    /// Adds a pair with a key; none if the daemon went away.
    async fn add(&self, key: &str, order: &Value) -> Option<Response> {
        let asked =
            self.client.request(Method::POST, format!("{}/pairs", self.base)).bearer_auth(&self.token);
        asked.header("idempotency-key", key).json(order).send().await.ok()
    }
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map_or_else(String::new, |value| value.to_str().expect("a text").to_owned())
}

/// From a seeded source to a seeded webhook.
fn order(world: &World, index: usize) -> Value {
    let end = |end: &End| json!({ "account": end.account, "chat": end.chat });
    let source =
        world.pairs().into_iter().find(|pair| pair.source.platform == "discord").expect("a pair").source;
    json!({ "source": end(&source), "target": end(&webhook(world, index)) })
}

async fn webhooks(webhooks: u16) -> World {
    let shape = SeedShape { webhooks, ..SeedShape::default() };
    World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await
}

/// How many pairs there are to the target of an order.
async fn pairs_to(data: &DataDir, order: &Value) -> usize {
    let pairs = list(data, "pairs").await;
    pairs.iter().filter(|pair| pair["target"]["account"] == order["target"]["account"]).count()
}

const FEW: [(&str, &str); 2] =
    [("SWITCHYARD_LIMITS__OPEN_REQUESTS", "20"), ("SWITCHYARD_LIMITS__OPEN_WINDOW", "1h")];

/// A try may take three seconds, and a second more nobody else tries.
const QUICK: [(&str, &str); 3] = [
    ("SWITCHYARD_LIMITS__SOURCE_WAIT", "2s"),
    ("SWITCHYARD_HTTP__ANSWER_TIMEOUT", "3s"),
    ("SWITCHYARD_LIMITS__IDEMPOTENCY_LEASE", "4s"),
];

daemon_on_both_databases! {
    async fn who_guesses_is_limited_by_address_also_after_kill_9(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start_with(&world, &data, &FEW).await;
        let api = Api::of(&data);
        let first = api.guess().await;
        assert_eq!(first.status().as_u16(), 401);
        assert_eq!(header(&first, "ratelimit-policy"), "\"address\";q=20;w=3600");
        assert!(header(&first, "ratelimit").starts_with("\"address\";r=19;t=3"), "{first:?}");
        assert_eq!(api.guess_all(9).await, 9);
        daemon.kill();
        let daemon = Daemon::start_with(&world, &data, &FEW).await;
        let api = Api::of(&data);
        let more = api.guess_all(40).await;
        // What was booked and not used when the daemon was killed is not given back: at most one of twenty here.
        assert!((9..=10).contains(&more), "10 of 20 were left, and {more} granted");
        let refused = api.guess().await;
        assert_eq!(refused.status().as_u16(), 429);
        assert!(header(&refused, "ratelimit").starts_with("\"address\";r=0;t=3"), "{refused:?}");
        let wait: u64 = header(&refused, "retry-after").parse().expect("seconds");
        assert!(wait > 3_400 && wait <= 3_660, "{wait}");
        let problem: Value = refused.json().await.expect("a problem");
        assert_eq!(problem["code"], "too_many_requests");
        daemon.kill();
        let _daemon = Daemon::start_with(&world, &data, &FEW).await;
        assert_eq!(Api::of(&data).guess_all(10).await, 0, "a restart gives nothing back");
        assert_eq!(list(&data, "pairs").await.len(), 4, "the operator is under no limit");
    }

    async fn an_order_with_a_key_is_carried_out_once_and_answered_again(data) {
        let world = webhooks(2).await;
        let daemon = Daemon::start_with(&world, &data, &QUICK).await;
        let api = Api::of(&data);
        let wanted = order(&world, 0);
        let first = api.add("\"key 1\"", &wanted).await.expect("an answer");
        assert_eq!(first.status().as_u16(), 400, "a blank is not visible");
        let first = api.add("\"key-1\"", &wanted).await.expect("an answer");
        assert_eq!((first.status().as_u16(), header(&first, "idempotency-replayed")), (201, String::new()));
        let (place, pair) = (header(&first, "location"), first.json::<Value>().await.expect("a pair"));
        for key in ["\"key-1\"", "key-1"] {
            let again = api.add(key, &wanted).await.expect("an answer");
            assert_eq!((again.status().as_u16(), header(&again, "idempotency-replayed").as_str()), (201, "true"));
            assert_eq!(header(&again, "location"), place);
            assert_eq!(header(&again, "content-type"), "application/json");
            assert_eq!(again.json::<Value>().await.expect("a pair"), pair);
        }
        let other = api.add("key-1", &order(&world, 1)).await.expect("an answer");
        let problem: Value = other.json().await.expect("a problem");
        assert_eq!((&problem["status"], &problem["code"]), (&json!(422), &json!("idempotency_key_reused")));
        assert_eq!(pairs_to(&data, &order(&world, 1)).await, 0);
        // Refused, so that nothing was done: the key is free for what is right.
        let wrong = json!({ "source": wanted["source"], "target": wanted["target"], "colour": "red" });
        assert_eq!(api.add("key-2", &wrong).await.expect("an answer").status().as_u16(), 400);
        assert_eq!(api.add("key-2", &order(&world, 1)).await.expect("an answer").status().as_u16(), 201);
        daemon.kill();
        let _daemon = Daemon::start_with(&world, &data, &QUICK).await;
        let again = Api::of(&data).add("key-1", &wanted).await.expect("an answer");
        assert_eq!((again.status().as_u16(), header(&again, "idempotency-replayed").as_str()), (201, "true"));
        assert_eq!(pairs_to(&data, &wanted).await, 1);
        for (name, bytes) in data.contents().await {
            let place = place.as_bytes();
            assert!(!bytes.windows(place.len()).any(|window| window == place), "the answer lies open in {name}");
        }
    }

    async fn of_many_at_once_one_is_carried_out(data) {
        let world = webhooks(1).await;
        let _daemon = Daemon::start_with(&world, &data, &QUICK).await;
        let (api, wanted) = (Api::of(&data), order(&world, 0));
        let tries = futures_util::future::join_all((0..12).map(|_| api.add("same", &wanted))).await;
        let (mut made, mut replayed) = (0, 0);
        for answer in tries.into_iter().map(|answer| answer.expect("an answer")) {
            match (answer.status().as_u16(), header(&answer, "idempotency-replayed").as_str()) {
                (201, "true") => replayed += 1,
                (201, _) => made += 1,
                (409, _) => {
                    assert!(!header(&answer, "retry-after").is_empty());
                    let problem: Value = answer.json().await.expect("a problem");
                    assert_eq!(problem["code"], "request_in_progress");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(made, 1, "and {replayed} were told the same");
        assert_eq!(pairs_to(&data, &wanted).await, 1);
        assert_eq!(api.add("same", &wanted).await.expect("an answer").status().as_u16(), 201);
    }

    /// Each key alone may as much as the user; all together may no more: what the plan allows at once, and what comes back
    /// while they ask.
    async fn ten_keys_of_a_user_at_once_get_what_the_user_may(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start_with(&world, &data, &[("SWITCHYARD_LIMITS__KEY_REQUESTS", "60")]).await;
        let api = people::Api::of(&data);
        let user = api.new_user("ann@example.org").await;
        let order = json!({ "name": "a program", "scopes": ["pairs:read"] });
        let started = tokio::time::Instant::now();
        let mut keys = Vec::new();
        for number in 0..10 {
            let make = || {
                let request = api.user(&user, Method::POST, "/me/api-keys").json(&order);
                people::answer(request.header("idempotency-key", format!("key-{number}")))
            };
            let (status, made) = make().await;
            assert_eq!(status, 201, "{made}");
            if number == 0 {
                assert_eq!(make().await, (201, made.clone()), "what is shown once is shown again to who asks again");
            }
            keys.push(made["secret"].as_str().expect("a key").to_owned());
        }
        let calls = (0..300).map(|number| api.key(&keys[number % 10], Method::GET, "/pairs").send());
        let answers = futures_util::future::join_all(calls).await;
        let minutes = started.elapsed().as_secs_f64() / 60.0;
        let answers: Vec<Response> = answers.into_iter().map(|answer| answer.expect("an answer")).collect();
        let (granted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status() == 200);
        // Eleven made the keys.
        let granted = u32::try_from(granted.len() + 11).expect("a number");
        let most = 60.0 * (1.0 + minutes);
        assert!(granted >= 60 && f64::from(granted) <= most, "{granted} granted, at most {most}");
        let one = refused.first().expect("one of so many is refused");
        assert!(refused.iter().all(|answer| answer.status() == 429), "{refused:?}");
        assert_eq!(header(one, "ratelimit-policy"), "\"user\";q=60;w=60, \"key\";q=60;w=60");
        assert!(!header(one, "retry-after").is_empty());
        let other = api.new_user("bob@example.org").await;
        assert_eq!(api.lets_in(&other).await, 200, "another user has limits of their own");
    }

    /// Killed at some instant between the order and its answer, and asked again until it is answered.
    async fn an_order_that_a_kill_9_cut_short_is_carried_out_once(data) {
        let world = webhooks(4).await;
        for index in 0..4_u16 {
            let daemon = Daemon::start_with(&world, &data, &QUICK).await;
            let (api, wanted) = (Api::of(&data), order(&world, usize::from(index)));
            let key = format!("order-{index}");
            let asked = { let (api, key, wanted) = (api.clone(), key.clone(), wanted.clone());
                tokio::spawn(async move { api.add(&key, &wanted).await.is_some() }) };
            tokio::time::sleep(std::time::Duration::from_millis(2 + 11 * u64::from(index))).await;
            daemon.kill();
            asked.await.expect("it ended, one way or another");
            let daemon = Daemon::start_with(&world, &data, &QUICK).await;
            let api = Api::of(&data);
            let code = eventually("the order to be answered", || async {
                let answer = api.add(&key, &wanted).await?;
                let status = answer.status().as_u16();
                let body: Value = answer.json().await.expect("JSON");
                (body["code"] != "request_in_progress").then_some((status, body))
            })
            .await;
            // Made now, made before and its answer kept, or made before and its answer lost: then it is there already.
            assert!(matches!(code, (201 | 409, _)), "{code:?}");
            assert_eq!(pairs_to(&data, &wanted).await, 1, "{code:?}");
            daemon.terminate().await;
        }
    }
}

/// Two daemons, two data folders, one PostgreSQL: the limit is one.
#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_on_one_postgresql_share_a_limit_exactly() {
    let Some(store) = postgres::database().await else { return };
    let world = World::start(SandboxConfig::default()).await;
    let one = DataDir::with_store(Some(store.clone()));
    let _first = Daemon::start_with(&world, &one, &FEW).await;
    let two = DataDir::with_store(Some(store));
    std::fs::create_dir_all(two.path()).expect("a folder");
    // The nodes of one store have one master key.
    std::fs::copy(one.path().join(SANDBOX_KEYRING), two.path().join(SANDBOX_KEYRING)).expect("a keyring");
    let _second = Daemon::start_with(&world, &two, &FEW).await;
    let (here, there) = (Api::of(&one), Api::of(&two));
    let (a, b) = tokio::join!(here.guess_all(30), there.guess_all(30));
    assert_eq!(a + b, 20, "{a} here, {b} there");
    assert_eq!((here.guess().await.status().as_u16(), there.guess().await.status().as_u16()), (429, 429));
}

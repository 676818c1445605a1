//! Orders about all pairs of a user: a job that is killed goes on and ends exactly, and nobody lifts another's pause.

use reqwest::Method;
use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::customers::Customer;
use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::operator::ok;
use crate::harness::people::{Api, answer};

const PAIRS: u16 = 300;

/// Pairs between two Discord bots and no others.
fn between_bots(pairs: u16) -> SandboxConfig {
    let counts = PairCounts { discord_to_discord: pairs, ..PairCounts::default() };
    let shape =
        SeedShape { telegram_bots: 0, discord_bots: 2, webhooks: 0, pairs: counts, ..SeedShape::default() };
    SandboxConfig { shape, ..SandboxConfig::default() }
}

async fn read(data: &DataDir, path: &str) -> Value {
    let (status, body) = answer(Api::of(data).operator(Method::GET, path)).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// Every pair of the installation, page by page.
async fn all_pairs(data: &DataDir) -> Vec<Value> {
    let (mut all, mut path) = (Vec::new(), "/pairs?limit=200".to_owned());
    loop {
        let page = read(data, &path).await;
        all.extend(page["items"].as_array().expect("pairs").clone());
        let Some(next) = page["next_cursor"].as_str() else { return all };
        path = format!("/pairs?limit=200&cursor={next}");
    }
}

async fn order(data: &DataDir, user: &str, verb: &str) -> Value {
    let path = format!("/admin/users/{user}/pairs/{verb}");
    let (status, job) = answer(Api::of(data).operator(Method::POST, &path).json(&json!({}))).await;
    assert_eq!(status, 202, "{job}");
    job
}

async fn over(data: &DataDir, job: &Value) -> Value {
    let path = format!("/admin/jobs/{}", job["id"].as_str().expect("an id"));
    eventually("the job to be over", || async {
        let job = read(data, &path).await;
        matches!(job["state"].as_str(), Some("done" | "failed")).then_some(job)
    })
    .await
}

/// Watches a job that only ever comes on, until so much of it is done; answers how much that is.
async fn comes_on(data: &DataDir, job: &str, from: u64, to: u64) -> u64 {
    let path = format!("/admin/jobs/{job}");
    let mut seen = from;
    loop {
        let last = seen;
        let now = eventually("the job to come on", || async {
            let job = read(data, &path).await;
            let done = job["done"].as_u64().expect("a count");
            assert!(done >= last, "progress goes back: {done} after {last}");
            assert_eq!((&job["total"], &job["failed"]), (&json!(PAIRS), &json!(0)), "{job}");
            (done > last || done >= to).then_some(done)
        })
        .await;
        seen = now;
        if seen >= to {
            return seen;
        }
    }
}

/// Why a pair is paused.
async fn paused(data: &DataDir, pair: &str) -> Value {
    read(data, &format!("/pairs/{pair}")).await["paused"].clone()
}

daemon_on_both_databases! {
    async fn a_job_that_is_killed_twice_goes_on_and_ends_exactly(data) {
        let world = World::start(between_bots(PAIRS)).await;
        // A pair at a time, so that there is a middle to be killed in.
        let env = [("SWITCHYARD_JOBS__PORTION", "1")];
        let mut daemon = Daemon::start_with(&world, &data, &env).await;
        let user = world.seed["user"]["id"].as_str().expect("an id").to_owned();
        let total = u64::from(PAIRS);
        for (verb, left) in [("pause", json!(["admin"])), ("resume", json!([]))] {
            let job = order(&data, &user, verb).await;
            let id = job["id"].as_str().expect("an id").to_owned();
            let mut done = comes_on(&data, &id, 0, 1).await;
            assert!(done < total, "killed in its middle");
            for _ in 0..2 {
                daemon.kill();
                daemon = Daemon::start_with(&world, &data, &env).await;
                done = comes_on(&data, &id, done, (done + 1).min(total)).await;
            }
            comes_on(&data, &id, done, total).await;
            let job = over(&data, &job).await;
            assert_eq!(
                (&job["state"], &job["done"], &job["failed"], &job["total"]),
                (&json!("done"), &json!(total), &json!(0), &json!(total)),
                "{job}"
            );
            let pairs = all_pairs(&data).await;
            assert_eq!(pairs.len(), usize::from(PAIRS));
            assert!(pairs.iter().all(|pair| pair["paused"] == left), "{verb}: all of them");
        }
        assert_eq!(read(&data, "/admin/jobs").await["items"].as_array().expect("jobs").len(), 2);
        let pair = world.pairs().remove(usize::from(PAIRS) - 1);
        world.write_text(&pair.source, "forwards again").await;
        world.wait_for(&pair.target, 1).await;
    }

    async fn the_staff_never_lifts_a_users_own_pause(data) {
        let world = World::start(between_bots(2)).await;
        let env = [("SWITCHYARD_PLANS__DEFAULT", "business")];
        let daemon = Daemon::start_with(&world, &data, &env).await;
        let customer = Customer::register(&world, &data, "ann@example.org").await;
        let (held, free) = (&customer.pairs[0], &customer.pairs[1]);
        let path = format!("/pairs/{}", held.id);
        let by_user = async |verb: &str| {
            let api = Api::of(&data);
            let path = format!("{path}/{verb}");
            let (status, body) = answer(api.user(&customer.tokens, Method::POST, &path)).await;
            assert_eq!(status, 200, "{body}");
        };
        let by_staff = async |order: Value| {
            let request = Api::of(&data).operator(Method::PATCH, &path).json(&order);
            let (status, body) = answer(request).await;
            assert_eq!(status, 200, "{body}");
        };
        by_user("pause").await;
        for n in 0..5 {
            world.write_text(&held.source, &format!("held {n}")).await;
            world.write_text(&free.source, &format!("free {n}")).await;
        }
        // Every door through which the staff resumes.
        by_staff(json!({ "enabled": true })).await;
        assert_eq!(paused(&data, &held.id).await, json!(["user"]), "by a change");
        let (status, body) = answer(Api::of(&data).operator(Method::POST, &format!("{path}/resume"))).await;
        assert_eq!((status, &body["paused"]), (200, &json!(["user"])), "by the API: {body}");
        ok(&data, &["pairs", "resume", &held.id], "").await;
        assert_eq!(paused(&data, &held.id).await, json!(["user"]), "by the command line");
        over(&data, &order(&data, &customer.id, "resume").await).await;
        assert_eq!(paused(&data, &held.id).await, json!(["user"]), "by a job");
        // Nor where the staff had paused it as well.
        over(&data, &order(&data, &customer.id, "pause").await).await;
        assert_eq!(paused(&data, &held.id).await, json!(["user", "admin"]));
        over(&data, &order(&data, &customer.id, "resume").await).await;
        assert_eq!(paused(&data, &held.id).await, json!(["user"]));
        assert_eq!(paused(&data, &free.id).await, json!([]));
        assert_eq!(world.wait_for(&free.target, 5).await.len(), 5);
        // Nor with the end of a suspension, which is a pause for a cause of its own.
        for (verb, causes) in [("suspend", json!(["user", "suspension"])), ("restore", json!(["user"]))] {
            let path = format!("/admin/users/{}/{verb}", customer.id);
            let (status, body) = answer(Api::of(&data).operator(Method::POST, &path).json(&json!({}))).await;
            assert_eq!(status, 200, "{body}");
            assert_eq!(paused(&data, &held.id).await, causes, "{verb}");
        }
        // And its owner does not lift the staff's.
        by_staff(json!({ "enabled": false })).await;
        by_user("resume").await;
        assert_eq!(paused(&data, &held.id).await, json!(["admin"]));
        by_user("pause").await;
        by_staff(json!({ "enabled": true })).await;
        daemon.kill();
        let _daemon = Daemon::start_with(&world, &data, &env).await;
        world.write_text(&free.source, "after the kill").await;
        assert_eq!(world.wait_for(&free.target, 6).await.len(), 6);
        assert_eq!(paused(&data, &held.id).await, json!(["user"]));
        assert_eq!(world.texts(&held.target).await, Vec::<String>::new(), "nothing went out meanwhile");
        by_user("resume").await;
        let expected: Vec<String> = (0..5).map(|n| format!("held {n}")).collect();
        assert_eq!(world.wait_for(&held.target, 5).await, expected);
    }
}

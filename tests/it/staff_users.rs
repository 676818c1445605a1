//! Users under the staff's hands: list and search, suspension and its end, plans, deletion, by API and command line
//! (features A3, A4, A5, A7).

use chrono::TimeDelta;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use switchyard_actors::ports::Clock as _;
use switchyard_sandbox::{PairCounts, SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, End, World, eventually};
use crate::harness::operator::{fails, ok, seeded};
use crate::harness::people::{Api, PASSWORD, Tokens, answer};

const ANN: &str = "ann@example.org";
const NOBODY: &str = "0193a0b0-0000-7000-8000-000000000009";

/// An admin with this role, made by command line, who signed in.
async fn admin(data: &DataDir, api: &Api, role: &str) -> String {
    let email = format!("{role}@example.org");
    ok(data, &["admin", "add", &email, "--role", role], &format!("{PASSWORD}\n")).await;
    let (status, tokens) =
        api.post("/admin/auth/login", &json!({ "email": email, "password": PASSWORD })).await;
    assert_eq!(status, 200, "{tokens}");
    tokens["access_token"].as_str().expect("a token").to_owned()
}

/// The staff's routes of users, as one admin.
struct Desk<'a> {
    api: &'a Api,
    token: String,
}

impl Desk<'_> {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.api.anonymous(method, &format!("/admin{path}")).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = answer(self.ask(Method::GET, path)).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.ask(Method::POST, path).json(body)).await
    }

    /// Everything of a list, in pages of `limit`.
    async fn pages(&self, path: &str, limit: usize) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit={limit}{cursor}")).await;
            let items = page["items"].as_array().expect("items").clone();
            assert!(items.len() <= limit, "{page}");
            all.extend(items);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// A job, once it is over.
    async fn job(&self, path: &str) -> Value {
        let (status, job) = self.post(path, &json!({})).await;
        assert_eq!(status, 202, "{job}");
        let path = format!("/jobs/{}", text(&job, "id"));
        eventually("the job to be over", || async {
            let job = self.get(&path).await;
            matches!(job["state"].as_str(), Some("done" | "failed")).then_some(job)
        })
        .await
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

fn ids(list: &Value) -> Vec<String> {
    list["items"].as_array().expect("items").iter().map(|item| text(item, "id")).collect()
}

async fn id_of(api: &Api, tokens: &Tokens) -> String {
    text(&answer(api.user(tokens, Method::GET, "/me")).await.1, "id")
}

/// One Discord bot that reads and writes all of the seeded pairs.
fn one_bot() -> SandboxConfig {
    let counts = PairCounts {
        telegram_to_telegram: 0,
        discord_to_telegram: 0,
        telegram_to_discord: 0,
        discord_to_discord: 2,
    };
    let shape = SeedShape { discord_bots: 1, pairs: counts, ..SeedShape::default() };
    SandboxConfig { shape, ..SandboxConfig::default() }
}

/// The seeded bot becomes a user's, with two pairs that join the seeded chats; answers the account, and the pairs with
/// their ends.
async fn own_pairs(
    world: &World,
    data: &DataDir,
    api: &Api,
    user: &Tokens,
) -> (String, Vec<(String, End, End)>) {
    let bot = seeded(world, "discord_bot", 0);
    ok(data, &["accounts", "remove", &text(bot, "id"), "--yes"], "").await;
    let order = json!({ "kind": "discord_bot", "token": bot["token"] });
    let (status, made) = answer(api.user(user, Method::POST, "/accounts").json(&order)).await;
    assert_eq!(status, 201, "{made}");
    let account = text(&made["account"], "id");
    let mut own = Vec::new();
    for pair in world.pairs() {
        let end = |end: &End| json!({ "account": account, "chat": end.chat });
        let order = json!({ "source": end(&pair.source), "target": end(&pair.target) });
        let (status, made) = answer(api.user(user, Method::POST, "/pairs").json(&order)).await;
        assert_eq!(status, 201, "{made}");
        own.push((text(&made, "id"), pair.source, pair.target));
    }
    (account, own)
}

daemon_on_both_databases! {
    async fn a_suspension_is_felt_at_once_and_its_end_lifts_nothing_else(data) {
        let world = World::start(one_bot()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let ann = api.new_user(ANN).await;
        let id = id_of(&api, &ann).await;
        let (account, pairs) = own_pairs(&world, &data, &api, &ann).await;
        let [(first, source, target), (second, ..)] = pairs.as_slice() else { panic!("two pairs") };
        let desk = Desk { api: &api, token: admin(&data, &api, "support").await };
        let paused = async |pair: &str| {
            answer(api.user(&ann, Method::GET, &format!("/pairs/{pair}"))).await.1["paused"].clone()
        };

        // The staff's pause and its end, over a pause of her own.
        assert_eq!(answer(api.user(&ann, Method::POST, &format!("/pairs/{second}/pause"))).await.0, 200);
        let job = desk.job(&format!("/users/{id}/pairs/pause")).await;
        assert_eq!((&job["done"], &job["failed"]), (&json!(2), &json!(0)), "{job}");
        assert_eq!((paused(first).await, paused(second).await), (json!(["admin"]), json!(["user", "admin"])));
        desk.job(&format!("/users/{id}/pairs/resume")).await;
        assert_eq!((paused(first).await, paused(second).await), (json!([]), json!(["user"])));
        answer(api.operator(Method::POST, &format!("/pairs/{second}/resume"))).await;
        assert_eq!(paused(second).await, json!(["user"]), "nor does a resume of the one pair");

        world.write_text(source, "1").await;
        world.wait_for(target, 1).await;
        let (status, member) = desk.post(&format!("/users/{id}/suspend"), &json!({ "reason": "spam" })).await;
        assert_eq!((status, &member["state"], &member["state_reason"]), (200, &json!("suspended"), &json!("spam")));
        assert!(member["suspended_at"].is_string(), "{member}");
        let (status, problem) = answer(api.user(&ann, Method::POST, "/pairs").json(&json!({}))).await;
        assert_eq!((status, &problem["code"]), (403, &json!("suspended")), "{problem}");
        assert_eq!(api.lets_in(&ann).await, 200, "she may look");
        let sessions = desk.get(&format!("/users/{id}/sessions")).await;
        let [live, sign_in] = sessions["items"].as_array().expect("sessions").as_slice() else { panic!("{sessions}") };
        assert_eq!((&live["kind"], &live["id"], &live["state"]), (&json!("forwarding"), &json!(account), &json!("suspended")));
        assert_eq!((&sign_in["kind"], &sign_in["id"]), (&json!("sign_in"), &json!(ann.session)));
        let accounts = desk.get(&format!("/users/{id}/accounts")).await;
        assert_eq!(accounts["items"][0]["health"]["status"], "suspended", "{accounts}");
        for n in 2..=5 {
            world.write_text(source, &n.to_string()).await;
        }
        let (_, again) = desk.post(&format!("/users/{id}/suspend"), &json!({ "reason": "other" })).await;
        assert_eq!(again["state_reason"], "spam", "once more changes nothing");
        assert_eq!(paused(second).await, json!(["user", "suspension"]));
        assert_eq!(world.texts(target).await, ["1"], "nothing goes out");
        let (status, member) = desk.post(&format!("/users/{id}/restore"), &json!({})).await;
        assert_eq!((status, &member["state"]), (200, &json!("active")), "{member}");
        assert_eq!(world.wait_for(target, 5).await, ["1", "2", "3", "4", "5"], "all of it, in order, once");
        assert_eq!((paused(first).await, paused(second).await), (json!([]), json!(["user"])));

        // What happened is on record, in pages, and without her address.
        let path = format!("/users/{id}/activity");
        let whole = desk.pages(&path, 200).await;
        let paged = desk.pages(&path, 3).await;
        assert!(paged.ends_with(&whole), "what came since stands before it: {paged:?}");
        let done = |what: &str, phase: &str| {
            whole.iter().rev().find(|item| item["what"] == what && item["phase"] == phase).unwrap_or_else(|| panic!("{what}"))
        };
        let suspended = done("suspend_user", "done");
        assert_eq!(suspended["by"]["email"], "support@example.org");
        assert_eq!(suspended["details"]["before"]["state"], "active");
        assert_eq!(suspended["details"]["after"]["state_reason"], "spam");
        assert_eq!(done("restore_user", "done")["details"]["before"]["state"], "suspended");
        assert_eq!(done("pause_user_pairs", "done")["details"]["after"]["kind"], "pause_pairs");
        assert!(whole.iter().any(|item| item["source"] == "event" && item["what"] == "user.suspended"), "{whole:?}");
        let audit = answer(api.operator(Method::GET, "/admin/audit")).await.1.to_string();
        assert!(audit.contains("suspend_user") && !audit.contains(ANN), "no address outlives its owner");
    }

    async fn users_are_listed_searched_and_labelled(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let (ann, ben) = (api.new_user(ANN).await, api.new_user("ben@example.org").await);
        let (ann_id, ben_id) = (id_of(&api, &ann).await, id_of(&api, &ben).await);
        let support = Desk { api: &api, token: admin(&data, &api, "support").await };
        let all = support.get("/users").await;
        assert_eq!(all["items"].as_array().expect("users").len(), 3, "{all}");
        let listed = support.get("/users?query=ANN%40Example.org").await;
        assert_eq!(ids(&listed), [ann_id.as_str()]);
        let user = &listed["items"][0];
        assert_eq!((&user["email"], &user["plan"]["name"], &user["plan"]["monthly"]["amount"]), (&json!(ANN), &json!("free"), &json!("0.00")));
        assert_eq!((&user["plan"]["state"], &user["plan"]["paid_through"], &user["subscription"]), (&json!("default"), &Value::Null, &Value::Null));
        assert_eq!(user["usage"]["accounts"], json!({ "used": 0, "limit": 3 }));
        assert!(user["usage"]["messages_today"]["limit"].is_number() && user["state"] == "active", "{user}");
        assert_eq!(ids(&support.get(&format!("/users?query={ben_id}")).await), [ben_id.as_str()]);
        assert!(ids(&support.get(&format!("/users?query={}", &ben_id[..13])).await).contains(&ben_id));
        assert_eq!(ids(&support.get("/users?query=example.org").await), [""; 0], "no part of an address");
        let seeded = support.get("/users?plan=business").await;
        assert!(seeded["items"][0]["usage"]["pairs"]["used"].as_u64() > Some(0), "{seeded}");
        assert_eq!(support.get("/users?plan=free").await["items"].as_array().expect("users").len(), 2);
        let mut newest = support.pages("/users", 1).await;
        newest.reverse();
        assert_eq!(json!(newest), support.get("/users?sort=-created").await["items"]);
        for wrong in ["query=", "plan=platinum", "state=asleep", "limit=0", "cursor=x", "colour=red"] {
            let (status, problem) = answer(support.ask(Method::GET, &format!("/users?{wrong}"))).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_request")), "{wrong}");
        }

        // A label under two editors.
        let path = format!("/users/{ann_id}");
        let shown = support.ask(Method::GET, &path).send().await.unwrap();
        let tag = shown.headers()["etag"].to_str().unwrap().to_owned();
        let details: Value = shown.json().await.unwrap();
        assert_eq!((&details["email"], &details["counts"]["sign_ins"]), (&json!(ANN), &json!(1)), "{details}");
        let label = |text: &str| support.ask(Method::PATCH, &path).header("If-Match", &tag).json(&json!({ "label": text }));
        let (status, labelled) = answer(label("Acme, key account")).await;
        assert_eq!((status, &labelled["label"]), (200, &json!("Acme, key account")), "{labelled}");
        assert_eq!(answer(label("too late")).await.1["code"], "precondition_failed");
        assert_eq!(answer(support.ask(Method::PATCH, &path).json(&json!({ "email": "x@y.z" }))).await.0, 400);
        assert_eq!(ids(&support.get("/users?query=acme").await), [ann_id.as_str()]);
    }

    async fn plans_are_given_until_a_time_and_roles_say_who_may_what(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let ann = api.new_user(ANN).await;
        let ann_id = id_of(&api, &ann).await;
        let path = format!("/users/{ann_id}");
        let desk = |token: String| Desk { api: &api, token };
        let support = desk(admin(&data, &api, "support").await);
        let billing = desk(admin(&data, &api, "billing").await);
        let content = desk(admin(&data, &api, "content").await);
        let owner = desk(admin(&data, &api, "owner").await);

        // A plan until a time, and after it.
        let now = switchyard::clock::SystemClock.now();
        let plan = |plan: &str, seconds: i64| json!({ "plan": plan, "until": now + TimeDelta::seconds(seconds) });
        let (status, member) = billing.post(&format!("{path}/plan"), &plan("pro", 3_600)).await;
        assert_eq!((status, &member["plan"]["name"], &member["plan"]["state"]), (200, &json!("pro"), &json!("given")), "{member}");
        assert_eq!(ids(&support.get("/users?plan=pro").await), [ann_id.as_str()]);
        for wrong in [plan("platinum", 3_600), plan("pro", -1), json!({ "plan": "Pro!" }), json!({})] {
            assert_eq!(billing.post(&format!("{path}/plan"), &wrong).await.0, 400, "{wrong}");
        }
        let soon = json!({ "plan": "pro", "until": switchyard::clock::SystemClock.now() + TimeDelta::seconds(2) });
        assert_eq!(billing.post(&format!("{path}/plan"), &soon).await.0, 200);
        let lapsed = eventually("the plan's end", || async {
            let user = support.get(&path).await;
            (user["plan"]["name"] == "free").then_some(user)
        })
        .await;
        assert_eq!((&lapsed["plan"]["state"], &lapsed["plan"]["given"]), (&json!("lapsed"), &json!("pro")), "{lapsed}");

        // Who may what, and nobody anything with who is not there.
        for (desk, method, path, status) in [
            (&content, Method::GET, "", 403), (&billing, Method::GET, "", 200), (&billing, Method::POST, "/suspend", 403),
            (&support, Method::POST, "/plan", 403), (&support, Method::DELETE, "", 403), (&billing, Method::GET, "/accounts", 403),
        ] {
            let request = desk.ask(method.clone(), &format!("/users/{ann_id}{path}")).json(&json!({}));
            assert_eq!(answer(request).await.0, status, "{method} {path}");
        }
        for (method, path, body) in [
            (Method::GET, "", json!({})), (Method::PATCH, "", json!({ "label": "x" })), (Method::DELETE, "", json!({})),
            (Method::POST, "/suspend", json!({})), (Method::POST, "/restore", json!({})),
            (Method::POST, "/plan", json!({ "plan": "pro" })), (Method::GET, "/accounts", json!({})),
            (Method::GET, "/sessions", json!({})), (Method::GET, "/pairs", json!({})), (Method::GET, "/activity", json!({})),
            (Method::POST, "/pairs/pause", json!({})),
        ] {
            let request = owner.ask(method.clone(), &format!("/users/{NOBODY}{path}")).json(&body);
            let (status, problem) = answer(request).await;
            assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{method} {path}");
        }

        let (status, taken) = answer(owner.ask(Method::DELETE, &path)).await;
        assert_eq!(status, 202, "{taken}");
        assert_eq!(api.lets_in(&ann).await, 401, "at once");
        assert!(!ids(&support.get("/users").await).contains(&ann_id), "nor is she listed");
        eventually("her to be gone", || async {
            (answer(support.ask(Method::GET, &path)).await.0 == 404).then_some(())
        })
        .await;
    }

    async fn the_command_line_knows_users_by_address_or_id(data) {
        let world = World::start(one_bot()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let api = Api::of(&data);
        let ann = api.new_user(ANN).await;
        let id = id_of(&api, &ann).await;
        own_pairs(&world, &data, &api, &ann).await;
        let run = async |args: &[&str]| ok(&data, &[&["users"], args].concat(), "").await;
        let read = async |args: &[&str]| -> Value { serde_json::from_str(&run(args).await).expect("JSON") };
        assert_eq!(read(&["list", "--query", ANN, "--json"]).await[0]["id"], json!(id));
        assert!(run(&["list", "--plan", "free", "--state", "active"]).await.contains(ANN));
        let shown = run(&["show", "Ann@example.org"]).await;
        assert!(shown.contains(&id) && shown.contains("2/3, 0 paused") && shown.contains("1 connected"), "{shown}");
        let said = run(&["suspend", ANN, "--reason", "spam"]).await;
        assert_eq!(said.trim(), format!("user {id} is suspended, plan free"));
        assert_eq!(read(&["show", &id, "--json"]).await["state_reason"], "spam");
        assert!(run(&["list", "--state", "suspended"]).await.contains(ANN));
        assert!(run(&["restore", &id]).await.contains("is active"));
        let said = run(&["plan", ANN, "pro", "--until", "2099-01-01T00:00:00Z"]).await;
        assert_eq!(said.trim(), format!("user {id} is active, plan pro until 2099-01-01T00:00:00+00:00"));
        assert!(run(&["pairs", "pause", ANN]).await.contains("works on 2"));
        assert!(run(&["pairs", "resume", ANN, "--wait"]).await.contains("done with 2 pairs"));
        assert!(run(&["pairs", "delete", &id, "--wait"]).await.contains("done with 2 pairs"));
        assert_eq!(read(&["show", ANN, "--json"]).await["usage"]["pairs"]["used"], 0);
        for (args, code, words) in [
            (["users", "show", "nobody@example.org"].as_slice(), 64, "no user with the address"),
            (&["users", "show", NOBODY], 64, "not found"),
            (&["users", "show", "ann"], 64, "neither the id of a user nor an address"),
            (&["users", "plan", ANN, "platinum"], 64, "there is no plan"),
            (&["users", "delete", ANN], 64, "--yes"),
        ] {
            let (exit, complaint) = fails(&data, args, "").await;
            assert!(exit == code && complaint.contains(words), "{args:?}: {exit} {complaint}");
        }
        run(&["delete", ANN, "--yes"]).await;
        assert_eq!(api.lets_in(&ann).await, 401);
        eventually("her to be gone", || async {
            let all = ok(&data, &["users", "list", "--state", "deleting", "--json"], "").await;
            (all.trim() == "[]").then_some(())
        })
        .await;
        let audit = answer(api.operator(Method::GET, "/admin/audit")).await.1;
        let by_operator = |action: &str| {
            let done = |item: &&Value| item["action"] == action && item["phase"] == "done";
            audit["items"].as_array().expect("entries").iter().find(done).map(|item| item["actor"]["kind"].clone())
        };
        for action in ["suspend_user", "restore_user", "set_user_plan", "pause_user_pairs", "delete_user"] {
            assert_eq!(by_operator(action), Some(json!("operator")), "{action}");
        }
    }
}

//! What is somebody else's is not there: by path, by query, by body; and nobody sets what is not theirs to set.

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use switchyard::http::api::{Access, EndpointSpec, document};
use switchyard::http::table;
use switchyard::services::caller::Scope;
use switchyard_sandbox::SandboxConfig;
use tokio::net::TcpListener;

use crate::harness::daemon::{Daemon, DataDir, End, World, eventually};
use crate::harness::operator::{ok, seeded};
use crate::harness::people::{Api, PASSWORD, Tokens, answer};

const OPEN: [(&str, &str); 3] = [
    ("SWITCHYARD_PLANS__DEFAULT", "business"),
    ("SWITCHYARD_LIMITS__OPEN_REQUESTS", "1000000"),
    ("SWITCHYARD_LIMITS__KEY_REQUESTS", "1000000"),
];

/// An id that nothing has.
const NOTHING: &str = "0193a0b0-0000-7000-8000-000000000001";

/// What a user has.
struct Belongings {
    user: String,
    bot: String,
    bot_token: String,
    chat: String,
    hook: String,
    hook_chat: String,
    pair: String,
    delivery: String,
    key: String,
    session: String,
    sign_in: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A call that must succeed.
async fn must(request: RequestBuilder) -> Value {
    let (status, body) = answer(request).await;
    assert!((200..300).contains(&status), "{status} {body}");
    body
}

impl Belongings {
    /// Two accounts, a pair that has forwarded a message, a key, a second sign-in, and a sign-in at Telegram under way.
    async fn of(api: &Api, world: &World, data: &DataDir, email: &str, owner: &Tokens) -> Self {
        let (bot, hook) = (seeded(world, "discord_bot", 0), seeded(world, "discord_webhook", 0));
        let pairs = world.pairs();
        let source = &pairs.iter().find(|pair| pair.source.platform == "discord").expect("a pair").source;
        for account in [bot, hook] {
            ok(data, &["accounts", "remove", &text(&account["id"]), "--yes"], "").await;
        }
        let post = |path: &'static str, body: Value| must(api.user(owner, Method::POST, path).json(&body));
        let bot_token = text(&bot["token"]);
        let connected = post("/accounts", json!({ "kind": "discord_bot", "token": bot_token })).await;
        let (bot, user) = (text(&connected["account"]["id"]), text(&connected["account"]["user"]));
        let (chat, hook_chat) = (source.chat.clone(), text(&hook["chat"]));
        let connected = post("/accounts", json!({ "kind": "discord_webhook", "url": hook["url"] })).await;
        let hook = text(&connected["account"]["id"]);
        let pair = json!({
            "source": { "account": bot, "chat": chat },
            "target": { "account": hook, "chat": hook_chat },
        });
        let pair = text(&post("/pairs", pair).await["id"]);
        world.write_text(source, "a message of the owner").await;
        let target = End { platform: "discord".to_owned(), chat: hook_chat.clone(), account: hook.clone() };
        world.wait_for(&target, 1).await;
        let delivery = eventually("the delivery to be settled", || async {
            let listed = must(api.user(owner, Method::GET, "/deliveries")).await;
            (listed["items"][0]["state"] == "delivered").then(|| text(&listed["items"][0]["id"]))
        })
        .await;
        let key = post("/me/api-keys", json!({ "name": "mine", "scopes": ["pairs:read"] })).await;
        let sign_in = post("/accounts/telegram/logins", json!({ "method": "qr" })).await;
        Self {
            user,
            bot,
            bot_token,
            chat,
            hook,
            hook_chat,
            pair,
            delivery,
            key: text(&key["key"]["id"]),
            session: api.login(email).await.session,
            sign_in: text(&sign_in["id"]),
        }
    }

    /// Which of it a route is about; none for a route that is about nothing of anybody's.
    fn named_by(&self, spec: &EndpointSpec) -> Option<&str> {
        let users = matches!(spec.access, Access::User(_) | Access::Person);
        let (before, after) = spec.path.split_once("/{").filter(|_| users)?;
        assert!(!after.contains('{'), "{}: two things in one path", spec.path);
        Some(match before {
            "/api/v1/accounts" => &self.bot,
            "/api/v1/accounts/telegram/logins" => &self.sign_in,
            "/api/v1/pairs" => &self.pair,
            "/api/v1/deliveries" => &self.delivery,
            "/api/v1/me/api-keys" => &self.key,
            "/api/v1/me/sessions" => &self.session,
            _ => panic!("{}: say here what of a user's it is about", spec.path),
        })
    }

    /// Everything of it that its owner sees.
    async fn seen_by(&self, api: &Api, owner: &Tokens) -> Vec<Value> {
        let mut seen = Vec::new();
        for list in ["/accounts", "/pairs", "/me/api-keys", "/me/sessions"] {
            let listed = must(api.user(owner, Method::GET, list)).await;
            for item in listed["items"].as_array().expect("items") {
                let kept =
                    ["id", "name", "paused", "version", "user", "proxy"].map(|field| item[field].clone());
                seen.push(json!(kept));
            }
        }
        seen
    }
}

/// The document's own example of an operation's body.
fn example(document: &Value, id: &str) -> Option<Value> {
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let operation =
        operations.into_iter().find(|operation| operation["operationId"] == id).expect("documented");
    operation.pointer("/requestBody/content/application~1json/examples/example-1/value").cloned()
}

/// A call about a thing, with a body that fits. Some things are removed only by force.
fn about(api: &Api, spec: &EndpointSpec, id: &str, body: Option<&Value>) -> RequestBuilder {
    let (before, after) = spec.path.split_once("{id}").expect("an id");
    let force = if spec.id == "remove_account" { "?force=true" } else { "" };
    let request = api.anywhere(spec.method.as_str().parse().unwrap(), &format!("{before}{id}{after}{force}"));
    match body {
        Some(body) => request.json(body),
        None => request,
    }
}

/// What was answered, but for the id that was asked for and the number of the request.
async fn said(request: RequestBuilder, id: &str) -> (u16, Value) {
    let (status, mut body) = answer(request).await;
    if let Some(fields) = body.as_object_mut() {
        fields.remove("request_id");
    }
    (status, serde_json::from_str(&body.to_string().replace(id, "ID")).unwrap())
}

/// Routes about what is somebody's: those that change nothing come first, what is taken away last, after what stands upon it.
fn of_users() -> Vec<EndpointSpec> {
    let users = |spec: &EndpointSpec| matches!(spec.access, Access::User(_) | Access::Person);
    let mut specs: Vec<_> =
        table().into_iter().filter(|spec| users(spec) && spec.path.contains('{')).collect();
    let turn = |spec: &EndpointSpec| match spec.method.as_str() {
        "GET" => 0,
        "DELETE" => 2,
        _ => 1,
    };
    specs.sort_by_key(|spec| (turn(spec), std::cmp::Reverse(spec.path)));
    specs
}

daemon_on_both_databases! {
    async fn what_is_somebody_elses_is_not_there(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start_with(&world, &data, &OPEN).await;
        let api = Api::of(&data);
        let (owner, thief) = (api.new_user("owner@example.org").await, api.new_user("thief@example.org").await);
        let own = Belongings::of(&api, &world, &data, "owner@example.org", &owner).await;
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let order = json!({ "name": "a program", "scopes": all });
        let thiefs_key = must(api.user(&thief, Method::POST, "/me/api-keys").json(&order)).await;
        let thiefs_key = text(&thiefs_key["secret"]);
        let (before, document) = (own.seen_by(&api, &owner).await, document());

        for spec in of_users() {
            let id = own.named_by(&spec).unwrap();
            let body = example(&document, spec.id);
            let request = |id: &str| about(&api, &spec, id, body.as_ref());
            let foreign = said(request(id).bearer_auth(&thief.access), id).await;
            let unknown = said(request(NOTHING).bearer_auth(&thief.access), NOTHING).await;
            assert_eq!((foreign.0, &foreign.1["code"]), (404, &json!("not_found")), "{}: {foreign:?}", spec.id);
            assert_eq!(foreign, unknown, "{} tells what is somebody else's from what is not", spec.id);
            if matches!(spec.access, Access::User(_)) {
                let by_key = said(request(id).header("x-api-key", &thiefs_key), id).await;
                assert_eq!(by_key, unknown, "{} by a key", spec.id);
            }
        }
        assert_eq!(own.seen_by(&api, &owner).await, before, "something was changed");

        for spec in of_users() {
            let id = own.named_by(&spec).unwrap();
            let body = example(&document, spec.id);
            let (status, body) = answer(about(&api, &spec, id, body.as_ref()).bearer_auth(&owner.access)).await;
            assert!(![401, 403, 404].contains(&status) && status < 500, "{} by its owner: {status} {body}", spec.id);
        }
    }

    async fn what_is_named_in_a_body_or_a_query_is_as_safe(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start_with(&world, &data, &OPEN).await;
        let api = Api::of(&data);
        let (owner, thief) = (api.new_user("owner@example.org").await, api.new_user("thief@example.org").await);
        let own = Belongings::of(&api, &world, &data, "owner@example.org", &owner).await;
        let before = own.seen_by(&api, &owner).await;
        let ask = |path: String| api.user(&thief, Method::GET, &path);
        for list in ["/accounts", "/pairs", "/me/api-keys", "/deliveries"] {
            let listed = must(ask(list.to_owned())).await;
            let others = listed["items"].as_array().unwrap().len();
            assert_eq!(others, 0, "{list} shows what is somebody else's: {listed}");
        }
        for (query, id) in [
            ("/pairs?user=", &own.user), ("/pairs?account=", &own.bot), ("/deliveries?pair=", &own.pair),
            ("/accounts/telegram/sealing-key?user=", &own.user),
        ] {
            let foreign = said(ask(format!("{query}{id}")), id).await;
            assert_eq!(foreign, said(ask(format!("{query}{NOTHING}")), NOTHING).await, "{query}");
            assert!(foreign.0 >= 400 || foreign.1["items"] == json!([]), "{query} answers {foreign:?}");
        }
        let end = |account: &str, chat: &str| json!({ "account": account, "chat": chat });
        let pair = |reader: &str, writer: &str| {
            json!({ "source": end(reader, &own.chat), "target": end(writer, &own.hook_chat) })
        };
        let post = |path: &'static str, body: Value| api.user(&thief, Method::POST, path).json(&body);
        let foreign = said(post("/pairs", pair(&own.bot, &own.hook)), &own.bot).await;
        assert_eq!(foreign, said(post("/pairs", pair(NOTHING, NOTHING)), NOTHING).await);
        assert!([400, 404].contains(&foreign.0), "a pair over somebody else's accounts: {foreign:?}");
        for (path, order) in [
            ("/accounts", json!({ "kind": "discord_bot", "token": own.bot_token, "user": own.user })),
            ("/accounts/telegram/logins", json!({ "method": "qr", "user": own.user })),
        ] {
            let mut unknown = order.clone();
            unknown["user"] = json!(NOTHING);
            let foreign = said(post(path, order), &own.user).await;
            assert_eq!(foreign, said(post(path, unknown), NOTHING).await, "{path} for somebody else");
            assert!((400..500).contains(&foreign.0), "{path} for somebody else: {foreign:?}");
        }
        let (status, twice) = answer(post("/accounts", json!({ "kind": "discord_bot", "token": own.bot_token }))).await;
        assert_eq!((status, &twice["code"]), (409, &json!("conflict")), "one platform account twice");
        assert!(!twice.to_string().contains(&own.user), "whose it is is nobody else's affair");
        assert_eq!(own.seen_by(&api, &owner).await, before, "something was changed");
    }

    /// Fields that a handler sets itself are refused in every body, by name, and change nothing.
    async fn nobody_sets_what_is_not_theirs_to_set(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start_with(&world, &data, &OPEN).await;
        let api = Api::of(&data);
        let ann = api.new_user("ann@example.org").await;
        let me = must(api.user(&ann, Method::GET, "/me")).await;
        let document = document();
        let mut tried = 0;
        for spec in table() {
            let Some(Value::Object(good)) = example(&document, spec.id) else { continue };
            let path = spec.path.replace("{id}", NOTHING).replace("{name}", "smtp-password");
            for (field, value) in [
                ("id", json!(NOTHING)), ("user_id", json!(NOTHING)), ("owner", json!(NOTHING)), ("roles", json!(["owner"])),
                ("is_admin", json!(true)), ("plan_until", json!("2099-01-01T00:00:00Z")), ("state_reason", json!("mine")),
                ("password_hash", json!("$argon2id$")), ("created_at", json!("2020-01-01T00:00:00Z")),
                ("version", json!(7)), ("__proto__", json!({ "role": "owner" })), ("constructor", json!(null)),
            ] {
                let body: Map<String, Value> =
                    good.clone().into_iter().chain([(field.to_owned(), value)]).collect();
                let request = api.anywhere(spec.method.as_str().parse().unwrap(), &path).json(&body);
                let request = match spec.access {
                    Access::Person => request.bearer_auth(&ann.access),
                    _ => request.bearer_auth(api.operator_token()),
                };
                let (status, problem) = answer(request).await;
                let named = problem["errors"][0]["pointer"].as_str().map(str::to_owned);
                let wanted = (400, Some(format!("/{field}")));
                assert_eq!((status, named), wanted, "{} with {field}: {problem}", spec.id);
                tried += 1;
            }
        }
        assert!(tried > 300, "{tried} tries: where are the bodies?");
        for (method, path, body) in [
            (Method::PATCH, "/me", json!({ "name": "Ann", "plan": "business" })),
            (Method::PATCH, "/me", json!({ "state": "active" })),
            (Method::PATCH, "/me", json!({ "email": "ben@example.org" })),
            (Method::POST, "/me/api-keys", json!({ "name": "x", "scopes": ["pairs:read"], "user": NOTHING })),
            (Method::POST, "/me/api-keys", json!({ "name": "x", "scopes": ["admin"] })),
        ] {
            let (status, problem) = answer(api.user(&ann, method, path).json(&body)).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_request")), "{path} {body}: {problem}");
        }
        let order = json!({ "email": "eve@example.org", "password": PASSWORD, "plan": "business" });
        assert_eq!(api.post("/auth/register", &order).await.0, 400);
        assert_eq!(api.try_login("eve@example.org", PASSWORD).await.0, 401, "nobody was registered");
        assert_eq!(must(api.user(&ann, Method::GET, "/me")).await, me, "something was changed");
    }

    /// Addresses that a user gives lead nowhere but to the platform: a listener on this machine hears nothing.
    async fn addresses_that_users_give_lead_nowhere_else(data) {
        let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = trap.local_addr().unwrap();
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start_with(&world, &data, &OPEN).await;
        let api = Api::of(&data);
        let ann = api.new_user("ann@example.org").await;
        let base = text(&world.seed["discord"]["api_base"]);
        let behind = base.trim_start_matches("http://").to_owned();
        let port = here.port();
        for url in [
            format!("http://{here}/api/webhooks/7/token"),
            format!("https://{here}/api/webhooks/7/token"),
            format!("http://localhost:{port}/api/webhooks/7/token"),
            format!("http://[::ffff:127.0.0.1]:{port}/api/webhooks/7/token"),
            format!("http://{behind}@{here}/api/webhooks/7/token"),
            format!("http://{behind}.{here}/api/webhooks/7/token"),
            format!("https://discord.com@{here}/api/webhooks/7/token"),
            format!("https://discord.com:{port}/api/webhooks/7/token"),
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "https://discord.com.evil.example/api/webhooks/7/token".to_owned(),
            "file:///etc/passwd".to_owned(),
            "gopher://127.0.0.1/api/webhooks/7/token".to_owned(),
            format!("{base}/api/webhooks/7/..%2f..%2fusers%2f@me"),
            format!("{base}/api/webhooks/7/token/../../../users/@me"),
        ] {
            let order = json!({ "kind": "discord_webhook", "url": url });
            let (status, problem) = answer(api.user(&ann, Method::POST, "/accounts").json(&order)).await;
            assert_eq!((status, &problem["code"]), (422, &json!("credential_refused")), "{url}: {problem}");
            assert!(!problem.to_string().contains(&url), "the address is a secret: {problem}");
        }
        // A sandbox may have proxies in private networks; some addresses are nobody's proxy anywhere.
        let hook = seeded(&world, "discord_webhook", 0);
        ok(&data, &["accounts", "remove", &text(&hook["id"]), "--yes"], "").await;
        for host in ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "239.255.255.250"] {
            let proxy = json!({ "host": host, "port": port });
            let order = json!({ "kind": "discord_webhook", "url": hook["url"], "proxy": proxy });
            let (status, problem) = answer(api.user(&ann, Method::POST, "/accounts").json(&order)).await;
            assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!("/proxy/host")), "{host}: {problem}");
        }
        let came = tokio::time::timeout(std::time::Duration::ZERO, trap.accept()).await;
        assert!(came.is_err(), "somebody was sent here: {came:?}");
    }
}

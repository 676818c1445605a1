//! Who may what: every route as every caller. A query that no route knows tells admission from its handler: whoever is let
//! in is told so with `invalid_request`, before anything is done.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::json;
use switchyard::crypto::{AccessTokens, Audience, Keyring, Vault};
use switchyard::http::api::{Access, EndpointSpec};
use switchyard::http::table;
use switchyard::services::caller::{Role, Scope};
use switchyard_sandbox::SandboxConfig;
use uuid::Uuid;

use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::people::{Api, PASSWORD, Tokens, answer};

/// How often one may call is other tests' affair. A proxy on this machine is believed, so that callers can be elsewhere.
const OPEN: [(&str, &str); 5] = [
    ("SWITCHYARD_PLANS__DEFAULT", "business"),
    ("SWITCHYARD_LIMITS__OPEN_REQUESTS", "1000000"),
    ("SWITCHYARD_LIMITS__ADMIN_REQUESTS", "1000000"),
    ("SWITCHYARD_LIMITS__KEY_REQUESTS", "1000000"),
    ("SWITCHYARD_HTTP__TRUSTED_PROXIES", "127.0.0.1"),
];

/// An id and a name that read as what stands in paths.
const SOMETHING: &str = "0193a0b0-0000-7000-8000-000000000001";
const SECRET: &str = "smtp-password";

/// Somewhere that no list names.
const ELSEWHERE: &str = "203.0.113.9";

/// Open to users and their keys, and yet about somebody in person: the operator has none.
const OF_PERSONS: [&str; 2] = ["get_me", "get_my_plan"];

/// Who asks, as far as admission tells callers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No credential, or one that is none, or somebody else's: nothing that this installation gave anybody.
    Nobody,
    User,
    ExpiredUser,
    SuspendedUser,
    /// By a key with one scope.
    Key(Scope),
    /// By a key with every scope, of a user who is suspended.
    SuspendedKey,
    Admin(Role),
    ExpiredAdmin,
    Operator,
}

/// One caller: who, with which headers, and whether from a network that is not allow-listed.
struct Caller {
    what: String,
    kind: Kind,
    headers: Vec<(&'static str, String)>,
    elsewhere: bool,
}

impl Caller {
    fn new(what: &str, kind: Kind, headers: Vec<(&'static str, String)>) -> Self {
        Self { what: what.to_owned(), kind, headers, elsewhere: false }
    }

    fn bearer(what: &str, kind: Kind, token: &str) -> Self {
        Self::new(what, kind, vec![("authorization", format!("Bearer {token}"))])
    }

    fn key(what: &str, kind: Kind, key: &str) -> Self {
        Self::new(what, kind, vec![("x-api-key", key.to_owned())])
    }

    /// The same through a proxy, from an address that is not allow-listed.
    fn moved_elsewhere(&self) -> Self {
        let mut headers = self.headers.clone();
        headers.push(("x-forwarded-for", ELSEWHERE.to_owned()));
        Self { what: format!("{}, from elsewhere", self.what), headers, elsewhere: true, ..*self }
    }
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    In,
    Unauthorized,
    Expired,
    Forbidden,
    Suspended,
}

impl Told {
    fn of(status: u16, code: Option<&str>) -> Option<Self> {
        Some(match (status, code?) {
            (400, "invalid_request") => Self::In,
            (401, "unauthorized") => Self::Unauthorized,
            (401, "token_expired") => Self::Expired,
            (403, "forbidden") => Self::Forbidden,
            (403, "suspended") => Self::Suspended,
            _ => return None,
        })
    }
}

/// The whole rule: what each access class tells each caller.
fn expected(spec: &EndpointSpec, caller: &Caller) -> Told {
    use Kind::{Admin, ExpiredAdmin, ExpiredUser, Key, Nobody, Operator, SuspendedKey, SuspendedUser, User};
    let told = match (spec.access, caller.kind) {
        _ if spec.access.is_staff() && caller.elsewhere => Told::Forbidden,
        (Access::Open | Access::StaffDoor, _) => Told::In,
        (_, Nobody) => Told::Unauthorized,
        (_, Operator) if caller.elsewhere || OF_PERSONS.contains(&spec.id) => Told::Forbidden,
        (Access::Person, Operator) => Told::Forbidden,
        (_, Operator) => Told::In,
        (Access::Staff(roles), Admin(role)) if roles.contains(&role) => Told::In,
        (Access::Staff(_) | Access::Operator, Admin(_)) => Told::Forbidden,
        (Access::Staff(_) | Access::Operator, ExpiredAdmin) => Told::Expired,
        (Access::User(_) | Access::Person, Admin(_) | ExpiredAdmin) => Told::Unauthorized,
        (Access::Staff(_) | Access::Operator, _) => Told::Unauthorized,
        (Access::User(_) | Access::Person, ExpiredUser) => Told::Expired,
        (Access::User(_) | Access::Person, User) | (Access::Person, SuspendedUser) => Told::In,
        (Access::Person, Key(_) | SuspendedKey) => Told::Forbidden,
        (Access::User(scope), Key(of)) => {
            if scope == of {
                Told::In
            } else {
                Told::Forbidden
            }
        }
        (Access::User(_), SuspendedUser | SuspendedKey) => Told::Suspended,
    };
    // Who is suspended sees, and does not change.
    if told == Told::Suspended && !spec.changes() { Told::In } else { told }
}

/// The path with something in place of its parameters that reads as what they are.
fn filled(spec: &EndpointSpec) -> String {
    let piece = |piece: &'static str| match piece {
        "{id}" => SOMETHING,
        "{name}" => SECRET,
        other => {
            assert!(!other.contains('{'), "{}: say here what stands for {other}", spec.path);
            other
        }
    };
    spec.path.split('/').map(piece).collect::<Vec<&str>>().join("/")
}

fn probe(api: &Api, caller: &Caller, method: Method, path: &str) -> RequestBuilder {
    let path = format!("{path}?nobody_knows_this=1");
    let request = api.anywhere(method, &path);
    caller.headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
}

async fn admin_token(api: &Api, role: Role) -> String {
    let login = json!({ "email": format!("{}@staff.example", role.as_str()), "password": PASSWORD });
    let (status, tokens) = api.post("/admin/auth/login", &login).await;
    assert_eq!(status, 200, "{tokens}");
    tokens["access_token"].as_str().expect("a token").to_owned()
}

async fn key(api: &Api, user: &Tokens, scopes: &[Scope]) -> String {
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let order = json!({ "name": "a program", "scopes": scopes });
    let (status, made) = answer(api.user(user, Method::POST, "/me/api-keys").json(&order)).await;
    assert_eq!(status, 201, "{made}");
    made["secret"].as_str().expect("the key, once").to_owned()
}

/// Tokens that are right in everything but their key, which is another installation's.
fn foreign(audience: Audience) -> String {
    use switchyard_actors::ports::Clock;
    let keyring = Keyring::parse("hKG6w0T3Jr7vJ1i0n8lS0c5m4yWm3Xq1kZl5r2t9uA0=", "a test").expect("a key");
    let vault = Arc::new(Vault::new(keyring, 1));
    let tokens = AccessTokens::new(vault, audience, "switchyard", Duration::from_secs(600));
    let now = switchyard::clock::SystemClock.now();
    let token =
        tokens.issue(Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3), now).expect("a token");
    token.expose_secret().to_owned()
}

/// What is left of people who were there before: tokens that are over, and somebody who was suspended meanwhile.
struct Past {
    user: String,
    admin: String,
    suspended: String,
    suspended_key: String,
}

/// Signs people in at a daemon whose tokens are soon over, and suspends one of them.
async fn past(world: &World, data: &DataDir) -> Past {
    let short = [&OPEN[..], &[("SWITCHYARD_AUTH__ACCESS_LIFETIME", "1s")]].concat();
    let daemon = Daemon::start_with(world, data, &short).await;
    let api = Api::of(data);
    for role in Role::ALL {
        let email = format!("{}@staff.example", role.as_str());
        let order = json!({ "email": email, "password": PASSWORD, "role": role });
        let (status, made) = answer(api.operator(Method::POST, "/admin/admins").json(&order)).await;
        assert_eq!(status, 201, "{made}");
    }
    let admin = admin_token(&api, Role::Owner).await;
    let user = api.new_user("past@example.org").await.access;
    eventually("the token's end", || async {
        let over = api.anonymous(Method::GET, "/me").bearer_auth(&user);
        (answer(over).await.1["code"] == "token_expired").then_some(())
    })
    .await;
    assert!(daemon.terminate().await.success());

    let daemon = Daemon::start_with(world, data, &OPEN).await;
    let api = Api::of(data);
    let suspended = api.new_user("suspended@example.org").await;
    let suspended_key = key(&api, &suspended, &Scope::ALL).await;
    let me = answer(api.user(&suspended, Method::GET, "/me")).await.1;
    assert!(daemon.terminate().await.success());
    let id = me["id"].as_str().expect("an id");
    let id = match data.store_url() {
        Some(_) => format!("'{id}'"),
        None => format!("X'{}'", id.replace('-', "")),
    };
    let suspend = format!("UPDATE users SET state = 'suspended', state_reason = 'spam' WHERE id = {id}");
    assert_eq!(data.alter(&suspend).await, 1);
    Past { user, admin, suspended: suspended.access, suspended_key }
}

/// Everybody who may come.
async fn callers(api: &Api, past: &Past) -> Vec<Caller> {
    let user = api.new_user("somebody@example.org").await;
    let nobody = |what: &str, token: &str| Caller::bearer(what, Kind::Nobody, token);
    let unsigned = user.access.rsplit_once('.').expect("three parts").0;
    let two = [("authorization", format!("Bearer {}", user.access)), ("x-api-key", "sy_nonsense".to_owned())];
    let mut callers = vec![
        Caller::new("nobody", Kind::Nobody, Vec::new()),
        nobody("a token that is none", "nonsense"),
        nobody("a token of three pieces", "a.b.c"),
        nobody("a token without its signature", &format!("{unsigned}.")),
        nobody("a refresh token", &user.refresh),
        nobody("another installation's user", &foreign(Audience::User)),
        nobody("another installation's admin", &foreign(Audience::Admin)),
        Caller::key("a key that is none", Kind::Nobody, "nonsense"),
        Caller::new("two credentials", Kind::Nobody, two.to_vec()),
        Caller::bearer("a user", Kind::User, &user.access),
        Caller::bearer("a user whose token is over", Kind::ExpiredUser, &past.user),
        Caller::bearer("a suspended user", Kind::SuspendedUser, &past.suspended),
        Caller::key("a suspended user's key", Kind::SuspendedKey, &past.suspended_key),
        Caller::bearer("an admin whose token is over", Kind::ExpiredAdmin, &past.admin),
        Caller::bearer("the operator", Kind::Operator, api.operator_token()),
    ];
    for scope in Scope::ALL {
        let made = key(api, &user, &[scope]).await;
        callers.push(Caller::key(&format!("a key for {}", scope.as_str()), Kind::Key(scope), &made));
    }
    for role in Role::ALL {
        let token = admin_token(api, role).await;
        callers.push(Caller::bearer(&format!("an admin, {}", role.as_str()), Kind::Admin(role), &token));
    }
    let travels = [Kind::Nobody, Kind::User, Kind::Operator, Kind::Admin(Role::Owner)];
    for kind in travels {
        let at_home = callers.iter().find(|caller| caller.kind == kind).expect("such a caller");
        callers.push(at_home.moved_elsewhere());
    }
    callers
}

daemon_on_both_databases! {
    async fn every_route_lets_in_whom_its_access_class_says(data) {
        let world = World::start(SandboxConfig::default()).await;
        let past = past(&world, &data).await;
        let _daemon = Daemon::start_with(&world, &data, &OPEN).await;
        let api = Api::of(&data);
        let callers = callers(&api, &past).await;
        let mut wrong = Vec::new();
        for spec in table() {
            let path = filled(&spec);
            let method: Method = spec.method.as_str().parse().unwrap();
            for caller in &callers {
                let (status, body) = answer(probe(&api, caller, method.clone(), &path)).await;
                let (told, wanted) = (Told::of(status, body["code"].as_str()), expected(&spec, caller));
                if told != Some(wanted) {
                    wrong.push(format!("{method} {path} for {}: {status} {body}, not {wanted:?}", caller.what));
                }
                if method == Method::GET {
                    let head = probe(&api, caller, Method::HEAD, &path).send().await.unwrap();
                    if head.status().as_u16() != status {
                        wrong.push(format!("HEAD {path} for {}: {}, not {status}", caller.what, head.status()));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

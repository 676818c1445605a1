//! A server with the staff's real services over a store, behind a proxy on loopback that tells the callers' addresses.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use switchyard::crypto::{AccessTokens, Audience, Keyring, PasswordParams, Passwords, SystemRng, Vault};
use switchyard::http::{HttpHandle, HttpState, Services, serve};
use switchyard::services::audit::{Audit, AuditLog};
use switchyard::services::entry::Entries;
use switchyard::services::networks::{AdminAllowList, NetworksConfig};
use switchyard::services::operator::OperatorAccess;
use switchyard::services::staff::{StaffConfig, StaffEntry, StaffParts, StaffService};

use crate::harness::store::Fixture;
use crate::http_support::{DEADLINE, FakeAdmin, http_config, services};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A server, and callers for it.
pub(crate) struct StaffServer {
    pub(crate) address: SocketAddr,
    access: OperatorAccess,
    handle: HttpHandle,
    client: reqwest::Client,
}

fn config() -> StaffConfig {
    StaffConfig {
        issuer: "switchyard".to_owned(),
        session_idle: Duration::from_secs(3_600),
        session_lifetime: Duration::from_secs(7_200),
        admins_max: 10,
        failures_free: 3,
        delay_first: Duration::from_secs(1),
        lockout: Duration::from_secs(4),
        failures_kept: Duration::from_secs(3_600),
        failures_max: 100,
    }
}

/// Signs tokens as the server does.
pub(crate) fn tokens(key: &str, audience: Audience) -> AccessTokens {
    let vault = Arc::new(Vault::new(Keyring::parse(key, "a test").unwrap(), 10));
    AccessTokens::new(vault, audience, "switchyard", Duration::from_secs(600))
}

impl StaffServer {
    pub(crate) fn start(fixture: &Fixture) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let access = OperatorAccess::generate(address, &SystemRng);
        let state = HttpState::migrating(&access, fixture.clock.clone(), Arc::new(SystemRng));
        let http = http_config(&[("http.trusted_proxies", "127.0.0.1, 10.0.0.0/8")]);
        let server = serve(listener, Arc::clone(&state), &http).unwrap();
        let handle = server.handle();
        tokio::spawn(server.run());
        let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap();
        let small = PasswordParams { memory_kib: 64, passes: 1, lanes: 1, at_once: 4, waiting_max: 64 };
        let audit: Arc<dyn Audit> =
            Arc::new(AuditLog::new(fixture.store.clone(), fixture.ids.clone(), 4_096));
        let staff = Arc::new(StaffService::new(StaffParts {
            store: fixture.store.clone(),
            passwords: Arc::new(Passwords::new(small, Arc::new(SystemRng)).unwrap()),
            tokens: tokens(&fixture.key, Audience::Admin),
            audit: Arc::clone(&audit),
            clock: fixture.clock.clone(),
            rng: Arc::new(SystemRng),
            ids: fixture.ids.clone(),
            config: config(),
        }));
        let networks =
            NetworksConfig { configured: Vec::new(), stored_max: 10, refresh: Duration::from_secs(3_600) };
        let door = Entries { staff: Some(Arc::new(StaffEntry::new(staff.clone()))), ..Entries::default() };
        state.serve_with(Services {
            entry: Arc::new(door),
            networks: Arc::new(AdminAllowList::new(fixture.store.clone(), networks)),
            audit,
            staff,
            ..services(Arc::new(FakeAdmin::with_paths(&["root", "pairs/1"])))
        });
        Self { address, access, handle, client }
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn operator(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.access.token())
    }

    /// The operator makes an admin; answers the id.
    pub(crate) async fn admin(&self, email: &str, role: &str) -> String {
        let order = json!({ "email": email, "password": PASSWORD, "role": role });
        let made = self.operator(Method::POST, "/api/v1/admin/admins").json(&order).send().await.unwrap();
        assert_eq!(made.status().as_u16(), 201, "{}", made.text().await.unwrap());
        made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn login(&self, body: &Value) -> Response {
        self.anonymous(Method::POST, "/api/v1/admin/auth/login").json(body).send().await.unwrap()
    }

    /// Signs in by password; answers the tokens.
    pub(crate) async fn sign_in(&self, email: &str) -> Value {
        let answer = self.login(&json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(answer.status().as_u16(), 200, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// A call with an access token; answers status and body.
    pub(crate) async fn call(
        &self,
        tokens: &Value,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let request = self.anonymous(method, path).bearer_auth(tokens["access_token"].as_str().unwrap());
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn stop(self) {
        self.handle.stop().await;
    }
}

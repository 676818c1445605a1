//! `switchyard admin`: the first admin is made by command line, on record, and comes in.

use serde_json::{Value, json};
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, World};
use crate::harness::operator::{fails, ok};

async fn login(data: &DataDir, password: &str) -> reqwest::Response {
    let address = std::fs::read_to_string(data.path().join("http-address")).unwrap();
    let url = format!("http://{}/api/v1/admin/auth/login", address.trim());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.post(url).json(&json!({ "email": "ada@example.org", "password": password })).send().await.unwrap()
}

daemon_on_both_databases! {
    /// Add, sign in, disable, set a new password; the last owner stays; everything is on record as the operator's.
    async fn the_first_admin_is_made_by_command_line(data) {
        let world = World::start(SandboxConfig::default()).await;
        let daemon = Daemon::start(&world, &data).await;
        let add = ["admin", "add", "Ada@Example.org", "--role", "owner"];
        let said = ok(&data, &add, "correct horse battery\n").await;
        assert_eq!(said.trim(), "ada@example.org is owner now");
        assert!(fails(&data, &add, "correct horse battery\n").await.1.contains("there is an admin"), "twice");
        assert!(fails(&data, &["admin", "add", "bob@example.org", "--role", "owner"], "short\n").await.1.contains("12"));
        let tokens: Value = login(&data, "correct horse battery").await.json().await.unwrap();
        assert_eq!(tokens["token_type"], "Bearer");
        let last = fails(&data, &["admin", "disable", "ada@example.org"], "").await;
        assert!(last.1.contains("last active owner"), "{last:?}");
        let add = ["admin", "add", "bob@example.org", "--role", "owner", "--json"];
        let said: Value = serde_json::from_str(&ok(&data, &add, "another long one\n").await).unwrap();
        assert_eq!((&said["email"], &said["role"]), (&json!("bob@example.org"), &json!("owner")));
        assert_eq!(ok(&data, &["jobs", "list"], "").await, ok(&data, &["jobs"], "").await);
        ok(&data, &["admin", "disable", "ada@example.org"], "").await;
        assert_eq!(login(&data, "correct horse battery").await.status().as_u16(), 401);
        ok(&data, &["admin", "enable", "ada@example.org"], "").await;
        ok(&data, &["admin", "reset-password", "ada@example.org"], "quite another one\n").await;
        assert_eq!(login(&data, "quite another one").await.status().as_u16(), 200);
        ok(&data, &["admin", "set-role", "ada@example.org", "--role", "support"], "").await;
        let list: Value = serde_json::from_str(&ok(&data, &["admin", "list", "--json"], "").await).unwrap();
        assert_eq!(list[0]["role"], "support");
        assert!(daemon.terminate().await.success());
        for (place, bytes) in data.contents().await {
            for secret in ["correct horse battery", "quite another one"] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {place}");
            }
        }
    }
}

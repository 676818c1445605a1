//! The API against its own document: document and routes as they were agreed on, and a stranger that tries every operation.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use ring::digest;
use serde_json::Value;
use switchyard::http::{api, table};
use switchyard_sandbox::{SandboxConfig, SeedShape};

use crate::harness::daemon::{Daemon, DataDir, World, switchyard};
use crate::harness::people::Api;
use crate::http_support::{FakeAdmin, Harness};
use crate::peers::python;

/// Set to write the files below anew; their changes are then read like those of code.
const WRITE: &str = "SWITCHYARD_WRITE_SNAPSHOTS";

/// How often one person may call is other tests' affair, and so is how often one may fail to come in.
const NO_LIMITS: [(&str, &str); 9] = [
    ("SWITCHYARD_PLANS__DEFAULT", "business"),
    ("SWITCHYARD_LIMITS__OPEN_REQUESTS", "1000000"),
    ("SWITCHYARD_LIMITS__ADMIN_REQUESTS", "1000000"),
    ("SWITCHYARD_LIMITS__SIGN_INS_MAX", "1000"),
    ("SWITCHYARD_LIMITS__SIGN_INS_PER_USER_MAX", "1000"),
    ("SWITCHYARD_AUTH__FAILURES_FREE", "1000000"),
    ("SWITCHYARD_AUTH__FAILURES_FREE_ADDRESS", "1000000"),
    ("SWITCHYARD_AUTH__FAILURES_FREE_ACCOUNT", "1000000"),
    ("SWITCHYARD_ADMIN__ADMINS_MAX", "100000"),
];

/// Compares a text with what was committed, line by line, or writes it anew.
fn is_as_it_was(name: &str, now: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&file, now).expect("the snapshot is written");
        return;
    }
    let then = std::fs::read_to_string(&file).unwrap_or_default();
    if then == now {
        return;
    }
    let differs = then.lines().zip(now.lines()).position(|(then, now)| then != now);
    let line = differs.unwrap_or_else(|| then.lines().count().min(now.lines().count()));
    let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
    panic!(
        "{} is not what the code says, from line {}:\n  then: {}\n  now:  {}\nIf the change of the API is meant, run this \
         test with {WRITE}=1, and commit the file with it.",
        file.display(),
        line + 1,
        at(&then),
        at(now),
    );
}

#[test]
fn routes_and_who_may_call_them_are_as_they_were() {
    let line = |spec: &api::EndpointSpec| {
        format!("{:6} {:52} {:28} {}\n", spec.method.as_str(), spec.path, spec.id, spec.access.describe())
    };
    is_as_it_was("routes.txt", &table().iter().map(line).collect::<String>());
}

#[test]
fn the_document_is_as_it_was() {
    let output = switchyard(&["openapi"]).output().expect("the command runs");
    assert!(output.status.success());
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document, api::document(), "the command prints the document of the code");
    assert_eq!(document["openapi"], "3.1.0");
    is_as_it_was("openapi.json", &format!("{document:#}\n"));
}

/// What the browser is told to let in is the page's own style, and the page asks for nothing else.
#[actix_web::test]
async fn the_reference_page_needs_nothing_from_elsewhere() {
    let harness = Harness::start(FakeAdmin::with_paths(&["root"]));
    let answer = harness.anonymous(Method::GET, "/docs").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let policies = answer.headers().get_all("content-security-policy").iter();
    let policies: Vec<String> = policies.map(|policy| policy.to_str().expect("text").to_owned()).collect();
    let page = answer.text().await.expect("a page");
    let style = page.split_once("<style>").expect("a style").1.split_once("</style>").expect("its end").0;
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(policies, [policy]);
    for part in ["<script", "<link", "<img", "<iframe", "<base", " src=", " style=", " on", "@import", "url("]
    {
        // Between angle brackets only: what stands in texts is no part of the page.
        let tags = page.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag);
        let found = tags.map(|tag| format!("<{tag}")).find(|tag| tag.contains(part));
        assert_eq!(found, None, "{part}");
    }
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(to, _)| to);
    for link in links {
        assert!(link.starts_with('#') || link == "/openapi.json", "a link to {link}");
    }
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_keeps_to_the_document() {
    let Some(python) = python() else { return };
    let data = DataDir::default();
    let shape = SeedShape { telegram_users: 2, discord_bots: 2, webhooks: 8, ..SeedShape::default() };
    let world = World::start(SandboxConfig { shape, ..SandboxConfig::default() }).await;
    let _daemon = Daemon::start_with(&world, &data, &NO_LIMITS).await;
    let api = Api::of(&data);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/contract.py");
    let mut judge = Command::new(python);
    judge.arg(script).args(["--api", api.base(), "--sandbox", &world.control]);
    judge.args(["--operator-token", api.operator_token()]).arg("--mail").arg(data.path().join("mail"));
    let output = tokio::task::spawn_blocking(move || judge.output());
    let output = output.await.expect("it runs").expect("the script runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{complained}");
    println!("{said}");
}

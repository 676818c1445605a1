//! Completion scripts and manual pages are made from the command line and name all of it.

use std::collections::BTreeSet;
use std::process::Command;

use clap::CommandFactory;
use switchyard::cli::{Cli, ExitCode};
use tempfile::TempDir;

use crate::cli_support::switchyard;

/// Every verb and every verb below one, such as `pairs` and `pairs add`, without `help`.
fn verbs() -> BTreeSet<Vec<String>> {
    fn walk(command: &clap::Command, above: &[String], found: &mut BTreeSet<Vec<String>>) {
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let path: Vec<String> = above.iter().cloned().chain([verb.get_name().to_owned()]).collect();
            walk(verb, &path, found);
            found.insert(path);
        }
    }
    let mut found = BTreeSet::new();
    walk(&Cli::command(), &[], &mut found);
    assert!(found.len() >= 9, "{found:?}");
    found
}

#[actix_web::test]
async fn completions_name_every_verb_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = switchyard(&["completions", shell]).await;
        assert_eq!((done.code, done.err.as_str()), (ExitCode::Ok, ""), "{shell}");
        for verb in verbs() {
            let last = verb.last().unwrap();
            assert!(done.out.contains(last.as_str()), "{shell} does not know {verb:?}");
        }
    }
    let unknown = switchyard(&["completions", "tcsh"]).await;
    assert_eq!(unknown.code, ExitCode::Usage);
}

#[actix_web::test]
async fn the_script_for_bash_is_a_script_and_completes() {
    let script = switchyard(&["completions", "bash"]).await.out;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("switchyard.bash");
    std::fs::write(&file, script).unwrap();
    let bash = |arguments: &[&str]| {
        let run = Command::new("bash").args(arguments).output().expect("bash is installed");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    };
    bash(&["-n", file.to_str().unwrap()]);
    let ask = format!(
        "source {}; COMP_WORDS=(switchyard stat); COMP_CWORD=1; _switchyard switchyard stat switchyard; \
         echo \"${{COMPREPLY[@]}}\"",
        file.display()
    );
    assert_eq!(bash(&["-c", &ask]).trim(), "status");
}

#[actix_web::test]
async fn the_manual_has_a_page_for_every_verb() {
    let page = switchyard(&["man"]).await;
    assert_eq!(page.code, ExitCode::Ok);
    assert!(page.out.contains(".TH switchyard 1"), "{}", page.out);
    for verb in verbs().iter().filter(|verb| verb.len() == 1) {
        // In roff a hyphen is written \-.
        let name = format!("switchyard\\-{}", verb[0].replace('-', "\\-"));
        assert!(page.out.contains(&name), "{name} is not in {}", page.out);
    }
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("man1");
    let done = switchyard(&["man", "--dir", target.to_str().unwrap()]).await;
    assert_eq!((done.code, done.err.as_str()), (ExitCode::Ok, ""));
    for verb in verbs() {
        let page = std::fs::read_to_string(target.join(format!("switchyard-{}.1", verb.join("-")))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{verb:?}: {page}");
    }
    assert!(target.join("switchyard.1").is_file());
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = switchyard(&["man", "--dir", file.to_str().unwrap()]).await;
    assert_eq!(refused.code, ExitCode::Io);
}

#[actix_web::test]
async fn the_openapi_document_is_printed_as_json() {
    let done = switchyard(&["openapi"]).await;
    assert_eq!((done.code, done.err.as_str()), (ExitCode::Ok, ""));
    let document: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/pairs/{id}"]["patch"].is_object());
}

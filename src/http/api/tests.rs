//! The registry as a whole: what every endpoint has to say of itself, and a document that holds together.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::document;
use crate::http::routes::{endpoints, table};

fn refs(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("$ref", Value::String(to)) => {
                        found.insert(to.clone());
                    }
                    _ => refs(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| refs(item, found)),
        _ => {}
    }
}

#[test]
fn every_endpoint_says_what_it_is() {
    let mut ids = BTreeSet::new();
    for spec in table() {
        let at = format!("{} {}", spec.method, spec.path);
        assert!(ids.insert(spec.id), "{at}: the id {:?} is there twice", spec.id);
        let snake =
            spec.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        assert!(!spec.id.is_empty() && snake, "{at}: the id {:?} is not in snake case", spec.id);
        assert!(!spec.tag.is_empty() && !spec.summary.is_empty(), "{at}: no tag or no summary");
        assert!(!spec.summary.ends_with('.'), "{at}: a summary is a few words, without a full stop");
        assert_eq!(
            spec.access.is_staff(),
            spec.path.starts_with("/api/v1/admin/"),
            "{at}: the staff's routes, and only they, lie under /api/v1/admin"
        );
    }
    assert_eq!(ids.len(), endpoints().len());
}

#[test]
fn parameters_of_a_path_are_those_that_its_handler_reads() {
    let document = document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let named: BTreeSet<&str> =
            path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        for (method, operation) in methods.as_object().unwrap() {
            let read: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(named, read, "{method} {path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_needed() {
    let document = document();
    let mut found = BTreeSet::new();
    refs(&document, &mut found);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let responses = document["components"]["responses"].as_object().unwrap();
    let schema_refs = schemas.keys().map(|name| format!("#/components/schemas/{name}"));
    let there: BTreeSet<String> =
        schema_refs.chain(responses.keys().map(|name| format!("#/components/responses/{name}"))).collect();
    assert_eq!(found, there);
    let numbered: Vec<&String> = schemas.keys().filter(|name| name.ends_with(char::is_numeric)).collect();
    assert!(numbered.is_empty(), "two types have one name: rename one of {numbered:?}");
}

#[test]
fn the_page_has_every_operation_and_schema_and_loads_nothing() {
    let published = super::Published::new();
    let page = std::str::from_utf8(&published.page).unwrap();
    for spec in table() {
        assert!(page.contains(&format!("<section id=\"{}\">", spec.id)), "{}", spec.id);
    }
    for foreign in ["<script", "src=", "http://", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(published.policy.starts_with("default-src 'none'; style-src 'sha256-"));
}

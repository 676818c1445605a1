//! The registry as a whole: what every endpoint has to say of itself, and a document that holds together.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::{Value, json};

use super::access::Access;
use super::document::document;
use crate::http::problem::ProblemCode;
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

/// The schema that a reference names, or the schema itself.
fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(to) => document.pointer(to.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Every operation of the document, with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

/// Fields of a request that nothing is said of, however deep.
fn undescribed(
    document: &Value,
    at: &str,
    schema: &Value,
    seen: &mut BTreeSet<String>,
    found: &mut Vec<String>,
) {
    if let Some(to) = schema["$ref"].as_str()
        && !seen.insert(to.to_owned())
    {
        return;
    }
    let schema = resolve(document, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        if field["description"].is_null() && resolve(document, field)["description"].is_null() {
            found.push(at.clone());
        }
        undescribed(document, &at, field, seen, found);
    }
    for part in ["anyOf", "oneOf", "allOf"] {
        for one in schema[part].as_array().into_iter().flatten() {
            undescribed(document, at, one, seen, found);
        }
    }
    if schema["items"].is_object() {
        undescribed(document, at, &schema["items"], seen, found);
    }
}

#[test]
fn what_is_read_is_described_and_every_body_has_an_example() {
    let document = document();
    for (at, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap() {
            let schema = resolve(&document, &parameter["schema"]);
            let said = !parameter["description"].is_null() || !schema["description"].is_null();
            assert!(said, "{at}: nothing is said of the parameter {}", parameter["name"]);
        }
        let Some(media) = operation.pointer("/requestBody/content/application~1json") else { continue };
        let body = resolve(&document, &media["schema"]);
        assert!(!body["description"].is_null(), "{at}: nothing is said of the body");
        let mut found = Vec::new();
        undescribed(&document, "", &media["schema"], &mut BTreeSet::new(), &mut found);
        assert_eq!(found, [""; 0], "{at}: fields of the body that nothing is said of");
        assert!(!body["examples"][0].is_null(), "{at}: the body has no `#[schemars(example = …)]`");
        assert_eq!(media["examples"]["example-1"]["value"], body["examples"][0], "{at}");
    }
}

#[test]
fn every_operation_says_who_may_call_it_and_what_may_come_of_it() {
    let document = document();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let operations = operations(&document);
    assert_eq!(operations.len(), table().len());
    for spec in table() {
        let (at, operation) =
            operations.iter().find(|(_, operation)| operation["operationId"] == spec.id).unwrap();
        assert!(!operation["description"].as_str().unwrap().is_empty(), "{at}");
        let security: Vec<&str> = operation["security"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|one| one.as_object().unwrap().keys().map(String::as_str))
            .collect();
        let wanted: &[&str] = match spec.access {
            Access::Open | Access::StaffDoor => &[],
            Access::User(_) => &["user_token", "api_key", "operator_token"],
            Access::Person => &["user_token"],
            Access::Staff(_) => &["admin_token", "operator_token"],
            Access::Operator => &["operator_token"],
        };
        assert_eq!(security, wanted, "{at}");
        assert!(security.iter().all(|name| schemes.contains_key(*name)), "{at}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{at}: nothing good comes of it");
        for (status, answer) in answers {
            let answer = resolve(&document, answer);
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{at} {status}");
            if status.starts_with(['4', '5']) {
                let schema = &answer["content"]["application/problem+json"]["schema"];
                let codes = schema.pointer("/allOf/1/properties/code/enum").unwrap();
                assert!(!codes.as_array().unwrap().is_empty(), "{at} {status}: no codes");
            }
        }
        assert!(answers.contains_key("401") || !spec.access.needs_credential(), "{at}");
    }
}

/// Answered below the router or by it, at any path: of no endpoint in particular.
const ANY_PATH: [ProblemCode; 3] =
    [ProblemCode::MalformedRequest, ProblemCode::MethodNotAllowed, ProblemCode::ExpectationFailed];

#[test]
fn every_problem_code_is_documented_and_some_endpoint_answers_it() {
    let document = document();
    let catalogue = document["components"]["schemas"]["ProblemCode"]["description"].as_str().unwrap();
    let responses = document["components"]["responses"].as_object().unwrap();
    for code in ProblemCode::ALL {
        let line = format!("- `{}` ({}): ", code.as_str(), code.status().as_u16());
        assert!(catalogue.contains(&line), "{code:?} is not in the catalogue");
        let named = |name: &str| name.split(['-', '.']).any(|part| part == code.as_str());
        let answered = responses.keys().any(|name| named(name));
        assert_ne!(answered, ANY_PATH.contains(&code), "{code:?}");
    }
    let named = document.pointer("/components/schemas/ProblemCode/enum").unwrap();
    assert_eq!(*named, json!(ProblemCode::ALL.as_slice()));
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
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
    let allowed = format!("default-src 'none'; style-src 'sha256-{hash}'; ");
    assert!(published.policy.starts_with(&allowed), "{} allows another style", published.policy);
    assert_eq!(page.matches("<style").count(), 1);
}

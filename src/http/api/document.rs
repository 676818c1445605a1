//! The OpenAPI document, put together from the endpoints.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::access::Access;
use super::endpoint::{Endpoint, EndpointSpec};
use super::keyed;
use super::schema::{COMPONENTS, Describer, Operation, settle};
use crate::http::problem::{PROBLEM_JSON, ProblemCode, ProblemDocument};
use crate::http::routes;

/// What may go wrong at every endpoint.
const ANYWHERE: [ProblemCode; 4] = [
    ProblemCode::InvalidRequest,
    ProblemCode::HeadTooLarge,
    ProblemCode::InternalError,
    ProblemCode::AnswerTimeout,
];

/// The OpenAPI 3.1 document of this version.
#[must_use]
pub fn document() -> Value {
    let endpoints = routes::endpoints();
    let mut describer = Describer::new();
    let problem = describer.output::<ProblemDocument>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut refusals = Refusals { problem, named: Map::new() };
    for endpoint in &endpoints {
        endpoint.describe(&mut describer);
        let spec = endpoint.spec();
        let said = operation(spec, describer.take_operation(), &mut refusals);
        paths.entry(spec.path).or_default().insert(spec.method.as_str().to_ascii_lowercase(), said);
    }
    let mut schemas = describer.schemas();
    if let Some(Value::Object(codes)) = schemas.get_mut("ProblemCode") {
        codes.insert("description".to_owned(), json!(catalogue()));
    }
    let mut paths = settle(json!(paths), &schemas);
    let schemas = settle(Value::Object(schemas.clone()), &schemas);
    show_examples(&mut paths, &schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Switchyard",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Forwards messages between Telegram and Discord",
            "description": DESCRIPTION,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags(&endpoints),
        "paths": paths,
        "components": {
            "schemas": schemas, "responses": refusals.named, "securitySchemes": security_schemes(),
        },
    })
}

const DESCRIPTION: &str = "\
Ids are UUIDv7 strings, times RFC 3339 in UTC. Lists take `limit` (1 to 200) and `cursor`, and answer `next_cursor`. \
Unknown fields are refused. Every error is a problem document (RFC 9457) with a `code` from a closed list; `errors` names the \
fields at fault. `X-Request-Id` is taken and given back. A path that answers GET answers HEAD. `RateLimit-Policy` and \
`RateLimit` (draft-ietf-httpapi-ratelimit-headers-11) tell the limits that a call is under and what is left of them; a refused \
call counts for none of them. A POST may carry an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): the same \
order with the same key is carried out once, and answered again for a day; what was refused with 4xx leaves the key free.";

/// Every code with its status and its sentence.
fn catalogue() -> String {
    let line =
        |code: ProblemCode| format!("- `{}` ({}): {}", code.as_str(), code.status().as_u16(), code.title());
    let lines: Vec<String> = ProblemCode::ALL.into_iter().map(line).collect();
    format!("What went wrong, as a caller's program reads it. Never renamed.\n\n{}", lines.join("\n"))
}

/// Puts the examples of a request's schema beside it as well, where tools look for them.
fn show_examples(paths: &mut Value, schemas: &Value) {
    let methods = paths.as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = methods.filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut());
    for operation in operations {
        let media = operation.pointer_mut("/requestBody/content/application~1json");
        let Some(media) = media.and_then(Value::as_object_mut) else { continue };
        let name = media.get("schema").and_then(|schema| schema.get("$ref")).and_then(Value::as_str);
        let name = name.and_then(|to| to.strip_prefix(COMPONENTS));
        let schema = name.and_then(|name| schemas.get(name));
        let examples = schema.and_then(|schema| schema.get("examples")).and_then(Value::as_array);
        let examples: Map<String, Value> = (1..)
            .zip(examples.into_iter().flatten())
            .map(|(number, value)| (format!("example-{number}"), json!({ "value": value })))
            .collect();
        media.insert("examples".to_owned(), Value::Object(examples));
    }
}

fn tags(endpoints: &[Endpoint]) -> Value {
    let names: BTreeSet<&str> = endpoints.iter().map(|endpoint| endpoint.spec().tag).collect();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn security_schemes() -> Value {
    let bearer = |description: &str, format: &str| json!({ "type": "http", "scheme": "bearer", "bearerFormat": format, "description": description });
    json!({
        "user_token": bearer("Access token of a user who signed in.", "JWT"),
        "admin_token": bearer("Access token of an admin who signed in.", "JWT"),
        "operator_token": bearer(
            "The operator's token of this run, from the file `operator-token` in the data folder; from loopback only.", "opaque"),
        "api_key": {
            "type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "A user's API key, within its scopes.",
        },
    })
}

fn security(access: Access) -> Value {
    match access {
        Access::Open | Access::StaffDoor => json!([]),
        Access::User(_) => json!([{ "user_token": [] }, { "api_key": [] }, { "operator_token": [] }]),
        Access::Person => json!([{ "user_token": [] }]),
        Access::Staff(_) => json!([{ "admin_token": [] }, { "operator_token": [] }]),
        Access::Operator => json!([{ "operator_token": [] }]),
    }
}

fn operation(spec: &EndpointSpec, said: Operation, refusals: &mut Refusals) -> Value {
    let limited = spec.path.starts_with("/api/");
    let mut problems = said.problems;
    problems.extend(ANYWHERE);
    problems.extend(spec.problems);
    if limited {
        problems.extend([ProblemCode::NotReady, ProblemCode::Unavailable, ProblemCode::TooManyRequests]);
    }
    if keyed::takes_key(spec) {
        problems.extend([ProblemCode::RequestInProgress, ProblemCode::IdempotencyKeyReused]);
    }
    if spec.access.needs_credential() {
        problems.extend([
            ProblemCode::Unauthorized,
            ProblemCode::TokenExpired,
            ProblemCode::Forbidden,
            ProblemCode::Suspended,
        ]);
    }
    if spec.access.is_staff() {
        problems.insert(ProblemCode::Forbidden);
    }
    let mut responses: BTreeMap<String, Value> = said
        .answers
        .into_iter()
        .map(|(status, answer)| (status.to_string(), with_headers(answer, limited)))
        .collect();
    let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
    for code in problems {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    for (status, codes) in by_status {
        responses.insert(status.to_string(), refusals.name(status, &codes));
    }
    let mut parameters = said.parameters;
    if keyed::takes_key(spec) {
        parameters.push(keyed::parameter());
    }
    let mut operation = json!({
        "operationId": spec.id,
        "tags": [spec.tag],
        "summary": spec.summary,
        "description": description(spec),
        "security": security(spec.access),
        "parameters": parameters,
        "responses": responses,
        "x-access": spec.access.describe(),
    });
    if let (Some(body), Some(operation)) = (said.body, operation.as_object_mut()) {
        let content = json!({ "application/json": { "schema": body } });
        operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    operation
}

fn description(spec: &EndpointSpec) -> String {
    let text = if spec.description.is_empty() { spec.summary } else { spec.description };
    format!("{}\n\nAccess: {}.", text.trim_end_matches('.').to_owned() + ".", spec.access.describe())
}

/// The ways to be refused, each written down once and named by its status and codes.
struct Refusals {
    problem: Value,
    named: Map<String, Value>,
}

impl Refusals {
    fn name(&mut self, status: u16, codes: &[ProblemCode]) -> Value {
        let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let name = format!("{status}-{}", names.join("."));
        if !self.named.contains_key(&name) {
            self.named.insert(name.clone(), refusal(codes, &self.problem));
        }
        json!({ "$ref": format!("#/components/responses/{name}") })
    }
}

/// The answer of one status: one document, with the codes that may stand in it.
fn refusal(codes: &[ProblemCode], problem: &Value) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let lines: Vec<String> =
        codes.iter().map(|code| format!("- `{}`: {}", code.as_str(), code.title())).collect();
    let schema = json!({
        "allOf": [problem, { "type": "object", "properties": { "code": { "enum": names } } }],
    });
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| {
            (
                code.as_str().to_owned(),
                json!({ "value": crate::http::problem::Problem::plain(*code).document() }),
            )
        })
        .collect();
    let content = json!({ PROBLEM_JSON: { "schema": schema, "examples": examples } });
    with_headers(json!({ "description": lines.join("\n"), "content": content }), true)
}

/// Headers of every answer, and those of an answer under limits.
fn with_headers(mut answer: Value, limited: bool) -> Value {
    if let Some(answer) = answer.as_object_mut() {
        let id = json!({ "description": "The request's id, as in the log.", "schema": { "type": "string" } });
        let text = |text: &str| json!({ "description": text, "schema": { "type": "string" } });
        let mut headers = json!({ "X-Request-Id": id });
        if limited && let Some(headers) = headers.as_object_mut() {
            headers.insert("RateLimit".to_owned(), text("What is left of each limit."));
            headers.insert("RateLimit-Policy".to_owned(), text("The limits that the call is under."));
        }
        answer.insert("headers".to_owned(), headers);
    }
    answer
}

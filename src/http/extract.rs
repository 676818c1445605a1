//! Extractors whose errors are problem documents: JSON bodies, queries and paths, in which unknown fields are refused.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use futures_util::future::{Ready, ready};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::{Problem, ProblemCode};
use super::state::{Bounds, shared};
use super::strict::{NUL, Strict};

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bounds = shared::<Bounds>(req).map(|bounds| ***bounds);
        let media = is_json(req);
        let declared = declared_length(req);
        let payload = payload.take();
        Box::pin(async move {
            let bounds = bounds?;
            if !media {
                return Err(Problem::new(
                    ProblemCode::UnsupportedMediaType,
                    "the body must be application/json in UTF-8",
                ));
            }
            let bytes = in_time(payload, declared, bounds).await?;
            parse(&bytes).map(Self)
        })
    }
}

/// Reads a body, whatever it is.
pub(super) async fn read_body(
    req: &HttpRequest,
    payload: &mut Payload,
    bounds: Bounds,
) -> Result<Vec<u8>, Problem> {
    in_time(payload.take(), declared_length(req), bounds).await
}

async fn in_time(payload: Payload, declared: Option<usize>, bounds: Bounds) -> Result<Vec<u8>, Problem> {
    tokio::time::timeout(bounds.body_timeout, read(payload, declared, bounds.body_max))
        .await
        .map_err(|_| Problem::new(ProblemCode::RequestTimeout, "the body did not arrive in time"))?
}

fn is_json(req: &HttpRequest) -> bool {
    let Some(Ok(value)) = req.headers().get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().eq_ignore_ascii_case("application/json");
    media
        && parts.all(|parameter| {
            let charset = parameter.to_ascii_lowercase().replace('"', "");
            !charset.starts_with("charset=") || charset == "charset=utf-8"
        })
}

fn declared_length(req: &HttpRequest) -> Option<usize> {
    req.headers().get(actix_web::http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read(mut payload: Payload, declared: Option<usize>, limit: usize) -> Result<Vec<u8>, Problem> {
    let too_large =
        || Problem::new(ProblemCode::BodyTooLarge, format!("the body is longer than {limit} bytes"));
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(declared.unwrap_or_default());
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|_| Problem::new(ProblemCode::MalformedBody, "the body ended before it was whole"))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut json)).map_err(|error| {
        let path = error.path().clone();
        let inner = error.into_inner();
        if !inner.is_data() {
            return malformed(&inner);
        }
        let detail = without_position(&inner.to_string());
        let pointer = pointer(&path, field_of(&detail));
        Problem::new(ProblemCode::InvalidRequest, "the body is not what is expected here")
            .at_pointer(pointer, detail)
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = format!("the body is not JSON: line {}, column {}", error.line(), error.column());
    Problem::new(ProblemCode::MalformedBody, detail)
}

/// serde_json says where in the text; the pointer says it better.
fn without_position(text: &str) -> String {
    text.rsplit_once(" at line ").map_or(text, |(detail, _)| detail).to_owned()
}

/// The field that serde speaks of in "unknown field `x`, …" and "missing field `x`", of which its path knows nothing.
fn field_of(detail: &str) -> Option<&str> {
    let rest = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| detail.strip_prefix(start))?;
    rest.split_once('`').map(|(name, _)| name)
}

/// RFC 6901: `~` and `/` in a name are written `~0` and `~1`.
fn pointer(path: &serde_path_to_error::Path, field: Option<&str>) -> String {
    use serde_path_to_error::Segment;
    let mut names: Vec<String> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .collect();
    if let Some(field) = field
        && names.last().map(String::as_str) != Some(field)
    {
        names.push(field.to_owned());
    }
    names.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
}

/// Refuses NUL in the path and the query of a request, before anything of it is put on record: see [`super::strict`].
///
/// # Errors
/// 400 that names the parameter.
pub(super) fn refuse_nul(req: &HttpRequest) -> Result<(), Problem> {
    let refused = |name: &str| {
        let name = name.replace('\0', "\u{fffd}");
        Err(Problem::new(ProblemCode::InvalidRequest, "path or query is not valid").at_parameter(name, NUL))
    };
    if let Some((name, _)) = req.match_info().iter().find(|(_, value)| value.contains('\0')) {
        return refused(name);
    }
    let mut pairs = form_urlencoded::parse(req.query_string().as_bytes());
    match pairs.find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        Some((name, _)) => refused(&name),
        None => Ok(()),
    }
}

/// Query parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read_query(req.query_string()).map(Self))
    }
}

/// Reads a query; an error names the parameter at fault.
fn read_query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(text.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let name = match error.path().iter().next() {
            Some(serde_path_to_error::Segment::Map { key }) => Some(key.clone()),
            _ => None,
        };
        let detail = error.into_inner().to_string();
        let problem = Problem::new(ProblemCode::InvalidRequest, format!("the query is not valid: {detail}"));
        match field_of(&detail).map(str::to_owned).or(name) {
            Some(name) => problem.at_parameter(name, detail),
            None => problem,
        }
    })
}

/// For routes that take no query: any parameter is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Parameters of the path.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for Params<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let result = web::Path::<T>::from_request(req, payload).into_inner();
        ready(result.map(|path| Self(path.into_inner())).map_err(|error| {
            let text = error.to_string();
            let detail = text.strip_prefix("Path deserialize error: ").unwrap_or(&text).to_owned();
            let problem = Problem::new(ProblemCode::InvalidRequest, "the path is not valid");
            match req.match_info().iter().next() {
                Some((name, _)) => problem.at_parameter(name, detail),
                None => problem,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its parsing is looked at")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its parsing is looked at")]
        a: u8,
    }

    fn fault(body: &str) -> (ProblemCode, Option<String>) {
        let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
        let pointer = problem.document().errors.first().and_then(|error| error.pointer.clone());
        (problem.code(), pointer)
    }

    #[test]
    fn a_field_at_fault_is_pointed_at() {
        let invalid = |pointer: &str| (ProblemCode::InvalidRequest, Some(pointer.to_owned()));
        assert_eq!(fault(r#"{"inner":[{"a":1},{"a":"x"}]}"#), invalid("/inner/1/a"));
        assert_eq!(fault(r#"{"inner":[{"a":1,"b/~":2}]}"#), invalid("/inner/0/b~1~0"));
        assert_eq!(fault(r#"{"inner":[{}]}"#), invalid("/inner/0/a"));
        assert_eq!(fault(r#"{"other":1}"#), invalid("/other"));
        assert_eq!(fault("[]"), invalid(""));
        assert_eq!(fault("[[]]"), invalid(""), "the fields in their order are no object");
        assert_eq!(fault(r#"{"inner":[[1]]}"#), invalid("/inner/0"));
    }

    #[test]
    fn what_lies_too_deep_is_not_read() {
        let deep = format!("{{\"inner\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(fault(&deep).0, ProblemCode::InvalidRequest, "an array is no item");
        let unknown = format!("{{\"other\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(fault(&unknown), (ProblemCode::InvalidRequest, Some("/other".to_owned())));
        let mut json = serde_json::Deserializer::from_str(&deep);
        let value = serde_json::Value::deserialize(Strict(&mut json));
        assert!(value.unwrap_err().to_string().contains("recursion limit"), "128 levels are the most");
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        #[expect(dead_code, reason = "only its parsing is looked at")]
        limit: Option<usize>,
        #[expect(dead_code, reason = "only its parsing is looked at")]
        cursor: Option<switchyard_actors::model::PairId>,
    }

    #[test]
    fn a_parameter_at_fault_is_named() {
        for (query, name) in [
            ("limit=-1", "limit"),
            ("limit=x", "limit"),
            ("limit=", "limit"),
            ("cursor=x", "cursor"),
            ("limit=1&cursor=%ff", "cursor"),
            ("limit=1&limit=2", "limit"),
            ("colour=red", "colour"),
        ] {
            let problem = read_query::<Filter>(query).unwrap_err();
            let errors = problem.document().errors;
            assert_eq!(errors.first().and_then(|error| error.parameter.as_deref()), Some(name), "{query}");
        }
        for query in ["", "limit=5", "cursor=0193a0b0-0000-7000-8000-000000000001&limit=1"] {
            assert!(read_query::<Filter>(query).is_ok(), "{query}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_apart() {
        for body in ["", "{", "{\"inner\":[]} x", "nonsense", "\u{feff}{}"] {
            assert_eq!(fault(body), (ProblemCode::MalformedBody, None), "{body}");
        }
    }
}

//! Versions of what two editors may change at once: `ETag` out, `If-Match` in (RFC 9110, 8.8.3 and 13.1.1).

use actix_web::dev::Payload;
use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::future::{Ready, ready};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Shown};
use super::input::Input;
use super::schema::Describer;
use crate::http::problem::{Problem, ProblemCode};

/// 200, with the version of what is shown.
pub struct Tagged<T> {
    /// Its version.
    pub version: i64,
    /// The thing.
    pub body: T,
}

impl<T: Serialize + JsonSchema> Answer for Tagged<T> {
    fn respond(self) -> HttpResponse {
        HttpResponse::Ok().insert_header((ETAG, format!("\"{}\"", self.version))).json(self.body)
    }

    fn describe(to: &mut Describer) {
        to.answers::<T>(200, "Done. `ETag` names its version.");
    }

    fn shown(&self) -> Shown {
        Shown::of(&self.body)
    }
}

/// The version that a caller has seen; none when the caller does not mind, by `*` or by saying nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(Option<i64>);

/// As the document shows it.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct IfMatchHeader {
    /// The `ETag` of an earlier answer, in quotes: only if the thing is still of this version. `*` means any.
    #[serde(rename = "If-Match")]
    if_match: Option<String>,
}

impl IfMatch {
    /// The version that must still be the present one.
    #[must_use]
    pub const fn version(self) -> Option<i64> {
        self.0
    }
}

impl Input for IfMatch {
    fn describe(to: &mut Describer) {
        to.parameters::<IfMatchHeader>("header");
        to.may_fail(&[ProblemCode::PreconditionFailed]);
    }
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let given = req.headers().get(IF_MATCH).map(|value| value.to_str().unwrap_or_default().trim());
        ready(read(given))
    }
}

/// A tag that is none of ours names no version that there is.
fn read(given: Option<&str>) -> Result<IfMatch, Problem> {
    match given {
        None | Some("*") => Ok(IfMatch(None)),
        Some(text) => {
            let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            let version = number.and_then(|number| number.parse().ok());
            let foreign = || {
                Problem::new(
                    ProblemCode::PreconditionFailed,
                    "If-Match names no version of this: read it again",
                )
            };
            version.map(|version| IfMatch(Some(version))).ok_or_else(foreign)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_version_or_fails() {
        assert_eq!(read(None).unwrap(), IfMatch(None));
        assert_eq!(read(Some("*")).unwrap(), IfMatch(None));
        assert_eq!(read(Some("\"7\"")).unwrap().version(), Some(7));
        for foreign in ["7", "\"x\"", "W/\"7\"", "\"7\", \"8\"", ""] {
            assert_eq!(read(Some(foreign)).unwrap_err().code(), ProblemCode::PreconditionFailed, "{foreign}");
        }
    }
}

//! Reading the control API's bodies and queries: malformed is 400, well-formed but wrong is 422.

use actix_web::web::Query;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Reads a JSON body.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| Problem::malformed(format!("not JSON: {error}")))?;
    T::deserialize(value).map_err(|error| Problem::invalid(error.to_string()))
}

/// Reads a query string.
pub(super) fn query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    Query::from_query(query).map(Query::into_inner).map_err(|error| Problem::invalid(error.to_string()))
}

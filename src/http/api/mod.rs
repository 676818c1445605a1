//! The registry of endpoints: a route is one value, and mounting, admission, the route table and the OpenAPI document are all
//! made from it. What the document says of a request or an answer is derived from the types that the handler takes and
//! gives, so the two cannot drift apart.

mod access;
mod admit;
mod answer;
mod document;
mod endpoint;
mod input;
mod keyed;
mod pass;
mod rates;
mod record;
mod reference;
mod schema;
mod version;

#[cfg(test)]
mod tests;

pub use access::Access;
pub use answer::{Accepted, Answer, Created, MadeOrShown, NoContent, Shown, Upserted};
pub use document::document;
pub use endpoint::{Draft, Endpoint, EndpointSpec, delete, get, patch, post, put};
pub use input::Input;
pub use schema::Describer;
pub use version::{IfMatch, Tagged};

pub(super) use admit::{Suspension, let_in};
pub(super) use pass::{Lapse, Pass};

pub(super) use endpoint::{mount, specs};
pub(super) use reference::Published;

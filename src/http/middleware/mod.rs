//! What every request passes, from the outside in.

mod cors;
mod edge;
mod gate;
mod headers;

pub(super) use edge::{Edge, edge, problem_of};
pub(super) use gate::{from_allowed_networks, when_serving};
pub(super) use headers::{AnswerHeaders, DEFAULTS, TRANSPORT};

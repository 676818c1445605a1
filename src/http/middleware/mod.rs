//! What every request passes, from the outside in.

mod edge;
mod gate;

pub(super) use edge::{edge, problem_of};
pub(super) use gate::{from_allowed_networks, when_serving};

//! What every request passes, from the outside in.

mod edge;
mod gate;

pub(super) use edge::edge;
pub(super) use gate::when_serving;

//! The supervision runtime and the domain of Switchyard.
//!
//! `supervision` hosts actors, `model` holds the values they speak of, `ports` names what they need from outside,
//! `pipeline` and `throttle` are pure, `tree` is one file per actor.

pub mod model;
pub mod pipeline;
pub mod ports;
pub mod supervision;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod throttle;
pub mod tree;

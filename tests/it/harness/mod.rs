//! What tests share: databases, a clock to be set, values to start from.

#[macro_use]
pub(crate) mod store;
pub(crate) mod clock;
pub(crate) mod customers;
#[macro_use]
pub(crate) mod daemon;
pub(crate) mod many;
pub(crate) mod needles;
pub(crate) mod operator;
pub(crate) mod people;
pub(crate) mod postgres;
pub(crate) mod values;

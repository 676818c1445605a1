//! Use cases: what API and command line can ask for, named by verbs.

pub mod admin;
pub mod doctor;
pub mod operator;
pub mod sandbox;

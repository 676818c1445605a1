//! Integration tests: one binary, a file per capability.

mod config_layers;

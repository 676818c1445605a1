//! Schema changes, one file per change, forward only.

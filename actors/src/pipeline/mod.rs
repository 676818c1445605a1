//! Pure functions between intake and outbox: filter, convert, split.

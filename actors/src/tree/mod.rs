//! The actors of the supervision tree, one file each.

//! Conversion between Telegram's entities and Discord's markdown, both ways.
//!
//! [`to_discord`] writes formatted text as markdown, [`from_discord`] reads markdown as formatted text, [`for_telegram`] brings
//! formatted text into a form that Telegram takes. [`parse`] is Discord's reading of markdown as a tree; the tests use it as the judge of
//! what [`to_discord`] writes.

mod ast;
mod cells;
mod inline;
mod link;
mod markdown;
mod normal;
mod parse;
mod rich;
mod style;
mod telegram;

pub use ast::{Mention, Node};
pub use markdown::to_discord;
pub use parse::parse;
pub use rich::{Names, NoNames, from_discord, from_nodes};
pub use style::{Style, Styles};
pub use telegram::for_telegram;

#[cfg(test)]
mod tests;

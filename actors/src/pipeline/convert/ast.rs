//! What Discord markdown says: the tree that the parser makes.

use super::style::Style;

/// A mention of something on Discord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mention {
    /// `<@1>`, `<@!1>`
    User(u64),
    /// `<#1>`
    Channel(u64),
    /// `<@&1>`
    Role(u64),
    /// `@everyone`
    Everyone,
    /// `@here`
    Here,
}

/// A piece of markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Characters.
    Text(String),
    /// A styled stretch.
    Styled(Style, Vec<Node>),
    /// Inline code.
    Code(String),
    /// A code block.
    CodeBlock {
        /// The word after the fence.
        language: Option<String>,
        /// What stands between the fences.
        code: String,
    },
    /// A quote, without its `>`.
    Quote(Vec<Node>),
    /// A heading, level 1 to 3.
    Heading(u8, Vec<Node>),
    /// Small text (`-#`).
    Small(Vec<Node>),
    /// One item of a list.
    Item {
        /// Spaces before the marker.
        indent: usize,
        /// `-`, `*` or `1.`
        marker: String,
        /// The item's line.
        content: Vec<Node>,
    },
    /// `[label](url)`
    Link {
        /// Where to.
        url: String,
        /// The words shown.
        label: Vec<Node>,
    },
    /// An address in running text, with or without angle brackets.
    Url(String),
    /// A mention.
    Mention(Mention),
    /// An emoji by its name: a server's own, or `:name:`.
    Emoji(String),
    /// `<t:1700000000:f>`
    Timestamp {
        /// Unix seconds.
        unix: i64,
        /// One of `t T d D f F R`; `f` where none is written.
        style: char,
    },
}

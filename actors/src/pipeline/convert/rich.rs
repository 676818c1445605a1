//! Discord markdown to formatted text: names for mentions, text and UTF-16 entities without a parse mode in between.

use chrono::DateTime;

use super::ast::{Mention, Node};
use super::parse::parse;
use super::style::{Style, Styles};
use crate::model::{Entity, EntityKind, RichText};
use crate::pipeline::cut;

/// Names of what a Discord message mentions, as its reader would see them.
pub trait Names {
    /// A member's display name, without `@`.
    fn user(&self, id: u64) -> Option<String>;
    /// A channel's name, without `#`.
    fn channel(&self, id: u64) -> Option<String>;
    /// A role's name, without `@`.
    fn role(&self, id: u64) -> Option<String>;
}

/// Knows nobody: mentions become what Discord shows for the unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Names for NoNames {
    fn user(&self, _: u64) -> Option<String> {
        None
    }

    fn channel(&self, _: u64) -> Option<String> {
        None
    }

    fn role(&self, _: u64) -> Option<String> {
        None
    }
}

/// Reads Discord markdown as formatted text.
///
/// What Telegram has no word for: headings become bold, small text italic, list items keep their markers, a server's own emoji is its
/// `:name:`, mentions are names, timestamps are dates in UTC. Blocks get lines of their own. White space at both ends goes.
#[must_use]
pub fn from_discord(markdown: &str, names: &dyn Names) -> RichText {
    from_nodes(&parse(markdown), names)
}

/// Writes a tree as formatted text.
#[must_use]
pub fn from_nodes(nodes: &[Node], names: &dyn Names) -> RichText {
    let mut writer = Writer {
        names,
        text: String::new(),
        units: 0,
        entities: Vec::new(),
        styles: Styles::NONE,
        break_due: false,
    };
    writer.nodes(nodes);
    let rich = RichText::new(writer.text, writer.entities).unwrap_or_default();
    cut::trim(&rich)
}

struct Writer<'a> {
    names: &'a dyn Names,
    text: String,
    units: usize,
    entities: Vec<Entity>,
    styles: Styles,
    /// A block has ended: what follows starts a new line.
    break_due: bool,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.break_due) && !text.starts_with('\n') {
            self.put("\n");
        }
        self.put(text);
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.units += text.encode_utf16().count();
    }

    fn new_line(&mut self) {
        self.break_due = false;
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.put("\n");
        }
    }

    /// Writes something and lays an entity over it.
    fn marked(&mut self, kind: EntityKind, write: impl FnOnce(&mut Self)) {
        if std::mem::take(&mut self.break_due) {
            self.put("\n");
        }
        let offset = self.units;
        write(self);
        let length = self.units - offset;
        if length > 0 {
            self.entities.push(Entity { offset, length, kind });
        }
    }

    fn styled(&mut self, style: Style, write: impl FnOnce(&mut Self)) {
        let outer = self.styles;
        if outer.has(style) {
            return write(self);
        }
        let kind = match style {
            Style::Bold => EntityKind::Bold,
            Style::Italic => EntityKind::Italic,
            Style::Underline => EntityKind::Underline,
            Style::Strike => EntityKind::Strikethrough,
            Style::Spoiler => EntityKind::Spoiler,
        };
        self.styles = outer.with(style);
        self.marked(kind, write);
        self.styles = outer;
    }

    /// Something on lines of its own.
    fn block(&mut self, write: impl FnOnce(&mut Self)) {
        self.new_line();
        write(self);
        self.break_due = true;
    }

    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Text(text) => self.push(text),
            Node::Styled(style, inner) => self.styled(*style, |this| this.nodes(inner)),
            Node::Code(code) => self.marked(EntityKind::Code, |this| this.push(code)),
            Node::CodeBlock { language, code } => {
                let kind = EntityKind::Pre { language: language.clone() };
                self.block(|this| this.marked(kind, |this| this.push(code)));
            }
            Node::Quote(inner) => {
                self.block(|this| this.marked(EntityKind::Blockquote, |this| this.nodes(inner)));
            }
            Node::Heading(_, inner) => self.block(|this| this.styled(Style::Bold, |this| this.nodes(inner))),
            Node::Small(inner) => self.block(|this| this.styled(Style::Italic, |this| this.nodes(inner))),
            Node::Item { marker, content, .. } => {
                // The spaces before the marker came as text.
                self.push(marker);
                self.push(" ");
                self.nodes(content);
                self.break_due = true;
            }
            Node::Link { url, label } => {
                self.marked(EntityKind::TextLink { url: url.clone() }, |this| this.nodes(label));
            }
            Node::Url(url) => self.marked(EntityKind::Url, |this| this.push(url)),
            Node::Mention(mention) => {
                let name = self.name(*mention);
                self.push(&name);
            }
            Node::Emoji(name) => self.push(&format!(":{name}:")),
            Node::Timestamp { unix, style } => self.push(&date(*unix, *style)),
        }
    }

    fn name(&self, mention: Mention) -> String {
        let or = |name: Option<String>, unknown: &str| name.unwrap_or_else(|| unknown.to_owned());
        match mention {
            Mention::User(id) => format!("@{}", or(self.names.user(id), "unknown-user")),
            Mention::Channel(id) => format!("#{}", or(self.names.channel(id), "unknown")),
            Mention::Role(id) => format!("@{}", or(self.names.role(id), "unknown-role")),
            Mention::Everyone => "@everyone".to_owned(),
            Mention::Here => "@here".to_owned(),
        }
    }
}

/// A timestamp in words. Relative ones are absolute: the text stays when time goes on.
fn date(unix: i64, style: char) -> String {
    let format = match style {
        't' => "%H:%M UTC",
        'T' => "%H:%M:%S UTC",
        'd' => "%Y-%m-%d",
        'D' => "%-d %B %Y",
        'F' => "%A, %-d %B %Y %H:%M UTC",
        _ => "%-d %B %Y %H:%M UTC",
    };
    match DateTime::from_timestamp(unix, 0) {
        Some(at) => at.format(format).to_string(),
        None => format!("<t:{unix}:{style}>"),
    }
}

//! The rules for things that are one: mentions, emoji, timestamps, addresses, links.

use super::{Match, Parser, Scope};
use crate::pipeline::convert::ast::{Mention, Node};
use crate::pipeline::convert::link;

impl Parser<'_> {
    /// Everything between `<` and `>`: mention, custom emoji, timestamp, address without preview.
    pub(super) fn bracketed(&self, at: usize) -> Option<Match> {
        let close = self.from(at).iter().position(|ch| *ch == '>')?;
        let end = at + close + 1;
        let inside = self.string(at + 1, at + close);
        let node = timestamp(&inside).or_else(|| custom_emoji(&inside));
        if self.scope.in_label {
            return node.and_then(|node| Match::new(node, end));
        }
        let node = node.or_else(|| mention(&inside)).or_else(|| bracketed_url(&inside))?;
        Match::new(node, end)
    }

    /// `:name:`
    pub(super) fn shortcode(&self, at: usize) -> Option<Match> {
        let is_name = |ch: &&char| ch.is_ascii_alphanumeric() || "_+-".contains(**ch);
        let length = self.from(at + 1).iter().take_while(is_name).count();
        let end = at + 1 + length;
        if length == 0 || self.char(end) != Some(':') {
            return None;
        }
        Match::new(Node::Emoji(self.string(at + 1, end)), end + 1)
    }

    /// An address in running text.
    pub(super) fn address(&self, at: usize) -> Option<Match> {
        if self.scope.in_label {
            return None;
        }
        let end = at + link::autolink_len(self.from(at))?;
        Match::new(Node::Url(self.string(at, end)), end)
    }

    /// `@everyone`, `@here`
    pub(super) fn broadcast(&self, at: usize) -> Option<Match> {
        if self.scope.in_label {
            return None;
        }
        [("@everyone", Mention::Everyone), ("@here", Mention::Here)].into_iter().find_map(
            |(word, mention)| {
                let found = link::starts_with(self.from(at), word);
                found.then(|| Match { node: Node::Mention(mention), end: at + word.len(), newline: false })
            },
        )
    }

    /// `[label](address)`: a label that holds an address, a mention or an emoji makes all of it plain text.
    pub(super) fn link(&self, at: usize) -> Option<Match> {
        if self.scope.in_label {
            return None;
        }
        let closes = self.label_ends(at);
        let (close, (url, end)) =
            closes.into_iter().rev().find_map(|close| Some((close, self.target(close + 2)?)))?;
        let scope = Scope { depth: self.scope.depth + 1, ..self.scope };
        let label = self.slice(at + 1, close).iter().copied();
        let label: Vec<char> = label.filter(|ch| *ch == '\n' || !link::is_erased(*ch)).collect();
        let probe = Parser::new(&label, Scope { line: self.line_start(at), ..scope }).run();
        if !link::is_web(&url) || !is_admissible(&probe) {
            return Match::new(Node::Text(self.string(at, end)), end);
        }
        let label = Parser::new(&label, Scope { in_label: true, ..scope }).run();
        Match::new(Node::Link { url, label }, end)
    }

    /// Every `](` that may end the label opened at `at`: brackets in it may nest once, and after one closing bracket too many anything but
    /// an opening one follows. Discord takes the last that works.
    fn label_ends(&self, at: usize) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut nested = false;
        let mut beyond = false;
        for here in at + 1..self.chars.len() {
            match self.char(here) {
                Some('[') if nested || beyond => break,
                Some('[') => nested = true,
                Some(']') if nested => nested = false,
                Some(']') => {
                    beyond = true;
                    if self.char(here + 1) == Some('(') {
                        ends.push(here);
                    }
                }
                _ => {}
            }
        }
        ends
    }

    /// What stands in the round brackets after a label, and where they end. A title in quotes is passed over.
    fn target(&self, from: usize) -> Option<(String, usize)> {
        let skip = |at: usize| at + self.from(at).iter().take_while(|ch| link::is_space(**ch)).count();
        let start = skip(from);
        let angle = self.char(start) == Some('<');
        let start = start + usize::from(angle);
        let mut here = start;
        let mut open = 0_usize;
        loop {
            match self.char(here)? {
                '>' if angle => break,
                ch if link::is_space(ch) => break,
                '(' => open += 1,
                ')' if open == 0 => break,
                ')' => open -= 1,
                _ => {}
            }
            here += 1;
        }
        let url = self.string(start, here);
        let mut here = skip(here + usize::from(angle && self.char(here) == Some('>')));
        if let Some(quote @ ('"' | '\'')) = self.char(here) {
            let title = self.from(here + 1).iter().position(|ch| *ch == quote)?;
            here = skip(here + title + 2);
        }
        (self.char(here) == Some(')')).then_some((url, here + 1))
    }
}

/// Whether Discord takes these nodes as a label: text and styles with something visible in them, no emoji, nothing that links.
fn is_admissible(nodes: &[Node]) -> bool {
    fn visible(nodes: &[Node]) -> Option<bool> {
        let mut seen = false;
        for node in nodes {
            seen |= match node {
                Node::Text(text) if text.contains(link::is_emoji) => return None,
                Node::Text(text) => !text.trim().is_empty(),
                Node::Code(_) | Node::Timestamp { .. } | Node::Item { .. } => true,
                Node::Styled(_, inner)
                | Node::Quote(inner)
                | Node::Heading(_, inner)
                | Node::Small(inner) => visible(inner)?,
                Node::CodeBlock { .. }
                | Node::Link { .. }
                | Node::Url(_)
                | Node::Mention(_)
                | Node::Emoji(_) => return None,
            };
        }
        Some(seen)
    }
    visible(nodes) == Some(true)
}

fn timestamp(inside: &str) -> Option<Node> {
    let rest = inside.strip_prefix("t:")?;
    let (unix, style) = match rest.split_once(':') {
        Some((unix, style)) => (unix, style),
        None => (rest, "f"),
    };
    let mut letters = style.chars();
    let style = letters.next().filter(|ch| "tTdDfFR".contains(*ch) && letters.next().is_none())?;
    Some(Node::Timestamp { unix: unix.parse().ok()?, style })
}

fn custom_emoji(inside: &str) -> Option<Node> {
    let rest = inside.strip_prefix("a:").or_else(|| inside.strip_prefix(':'))?;
    let (name, id) = rest.split_once(':')?;
    let is_name = !name.is_empty() && name.chars().all(|ch| ch.is_ascii_alphanumeric() || ch == '_');
    (is_name && is_number(id)).then(|| Node::Emoji(name.to_owned()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|ch| ch.is_ascii_digit())
}

fn mention(inside: &str) -> Option<Node> {
    let id = |text: &str| is_number(text).then(|| text.parse::<u64>().ok()).flatten();
    let mention = if let Some(role) = inside.strip_prefix("@&") {
        Mention::Role(id(role)?)
    } else if let Some(user) = inside.strip_prefix("@!").or_else(|| inside.strip_prefix('@')) {
        Mention::User(id(user)?)
    } else {
        Mention::Channel(id(inside.strip_prefix('#')?)?)
    };
    Some(Node::Mention(mention))
}

/// `<scheme:/…>` without spaces; what is no web address is shown as its text.
fn bracketed_url(inside: &str) -> Option<Node> {
    let (scheme, rest) = inside.split_once(":/")?;
    let fits =
        !scheme.is_empty() && !scheme.contains([':', ' ']) && !rest.is_empty() && !inside.contains(' ');
    fits.then(
        || if link::is_web(inside) { Node::Url(inside.to_owned()) } else { Node::Text(inside.to_owned()) },
    )
}

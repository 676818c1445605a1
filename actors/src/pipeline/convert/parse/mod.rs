//! Reads Discord markdown as Discord's own client does: no grammar, but an ordered list of rules tried at each place.
//!
//! The rules follow what is published of the client's parser (the `simple-markdown` family) and what its maintainers say in
//! discord-api-docs#6185 (no escapes in labels), #6810 (no emoji in labels) and #7721 (no addresses in labels).

mod block;
mod inline;
mod token;

use super::ast::Node;

/// Deepest nesting that is read; deeper marks are text. Real messages stay under ten.
const MAX_DEPTH: u8 = 24;

/// What stands before a place on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineStart {
    /// Nothing.
    Bare,
    /// Spaces.
    Spaces,
    /// Something else.
    Inside,
}

/// Where a stretch of source stands.
#[derive(Clone, Copy)]
struct Scope {
    line: LineStart,
    in_quote: bool,
    in_list: bool,
    /// In the label of a link: no blocks, no escapes, no links.
    in_label: bool,
    depth: u8,
}

/// Reads Discord markdown. Every text has a reading; what no rule takes is text.
#[must_use]
pub fn parse(source: &str) -> Vec<Node> {
    let chars: Vec<char> = source.replace("\r\n", "\n").replace('\r', "\n").chars().collect();
    let scope = Scope { line: LineStart::Bare, in_quote: false, in_list: false, in_label: false, depth: 0 };
    Parser::new(&chars, scope).run()
}

/// What a rule took.
struct Match {
    node: Node,
    end: usize,
    /// The rule also took the end of its line.
    newline: bool,
}

impl Match {
    const fn new(node: Node, end: usize) -> Option<Self> {
        Some(Self { node, end, newline: false })
    }
}

struct Parser<'a> {
    chars: &'a [char],
    scope: Scope,
    nodes: Vec<Node>,
}

impl<'a> Parser<'a> {
    const fn new(chars: &'a [char], scope: Scope) -> Self {
        Self { chars, scope, nodes: Vec::new() }
    }

    fn run(mut self) -> Vec<Node> {
        let mut at = 0;
        while let Some(ch) = self.char(at) {
            if let Some(found) = self.rule(at, ch) {
                self.push(found.node);
                if found.newline && found.end < self.chars.len() {
                    self.text('\n');
                }
                at = found.end;
            } else if ch == '\\' && !self.scope.in_label {
                at = self.escape(at);
            } else {
                self.text(ch);
                at += 1;
            }
        }
        self.nodes
    }

    fn rule(&self, at: usize, ch: char) -> Option<Match> {
        if self.scope.depth >= MAX_DEPTH {
            return None;
        }
        if !self.scope.in_label
            && let Some(found) = self.block(at)
        {
            return Some(found);
        }
        match ch {
            '*' | '_' => self.emphasis(at),
            '~' => self.strike(at),
            '|' => self.spoiler(at),
            '`' => self.code_block(at).or_else(|| self.code(at)),
            '<' => self.bracketed(at),
            ':' => self.shortcode(at),
            'h' | 's' => self.address(at),
            '[' => self.link(at),
            '@' => self.broadcast(at),
            _ => None,
        }
    }

    /// A backslash: hides the next character from the rules, and is hidden itself before anything but letters, digits and spaces.
    fn escape(&mut self, at: usize) -> usize {
        const SHRUG: &str = "\\_(ツ)_/¯";
        if at > 0 && self.char(at - 1) == Some('¯') && super::link::starts_with(self.from(at), SHRUG) {
            SHRUG.chars().for_each(|ch| self.text(ch));
            return at + SHRUG.chars().count();
        }
        match self.char(at + 1) {
            None => {
                self.text('\\');
                at + 1
            }
            Some(next) => {
                if next.is_ascii_alphanumeric() || super::link::is_space(next) {
                    self.text('\\');
                }
                self.text(next);
                at + 2
            }
        }
    }

    fn char(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    fn from(&self, at: usize) -> &'a [char] {
        self.chars.get(at..).unwrap_or_default()
    }

    fn slice(&self, from: usize, to: usize) -> &'a [char] {
        self.chars.get(from..to).unwrap_or_default()
    }

    fn string(&self, from: usize, to: usize) -> String {
        self.slice(from, to).iter().collect()
    }

    /// What stands before `at` on its line.
    fn line_start(&self, at: usize) -> LineStart {
        let before = self.slice(0, at);
        let line = before.iter().rposition(|ch| *ch == '\n').map(|newline| newline + 1);
        let on_line = before.get(line.unwrap_or(0)..).unwrap_or_default();
        let inherited = if line.is_some() { LineStart::Bare } else { self.scope.line };
        match (inherited, on_line.is_empty(), on_line.iter().all(|ch| *ch == ' ')) {
            (LineStart::Inside, ..) | (_, _, false) => LineStart::Inside,
            (LineStart::Bare, true, _) => LineStart::Bare,
            _ => LineStart::Spaces,
        }
    }

    /// Reads the inside of something that starts at `at`.
    fn inside(&self, at: usize, content: &[char]) -> Vec<Node> {
        let scope = Scope { line: self.line_start(at), depth: self.scope.depth + 1, ..self.scope };
        Parser::new(content, scope).run()
    }

    fn text(&mut self, ch: char) {
        if !matches!(self.nodes.last(), Some(Node::Text(_))) {
            self.nodes.push(Node::Text(String::new()));
        }
        if let Some(Node::Text(text)) = self.nodes.last_mut() {
            if ch == '\n' {
                text.truncate(text.trim_end_matches(' ').len());
            }
            text.push(ch);
        }
    }

    fn push(&mut self, node: Node) {
        match node {
            Node::Text(text) => text.chars().for_each(|ch| self.text(ch)),
            node => self.nodes.push(node),
        }
    }
}

#[cfg(test)]
mod tests;

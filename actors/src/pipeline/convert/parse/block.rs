//! The rules that start at the beginning of a line: quotes, headings, small text, lists.

use super::{LineStart, Match, Parser, Scope};
use crate::pipeline::convert::ast::Node;
use crate::pipeline::convert::link::is_space;

impl Parser<'_> {
    /// A rule for whole lines, where one applies.
    pub(super) fn block(&self, at: usize) -> Option<Match> {
        if !matches!(self.char(at)?, '>' | '#' | '-' | '*' | '0'..='9') {
            return None;
        }
        // Cheap for the many places inside a line.
        if at > 0 && !matches!(self.char(at - 1), Some(' ' | '\n')) {
            return None;
        }
        match self.line_start(at) {
            LineStart::Inside => None,
            LineStart::Spaces => self.quote(at).or_else(|| self.item(at)),
            LineStart::Bare => self
                .quote(at)
                .or_else(|| self.small(at))
                .or_else(|| self.heading(at))
                .or_else(|| self.item(at)),
        }
    }

    /// Where the line that holds `at` ends, and whether by a line end.
    fn line_end(&self, at: usize) -> (usize, bool) {
        match self.from(at).iter().position(|ch| *ch == '\n') {
            Some(length) => (at + length, true),
            None => (self.chars.len(), false),
        }
    }

    fn line_match(node: Node, (end, newline): (usize, bool)) -> Option<Match> {
        Some(Match { node, end: end + usize::from(newline), newline })
    }

    /// Reads the content of a block, which starts a line of its own.
    fn block_inside(&self, content: &[char], in_quote: bool, in_list: bool) -> Vec<Node> {
        let scope = Scope {
            line: LineStart::Bare,
            in_quote: self.scope.in_quote || in_quote,
            in_list: self.scope.in_list || in_list,
            in_label: false,
            depth: self.scope.depth + 1,
        };
        Parser::new(content, scope).run()
    }

    /// `> ` on each line, or `>>> ` for all that follows. Quotes do not nest.
    fn quote(&self, at: usize) -> Option<Match> {
        if self.scope.in_quote {
            return None;
        }
        if self.slice(at, at + 4) == ['>', '>', '>', ' '] {
            let content = self.block_inside(self.from(at + 4), true, false);
            return Match::new(Node::Quote(content), self.chars.len());
        }
        let mut content: Vec<char> = Vec::new();
        let mut end = (at, false);
        let mut here = at;
        while self.slice(here, here + 2) == ['>', ' '] {
            if here > at {
                content.push('\n');
            }
            end = self.line_end(here);
            content.extend(self.slice(here + 2, end.0));
            if !end.1 {
                break;
            }
            let next = end.0 + 1;
            here = next + self.from(next).iter().take_while(|ch| **ch == ' ').count();
        }
        if end.0 == at {
            return None;
        }
        Self::line_match(Node::Quote(self.block_inside(&content, true, false)), end)
    }

    /// `-# text`
    fn small(&self, at: usize) -> Option<Match> {
        let from = self.after_marker(at, &['-', '#'])?;
        let end = self.line_end(from);
        let repeated = self.slice(from, from + 2) == ['-', '#'];
        if repeated || from == end.0 {
            return None;
        }
        Self::line_match(Node::Small(self.block_inside(self.slice(from, end.0), false, false)), end)
    }

    /// The first character after a marker and the spaces that must follow it.
    fn after_marker(&self, at: usize, marker: &[char]) -> Option<usize> {
        if self.slice(at, at + marker.len()) != marker {
            return None;
        }
        let after = at + marker.len();
        let spaces = self.from(after).iter().take_while(|ch| **ch == ' ').count();
        (spaces > 0).then_some(after + spaces)
    }

    /// `# text` to `### text`. The gap may hold a line end; closing `#` are dropped. Not in lists.
    fn heading(&self, at: usize) -> Option<Match> {
        let level = self.from(at).iter().take_while(|ch| **ch == '#').count();
        let gap = self.from(at + level).iter().take_while(|ch| is_space(**ch)).count();
        if self.scope.in_list || !(1..=3).contains(&level) || gap == 0 {
            return None;
        }
        let from = at + level + gap;
        let end = self.line_end(from);
        if self.char(from).is_none_or(|ch| ch == '#') {
            return None;
        }
        let title = self.string(from, end.0);
        let title: Vec<char> = title.trim_end().trim_end_matches('#').trim_end().chars().collect();
        let level = u8::try_from(level).unwrap_or(3);
        Self::line_match(Node::Heading(level, self.block_inside(&title, false, false)), end)
    }

    /// `- text`, `* text`, `1. text`: one item, one line.
    fn item(&self, at: usize) -> Option<Match> {
        let digits = self.from(at).iter().take_while(|ch| ch.is_ascii_digit()).count();
        let length = match self.char(at)? {
            '-' | '*' => 1,
            _ if digits > 0 && self.char(at + digits) == Some('.') => digits + 1,
            _ => return None,
        };
        let marker = self.string(at, at + length);
        let from = self.after_marker(at, self.slice(at, at + length))?;
        let end = self.line_end(from);
        if from == end.0 {
            return None;
        }
        let indent = self.slice(0, at).iter().rev().take_while(|ch| **ch == ' ').count();
        let content = self.block_inside(self.slice(from, end.0), false, true);
        Self::line_match(Node::Item { indent, marker, content }, end)
    }
}

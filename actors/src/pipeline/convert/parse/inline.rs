//! The rules for marks and code inside a line.

use super::{Match, Parser};
use crate::pipeline::convert::ast::Node;
use crate::pipeline::convert::link::is_space;
use crate::pipeline::convert::style::Style;

/// What a mark rule found: the style, the content's range, the end of the closing mark.
type Span = (Style, usize, usize, usize);

impl Parser<'_> {
    /// `*`, `_`, `**`, `__`: of an italic and a longer bold or underline at one place the longer wins.
    pub(super) fn emphasis(&self, at: usize) -> Option<Match> {
        let star = self.char(at) == Some('*');
        let italic = if star { self.italic_star(at) } else { self.italic_underscore(at) };
        let double = self.double(at, if star { Style::Bold } else { Style::Underline });
        let (style, from, to, end) = match (italic, double) {
            (Some(italic), Some(double)) => {
                if double.3 > italic.3 {
                    double
                } else {
                    italic
                }
            }
            (one, other) => one.or(other)?,
        };
        Match::new(Node::Styled(style, self.inside(at, self.slice(from, to))), end)
    }

    /// `*x*`: no white space after the opening mark, at most two spaces before the closing one, `**` inside is skipped.
    fn italic_star(&self, at: usize) -> Option<Span> {
        let from = at + 1;
        self.char(from).filter(|ch| !is_space(*ch))?;
        let mut here = from;
        loop {
            if here > from && !self.char(here - 1).is_some_and(is_space) {
                let spaces = self.from(here).iter().take(2).take_while(|ch| **ch == ' ').count();
                let end = here + spaces;
                if self.char(end) == Some('*') && self.char(end + 1) != Some('*') {
                    return Some((Style::Italic, from, here, end + 1));
                }
            }
            here = self.step(here, '*')?;
        }
    }

    /// `_x_`: the closing mark is not followed by a letter, a digit or `_`; `__` inside is skipped.
    fn italic_underscore(&self, at: usize) -> Option<Span> {
        let from = at + 1;
        let mut here = from;
        loop {
            let is_word = |ch: char| ch.is_ascii_alphanumeric() || ch == '_';
            if here > from && self.char(here) == Some('_') && !self.char(here + 1).is_some_and(is_word) {
                return Some((Style::Italic, from, here, here + 1));
            }
            here = self.step(here, '_')?;
        }
    }

    /// One token of an italic's content: an escape, a doubled mark, any other character. `None` at a single mark or the end.
    fn step(&self, at: usize, mark: char) -> Option<usize> {
        let next = self.char(at + 1);
        match self.char(at)? {
            '\\' => next.map(|_| at + 2),
            ch if ch == mark => (next == Some(mark)).then_some(at + 2),
            _ => Some(at + 1),
        }
    }

    /// `**x**` and `__x__`, not followed by one more of the same character.
    fn double(&self, at: usize, style: Style) -> Option<Span> {
        let mark = style.mark_char();
        let is_mark = |at: usize| self.char(at) == Some(mark) && self.char(at + 1) == Some(mark);
        if !is_mark(at) {
            return None;
        }
        let from = at + 2;
        let mut here = from;
        loop {
            if here > from && is_mark(here) && self.char(here + 2) != Some(mark) {
                return Some((style, from, here, here + 2));
            }
            here = match self.char(here)? {
                '\\' => self.char(here + 1).map(|_| here + 2)?,
                _ => here + 1,
            };
        }
    }

    /// `~~x~~`, not followed by `_`. Knows no escapes.
    pub(super) fn strike(&self, at: usize) -> Option<Match> {
        let end = self.plain_double(at, '~', |after| after != Some('_'))?;
        Match::new(Node::Styled(Style::Strike, self.inside(at, self.slice(at + 2, end))), end + 2)
    }

    /// `||x||`. Knows no escapes.
    pub(super) fn spoiler(&self, at: usize) -> Option<Match> {
        let end = self.plain_double(at, '|', |_| true)?;
        Match::new(Node::Styled(Style::Spoiler, self.inside(at, self.slice(at + 2, end))), end + 2)
    }

    /// Where the closing double mark of a rule without escapes stands.
    fn plain_double(&self, at: usize, mark: char, after: impl Fn(Option<char>) -> bool) -> Option<usize> {
        let is_mark = |at: usize| self.char(at) == Some(mark) && self.char(at + 1) == Some(mark);
        if !is_mark(at) {
            return None;
        }
        (at + 3..self.chars.len()).find(|here| is_mark(*here) && after(self.char(here + 2)))
    }

    /// Inline code: closed by as many backticks as opened it; one space beside a backtick at either edge is taken away.
    pub(super) fn code(&self, at: usize) -> Option<Match> {
        let run = self.from(at).iter().take_while(|ch| **ch == '`').count();
        let (from, to, fence) = (1..=run).rev().find_map(|fence| {
            let from = at + fence;
            (from + 1..self.chars.len())
                .find(|here| self.closes_code(*here, fence))
                .map(|to| (from, to, fence))
        })?;
        let code = self.string(from, to);
        let core = code.trim_matches(' ');
        let front = if core.starts_with('`') { code.strip_prefix(' ').unwrap_or(&code) } else { &code };
        let both = if core.ends_with('`') { front.strip_suffix(' ').unwrap_or(front) } else { front };
        Match::new(Node::Code(both.to_owned()), to + fence)
    }

    fn closes_code(&self, at: usize, fence: usize) -> bool {
        let before = self.char(at - 1) != Some('`');
        let ticks = self.from(at).iter().take_while(|ch| **ch == '`').count();
        before && ticks == fence
    }

    /// A fenced block: at least one character that is no line end between the fences; a word on the first line is the language.
    pub(super) fn code_block(&self, at: usize) -> Option<Match> {
        let is_fence = |at: usize| self.slice(at, at + 3) == ['`'; 3];
        if self.scope.in_label || !is_fence(at) {
            return None;
        }
        let from = at + 3;
        let close = |from: usize| {
            let first = from + self.from(from).iter().position(|ch| *ch != '\n')?;
            (first + 1..self.chars.len()).find(|here| is_fence(*here))
        };
        let is_language = |ch: &&char| ch.is_ascii_alphanumeric() || "_-+.".contains(**ch);
        let word = self.from(from).iter().take_while(is_language).count();
        let with_language = (self.char(from + word) == Some('\n'))
            .then(|| close(from + word + 1).map(|end| (word, from + word + 1, end)))
            .flatten();
        let (word, inner, end) = with_language.or_else(|| close(from).map(|end| (0, from, end)))?;
        let language = (word > 0).then(|| self.string(from, from + word));
        let code = self.string(inner, end).trim_matches('\n').to_owned();
        Match::new(Node::CodeBlock { language, code }, end + 3)
    }
}

//! Formatted text to Discord markdown.

use std::ops::Range;

use super::cells::{Cells, Form};
use super::inline::{Inline, SEPARATOR};
use super::normal::normalise;
use super::style::Style;
use crate::model::RichText;

/// A stretch of lines of one kind.
struct Block {
    quoted: bool,
    /// The number of a code block; running text otherwise.
    pre: Option<usize>,
    range: Range<usize>,
}

/// Writes formatted text as Discord markdown that reads the same: the same visible characters, the same styles.
///
/// What Discord cannot say is brought into the nearest form first: an address that cannot hide behind its words is spelled out, a
/// quote or code block that starts or ends inside a line gets lines of its own, quotes without a line between them become one, styles
/// reach neither into code blocks nor over white space at their edges. Mentions, hashtags, commands and custom emoji are their words.
/// A zero-width space keeps marks apart that would melt, and defuses `@everyone`.
#[must_use]
pub fn to_discord(rich: &RichText) -> String {
    let mut text = Cells::new(rich);
    normalise(&mut text);
    let blocks = blocks(&text);
    let written: Vec<String> = blocks.iter().map(|block| write(&text, block)).collect();
    written.join("\n")
}

/// Cuts a text where quotes and code blocks begin and end. One line end at each cut is the cut's own.
fn blocks(text: &Cells) -> Vec<Block> {
    let pre = |form: Form| if let Form::Pre(number) = form { Some(number) } else { None };
    let runs = text.runs(|cell| (cell.quoted, pre(cell.form)));
    let is_newline = |at: usize| text.cells.get(at).is_some_and(|cell| cell.ch == '\n');
    let mut blocks: Vec<Block> = Vec::new();
    for ((quoted, pre), mut range) in runs {
        if let Some(last) = blocks.last_mut() {
            if !last.range.is_empty() && is_newline(last.range.end - 1) {
                last.range.end -= 1;
            } else if is_newline(range.start) {
                range.start += 1;
            }
        }
        if !range.is_empty() {
            blocks.push(Block { quoted, pre, range });
        }
    }
    blocks
}

fn write(text: &Cells, block: &Block) -> String {
    let cells = text.cells.get(block.range.clone()).unwrap_or_default();
    let written = match block.pre {
        Some(number) => {
            let language = text.languages.get(number).and_then(Option::as_deref);
            let hidden = cells.iter().any(|cell| cell.styles.has(Style::Spoiler));
            let mark = if hidden { Style::Spoiler.mark() } else { "" };
            format!("{mark}{}{mark}", fenced(language, &text.text(block.range.clone())))
        }
        None => Inline::write(cells, &text.links, &text.bracketed),
    };
    if !block.quoted {
        return written;
    }
    let lines: Vec<String> = written.split('\n').map(|line| format!("> {line}")).collect();
    lines.join("\n")
}

/// A fenced code block. Three backticks inside are broken up.
fn fenced(language: Option<&str>, code: &str) -> String {
    let language = language.and_then(known_language).unwrap_or_default();
    let mut out = format!("```{language}\n");
    let mut ticks = 0;
    for ch in code.chars() {
        ticks = if ch == '`' { ticks + 1 } else { 0 };
        if ticks == 3 {
            out.push(SEPARATOR);
            ticks = 1;
        }
        out.push(ch);
    }
    out.push_str("\n```");
    out
}

/// The language in the characters that Discord reads after a fence.
fn known_language(language: &str) -> Option<&str> {
    match language {
        "c#" | "C#" => Some("cs"),
        "f#" | "F#" => Some("fs"),
        _ => {
            let fits = |ch: char| ch.is_ascii_alphanumeric() || "_+-.".contains(ch);
            (!language.is_empty() && language.len() <= 32 && language.chars().all(fits)).then_some(language)
        }
    }
}

//! Parse mode MarkdownV2 (core.telegram.org/bots/api#markdownv2-style), refused where Telegram refuses it.

use super::error::ApiError;
use super::markup::{Marked, Open, refused};
use crate::messages::EntityKind;

/// Characters that mean something and must be escaped to be themselves.
const RESERVED: &str = "_*[]()~`>#+-=|{}.!";

/// Marks that begin and end a stretch, longer ones first.
const MARKS: [(&str, EntityKind, &str); 5] = [
    ("__", EntityKind::Underline, "Underline"),
    ("||", EntityKind::Spoiler, "Spoiler"),
    ("*", EntityKind::Bold, "Bold"),
    ("_", EntityKind::Italic, "Italic"),
    ("~", EntityKind::Strikethrough, "Strikethrough"),
];

struct Reader<'a> {
    source: &'a str,
    at: usize,
    marked: Marked,
    open: Vec<Open>,
}

pub(super) fn parse(source: &str) -> Result<Marked, ApiError> {
    let mut reader = Reader { source, at: 0, marked: Marked::default(), open: Vec::new() };
    while let Some(c) = reader.rest().chars().next() {
        reader.step(c)?;
    }
    while let Some(open) = reader.open.pop() {
        if open.kind != EntityKind::Blockquote {
            return Err(refused(format!(
                "Can't find end of {} entity at byte offset {}",
                open.mark, open.at
            )));
        }
        reader.marked.close(open);
    }
    Ok(reader.marked)
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, c: char) {
        self.marked.text.push(c);
        self.at += c.len_utf8();
    }

    fn begin(&mut self, kind: EntityKind, mark: &str, length: usize) {
        let (offset, at) = (self.marked.units(), self.at);
        self.open.push(Open { kind, offset, url: None, language: None, mark: mark.to_owned(), at });
        self.at += length;
    }

    fn step(&mut self, c: char) -> Result<(), ApiError> {
        let rest = self.rest();
        let line_start = self.at == 0 || self.source.get(..self.at).is_some_and(|text| text.ends_with('\n'));
        if c == '\\' {
            self.at += 1;
            match self.rest().chars().next() {
                Some(next) if next.is_ascii_punctuation() => self.push(next),
                _ => self.marked.text.push('\\'),
            }
            return Ok(());
        }
        if line_start && c == '>' {
            if !self.open.iter().any(|open| open.kind == EntityKind::Blockquote) {
                self.begin(EntityKind::Blockquote, "Blockquote", 0);
            }
            self.at += 1;
            return Ok(());
        }
        if c == '\n' {
            let quoted = self.open.last().is_some_and(|open| open.kind == EntityKind::Blockquote);
            if quoted
                && !rest.starts_with("\n>")
                && let Some(open) = self.open.pop()
            {
                self.marked.close(open);
            }
            self.push(c);
            return Ok(());
        }
        if c == '`' {
            return self.code();
        }
        if let Some((mark, kind, name)) = MARKS.iter().find(|(mark, ..)| rest.starts_with(mark)) {
            match self.open.pop_if(|open| open.kind == *kind) {
                Some(open) => {
                    self.marked.close(open);
                    self.at += mark.len();
                }
                None => self.begin(*kind, name, mark.len()),
            }
            return Ok(());
        }
        match c {
            '[' => {
                self.begin(EntityKind::TextLink, "TextLink", 1);
                Ok(())
            }
            ']' if self.open.last().is_some_and(|open| open.kind == EntityKind::TextLink) => self.link(),
            c if RESERVED.contains(c) => Err(refused(format!(
                "Character '{c}' is reserved and must be escaped with the preceding '\\'"
            ))),
            c => {
                self.push(c);
                Ok(())
            }
        }
    }

    fn code(&mut self) -> Result<(), ApiError> {
        let start = self.at;
        let (kind, name, fence) = if self.rest().starts_with("```") {
            (EntityKind::Pre, "PreCode", "```")
        } else {
            (EntityKind::Code, "Code", "`")
        };
        self.begin(kind, name, fence.len());
        if kind == EntityKind::Pre
            && let Some((language, _)) = self.rest().split_once('\n')
            && !language.is_empty()
            && language.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '+')
        {
            self.at += language.len() + 1;
            if let Some(open) = self.open.last_mut() {
                open.language = Some(language.to_owned());
            }
        }
        while let Some(c) = self.rest().chars().next() {
            if self.rest().starts_with(fence) {
                self.at += fence.len();
                if let Some(open) = self.open.pop() {
                    self.marked.close(open);
                }
                return Ok(());
            }
            if c == '\\' {
                self.at += 1;
            }
            if let Some(c) = self.rest().chars().next() {
                self.push(c);
            }
        }
        Err(refused(format!("Can't find end of {name} entity at byte offset {start}")))
    }

    fn link(&mut self) -> Result<(), ApiError> {
        self.at += 1;
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        let url = self.rest().strip_prefix('(');
        if let Some(url) = url {
            let end = url
                .find(')')
                .ok_or_else(|| refused(format!("Can't find end of a URL at byte offset {}", self.at)))?;
            open.url = url.get(..end).map(|url| url.replace('\\', ""));
            self.at += end + 2;
            self.marked.close(open);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_entities() {
        let marked = parse("*b* _i_ __u__ ~s~ ||p|| `c` [x](https://x.example/\\))").unwrap_err();
        assert!(marked.description.contains("Character ')' is reserved"), "{marked:?}");
        let marked = parse("*b _i_* __u__ ~s~ ||p|| `c.` [x](https://x.example/)\n>q\n>r\nend\\.").unwrap();
        assert_eq!(marked.text, "b i u s p c. x\nq\nr\nend.");
        let kinds: Vec<_> = marked.entities.iter().map(|entity| entity.kind).collect();
        assert_eq!(
            kinds,
            [
                EntityKind::Italic,
                EntityKind::Bold,
                EntityKind::Underline,
                EntityKind::Strikethrough,
                EntityKind::Spoiler,
                EntityKind::Code,
                EntityKind::TextLink,
                EntityKind::Blockquote,
            ]
        );
        let block = parse("```rust\nfn main() {}\n```").unwrap();
        assert_eq!(block.entities[0].language.as_deref(), Some("rust"));
    }

    #[test]
    fn unescaped_and_unended_is_refused() {
        for (source, reason) in [
            ("a.", "Character '.' is reserved and must be escaped with the preceding '\\'"),
            ("a *b", "Can't find end of Bold entity at byte offset 2"),
            ("`b", "Can't find end of Code entity at byte offset 0"),
        ] {
            assert_eq!(parse(source).unwrap_err(), refused(reason), "{source}");
        }
    }
}

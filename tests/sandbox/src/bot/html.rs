//! Parse mode HTML (core.telegram.org/bots/api#html-style), refused where Telegram refuses it.

use super::error::ApiError;
use super::markup::{Marked, Open, refused};
use crate::messages::EntityKind;

pub(super) fn parse(source: &str) -> Result<Marked, ApiError> {
    let (mut marked, mut open, mut at) = (Marked::default(), Vec::<Open>::new(), 0_usize);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with('<') {
            let end =
                rest.find('>').ok_or_else(|| refused(format!("Unclosed start tag at byte offset {at}")))?;
            let tag = rest.get(1..end).unwrap_or_default();
            match tag.strip_prefix('/') {
                Some(name) => close(&mut marked, &mut open, name.trim(), at)?,
                None => begin(&marked, &mut open, tag, at)?,
            }
            at += end + 1;
        } else if let Some((c, length)) = reference(rest) {
            marked.text.push(c);
            at += length;
        } else {
            let Some(c) = rest.chars().next() else { break };
            marked.text.push(c);
            at += c.len_utf8();
        }
    }
    match open.last() {
        None => Ok(marked),
        Some(left) => {
            Err(refused(format!("Can't find end tag corresponding to start tag \"{}\"", left.mark)))
        }
    }
}

fn begin(marked: &Marked, open: &mut Vec<Open>, tag: &str, at: usize) -> Result<(), ApiError> {
    let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let name = name.to_ascii_lowercase();
    let attribute = |wanted: &str| {
        let start = attributes.find(&format!("{wanted}="))? + wanted.len() + 1;
        let value = attributes.get(start..)?;
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value.get(1..)?.split(quote).next().map(unescaped)
    };
    let unsupported = || refused(format!("Unsupported start tag \"{name}\" at byte offset {at}"));
    let (mut url, mut language) = (None, None);
    let kind = match name.as_str() {
        "b" | "strong" => EntityKind::Bold,
        "i" | "em" => EntityKind::Italic,
        "u" | "ins" => EntityKind::Underline,
        "s" | "strike" | "del" => EntityKind::Strikethrough,
        "tg-spoiler" => EntityKind::Spoiler,
        "span" if attribute("class").as_deref() == Some("tg-spoiler") => EntityKind::Spoiler,
        "span" => {
            return Err(refused(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {at}")));
        }
        "blockquote" if attributes.contains("expandable") => EntityKind::ExpandableBlockquote,
        "blockquote" => EntityKind::Blockquote,
        "pre" => EntityKind::Pre,
        "code" => {
            language =
                attribute("class").and_then(|class| class.strip_prefix("language-").map(str::to_owned));
            EntityKind::Code
        }
        "a" => {
            url = attribute("href");
            EntityKind::TextLink
        }
        "tg-emoji" => EntityKind::CustomEmoji,
        _ => return Err(unsupported()),
    };
    open.push(Open { kind, offset: marked.units(), url, language, mark: name, at });
    Ok(())
}

fn close(marked: &mut Marked, open: &mut Vec<Open>, name: &str, at: usize) -> Result<(), ApiError> {
    let Some(last) = open.pop() else {
        return Err(refused(format!("Unexpected end tag at byte offset {at}")));
    };
    if !name.is_empty() && !name.eq_ignore_ascii_case(&last.mark) {
        return Err(refused(format!(
            "Unmatched end tag at byte offset {at}, expected \"</{}>\", found \"</{name}>\"",
            last.mark
        )));
    }
    // <pre><code class="language-x"> is one block.
    if last.kind == EntityKind::Code
        && let Some(block) = open.last_mut()
        && block.kind == EntityKind::Pre
        && block.offset == last.offset
    {
        block.language = last.language;
        return Ok(());
    }
    if last.kind == EntityKind::TextLink && last.url.is_none() {
        return Ok(());
    }
    if last.kind == EntityKind::Code {
        marked.close(Open { language: None, ..last });
    } else {
        marked.close(last);
    }
    Ok(())
}

/// A character reference: the four named ones and numbers; anything else is text.
fn reference(rest: &str) -> Option<(char, usize)> {
    let body = rest.strip_prefix('&')?;
    for (name, c) in [("lt;", '<'), ("gt;", '>'), ("amp;", '&'), ("quot;", '"')] {
        if body.starts_with(name) {
            return Some((c, name.len() + 1));
        }
    }
    let number = body.strip_prefix('#')?;
    let end = number.find(';').filter(|end| *end <= 8)?;
    let digits = number.get(..end)?;
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some((char::from_u32(code)?, end + 3))
}

fn unescaped(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(c) = rest.chars().next() {
        let (c, length) = reference(rest).unwrap_or((c, c.len_utf8()));
        plain.push(c);
        rest = rest.get(length..).unwrap_or_default();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(EntityKind, u32, u32)> {
        let entities = parse(source).unwrap().entities;
        entities.iter().map(|entity| (entity.kind, entity.offset, entity.length)).collect()
    }

    #[test]
    fn tags_become_entities_counted_in_utf16() {
        assert_eq!(kinds("\u{1f600}<b>hi</b>"), [(EntityKind::Bold, 2, 2)]);
        assert_eq!(kinds("<b>a<i>b</i></b>"), [(EntityKind::Italic, 1, 1), (EntityKind::Bold, 0, 2)]);
        let link = parse("<a href=\"https://x.example/?a=1&amp;b=2\">x</a>").unwrap();
        assert_eq!(link.entities[0].url.as_deref(), Some("https://x.example/?a=1&b=2"));
        let block = parse("<pre><code class=\"language-rust\">fn</code></pre>").unwrap();
        assert_eq!(block.entities.len(), 1);
        assert_eq!(block.entities[0].language.as_deref(), Some("rust"));
        assert_eq!(parse("1 &lt; 2 &amp;&#33; &copy;").unwrap().text, "1 < 2 &! &copy;");
    }

    #[test]
    fn what_telegram_refuses_is_refused_in_its_words() {
        for (source, reason) in [
            ("<x>", "Unsupported start tag \"x\" at byte offset 0"),
            ("a<b>c", "Can't find end tag corresponding to start tag \"b\""),
            ("</b>", "Unexpected end tag at byte offset 0"),
            ("<b>a</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
            ("1 <", "Unclosed start tag at byte offset 2"),
        ] {
            assert_eq!(parse(source).unwrap_err(), refused(reason), "{source}");
        }
    }
}

//! Properties over arbitrary texts with arbitrary entities. The judge of what is written is the reader of markdown, which
//! works by Discord's rules and knows nothing of the writer.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::convert::{self, NoNames, Node, Style, Styles};
use super::{PipelineLimits, cut, parts};
use crate::model::{Entity, EntityKind, PartBody, Platform, RichText};

/// A visible character and how a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    ch: char,
    styles: Styles,
    quoted: bool,
    code: Code,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    None,
    Span,
    Block,
}

const BARE: Seen = Seen { ch: ' ', styles: Styles::NONE, quoted: false, code: Code::None };

fn is_visible(ch: char) -> bool {
    !ch.is_whitespace() && !matches!(ch, '\u{200b}' | '\u{feff}')
}

fn put(text: &str, like: Seen, out: &mut Vec<Seen>) {
    out.extend(text.chars().filter(|ch| is_visible(*ch)).map(|ch| Seen { ch, ..like }));
}

/// What a reader of markdown sees, without white space. Headings, lists, emoji and mentions are never written and fail the test.
fn seen(nodes: &[Node], like: Seen, out: &mut Vec<Seen>) -> Result<(), TestCaseError> {
    for node in nodes {
        match node {
            Node::Text(text) | Node::Url(text) => put(text, like, out),
            Node::Code(code) => put(code, Seen { code: Code::Span, ..like }, out),
            Node::CodeBlock { code, .. } => put(code, Seen { code: Code::Block, ..like }, out),
            Node::Styled(style, inner) => {
                seen(inner, Seen { styles: like.styles.with(*style), ..like }, out)?
            }
            Node::Quote(inner) => seen(inner, Seen { quoted: true, ..like }, out)?,
            Node::Link { label, .. } => seen(label, like, out)?,
            other => return Err(TestCaseError::fail(format!("{other:?} out of nothing"))),
        }
    }
    Ok(())
}

fn read(markdown: &str) -> Result<Vec<Seen>, TestCaseError> {
    let mut out = Vec::new();
    seen(&convert::parse(markdown), BARE, &mut out)?;
    Ok(out)
}

/// What the source means, from its entities alone.
fn meant(rich: &RichText) -> Vec<Seen> {
    let mut unit = 0;
    let mut out = Vec::new();
    for ch in rich.text().chars() {
        let mut one = Seen { ch, ..BARE };
        let over = rich.entities().iter().filter(|e| e.offset <= unit && unit < e.end());
        for entity in over {
            match entity.kind {
                EntityKind::Bold => one.styles = one.styles.with(Style::Bold),
                EntityKind::Italic => one.styles = one.styles.with(Style::Italic),
                EntityKind::Underline => one.styles = one.styles.with(Style::Underline),
                EntityKind::Strikethrough => one.styles = one.styles.with(Style::Strike),
                EntityKind::Spoiler => one.styles = one.styles.with(Style::Spoiler),
                EntityKind::Blockquote | EntityKind::ExpandableBlockquote => one.quoted = true,
                EntityKind::Code if one.code == Code::None => one.code = Code::Span,
                EntityKind::Pre { .. } => one.code = Code::Block,
                _ => {}
            }
        }
        if is_visible(ch) {
            out.push(one);
        }
        unit += ch.len_utf16();
    }
    out
}

/// Whether a reader sees what was meant. Outside code exactly; code may lose styles whose marks stand in it, but never a spoiler,
/// and becomes text where a bar in it would end the spoiler.
fn agrees(meant: Seen, seen: Seen) -> bool {
    let same = meant.ch == seen.ch && meant.quoted == seen.quoted;
    let hidden = seen.styles.has(Style::Spoiler) || !meant.styles.has(Style::Spoiler);
    let fewer = seen.styles.minus(meant.styles).minus(Styles::NONE.with(Style::Spoiler)).is_empty();
    let styles = match (meant.code, seen.code) {
        (Code::None, Code::None) => meant.styles == seen.styles,
        (Code::Span, Code::Span) | (Code::Block, Code::Block) => hidden && fewer,
        (Code::Span | Code::Block, Code::None) => seen.styles.has(Style::Spoiler),
        _ => false,
    };
    same && styles
}

fn compare(meant: &[Seen], seen: &[Seen], written: &str) -> Result<(), TestCaseError> {
    for (at, (want, have)) in meant.iter().zip(seen).enumerate() {
        prop_assert!(agrees(*want, *have), "at {at}: meant {want:?}, seen {have:?} in {written:?}");
    }
    prop_assert_eq!(meant.len(), seen.len(), "in {:?}", written);
    Ok(())
}

/// Text in which every special character, line start and script is likely.
fn text(with_addresses: bool) -> impl Strategy<Value = String> {
    let specials = select(vec![
        "\\", "*", "**", "_", "__", "~", "~~", "|", "||", "`", "``", "```", "<", ">", "#", "-", "+", "1.",
        ":", "@", "[", "]", "(", ")", "!", ".", ",", "/", "'", "\"", "$", "%", "&", "=", "{", "}", "^",
    ]);
    let lines = select(vec![
        "\n", "\n\n", "\r\n", "\n# ", "\n> ", "\n- ", "\n1. ", "\n-# ", "\n  ", ">>> ", "\t", " ", "  ",
    ]);
    let words = select(vec![
        "@everyone",
        "@here",
        "<@1>",
        "<#2>",
        "<:a:3>",
        "<t:4>",
        ":smile:",
        "snake_case",
        "[a](b)",
        "word",
        "A",
        "b",
        "7",
        "слово",
        "עברית",
        "العربية",
        "漢字",
        "é",
        "e\u{301}",
        "👍🏽",
        "👨‍👩‍👧",
        "🇺🇦",
        "1️⃣",
        "\u{200b}",
        "\u{a0}",
        "¯\\_(ツ)_/¯",
    ]);
    let addresses = select(vec![
        "https://a.org/x_y",
        "https://b.org/*z*",
        "http://c.org/(d)",
        "https://e.org.",
        "http://",
        "https://f__g~~|",
        "http://a",
        "<https://h.org>",
        "ftp://i_j",
        "https://k\\",
    ]);
    let piece = if with_addresses {
        prop_oneof![4 => specials, 2 => lines, 4 => words, 3 => addresses].boxed()
    } else {
        prop_oneof![4 => specials, 2 => lines, 4 => words].boxed()
    };
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn kind() -> impl Strategy<Value = EntityKind> {
    let pre = EntityKind::Pre { language: Some("rust".to_owned()) };
    select(vec![
        EntityKind::Bold,
        EntityKind::Italic,
        EntityKind::Underline,
        EntityKind::Strikethrough,
        EntityKind::Spoiler,
        EntityKind::Bold,
        EntityKind::Italic,
        EntityKind::Code,
        pre,
        EntityKind::Blockquote,
        EntityKind::ExpandableBlockquote,
        EntityKind::Hashtag,
        EntityKind::Mention,
        EntityKind::CustomEmoji { document: 1 },
    ])
}

fn link_kind() -> impl Strategy<Value = EntityKind> {
    let url = select(vec![
        "https://a.org/x_(y)*",
        "http://b.org/__||~~",
        "tg://user?id=1",
        "nonsense",
        "https://c.org/ <d>",
    ]);
    prop_oneof![url.prop_map(|url| EntityKind::TextLink { url: url.to_owned() }), Just(EntityKind::Url)]
}

fn rich(
    text: impl Strategy<Value = String>,
    kind: impl Strategy<Value = EntityKind>,
) -> impl Strategy<Value = RichText> {
    (text, vec((any::<usize>(), 1_usize..30, kind), 0..10)).prop_map(|(text, marks)| {
        let mut bounds = vec![0];
        for ch in text.chars() {
            bounds.push(bounds.last().unwrap() + ch.len_utf16());
        }
        let last = bounds.len() - 1;
        let entities = marks.into_iter().filter(|_| last > 0).map(|(from, length, kind)| {
            let from = from % last;
            let to = (from + length).min(last);
            Entity { offset: bounds[from], length: bounds[to] - bounds[from], kind }
        });
        RichText::new(text.clone(), entities.collect()).unwrap()
    })
}

/// The documented changes to plain text: line ends, white space at line ends and at both ends, separators.
fn normal(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\u{200b}', "");
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches(' ')).collect();
    lines.join("\n").trim().to_owned()
}

fn markdown(part: PartBody) -> Result<String, TestCaseError> {
    match part {
        PartBody::Markdown { content, .. } => Ok(content),
        _ => Err(TestCaseError::fail("Discord takes markdown")),
    }
}

/// A thousand cases each, or more by `PROPTEST_CASES`.
fn more_cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(1_000), ..config }
}

proptest! {
    #![proptest_config(more_cases())]

    #[test]
    fn plain_text_reads_back_as_itself(text in text(true)) {
        let markdown = convert::to_discord(&RichText::plain(text.clone()));
        for one in read(&markdown)? {
            prop_assert_eq!(Seen { ch: ' ', ..one }, BARE, "in {:?}", markdown);
        }
        let back = convert::from_discord(&markdown, &NoNames);
        prop_assert_eq!(normal(back.text()), normal(&text), "in {:?}", markdown);
    }

    #[test]
    fn formatting_reads_back_character_by_character(rich in rich(text(false), kind())) {
        let markdown = convert::to_discord(&rich);
        compare(&meant(&rich), &read(&markdown)?, &markdown)?;
    }

    #[test]
    fn addresses_read_back_whole_and_styles_never_spread(rich in rich(text(true), kind())) {
        let markdown = convert::to_discord(&rich);
        let (meant, seen) = (meant(&rich), read(&markdown)?);
        for (want, have) in meant.iter().zip(&seen) {
            prop_assert_eq!(want.ch, have.ch, "in {:?}", markdown);
            let spread = have.styles.minus(want.styles).minus(Styles::NONE.with(Style::Spoiler));
            prop_assert!(spread.is_empty(), "{:?} is seen as {:?} in {:?}", want, have, markdown);
        }
        prop_assert_eq!(meant.len(), seen.len(), "in {:?}", markdown);
    }

    #[test]
    fn parts_fit_and_say_the_same_together(rich in rich(text(false), kind()), limit in 64_usize..160) {
        let limits = PipelineLimits { discord_code_points: limit, ..PipelineLimits::default() };
        let mut together = Vec::new();
        let mut written = String::new();
        for part in parts(&rich, Platform::Discord, &limits) {
            let content = markdown(part)?;
            prop_assert!(content.chars().count() <= limit, "{} > {limit}: {content:?}", content.chars().count());
            prop_assert!(content.contains(is_visible), "{content:?}");
            together.extend(read(&content)?);
            written.push_str(&content);
        }
        compare(&meant(&rich), &together, &written)?;
    }

    #[test]
    fn links_and_addresses_fit_and_are_read_without_surprise(rich in rich(text(true), prop_oneof![kind(), link_kind()]), limit in 64_usize..160) {
        let limits = PipelineLimits { discord_code_points: limit, ..PipelineLimits::default() };
        for part in parts(&rich, Platform::Discord, &limits) {
            let content = markdown(part)?;
            prop_assert!(content.chars().count() <= limit);
            read(&content)?;
        }
        read(&convert::to_discord(&rich))?;
    }

    #[test]
    fn telegram_parts_fit_and_say_the_same_together(rich in rich(text(true), kind()), limit in 64_usize..160) {
        let limits = PipelineLimits { telegram_utf16_units: limit, ..PipelineLimits::default() };
        let mut together = String::new();
        for part in parts(&rich, Platform::Telegram, &limits) {
            let PartBody::Rich { text } = part else { return Err(TestCaseError::fail("Telegram takes entities")) };
            prop_assert!(text.len_utf16() <= limit);
            prop_assert_eq!(text.text(), text.text().trim(), "trimmed");
            prop_assert_eq!(&convert::for_telegram(&text), &text, "already in Telegram's form");
            together.push_str(text.text());
        }
        let visible = |text: &str| text.chars().filter(|ch| is_visible(*ch)).collect::<String>();
        prop_assert_eq!(visible(&together), visible(rich.text()));
    }

    #[test]
    fn any_markdown_is_read_and_can_be_written_again(source in prop_oneof![text(true), "\\PC{0,60}"]) {
        let rich = convert::from_discord(&source, &NoNames);
        prop_assert_eq!(&cut::trim(&rich), &rich);
        let again = convert::to_discord(&rich);
        let linked = rich.entities().iter().any(|e| matches!(e.kind, EntityKind::TextLink { .. }));
        let visible = |text: &str| text.chars().filter(|ch| is_visible(*ch)).collect::<String>();
        if !linked {
            let text: String = read(&again)?.iter().map(|one| one.ch).collect();
            prop_assert_eq!(text, visible(rich.text()), "{:?} written as {:?}", source, again);
        }
    }
}

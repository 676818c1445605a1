//! Each row of the conversion tables, both ways.

use super::{Names, from_discord, to_discord};
use crate::model::{Entity, EntityKind, RichText};
use EntityKind::{Blockquote, Bold, Code, Italic, Spoiler, Strikethrough, Underline};

fn link(url: &str) -> EntityKind {
    EntityKind::TextLink { url: url.to_owned() }
}

fn pre(language: Option<&str>) -> EntityKind {
    EntityKind::Pre { language: language.map(str::to_owned) }
}

/// A text with entities over the first place where their words stand.
fn rich(text: &str, marked: &[(&str, EntityKind)]) -> RichText {
    let entities = marked.iter().map(|(words, kind)| {
        let at = text.find(words).unwrap();
        let units = |text: &str| text.encode_utf16().count();
        Entity { offset: units(&text[..at]), length: units(words), kind: kind.clone() }
    });
    RichText::new(text, entities.collect()).unwrap()
}

fn check(text: &str, marked: &[(&str, EntityKind)], want: &str) {
    assert_eq!(to_discord(&rich(text, marked)), want, "{text:?} {marked:?}");
}

#[test]
fn styles() {
    check("a b c", &[("b", Bold)], "a **b** c");
    check("a b c", &[("b", Italic)], "a *b* c");
    check("a b c", &[("b", Underline)], "a __b__ c");
    check("a b c", &[("b", Strikethrough)], "a ~~b~~ c");
    check("a b c", &[("b", Spoiler)], "a ||b|| c");
    check("a b", &[("a b", Bold), ("b", Italic)], "**a *b***");
    check("a b", &[("a b", Bold), ("a b", Italic), ("a b", Underline)], "__***a b***__");
    check("mid", &[("i", Italic)], "m*i*d");
}

#[test]
fn overlaps_become_nests() {
    check("abc", &[("ab", Bold), ("bc", Underline)], "**a__b__**__c__");
    check("abc", &[("ab", Bold), ("bc", Italic)], "**a*b***\u{200b}*c*");
    check("ab cd", &[("ab ", Bold), ("b cd", Italic)], "**a*b*** *cd*");
}

#[test]
fn marks_touch_what_they_mark() {
    check("a bold b", &[(" bold ", Bold)], "a **bold** b");
    check("a   b", &[("   ", Bold)], "a   b");
    check("ab", &[("a", Bold), ("b", Italic)], "**a**\u{200b}*b*");
    check("a\nb", &[("a\n", Bold), ("b", Bold)], "**a\nb**");
    check("x~", &[("x~", Strikethrough)], "~~x\\~\u{200b}~~");
    check("x|", &[("x|", Spoiler)], "||x\\|\u{200b}||");
}

#[test]
fn plain_text_is_escaped() {
    check(r"\ * _ ~ | `", &[], r"\\ \* \_ \~ \| \`");
    check("<@1> <#2> <:a:3> <t:4>", &[], r"\<@1> \<#2> \<\:a:3> \<t:4>");
    check("@everyone and @here", &[], "@\u{200b}everyone and @\u{200b}here");
    check("[a](b)", &[], r"\[a]\(b)");
    check("::", &[(":", Underline)], r"__\:__:");
    check(":smile: at 10:30", &[], r"\:smile: at 10:30");
    check("# a\n#tag\n> b\n- c\n+ d\n1. e\n-# f", &[], "\\# a\n\\#tag\n\\> b\n\\- c\n\\+ d\n1\\. e\n\\-# f");
    check("a # b > c - d 1. e", &[], "a # b > c - d 1. e");
    check("-5 1.5 +7", &[], "-5 1.5 +7");
    check("# a", &[("# a", Bold)], "**\\# a**");
}

#[test]
fn addresses_stay_whole() {
    check("see https://a.org/x_y*z", &[], "see https://a.org/x_y*z");
    check("(https://a.org/x_y).", &[], "(https://a.org/x_y).");
    check("https://a.org/x<b", &[], r"<https://a.org/x>\<b");
    check("https://a.org/x.*", &[], "https://a.org/x.*");
    check("https://a.orgb", &[("https://a.org", EntityKind::Url), ("b", Bold)], "<https://a.org>**b**");
    check("go https://a.org/x_ now", &[("https://a.org/x_", Underline)], "go https://a.org/x_ now");
    check("go https://a.org now", &[("go https://a.org", Bold)], "**go https://a.org** now");
    check("https://a.org/bc", &[("bc", Bold)], "https://a.org/bc");
    check("http://* ftp://x_y", &[], r"http\://\* ftp\://x\_y");
    check("a_b.org", &[("a_b.org", EntityKind::Url)], r"a\_b.org");
}

#[test]
fn links_hide_where_discord_lets_them() {
    check(
        "read this now",
        &[("this", link("https://a.org/x_(y)"))],
        "read [this](<https://a.org/x_%28y%29>) now",
    );
    check("this", &[("this", link("https://a.org")), ("this", Bold)], "**[this](<https://a.org>)**");
    check("a b", &[("a b", link("https://a.org")), ("b", Bold)], "[a **b**](<https://a.org>)");
    check("a [this]", &[("this", link("https://a.org"))], r"a \[[this](<https://a.org>)]");
    check(" this ", &[(" this ", link("https://a.org"))], " [this](<https://a.org>) ");
}

#[test]
fn links_are_spelled_out_where_discord_does_not() {
    check("hi 👋", &[("hi 👋", link("https://a.org"))], "hi 👋 (<https://a.org>)");
    check("a*b", &[("a*b", link("https://a.org"))], r"a\*b (<https://a.org>)");
    check("[1]", &[("[1]", link("https://a.org"))], r"\[1] (<https://a.org>)");
    check("bank.com", &[("bank.com", link("https://evil.org"))], "bank.com (<https://evil.org>)");
    check("https://a.org", &[("https://a.org", link("https://a.org/"))], "https://a.org");
    check("me", &[("me", link("tg://user?id=1"))], r"me (tg\://user?id=1)");
    check("\u{200b}x", &[("\u{200b}", link("https://a.org"))], "\u{200b} (<https://a.org>)x");
    let code_that_would_end_the_label = [("this", link("https://a.org")), ("x](y", Code)];
    check("this x](y", &code_that_would_end_the_label, "this (<https://a.org>) `x](y`");
    let long = format!("https://a.org/{}", "x".repeat(1_000));
    check("words", &[("words", link(&long))], "words");
}

#[test]
fn code() {
    check("a b", &[("b", Code)], "a `b`");
    check("a`b", &[("a`b", Code)], "``a`b``");
    check("*x*", &[("*x*", Code)], "`*x*`");
    check("a b", &[("a b", Bold), ("b", Code)], "**a `b`**");
    check("a **", &[("a **", Bold), ("**", Code)], "**a** `**`");
    check("a ||", &[("a ||", Spoiler), ("||", Code)], "||a \\|\\|\u{200b}||");
    check("a\nb\nc", &[("b", pre(Some("rust")))], "a\n```rust\nb\n```\nc");
    check("x b y", &[("b", pre(None))], "x \n```\nb\n```\n y");
    check("b", &[("b", pre(Some("c#")))], "```cs\nb\n```");
    check("b", &[("b", pre(Some("no such")))], "```\nb\n```");
    check("a```b", &[("a```b", pre(None))], "```\na``\u{200b}`b\n```");
    check("b", &[("b", pre(None)), ("b", Spoiler)], "||```\nb\n```||");
}

#[test]
fn quotes() {
    check("a\nb\nc\nd", &[("b\nc", Blockquote)], "a\n> b\n> c\nd");
    check("a b c", &[("b", Blockquote)], "a \n> b\n c");
    check("a\n\nb", &[("a\n\nb", EntityKind::ExpandableBlockquote)], "> a\n> \n> b");
    check("a\nb", &[("a\nb", Blockquote), ("a\nb", Bold)], "> **a\n> b**");
    check("a\nb", &[("b", Blockquote), ("a\nb", Bold)], "**a**\n> **b**");
    check("# a\nx", &[("# a\nx", Blockquote), ("x", pre(None))], "> \\# a\n> ```\n> x\n> ```");
}

#[test]
fn words_with_a_meaning_are_their_words() {
    check(
        "@ann_x #tag $CASH /go",
        &[("@ann_x", EntityKind::Mention), ("#tag", EntityKind::Hashtag)],
        r"@ann\_x #tag $CASH /go",
    );
    check("#tag", &[("#tag", EntityKind::Hashtag)], r"\#tag");
    check("Ann", &[("Ann", EntityKind::TextMention { user: 7 })], "Ann");
    check("👍!", &[("👍", EntityKind::CustomEmoji { document: 7 })], "👍!");
    check("a@b.org +15551234", &[("a@b.org", EntityKind::Email)], "a@b.org +15551234");
}

#[test]
fn characters_of_all_kinds_keep_their_styles() {
    check("👨‍👩‍👧x", &[("👨‍👩‍👧", Bold)], "**👨‍👩‍👧**x");
    check("🇺🇦🇵🇱", &[("🇺🇦", Italic)], "*🇺🇦*🇵🇱");
    check("שלום עולם", &[("עולם", Bold)], "שלום **עולם**");
    check("a\r\nb\rc", &[("b", Bold)], "a\n**b**\nc");
    check("e\u{301}é", &[("e\u{301}", Underline)], "__e\u{301}__é");
}

struct People;

impl Names for People {
    fn user(&self, id: u64) -> Option<String> {
        (id == 1).then(|| "Ann".to_owned())
    }

    fn channel(&self, id: u64) -> Option<String> {
        (id == 2).then(|| "general".to_owned())
    }

    fn role(&self, id: u64) -> Option<String> {
        (id == 3).then(|| "mods".to_owned())
    }
}

fn read(markdown: &str, text: &str, marked: &[(&str, EntityKind)]) {
    assert_eq!(from_discord(markdown, &People), rich(text, marked), "{markdown:?}");
}

#[test]
fn markdown_becomes_entities() {
    read("a **b** *c*", "a b c", &[("b", Bold), ("c", Italic)]);
    read("__a__ ~~b~~ ||c||", "a b c", &[("a", Underline), ("b", Strikethrough), ("c", Spoiler)]);
    read("***a***", "a", &[("a", Bold), ("a", Italic)]);
    read("😀**b**", "😀b", &[("b", Bold)]);
    read(r"\*a\*", "*a*", &[]);
    read("`a` b", "a b", &[("a", Code)]);
    read("x\n```rs\nlet\n```\ny", "x\nlet\ny", &[("let", pre(Some("rs")))]);
    read("x ```let``` y", "x \nlet\n y", &[("let", pre(None))]);
    read("> a\n> b\nc", "a\nb\nc", &[("a\nb", Blockquote)]);
    read("> a\n\nc", "a\n\nc", &[("a", Blockquote)]);
    read(">>> a\nb", "a\nb", &[("a\nb", Blockquote)]);
    read("# Title\ntext", "Title\ntext", &[("Title", Bold)]);
    read("# **Title**", "Title", &[("Title", Bold)]);
    read("-# small", "small", &[("small", Italic)]);
    read("- a\n  - b\n1. c", "- a\n  - b\n1. c", &[]);
    read(
        "[a](https://b.org) <https://c.org>",
        "a https://c.org",
        &[("a", link("https://b.org")), ("https://c.org", EntityKind::Url)],
    );
    read("  \n **a**\n\n", "a", &[("a", Bold)]);
}

#[test]
fn what_discord_names_by_number_becomes_words() {
    read("<@1> <@!9> <#2> <#9> <@&3> <@&9>", "@Ann @unknown-user #general #unknown @mods @unknown-role", &[]);
    read("@everyone <:party:5> <a:wave:6>", "@everyone :party: :wave:", &[]);
    read(
        "<t:1618936830> <t:1618936830:d> <t:1618936830:t>",
        "20 April 2021 16:40 UTC 2021-04-20 16:40 UTC",
        &[],
    );
    read("<t:1618936830:F>", "Tuesday, 20 April 2021 16:40 UTC", &[]);
    read("<t:99999999999999:R>", "<t:99999999999999:R>", &[]);
}

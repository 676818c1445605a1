//! Discord's reading of markdown, place by place.

use super::parse;
use crate::pipeline::convert::ast::{Mention, Node};
use crate::pipeline::convert::style::Style;
use Style::{Bold, Italic, Spoiler, Strike, Underline};

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn styled(style: Style, inner: &str) -> Node {
    Node::Styled(style, vec![text(inner)])
}

fn code(code: &str) -> Node {
    Node::Code(code.to_owned())
}

fn block(language: Option<&str>, code: &str) -> Node {
    Node::CodeBlock { language: language.map(str::to_owned), code: code.to_owned() }
}

fn url(url: &str) -> Node {
    Node::Url(url.to_owned())
}

fn check(cases: Vec<(&str, Vec<Node>)>) {
    for (source, want) in cases {
        assert_eq!(parse(source), want, "{source:?}");
    }
}

#[test]
fn marks_and_their_nesting() {
    check(vec![
        ("*a*", vec![styled(Italic, "a")]),
        ("_a_", vec![styled(Italic, "a")]),
        ("**a**", vec![styled(Bold, "a")]),
        ("__a__", vec![styled(Underline, "a")]),
        ("~~a~~", vec![styled(Strike, "a")]),
        ("||a||", vec![styled(Spoiler, "a")]),
        ("***a***", vec![Node::Styled(Italic, vec![styled(Bold, "a")])]),
        ("***a* b** c", vec![Node::Styled(Bold, vec![styled(Italic, "a"), text(" b")]), text(" c")]),
        ("***a** b* c", vec![Node::Styled(Italic, vec![styled(Bold, "a"), text(" b")]), text(" c")]),
        ("**a *b***", vec![Node::Styled(Bold, vec![text("a "), styled(Italic, "b")])]),
        ("**a\nb**", vec![styled(Bold, "a\nb")]),
        ("**a *b** c*", vec![styled(Bold, "a *b"), text(" c*")]),
        ("**a***b*", vec![styled(Bold, "a*"), text("b*")]),
        ("**a*", vec![text("*"), styled(Italic, "a")]),
        ("|||||", vec![styled(Spoiler, "|")]),
    ]);
}

#[test]
fn marks_that_are_none() {
    check(vec![
        ("a * b *", vec![text("a * b *")]),
        ("*a\n*", vec![text("*a\n*")]),
        ("a *b  * c", vec![text("a "), styled(Italic, "b"), text(" c")]),
        ("_a_b", vec![text("_a_b")]),
        ("snake_case_name", vec![text("snake_case_name")]),
        ("** **", vec![styled(Bold, " ")]),
        ("~~a~~_", vec![text("~~a~~_")]),
    ]);
}

#[test]
fn escapes() {
    check(vec![
        (r"\*a\*", vec![text("*a*")]),
        (r"*a\*b*", vec![styled(Italic, "a*b")]),
        (r"\a \& \\", vec![text(r"\a & \")]),
        (r"~~\~~", vec![styled(Strike, r"\")]),
        (r"¯\_(ツ)_/¯", vec![text(r"¯\_(ツ)_/¯")]),
        (r"\", vec![text(r"\")]),
        ("a  \nb", vec![text("a\nb")]),
    ]);
}

#[test]
fn code_in_a_line_and_in_blocks() {
    check(vec![
        ("`a*b*`", vec![code("a*b*")]),
        (r"`\`", vec![code(r"\")]),
        ("``a`b``", vec![code("a`b")]),
        ("``  `a  ``", vec![code(" `a  ")]),
        ("```` `", vec![code("```")]),
        ("``", vec![text("``")]),
        ("```a```", vec![block(None, "a")]),
        ("```rs\nfn\n```", vec![block(Some("rs"), "fn")]),
        ("```\n\n a \n\n```", vec![block(None, " a ")]),
        ("```rs\n```", vec![block(None, "rs")]),
        ("```c#\nx```", vec![block(None, "c#\nx")]),
        ("```````", vec![block(None, "`")]),
        ("a ```b``` c", vec![text("a "), block(None, "b"), text(" c")]),
    ]);
}

#[test]
fn lines() {
    let quote = |inner: &str| Node::Quote(vec![text(inner)]);
    let item = |indent, marker: &str, inner: &str| Node::Item {
        indent,
        marker: marker.to_owned(),
        content: vec![text(inner)],
    };
    check(vec![
        ("> a\n> b\nc", vec![quote("a\nb"), text("\nc")]),
        (">>> a\nb", vec![quote("a\nb")]),
        ("> > a", vec![quote("> a")]),
        ("a > b", vec![text("a > b")]),
        (">a", vec![text(">a")]),
        ("# a\nb", vec![Node::Heading(1, vec![text("a")]), text("\nb")]),
        ("### a ##  ", vec![Node::Heading(3, vec![text("a")])]),
        ("#### a", vec![text("#### a")]),
        ("#a", vec![text("#a")]),
        (" # a", vec![text(" # a")]),
        ("-# a", vec![Node::Small(vec![text("a")])]),
        ("-# -# a", vec![text("-# -# a")]),
        ("- a\n  * b", vec![item(0, "-", "a"), text("\n  "), item(2, "*", "b")]),
        ("12. a", vec![item(0, "12.", "a")]),
        ("12.a", vec![text("12.a")]),
        ("**> a**b", vec![Node::Styled(Bold, vec![quote("a")]), text("b")]),
        ("a **> b**", vec![text("a "), styled(Bold, "> b")]),
        ("> ```\n> a\n> ```", vec![Node::Quote(vec![block(None, "a")])]),
    ]);
}

#[test]
fn links_and_addresses() {
    let link = |to: &str, label: Vec<Node>| Node::Link { url: to.to_owned(), label };
    check(vec![
        ("https://a.org/x_y_", vec![url("https://a.org/x_y_")]),
        ("(https://a.org).", vec![text("("), url("https://a.org"), text(").")]),
        ("<https://a.org>", vec![url("https://a.org")]),
        ("<x:/y*z*>", vec![text("x:/y*z*")]),
        ("[a](https://b.org)", vec![link("https://b.org", vec![text("a")])]),
        ("[a](<https://b.org> 'title')", vec![link("https://b.org", vec![text("a")])]),
        ("[*a*](https://b.org/(c))", vec![link("https://b.org/(c)", vec![styled(Italic, "a")])]),
        (r"[a\*](https://b.org)", vec![link("https://b.org", vec![text(r"a\*")])]),
        ("[[1]](https://b.org)", vec![link("https://b.org", vec![text("[1]")])]),
        ("[https://a.org](https://b.org)", vec![text("[https://a.org](https://b.org)")]),
        ("[hi 👋](https://b.org)", vec![text("[hi 👋](https://b.org)")]),
        ("[a](https://b.org) c](d)", vec![text("[a](https://b.org) c](d)")]),
        ("[a](b)", vec![text("[a](b)")]),
        (r"\[a](https://b.org)", vec![text("[a]("), url("https://b.org"), text(")")]),
    ]);
}

#[test]
fn tokens() {
    let emoji = |name: &str| Node::Emoji(name.to_owned());
    check(vec![
        ("<@1> <@!2> <#3> <@&4>", {
            let mention = Node::Mention;
            let gap = || text(" ");
            let (one, two) = (mention(Mention::User(1)), mention(Mention::User(2)));
            vec![one, gap(), two, gap(), mention(Mention::Channel(3)), gap(), mention(Mention::Role(4))]
        }),
        ("@everyone@here", vec![Node::Mention(Mention::Everyone), Node::Mention(Mention::Here)]),
        ("<:a:1><a:b:2>:c:", vec![emoji("a"), emoji("b"), emoji("c")]),
        ("<t:0><t:-5:R>", {
            let at = |unix, style| Node::Timestamp { unix, style };
            vec![at(0, 'f'), at(-5, 'R')]
        }),
        ("<t:x> <@> <>", vec![text("<t:x> <@> <>")]),
    ]);
}

#[test]
fn nesting_is_bounded() {
    let deep = "**__".repeat(2_000);
    assert!(!parse(&deep).is_empty());
    let closed = format!("{}a{}", "||~~".repeat(200), "~~||".repeat(200));
    assert!(!parse(&closed).is_empty());
}

//! The reference for people: one page, made from the OpenAPI document, without scripts and without anything from elsewhere.

use std::fmt::Write;

use actix_web::web::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::Value;

use super::document::document;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:0 auto;padding:1rem}\
code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;padding:.7rem;border:1px solid #8886}\
h3 code{font-size:1rem}h3 b{display:inline-block;min-width:4.5rem}table{border-collapse:collapse;width:100%}\
td,th{border:1px solid #8886;padding:.3rem .5rem;text-align:left;vertical-align:top}section{margin-bottom:2.5rem}\
nav ul{columns:2}small{opacity:.8}";

/// What the API says of itself, as it is sent.
pub(crate) struct Published {
    /// The OpenAPI document.
    pub(crate) json: Bytes,
    /// The page.
    pub(crate) page: Bytes,
    /// The page's content security policy: nothing but its own style, which is named by its hash.
    pub(crate) policy: String,
}

impl Published {
    /// Puts both together.
    pub(crate) fn new() -> Self {
        let document = document();
        let hash = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self { json: Bytes::from(document.to_string()), page: Bytes::from(page(&document)), policy }
    }
}

/// The page of a document.
fn page(document: &Value) -> String {
    let mut html = String::new();
    let title = format!("{} {}", text(document, "/info/title"), text(document, "/info/version"));
    html.push_str("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width\">");
    push(
        &mut html,
        format_args!("<title>{0} API</title><style>{STYLE}</style><h1>{0} API</h1>", escape(&title)),
    );
    html.push_str(&prose(text(document, "/info/description")));
    html.push_str("<p>The same for programs: <a href=\"/openapi.json\">openapi.json</a>.</p>");
    let operations = operations(document);
    let tags: Vec<&str> = items(document, "/tags").map(|tag| text(tag, "/name")).collect();
    contents(&mut html, &tags, &operations);
    for tag in &tags {
        push(&mut html, format_args!("<h2>{}</h2>", escape(tag)));
        for entry in operations.iter().filter(|(.., operation)| text(operation, "/tags/0") == *tag) {
            section(&mut html, document, entry);
        }
    }
    html.push_str("<h2>Schemas</h2>");
    for (name, schema) in
        document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten()
    {
        push(&mut html, format_args!("<section id=\"{0}\"><h3><code>{0}</code></h3>", escape(name)));
        html.push_str(&prose(text(schema, "/description")));
        push(&mut html, format_args!("<pre>{}</pre></section>", linked(schema)));
    }
    html
}

/// Method, path and operation.
type Entry<'d> = (String, &'d str, &'d Value);

fn operations(document: &Value) -> Vec<Entry<'_>> {
    let paths = document.pointer("/paths").and_then(Value::as_object).into_iter().flatten();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
        })
        .collect()
}

fn contents(html: &mut String, tags: &[&str], operations: &[Entry<'_>]) {
    html.push_str("<nav>");
    for tag in tags {
        push(html, format_args!("<p>{}</p><ul>", escape(tag)));
        for (method, path, operation) in operations {
            if text(operation, "/tags/0") == *tag {
                let id = escape(text(operation, "/operationId"));
                push(html, format_args!("<li><a href=\"#{id}\">{method} <code>{}</code></a>", escape(path)));
            }
        }
        html.push_str("</ul>");
    }
    html.push_str("</nav>");
}

fn section(html: &mut String, document: &Value, (method, path, operation): &Entry<'_>) {
    let id = escape(text(operation, "/operationId"));
    push(html, format_args!("<section id=\"{id}\"><h3><b>{method}</b> <code>{}</code></h3>", escape(path)));
    push(html, format_args!("<p><strong>{}</strong></p>", escape(text(operation, "/summary"))));
    html.push_str(&prose(text(operation, "/description")));
    let mut parameters = items(operation, "/parameters").peekable();
    if parameters.peek().is_some() {
        html.push_str("<table><tr><th>parameter<th>in<th>type<th>meaning</tr>");
        for parameter in parameters {
            let needed =
                if parameter.get("required") == Some(&Value::Bool(true)) { ", required" } else { "" };
            push(
                html,
                format_args!(
                    "<tr><td><code>{}</code><td>{}{needed}<td><code>{}</code><td>{}</tr>",
                    escape(text(parameter, "/name")),
                    escape(text(parameter, "/in")),
                    parameter.get("schema").map(linked).unwrap_or_default(),
                    inline(text(parameter, "/description")),
                ),
            );
        }
        html.push_str("</table>");
    }
    if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
        push(html, format_args!("<p>Body:</p><pre>{}</pre>", linked(schema)));
    }
    html.push_str("<table><tr><th>status<th>answer</tr>");
    for (status, answer) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
        let answer = resolve(document, answer);
        push(html, format_args!("<tr><td>{status}<td>{}", prose(text(answer, "/description"))));
        for (media, content) in answer.get("content").and_then(Value::as_object).into_iter().flatten() {
            push(html, format_args!("<small>{}</small>", escape(media)));
            if let Some(schema) = content.get("schema").filter(|_| media == "application/json") {
                push(html, format_args!(" <code>{}</code>", linked(schema)));
            }
        }
        html.push_str("</tr>");
    }
    html.push_str("</table></section>");
}

/// What a reference inside the document leads to; anything else is itself.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = html.write_fmt(text);
}

fn text<'d>(value: &'d Value, pointer: &str) -> &'d str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items<'d>(value: &'d Value, pointer: &str) -> impl Iterator<Item = &'d Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A schema as text; names of other schemas lead to them.
fn linked(schema: &Value) -> String {
    let pretty = serde_json::to_string_pretty(schema).unwrap_or_default();
    pretty
        .lines()
        .map(|line| match line.split_once("\"#/components/schemas/") {
            Some((before, rest)) => {
                let name = escape(rest.split('"').next().unwrap_or_default());
                let after = escape(rest.split_once('"').map_or("", |(_, after)| after));
                format!("{}<a href=\"#{name}\">{name}</a>{after}", escape(before))
            }
            None => escape(line),
        })
        .collect::<Vec<String>>()
        .join("\n")
}

/// Paragraphs and lists with `code` in them.
fn prose(markdown: &str) -> String {
    let mut html = String::new();
    for paragraph in markdown.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        if paragraph.lines().all(|line| line.starts_with("- ")) {
            let lines =
                paragraph.lines().map(|line| format!("<li>{}", inline(line.trim_start_matches("- "))));
            push(&mut html, format_args!("<ul>{}</ul>", lines.collect::<String>()));
        } else {
            push(&mut html, format_args!("<p>{}</p>", inline(paragraph)));
        }
    }
    html
}

fn inline(markdown: &str) -> String {
    let escaped = escape(markdown);
    let mut html = String::new();
    for (index, piece) in escaped.split('`').enumerate() {
        if index % 2 == 1 {
            push(&mut html, format_args!("<code>{piece}</code>"));
        } else {
            html.push_str(piece);
        }
    }
    html
}

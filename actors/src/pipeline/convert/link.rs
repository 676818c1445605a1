//! Addresses: what Discord takes for one in running text, when it hides one behind words, and how one is written in a mask.

/// Schemes that Discord turns into links in running text.
const SCHEMES: [&str; 3] = ["https://", "http://", "steam://"];

/// Longest address behind a link, in code points as written in a mask; a longer one is left out and its words stay. Spelled out with
/// an escape before each character it still fits into one message.
pub(super) const MAX_URL: usize = 900;

/// JavaScript's `\s`, which Discord's rules are written with.
pub(super) fn is_space(ch: char) -> bool {
    (ch.is_whitespace() && ch != '\u{85}') || ch == '\u{feff}'
}

/// How many characters at the start of `text` Discord takes for an address, or `None`.
///
/// Its rule: a scheme, then anything but white space and `<`, not ending in `. , : ; " ' ]`, at least two characters; of several
/// closing brackets at the end one is left out when they outnumber the opening ones.
pub(super) fn autolink_len(text: &[char]) -> Option<usize> {
    let scheme = SCHEMES.iter().find(|scheme| starts_with(text, scheme))?.len();
    let body = text.get(scheme..)?;
    let reach = body.iter().position(|ch| is_space(*ch) || *ch == '<').unwrap_or(body.len());
    let body = body.get(..reach)?;
    let stops = ['.', ',', ':', ';', '"', '\'', ']'];
    let last = body.iter().rposition(|ch| !stops.contains(ch))?;
    if last == 0 {
        return None;
    }
    let body = body.get(..=last)?;
    let closing = body.iter().rev().take_while(|ch| **ch == ')').count();
    let opening = body.iter().filter(|ch| **ch == '(').count();
    let surplus = usize::from(closing > opening);
    Some(scheme + body.len() - surplus)
}

/// Whether `text` begins with the string.
pub(super) fn starts_with(text: &[char], prefix: &str) -> bool {
    prefix.chars().enumerate().all(|(at, want)| text.get(at) == Some(&want))
}

/// Whether an address may be a link's target on Discord.
pub(super) fn is_web(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

/// Whether two addresses differ in nothing but a closing slash.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    left.trim_end_matches('/') == right.trim_end_matches('/')
}

/// Whether Discord shows `[label](<url>)` with exactly these words as its face.
///
/// It refuses labels that hold an address or an emoji (discord-api-docs#6810, #7721) and knows no escapes in them (discord-api-docs#6185,
/// answer of staff), so a label with any character that a rule reads has no faithful form.
pub(super) fn is_maskable(label: &str) -> bool {
    let special = |ch: char| "\\*`~|<>[]\n@".contains(ch) || is_emoji(ch) || is_erased(ch);
    !label.trim().is_empty()
        && !label.contains(special)
        && label.matches('_').count() < 2
        && label.matches(':').count() < 2
        && !label.contains("://")
        && !label.split_whitespace().any(is_domain)
}

/// Characters that Discord takes out of a label.
pub(super) fn is_erased(ch: char) -> bool {
    matches!(ch, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
        || (ch.is_whitespace() && ch != ' ')
        || ch.is_control()
}

/// `example.org`, `www.example.org/path`: words that readers take for an address.
fn is_domain(word: &str) -> bool {
    let word = word.trim_matches(|ch: char| !ch.is_alphanumeric());
    let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let mut labels = host.rsplit('.');
    let top = labels.next().unwrap_or_default();
    let mut rest = labels.peekable();
    rest.peek().is_some()
        && top.chars().count() >= 2
        && top.chars().all(char::is_alphabetic)
        && rest.all(|part| !part.is_empty() && part.chars().all(|ch| ch.is_alphanumeric() || ch == '-'))
}

/// Whether the character is, or takes part in, an emoji: wide ranges, as a wrong yes only shows an address openly.
pub(super) const fn is_emoji(ch: char) -> bool {
    matches!(ch,
        '\u{203c}' | '\u{2049}' | '\u{20e3}' | '\u{2139}' | '\u{2194}'..='\u{2199}' | '\u{21a9}'..='\u{21aa}'
        | '\u{2300}'..='\u{23ff}' | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2934}'..='\u{2935}' | '\u{2b00}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}' | '\u{e0020}'..='\u{e007f}')
}

/// Writes an address so that it ends neither the mask nor a mark around it: brackets, spaces, quotes and what marks are made of
/// become percent codes, which mean the same (RFC 3986, section 2).
pub(super) fn encode(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for ch in url.chars() {
        let doubled = matches!(ch, '_' | '~') && out.ends_with(ch);
        if doubled || "()<>\\*|`\"'".contains(ch) || is_space(ch) || ch.is_control() {
            let mut bytes = [0_u8; 4];
            for byte in ch.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(ch);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        let chars: Vec<char> = text.chars().collect();
        autolink_len(&chars).map(|len| chars[..len].iter().collect())
    }

    #[test]
    fn addresses_end_where_discord_ends_them() {
        let cases = [
            ("https://a.org/x_y*z next", Some("https://a.org/x_y*z")),
            ("https://a.org.", Some("https://a.org")),
            ("https://ab)", Some("https://ab")),
            ("https://a))", Some("https://a)")),
            ("https://(a))", Some("https://(a)")),
            // Only the brackets at the end count.
            ("https://(a)b)", Some("https://(a)b)")),
            ("https://a.org<b", Some("https://a.org")),
            ("http://a", None),
            ("http://a.", None),
            ("ftp://a.org", None),
            ("https:// a", None),
        ];
        for (text, want) in cases {
            assert_eq!(found(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn labels_that_discord_would_not_mask_are_known() {
        for label in
            ["here", "read more…", "Ünïcödé ссылка", "snake_case", "C++ (draft)", "3.14", "e.g. this"]
        {
            assert!(is_maskable(label), "{label}");
        }
        for label in [
            "",
            " ",
            "https://a.org",
            "example.org",
            "see www.example.org/x!",
            "hi 👋",
            "a*b",
            "[1]",
            "a\nb",
            "_a_",
            "\u{200b}",
            "@everyone",
            ":smile:",
            "1️⃣",
        ] {
            assert!(!is_maskable(label), "{label:?}");
        }
    }

    #[test]
    fn masked_addresses_keep_their_meaning() {
        assert_eq!(encode("https://a.org/x_(y) z"), "https://a.org/x_%28y%29%20z");
        assert_eq!(encode("https://a.org/a__b~~c*|\\`"), "https://a.org/a_%5Fb~%7Ec%2A%7C%5C%60");
        assert_eq!(encode("https://a.org/é"), "https://a.org/é");
    }
}

//! Which links of a text Discord shows a preview of.

const SUPPRESS_EMBEDS: u64 = 1 << 2;
const MAX_PREVIEWS: usize = 5;

/// Bare addresses of a text; one in angle brackets, or in a message that suppresses previews, has none.
pub(super) fn shown(text: &str, flags: u64) -> impl Iterator<Item = &str> {
    let wanted = if flags & SUPPRESS_EMBEDS == 0 { MAX_PREVIEWS } else { 0 };
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
    words.filter(|word| is_address(word)).take(wanted)
}

fn is_address(word: &str) -> bool {
    let rest = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_addresses_are_shown_and_bracketed_ones_are_not() {
        let text = "a https://example.org/x b <https://example.org/y> [t](http://example.org) https://";
        let seen: Vec<_> = shown(text, 0).collect();
        assert_eq!(seen, ["https://example.org/x", "http://example.org"]);
        assert_eq!(shown(text, SUPPRESS_EMBEDS).count(), 0);
    }
}

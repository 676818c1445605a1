//! What a search for users may mean. Addresses are sealed: only a whole one is found, by its keyed hash.

use uuid::Uuid;

use crate::crypto::LookupKey;
use crate::services::fault::Fault;
use crate::services::identity::EmailAddress;
use crate::store::UserSearch;

/// Longest text that is searched for, in characters: that of the longest address.
const QUERY_MAX: usize = 254;

/// Fewest and most hexadecimal digits of an id's beginning.
const DIGITS_MIN: usize = 8;
const DIGITS_MAX: usize = 32;

/// Reads what is searched for.
///
/// # Errors
/// [`Fault::Invalid`] for an empty text and for one that is too long.
pub(super) fn parse(text: &str, lookup: &LookupKey) -> Result<UserSearch, Fault> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > QUERY_MAX || text.chars().any(char::is_control) {
        return Err(Fault::invalid("/query", format!("it must be 1 to {QUERY_MAX} characters in one line")));
    }
    Ok(UserSearch {
        ids: ids(text),
        email: EmailAddress::parse(text).ok().map(|address| address.tag(lookup)),
        label: Some(text.to_owned()),
    })
}

/// The first and the last id that begins so.
fn ids(text: &str) -> Option<(Uuid, Uuid)> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !hex || !(DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) {
        return None;
    }
    let filled = |digit: char| {
        let fill = std::iter::repeat_n(digit, DIGITS_MAX.saturating_sub(digits.len()));
        Uuid::parse_str(&digits.chars().chain(fill).collect::<String>()).ok()
    };
    Some((filled('0')?, filled('f')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_an_address_an_id_or_a_part_of_a_label() {
        let lookup = LookupKey::new(&[3; 32]);
        let parse = |text: &str| parse(text, &lookup).unwrap();
        assert_eq!(parse(" Ann@Example.org ").email, parse("ann@example.org").email);
        assert!(parse("ann@example.org").email.is_some() && parse("ann").email.is_none());
        let whole = "0193a0b0-0000-7000-8000-000000000009";
        let id: Uuid = whole.parse().unwrap();
        assert_eq!(parse(whole).ids, Some((id, id)));
        let (first, last) = parse("0193A0b0-00").ids.unwrap();
        assert_eq!(first.to_string(), "0193a0b0-0000-0000-0000-000000000000");
        assert_eq!(last.to_string(), "0193a0b0-00ff-ffff-ffff-ffffffffffff");
        for none in ["0193a0b", "acme corp", &"0".repeat(33)] {
            assert_eq!(parse(none).ids, None, "{none}");
        }
        for refused in ["", "  ", "a\nb", &"x".repeat(255)] {
            assert!(super::parse(refused, &lookup).is_err(), "{refused}");
        }
    }
}

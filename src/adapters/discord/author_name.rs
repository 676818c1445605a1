//! The name under which a webhook shows a copy: its author and where it comes from, as far as Discord takes the name.
//!
//! Discord refuses names that contain "discord" or "clyde" and names longer than 80 characters
//! (discord.com/developers/docs/resources/webhook#create-webhook). Names of staff, and such as ping everybody, are not
//! shown either: a copy must not look like somebody of the server it stands in.

use switchyard_actors::model::{Author, Platform};

/// Longest name, in UTF-16 code units: the strictest way to count Discord's 80 characters.
const LONGEST: usize = 80;
/// What no name may contain in any case.
const CONTAINED: [&str; 2] = ["discord", "clyde"];
/// What no name may be (discord.com/developers/docs/resources/user#usernames-and-nicknames).
const WHOLE: [&str; 2] = ["everyone", "here"];
/// Who stands in for a name that cannot be shown.
const NOBODY: &str = "Unnamed";

/// Which names are shown.
pub(super) struct AuthorNames {
    /// Words that only staff may have in their names, in small letters.
    refused: Vec<String>,
}

impl AuthorNames {
    /// With the words, separated by commas, that no name may have.
    pub(super) fn new(refused: &str) -> Self {
        let words = refused.split(',').map(|word| word.trim().to_lowercase());
        Self { refused: words.filter(|word| !word.is_empty()).collect() }
    }

    /// The name under which an author's words are shown; `None` leaves the webhook's own.
    pub(super) fn shown(&self, author: Option<&Author>) -> Option<String> {
        let author = author?;
        let clean = clean(author.name.as_deref().unwrap_or_default());
        let name = if self.refuses(&clean) { NOBODY } else { &clean };
        Some(with_source(name, author.via))
    }

    /// The name that stands in for one that Discord itself refused.
    pub(super) fn neutral(author: Option<&Author>) -> Option<String> {
        author.map(|author| with_source(NOBODY, author.via))
    }

    fn refuses(&self, name: &str) -> bool {
        let small = name.to_lowercase();
        let bare: String = small.chars().filter(|char| char.is_alphanumeric()).collect();
        name.is_empty()
            || CONTAINED.iter().any(|word| bare.contains(word))
            || WHOLE.contains(&bare.as_str())
            || self.refused.contains(&bare)
            || small
                .split(|char: char| !char.is_alphanumeric())
                .any(|word| self.refused.iter().any(|refused| refused == word))
    }
}

/// Without what cannot be seen or means something to Discord, and with single spaces.
fn clean(name: &str) -> String {
    let seen = name.chars().filter(|char| !is_invisible(*char));
    let plain: String =
        seen.map(|char| if matches!(char, '@' | '#' | ':' | '`') { ' ' } else { char }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Control and format characters, which would make one name look like another.
fn is_invisible(char: char) -> bool {
    (char.is_control() && !char.is_whitespace())
        || matches!(
            char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The name with its source behind it, which is never what is cut off. Discord's own name is not one that it takes.
fn with_source(name: &str, via: Platform) -> String {
    let source = match via {
        Platform::Telegram => " via Telegram",
        Platform::Discord => " (forwarded)",
    };
    let room = LONGEST.saturating_sub(source.len());
    let fits = name.encode_utf16().count() <= room;
    let mut shown = String::new();
    let mut used = if fits { 0 } else { 1 };
    for char in name.chars() {
        used += char.len_utf16();
        if used > room {
            break;
        }
        shown.push(char);
    }
    let mark = if fits { "" } else { "…" };
    format!("{}{mark}{source}", shown.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, via: Platform) -> String {
        let author = Author { name: Some(name.to_owned()), via };
        AuthorNames::new("admin, Moderator,,staff").shown(Some(&author)).unwrap()
    }

    #[test]
    fn a_copy_names_its_author_and_its_source() {
        assert_eq!(shown("Ada Lovelace", Platform::Telegram), "Ada Lovelace via Telegram");
        assert_eq!(
            shown("ada", Platform::Discord),
            "ada (forwarded)",
            "Discord takes no name with its own in it"
        );
        assert_eq!(shown("Зоя 🦊", Platform::Telegram), "Зоя 🦊 via Telegram");
        assert_eq!(shown("  @Ada\u{200b}\u{202e}  #1 ", Platform::Telegram), "Ada 1 via Telegram");
        assert_eq!(AuthorNames::new("").shown(None), None);
    }

    #[test]
    fn names_that_discord_refuses_or_that_pretend_are_not_shown() {
        let refused = [
            "Discord",
            "dis\u{200b}cord",
            "D.I.S.C.O.R.D",
            "xCLYDEx",
            "everyone",
            "@here",
            "Admin",
            "The Admin",
            "a.d.m.i.n",
            "[STAFF] Bob",
            "moderator",
            "",
            " ",
            "\u{2063}",
        ];
        for name in refused {
            assert_eq!(shown(name, Platform::Telegram), "Unnamed via Telegram", "{name:?}");
        }
        for name in ["Administer", "Stafford", "Heredia", "here we are"] {
            assert_eq!(shown(name, Platform::Telegram), format!("{name} via Telegram"));
        }
        let nameless = Author { name: None, via: Platform::Discord };
        assert_eq!(AuthorNames::new("").shown(Some(&nameless)).as_deref(), Some("Unnamed (forwarded)"));
        assert_eq!(AuthorNames::neutral(Some(&nameless)).as_deref(), Some("Unnamed (forwarded)"));
    }

    #[test]
    fn a_long_name_is_cut_and_its_source_is_not() {
        for long in ["x".repeat(200), "🦊".repeat(200), format!("{} yz", "x".repeat(65))] {
            let name = shown(&long, Platform::Telegram);
            assert!(name.encode_utf16().count() <= LONGEST, "{name}");
            assert!(name.ends_with("… via Telegram"), "{name}");
        }
        let just = "x".repeat(LONGEST - " via Telegram".len());
        assert_eq!(shown(&just, Platform::Telegram), format!("{just} via Telegram"));
    }
}

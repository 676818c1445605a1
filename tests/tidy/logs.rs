//! Log messages read alike: lower-case sentences without a full stop, so that they can be searched and joined.

use crate::files::File;

const LEVELS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];

/// Messages of tracing macros that begin with a capital or end in a full stop.
pub(crate) fn violations(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    for level in LEVELS {
        for (start, _) in file.text.match_indices(level) {
            let before = file.text[..start].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') || in_comment(&file.text, start) {
                continue;
            }
            let Some(message) = message(&file.text[start + level.len()..]) else { continue };
            let line = file.text[..start].lines().count().max(1);
            complaints.extend(faults(&message).map(|fault| format!("line {line}: \"{message}\" {fault}")));
        }
    }
    complaints
}

fn in_comment(text: &str, at: usize) -> bool {
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    line.contains("//") || line.contains('"')
}

/// A word in capitals, such as an abbreviation, may begin a message.
fn faults(message: &str) -> impl Iterator<Item = &'static str> {
    let word: String = message.chars().take_while(|c| c.is_alphanumeric()).collect();
    let capital = word.chars().next().is_some_and(char::is_uppercase) && word.chars().any(char::is_lowercase);
    let stop = message.ends_with('.') && !message.ends_with("..");
    [(capital, "begins with a capital"), (stop, "ends in a full stop")]
        .into_iter()
        .filter_map(|(wrong, fault)| wrong.then_some(fault))
}

/// The message of a macro call: its first argument that is a bare string.
fn message(arguments: &str) -> Option<String> {
    let (mut depth, mut fresh) = (0_i32, true);
    let mut chars = arguments.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let text = string(&mut chars);
                if depth == 0 && fresh {
                    return Some(text);
                }
                fresh = false;
            }
            ',' if depth == 0 => fresh = true,
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => return None,
            ')' | ']' | '}' => depth -= 1,
            c if c.is_whitespace() => {}
            _ => fresh = false,
        }
    }
    None
}

fn string(chars: &mut std::str::Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(call: &str) -> usize {
        violations(&File::sample("a.rs", call)).len()
    }

    #[test]
    fn capitals_and_full_stops_are_seen() {
        assert_eq!(complaints("info!(\"Started\");"), 1);
        assert_eq!(complaints("tracing::warn!(account = %id, name = \"Alice\", \"session is over.\");"), 1);
        assert_eq!(complaints("error!(\n    error = %describe(&error, \"A\"),\n    \"Store lost.\"\n);"), 2);
    }

    #[test]
    fn sentences_of_the_house_pass() {
        assert_eq!(complaints("info!(path = \"A.\", \"child restarted in place\");"), 0);
        assert_eq!(complaints("warn!(\"HTTP server stopped\");"), 0);
        assert_eq!(complaints("debug!(?state);"), 0);
        assert_eq!(complaints("// info!(\"Not a call.\")"), 0);
        assert_eq!(complaints("my_info!(\"Other.\")"), 0);
    }
}

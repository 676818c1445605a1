//! Splitting long texts: the source is cut, not its markdown, so every piece carries its own marks, closed and reopened.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::cut;
use super::filter::is_visible;
use crate::model::{EntityKind, RichText};

/// Cuts a text into pieces that each satisfy `fits`, in order, as few as the breaks allow.
///
/// A break is sought at a paragraph, a line or a sentence in the second half of what fits, then at a space in its last three quarters, then between two
/// characters as readers see them (grapheme clusters). It never falls inside a mention, an address, the words of a link or a tag unless one of
/// these is longer than a piece. White space at a break goes; a piece with nothing visible is left out.
///
/// `fits` must accept a single plain character.
#[must_use]
pub fn split(rich: &RichText, fits: &dyn Fn(&RichText) -> bool) -> Vec<RichText> {
    let mut pieces = Vec::new();
    let mut rest = cut::trim(rich);
    while is_visible(rest.text()) {
        if fits(&rest) {
            pieces.push(rest);
            break;
        }
        let (piece, end) = first_piece(&rest, fits);
        rest = after_break(&rest, end);
        if is_visible(piece.text()) {
            pieces.push(piece);
        }
    }
    pieces
}

/// What follows a break: without the white space at it, but a line of code keeps its indentation.
fn after_break(rich: &RichText, end: usize) -> RichText {
    let tail = rich.text().get(end..).unwrap_or_default();
    let lines = tail.len() - tail.trim_start_matches(['\r', '\n']).len();
    let rest = cut::piece(rich, end + lines..rich.text().len());
    let in_code = rest
        .entities()
        .iter()
        .any(|entity| entity.offset == 0 && matches!(entity.kind, EntityKind::Pre { .. } | EntityKind::Code));
    if in_code { rest } else { cut::trim(&rest) }
}

/// The longest good first piece, and the byte at which it ends.
fn first_piece(rich: &RichText, fits: &dyn Fn(&RichText) -> bool) -> (RichText, usize) {
    let text = rich.text();
    let mut clusters = text.grapheme_indices(true).map(|(at, cluster)| at + cluster.len());
    let piece = |end: usize| cut::trim_end(&cut::piece(rich, 0..end));
    // The longest prefix that fits, searched in growing steps so that the cost follows the piece and not the whole text.
    let mut ends: Vec<usize> = clusters.by_ref().take(64).collect();
    while ends.last().is_some_and(|end| fits(&piece(*end))) {
        let more = ends.len();
        ends.extend(clusters.by_ref().take(more));
        if ends.len() == more {
            break;
        }
    }
    // Marks make the length only nearly monotone, so the guess is checked again below.
    let reach = ends.partition_point(|end| fits(&piece(*end)));
    let reach = (0..reach).rev().find(|at| ends.get(*at).is_some_and(|end| fits(&piece(*end))));
    if let Some(reach) = reach {
        let breaks = Breaks { text, atoms: atoms(rich), ends: ends.get(..=reach).unwrap_or_default() };
        for end in breaks.best_first() {
            let candidate = piece(end);
            if fits(&candidate) {
                return (candidate, end);
            }
        }
    }
    // Not even one cluster fits: its characters, and at last the bare character.
    let first = text.chars().next().map_or(0, char::len_utf8);
    let by_char = text.char_indices().map(|(at, ch)| at + ch.len_utf8());
    let cluster = ends.first().copied().unwrap_or(first);
    let inside: Vec<usize> = by_char.take_while(|end| *end < cluster).collect();
    if let Some(end) = inside.into_iter().rev().find(|end| fits(&piece(*end))) {
        return (piece(end), end);
    }
    (RichText::plain(text.get(..first).unwrap_or_default()), first)
}

/// Stretches that a break must not fall into: byte ranges, in order.
fn atoms(rich: &RichText) -> Vec<Range<usize>> {
    let text = rich.text();
    let mut units = Vec::new();
    for (at, ch) in text.char_indices() {
        units.extend(std::iter::repeat_n(at, ch.len_utf16()));
    }
    units.push(text.len());
    let byte = |unit: usize| units.get(unit).copied().unwrap_or(text.len());
    let is_atom = |kind: &EntityKind| {
        use EntityKind as E;
        matches!(
            kind,
            E::TextLink { .. }
                | E::Url
                | E::Email
                | E::PhoneNumber
                | E::Mention
                | E::TextMention { .. }
                | E::Hashtag
                | E::Cashtag
                | E::BotCommand
                | E::BankCard
                | E::CustomEmoji { .. }
        )
    };
    let found = rich.entities().iter().filter(|entity| is_atom(&entity.kind));
    let mut atoms: Vec<Range<usize>> = found.map(|entity| byte(entity.offset)..byte(entity.end())).collect();
    // Addresses that the source did not mark.
    for (at, _) in text.match_indices("http") {
        let word = text.get(at..).and_then(|rest| rest.split(char::is_whitespace).next()).unwrap_or_default();
        if word.contains("://") {
            atoms.push(at..at + word.len());
        }
    }
    atoms
}

/// Where a text may break.
struct Breaks<'a> {
    text: &'a str,
    atoms: Vec<Range<usize>>,
    /// Ends of the clusters within reach.
    ends: &'a [usize],
}

/// How good a break is, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Quality {
    Paragraph,
    Line,
    Sentence,
    Space,
    Cluster,
}

impl Breaks<'_> {
    /// Every place within reach, the best first, and of equals the latest.
    fn best_first(&self) -> Vec<usize> {
        let reach = self.ends.last().copied().unwrap_or(0);
        let mut ranked: Vec<(bool, Quality, std::cmp::Reverse<usize>)> = Vec::with_capacity(self.ends.len());
        for end in self.ends {
            let quality = self.quality(*end);
            let early = match quality {
                Quality::Paragraph | Quality::Line | Quality::Sentence => *end < reach / 2,
                Quality::Space => *end < reach / 4,
                Quality::Cluster => false,
            };
            let quality = if early { Quality::Cluster } else { quality };
            let torn = self.atoms.iter().any(|atom| atom.start < *end && *end < atom.end);
            ranked.push((torn, quality, std::cmp::Reverse(*end)));
        }
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, _, end)| end.0).collect()
    }

    fn quality(&self, end: usize) -> Quality {
        let (before, after) = self.text.split_at_checked(end).unwrap_or((self.text, ""));
        let line = before.trim_end_matches('\r');
        if line.ends_with('\n') || after.starts_with(['\r', '\n']) {
            let blank = line.trim_end_matches(['\r', '\n', ' ']).len() + 1 < line.len()
                || after.trim_start_matches('\r').starts_with("\n\n")
                || after.starts_with("\r\n\r\n");
            return if blank { Quality::Paragraph } else { Quality::Line };
        }
        if before.ends_with(char::is_whitespace) {
            let stops = ['.', '!', '?', '…', '。', '！', '？', '؟', '।'];
            let closes = ['"', '\'', ')', ']', '»', '”', '’', '*'];
            let words = before.trim_end().trim_end_matches(closes);
            return if words.ends_with(stops) { Quality::Sentence } else { Quality::Space };
        }
        let ideographic = before.ends_with(['。', '！', '？']);
        if ideographic { Quality::Sentence } else { Quality::Cluster }
    }
}

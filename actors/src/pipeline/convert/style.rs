//! The five styles that both platforms have, and sets of them.

/// A style of text that Telegram and Discord both know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Style {
    /// `||hidden||`
    Spoiler,
    /// `__underlined__`
    Underline,
    /// `**bold**`
    Bold,
    /// `~~struck~~`
    Strike,
    /// `*italic*`
    Italic,
}

impl Style {
    /// Every style; where several open at one place and end together, the earlier one is outside.
    pub const ALL: [Self; 5] = [Self::Spoiler, Self::Underline, Self::Bold, Self::Strike, Self::Italic];

    /// Discord's mark, the same at both ends.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Spoiler => "||",
            Self::Underline => "__",
            Self::Bold => "**",
            Self::Strike => "~~",
            Self::Italic => "*",
        }
    }

    /// The character that the mark is made of.
    pub(super) const fn mark_char(self) -> char {
        match self {
            Self::Spoiler => '|',
            Self::Underline => '_',
            Self::Bold | Self::Italic => '*',
            Self::Strike => '~',
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Spoiler => 1,
            Self::Underline => 2,
            Self::Bold => 4,
            Self::Strike => 8,
            Self::Italic => 16,
        }
    }
}

/// A set of styles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Styles(u8);

impl Styles {
    /// No style.
    pub const NONE: Self = Self(0);
    /// Every style.
    pub const ALL: Self = Self(31);

    /// Whether the style is in the set.
    #[must_use]
    pub const fn has(self, style: Style) -> bool {
        self.0 & style.bit() != 0
    }

    /// The set with the style.
    #[must_use]
    pub const fn with(self, style: Style) -> Self {
        Self(self.0 | style.bit())
    }

    /// What both sets have.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What this set has and the other has not.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The styles in the set.
    pub fn iter(self) -> impl Iterator<Item = Style> {
        Style::ALL.into_iter().filter(move |style| self.has(*style))
    }
}

impl FromIterator<Style> for Styles {
    fn from_iter<T: IntoIterator<Item = Style>>(styles: T) -> Self {
        styles.into_iter().fold(Self::NONE, Self::with)
    }
}

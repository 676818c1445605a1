//! Classes of urgency, and whose turn it is between them.

use serde::{Deserialize, Serialize};

/// How urgent a send is. Classes go in strict order, within the bounds of `Turn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Edits, deletes, answers to commands.
    Urgent,
    /// What happens now.
    Live,
    /// What happened earlier.
    Backfill,
}

/// One value for each class.
#[derive(Clone, Debug, Default)]
pub(super) struct PerClass<T> {
    urgent: T,
    live: T,
    backfill: T,
}

impl<T> PerClass<T> {
    pub(super) fn each(mut value: impl FnMut(Class) -> T) -> Self {
        Self { urgent: value(Class::Urgent), live: value(Class::Live), backfill: value(Class::Backfill) }
    }

    pub(super) const fn get(&self, class: Class) -> &T {
        match class {
            Class::Urgent => &self.urgent,
            Class::Live => &self.live,
            Class::Backfill => &self.backfill,
        }
    }

    pub(super) const fn get_mut(&mut self, class: Class) -> &mut T {
        match class {
            Class::Urgent => &mut self.urgent,
            Class::Live => &mut self.live,
            Class::Backfill => &mut self.backfill,
        }
    }
}

/// Grants of other classes after which a waiting backfill has its turn: it gets at least one in twenty.
const BACKFILL_TURN: u32 = 19;

/// Whose turn it is: strict order, but the backfill gets its share and the urgent never two in a row while others
/// are ready.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    passed_backfill: u32,
    urgent_last: bool,
}

impl Turn {
    /// The class that goes next, and whether it goes because its share is due.
    pub(super) const fn choose(&self, ready: &PerClass<bool>) -> Option<(Class, bool)> {
        let others = ready.live || ready.backfill;
        if ready.backfill && self.passed_backfill >= BACKFILL_TURN {
            Some((Class::Backfill, true))
        } else if ready.urgent && !(self.urgent_last && others) {
            Some((Class::Urgent, false))
        } else if ready.live {
            Some((Class::Live, false))
        } else if ready.backfill {
            Some((Class::Backfill, false))
        } else {
            None
        }
    }

    /// A class went; `backfill_waits` if the backfill could have.
    pub(super) const fn went(&mut self, class: Class, backfill_waits: bool) {
        self.urgent_last = matches!(class, Class::Urgent);
        self.passed_backfill = match class {
            Class::Backfill => 0,
            _ if backfill_waits => self.passed_backfill.saturating_add(1),
            _ => self.passed_backfill,
        };
    }
}

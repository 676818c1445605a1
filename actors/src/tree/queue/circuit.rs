//! Tells a fault of one message from a fault of the whole account or platform. Pure.

/// Opens after a number of failures in a row across all lanes; one success closes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circuit {
    failures: u32,
    limit: u32,
}

impl Circuit {
    /// A closed circuit that opens at `limit` failures in a row.
    #[must_use]
    pub(super) const fn new(limit: u32) -> Self {
        Self { failures: 0, limit }
    }

    /// The account or platform fails as a whole: tries do not count against any message.
    #[must_use]
    pub(super) const fn is_open(&self) -> bool {
        self.failures >= self.limit
    }

    /// Notes how a try spoke for the account. Answers whether the circuit opened or closed by it.
    pub(super) fn note(&mut self, worked: bool) -> bool {
        let before = self.is_open();
        self.failures = if worked { 0 } else { self.failures.saturating_add(1) };
        before != self.is_open()
    }

    /// Failures in a row.
    #[must_use]
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_at_the_limit_and_closes_with_one_success() {
        let mut circuit = Circuit::new(3);
        assert!(!circuit.note(false) && !circuit.note(false));
        assert!(circuit.note(false) && circuit.is_open());
        assert!(!circuit.note(false));
        assert!(circuit.note(true) && !circuit.is_open());
    }
}

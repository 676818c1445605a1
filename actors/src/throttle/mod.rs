//! The pure limiter: budgets, lanes, fairness, holds.

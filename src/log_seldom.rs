//! Lines of the process's log that would be written many times a second while something lasts, such as a broker's absence.
//!
//! Owns how often one is: at once, and then seldom, by place in the code and not by thread. May not decide what it says.
//! Called through `warn_seldom!` by the lanes.

use crate::clock::Deadline;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Between two lines of one place.
const AGAIN: Duration = Duration::from_secs(30);

/// When the line of one place is due again.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<Option<Deadline>>);

impl Seldom {
    /// One whose line is due.
    #[must_use]
    pub const fn new() -> Seldom {
        Seldom(Mutex::new(None))
    }

    /// Whether the line is due; whoever is told so says it.
    pub fn is_due(&self) -> bool {
        let mut rests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = rests.is_none_or(|until| until.is_over());
        if is_due {
            *rests = Some(Deadline::after(AGAIN));
        }
        is_due
    }
}

/// As `tracing::warn!` where the line is due; otherwise as `tracing::debug!`, so that nothing is kept from who asks for
/// every line.
#[macro_export]
macro_rules! warn_seldom {
    ($($line:tt)*) => {{
        static SAID: $crate::log_seldom::Seldom = $crate::log_seldom::Seldom::new();
        if SAID.is_due() { tracing::warn!($($line)*) } else { tracing::debug!($($line)*) }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_at_once_and_then_rests_while_those_of_other_places_do_not() {
        let (one, other) = (Seldom::new(), Seldom::new());
        assert!(one.is_due());
        assert!((0..1_000).all(|_| !one.is_due()));
        assert!(other.is_due());
        *one.0.lock().expect("nobody panics") = Some(Deadline::after(Duration::ZERO));
        assert!(one.is_due(), "its rest is over");
    }
}

//! Milliseconds since the Unix epoch, the only clock reading that decisions ever see.
//!
//! Owns the arithmetic, which saturates: a hostile time stamp must not panic. Called everywhere.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z; may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Millis(pub i64);

impl Millis {
    /// The earliest time there is; every reading is at or after it.
    pub const MIN: Millis = Millis(i64::MIN);

    /// This time plus `ms` milliseconds, saturating at the ends.
    #[must_use]
    pub fn plus(self, ms: i64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Millis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

//! The pure half of triaged: it decides, and does nothing else.
//!
//! No I/O, no clock, no threads, no randomness, no randomly seeded maps: `clippy.toml` beside this crate bans
//! them. The same log under the same policy gives the same effects, byte for byte, which is what replay, the
//! simulator and `explain` stand on.
//!
//! Each layer may use only what stands to its left (`tests/tidy.rs` of the daemon checks it):
//!
//! ```text
//! model <- text <- policy <- scan <- signals <- dedup <- { triage, desk, plans } <- explain
//! ```
#![forbid(unsafe_code)]

pub mod model;
pub mod plans;

/// Stand-in until the policy module is there.
pub mod policy {
    use serde::{Deserialize, Serialize};
    use std::fmt;
    use std::str::FromStr;

    /// A policy bundle's SHA-256; text form `sha256:<hex>`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(try_from = "String", into = "String")]
    pub struct Generation(pub [u8; 32]);

    impl fmt::Display for Generation {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("sha256:")?;
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }

    impl From<Generation> for String {
        fn from(generation: Generation) -> String {
            generation.to_string()
        }
    }

    impl TryFrom<String> for Generation {
        type Error = String;
        fn try_from(text: String) -> Result<Generation, String> {
            text.parse()
        }
    }

    impl FromStr for Generation {
        type Err = String;
        fn from_str(text: &str) -> Result<Generation, String> {
            let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64).ok_or("not a generation")?;
            let mut bytes = [0; 32];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = hex
                    .get(2 * at..2 * at + 2)
                    .and_then(|d| u8::from_str_radix(d, 16).ok())
                    .ok_or("not hex")?;
            }
            Ok(Generation(bytes))
        }
    }
}

/// The number of the rules by which old logs are folded. A release that would decide an old log differently
/// raises it; ledgers and snapshots carry the number under which they were written.
pub const SEMANTICS: u32 = 1;

//! A policy by its hash.
//!
//! Owns nothing but the shape until the policy module of this crate carries it. May not compute the hash.
//! Used by the desk's events and effects.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A policy by the SHA-256 of its canonical bytes. Text form `sha256:<hex>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub [u8; 32]);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

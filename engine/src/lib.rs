//! The pure half of triaged: it decides, and does nothing else.
//!
//! No I/O, no clock, no threads, no randomness, no randomly seeded maps: `clippy.toml` beside this crate bans
//! them. The same log under the same policy gives the same effects, byte for byte, which is what replay, the
//! simulator and `explain` stand on.
//!
//! Each layer may use only what stands to its left (`tests/tidy.rs` of the daemon checks it):
//!
//! ```text
//! model <- text <- scan, signals <- policy <- dedup <- triage, desk, plans <- explain
//! ```
#![forbid(unsafe_code)]

pub mod dedup;
pub mod desk;
pub mod explain;
pub mod model;
pub mod plans;
pub mod policy;
pub mod scan;
pub mod signals;
pub mod text;
pub mod triage;

/// The number of the rules by which old logs are folded. A release that would decide an old log differently
/// raises it; ledgers and snapshots carry the number under which they were written.
pub const SEMANTICS: u32 = 1;

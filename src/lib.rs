//! triaged: the daemon between the firehose of public mentions and the people who answer them.
//!
//! `pipeline` tells the whole path. Each layer may use only what stands to its left (`tests/tidy.rs`):
//!
//! ```text
//! error, clock <- config, wire <- offsets, log, worker <- shard <- { kafka, embedded, hyperscan, admin, systemd } <- pipeline <- cli <- main
//! ```
#![deny(unsafe_code)]

pub mod kafka;
pub mod log;

//! triaged: the daemon between the firehose of public mentions and the people who answer them.
//!
//! `pipeline` tells the whole path. Each layer may use only what stands to its left (`tests/tidy.rs`):
//!
//! ```text
//! clock, log, log_level, diagnostic <- error, log_seldom, progress <- wire <- config, policy_cache, policy_folder, counters, shown <- offsets, policies <- worker <- shard, rule_tests
//!     <- kafka, embedded, hyperscan, admin, systemd, interrupt <- pipeline, audit, simulator
//!     <- demo, files, explain, tap <- replay, rule_cost <- cli <- main
//! ```
#![deny(unsafe_code)]

pub mod admin;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counters;
pub mod demo;
pub mod diagnostic;
pub mod embedded;
pub mod error;
pub mod explain;
pub mod files;
pub mod hyperscan;
pub mod interrupt;
pub mod kafka;
pub mod log;
pub mod log_level;
pub mod log_seldom;
pub mod offsets;
pub mod pipeline;
pub mod policies;
pub mod policy_cache;
pub mod policy_folder;
pub mod progress;
pub mod replay;
pub mod rule_cost;
pub mod rule_tests;
pub mod shard;
pub mod shown;
#[cfg(test)]
mod simulator;
pub mod systemd;
pub mod tap;
pub mod wire;
pub mod worker;

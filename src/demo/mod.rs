//! The demo: real texts turned into a stream of mentions, calm first, then a storm.
//!
//! Owns the feed. Decides nothing about mentions: it only sends them. Called by the command line.

mod feed;
mod texts;

pub use feed::{Feed, Weather};
pub use texts::{Origin, Text, texts};

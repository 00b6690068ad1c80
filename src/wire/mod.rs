//! Every format that crosses a border: JSON in and out, CloudEvents headers, the internal binary records.
//!
//! Owns bytes and nothing else: no decision is made here, nothing is read or sent. Called by workers and shards.

pub mod desk_log;

//! What goes over the wire: JSON and CloudEvents headers in and out, and the internal binary formats.
//!
//! Owns every byte layout that another process may read; docs/formats.md describes them. May not decide
//! anything, nor touch a log. Called by the shards and by the verbs that read topics from outside.

pub mod alert;
pub mod assignment;
pub mod cloudevents;
pub mod control;
pub mod dead_letter;
pub mod desk_log;
pub mod helpdesk_event;
pub mod ledger;
pub mod mention;
pub mod policies;
pub mod redact;
pub mod snapshot;
pub mod visible;

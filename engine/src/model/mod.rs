//! The words of the domain as types: ids, times, mentions, dispositions.
//!
//! Owns the checked constructors of everything that crosses a border. May use nothing but the standard library.
//! Every other module of the engine, and the daemon, speaks in these types.

mod disposition;
mod ids;
mod mention;
mod time;

pub use disposition::{DeadLetterReason, Disposition, EventDisposition};
pub use ids::{AssignmentId, AuthorKey, CaseId, MentionKey, Position, Source, StreamId};
pub use mention::{Author, Kind, Mention, Thread, Visibility};
pub use time::Millis;

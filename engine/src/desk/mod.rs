//! The desk engine: the cases of every desk that lives in one partition of the desk log.
//!
//! Owns who has which open case, the timers, and which records were seen before. One [`DeskLog`] folds one
//! partition, entry by entry; its state is that fold and nothing else. May not read a clock, send anything or know
//! how records are written: the daemon's desk shard calls `step` and writes the effects out. Agents, targets and
//! service levels will stand beside `cases.rs`.

mod cases;
mod desk_log;
mod effect;
mod event;
mod seen;
mod snapshot;

use crate::policy::Generation;

pub use desk_log::{DeskLog, DeskPolicies, DeskSettings};
pub use effect::{AssignmentMode, CloseReason, Counts, Effect, Effects, What};
pub use event::{Event, LogEntry, QueuedMention, SourceMark};
pub use seen::{Seen, SeenSet};
pub use snapshot::{CaseSnapshot, DeskSnapshot, NotADesk, SeenSnapshot};

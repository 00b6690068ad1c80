//! The protocol: how a shard reads its log, writes ahead, acts, settles, commits, and comes back after a crash.
//!
//! Owns the rules of `docs/architecture.md` ("Recovery"). May use logs only through `log`'s traits and may not
//! read a clock: so the simulator runs this very code. The lanes of `pipeline` and the simulator call it.

pub mod desk;
pub mod desk_lane;
pub mod desk_restore;
pub mod desk_snapshot;
pub mod intake;
pub mod lane;
pub mod ledger_tail;
pub mod plan;
#[cfg(test)]
pub mod planted;
pub mod runs;
pub mod starts;
pub mod triage;
pub mod triage_counts;
pub mod triage_lane;
pub mod triage_restore;

use std::fmt;

/// Why a shard stops where it is, drains what is certain, and starts again from what is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The ledger's answer was not the expected offset: somebody else may be writing.
    Conflict,
    /// A record could not be delivered.
    Undelivered {
        /// The topic that refused.
        topic: String,
        /// What the broker said.
        why: String,
    },
    /// Retention has overtaken the reader: what lies before the log's start is lost.
    Overtaken,
}

impl Stop {
    /// Whether nothing more may go out: what is in flight is waited for, not gone on with.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        !matches!(self, Stop::Overtaken)
    }

    /// The name in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Stop::Conflict => "conflict",
            Stop::Undelivered { .. } => "undelivered",
            Stop::Overtaken => "overtaken",
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Conflict => write!(f, "the ledger shows that somebody else may be writing"),
            Stop::Overtaken => write!(f, "retention has overtaken the reader"),
            Stop::Undelivered { topic, why } => write!(f, "topic `{topic}` does not take our records: {why}"),
        }
    }
}

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
pub mod pause;
pub mod plan;
#[cfg(test)]
pub mod planted;
pub mod release;
pub mod runs;
pub mod starts;
pub mod survey;
pub mod triage;
pub mod triage_counts;
pub mod triage_lane;
pub mod triage_release;
pub mod triage_restore;
mod triage_run;
mod work;

use crate::clock::Clock;
use crate::log::{Outgoing, Producer, Ticket, TopicPartition};
use crate::wire::alert::{self, Alert};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Where alerts go, and by which clock they are stamped.
#[derive(Clone)]
pub struct Alerts {
    to: TopicPartition,
    clock: Arc<dyn Clock>,
    /// When each partition's trouble was last told, in milliseconds of the monotonic clock.
    told: Arc<Mutex<BTreeMap<TopicPartition, i64>>>,
}

/// Milliseconds for which the same trouble of one partition is not told again: it is tried twice a second.
const TOLD_AGAIN_MS: i64 = 60_000;

impl Alerts {
    /// Alerts to partition 0 of `topic`.
    #[must_use]
    pub fn new(topic: &str, clock: Arc<dyn Clock>) -> Alerts {
        Alerts { to: TopicPartition::new(topic, 0), clock, told: Arc::default() }
    }

    /// Sends an alert about a partition; not tied to any offset. One that cannot be sent stands in the log beside.
    pub fn send(&self, alert: &Alert<'_>, about: &TopicPartition, out: &mut dyn Producer) {
        let mut batch = Outgoing::default();
        alert::push(alert, about, self.clock.wall(), &mut batch);
        if let Err(error) = out.send(&self.to, &batch, &Arc::new(Ticket::new())) {
            tracing::warn!(%about, kind = alert.kind(), %error, "an alert was not sent");
        }
    }

    /// Sends what people must know of a shard that has stopped.
    pub fn stopped(&self, stop: &Stop, about: &TopicPartition, out: &mut dyn Producer) {
        if let Stop::Undelivered { topic, why } = stop {
            let now = self.clock.monotonic_ms();
            let mut told = self.told.lock().expect("invariant: nobody panics while holding what was told");
            if told.get(about).is_some_and(|&last| now - last < TOLD_AGAIN_MS) {
                return;
            }
            told.insert(about.clone(), now);
            drop(told);
            self.send(&Alert::OutputRefused { topic, why }, about, out);
        }
    }
}

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

    /// A send to `topic` was refused at once.
    fn refused(topic: &str, error: &crate::log::LogError) -> Stop {
        Stop::Undelivered { topic: topic.to_owned(), why: error.to_string() }
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

//! What each kind of lane is given: the topics by their settings, the policies, the clock.
//!
//! Owns the mapping from settings to the parts of lanes, once, so that a run over files works with the very lanes of the
//! daemon. May not start anything. Called by the daemon's start and by `files`.

use super::shared::Shared;
use super::{policy, topics};
use crate::clock::Clock;
use crate::config::Settings;
use crate::log::{Logs, TopicPartition};
use crate::policies::Policies;
use crate::shard::Alerts;
use crate::shard::desk::DeskTopics;
use crate::shard::desk_lane::DeskParts;
use crate::shard::intake::IntakeTopics;
use crate::shard::starts::Starts;
use crate::shard::triage_lane::{TriageNames, TriageParts};
use crate::worker::Workers;
use std::sync::Arc;

/// What lanes of both kinds share.
pub struct Wiring<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The cluster.
    pub logs: &'a Arc<dyn Logs>,
    /// The policies of this instance.
    pub policies: &'a Arc<Policies>,
    /// By which foreign time stamps are clamped, and alerts are stamped.
    pub clock: &'a Arc<dyn Clock>,
    /// What is known of the topics.
    pub found: &'a topics::Found,
}

impl<'a> Wiring<'a> {
    pub(super) fn of(shared: &'a Shared, found: &'a topics::Found) -> Wiring<'a> {
        let Shared { settings, logs, policies, clock, .. } = shared;
        Wiring { settings, logs, policies, clock, found }
    }

    /// What the desk lane needs. The desk log is kept for `log_keep_ms` milliseconds although snapshots have made it
    /// dispensable.
    #[must_use]
    pub fn desk(&self, log_keep_ms: i64) -> DeskParts {
        let (settings, topics) = (self.settings, &self.settings.topics);
        DeskParts {
            logs: self.logs.clone(),
            policies: self.policies.clone(),
            matcher: policy::matcher,
            alerts: Alerts::new(&topics.alerts, self.clock.clone()),
            desks: Arc::from(topics.desks.as_str()),
            helpdesk: (Arc::from(topics.helpdesk_events.as_str()), self.found.helpdesk),
            control: Arc::from(topics.control.as_str()),
            snapshots: Arc::from(topics.snapshots.as_str()),
            outputs: DeskTopics::new(&topics.assignments_prefix, &topics.mentions, self.logs.clone()),
            intake: IntakeTopics {
                desks: (Arc::from(topics.desks.as_str()), self.found.partitions_of(&topics.desks)),
                dead_letter: TopicPartition::new(&topics.dead_letter, 0),
            },
            tick_interval_ms: settings.desk.tick_interval.as_millis() as i64,
            snapshot_interval_ms: settings.desk.snapshot_interval.as_millis() as i64,
            log_keep_ms,
        }
    }

    /// What triage lanes need.
    #[must_use]
    pub fn triage(&self, workers: Arc<Workers>, starts: Starts) -> TriageParts {
        let topics = &self.settings.topics;
        TriageParts {
            logs: self.logs.clone(),
            policies: self.policies.clone(),
            matcher: policy::matcher,
            workers,
            clock: self.clock.clone(),
            names: TriageNames {
                input: (Arc::from(topics.mentions.as_str()), self.found.mentions),
                ledger: Arc::from(topics::ledger(self.settings)),
                desks: Arc::from(topics.desks.as_str()),
                dead_letter: (
                    Arc::from(topics.dead_letter.as_str()),
                    self.found.partitions_of(&topics.dead_letter),
                ),
                control: (Arc::from(topics.control.as_str()), self.found.control),
            },
            alerts: Alerts::new(&topics.alerts, self.clock.clone()),
            starts,
        }
    }
}

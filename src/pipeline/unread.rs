//! Partitions that were added to a topic and that nobody reads.
//!
//! Owns the look: a partition for which the group has never committed anything, twice in a row a session apart, was begun by
//! nobody, since whoever is given one commits where it begins before reading. Then the group is made to share out anew, and
//! until somebody reads them the partitions are told as lag. Of all instances the one that reads the topic's first
//! partition looks. May not read a record. Called by the thread of gauges.

use super::rights;
use super::shared::Shared;
use crate::log::{LogError, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Milliseconds before a group is made to share out anew for the same partitions: what keeps them from being begun may be
/// another thing, such as a ledger with fewer partitions.
const AGAIN_MS: i64 = 600_000;

/// What was seen at the last look.
#[derive(Debug, Default)]
pub(super) struct Unread {
    due: i64,
    /// Records of each partition that nobody has begun.
    behind: BTreeMap<TopicPartition, u64>,
    /// Partitions for which the group was made to share out, and when.
    stirred: BTreeMap<TopicPartition, i64>,
}

impl Unread {
    /// Looks when it is due; how many records wait in each partition that nobody reads, as of the last look.
    pub(super) fn look(&mut self, shared: &Shared) -> Vec<(Arc<str>, u32, u64)> {
        let now = shared.clock.monotonic_ms();
        if now >= self.due {
            let session = shared.settings.kafka.session_timeout.as_millis();
            self.due = now + i64::try_from(session).unwrap_or(i64::MAX / 2);
            let before: BTreeSet<TopicPartition> = std::mem::take(&mut self.behind).into_keys().collect();
            let topics = &shared.settings.topics;
            for (group, topic) in [
                (rights::triage_group(&shared.settings), &topics.mentions),
                (rights::desk_group(&shared.settings), &topics.helpdesk_events),
            ] {
                if let Err(error) = self.look_at(shared, &group, topic, &before, now) {
                    tracing::debug!(topic, %error, "whether all its partitions are read is not known");
                }
            }
        }
        self.behind.iter().map(|(of, records)| (of.topic.clone(), of.partition, *records)).collect()
    }

    fn look_at(
        &mut self,
        shared: &Shared,
        group: &str,
        topic: &str,
        before: &BTreeSet<TopicPartition>,
        now: i64,
    ) -> Result<(), LogError> {
        let first = TopicPartition::new(topic, 0);
        let reads = |of: &TopicPartition| {
            shared.seats().iter().any(|seat| seat.committed().iter().any(|(held, _)| held == of))
        };
        if !reads(&first) {
            return Ok(());
        }
        let Some(info) = shared.logs.describe(&[topic])?.pop().flatten() else { return Ok(()) };
        let all: Vec<TopicPartition> =
            (0..info.partitions).map(|partition| TopicPartition { partition, ..first.clone() }).collect();
        let commits = shared.logs.group_offsets(group, &all)?;
        let never = all.iter().zip(&commits).filter(|(_, commit)| commit.is_none()).map(|(of, _)| of);
        let mut stuck = Vec::new();
        for partition in never {
            let (start, end) = shared.logs.bounds(partition)?;
            self.behind.insert(partition.clone(), u64::try_from(end - start).unwrap_or(0));
            let is_new = self.stirred.get(partition).is_none_or(|at| now - at >= AGAIN_MS);
            if before.contains(partition) && is_new {
                stuck.push(partition.clone());
            }
        }
        if stuck.is_empty() {
            return Ok(());
        }
        let partitions: Vec<u32> = stuck.iter().map(|of| of.partition).collect();
        tracing::warn!(
            topic,
            ?partitions,
            group,
            "partitions that nobody reads, perhaps added a while ago: the group is made to share out anew"
        );
        self.stirred.extend(stuck.into_iter().map(|partition| (partition, now)));
        shared.logs.share_out_anew(group, &shared.settings.topics.policies)
    }
}

//! Since when mentions wait that were read and are not settled, also while their partition is being restored.
//!
//! Owns what is remembered of partitions whose shard was dropped: a shard knows only its own runs, and a new one knows
//! nothing until it has read them again. May not ask a shard anything: it is told. Fed by `threads`, ten times a second.

use crate::log::TopicPartition;
use std::collections::BTreeMap;
use triage_engine::model::Millis;

/// How far a live partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Every record below this offset is settled.
    pub(super) settled: i64,
    /// The offset and the time stamp of the oldest record that is not settled.
    pub(super) oldest: Option<(i64, Millis)>,
}

/// The oldest record of each partition that waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    oldest: BTreeMap<TopicPartition, (i64, Millis)>,
}

impl Waiting {
    /// Takes in how far the live partitions are. A partition that is not live keeps what is known of it for as long as it
    /// `may_return`: it is held and being restored, or nobody has said yet whose it is.
    pub(super) fn look<'a>(
        &mut self,
        may_return: impl Fn(&TopicPartition) -> bool,
        live: impl Iterator<Item = (&'a TopicPartition, Progress)>,
    ) {
        self.oldest.retain(|partition, _| may_return(partition));
        for (partition, Progress { settled, oldest }) in live {
            if self.oldest.get(partition).is_some_and(|(offset, _)| *offset < settled) {
                self.oldest.remove(partition);
            }
            if let Some(now) = oldest {
                let known = self.oldest.entry(partition.clone()).or_insert(now);
                // A restored shard reads from what is committed, which may lie before what waited last.
                known.1 = known.1.min(now.1);
            }
        }
    }

    /// The time stamp of the oldest mention that waits.
    pub(super) fn since(&self) -> Option<Millis> {
        self.oldest.values().map(|(_, at)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [(&TopicPartition, Progress); 0] = [];

    fn progress(settled: i64, oldest: Option<(i64, i64)>) -> Progress {
        Progress { settled, oldest: oldest.map(|(offset, at)| (offset, Millis(at))) }
    }

    #[test]
    fn a_mention_waits_from_its_own_time_on_while_its_partition_is_restored_until_it_is_settled() {
        let partition = TopicPartition::new("mentions", 3);
        let mut waiting = Waiting::default();
        let mut live = |at: Progress| {
            waiting.look(|_| true, [(&partition, at)].into_iter());
            waiting.since()
        };
        assert_eq!(live(progress(10, Some((10, 500)))), Some(Millis(500)));
        assert_eq!(live(progress(14, Some((14, 900)))), Some(Millis(900)), "what is settled waits no more");
        waiting.look(|_| true, NOBODY.into_iter());
        assert_eq!(waiting.since(), Some(Millis(900)), "its shard is gone");
        let mut live = |at: Progress| {
            waiting.look(|_| true, [(&partition, at)].into_iter());
            waiting.since()
        };
        assert_eq!(live(progress(12, None)), Some(Millis(900)), "it is live, and has read nothing yet");
        assert_eq!(
            live(progress(12, Some((12, 700)))),
            Some(Millis(700)),
            "older ones are read again as well"
        );
        assert_eq!(live(progress(14, Some((14, 900)))), Some(Millis(700)), "it was not the one that waits");
        assert_eq!(live(progress(15, None)), None, "it is settled");
    }

    #[test]
    fn what_waits_in_a_partition_that_another_instance_has_is_not_waited_for_here() {
        let (ours, theirs) = (TopicPartition::new("mentions", 0), TopicPartition::new("mentions", 1));
        let mut waiting = Waiting::default();
        let live = [(&ours, progress(0, Some((0, 800)))), (&theirs, progress(0, Some((0, 300))))];
        waiting.look(|_| true, live.into_iter());
        waiting.look(|_| true, NOBODY.into_iter());
        assert_eq!(waiting.since(), Some(Millis(300)), "both may come back");
        waiting.look(|partition| *partition == ours, NOBODY.into_iter());
        assert_eq!(waiting.since(), Some(Millis(800)));
    }
}

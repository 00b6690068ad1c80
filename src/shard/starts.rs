//! Counts starts per partition and committed offset, to find the record that kills the process.
//!
//! Owns two small files a partition in the state directory. From the third start at the same committed offset the
//! window is read record by record, each offset written down first; a record that has killed twice while it was
//! read alone is the culprit. A start is one of the process: a partition that comes back to it, to whichever lane, goes
//! on as it was left. May not read the record. Called by the triage lanes, which share it; without a directory it counts
//! nothing, as in the simulator.

use crate::log::TopicPartition;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

/// From this start on at one committed offset, records are read one by one.
const CAREFUL_FROM_START: u32 = 3;
/// Deaths while a record was read alone that make it the culprit: one could be an operator's `kill -9`.
const DEATHS_OF_A_CULPRIT: u32 = 2;
/// Records read one by one after the committed offset: more than can have been in flight at a crash.
const CAREFUL_RECORDS: i64 = 100_000;

/// The counters of one instance, and of the partitions that it has counted how they are read when they come back.
#[derive(Debug, Clone, Default)]
pub struct Starts {
    folder: Option<PathBuf>,
    counted: Arc<Mutex<BTreeMap<TopicPartition, Option<Careful>>>>,
}

/// Reading record by record after a start that looks like a crash loop.
#[derive(Debug)]
pub struct Careful {
    journal: PathBuf,
    until: i64,
    suspect: Option<(i64, u32)>,
}

impl Starts {
    /// Counters in `folder`, which is made when missing; `None` counts nothing.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Starts {
        Starts { folder, counted: Arc::default() }
    }

    fn files(&self, partition: &TopicPartition) -> Option<(PathBuf, PathBuf)> {
        let folder = self.folder.as_ref()?;
        let name = format!("{}-{}", partition.topic, partition.partition);
        Some((folder.join(format!("{name}.starts")), folder.join(format!("{name}.reading"))))
    }

    /// A shard goes live at `committed`; how to read if this looks like a crash loop. Disks that fail do not stop
    /// the shard: it then reads as always.
    pub fn begin(&self, partition: &TopicPartition, committed: i64) -> Option<Careful> {
        let known = self.counted().get_mut(partition).map(Option::take);
        known.unwrap_or_else(|| {
            self.counted().insert(partition.clone(), None);
            self.count(partition, committed)
        })
    }

    /// A shard is gone, and this is how it was read.
    pub fn leave(&self, partition: &TopicPartition, careful: Option<Careful>) {
        self.counted().insert(partition.clone(), careful);
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Option<Careful>>> {
        self.counted.lock().expect("invariant: nobody panics while holding it")
    }

    fn count(&self, partition: &TopicPartition, committed: i64) -> Option<Careful> {
        let (starts, journal) = self.files(partition)?;
        let before = fs::read_to_string(&starts).ok().and_then(|text| two_numbers(&text));
        let count = before.filter(|&(offset, _)| offset == committed).map_or(1, |(_, count)| count + 1);
        let written = fs::create_dir_all(self.folder.as_ref()?)
            .and_then(|()| fs::write(&starts, format!("{committed} {count}\n")));
        if let Err(error) = written {
            tracing::warn!(%partition, %error, "starts are not counted");
        }
        if count < CAREFUL_FROM_START {
            return None;
        }
        let suspect = fs::read_to_string(&journal).ok().and_then(|text| two_numbers(&text));
        tracing::warn!(%partition, committed, count, "many starts at one offset; reading record by record");
        Some(Careful { journal, until: committed.saturating_add(CAREFUL_RECORDS), suspect })
    }

    /// The partition was left in good order.
    pub fn forget(&self, partition: &TopicPartition) {
        if let Some((starts, journal)) = self.files(partition) {
            let _ = fs::remove_file(starts);
            let _ = fs::remove_file(journal);
        }
    }
}

impl Careful {
    /// The record that has killed the process while it was read alone.
    #[must_use]
    pub fn culprit(&self) -> Option<i64> {
        self.suspect.filter(|&(_, deaths)| deaths >= DEATHS_OF_A_CULPRIT).map(|(offset, _)| offset)
    }

    /// Writes down which record is read next; `None`: reading it ended well.
    pub fn about_to_read(&mut self, offset: Option<i64>) {
        let written = match offset {
            Some(offset) => {
                let before =
                    self.suspect.filter(|&(suspect, _)| suspect == offset).map_or(0, |(_, deaths)| deaths);
                fs::write(&self.journal, format!("{offset} {}\n", before + 1))
            }
            None => fs::remove_file(&self.journal),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the record being read is not written down");
        }
    }

    /// Whether the window is behind us once `last` was read.
    #[must_use]
    pub fn is_over(&self, last: i64) -> bool {
        last >= self.until
    }
}

fn two_numbers(text: &str) -> Option<(i64, u32)> {
    let (first, second) = text.trim().split_once(' ')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_kills_twice_when_read_alone_is_found_and_a_single_kill_accuses_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let partition = TopicPartition::new("mentions", 2);
        // Each time another process.
        let start = || Starts::new(Some(folder.path().to_owned())).begin(&partition, 100);
        assert!(start().is_none());
        assert!(start().is_none());
        let mut third = start().expect("careful from the third start");
        assert_eq!(third.culprit(), None);
        third.about_to_read(Some(100));
        third.about_to_read(None);
        third.about_to_read(Some(101));
        let mut fourth = start().expect("still careful");
        assert_eq!(fourth.culprit(), None, "one death may be an operator's kill");
        fourth.about_to_read(Some(100));
        fourth.about_to_read(None);
        fourth.about_to_read(Some(101));
        let fifth = start().expect("still careful");
        assert_eq!(fifth.culprit(), Some(101));
        Starts::new(Some(folder.path().to_owned())).forget(&partition);
        assert!(start().is_none());
    }

    #[test]
    fn a_partition_that_comes_back_to_the_same_process_is_no_new_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let starts = Starts::new(Some(folder.path().to_owned()));
        let partition = TopicPartition::new("mentions", 2);
        for lane in [starts.clone(), starts.clone(), starts.clone(), starts] {
            assert!(lane.begin(&partition, 100).is_none());
            lane.leave(&partition, None);
        }
    }
}

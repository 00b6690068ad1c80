//! Reads a stretch of a partition from outside, and asks where partitions end.
//!
//! Owns the patience with a silent broker. May not judge what it reads. Called by the judge and by `run`.

use std::time::Duration;
use triaged::clock::Deadline;
use triaged::error::Error;
use triaged::log::{LogError, Logs, ReadStep, Record, TopicPartition};

/// How long a broker may say nothing at all before it counts as away.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(200);

/// A stretch of one partition: the first offset, and the one after the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The partition.
    pub of: TopicPartition,
    /// The first offset.
    pub from: i64,
    /// The offset after the last.
    pub to: i64,
}

/// Every partition of a topic.
///
/// # Errors
/// 78 when there is no such topic; 69 when no broker answers.
pub fn partitions(logs: &dyn Logs, topic: &str) -> Result<Vec<TopicPartition>, Error> {
    let info = logs.describe(&[topic])?.into_iter().next().flatten();
    let info = info.ok_or_else(|| LogError::Missing(topic.to_owned()))?;
    Ok((0..info.partitions).map(|partition| TopicPartition::new(topic, partition)).collect())
}

/// Where each partition ends.
///
/// # Errors
/// As the log says.
pub fn ends(logs: &dyn Logs, of: &[TopicPartition]) -> Result<Vec<i64>, LogError> {
    of.iter().map(|partition| Ok(logs.bounds(partition)?.1)).collect()
}

/// Calls `take` for every record of the stretch, in order.
///
/// # Errors
/// As the log says.
pub fn each(logs: &dyn Logs, stretch: &Stretch, mut take: impl FnMut(&Record<'_>)) -> Result<(), LogError> {
    let Stretch { of, from, to } = stretch;
    if from >= to {
        return Ok(());
    }
    let mut reader = logs.reader(&[(of.clone(), *from)])?;
    let mut patience = Deadline::after(SILENCE_MAX);
    loop {
        match reader.read(WAIT)? {
            ReadStep::Nothing if patience.is_over() => {
                return Err(LogError::Away(format!("{of} gives nothing and no end within {SILENCE_MAX:?}")));
            }
            ReadStep::Nothing => continue,
            ReadStep::End(..) => return Ok(()),
            ReadStep::Records(records) => {
                records.iter().take_while(|record| record.offset < *to).for_each(|record| take(&record));
                if records.span().is_some_and(|(_, last)| last + 1 >= *to) {
                    return Ok(());
                }
            }
        }
        patience = Deadline::after(SILENCE_MAX);
    }
}

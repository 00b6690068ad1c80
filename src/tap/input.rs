//! Mentions by offset, one reader for each partition that is asked of.
//!
//! Owns the readers and where they stand. May hold no more than one run's records. Called by `tap`.

use crate::clock::Deadline;
use crate::log::{LogError, Logs, ReadStep, Reader, TopicPartition};
use crate::wire::ledger::LedgerEntry;
use std::collections::BTreeMap;
use std::time::Duration;

/// Records that are read through rather than a reader made anew.
const READ_THROUGH_MAX: i64 = 10_000;
/// How long one run's records may take.
const PATIENCE: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(100);

/// The input, read by hand.
pub(super) struct Inputs<'a> {
    logs: &'a dyn Logs,
    topic: String,
    readers: BTreeMap<u32, Standing>,
}

struct Standing {
    reader: Box<dyn Reader>,
    /// The next offset that it gives.
    next: i64,
    /// What it gave beyond what was asked for, at most one batch.
    over: BTreeMap<i64, Option<Vec<u8>>>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(logs: &'a dyn Logs, topic: &str) -> Inputs<'a> {
        Inputs { logs, topic: topic.to_owned(), readers: BTreeMap::new() }
    }

    /// The values of these entries' records; one that is not to be had is not in the answer.
    pub(super) fn read(
        &mut self,
        partition: u32,
        entries: &[LedgerEntry],
    ) -> Result<BTreeMap<i64, Option<Vec<u8>>>, LogError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(BTreeMap::new()) };
        let (first, last) = (first.offset, last.offset);
        let of = TopicPartition::new(&self.topic, partition);
        let mut standing = match self.readers.remove(&partition) {
            Some(standing) if standing.serves(first) => standing,
            _ => {
                let (start, _) = self.logs.bounds(&of)?;
                if last < start {
                    return Ok(BTreeMap::new());
                }
                let from = first.max(start);
                Standing { reader: self.logs.reader(&[(of, from)])?, next: from, over: BTreeMap::new() }
            }
        };
        let patience = Deadline::after(PATIENCE);
        while standing.next <= last && !patience.is_over() {
            match standing.reader.read(WAIT) {
                Ok(ReadStep::Records(records)) => {
                    for record in records.iter().filter(|record| record.offset >= first) {
                        standing.over.insert(record.offset, record.value.map(<[u8]>::to_vec));
                    }
                    standing.next = records.span().map_or(standing.next, |(_, last)| last + 1);
                }
                Ok(ReadStep::End(_, next)) => standing.next = standing.next.max(next),
                Ok(ReadStep::Nothing) => {}
                // Retention has taken it meanwhile: the decision is told without its text.
                Err(LogError::OutOfRange { .. }) => return Ok(BTreeMap::new()),
                Err(error) => return Err(error),
            }
        }
        let beyond = standing.over.split_off(&(last + 1));
        let mut found = std::mem::replace(&mut standing.over, beyond);
        found.retain(|offset, _| *offset >= first);
        self.readers.insert(partition, standing);
        Ok(found)
    }
}

impl Standing {
    /// Whether records from `first` on can still be had of this reader without reading much for nothing.
    fn serves(&self, first: i64) -> bool {
        let from = self.over.keys().next().copied().unwrap_or(self.next);
        from <= first && first - self.next < READ_THROUGH_MAX
    }
}

//! Fetched messages as batches of records.
//!
//! Owns the queue that all partitions of one consumer are forwarded to, and what was read of it and not handed out
//! yet. One `Fetcher` per client: two batch readers on one client lose records. Called by `member` and `reader`.

use super::ffi::{Batch, Client, ClientError, Code, Message, Queue};
use crate::log::{Records, TopicPartition};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Most messages read in one call. More would only hold more memory between two looks at the group.
const BATCH_RECORDS: usize = 2048;

/// What was fetched.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Consecutive records of one partition.
    Records(Records),
    /// The end of a partition, as of now.
    End(TopicPartition, i64),
    /// A partition cannot be read on, or the client has something to say.
    Failed { partition: Option<TopicPartition>, offset: i64, error: ClientError },
}

/// Reads one consumer's messages.
#[derive(Debug)]
pub(super) struct Fetcher {
    queue: Queue,
    batch: Batch,
    ready: VecDeque<Fetched>,
}

impl Fetcher {
    pub(super) fn new(client: &Arc<Client>) -> Fetcher {
        Fetcher {
            queue: Queue::new(client),
            batch: Batch::new(client, BATCH_RECORDS),
            ready: VecDeque::new(),
        }
    }

    /// Forwards these partitions here. To be called before each assignment of them.
    pub(super) fn take_over<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        self.queue.take_over(partitions);
    }

    /// Forgets what was read of this partition and not handed out.
    pub(super) fn forget(&mut self, partition: &TopicPartition) {
        self.ready.retain(|fetched| match fetched {
            Fetched::Records(records) => records.partition() != partition,
            Fetched::End(of, _) => of != partition,
            Fetched::Failed { partition: of, .. } => of.as_ref() != Some(partition),
        });
    }

    /// The next thing fetched.
    pub(super) fn next(&mut self, wait: Duration) -> Option<Fetched> {
        if self.ready.is_empty() {
            self.fill(wait);
        }
        self.ready.pop_front()
    }

    fn fill(&mut self, wait: Duration) {
        // The library waits for a full array, so whatever is there is taken without waiting; only when there is nothing
        // do we wait, for a single message, and take what came with it.
        self.queue.messages(&mut self.batch, BATCH_RECORDS, Duration::ZERO);
        if self.batch.is_empty() && !wait.is_zero() {
            self.queue.messages(&mut self.batch, 1, wait);
            self.queue.messages(&mut self.batch, BATCH_RECORDS, Duration::ZERO);
        }
        let mut messages = self.batch.iter().peekable();
        while let Some(first) = messages.next() {
            let partition = match (first.code(), first.partition()) {
                (Code::NoError, Some(partition)) => partition,
                _ => {
                    self.ready.push_back(fetched_otherwise(&first));
                    continue;
                }
            };
            // Counted before it is copied: a buffer that grows is copied again and again.
            let (mut count, mut bytes, mut last) = (1, first.bytes(), first.offset());
            let mut rest = messages.clone();
            while let Some(next) = rest.next_if(|next| next.follows(&first, last)) {
                (count, bytes, last) = (count + 1, bytes + next.bytes(), next.offset());
            }
            let mut records = Records::with_capacity(partition, count, bytes);
            for message in std::iter::once(first).chain(messages.by_ref().take(count - 1)) {
                records.push(message.offset(), message.timestamp(), message.key(), message.value());
            }
            self.ready.push_back(Fetched::Records(records));
        }
        drop(messages);
        self.batch.clear();
    }
}

fn fetched_otherwise(message: &Message<'_>) -> Fetched {
    match (message.code(), message.partition()) {
        (Code::PartitionEOF, Some(partition)) => Fetched::End(partition, message.offset()),
        (code, partition) => {
            let error = ClientError::new(code, message.error_text());
            Fetched::Failed { partition, offset: message.offset(), error }
        }
    }
}

//! A consumer assigned by hand, for logs that are read from outside any group.
//!
//! Owns its client. Never joins a group and never commits; a group name is set only because the client library wants
//! one, and asks the broker for its coordinator: so it is one that the daemon may describe. Tells where each partition ends, since with transaction markers and compaction no offset tells it. Called by
//! the follower, by restores and by `audit`, through `log::Reader`.

use super::answers::{log_error, standing_error};
use super::brokers::look_after;
use super::fetch::{Fetched, Fetcher};
use super::ffi::{About, Client, ClientError, Event, Kind, PartitionList, Queue};
use super::member::failed_partition;
use super::{Deadline, KafkaSettings, close_consumer};
use crate::log::{LogError, ReadStep, Reader, TopicPartition};
use std::sync::Arc;
use std::time::Duration;

/// How often the client's own troubles are looked at while waiting for records.
const TROUBLES_EVERY: Duration = Duration::from_millis(50);

/// A reader on Apache Kafka.
#[derive(Debug)]
pub(super) struct KafkaReader {
    // `None` only while dropping.
    parts: Option<(Fetcher, Queue, Arc<Client>)>,
    /// What it is called in errors: where the group may not be described, that is what must be granted.
    name: String,
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        if let Some((fetcher, troubles, client)) = self.parts.take() {
            close_consumer("a reader", client, (fetcher, troubles));
        }
    }
}

impl KafkaReader {
    /// A reader of these partitions, each from its offset.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub(super) fn open(
        settings: &KafkaSettings,
        from: &[(TopicPartition, i64)],
    ) -> Result<KafkaReader, LogError> {
        let wrong = |error: ClientError| log_error(&error, "a reader");
        let properties = settings.consumer_properties(&settings.reader_group, None);
        let client =
            Client::new(Kind::Consumer, &properties, &settings.secrets, Event::ERRORS).map_err(wrong)?;
        client.serve_on_consumer_queue().map_err(wrong)?;
        let (fetcher, troubles) = (Fetcher::new(&client), Queue::consumer(&client));
        fetcher.take_over(from.iter().map(|(partition, _)| partition));
        client.assign(&PartitionList::at(from)).map_err(wrong)?;
        if let Some((partition, _)) = from.first() {
            look_after(&client, &settings.bootstrap, &partition.topic);
        }
        let name = format!("a reader beside group {}", settings.reader_group);
        Ok(KafkaReader { parts: Some((fetcher, troubles, client)), name })
    }
}

impl Reader for KafkaReader {
    fn read(&mut self, wait: Duration) -> Result<ReadStep, LogError> {
        let deadline = Deadline::after(wait);
        let name = self.name.as_str();
        let (fetcher, troubles, client) =
            self.parts.as_mut().expect("invariant: the parts go with the reader");
        loop {
            // While the broker is away the library tells of it many times a second: all that waits is taken at once, or
            // the reader would be busy with old troubles long after the broker is back.
            let mut trouble = None;
            while let Some(event) = troubles.event(Duration::ZERO) {
                if event.about() == About::Error {
                    trouble = event.error().and_then(|error| standing_error(&error, name)).or(trouble);
                }
            }
            let slice = if trouble.is_some() { Duration::ZERO } else { deadline.left().min(TROUBLES_EVERY) };
            let failed = match fetcher.next(slice) {
                Some(Fetched::Records(records)) => return Ok(ReadStep::Records(records)),
                Some(Fetched::End(partition, offset)) => return Ok(ReadStep::End(partition, offset)),
                Some(Fetched::Failed { partition: Some(partition), offset, error }) => {
                    failed_partition(client, &partition, offset, &error)
                }
                Some(Fetched::Failed { partition: None, error, .. }) => standing_error(&error, name),
                None if trouble.is_some() => trouble,
                None if deadline.has_passed() => return Ok(ReadStep::Nothing),
                None => None,
            };
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }
}

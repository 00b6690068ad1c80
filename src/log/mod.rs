//! What the daemon asks of a log: group members, readers by hand, producers, administration.
//!
//! Owns the traits behind which Apache Kafka (`kafka/`) and the embedded log (`embedded/`) stand, so that the
//! simulator, the demo and the daemon run the same protocol. May know nothing of either. Called by the shards,
//! the lanes and the pipeline.

mod outgoing;
mod records;
mod ticket;

pub use outgoing::{Outgoing, OutgoingRecord};
pub use records::{Record, Records};
pub use ticket::{Failure, Ticket};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::model::{Millis, StreamId};

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// The partition `partition` of `topic`.
    #[must_use]
    pub fn new(topic: &str, partition: u32) -> TopicPartition {
        TopicPartition { topic: Arc::from(topic), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A committed offset with what the committer wrote beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The next offset to read; every record below it is settled.
    pub offset: i64,
    /// The committer's own note, at most 4 KiB; a triage shard keeps its ledger position here.
    pub metadata: String,
}

/// What one poll of a member gave.
#[derive(Debug)]
pub enum Polled {
    /// Nothing within the wait.
    Nothing,
    /// These partitions are ours once `start` has answered; nothing is read of them before.
    Assigned(Vec<TopicPartition>),
    /// These partitions go to somebody else once `release` has answered: drain and commit first.
    Revoking(Vec<TopicPartition>),
    /// These partitions are somebody else's already: commit nothing, answer with `release`.
    Lost(Vec<TopicPartition>),
    /// Consecutive records of one partition that is ours.
    Records(Records),
}

/// How long a commit may stay unanswered.
pub const COMMIT_WAIT: Duration = Duration::from_secs(10);

/// One member of a consumer group. Membership changes come as values, answered when the caller is ready.
pub trait Member: Send {
    /// The next thing that happened. With `read` false no records are taken, only membership is served:
    /// that is how backpressure works.
    ///
    /// # Errors
    /// `LogError::OutOfRange` when retention has overtaken a partition; others as they are.
    fn poll(&mut self, wait: Duration, read: bool) -> Result<Polled, LogError>;

    /// What the group last committed for each partition; `None` where nothing was ever committed.
    ///
    /// # Errors
    /// Any; nothing has changed then.
    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Commit>>, LogError>;

    /// Answers `Assigned`, and also moves a partition that is ours already: reading goes on at these offsets,
    /// and no record fetched before is handed out afterwards.
    ///
    /// # Errors
    /// Any; the partitions are then not read.
    fn start(&mut self, from: &[(TopicPartition, i64)]) -> Result<(), LogError>;

    /// Answers `Revoking` and `Lost`.
    ///
    /// # Errors
    /// Any; the member should be closed then.
    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError>;

    /// Sends a commit off; `commit_answer` gives the broker's word on it. There is one at a time: the answer to one that
    /// was begun before is waited for and dropped, since of two under way the older might come last.
    ///
    /// # Errors
    /// `LogError::Fenced` when the group is in another generation: nothing was committed. Only `poll` says what was lost,
    /// for a commit that meets a rebalance is fenced even where that leaves the partition in its place.
    fn commit_begin(&mut self, offsets: &[(TopicPartition, Commit)]) -> Result<(), LogError>;

    /// The answer to the commit begun last, each given once; waits for it at most `wait`. Success proves that this
    /// member still owned the partitions; errors are as those of `commit_begin`.
    fn commit_answer(&mut self, wait: Duration) -> Option<Result<(), LogError>>;

    /// Commits and waits for the broker's word.
    ///
    /// # Errors
    /// As `commit_begin`.
    fn commit(&mut self, offsets: &[(TopicPartition, Commit)]) -> Result<(), LogError> {
        if offsets.is_empty() {
            return Ok(());
        }
        self.commit_begin(offsets)?;
        loop {
            if let Some(answer) = self.commit_answer(COMMIT_WAIT) {
                return answer;
            }
        }
    }

    /// Whether all that was held has been lost, and the group has not said since what is ours.
    fn is_lost(&self) -> bool {
        false
    }

    /// Leaves the group (a static member keeps its place until the session times out).
    fn close(self: Box<Self>);
}

/// What one step of a reader gave.
#[derive(Debug)]
pub enum ReadStep {
    /// Nothing within the wait.
    Nothing,
    /// Consecutive records of one partition.
    Records(Records),
    /// The end of this partition as of now; the offset that the next record will have, or later.
    End(TopicPartition, i64),
}

/// A consumer assigned by hand, that never commits. Reads committed records only.
pub trait Reader: Send {
    /// The next step.
    ///
    /// # Errors
    /// `LogError::OutOfRange` when the log starts after the offset asked for; others as they are.
    fn read(&mut self, wait: Duration) -> Result<ReadStep, LogError>;
}

/// A producer. Idempotent, `acks=all`, never gives up on what can be retried.
pub trait Producer: Send {
    /// Enqueues every record of `records` for `to`, in order, adding their number to `ticket`, which is settled
    /// or failed as the broker answers. Never waits for the broker: what its buffer has no room for waits behind what
    /// was sent before, without a bound of its own. So whoever sends much asks `has_room` first.
    ///
    /// # Errors
    /// When nothing was enqueued.
    fn send(&mut self, to: &TopicPartition, records: &Outgoing, ticket: &Arc<Ticket>)
    -> Result<(), LogError>;

    /// Whether the client's buffer took all that was sent so far; while it did not, nothing new should be begun.
    fn has_room(&mut self) -> bool;

    /// Whether the client can still be used.
    ///
    /// # Errors
    /// `LogError::Fatal` when it must be made anew: nothing that it is given will ever be sent.
    fn health(&self) -> Result<(), LogError>;

    /// Waits until all that was enqueued is answered, at most `wait`. True when nothing is left.
    fn flush(&mut self, wait: Duration) -> bool;
}

/// What the broker says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The topic's name.
    pub name: String,
    /// The broker's id of it: a topic made again under the old name has another.
    pub id: StreamId,
    /// How many partitions it has.
    pub partitions: u32,
    /// Whether the broker stamps records itself (`message.timestamp.type=LogAppendTime`).
    pub log_append_time: bool,
    /// Whether `cleanup.policy` holds `compact`.
    pub compacted: bool,
    /// `retention.ms`; `None` when there is no limit by time, or `cleanup.policy` does not hold `delete`.
    pub retention_ms: Option<i64>,
    /// `max.message.bytes`.
    pub message_bytes_max: u64,
}

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// The topic's name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many copies; 0 leaves it to the broker.
    pub replication: u16,
    /// Topic configuration, such as `cleanup.policy`.
    pub config: Vec<(String, String)>,
}

/// A cluster: makes clients, answers questions.
pub trait Logs: Send + Sync {
    /// A member of `group`, subscribed to `topics`, static under the name `instance`.
    ///
    /// # Errors
    /// When the client cannot be made.
    fn member(&self, group: &str, instance: &str, topics: &[&str]) -> Result<Box<dyn Member>, LogError>;

    /// A reader from these offsets on; an offset below the log's start is an error at the first read.
    ///
    /// # Errors
    /// When the client cannot be made.
    fn reader(&self, from: &[(TopicPartition, i64)]) -> Result<Box<dyn Reader>, LogError>;

    /// A producer; `name` appears in the client id.
    ///
    /// # Errors
    /// When the client cannot be made.
    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError>;

    /// Waits until a broker answers, at most `wait`. What is in this process always does.
    ///
    /// # Errors
    /// What keeps it from answering, as far as that is known by then.
    fn answers(&self, wait: Duration) -> Result<(), LogError> {
        let _ = wait;
        Ok(())
    }

    /// What the broker says of each topic, `None` where there is none of that name.
    ///
    /// # Errors
    /// `LogError::Away` when no broker answers.
    fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, LogError>;

    /// Makes those topics that are missing.
    ///
    /// # Errors
    /// Any; some may have been made.
    fn create(&self, topics: &[NewTopic]) -> Result<(), LogError>;

    /// The first offset that is still there, and the one that the next record will have.
    ///
    /// # Errors
    /// `LogError::Missing` when there is no such partition.
    fn bounds(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError>;

    /// The first offset whose record has this time stamp or a later one; the log's end when there is none.
    ///
    /// # Errors
    /// `LogError::Missing` when there is no such partition.
    fn offset_at(&self, partition: &TopicPartition, at: Millis) -> Result<i64, LogError>;

    /// What a group has committed, asked from outside.
    ///
    /// # Errors
    /// Any.
    fn group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Commit>>, LogError>;

    /// Makes a group share out its partitions anew, those included that its topics have got meanwhile; `topic` is one that
    /// none of its members reads. A group of this process always knows of every partition.
    ///
    /// # Errors
    /// When the group did not answer.
    fn share_out_anew(&self, group: &str, topic: &str) -> Result<(), LogError> {
        let _ = (group, topic);
        Ok(())
    }

    /// Deletes the records below an offset.
    ///
    /// # Errors
    /// Any; nothing was deleted then.
    fn trim(&self, partition: &TopicPartition, below: i64) -> Result<(), LogError>;
}

/// What a log can answer instead of doing what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No broker answers; trying again may help.
    #[error("the broker is away: {0}")]
    Away(String),
    /// The group has moved on without this member.
    #[error("fenced: the group has given this member's place to another: {0}")]
    Fenced(String),
    /// The log starts after the offset asked for.
    #[error("{partition} starts at offset {start}, after {asked}")]
    OutOfRange {
        /// Where.
        partition: TopicPartition,
        /// The offset asked for.
        asked: i64,
        /// The first offset still there.
        start: i64,
    },
    /// There is no such topic or partition.
    #[error("topic `{0}` does not exist")]
    Missing(String),
    /// The broker refuses for want of rights.
    #[error("not allowed: {0}")]
    Denied(String),
    /// The client is unusable and must be made anew.
    #[error("{0}")]
    Fatal(String),
}

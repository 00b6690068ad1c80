//! What a lane asks of its shards and of its work, whatever they are.
//!
//! Owns the two traits between `lane`, which knows membership and commits, and `triage_lane` and `desk_lane`, which know
//! what a record means. May hold nothing.

use super::Stop;
use crate::log::{Commit, LogError, Producer, Records, TopicPartition};

/// What a lane asks of a shard, whatever its kind.
pub trait Shard {
    /// Why it has stopped, once nothing that it sent is unanswered.
    fn stopped(&self) -> Option<Stop>;
    /// Whether it takes no more records.
    fn is_stopping(&self) -> bool;
    /// Whether all that it took is settled.
    fn is_drained(&self) -> bool;
    /// What may be committed now, if that is more than what is.
    fn commit(&self) -> Option<Commit>;
    /// The broker has acknowledged this commit, which `commit` gave some time ago.
    fn committed(&mut self, commit: &Commit);
    /// Retention has overtaken the reader.
    fn overtaken(&mut self);
    /// Where reading starts.
    fn start(&self) -> i64;
    /// Bytes held for records in flight.
    fn bytes(&self) -> usize;
}

/// What a lane does with its partitions.
pub trait Work {
    /// One partition that is live.
    type Shard: Shard;
    /// One partition on its way to being live.
    type Restore;

    /// Begins to bring a partition back.
    ///
    /// # Errors
    /// As the log says; it is tried again later.
    fn begin(
        &mut self,
        partition: &TopicPartition,
        commit: Option<Commit>,
    ) -> Result<Self::Restore, LogError>;

    /// Where a partition that was never committed begins, if that is to be committed at once.
    fn pin_of(restore: &Self::Restore) -> Option<i64>;

    /// Goes on bringing it back.
    ///
    /// # Errors
    /// As the log says; it is begun anew later.
    fn restore(&mut self, restore: Self::Restore, out: &mut dyn Producer)
    -> Result<Progress<Self>, LogError>;

    /// The partition is live: its records come from here on.
    fn live(&mut self, shard: &mut Self::Shard, out: &mut dyn Producer);

    /// Takes records; gives them back when it cannot yet, and is asked again.
    fn take(&mut self, shard: &mut Self::Shard, records: Records, out: &mut dyn Producer) -> Option<Records>;

    /// Takes in answers and timers. `may_begin`: work of the shard's own may be begun too, since nothing is drained and
    /// there is room for what it sends.
    fn advance(&mut self, shard: &mut Self::Shard, now_ms: i64, may_begin: bool, out: &mut dyn Producer);

    /// Work that belongs to no partition; whether there was any.
    fn between(&mut self) -> bool;

    /// A shard has stopped, and will be restored: people may have to know.
    fn stopped(&mut self, partition: &TopicPartition, stop: &Stop, out: &mut dyn Producer);

    /// A shard is dropped: what it counted is taken over. `stop` says why, if it failed.
    fn dropped(&mut self, shard: Self::Shard, stop: Option<&Stop>);
}

/// What one step of a restore gave.
pub enum Progress<W: Work + ?Sized> {
    /// The shard is whole.
    Whole(Box<W::Shard>),
    /// More is to be read.
    Reading(W::Restore),
}

//! An embedded log: topics, consumer groups and producers in this process's memory, behind the same traits as Kafka.
//!
//! Owns its records, and nothing outlives it. The demo runs on it as it is; the simulator holds sends back, fails
//! them, expires members and punches holes through the calls of `Cluster` that say so. It may not know what the
//! records mean. Used by the demo and by tests.

mod clients;
mod groups;
mod topics;

use crate::clock::Clock;
use crate::log::{Commit, LogError, Logs, Member, NewTopic, Producer, Reader, TopicInfo, TopicPartition};
use groups::Group;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use topics::{PendingSend, Topic};
use triage_engine::model::{Millis, StreamId};

pub use groups::MemberId;
pub use topics::{Fate, StoredRecord};

/// A cluster in memory. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
}

/// Says when a record happened, from where it goes and its value, if that is not when it is appended.
type Stamp = Box<dyn Fn(&TopicPartition, Option<&[u8]>) -> Option<Millis> + Send>;

/// Everything the cluster knows.
#[derive(Default)]
struct State {
    topics: BTreeMap<Arc<str>, Topic>,
    groups: BTreeMap<String, Group>,
    /// Sends that were handed over and not yet applied, by producer. Empty unless sends are held back.
    pending: BTreeMap<u64, Vec<PendingSend>>,
    producers_made: u64,
    members_made: u64,
    holds_sends: bool,
    /// So many sends to come are refused at once, as a client does that has found a topic gone.
    refuses: u32,
    /// So many questions of members to come are answered with `Away`.
    away: u32,
    /// So many commits to come are answered as if the group had moved on.
    fences: u32,
    stamp: Option<Stamp>,
    /// What is sent to this topic is taken, and gone before anybody reads it.
    loses: Option<Arc<str>>,
    /// So many times to come a producer says that it has no room.
    full: u32,
}

impl Cluster {
    /// An empty cluster that takes sends at once, and stamps records by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Cluster {
        Cluster { shared: Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), clock }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("invariant: nobody panics while holding the embedded log")
    }

    /// Appends one record, as a foreign producer would; its offset.
    ///
    /// # Errors
    /// `LogError::Missing` when there is no such partition.
    pub fn append(
        &self,
        to: &TopicPartition,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<i64, LogError> {
        let now = self.shared.clock.wall();
        let offset = self.state().partition(to)?.append(now, key, value, Vec::new());
        self.shared.changed.notify_all();
        Ok(offset)
    }

    /// Uses up one offset that will never be handed out, as a transaction marker or compaction does.
    ///
    /// # Errors
    /// `LogError::Missing` when there is no such partition.
    pub fn append_hole(&self, to: &TopicPartition) -> Result<i64, LogError> {
        Ok(self.state().partition(to)?.append_hole())
    }

    /// Every record that is still there, for those who look from outside.
    ///
    /// # Errors
    /// `LogError::Missing` when there is no such partition.
    pub fn records(&self, of: &TopicPartition) -> Result<Vec<StoredRecord>, LogError> {
        Ok(self.state().partition(of)?.records().to_vec())
    }

    /// The records from `offset` on that are still there.
    ///
    /// # Errors
    /// `LogError::Missing` when there is no such partition.
    pub fn records_from(&self, of: &TopicPartition, offset: i64) -> Result<Vec<StoredRecord>, LogError> {
        Ok(self.state().partition(of)?.from(offset).to_vec())
    }

    /// Damages the log: the record at `offset` gets this value, or is gone. False when there is none.
    ///
    /// # Errors
    /// `LogError::Missing` when there is no such partition.
    #[cfg(test)]
    pub fn tamper(&self, of: &TopicPartition, offset: i64, value: Option<&[u8]>) -> Result<bool, LogError> {
        Ok(self.state().partition(of)?.tamper(offset, value))
    }

    /// From now on what is sent to this topic is acknowledged, and gone before anybody reads it.
    #[cfg(test)]
    pub fn lose_sends_to(&self, topic: &str) {
        self.state().loses = Some(Arc::from(topic));
    }

    /// Moves a group's committed offset, as an operator with the broker's own tools may.
    #[cfg(test)]
    pub fn move_commit(&self, group: &str, of: &TopicPartition, offset: i64) {
        let commit = Commit { offset, metadata: String::new() };
        self.state().groups.entry(group.to_owned()).or_default().move_commit(of, commit);
    }

    /// Keeps only the last record of each key, as compaction does; `tombstones` says whether those stay.
    ///
    /// # Errors
    /// `LogError::Missing` when there is no such partition.
    pub fn compact(&self, of: &TopicPartition, tombstones: bool) -> Result<(), LogError> {
        self.state().partition(of)?.compact(tombstones);
        Ok(())
    }

    /// From now on records that producers send are stamped with the time that `stamp` gives, where it gives one: a
    /// log that is fed from a file then has the file's times, not those of the feeding.
    pub fn stamp_by(
        &self,
        stamp: impl Fn(&TopicPartition, Option<&[u8]>) -> Option<Millis> + Send + 'static,
    ) {
        self.state().stamp = Some(Box::new(stamp));
    }

    /// From now on sends wait until `decide` says what becomes of each.
    pub fn hold_sends(&self, hold: bool) {
        self.state().holds_sends = hold;
    }

    /// The next `count` sends are refused at once, before anything is handed over.
    pub fn refuse_sends(&self, count: u32) {
        self.state().refuses = count;
    }

    /// The next `times` that producers are asked whether they have room, they have none.
    pub fn be_full(&self, times: u32) {
        self.state().full = times;
    }

    /// The next `count` commits are refused as those of a member that lost its place, although nobody has lost any: what a
    /// broker says to a commit that meets a rebalance which leaves the partition where it is.
    pub fn fence_commits(&self, count: u32) {
        self.state().fences = count;
    }

    /// The next `count` calls of members find no broker.
    pub fn be_away(&self, count: u32) {
        self.state().away = count;
    }

    /// The producers that have sends waiting.
    #[must_use]
    pub fn producers_waiting(&self) -> Vec<u64> {
        self.state().pending.iter().filter(|(_, sends)| !sends.is_empty()).map(|(&id, _)| id).collect()
    }

    /// How many sends of `producer` wait.
    #[must_use]
    pub fn sends_waiting(&self, producer: u64) -> usize {
        self.state().pending.get(&producer).map_or(0, Vec::len)
    }

    /// Where the send of `producer` at this place among those that wait is to go; the oldest stands first.
    #[must_use]
    pub fn waiting_for(&self, producer: u64, index: usize) -> Option<TopicPartition> {
        self.state().pending.get(&producer).and_then(|sends| sends.get(index)).map(|send| send.to.clone())
    }

    /// How many producers were ever made; they are numbered from 1.
    #[must_use]
    pub fn producers_made(&self) -> u64 {
        self.state().producers_made
    }

    /// The member that was made last.
    #[must_use]
    pub fn newest_member(&self) -> MemberId {
        MemberId(self.state().members_made)
    }

    /// Decides the send of `producer` at `index`, or the oldest before it to the same partition: an idempotent
    /// producer keeps the order within a partition, and only there.
    pub fn decide(&self, producer: u64, index: usize, fate: Fate) {
        let now = self.shared.clock.wall();
        self.state().decide(producer, index, fate, now);
        self.shared.changed.notify_all();
    }

    /// The group forgets this member without telling it, as when its session times out.
    pub fn expire(&self, group: &str, member: MemberId) {
        if let Some(group) = self.state().groups.get_mut(group) {
            group.remove(member);
        }
        self.shared.changed.notify_all();
    }

    /// The members of a group, in the order of their joining.
    #[must_use]
    pub fn members(&self, group: &str) -> Vec<(MemberId, String)> {
        self.state().groups.get(group).map_or_else(Vec::new, Group::members)
    }
}

impl State {
    fn answers(&mut self) -> Result<(), LogError> {
        if self.away > 0 {
            self.away -= 1;
            return Err(LogError::Away("nobody answers".to_owned()));
        }
        Ok(())
    }

    fn partition(&mut self, of: &TopicPartition) -> Result<&mut topics::Partition, LogError> {
        self.topics
            .get_mut(&of.topic)
            .and_then(|topic| topic.partitions.get_mut(of.partition as usize))
            .ok_or_else(|| LogError::Missing(of.to_string()))
    }

    fn decide(&mut self, producer: u64, index: usize, fate: Fate, now: Millis) {
        let Some(sends) = self.pending.get_mut(&producer) else { return };
        let Some(wanted) = sends.get(index) else { return };
        let to = wanted.to.clone();
        let oldest =
            sends.iter().position(|send| send.to == to).expect("invariant: the wanted send is one of them");
        let send = sends.remove(oldest);
        self.apply(send, fate, now);
    }

    fn apply(&mut self, mut send: PendingSend, fate: Fate, now: Millis) {
        if let Some(stamp) = &self.stamp {
            send.stamp(stamp);
        }
        let fate = if self.loses.as_ref() == Some(&send.to.topic) { Fate::TakenAndGone } else { fate };
        let Ok(partition) = self.partition(&send.to) else {
            send.refuse("there is no such topic");
            return;
        };
        send.apply(partition, fate, now);
    }

    /// Which partitions each topic has, for the groups' assignors.
    fn layout(&self) -> BTreeMap<Arc<str>, u32> {
        self.topics.iter().map(|(name, topic)| (name.clone(), topic.partitions.len() as u32)).collect()
    }
}

impl Logs for Cluster {
    fn member(&self, group: &str, instance: &str, topics: &[&str]) -> Result<Box<dyn Member>, LogError> {
        let mut state = self.state();
        state.members_made += 1;
        let id = MemberId(state.members_made);
        let layout = state.layout();
        state.groups.entry(group.to_owned()).or_default().join(id, instance, topics, &layout);
        drop(state);
        self.shared.changed.notify_all();
        Ok(Box::new(clients::EmbeddedMember::new(self.clone(), group, id)))
    }

    fn reader(&self, from: &[(TopicPartition, i64)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(clients::EmbeddedReader::new(self.clone(), from)))
    }

    fn producer(&self, _name: &str) -> Result<Box<dyn Producer>, LogError> {
        let mut state = self.state();
        state.producers_made += 1;
        Ok(Box::new(clients::EmbeddedProducer::new(self.clone(), state.producers_made)))
    }

    fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, LogError> {
        let state = self.state();
        Ok(topics.iter().map(|&name| state.topics.get(name).map(|topic| topic.describe(name))).collect())
    }

    fn create(&self, topics: &[NewTopic]) -> Result<(), LogError> {
        let mut state = self.state();
        for new in topics {
            let id = StreamId(0x7472_6961_6765_0000_0000_0000_0000_0000 + state.topics.len() as u128 + 1);
            state.topics.entry(Arc::from(new.name.as_str())).or_insert_with(|| Topic::new(new, id));
        }
        Ok(())
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
        let mut state = self.state();
        let partition = state.partition(partition)?;
        Ok((partition.start(), partition.next()))
    }

    fn offset_at(&self, partition: &TopicPartition, at: Millis) -> Result<i64, LogError> {
        Ok(self.state().partition(partition)?.offset_at(at))
    }

    fn group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Commit>>, LogError> {
        let state = self.state();
        let group = state.groups.get(group);
        Ok(partitions.iter().map(|partition| group.and_then(|group| group.commit_of(partition))).collect())
    }

    fn trim(&self, partition: &TopicPartition, below: i64) -> Result<(), LogError> {
        self.state().partition(partition)?.trim(below);
        Ok(())
    }
}

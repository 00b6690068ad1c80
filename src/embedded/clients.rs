//! The embedded log's clients: member, reader and producer behind the traits of `log`.
//!
//! Owns positions. May not keep records: every poll copies out of the cluster, so a crash of the owner loses
//! nothing and a moved position hands out nothing stale. Made by `Cluster`.

use super::topics::PendingSend;
use super::{Cluster, Fate, MemberId};
use crate::log::{
    Commit, LogError, Member, Outgoing, Polled, Producer, ReadStep, Reader, Records, Ticket, TopicPartition,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Records handed out by one poll, at most: what Kafka's client gives in one batch, roughly.
const POLL_RECORDS_MAX: usize = 1_000;

pub(super) struct EmbeddedMember {
    cluster: Cluster,
    group: String,
    id: MemberId,
    positions: BTreeMap<TopicPartition, i64>,
    /// What it was told to let go of, and has not.
    leaving: BTreeSet<TopicPartition>,
    /// The partition that is read next, so that none starves.
    turn: usize,
    lost_told: bool,
    /// What became of the last commit, until somebody asks.
    answer: Option<Result<(), LogError>>,
}

impl EmbeddedMember {
    pub(super) fn new(cluster: Cluster, group: &str, id: MemberId) -> EmbeddedMember {
        EmbeddedMember {
            cluster,
            group: group.to_owned(),
            id,
            positions: BTreeMap::new(),
            leaving: BTreeSet::new(),
            turn: 0,
            lost_told: false,
            answer: None,
        }
    }

    fn poll_once(&mut self, read: bool) -> Result<Polled, LogError> {
        let mut state = self.cluster.state();
        state.answers()?;
        let group = state.groups.get_mut(&self.group).expect("invariant: a member's group exists");
        if !group.is_member(self.id) {
            drop(state);
            return self.fenced();
        }
        if let Some(news) = group.news(self.id) {
            if let Polled::Revoking(partitions) = &news {
                self.leaving.extend(partitions.iter().cloned());
            }
            return Ok(news);
        }
        if !read || self.positions.is_empty() {
            return Ok(Polled::Nothing);
        }
        let partitions: Vec<TopicPartition> = self.positions.keys().cloned().collect();
        for step in 0..partitions.len() {
            let partition = &partitions[(self.turn + step) % partitions.len()];
            let position = self.positions.get_mut(partition).expect("invariant: listed above");
            let log = state.partition(partition)?;
            if log.start() > *position {
                return Err(LogError::OutOfRange {
                    partition: partition.clone(),
                    asked: *position,
                    start: log.start(),
                });
            }
            let mut records = Records::new(partition.clone());
            for record in log.from(*position).iter().take(POLL_RECORDS_MAX) {
                records.push(record.offset, record.timestamp, record.key.as_deref(), record.value.as_deref());
            }
            if let Some((_, last)) = records.span() {
                *position = last + 1;
                self.turn = (self.turn + step + 1) % partitions.len();
                return Ok(Polled::Records(records));
            }
        }
        Ok(Polled::Nothing)
    }

    /// A member that the group has forgotten learns that all it had is lost, once; then it is of no more use.
    fn fenced(&mut self) -> Result<Polled, LogError> {
        if self.lost_told {
            return Err(LogError::Fatal("the group has forgotten this member".to_owned()));
        }
        self.lost_told = true;
        Ok(Polled::Lost(std::mem::take(&mut self.positions).into_keys().collect()))
    }
}

impl Member for EmbeddedMember {
    fn poll(&mut self, wait: Duration, read: bool) -> Result<Polled, LogError> {
        let polled = self.poll_once(read)?;
        if !matches!(polled, Polled::Nothing) || wait.is_zero() {
            return Ok(polled);
        }
        let cluster = self.cluster.clone();
        let state = cluster.state();
        drop(
            cluster
                .shared
                .changed
                .wait_timeout(state, wait)
                .expect("invariant: nobody panics holding the lock"),
        );
        self.poll_once(read)
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Commit>>, LogError> {
        let mut state = self.cluster.state();
        state.answers()?;
        let group = state.groups.get(&self.group).expect("invariant: a member's group exists");
        if !group.is_member(self.id) {
            return Err(LogError::Fenced("the group has forgotten this member".to_owned()));
        }
        Ok(partitions.iter().map(|partition| group.commit_of(partition)).collect())
    }

    fn start(&mut self, from: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        self.cluster.state().answers()?;
        if let Some((partition, _)) = from.iter().find(|(partition, _)| self.leaving.contains(partition)) {
            return Err(LogError::Fenced(format!("{partition} is not ours")));
        }
        self.positions.extend(from.iter().cloned());
        Ok(())
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        self.cluster.state().answers()?;
        for partition in partitions {
            self.positions.remove(partition);
            self.leaving.remove(partition);
        }
        let mut state = self.cluster.state();
        state.groups.get_mut(&self.group).expect("invariant: it exists").release(self.id, partitions);
        drop(state);
        self.cluster.shared.changed.notify_all();
        Ok(())
    }

    fn commit_begin(&mut self, offsets: &[(TopicPartition, Commit)]) -> Result<(), LogError> {
        self.cluster.state().answers()?;
        let mut state = self.cluster.state();
        if state.fences > 0 {
            state.fences -= 1;
            self.answer = Some(Err(LogError::Fenced("the group is in another generation".to_owned())));
            return Ok(());
        }
        let group = state.groups.get_mut(&self.group).expect("invariant: it exists");
        self.answer = Some(group.commit(self.id, offsets));
        Ok(())
    }

    fn commit_answer(&mut self, _wait: Duration) -> Option<Result<(), LogError>> {
        self.answer.take()
    }

    fn close(self: Box<Self>) {
        self.cluster.expire(&self.group, self.id);
    }
}

pub(super) struct EmbeddedReader {
    cluster: Cluster,
    positions: Vec<(TopicPartition, i64)>,
    /// The end that was told last of each partition. As by Apache Kafka's client it is told again once it has moved, also
    /// where that came by holes alone.
    ended: BTreeMap<usize, i64>,
}

impl EmbeddedReader {
    pub(super) fn new(cluster: Cluster, from: &[(TopicPartition, i64)]) -> EmbeddedReader {
        EmbeddedReader { cluster, positions: from.to_vec(), ended: BTreeMap::new() }
    }

    fn read_once(&mut self) -> Result<ReadStep, LogError> {
        let mut state = self.cluster.state();
        for (index, (partition, position)) in self.positions.iter_mut().enumerate() {
            let log = state.partition(partition)?;
            if log.start() > *position {
                let start = log.start();
                return Err(LogError::OutOfRange { partition: partition.clone(), asked: *position, start });
            }
            let mut records = Records::new(partition.clone());
            for record in log.from(*position).iter().take(POLL_RECORDS_MAX) {
                records.push(record.offset, record.timestamp, record.key.as_deref(), record.value.as_deref());
            }
            if let Some((_, last)) = records.span() {
                *position = last + 1;
                return Ok(ReadStep::Records(records));
            }
            if self.ended.insert(index, log.next()) != Some(log.next()) {
                *position = log.next();
                return Ok(ReadStep::End(partition.clone(), *position));
            }
        }
        Ok(ReadStep::Nothing)
    }
}

impl Reader for EmbeddedReader {
    fn read(&mut self, wait: Duration) -> Result<ReadStep, LogError> {
        let step = self.read_once()?;
        if !matches!(step, ReadStep::Nothing) || wait.is_zero() {
            return Ok(step);
        }
        let cluster = self.cluster.clone();
        let state = cluster.state();
        drop(
            cluster
                .shared
                .changed
                .wait_timeout(state, wait)
                .expect("invariant: nobody panics holding the lock"),
        );
        self.read_once()
    }
}

pub(super) struct EmbeddedProducer {
    cluster: Cluster,
    id: u64,
}

impl EmbeddedProducer {
    pub(super) fn new(cluster: Cluster, id: u64) -> EmbeddedProducer {
        EmbeddedProducer { cluster, id }
    }
}

impl Producer for EmbeddedProducer {
    fn send(
        &mut self,
        to: &TopicPartition,
        records: &Outgoing,
        ticket: &Arc<Ticket>,
    ) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let now = self.cluster.shared.clock.wall();
        let mut state = self.cluster.state();
        if state.refuses > 0 {
            state.refuses -= 1;
            return Err(LogError::Denied(to.to_string()));
        }
        ticket.add(records.len() as u32);
        let send = PendingSend::new(to, records, ticket);
        if state.holds_sends {
            state.pending.entry(self.id).or_default().push(send);
        } else {
            state.apply(send, Fate::Taken, now);
        }
        drop(state);
        self.cluster.shared.changed.notify_all();
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        let mut state = self.cluster.state();
        let full = state.full > 0;
        state.full = state.full.saturating_sub(1);
        !full
    }

    fn health(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn flush(&mut self, _wait: Duration) -> bool {
        self.cluster.sends_waiting(self.id) == 0
    }
}

//! The embedded log's consumer groups: who owns which partition, and what was committed.
//!
//! Owns membership as the cooperative protocol shows it to a client: a partition moves only after its owner let
//! go, a static instance that comes back takes its own place, a member the group has forgotten is fenced. May not
//! know records. Called by `Cluster`, under its lock.

use crate::log::{Commit, LogError, Polled, TopicPartition};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A member of a group; another one after every join, also of the same instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

#[derive(Default)]
pub(super) struct Group {
    members: BTreeMap<MemberId, Membership>,
    owners: BTreeMap<TopicPartition, MemberId>,
    commits: BTreeMap<TopicPartition, Commit>,
    layout: BTreeMap<Arc<str>, u32>,
}

struct Membership {
    instance: String,
    topics: Vec<String>,
    /// What it was given and has not let go of.
    owned: BTreeSet<TopicPartition>,
    /// What it was asked to let go of.
    revoking: BTreeSet<TopicPartition>,
    news: VecDeque<Polled>,
}

impl Group {
    pub(super) fn join(
        &mut self,
        id: MemberId,
        instance: &str,
        topics: &[&str],
        layout: &BTreeMap<Arc<str>, u32>,
    ) {
        self.layout.clone_from(layout);
        let former = self.members.iter().find(|(_, member)| member.instance == instance).map(|(&id, _)| id);
        let mut owned = BTreeSet::new();
        if let Some(former) = former {
            // A static member that comes back takes its own place: no rebalance, the former handle is fenced.
            let place = self.members.remove(&former).expect("invariant: just found");
            owned = place.owned;
            for partition in &owned {
                self.owners.insert(partition.clone(), id);
            }
        }
        let mut news = VecDeque::new();
        if !owned.is_empty() {
            news.push_back(Polled::Assigned(owned.iter().cloned().collect()));
        }
        let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        self.members.insert(
            id,
            Membership { instance: instance.to_owned(), topics, owned, revoking: BTreeSet::new(), news },
        );
        self.rebalance();
    }

    /// The group forgets a member; its partitions go to others at once.
    pub(super) fn remove(&mut self, id: MemberId) {
        if self.members.remove(&id).is_some() {
            self.owners.retain(|_, owner| *owner != id);
            self.rebalance();
        }
    }

    pub(super) fn is_member(&self, id: MemberId) -> bool {
        self.members.contains_key(&id)
    }

    pub(super) fn members(&self) -> Vec<(MemberId, String)> {
        self.members.iter().map(|(&id, member)| (id, member.instance.clone())).collect()
    }

    pub(super) fn news(&mut self, id: MemberId) -> Option<Polled> {
        self.members.get_mut(&id)?.news.pop_front()
    }

    pub(super) fn release(&mut self, id: MemberId, partitions: &[TopicPartition]) {
        let Some(member) = self.members.get_mut(&id) else { return };
        for partition in partitions {
            member.owned.remove(partition);
            member.revoking.remove(partition);
            if self.owners.get(partition) == Some(&id) {
                self.owners.remove(partition);
            }
        }
        self.rebalance();
    }

    pub(super) fn commit(
        &mut self,
        id: MemberId,
        offsets: &[(TopicPartition, Commit)],
    ) -> Result<(), LogError> {
        for (partition, _) in offsets {
            if self.owners.get(partition) != Some(&id) {
                return Err(LogError::Fenced(format!("{partition} belongs to another member")));
            }
        }
        for (partition, commit) in offsets {
            self.commits.insert(partition.clone(), commit.clone());
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn move_commit(&mut self, partition: &TopicPartition, commit: Commit) {
        self.commits.insert(partition.clone(), commit);
    }

    pub(super) fn commit_of(&self, partition: &TopicPartition) -> Option<Commit> {
        self.commits.get(partition).cloned()
    }

    /// Spreads every topic's partitions over the members that want it: each keeps what it has up to its fair
    /// share, what is over is asked back, what is free is given out.
    fn rebalance(&mut self) {
        let layout = self.layout.clone();
        for (topic, partitions) in layout {
            let wanting: Vec<MemberId> = self
                .members
                .iter()
                .filter(|(_, member)| member.topics.iter().any(|wanted| *wanted == *topic))
                .map(|(&id, _)| id)
                .collect();
            if !wanting.is_empty() {
                self.spread(&topic, partitions, &wanting);
            }
        }
    }

    fn spread(&mut self, topic: &Arc<str>, partitions: u32, wanting: &[MemberId]) {
        let share_min = partitions as usize / wanting.len();
        let over = partitions as usize % wanting.len();
        let mut free: Vec<TopicPartition> = (0..partitions)
            .map(|partition| TopicPartition { topic: topic.clone(), partition })
            .filter(|partition| !self.owners.contains_key(partition))
            .collect();
        free.reverse();
        for (rank, id) in wanting.iter().enumerate() {
            let share = share_min + usize::from(rank < over);
            let member = self.members.get_mut(id).expect("invariant: wanting members are members");
            let keeps: Vec<TopicPartition> = member
                .owned
                .iter()
                .filter(|p| p.topic == *topic && !member.revoking.contains(*p))
                .cloned()
                .collect();
            if keeps.len() > share {
                let back = keeps[share..].to_vec();
                member.revoking.extend(back.iter().cloned());
                member.news.push_back(Polled::Revoking(back));
            } else {
                let given: Vec<TopicPartition> = (keeps.len()..share).map_while(|_| free.pop()).collect();
                if !given.is_empty() {
                    for partition in &given {
                        self.owners.insert(partition.clone(), *id);
                        member.owned.insert(partition.clone());
                    }
                    member.news.push_back(Polled::Assigned(given));
                }
            }
        }
    }
}

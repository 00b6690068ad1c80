//! A lane: one group member, one producer, and the shards of the partitions that are its.
//!
//! Owns membership and commits, for triage and desk lanes alike: restore what is assigned, drain what is revoked,
//! drop what is lost, stop and restore what has failed, commit what is settled and nothing else. May not know
//! what a record means: `Work` does. Stepped by its thread, or by the simulator.

use super::Stop;
use super::pause::Pause;
pub use super::work::{Progress, Shard, Work};
use crate::log::{Commit, LogError, Member, Polled, Producer, Records, TopicPartition};
use crate::warn_seldom;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Limits of a lane.
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    /// Reading stops while runs in flight hold more bytes than this.
    pub buffer_bytes: usize,
    /// Milliseconds between commits.
    pub commit_interval_ms: i64,
    /// Milliseconds that a revoked partition may take to drain.
    pub drain_ms: i64,
    /// Milliseconds before a failed restore is begun anew.
    pub retry_ms: i64,
}

/// One lane.
pub struct Lane<W: Work> {
    /// What it does with its partitions.
    pub work: W,
    member: Box<dyn Member>,
    producer: Box<dyn Producer>,
    limits: LaneLimits,
    held: BTreeMap<TopicPartition, Place<W>>,
    /// Assigned together, to be started together.
    assigned: Vec<TopicPartition>,
    revoking: Vec<TopicPartition>,
    revoking_until: i64,
    stalled: Option<Records>,
    /// What an operator has told us not to read, if anybody may.
    pause: Option<Arc<Pause>>,
    /// Partitions of which records were dropped because they are paused, each with the first of these.
    held_back: BTreeMap<TopicPartition, i64>,
    commit_due: i64,
    /// The commit under way, without partitions that were dropped since.
    committing: Option<Vec<(TopicPartition, Commit)>>,
    /// When a commit that something waits for, and that failed, is tried again.
    commit_again: i64,
    /// When a poll last found no broker; `i64::MIN` when none ever did.
    pub away_at: i64,
    /// What the client said of it. Whoever steps the lane tells of it: other lanes find the same.
    pub away_why: String,
    draining: bool,
    /// Partitions brought back and made live since the start.
    pub restored: u64,
    /// Milliseconds in which the lane did not read because its buffers or its producer's were full.
    pub backpressure_ms: i64,
    backpressed_since: Option<i64>,
}

enum Place<W: Work> {
    Waiting { until: i64 },
    Restoring(W::Restore),
    Ready(W::Shard),
    Live(W::Shard),
}

impl<W: Work> Lane<W> {
    /// A lane that holds nothing yet.
    #[must_use]
    pub fn new(work: W, member: Box<dyn Member>, producer: Box<dyn Producer>, limits: LaneLimits) -> Lane<W> {
        assert!(limits.buffer_bytes > 0 && limits.drain_ms >= 0, "a lane needs room");
        Lane {
            work,
            member,
            producer,
            limits,
            held: BTreeMap::new(),
            assigned: Vec::new(),
            revoking: Vec::new(),
            revoking_until: 0,
            stalled: None,
            pause: None,
            held_back: BTreeMap::new(),
            commit_due: 0,
            committing: None,
            commit_again: 0,
            away_at: i64::MIN,
            away_why: String::new(),
            draining: false,
            restored: 0,
            backpressure_ms: 0,
            backpressed_since: None,
        }
    }

    /// From now on the lane does not read what `pause` holds.
    #[must_use]
    pub fn obeying(mut self, pause: &Arc<Pause>) -> Lane<W> {
        self.pause = Some(Arc::clone(pause));
        self
    }

    /// One round: answers in, runs on, commits out, at most one poll, which waits for at most `wait` when there
    /// is nothing else to do. True when anything happened.
    ///
    /// # Errors
    /// When the member is of no more use: the lane must be made anew, and what it held is not committed.
    pub fn step(&mut self, now_ms: i64, wait: Duration) -> Result<bool, LogError> {
        self.producer.health()?;
        let mut busy = self.work.between();
        self.restart_stopped(now_ms)?;
        self.restore_some(now_ms);
        let has_room = self.has_room();
        for (partition, place) in &mut self.held {
            if let Place::Live(shard) = place {
                let may_begin = has_room && !self.revoking.contains(partition);
                self.work.advance(shard, now_ms, may_begin && !self.draining, self.producer.as_mut());
            }
        }
        self.start_ready()?;
        self.finish_revocation(now_ms)?;
        self.commit_in_passing(now_ms)?;
        self.resume()?;
        let read = self.may_read(now_ms);
        busy |= self.take_stalled();
        let read = read && self.stalled.is_none();
        let wait = if busy { Duration::ZERO } else { wait };
        match self.member.poll(wait, read) {
            Ok(Polled::Nothing) => {}
            Ok(polled) => {
                busy = true;
                self.take(polled, now_ms)?;
            }
            Err(LogError::OutOfRange { partition, asked, start }) => {
                if let Some(Place::Live(shard)) = self.held.get_mut(&partition)
                    && !shard.is_stopping()
                {
                    tracing::error!(%partition, asked, start, "retention has overtaken the reader");
                    shard.overtaken();
                }
            }
            Err(LogError::Away(why)) => (self.away_at, self.away_why) = (now_ms, why),
            Err(error) => return Err(error),
        }
        Ok(busy)
    }

    fn take(&mut self, polled: Polled, now_ms: i64) -> Result<(), LogError> {
        match polled {
            Polled::Nothing => {}
            Polled::Assigned(partitions) => {
                // What was revoked before, and could not be let go of yet, is ours anew.
                self.revoking.retain(|revoking| !partitions.contains(revoking));
                for partition in partitions {
                    self.held.insert(partition.clone(), Place::Waiting { until: now_ms });
                    self.assigned.push(partition);
                }
            }
            Polled::Revoking(partitions) => {
                self.revoking.extend(partitions);
                self.revoking_until = now_ms + self.limits.drain_ms;
            }
            Polled::Lost(partitions) => {
                for partition in &partitions {
                    self.drop_place(partition, None);
                }
                self.revoking.retain(|revoking| !partitions.contains(revoking));
                self.let_go(partitions)?;
            }
            Polled::Records(records) => self.hand_over(records),
        }
        Ok(())
    }

    /// Gives records to their shard. Those of a partition that is not live, or is about to stop, are dropped:
    /// reading starts anew at its committed offset.
    fn hand_over(&mut self, records: Records) {
        let partition = records.partition();
        if self.revoking.contains(partition) {
            return;
        }
        if self.is_paused(partition) || self.held_back.contains_key(partition) {
            // One that is not live, or about to stop, is started anew at what is committed, which may lie before these.
            let is_read =
                matches!(self.held.get(partition), Some(Place::Live(shard)) if !shard.is_stopping());
            if let Some((first, _)) = records.span().filter(|_| is_read) {
                self.held_back.entry(partition.clone()).or_insert(first);
            }
            return;
        }
        match self.held.get_mut(partition) {
            Some(Place::Live(shard)) if !shard.is_stopping() => {
                self.stalled = self.work.take(shard, records, self.producer.as_mut());
            }
            _ => {
                tracing::debug!(%partition, span = ?records.span(), "records of a partition that is not live")
            }
        }
    }

    fn is_paused(&self, partition: &TopicPartition) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.holds(partition.partition))
    }

    /// Whether there is something, and nothing of it is to be read: then the broker is not even asked.
    fn is_all_paused(&self) -> bool {
        self.pause.is_some() && !self.held.is_empty() && self.held.keys().all(|of| self.is_paused(of))
    }

    /// How many partitions are held and not read, because an operator said so.
    #[must_use]
    pub fn paused(&self) -> usize {
        self.held.keys().filter(|partition| self.is_paused(partition)).count()
    }

    /// Goes back to where records of a partition were dropped, once it is paused no more.
    fn resume(&mut self) -> Result<(), LogError> {
        let due = self.held_back.iter().filter(|(of, _)| !self.is_paused(of) && !self.revoking.contains(of));
        let due: Vec<(TopicPartition, i64)> = due.map(|(of, &first)| (of.clone(), first)).collect();
        if due.is_empty() {
            return Ok(());
        }
        match self.member.start(&due) {
            Ok(()) => {
                self.held_back.retain(|partition, _| !due.iter().any(|(resumed, _)| resumed == partition))
            }
            Err(LogError::Away(why)) => warn_seldom!(%why, "reading cannot go on yet"),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn take_stalled(&mut self) -> bool {
        match self.stalled.take() {
            Some(records) => {
                self.hand_over(records);
                self.stalled.is_none()
            }
            None => false,
        }
    }

    /// Whether more may be read: never while the producer has no room for what was sent. What is in flight goes on, and
    /// membership is served, so that an outage costs no partition.
    fn may_read(&mut self, now_ms: i64) -> bool {
        let full = !self.has_room();
        match (full, self.backpressed_since) {
            (true, None) => self.backpressed_since = Some(now_ms),
            (false, Some(since)) => {
                self.backpressure_ms += now_ms - since;
                self.backpressed_since = None;
            }
            _ => {}
        }
        !full && !self.draining && !self.is_all_paused()
    }

    fn has_room(&mut self) -> bool {
        self.producer.has_room() && self.bytes() < self.limits.buffer_bytes
    }

    /// Bytes that runs in flight hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.live().map(Shard::bytes).sum()
    }

    fn restore_some(&mut self, now_ms: i64) {
        let partitions: Vec<TopicPartition> = self.held.keys().cloned().collect();
        // A broker that does not answer costs a long wait each time: it is asked for one partition in a step, or the
        // lane would stand still for as many waits as it has partitions.
        let mut away = false;
        for partition in partitions {
            if away {
                break;
            }
            let place = self.held.remove(&partition).expect("invariant: listed above");
            let place = match place {
                Place::Waiting { until } if now_ms >= until => self.begin(&partition),
                Place::Restoring(restore) => {
                    self.work.restore(restore, self.producer.as_mut()).map(|progress| match progress {
                        Progress::Whole(shard) => Place::Ready(*shard),
                        Progress::Reading(restore) => Place::Restoring(restore),
                    })
                }
                place => Ok(place),
            };
            let place = place.unwrap_or_else(|error| {
                away = matches!(error, LogError::Away(_));
                warn_seldom!(%partition, %error, "the partition cannot be restored yet, trying again");
                Place::Waiting { until: now_ms + self.limits.retry_ms }
            });
            self.held.insert(partition, place);
        }
    }

    fn begin(&mut self, partition: &TopicPartition) -> Result<Place<W>, LogError> {
        let commit = self.member.committed(std::slice::from_ref(partition))?.pop().flatten();
        let is_new = commit.is_none();
        let restore = self.work.begin(partition, commit)?;
        if is_new && let Some(start) = W::pin_of(&restore) {
            self.pin(partition, start)?;
        }
        Ok(Place::Restoring(restore))
    }

    /// Commits where a partition without a commit begins, before anything of it is read: what retention takes from
    /// then on is known to be lost, and cannot be mistaken for what was never ours.
    fn pin(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), LogError> {
        self.commit_now(&[(partition.clone(), Commit { offset, metadata: String::new() })])
    }

    /// Commits and waits for the answer; that to a commit under way is dropped by the member.
    fn commit_now(&mut self, offsets: &[(TopicPartition, Commit)]) -> Result<(), LogError> {
        self.committing = None;
        self.member.commit(offsets)
    }

    /// Starts reading what is restored: what was assigned together, together; what was restarted, by itself.
    fn start_ready(&mut self) -> Result<(), LogError> {
        let ready = |held: &BTreeMap<TopicPartition, Place<W>>, partition: &TopicPartition| {
            held.get(partition).is_none_or(|place| matches!(place, Place::Ready(_)))
        };
        let waits = !self.assigned.iter().all(|partition| ready(&self.held, partition));
        let mut from = Vec::new();
        for (partition, place) in &self.held {
            // What is to be let go of is not begun any more.
            if let Place::Ready(shard) = place
                && !(waits && self.assigned.contains(partition))
                && !self.revoking.contains(partition)
            {
                from.push((partition.clone(), shard.start()));
            }
        }
        if from.is_empty() {
            return Ok(());
        }
        match self.member.start(&from) {
            Ok(()) => {}
            Err(LogError::Away(why)) => {
                warn_seldom!(%why, "reading cannot start yet");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        for (partition, _) in from {
            self.held_back.remove(&partition);
            self.assigned.retain(|assigned| *assigned != partition);
            if let Some(Place::Ready(mut shard)) = self.held.remove(&partition) {
                self.restored += 1;
                self.work.live(&mut shard, self.producer.as_mut());
                self.held.insert(partition, Place::Live(shard));
            }
        }
        Ok(())
    }

    /// A shard that has stopped proves by a commit that the partition is still ours, and is then restored.
    fn restart_stopped(&mut self, now_ms: i64) -> Result<(), LogError> {
        if now_ms < self.commit_again {
            return Ok(());
        }
        let stopped: Vec<(TopicPartition, Stop)> = self
            .held
            .iter()
            .filter_map(|(partition, place)| match place {
                Place::Live(shard) => Some((partition.clone(), shard.stopped()?)),
                _ => None,
            })
            .collect();
        for (partition, stop) in stopped {
            match self.prove_ownership(&partition) {
                Ok(()) => {
                    tracing::warn!(%partition, %stop, "stopped; restoring from what is committed");
                    self.work.stopped(&partition, &stop, self.producer.as_mut());
                    self.drop_place(&partition, Some(&stop));
                    let wait =
                        if matches!(stop, Stop::Undelivered { .. }) { self.limits.retry_ms } else { 0 };
                    let until = now_ms + wait;
                    self.held.insert(partition, Place::Waiting { until });
                }
                // A fence is no proof of the contrary: a commit that meets a rebalance is fenced too, and that may leave
                // the partition where it is. Whose it is then the member alone can say.
                Err(LogError::Away(why) | LogError::Fenced(why)) => {
                    warn_seldom!(%partition, %stop, %why, "stopped; whether it is still ours is not known yet");
                    self.commit_again = now_ms + self.limits.retry_ms;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn prove_ownership(&mut self, partition: &TopicPartition) -> Result<(), LogError> {
        let Some(Place::Live(shard)) = self.held.get_mut(partition) else { return Ok(()) };
        let commit = match shard.commit() {
            Some(commit) => commit,
            None => match self.member.committed(std::slice::from_ref(partition))?.pop().flatten() {
                Some(commit) => commit,
                None => Commit { offset: shard.start(), metadata: String::new() },
            },
        };
        self.commit_now(&[(partition.clone(), commit.clone())])?;
        let Some(Place::Live(shard)) = self.held.get_mut(partition) else { return Ok(()) };
        if commit.offset > shard.start() {
            shard.committed(&commit);
        }
        Ok(())
    }

    fn finish_revocation(&mut self, now_ms: i64) -> Result<(), LogError> {
        if self.revoking.is_empty() {
            return Ok(());
        }
        let drained = self.revoking.iter().all(|partition| match self.held.get(partition) {
            Some(Place::Live(shard)) => shard.is_drained() || shard.stopped().is_some(),
            _ => true,
        });
        if !drained && now_ms < self.revoking_until {
            return Ok(());
        }
        let has_time = now_ms < self.revoking_until;
        if has_time && now_ms < self.commit_again {
            return Ok(());
        }
        if !self.commit_settled()? && has_time {
            self.commit_again = now_ms + self.limits.retry_ms;
            return Ok(());
        }
        let revoked = std::mem::take(&mut self.revoking);
        for partition in &revoked {
            self.drop_place(partition, None);
        }
        self.let_go(revoked)
    }

    /// Tells the member that these partitions are gone from here. While the broker is away it is told again.
    fn let_go(&mut self, partitions: Vec<TopicPartition>) -> Result<(), LogError> {
        match self.member.release(&partitions) {
            Err(LogError::Away(why)) => {
                warn_seldom!(%why, "partitions cannot be let go of yet");
                self.revoking.extend(partitions);
                Ok(())
            }
            answer => answer,
        }
    }

    fn drop_place(&mut self, partition: &TopicPartition, stop: Option<&Stop>) {
        self.assigned.retain(|assigned| assigned != partition);
        if let Some(committing) = &mut self.committing {
            committing.retain(|(of, _)| of != partition);
        }
        self.held_back.remove(partition);
        if let Some(Place::Live(shard) | Place::Ready(shard)) = self.held.remove(partition) {
            self.work.dropped(shard, stop);
        }
        if self.stalled.as_ref().is_some_and(|records| records.partition() == partition) {
            self.stalled = None;
        }
    }

    /// Takes in what became of the commit under way, and begins the next one when it is due: mentions go on meanwhile.
    fn commit_in_passing(&mut self, now_ms: i64) -> Result<(), LogError> {
        if let Some(answer) = self.member.commit_answer(Duration::ZERO) {
            let committed = self.committing.take().unwrap_or_default();
            self.take_commit(answer, &committed)?;
        }
        let is_due = now_ms >= self.commit_due || (self.draining && self.live().all(Shard::is_drained));
        if !is_due || self.committing.is_some() {
            return Ok(());
        }
        self.commit_due = now_ms + self.limits.commit_interval_ms;
        let settled = self.settled();
        if settled.is_empty() {
            return Ok(());
        }
        match self.member.commit_begin(&settled) {
            Ok(()) => {
                self.committing = Some(settled);
                Ok(())
            }
            refused => self.take_commit(refused, &[]).map(|_| ()),
        }
    }

    /// What may be committed now.
    fn settled(&self) -> Vec<(TopicPartition, Commit)> {
        let places = self.places();
        places.filter_map(|(partition, shard)| Some((partition.clone(), shard.commit()?))).collect()
    }

    /// Commits what is settled and waits for the answer; whether nothing is left to commit.
    fn commit_settled(&mut self) -> Result<bool, LogError> {
        let settled = self.settled();
        if settled.is_empty() {
            return Ok(true);
        }
        let answer = self.commit_now(&settled);
        self.take_commit(answer, &settled)
    }

    /// Tells the shards of a commit; whether it is done. One that was fenced, or met no broker, is tried again for as long
    /// as the partitions are held: the member says when they are lost.
    fn take_commit(
        &mut self,
        answer: Result<(), LogError>,
        commits: &[(TopicPartition, Commit)],
    ) -> Result<bool, LogError> {
        match answer {
            Ok(()) => {
                for (partition, commit) in commits {
                    if let Some(Place::Live(shard)) = self.held.get_mut(partition) {
                        shard.committed(commit);
                    }
                }
                Ok(true)
            }
            Err(LogError::Fenced(why)) => {
                tracing::warn!(%why, "offsets were not committed: the group is in another generation");
                Ok(false)
            }
            Err(LogError::Away(why)) => {
                warn_seldom!(%why, "offsets were not committed yet");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// From now on nothing more is read; `is_drained` says when all is settled.
    pub fn drain(&mut self) {
        self.draining = true;
        // Records that wait for their policy were never taken: the next owner reads them.
        self.stalled = None;
    }

    /// Whether all that was taken is settled and committed.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.live().all(|shard| shard.is_drained() && shard.commit().is_none())
    }

    /// Whether it lost all its partitions, and the group has not said since which are its.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.member.is_lost()
    }

    /// Whether any shard of the lane is about to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.live().any(Shard::is_stopping)
    }

    /// Commits what is settled and leaves the group.
    ///
    /// # Errors
    /// When the last commit failed for another reason than that the group has moved on.
    pub fn close(mut self) -> Result<W, LogError> {
        let last = self.commit_settled();
        for partition in self.held.keys().cloned().collect::<Vec<_>>() {
            self.drop_place(&partition, None);
        }
        self.member.close();
        last.map(|_| self.work)
    }

    /// The shards that are live.
    pub fn live(&self) -> impl Iterator<Item = &W::Shard> {
        self.held.values().filter_map(|place| match place {
            Place::Live(shard) => Some(shard),
            _ => None,
        })
    }

    /// The shards that are live, each with its partition.
    pub fn places(&self) -> impl Iterator<Item = (&TopicPartition, &W::Shard)> {
        self.held.iter().filter_map(|(partition, place)| match place {
            Place::Live(shard) => Some((partition, shard)),
            _ => None,
        })
    }

    /// Whether a partition is held, live or not.
    #[must_use]
    pub fn is_held(&self, partition: &TopicPartition) -> bool {
        self.held.contains_key(partition)
    }

    /// How many partitions are held, and how many of them are not live yet.
    #[must_use]
    pub fn holds(&self) -> (usize, usize) {
        (self.held.len(), self.held.len() - self.live().count())
    }
}

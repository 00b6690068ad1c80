//! One input partition: decides in log order, writes the ledger ahead, acts, settles.
//!
//! Owns the partition's engine, its watermark and its runs in flight. A run's effects are produced only when the
//! broker has shown its ledger record to be the expected next one; on any other answer the shard drains what is
//! certain and is restored from the ledger, which is then obeyed. May not commit: the lane does, what `commit`
//! says. Called by `triage_lane`.

use super::Stop;
use super::ledger_tail::{LedgerNote, LedgerTail};
#[cfg(test)]
use super::planted::{self, Planted};
use super::survey::Place;
pub use super::triage_counts::TriageCounts;
use super::triage_run::{Ahead, Run};
use crate::clock::{Clock, Stopwatch};
use crate::counters::Stage;
use crate::log::{Commit, Failure, Outgoing, Producer, Ticket, TopicPartition};
use crate::offsets::Watermark;
use crate::wire::ledger::{self, LedgerEntry, LedgerRun, Superseding};
use crate::wire::{dead_letter, desk_log};
use crate::worker::Scanned;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use triage_engine::desk::SourceMark;
use triage_engine::model::{DeadLetterReason, Disposition, Millis, Position, Source, StreamId};
use triage_engine::policy::Generation;
use triage_engine::triage::{Decision, Event, ROUTE_NONE, Triage};

/// Where a triage shard's effects go.
#[derive(Debug, Clone)]
pub struct TriageTopics {
    /// The desk log.
    pub desks: Arc<str>,
    /// Dead letters; the partition is the input's, modulo its partitions.
    pub dead_letter: TopicPartition,
}

/// What the ledger holds for an offset that is not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obeyed {
    /// The entry.
    pub entry: LedgerEntry,
    /// The policy under which it was decided.
    pub generation: Generation,
    /// The shard's `now` of its run.
    pub now: Millis,
    /// Where in the ledger it lies.
    pub at: i64,
}

/// One input partition that is ours.
#[derive(Debug)]
pub struct TriageShard {
    pub(super) input: TopicPartition,
    pub(super) stream: StreamId,
    pub(super) engine: Triage,
    pub(super) watermark: Watermark,
    pub(super) committed: i64,
    pub(super) obeyed: BTreeMap<i64, Obeyed>,
    pub(super) ledger: LedgerTail,
    /// Requests that have ledger records whose effects may not be out, each with the first of these records.
    pub(super) owed: BTreeMap<Place, i64>,
    /// Whether the last commit's note says less than is done.
    pub(super) note_is_stale: bool,
    /// Records brought back whose effects went out since a commit last noted all of them: what a crash may repeat.
    pub(super) unnoted: u64,
    pub(super) runs: VecDeque<Run>,
    stop: Option<Stop>,
    /// The epoch of the newest policy switch whose place in the ledger is confirmed.
    adopted: i64,
    /// Counts since the lane last took them.
    pub counts: TriageCounts,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

impl TriageShard {
    /// A shard that goes on at `committed`.
    #[must_use]
    pub fn new(
        input: TopicPartition,
        stream: StreamId,
        engine: Triage,
        committed: i64,
        obeyed: BTreeMap<i64, Obeyed>,
        ledger: LedgerTail,
        owed: BTreeMap<Place, i64>,
    ) -> TriageShard {
        assert!(
            obeyed.keys().next().is_none_or(|&first| first >= committed),
            "what is committed is not obeyed again"
        );
        TriageShard {
            input,
            stream,
            engine,
            watermark: Watermark::new(committed),
            committed,
            obeyed,
            ledger,
            owed,
            note_is_stale: false,
            unnoted: 0,
            runs: VecDeque::new(),
            stop: None,
            adopted: i64::MIN,
            counts: TriageCounts::default(),
            events: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// The policy under which the record at `offset` was decided, if it was.
    #[must_use]
    pub fn decided_under(&self, offset: i64) -> Option<Generation> {
        self.obeyed.get(&offset).map(|obeyed| obeyed.generation)
    }

    /// Whether the ledger says that the record at `offset` kills the process: it must not be read again.
    #[must_use]
    pub fn is_known_killer(&self, offset: i64) -> bool {
        self.obeyed.get(&offset).is_some_and(|obeyed| {
            obeyed.entry.disposition == Disposition::DeadLetter
                && obeyed.entry.detail == u32::from(DeadLetterReason::Crashed.code())
        })
    }

    /// Decides a run in log order and writes it ahead.
    pub fn accept(&mut self, scanned: Scanned, plan_epoch: i64, wall: Millis, producer: &mut dyn Producer) {
        assert_eq!(scanned.partition, self.input, "a run goes to its own shard");
        let (Some(first), Some(last)) = (scanned.records.first(), scanned.records.last()) else { return };
        let deciding = Stopwatch::start();
        let id = self.watermark.open(first.offset, last.offset + 1);
        self.counts.received += scanned.records.len() as u64;
        // Entries of offsets that were never handed out again (compacted since) have nothing left to obey.
        let (first, last) = (first.offset, last.offset);
        let mut obeyed = self.take_obeyed(last);
        self.events.clear();
        let mut ledger_from = i64::MAX;
        for record in &scanned.records {
            self.events.push(match obeyed.get(&record.offset) {
                Some(known) => {
                    ledger_from = ledger_from.min(known.at);
                    let entry = &known.entry;
                    Event::Decided {
                        now: known.now,
                        key: entry.key,
                        decision: Decision {
                            disposition: entry.disposition,
                            detail: entry.detail,
                            desk: entry.desk,
                            queue: entry.queue,
                        },
                    }
                }
                None => Event::Record { at: record.timestamp.min(wall), verdict: record.verdict },
            });
        }
        let mut decisions = Vec::with_capacity(self.events.len());
        self.engine.step(&self.events, &mut decisions);
        obeyed.retain(|&offset, _| offset >= first);
        self.counts.obeyed += obeyed.len() as u64;
        let run = self.ledger_run(&scanned, &decisions, &obeyed, plan_epoch);
        let ahead = if run.entries.is_empty() { Ahead::Obeyed } else { self.write_ahead(&run, producer) };
        let bytes = scanned.bytes;
        self.counts.took(Stage::Decide, deciding.elapsed_us());
        self.runs.push_back(Run {
            id: Some(id),
            scanned: Some(scanned),
            decisions,
            expired: 0,
            release: None,
            plan_epoch,
            now: self.engine.now(),
            ledger: ahead,
            ledger_from,
            effects: None,
            bytes,
            since: Stopwatch::start(),
        });
    }

    fn take_obeyed(&mut self, last: i64) -> BTreeMap<i64, Obeyed> {
        let later = self.obeyed.split_off(&(last + 1));
        std::mem::replace(&mut self.obeyed, later)
    }

    fn ledger_run(
        &self,
        scanned: &Scanned,
        decisions: &[Decision],
        obeyed: &BTreeMap<i64, Obeyed>,
        plan_epoch: i64,
    ) -> LedgerRun {
        let entries = scanned
            .records
            .iter()
            .zip(decisions)
            .filter(|(record, _)| !obeyed.contains_key(&record.offset))
            .map(|(record, decision)| LedgerEntry {
                offset: record.offset,
                disposition: decision.disposition,
                detail: decision.detail,
                desk: decision.desk,
                queue: decision.queue,
                key: match record.verdict {
                    triage_engine::triage::Verdict::Mention { key, .. } => Some(key),
                    _ => None,
                },
            })
            .collect();
        LedgerRun {
            semantics: triage_engine::SEMANTICS,
            generation: scanned.policy.generation(),
            plan_epoch,
            now: self.engine.now(),
            expired: None,
            superseding: None,
            entries,
        }
    }

    pub(super) fn write_ahead(&mut self, run: &LedgerRun, producer: &mut dyn Producer) -> Ahead {
        self.buffer.clear();
        ledger::encode(run, &mut self.buffer);
        let mut out = Outgoing::default();
        out.push(None, Some(&self.buffer));
        let ticket = Arc::new(Ticket::new());
        if let Err(error) = producer.send(&self.ledger.partition, &out, &ticket) {
            self.stop_for(Stop::refused(&self.ledger.partition.topic, &error));
        }
        Ahead::Sent(ticket)
    }

    /// Records in the ledger, in its place among the runs, that from here on another policy is in force.
    pub fn adopt(&mut self, generation: Generation, plan_epoch: i64, producer: &mut dyn Producer) {
        self.mark(generation, plan_epoch, None, None, producer);
    }

    /// Ledgers the offsets `first..=last`, which retention took before they were read.
    pub fn expire(
        &mut self,
        generation: Generation,
        epoch: i64,
        span: (i64, i64),
        producer: &mut dyn Producer,
    ) {
        assert!(span.0 <= span.1, "a span that was lost holds at least one offset");
        self.mark(generation, epoch, Some(span), None, producer);
    }

    pub(super) fn mark(
        &mut self,
        generation: Generation,
        plan_epoch: i64,
        expired: Option<(i64, i64)>,
        superseding: Option<Superseding>,
        out: &mut dyn Producer,
    ) {
        let now = self.engine.now();
        let run = LedgerRun {
            semantics: triage_engine::SEMANTICS,
            generation,
            plan_epoch,
            now,
            expired,
            superseding,
            entries: vec![],
        };
        let ledger = self.write_ahead(&run, out);
        let id = expired.map(|(first, last)| self.watermark.open(first, last + 1));
        let lost = expired.map_or(0, |(first, last)| (last - first + 1) as u64);
        self.counts.received += lost;
        self.runs.push_back(Run {
            id,
            scanned: None,
            decisions: Vec::new(),
            expired: lost,
            release: superseding,
            plan_epoch: if superseding.is_some() { i64::MIN } else { plan_epoch },
            now,
            ledger,
            ledger_from: i64::MAX,
            effects: None,
            bytes: 0,
            since: Stopwatch::start(),
        });
    }

    /// Takes in what the broker has answered: confirms runs in order, produces their effects, settles them. `clock`
    /// tells only how old the records were by then.
    pub fn advance(&mut self, topics: &TriageTopics, clock: &dyn Clock, producer: &mut dyn Producer) {
        #[cfg(test)]
        if planted::is(Planted::LedgerAfterEffect) || planted::is(Planted::ReleaseAfterEffect) {
            self.act_before_the_ledger_answers(topics, producer);
        }
        for index in 0..self.runs.len() {
            if self.stop.as_ref().is_some_and(Stop::is_hard) || !self.confirm(index) {
                break;
            }
            if self.runs[index].effects.is_none() {
                self.act(index, topics, producer);
            }
        }
        self.settle(clock);
    }

    #[cfg(test)]
    fn act_before_the_ledger_answers(&mut self, topics: &TriageTopics, producer: &mut dyn Producer) {
        for index in 0..self.runs.len() {
            let planted = planted::is(Planted::LedgerAfterEffect) || self.runs[index].release.is_some();
            if self.runs[index].effects.is_none() && planted {
                self.act(index, topics, producer);
            }
        }
    }

    /// Whether the run at `index` is confirmed, all before it being so.
    fn confirm(&mut self, index: usize) -> bool {
        let run = &mut self.runs[index];
        let ticket = match &run.ledger {
            Ahead::Confirmed => return true,
            Ahead::Obeyed => {
                run.ledger = Ahead::Confirmed;
                return true;
            }
            Ahead::Sent(ticket) if !ticket.is_settled() => return false,
            Ahead::Sent(ticket) => ticket,
        };
        if let Some(failure) = ticket.failure() {
            let stop = Stop::Undelivered { topic: failure.topic.clone(), why: failure.why.clone() };
            self.stop_for(stop);
            return false;
        }
        let expected = ticket.offset_first() == Some(self.ledger.next);
        #[cfg(test)]
        let expected = expected || planted::is(Planted::ZombieObeyed);
        if !expected {
            self.stop_for(Stop::Conflict);
            return false;
        }
        self.ledger.mark(run.now, self.ledger.next);
        run.ledger_from = run.ledger_from.min(self.ledger.next);
        run.ledger = Ahead::Confirmed;
        self.ledger.next += 1;
        self.counts.ledger_records += 1;
        self.counts.took(Stage::Ledger, run.since.elapsed_us());
        self.adopted = self.adopted.max(run.plan_epoch);
        true
    }

    /// Produces every effect of the run at `index`.
    fn act(&mut self, index: usize, topics: &TriageTopics, producer: &mut dyn Producer) {
        if let Some(offset) = self.unreadable(index) {
            // The ledger says `queued`, and the mention cannot be read any more: somebody changed the field map.
            // Nothing is skipped and nothing decided again; the partition waits for the configuration to be mended.
            let why = format!("offset {offset} was queued, but cannot be read under this configuration");
            self.stop_for(Stop::Undelivered { topic: self.input.topic.to_string(), why });
            return;
        }
        let ticket = Arc::new(Ticket::new());
        for (to, out) in self.effects_of(&self.runs[index], topics) {
            if let Err(error) = producer.send(&to, &out, &ticket) {
                #[cfg(test)]
                if planted::is(Planted::RefusalForgotten) {
                    continue;
                }
                // The run has failed, whatever else of it succeeds.
                ticket.refuse(Failure { topic: to.topic.to_string(), why: error.to_string() });
                self.stop_for(Stop::refused(&to.topic, &error));
            }
        }
        let run = &mut self.runs[index];
        run.effects = Some(ticket);
        run.since = Stopwatch::start();
        if run.release.is_some() {
            self.unnoted += run.decisions.len() as u64;
        }
    }

    /// The first record of the run that is to be handed to a desk and has no bytes for it.
    fn unreadable(&self, index: usize) -> Option<i64> {
        let run = &self.runs[index];
        let scanned = run.scanned.as_ref()?;
        let found = run.decisions.iter().enumerate().position(|(index, decision)| {
            decision.disposition == Disposition::Queued && scanned.records[index].body.is_empty()
        });
        found.map(|found| scanned.records[found].offset)
    }

    /// What the run sends, by partition; for each partition in the order of the log.
    fn effects_of(&self, run: &Run, topics: &TriageTopics) -> Vec<(TopicPartition, Outgoing)> {
        let Some(scanned) = &run.scanned else { return Vec::new() };
        let mut desks: Vec<(u32, Outgoing)> = Vec::new();
        let mut dead = Outgoing::default();
        for (index, (record, decision)) in scanned.records.iter().zip(&run.decisions).enumerate() {
            let body = scanned.body(index);
            match decision.disposition {
                Disposition::Queued => {
                    assert!(!body.is_empty(), "invariant: `act` looked for every queued mention's bytes");
                    let to = scanned.policy.policy().desks()[usize::from(decision.desk)].log_partition;
                    let place = desks.iter().position(|(partition, _)| *partition == to);
                    let place = place.unwrap_or_else(|| {
                        let mut out = Outgoing::default();
                        let records = scanned.records.len() - index;
                        out.reserve(records, scanned.bodies.len() + records * desk_log::MARK_BYTES_MAX);
                        desks.push((to, out));
                        desks.len() - 1
                    });
                    let position = Position {
                        stream: self.stream,
                        partition: self.input.partition,
                        offset: record.offset,
                    };
                    let mark = match &run.release {
                        Some(of) => self.release_mark(of, record.offset),
                        None => {
                            SourceMark { source: Source { position, ordinal: 0 }, committed: self.committed }
                        }
                    };
                    let write = |value: &mut Vec<u8>| desk_log::encode_marked(Some(&mark), body, value);
                    desks[place].1.push_written(None, write, []);
                }
                // What was a dead letter and is one still has its record already.
                Disposition::DeadLetter if run.release.is_some() && body.is_empty() => {}
                Disposition::DeadLetter => dead_letter::push(&self.input, record.offset, body, &mut dead),
                Disposition::Joined
                | Disposition::Noise
                | Disposition::Blocked
                | Disposition::Duplicate
                | Disposition::Expired => {}
            }
        }
        let desk_log = |partition| TopicPartition { topic: topics.desks.clone(), partition };
        let mut effects: Vec<_> = desks.into_iter().map(|(to, out)| (desk_log(to), out)).collect();
        if !dead.is_empty() {
            effects.push((topics.dead_letter.clone(), dead));
        }
        effects
    }

    fn settle(&mut self, clock: &dyn Clock) {
        let mut stop = None;
        for run in &mut self.runs {
            let done = run.effects.as_ref().is_some_and(|ticket| ticket.is_settled());
            #[cfg(test)]
            let done =
                done && (matches!(run.ledger, Ahead::Confirmed) || !planted::is(Planted::LedgerAfterEffect));
            if !done {
                continue;
            }
            if let Some(failure) = run.effects.as_ref().and_then(|ticket| ticket.failure()) {
                stop = Some(Stop::Undelivered { topic: failure.topic.clone(), why: failure.why.clone() });
                continue;
            }
            let scanned = run.scanned.take();
            if run.release.take().is_some() {
                self.note_is_stale = true;
                for decision in &run.decisions {
                    self.counts.released[usize::from(decision.disposition.code())] += 1;
                }
            }
            if let Some(id) = run.id.take() {
                self.watermark.settle(id);
                self.counts.settled[usize::from(Disposition::Expired.code())] += run.expired;
                if let Some(scanned) = scanned {
                    let policy = scanned.policy.policy();
                    self.counts.settle(&scanned.records, &run.decisions, policy, clock.wall());
                    self.counts.took(Stage::Effects, run.since.elapsed_us());
                }
            }
        }
        while self.runs.front().is_some_and(Run::is_over) {
            self.runs.pop_front();
        }
        if let Some(stop) = stop {
            self.stop_for(stop);
        }
    }

    /// Retention has overtaken the reader: what is in flight is finished, then the shard is restored.
    pub fn overtaken(&mut self) {
        self.stop_for(Stop::Overtaken);
    }

    /// The first reason stays, but a hard one outranks a soft one.
    fn stop_for(&mut self, stop: Stop) {
        tracing::debug!(partition = %self.input, %stop, runs = self.runs.len(), "about to stop");
        if self.stop.as_ref().is_none_or(|known| stop.is_hard() && !known.is_hard()) {
            self.stop = Some(stop);
        }
    }

    /// Why the shard has stopped, once nothing that it sent is unanswered: it must then be restored.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stop> {
        self.stop.as_ref().filter(|stop| match stop.is_hard() {
            true => self.runs.iter().all(Run::is_answered),
            false => self.is_drained(),
        })
    }

    /// Whether the shard takes no more runs: it has stopped, or is about to.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Whether everything handed out is settled.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes that runs in flight hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.runs.iter().filter(|run| run.scanned.is_some()).map(|run| run.bytes).sum()
    }

    /// Records handed out and not settled.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.runs
            .iter()
            .filter(|run| run.id.is_some())
            .map(|run| run.decisions.len() as u64 + run.expired)
            .sum()
    }

    /// The offset and the time stamp of the oldest record that was decided and is not settled.
    #[must_use]
    pub fn oldest_unsettled(&self) -> Option<(i64, Millis)> {
        let scanned = self.runs.iter().filter(|run| run.id.is_some()).find_map(|run| run.scanned.as_ref())?;
        scanned.records.first().map(|record| (record.offset, record.timestamp))
    }

    /// Every record below this offset is settled.
    #[must_use]
    pub fn settled_offset(&self) -> i64 {
        self.watermark.settled()
    }

    /// The epoch of the newest policy switch whose place in the ledger is confirmed; `i64::MIN` before the first.
    #[must_use]
    pub fn adopted(&self) -> i64 {
        self.adopted
    }

    /// What may be committed now, if that is more than what is.
    #[must_use]
    pub fn commit(&self) -> Option<Commit> {
        let offset = self.watermark.settled();
        #[cfg(test)]
        let offset = if planted::is(Planted::CommitPastGap) { self.watermark.next() } else { offset };
        (offset > self.committed || self.note_is_stale).then(|| Commit { offset, metadata: self.note() })
    }

    /// Where in the ledger a new owner must begin to read, as of now.
    fn note(&self) -> String {
        let runs = self.runs.iter().map(|run| run.ledger_from);
        let obeyed = self.obeyed.values().map(|obeyed| obeyed.at);
        let open = runs.chain(obeyed).chain(self.owed.values().copied()).min();
        let open = open.unwrap_or(self.ledger.next).min(self.ledger.next);
        LedgerNote { open, window: self.ledger.window_from() }.to_text()
    }

    /// The broker has acknowledged this commit.
    pub fn committed(&mut self, commit: &Commit) {
        assert!(commit.offset >= self.committed, "a committed offset never goes back");
        self.committed = commit.offset;
        // What was done while the commit was under way is not in its note.
        self.note_is_stale &= self.note() != commit.metadata;
        let is_open = self.note_is_stale || self.runs.iter().any(|run| run.release.is_some());
        if self.owed.is_empty() && !is_open {
            self.unnoted = 0;
        }
    }

    /// The committed offset, as the broker has acknowledged it.
    #[must_use]
    pub fn committed_offset(&self) -> i64 {
        self.committed
    }

    /// The shard's partition.
    #[must_use]
    pub fn input(&self) -> &TopicPartition {
        &self.input
    }

    /// The engine, for its gauges.
    #[must_use]
    pub fn engine(&self) -> &Triage {
        &self.engine
    }
}

// A decision without a route is written with the ledger's own word for none.
const _: () = assert!(ROUTE_NONE == ledger::NONE);

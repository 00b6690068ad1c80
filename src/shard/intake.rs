//! One partition of the helpdesk's events: re-keys each to the desk log that owns its case.
//!
//! Owns nothing but a watermark: where an event goes follows from the case id in it, so a crash changes nothing,
//! and the desk's seen-set recognises what is sent twice. Called by `desk_lane`.

use super::Stop;
use crate::log::{Commit, Outgoing, Producer, Records, Ticket, TopicPartition};
use crate::offsets::{RunId, Watermark};
use crate::wire::{dead_letter, desk_log, helpdesk_event};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use triage_engine::desk::SourceMark;
use triage_engine::model::{EventDisposition, Position, Source, StreamId};

/// Where intake sends what it reads.
#[derive(Debug, Clone)]
pub struct IntakeTopics {
    /// The desk log and how many partitions it has.
    pub desks: (Arc<str>, u32),
    /// Dead letters.
    pub dead_letter: TopicPartition,
}

/// One partition of the helpdesk's events that is ours.
pub struct IntakeShard {
    input: TopicPartition,
    stream: StreamId,
    watermark: Watermark,
    committed: i64,
    runs: VecDeque<(RunId, u64, usize, Arc<Ticket>)>,
    stop: Option<Stop>,
    /// Events that end here, by disposition; the others are counted by the desk.
    pub counts: BTreeMap<EventDisposition, u64>,
    /// Records handed out by the log.
    pub received: u64,
}

impl IntakeShard {
    /// A shard that goes on at `committed`.
    #[must_use]
    pub fn new(input: TopicPartition, stream: StreamId, committed: i64) -> IntakeShard {
        IntakeShard {
            input,
            stream,
            watermark: Watermark::new(committed),
            committed,
            runs: VecDeque::new(),
            stop: None,
            counts: BTreeMap::new(),
            received: 0,
        }
    }

    /// Sends each event to its desk log.
    pub fn accept(&mut self, records: &Records, topics: &IntakeTopics, producer: &mut dyn Producer) {
        let Some((first, last)) = records.span() else { return };
        let id = self.watermark.open(first, last + 1);
        self.received += records.len() as u64;
        let mut out: BTreeMap<TopicPartition, Outgoing> = BTreeMap::new();
        let mut value = Vec::new();
        for record in records.iter() {
            let ended = match helpdesk_event::read(record.value) {
                helpdesk_event::Read::Event { case, event } if case.partition < topics.desks.1 => {
                    let to = TopicPartition { topic: topics.desks.0.clone(), partition: case.partition };
                    let position = Position {
                        stream: self.stream,
                        partition: self.input.partition,
                        offset: record.offset,
                    };
                    let mark =
                        SourceMark { source: Source { position, ordinal: 0 }, committed: self.committed };
                    value.clear();
                    desk_log::encode(Some(&mark), &event.as_event(case), &mut value);
                    out.entry(to).or_default().push(None, Some(&value));
                    continue;
                }
                helpdesk_event::Read::Event { .. } => EventDisposition::UnknownCase,
                helpdesk_event::Read::Ignored => EventDisposition::Ignored,
                helpdesk_event::Read::DeadLetter(reason) => {
                    value.clear();
                    dead_letter::write(&self.input, record.offset, record.value, reason, &mut value);
                    let out = out.entry(topics.dead_letter.clone()).or_default();
                    dead_letter::push(&self.input, record.offset, &value, out);
                    EventDisposition::DeadLetter
                }
            };
            *self.counts.entry(ended).or_default() += 1;
        }
        let ticket = Arc::new(Ticket::new());
        for (to, batch) in out {
            if let Err(error) = producer.send(&to, &batch, &ticket) {
                let stop = Stop::Undelivered { topic: to.topic.to_string(), why: error.to_string() };
                self.stop.get_or_insert(stop);
            }
        }
        self.runs.push_back((id, records.len() as u64, records.bytes(), ticket));
    }

    /// Takes in what the broker has answered.
    pub fn advance(&mut self) {
        let mut kept = VecDeque::with_capacity(self.runs.len());
        for run in self.runs.drain(..) {
            if !run.3.is_settled() {
                kept.push_back(run);
            } else if let Some(failure) = run.3.failure() {
                let stop = Stop::Undelivered { topic: failure.topic.clone(), why: failure.why.clone() };
                self.stop.get_or_insert(stop);
                kept.push_back(run);
            } else {
                self.watermark.settle(run.0);
            }
        }
        self.runs = kept;
    }

    /// Why the shard has stopped, once nothing that it sent is unanswered.
    #[must_use]
    pub fn stopped(&self) -> Option<&Stop> {
        self.stop
            .as_ref()
            .filter(|_| self.runs.iter().all(|run| run.3.is_settled() && run.3.failure().is_some()))
    }

    /// Whether it takes no more records.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// Retention has overtaken the reader.
    pub fn overtaken(&mut self) {
        self.stop.get_or_insert(Stop::Overtaken);
    }

    /// Whether all that it took is settled.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes held for runs in flight.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.runs.iter().map(|run| run.2).sum()
    }

    /// Records taken and not settled.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.runs.iter().map(|run| run.1).sum()
    }

    /// What may be committed now, if that is more than what is.
    #[must_use]
    pub fn commit(&self) -> Option<Commit> {
        let offset = self.watermark.settled();
        (offset > self.committed).then(|| Commit { offset, metadata: String::new() })
    }

    /// The broker has acknowledged the commit of `offset`.
    pub fn committed(&mut self, offset: i64) {
        assert!(offset >= self.committed, "a committed offset never goes back");
        self.committed = offset;
    }

    /// The committed offset, as the broker has acknowledged it.
    #[must_use]
    pub fn committed_offset(&self) -> i64 {
        self.committed
    }
}

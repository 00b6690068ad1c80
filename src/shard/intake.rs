//! One partition of the helpdesk's events: re-keys each to the desk log that owns its case.
//!
//! Owns nothing but a watermark: where an event goes follows from the case id in it, so a crash changes nothing,
//! and the desk's seen-set recognises what is sent twice. Called by `desk_lane`.

use super::runs::Runs;
use crate::log::{Outgoing, Producer, Records, Ticket, TopicPartition};
use crate::wire::{dead_letter, desk_log, helpdesk_event};
use std::collections::BTreeMap;

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
    /// What is in flight.
    pub runs: Runs,
    /// Events that end here, by disposition; the others are counted by the desk.
    pub counts: BTreeMap<EventDisposition, u64>,
    /// Records handed out by the log.
    pub received: u64,
}

impl IntakeShard {
    /// A shard that goes on at `committed`.
    #[must_use]
    pub fn new(input: TopicPartition, stream: StreamId, committed: i64) -> IntakeShard {
        IntakeShard { input, stream, runs: Runs::new(committed), counts: BTreeMap::new(), received: 0 }
    }

    /// Sends each event to its desk log.
    pub fn accept(&mut self, records: &Records, topics: &IntakeTopics, producer: &mut dyn Producer) {
        if records.is_empty() {
            return;
        }
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
                    let mark = SourceMark {
                        source: Source { position, ordinal: 0 },
                        committed: self.runs.committed_offset(),
                    };
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
                self.runs.refused(&ticket, &to.topic, &error);
            }
        }
        self.runs.open(records, &ticket);
    }
}

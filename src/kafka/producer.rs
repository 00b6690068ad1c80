//! A producer that never gives up, and the thread that settles its tickets.
//!
//! Owns one client, its cached topic handles, its report thread, and what the client had no room for: that waits here
//! in order, so that no send ever waits for the broker. Records without headers go out by the batch call, others one by
//! one. Dropping a producer throws away what is not answered yet (its tickets fail): flush first. Called by the lanes
//! through `log::Producer`.

use super::answers::{log_error, standing_error};
use super::brokers::look_after;
use super::ffi::{
    About, Client, ClientError, Code, Event, Kind, ProduceSlots, Queue, Run, Sending, TopicHandle, pieces,
};
use super::{CLOSE_WAIT, Deadline, KafkaSettings, close_beside};
use crate::log::{Failure, LogError, Outgoing, OutgoingRecord, Producer, Ticket, TopicPartition};
use std::collections::{BTreeMap, VecDeque, btree_map};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Most records in one batch call.
const PIECE: usize = 4096;

/// How long a flush waits for the client before it hands over more of what had no room.
const HAND_OVER_EVERY: Duration = Duration::from_millis(20);

/// How long the report thread waits for the next report; also how soon it hears that it must stop.
const REPORT_WAIT: Duration = Duration::from_millis(50);

/// A producer on Apache Kafka.
#[derive(Debug)]
pub(super) struct KafkaProducer {
    // `None` only while dropping.
    client: Option<Arc<Client>>,
    bootstrap: String,
    topics: BTreeMap<Arc<str>, Arc<TopicHandle>>,
    room: Room,
    /// What the client had no room for, in the order in which it was sent.
    waiting: VecDeque<Waiting>,
    closing: Arc<AtomicBool>,
    reports: Option<JoinHandle<()>>,
}

/// Buffers kept between sends.
#[derive(Debug, Default)]
struct Room {
    slots: ProduceSlots,
    codes: Vec<Code>,
}

/// The rest of a send that the client had no room for.
#[derive(Debug)]
struct Waiting {
    sending: Sending,
    records: Outgoing,
    /// The first record that the client has not taken.
    at: usize,
    topic: Arc<str>,
    ticket: Arc<Ticket>,
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        for left in self.waiting.drain(..) {
            let why = "the producer was closed before it was sent".to_owned();
            let records = (left.records.len() - left.at) as u32;
            left.ticket.fail(records, Failure { topic: left.topic.to_string(), why });
        }
        self.topics.clear();
        self.closing.store(true, Ordering::Release);
        let (client, reports) = (self.client.take(), self.reports.take());
        close_beside("a producer", move || {
            if let Some(client) = &client {
                client.purge();
            }
            if let Some(reports) = reports {
                let _ = reports.join();
            }
            drop(client);
        });
    }
}

impl KafkaProducer {
    /// A producer whose client id ends in `name`.
    ///
    /// # Errors
    /// When the client or its report thread cannot be made.
    pub(super) fn open(settings: &KafkaSettings, name: &str) -> Result<KafkaProducer, LogError> {
        let properties = settings.producer_properties(name);
        let client =
            Client::new(Kind::Producer, &properties, &settings.secrets, Event::DELIVERIES | Event::ERRORS)
                .map_err(|error| log_error(&error, name))?;
        let closing = Arc::new(AtomicBool::new(false));
        let (queue, stop, of) = (Queue::main(&client), Arc::clone(&closing), Arc::clone(&client));
        let reports = std::thread::Builder::new()
            .name(format!("report-{name}"))
            .spawn(move || serve_reports(&of, &queue, &stop))
            .map_err(|error| LogError::Fatal(format!("no thread for delivery reports: {error}")))?;
        Ok(KafkaProducer {
            client: Some(client),
            bootstrap: settings.bootstrap.clone(),
            topics: BTreeMap::new(),
            room: Room::default(),
            waiting: VecDeque::new(),
            closing,
            reports: Some(reports),
        })
    }
}

/// Settles tickets until the producer closes and nothing is out.
fn serve_reports(client: &Client, queue: &Queue, closing: &AtomicBool) {
    let mut deadline = None;
    loop {
        if closing.load(Ordering::Acquire) {
            let deadline = deadline.get_or_insert_with(|| Deadline::after(CLOSE_WAIT));
            if client.outstanding() == 0 || deadline.has_passed() {
                return;
            }
        }
        let Some(mut event) = queue.event(REPORT_WAIT) else { continue };
        match event.about() {
            About::Delivery => event.each_run(settle),
            About::Error => {
                let error = event.error().and_then(|error| standing_error(&error, "a producer"));
                match error {
                    None => {}
                    // The lane meets the same, and the process tells of it.
                    Some(LogError::Away(why)) => tracing::debug!("producing: the broker is away: {why}"),
                    Some(error) => tracing::warn!("producing: {error}"),
                }
            }
            _ => {}
        }
    }
}

fn settle(run: &Run<'_>) {
    match run.code {
        Code::NoError => run.ticket.settle(run.records, run.offset_first),
        code => run.ticket.fail(run.records, Failure { topic: run.topic(), why: code.to_string() }),
    }
}

/// What came of enqueuing the records of one send.
#[derive(Debug, Default)]
struct Outcome {
    /// How many the client has taken or refused; it had no room for the others.
    done: usize,
    refused: u32,
    why: Option<Code>,
}

impl Outcome {
    fn refuse(&mut self, code: Code) {
        self.refused += 1;
        self.why.get_or_insert(code);
    }
}

impl Room {
    fn enqueue(&mut self, sending: &mut Sending, records: &Outgoing, from: usize) -> Outcome {
        let pieces = pieces(records);
        match records.is_headerless() {
            true => self.enqueue_batches(sending, &pieces[from..]),
            false => enqueue_one_by_one(sending, &pieces[from..]),
        }
    }

    fn enqueue_batches(&mut self, sending: &mut Sending, records: &[OutgoingRecord<'_>]) -> Outcome {
        let mut outcome = Outcome::default();
        while outcome.done < records.len() {
            let piece = &records[outcome.done..records.len().min(outcome.done + PIECE)];
            self.codes.clear();
            sending.batch(piece, &mut self.slots, &mut self.codes);
            // Once the buffer is full the library refuses all that follows, so that order is kept.
            let full = self.codes.iter().position(|code| *code == Code::QueueFull).unwrap_or(piece.len());
            for code in self.codes[..full].iter().filter(|code| **code != Code::NoError) {
                outcome.refuse(*code);
            }
            outcome.done += full;
            if full < piece.len() {
                break;
            }
        }
        outcome
    }
}

fn enqueue_one_by_one(sending: &mut Sending, records: &[OutgoingRecord<'_>]) -> Outcome {
    let mut outcome = Outcome::default();
    for record in records {
        match sending.single(*record) {
            Code::NoError => {}
            Code::QueueFull => break,
            code => outcome.refuse(code),
        }
        outcome.done += 1;
    }
    outcome
}

impl KafkaProducer {
    fn topic(&mut self, name: &Arc<str>) -> Result<Arc<TopicHandle>, LogError> {
        let client = self.client.as_ref().expect("invariant: the client goes with the producer");
        if self.topics.is_empty() {
            look_after(client, &self.bootstrap, name);
        }
        match self.topics.entry(Arc::clone(name)) {
            btree_map::Entry::Occupied(entry) => Ok(Arc::clone(entry.get())),
            btree_map::Entry::Vacant(entry) => {
                let topic = client.topic(name).map_err(|error| log_error(&error, name))?;
                Ok(Arc::clone(entry.insert(Arc::new(topic))))
            }
        }
    }

    /// Hands over what waits, as far as the client has room by now.
    fn hand_over(&mut self) {
        while let Some(first) = self.waiting.front_mut() {
            let outcome = self.room.enqueue(&mut first.sending, &first.records, first.at);
            first.at += outcome.done;
            if let Some(code) = outcome.why {
                let failure = Failure { topic: first.topic.to_string(), why: code.to_string() };
                first.ticket.fail(outcome.refused, failure);
            }
            if first.at < first.records.len() {
                return;
            }
            self.waiting.pop_front();
        }
    }
}

impl Producer for KafkaProducer {
    fn send(
        &mut self,
        to: &TopicPartition,
        records: &Outgoing,
        ticket: &Arc<Ticket>,
    ) -> Result<(), LogError> {
        let client = self.client.as_ref().expect("invariant: the client goes with the producer");
        if let Some(fatal) = client.fatal() {
            return Err(log_error(&fatal, &to.topic));
        }
        if records.is_empty() {
            return Ok(());
        }
        let total =
            u32::try_from(records.len()).map_err(|_| LogError::Fatal("a send of 2^32 records".to_owned()))?;
        let topic = self.topic(&to.topic)?;
        self.hand_over();
        let mut sending = Sending::open(&topic, to.partition, ticket, total);
        // What was sent before goes before: while anything waits, all that follows waits behind it.
        let outcome = match self.waiting.is_empty() {
            true => self.room.enqueue(&mut sending, records, 0),
            false => Outcome::default(),
        };
        if let Some(code) = outcome.why {
            if outcome.refused == total {
                // Nothing went out, so the ticket is as it was before.
                ticket.settle(total, None);
                let client = self.client.as_ref().expect("invariant: the client goes with the producer");
                let error = client.fatal().unwrap_or_else(|| ClientError::new(code, code.to_string()));
                return Err(log_error(&error, &to.topic));
            }
            ticket.fail(outcome.refused, Failure { topic: to.topic.to_string(), why: code.to_string() });
        }
        if outcome.done < records.len() {
            if self.waiting.is_empty() {
                let records = records.len() - outcome.done;
                tracing::debug!(topic = %to.topic, records, "the client's buffer is full: these wait, and what follows them");
            }
            let (topic, ticket, at) = (Arc::clone(&to.topic), Arc::clone(ticket), outcome.done);
            self.waiting.push_back(Waiting { sending, records: records.clone(), at, topic, ticket });
        }
        Ok(())
    }

    fn has_room(&mut self) -> bool {
        self.hand_over();
        self.waiting.is_empty()
    }

    fn health(&self) -> Result<(), LogError> {
        let client = self.client.as_ref().expect("invariant: the client goes with the producer");
        match client.fatal() {
            Some(fatal) => Err(LogError::Fatal(format!("the producer cannot go on: {}", fatal.text))),
            None => Ok(()),
        }
    }

    fn flush(&mut self, wait: Duration) -> bool {
        let deadline = Deadline::after(wait);
        loop {
            let all_handed_over = self.has_room();
            let client = self.client.as_ref().expect("invariant: the client goes with the producer");
            let wait = if all_handed_over { deadline.left() } else { deadline.left().min(HAND_OVER_EVERY) };
            let answered = client.flush(wait);
            if all_handed_over || deadline.has_passed() {
                return answered && all_handed_over;
            }
        }
    }
}

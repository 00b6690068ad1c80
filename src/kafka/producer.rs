//! A producer that never gives up, and the thread that settles its tickets.
//!
//! Owns one client, its cached topic handles and its report thread. Records without headers go out by the batch call,
//! others one by one. Dropping a producer throws away what is not answered yet (its tickets fail): flush first.
//! Called by the lanes through `log::Producer`.

use super::answers::{log_error, standing_error};
use super::ffi::{
    About, Client, ClientError, Code, Event, Kind, ProduceSlots, Queue, Run, Sending, TopicHandle, pieces,
};
use super::{CLOSE_WAIT, Deadline, KafkaSettings, close_beside};
use crate::log::{Failure, LogError, Outgoing, OutgoingRecord, Producer, Ticket, TopicPartition};
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Most records in one batch call.
const PIECE: usize = 4096;

/// How long a send sleeps while the client's buffer is full.
const BUFFER_FULL: Duration = Duration::from_millis(1);

/// How long the report thread waits for the next report; also how soon it hears that it must stop.
const REPORT_WAIT: Duration = Duration::from_millis(50);

/// A producer on Apache Kafka.
#[derive(Debug)]
pub(super) struct KafkaProducer {
    // `None` only while dropping.
    client: Option<Arc<Client>>,
    topics: BTreeMap<Arc<str>, TopicHandle>,
    room: Room,
    closing: Arc<AtomicBool>,
    reports: Option<JoinHandle<()>>,
}

/// Buffers kept between sends.
#[derive(Debug, Default)]
struct Room {
    slots: ProduceSlots,
    codes: Vec<Code>,
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
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
            topics: BTreeMap::new(),
            room: Room::default(),
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
                if let Some(error) = error {
                    tracing::warn!("producing: {error}");
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

/// What came of enqueuing one send.
#[derive(Debug, Default)]
struct Outcome {
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
    fn enqueue_batches(&mut self, sending: &mut Sending<'_>, records: &[OutgoingRecord<'_>]) -> Outcome {
        let mut outcome = Outcome::default();
        let mut at = 0;
        while at < records.len() {
            let piece = &records[at..records.len().min(at + PIECE)];
            self.codes.clear();
            sending.batch(piece, &mut self.slots, &mut self.codes);
            // Once the buffer is full the library refuses all that follows, so that order is kept.
            let full = self.codes.iter().position(|code| *code == Code::QueueFull).unwrap_or(piece.len());
            for code in self.codes[..full].iter().filter(|code| **code != Code::NoError) {
                outcome.refuse(*code);
            }
            at += full;
            if full < piece.len() {
                std::thread::sleep(BUFFER_FULL);
            }
        }
        outcome
    }
}

fn enqueue_one_by_one(sending: &mut Sending<'_>, records: &[OutgoingRecord<'_>]) -> Outcome {
    let mut outcome = Outcome::default();
    for record in records {
        loop {
            match sending.single(*record) {
                Code::NoError => break,
                Code::QueueFull => std::thread::sleep(BUFFER_FULL),
                code => {
                    outcome.refuse(code);
                    break;
                }
            }
        }
    }
    outcome
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
        let topic = match self.topics.entry(Arc::clone(&to.topic)) {
            btree_map::Entry::Occupied(entry) => entry.into_mut(),
            btree_map::Entry::Vacant(entry) => {
                entry.insert(client.topic(&to.topic).map_err(|error| log_error(&error, &to.topic))?)
            }
        };
        let total =
            u32::try_from(records.len()).map_err(|_| LogError::Fatal("a send of 2^32 records".to_owned()))?;
        let pieces = pieces(records);
        let mut sending = Sending::open(topic, to.partition, ticket, total);
        let outcome = match records.is_headerless() {
            true => self.room.enqueue_batches(&mut sending, &pieces),
            false => enqueue_one_by_one(&mut sending, &pieces),
        };
        drop(sending);
        let Some(code) = outcome.why else { return Ok(()) };
        if outcome.refused == total {
            // Nothing went out, so the ticket is as it was before.
            ticket.settle(total, None);
            let error = client.fatal().unwrap_or_else(|| ClientError::new(code, code.to_string()));
            return Err(log_error(&error, &to.topic));
        }
        ticket.fail(outcome.refused, Failure { topic: to.topic.to_string(), why: code.to_string() });
        Ok(())
    }

    fn health(&self) -> Result<(), LogError> {
        let client = self.client.as_ref().expect("invariant: the client goes with the producer");
        match client.fatal() {
            Some(fatal) => Err(LogError::Fatal(format!("the producer cannot go on: {}", fatal.text))),
            None => Ok(()),
        }
    }

    fn flush(&mut self, wait: Duration) -> bool {
        self.client.as_ref().expect("invariant: the client goes with the producer").flush(wait)
    }
}

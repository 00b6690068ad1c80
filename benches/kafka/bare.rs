//! The rulers: bare programs on the client library's C interface that move the bytes that triaged moves, and decide nothing.
//!
//! Owns one loop, `Lane`: consume a batch, copy it, produce batches, store the offsets once everything is delivered.
//! With `write_ahead_wait` a run's outputs go out only when its ledger record is acknowledged, as triaged's do. One lane
//! is the bare consume-and-produce program, two lanes in a row are the bare relay. Client properties are the daemon's.

use rdkafka_sys as sys;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use triaged::kafka::KafkaSettings;

/// Messages of one batch call; the daemon's client takes as many.
const BATCH: usize = 2_048;

/// One hop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lane {
    pub bootstrap: String,
    pub group: String,
    pub input: (String, u32),
    /// Bytes at the start of each message that are not passed on.
    pub strip: usize,
    /// A topic that gets one record for each run of messages of one partition, and its bytes for each message.
    pub write_ahead: Option<(String, f64)>,
    /// Whether outputs wait for the acknowledgement of that record.
    pub write_ahead_wait: bool,
    pub outputs: Vec<Output>,
}

/// Where messages are passed on to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Output {
    pub topic: String,
    pub partitions: u32,
    /// Of a thousand messages, how many are passed on.
    pub permille: u64,
    /// Bytes written before each message.
    pub extra: usize,
    pub headers: Vec<(String, String)>,
}

/// Runs these lanes, a thread each, until the process is ended.
pub fn run(lanes: Vec<Lane>) -> ! {
    let threads: Vec<_> =
        lanes.into_iter().map(|lane| std::thread::spawn(move || Hop::new(lane).run())).collect();
    for thread in threads {
        let _ = thread.join();
    }
    panic!("a lane ended");
}

struct Ticket(AtomicU32);

/// Consecutive messages of one partition on their way.
struct Run {
    partition: i32,
    last: i64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    ledger: Arc<Ticket>,
    effects: Option<Arc<Ticket>>,
}

struct Hop {
    lane: Lane,
    producer: *mut sys::rd_kafka_t,
    queue: *mut sys::rd_kafka_queue_t,
    input: *mut sys::rd_kafka_topic_t,
    ledger: *mut sys::rd_kafka_topic_t,
    outputs: Vec<*mut sys::rd_kafka_topic_t>,
    runs: VecDeque<Run>,
    passed: u64,
    filler: Vec<u8>,
}

fn text(text: &str) -> CString {
    CString::new(text).expect("no NUL in a name")
}

fn client(
    kind: sys::rd_kafka_type_t,
    properties: Vec<(String, String)>,
    events: c_int,
) -> *mut sys::rd_kafka_t {
    let mut why = [0 as c_char; 512];
    // SAFETY: strings live during the calls; the configuration is the client's once it is made.
    unsafe {
        let conf = sys::rd_kafka_conf_new();
        for (name, value) in properties {
            let (name, value) = (text(&name), text(&value));
            sys::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), why.as_mut_ptr(), why.len());
        }
        sys::rd_kafka_conf_set_events(conf, events);
        let client = sys::rd_kafka_new(kind, conf, why.as_mut_ptr(), why.len());
        assert!(!client.is_null(), "no client: {}", std::ffi::CStr::from_ptr(why.as_ptr()).to_string_lossy());
        client
    }
}

fn topic(client: *mut sys::rd_kafka_t, name: &str) -> *mut sys::rd_kafka_topic_t {
    let name = text(name);
    // SAFETY: the client lives as long as the process; a null configuration means the client's own.
    let topic = unsafe { sys::rd_kafka_topic_new(client, name.as_ptr(), ptr::null_mut()) };
    assert!(!topic.is_null(), "no topic");
    topic
}

impl Hop {
    fn new(lane: Lane) -> Hop {
        let settings = KafkaSettings::new(&lane.bootstrap);
        let mut reading = settings.consumer_properties(&lane.group, None);
        let own = [
            ("enable.partition.eof", "false"),
            ("enable.auto.commit", "true"),
            ("auto.commit.interval.ms", "1000"),
        ];
        reading.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let consumer = client(sys::rd_kafka_type_t::RD_KAFKA_CONSUMER, reading, 0);
        let writing = settings.producer_properties("bare");
        let producer =
            client(sys::rd_kafka_type_t::RD_KAFKA_PRODUCER, writing, sys::RD_KAFKA_EVENT_DR as c_int);
        let reporting = producer as usize;
        std::thread::spawn(move || serve_reports(reporting as *mut sys::rd_kafka_t));
        // SAFETY: clients live as long as the process; lists and queues are used while they live.
        let queue = unsafe {
            sys::rd_kafka_poll_set_consumer(consumer);
            let queue = sys::rd_kafka_queue_new(consumer);
            let list = sys::rd_kafka_topic_partition_list_new(8);
            let name = text(&lane.input.0);
            for partition in 0..lane.input.1 as i32 {
                let own = sys::rd_kafka_queue_get_partition(consumer, name.as_ptr(), partition);
                sys::rd_kafka_queue_forward(own, queue);
                let entry = sys::rd_kafka_topic_partition_list_add(list, name.as_ptr(), partition);
                (*entry).offset = sys::RD_KAFKA_OFFSET_BEGINNING.into();
            }
            let answer = sys::rd_kafka_assign(consumer, list);
            assert_eq!(answer, sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR, "the input is assigned");
            queue
        };
        let ledger = lane.write_ahead.as_ref().map_or(ptr::null_mut(), |(name, _)| topic(producer, name));
        let outputs = lane.outputs.iter().map(|output| topic(producer, &output.topic)).collect();
        let room = lane.outputs.iter().map(|output| output.extra).max().unwrap_or(0).max(64 * 1024);
        let filler = (0..room).map(|index| (index * 7 + index / 13) as u8).collect();
        let input = topic(consumer, &lane.input.0);
        Hop { lane, producer, queue, input, ledger, outputs, runs: VecDeque::new(), passed: 0, filler }
    }

    fn run(mut self) {
        let mut slots = vec![ptr::null_mut::<sys::rd_kafka_message_t>(); BATCH];
        loop {
            let mut taken = self.consume(&mut slots, BATCH, 0);
            if taken == 0 {
                taken = self.consume(&mut slots, 1, if self.runs.is_empty() { 10 } else { 1 });
            }
            self.copy(&slots[..taken]);
            for slot in &slots[..taken] {
                // SAFETY: each slot holds a live message of ours, given back once.
                unsafe { sys::rd_kafka_message_destroy(*slot) };
            }
            self.pass_on();
            self.settle();
        }
    }

    fn consume(&self, slots: &mut [*mut sys::rd_kafka_message_t], most: usize, wait_ms: c_int) -> usize {
        // SAFETY: queue and array live; at most `most` slots are filled with messages that are then ours.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue, wait_ms, slots.as_mut_ptr(), most) };
        usize::try_from(taken).unwrap_or(0)
    }

    /// Copies what was fetched, a run for each stretch of one partition, and writes ahead.
    fn copy(&mut self, slots: &[*mut sys::rd_kafka_message_t]) {
        let mut new: Vec<Run> = Vec::new();
        for &slot in slots {
            // SAFETY: the slot holds a live message; payload and length describe bytes that live as long.
            let (message, payload) = unsafe {
                let message = &*slot;
                if message.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    continue;
                }
                (message, std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len))
            };
            if new.last().is_none_or(|run| run.partition != message.partition) {
                new.push(Run {
                    partition: message.partition,
                    last: 0,
                    bytes: Vec::new(),
                    ends: Vec::new(),
                    ledger: Arc::new(Ticket(AtomicU32::new(0))),
                    effects: None,
                });
            }
            let run = new.last_mut().expect("just pushed");
            run.last = message.offset;
            run.bytes.extend_from_slice(&payload[self.lane.strip.min(payload.len())..]);
            run.ends.push(run.bytes.len());
        }
        for run in new {
            if let Some((_, bytes)) = &self.lane.write_ahead {
                let length = ((run.ends.len() as f64 * bytes) as usize).min(self.filler.len());
                let record = [(&self.filler[..length], run.partition)];
                self.produce(self.ledger, &record, &run.ledger);
            }
            self.runs.push_back(run);
        }
    }

    fn pass_on(&mut self) {
        for index in 0..self.runs.len() {
            let run = &self.runs[index];
            if run.effects.is_some() {
                continue;
            }
            if self.lane.write_ahead_wait && run.ledger.0.load(Ordering::Acquire) > 0 {
                break;
            }
            let ticket = Arc::new(Ticket(AtomicU32::new(0)));
            let mut passed = self.passed;
            for (number, output) in self.lane.outputs.iter().enumerate() {
                passed = self.passed;
                let mut bytes = Vec::new();
                let mut ends = Vec::new();
                let mut from = 0;
                for &end in &run.ends {
                    let due = (passed + 1) * output.permille / 1_000 > passed * output.permille / 1_000;
                    passed += 1;
                    if due {
                        bytes.extend_from_slice(&self.filler[..output.extra]);
                        bytes.extend_from_slice(&run.bytes[from..end]);
                        ends.push(bytes.len());
                    }
                    from = end;
                }
                let to = run.partition % output.partitions as i32;
                let starts = std::iter::once(0).chain(ends.iter().copied());
                let records: Vec<(&[u8], i32)> =
                    starts.zip(&ends).map(|(start, &end)| (&bytes[start..end], to)).collect();
                if output.headers.is_empty() {
                    self.produce(self.outputs[number], &records, &ticket);
                } else {
                    self.produce_with_headers(self.outputs[number], &records, &output.headers, &ticket);
                }
            }
            self.passed = passed;
            self.runs[index].effects = Some(ticket);
            self.runs[index].bytes = Vec::new();
        }
    }

    fn settle(&mut self) {
        while let Some(run) = self.runs.front() {
            let open = |ticket: &Ticket| ticket.0.load(Ordering::Acquire) > 0;
            if open(&run.ledger) || run.effects.as_ref().is_none_or(|ticket| open(ticket)) {
                break;
            }
            // SAFETY: the topic handle lives as long as the process.
            unsafe { sys::rd_kafka_offset_store(self.input, run.partition, run.last) };
            self.runs.pop_front();
        }
    }

    fn produce(&self, topic: *mut sys::rd_kafka_topic_t, records: &[(&[u8], i32)], ticket: &Arc<Ticket>) {
        let Some(&(_, partition)) = records.first() else { return };
        ticket.0.fetch_add(records.len() as u32, Ordering::Relaxed);
        let mut slots: Vec<sys::rd_kafka_message_t> = records
            .iter()
            .map(|(payload, partition)| sys::rd_kafka_message_t {
                err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: ptr::null_mut(),
                partition: *partition,
                payload: payload.as_ptr().cast_mut().cast(),
                len: payload.len(),
                key: ptr::null_mut(),
                key_len: 0,
                offset: 0,
                // Runs keep their tickets until nothing is out, so the pointer is good for as long as it is used.
                _private: Arc::as_ptr(ticket).cast_mut().cast(),
            })
            .collect();
        let mut from = 0;
        while from < slots.len() {
            // SAFETY: topic and records live during the call; F_COPY copies the payloads.
            let taken = unsafe {
                sys::rd_kafka_produce_batch(
                    topic,
                    partition,
                    sys::RD_KAFKA_MSG_F_COPY as c_int,
                    slots[from..].as_mut_ptr(),
                    (slots.len() - from) as c_int,
                )
            };
            from += usize::try_from(taken).unwrap_or(0);
            if from < slots.len() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }

    fn produce_with_headers(
        &self,
        topic: *mut sys::rd_kafka_topic_t,
        records: &[(&[u8], i32)],
        named: &[(String, String)],
        ticket: &Arc<Ticket>,
    ) {
        ticket.0.fetch_add(records.len() as u32, Ordering::Relaxed);
        for (payload, partition) in records {
            // SAFETY: the headers are the library's once a record is taken, else destroyed; the payload is copied; the
            // argument types are those that each tag demands.
            while !unsafe {
                let headers = sys::rd_kafka_headers_new(named.len());
                for (name, value) in named {
                    let (name_at, value_at) = (name.as_ptr().cast(), value.as_ptr().cast());
                    sys::rd_kafka_header_add(
                        headers,
                        name_at,
                        name.len() as isize,
                        value_at,
                        value.len() as isize,
                    );
                }
                let code = sys::rd_kafka_producev(
                    self.producer,
                    sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                    topic,
                    sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                    *partition,
                    sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                    sys::RD_KAFKA_MSG_F_COPY as c_int,
                    sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                    payload.as_ptr().cast_mut().cast::<c_void>(),
                    payload.len(),
                    sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                    Arc::as_ptr(ticket).cast_mut().cast::<c_void>(),
                    sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
                    headers,
                    sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
                );
                let taken = code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
                if !taken {
                    sys::rd_kafka_headers_destroy(headers);
                }
                taken
            } {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }
}

/// Settles tickets, one subtraction for each stretch of equal ones.
fn serve_reports(producer: *mut sys::rd_kafka_t) {
    // SAFETY: the client lives as long as the process.
    let queue = unsafe { sys::rd_kafka_queue_get_main(producer) };
    loop {
        // SAFETY: the queue lives; the event is ours and destroyed once; its messages live until then, and each carries
        // a ticket that its run keeps alive until all of it is settled.
        unsafe {
            let event = sys::rd_kafka_queue_poll(queue, 50);
            if event.is_null() {
                continue;
            }
            let (mut of, mut count): (*const Ticket, u32) = (ptr::null(), 0);
            loop {
                let message = sys::rd_kafka_event_message_next(event);
                let next = if message.is_null() { ptr::null() } else { (*message)._private as *const Ticket };
                if !message.is_null() {
                    let code = (*message).err;
                    assert_eq!(
                        code,
                        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                        "a record was refused"
                    );
                }
                if next != of && count > 0 {
                    (*of).0.fetch_sub(count, Ordering::Release);
                    count = 0;
                }
                if message.is_null() {
                    break;
                }
                (of, count) = (next, count + 1);
            }
            sys::rd_kafka_event_destroy(event);
        }
    }
}

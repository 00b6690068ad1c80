//! The safe face of librdkafka: clients, queues, batches of messages, events, deliveries, administration.
//!
//! Owns every raw pointer of the client library and is, with its two parts, the only place of `kafka` with unsafe
//! code; each block says why it holds. May decide nothing: what an event means is the business of `member`, `reader`, `producer` and
//! `cluster`, its only callers. Lifetimes are kept by `Arc<Client>`: a queue, a topic handle or a batch never
//! outlives its client, which librdkafka demands.
#![allow(unsafe_code)]

use crate::log::{Outgoing, OutgoingRecord, Ticket, TopicPartition};
use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use triage_engine::model::Millis;

mod admin;
mod produce;

pub(super) use admin::{TopicConfig, TopicShape};
pub(super) use produce::{ProduceSlots, Run, Sending, TopicHandle, pieces};
pub(super) use sys::RDKafkaErrorCode as Code;

/// What the client library answered instead of doing what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientError {
    pub code: Code,
    pub text: String,
    pub fatal: bool,
}

impl ClientError {
    pub(super) fn new(code: Code, text: impl Into<String>) -> ClientError {
        ClientError { code, text: text.into(), fatal: false }
    }

    /// Takes an error object over, or gives `Ok` when there is none.
    fn take(error: *mut sys::rd_kafka_error_t) -> Result<(), ClientError> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: `error` is a live error object that we own; its string lives until the destroy after the copy.
        unsafe {
            let code = sys::rd_kafka_error_code(error).into();
            let text = text_of(sys::rd_kafka_error_string(error));
            let fatal = sys::rd_kafka_error_is_fatal(error) != 0;
            sys::rd_kafka_error_destroy(error);
            Err(ClientError { code, text, fatal })
        }
    }

    fn check(code: sys::rd_kafka_resp_err_t) -> Result<(), ClientError> {
        match Code::from(code) {
            Code::NoError => Ok(()),
            code => Err(ClientError::new(code, code.to_string())),
        }
    }
}

/// Copies a C string; the empty text when there is none.
///
/// # Safety
/// `text` is null or a NUL-terminated string that lives during the call.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises a live, terminated string.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A C string of `text`, cut at a NUL, which no topic, group or property name may hold anyway.
fn c_text(text: &str) -> CString {
    let upto = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..upto]).expect("invariant: no NUL before the first NUL")
}

fn milliseconds(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}

/// Which kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Consumer,
    Producer,
}

/// The client library's log lines go where ours go.
unsafe extern "C" fn forward_log(
    _: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // SAFETY: librdkafka passes two terminated strings that live during the call.
    let (facility, line) = unsafe { (text_of(facility), text_of(line)) };
    match level {
        0..=3 => tracing::error!(target: "librdkafka", "{facility}: {line}"),
        4 => tracing::warn!(target: "librdkafka", "{facility}: {line}"),
        5 | 6 => tracing::info!(target: "librdkafka", "{facility}: {line}"),
        _ => tracing::debug!(target: "librdkafka", "{facility}: {line}"),
    }
}

/// One client: its own threads and connections. Destroyed when the last `Arc` goes, without leaving its group.
#[derive(Debug)]
pub(super) struct Client {
    rk: NonNull<sys::rd_kafka_t>,
}

// SAFETY: librdkafka's client object is documented to be thread-safe; one batch reader per client is kept by
// `Member` and `Reader` owning their queue.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: this is the last handle; queues, topics and batches hold an `Arc` of it and are gone.
        unsafe { sys::rd_kafka_destroy_flags(self.rk.as_ptr(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE as c_int) }
    }
}

impl Client {
    /// A client with these properties, delivering these kinds of event through its queues.
    pub(super) fn new(
        kind: Kind,
        properties: &[(String, String)],
        events: c_int,
    ) -> Result<Arc<Client>, ClientError> {
        let mut text = [0 as c_char; 512];
        // SAFETY: the configuration is ours until `rd_kafka_new` takes it, or destroyed on each way out; the strings
        // live during the calls; `text` is as long as said and is terminated by the callee.
        unsafe {
            let conf = sys::rd_kafka_conf_new();
            for (name, value) in properties {
                let (name, value) = (c_text(name), c_text(value));
                let answer =
                    sys::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), text.as_mut_ptr(), text.len());
                if answer != sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                    sys::rd_kafka_conf_destroy(conf);
                    return Err(ClientError::new(Code::InvalidArgument, text_of(text.as_ptr())));
                }
            }
            sys::rd_kafka_conf_set_events(conf, events);
            sys::rd_kafka_conf_set_log_cb(conf, Some(forward_log));
            let kind = match kind {
                Kind::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
                Kind::Producer => sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            };
            let Some(rk) = NonNull::new(sys::rd_kafka_new(kind, conf, text.as_mut_ptr(), text.len())) else {
                sys::rd_kafka_conf_destroy(conf);
                return Err(ClientError::new(Code::InvalidArgument, text_of(text.as_ptr())));
            };
            Ok(Arc::new(Client { rk }))
        }
    }

    fn rk(&self) -> *mut sys::rd_kafka_t {
        self.rk.as_ptr()
    }

    /// The error after which this client is unusable, if there was one.
    pub(super) fn fatal(&self) -> Option<ClientError> {
        let mut text = [0 as c_char; 512];
        // SAFETY: the client lives; `text` is as long as said and terminated by the callee.
        let code = unsafe { sys::rd_kafka_fatal_error(self.rk(), text.as_mut_ptr(), text.len()) };
        match Code::from(code) {
            Code::NoError => None,
            // SAFETY: `text` was terminated by the callee.
            code => Some(ClientError { code, text: unsafe { text_of(text.as_ptr()) }, fatal: true }),
        }
    }

    /// Sends the client's own events to the consumer queue, so that there is one queue to serve.
    pub(super) fn serve_on_consumer_queue(&self) -> Result<(), ClientError> {
        // SAFETY: the client lives and is a consumer (the callee checks).
        ClientError::check(unsafe { sys::rd_kafka_poll_set_consumer(self.rk()) })
    }

    /// Joins the group for these topics.
    pub(super) fn subscribe(&self, topics: &PartitionList) -> Result<(), ClientError> {
        // SAFETY: client and list live during the call; the list is copied.
        ClientError::check(unsafe { sys::rd_kafka_subscribe(self.rk(), topics.ptr.as_ptr()) })
    }

    /// Reads these partitions by hand, each from its offset.
    pub(super) fn assign(&self, partitions: &PartitionList) -> Result<(), ClientError> {
        // SAFETY: as in `subscribe`.
        ClientError::check(unsafe { sys::rd_kafka_assign(self.rk(), partitions.ptr.as_ptr()) })
    }

    /// Adds partitions, each from its offset; answers a cooperative assignment.
    pub(super) fn add(&self, partitions: &PartitionList) -> Result<(), ClientError> {
        // SAFETY: as in `subscribe`.
        ClientError::take(unsafe { sys::rd_kafka_incremental_assign(self.rk(), partitions.ptr.as_ptr()) })
    }

    /// Takes partitions out; answers a cooperative revocation.
    pub(super) fn remove(&self, partitions: &PartitionList) -> Result<(), ClientError> {
        // SAFETY: as in `subscribe`.
        ClientError::take(unsafe { sys::rd_kafka_incremental_unassign(self.rk(), partitions.ptr.as_ptr()) })
    }

    /// Whether the group has given our partitions away without asking.
    pub(super) fn assignment_is_lost(&self) -> bool {
        // SAFETY: the client lives.
        unsafe { sys::rd_kafka_assignment_lost(self.rk()) != 0 }
    }

    /// Moves partitions that are being read. The list says of each what came of it.
    pub(super) fn seek(&self, partitions: &PartitionList, wait: Duration) -> Result<(), ClientError> {
        // SAFETY: client and list live during the call; the callee writes only the entries' error fields.
        ClientError::take(unsafe {
            sys::rd_kafka_seek_partitions(self.rk(), partitions.ptr.as_ptr(), milliseconds(wait))
        })
    }

    /// Sends a commit whose answer comes as an event on `answer`.
    pub(super) fn commit(&self, offsets: &PartitionList, answer: &Queue) -> Result<(), ClientError> {
        // SAFETY: client, list and queue live during the call; the list is copied, the queue counted.
        ClientError::check(unsafe {
            sys::rd_kafka_commit_queue(
                self.rk(),
                offsets.ptr.as_ptr(),
                answer.ptr.as_ptr(),
                None,
                ptr::null_mut(),
            )
        })
    }

    /// Fills in what the client's group has committed.
    pub(super) fn committed(&self, partitions: &PartitionList, wait: Duration) -> Result<(), ClientError> {
        // SAFETY: client and list live during the call, which ends before this returns.
        ClientError::check(unsafe {
            sys::rd_kafka_committed(self.rk(), partitions.ptr.as_ptr(), milliseconds(wait))
        })
    }

    /// Turns each entry's offset, which is a time in milliseconds, into the first offset at or after it.
    pub(super) fn offsets_for_times(&self, times: &PartitionList, wait: Duration) -> Result<(), ClientError> {
        // SAFETY: as in `committed`.
        ClientError::check(unsafe {
            sys::rd_kafka_offsets_for_times(self.rk(), times.ptr.as_ptr(), milliseconds(wait))
        })
    }

    /// Asks the leader for the first offset and the end: for a client that reads committed records only, the
    /// end is the last stable offset, since the request carries the client's isolation level.
    pub(super) fn watermarks(&self, of: &TopicPartition, wait: Duration) -> Result<(i64, i64), ClientError> {
        let (mut low, mut high) = (0, 0);
        let topic = c_text(&of.topic);
        // SAFETY: client, name and both out-parameters live during the call.
        ClientError::check(unsafe {
            sys::rd_kafka_query_watermark_offsets(
                self.rk(),
                topic.as_ptr(),
                partition_number(of.partition),
                &mut low,
                &mut high,
                milliseconds(wait),
            )
        })?;
        Ok((low, high))
    }

    /// Leaves the group (a static member keeps its place). May block; call it where a deadline is kept.
    pub(super) fn close_consumer(&self) -> Result<(), ClientError> {
        // SAFETY: the client lives.
        ClientError::check(unsafe { sys::rd_kafka_consumer_close(self.rk()) })
    }

    /// Waits until every record enqueued is reported, at most `wait`. Reports are served by another thread.
    pub(super) fn flush(&self, wait: Duration) -> bool {
        // SAFETY: the client lives.
        Code::NoError == unsafe { sys::rd_kafka_flush(self.rk(), milliseconds(wait)) }.into()
    }

    /// Throws away what is enqueued or under way; each record is still reported.
    pub(super) fn purge(&self) {
        let flags = sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT;
        // SAFETY: the client lives.
        let _ = unsafe { sys::rd_kafka_purge(self.rk(), flags as c_int) };
    }

    /// Records and reports that the application has not seen the end of.
    pub(super) fn outstanding(&self) -> usize {
        // SAFETY: the client lives.
        usize::try_from(unsafe { sys::rd_kafka_outq_len(self.rk()) }).unwrap_or(0)
    }
}

fn partition_number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// One entry of a partition list.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub partition: TopicPartition,
    pub offset: i64,
    pub metadata: String,
    pub code: Code,
}

/// Partitions with an offset each, in the client library's shape.
#[derive(Debug)]
pub(super) struct PartitionList {
    ptr: NonNull<sys::rd_kafka_topic_partition_list_t>,
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: we own the list.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.ptr.as_ptr()) }
    }
}

impl PartitionList {
    pub(super) fn new() -> PartitionList {
        // SAFETY: no preconditions.
        let ptr = unsafe { sys::rd_kafka_topic_partition_list_new(8) };
        PartitionList { ptr: NonNull::new(ptr).expect("invariant: librdkafka aborts when memory is out") }
    }

    /// A list of `partitions` without offsets.
    pub(super) fn of<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> PartitionList {
        let mut list = PartitionList::new();
        for partition in partitions {
            list.push(partition, sys::RD_KAFKA_OFFSET_INVALID.into(), None);
        }
        list
    }

    /// A list of `partitions`, each with its offset.
    pub(super) fn at<'a>(offsets: impl IntoIterator<Item = &'a (TopicPartition, i64)>) -> PartitionList {
        let mut list = PartitionList::new();
        for (partition, offset) in offsets {
            list.push(partition, *offset, None);
        }
        list
    }

    /// A list of topics, for a subscription.
    pub(super) fn topics(topics: &[&str]) -> PartitionList {
        let list = PartitionList::new();
        for topic in topics {
            let topic = c_text(topic);
            // SAFETY: the list is ours, the name is copied.
            unsafe { sys::rd_kafka_topic_partition_list_add(list.ptr.as_ptr(), topic.as_ptr(), -1) };
        }
        list
    }

    pub(super) fn push(&mut self, partition: &TopicPartition, offset: i64, metadata: Option<&str>) {
        let topic = c_text(&partition.topic);
        // SAFETY: the list is ours; the entry stays where it is until the next add; the metadata is allocated by the
        // library's own allocator, since destroying the list frees it by that.
        unsafe {
            let entry = sys::rd_kafka_topic_partition_list_add(
                self.ptr.as_ptr(),
                topic.as_ptr(),
                partition_number(partition.partition),
            );
            (*entry).offset = offset;
            if let Some(text) = metadata.filter(|text| !text.is_empty()) {
                let copy = sys::rd_kafka_mem_malloc(ptr::null_mut(), text.len());
                assert!(!copy.is_null(), "memory is out");
                ptr::copy_nonoverlapping(text.as_ptr(), copy.cast::<u8>(), text.len());
                (*entry).metadata = copy;
                (*entry).metadata_size = text.len();
            }
        }
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the list is ours and live.
        unsafe { entries_of(self.ptr.as_ptr()) }
    }
}

/// Copies a list's entries.
///
/// # Safety
/// `list` is null or a live list.
unsafe fn entries_of(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<Entry> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller promises a live list, whose first `cnt` elements are initialised; metadata, when there is
    // any, holds `metadata_size` bytes.
    unsafe {
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        (0..count)
            .map(|index| {
                let entry = &*(*list).elems.add(index);
                let metadata = match entry.metadata.is_null() {
                    true => &[][..],
                    false => std::slice::from_raw_parts(entry.metadata.cast::<u8>(), entry.metadata_size),
                };
                Entry {
                    partition: TopicPartition::new(
                        &text_of(entry.topic),
                        u32::try_from(entry.partition).unwrap_or(0),
                    ),
                    offset: entry.offset,
                    metadata: String::from_utf8_lossy(metadata).into_owned(),
                    code: entry.err.into(),
                }
            })
            .collect()
    }
}

/// A queue of events or messages.
#[derive(Debug)]
pub(super) struct Queue {
    ptr: NonNull<sys::rd_kafka_queue_t>,
    client: Arc<Client>,
}

// SAFETY: librdkafka's queues lock themselves.
unsafe impl Send for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: we hold one count of the queue; the client still lives through our `Arc`.
        unsafe { sys::rd_kafka_queue_destroy(self.ptr.as_ptr()) }
    }
}

impl Queue {
    fn own(ptr: *mut sys::rd_kafka_queue_t, client: &Arc<Client>) -> Queue {
        let ptr = NonNull::new(ptr).expect("invariant: the client has the queue asked for");
        Queue { ptr, client: Arc::clone(client) }
    }

    /// A queue of our own.
    pub(super) fn new(client: &Arc<Client>) -> Queue {
        // SAFETY: the client lives.
        Queue::own(unsafe { sys::rd_kafka_queue_new(client.rk()) }, client)
    }

    /// The queue on which a consumer hears of its group.
    pub(super) fn consumer(client: &Arc<Client>) -> Queue {
        // SAFETY: the client lives; it is a consumer, or `own` panics on the null.
        Queue::own(unsafe { sys::rd_kafka_queue_get_consumer(client.rk()) }, client)
    }

    /// The queue on which a producer hears of its deliveries.
    pub(super) fn main(client: &Arc<Client>) -> Queue {
        // SAFETY: the client lives.
        Queue::own(unsafe { sys::rd_kafka_queue_get_main(client.rk()) }, client)
    }

    /// Sends what is fetched of these partitions here, for good. Before they are assigned, or records go astray.
    pub(super) fn take_over<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            let topic = c_text(&partition.topic);
            // SAFETY: the client lives; the partition's queue is counted and given back at once, the forward stays.
            unsafe {
                let number = partition_number(partition.partition);
                let queue = sys::rd_kafka_queue_get_partition(self.client.rk(), topic.as_ptr(), number);
                if !queue.is_null() {
                    sys::rd_kafka_queue_forward(queue, self.ptr.as_ptr());
                    sys::rd_kafka_queue_destroy(queue);
                }
            }
        }
    }

    /// The next event.
    pub(super) fn event(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue lives; the event returned is ours.
        let ptr = unsafe { sys::rd_kafka_queue_poll(self.ptr.as_ptr(), milliseconds(wait)) };
        NonNull::new(ptr).map(|ptr| Event { ptr, _client: Arc::clone(&self.client) })
    }

    /// Takes at most `most` messages into `batch`, which must be empty. Waits until there are so many!
    pub(super) fn messages(&self, batch: &mut Batch, most: usize, wait: Duration) {
        assert!(batch.filled == 0, "invariant: a batch is emptied before it is filled");
        let most = most.min(batch.slots.len());
        let slots = batch.slots.as_mut_ptr();
        // SAFETY: queue and array live; the callee fills at most `most` slots with messages that are then ours.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.ptr.as_ptr(), milliseconds(wait), slots, most) };
        batch.filled = usize::try_from(taken).unwrap_or(0);
    }
}

/// Messages as fetched. They pin the fetch buffers, so they are copied and given back at once.
#[derive(Debug)]
pub(super) struct Batch {
    slots: Box<[*mut sys::rd_kafka_message_t]>,
    filled: usize,
    _client: Arc<Client>,
}

// SAFETY: messages belong to no thread.
unsafe impl Send for Batch {}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Batch {
    pub(super) fn new(client: &Arc<Client>, capacity: usize) -> Batch {
        let slots = vec![ptr::null_mut(); capacity].into_boxed_slice();
        Batch { slots, filled: 0, _client: Arc::clone(client) }
    }

    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// The messages, in the order fetched.
    pub(super) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        self.slots[..self.filled].iter().map(|&slot| {
            // SAFETY: the first `filled` slots hold live messages of ours, until `clear`, which needs `&mut`.
            Message { raw: unsafe { &*slot } }
        })
    }

    /// Gives the messages back.
    pub(super) fn clear(&mut self) {
        for slot in &mut self.slots[..self.filled] {
            // SAFETY: the slot holds a live message of ours, given back once.
            unsafe { sys::rd_kafka_message_destroy(*slot) };
            *slot = ptr::null_mut();
        }
        self.filled = 0;
    }
}

/// One message of a batch, or an error in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    raw: &'a sys::rd_kafka_message_t,
}

impl<'a> Message<'a> {
    pub(super) fn code(&self) -> Code {
        self.raw.err.into()
    }

    pub(super) fn error_text(&self) -> String {
        // SAFETY: the message lives; the string belongs to it.
        unsafe { text_of(sys::rd_kafka_message_errstr(self.raw)) }
    }

    /// Whether both are of one partition.
    pub(super) fn is_of_the_partition_of(&self, other: &Message<'_>) -> bool {
        self.raw.rkt == other.raw.rkt && self.raw.partition == other.raw.partition
    }

    /// Its partition; `None` for an error that is of no partition.
    pub(super) fn partition(&self) -> Option<TopicPartition> {
        if self.raw.rkt.is_null() {
            return None;
        }
        // SAFETY: the message lives and counts its topic, whose name lives as long.
        let topic = unsafe { text_of(sys::rd_kafka_topic_name(self.raw.rkt)) };
        Some(TopicPartition::new(&topic, u32::try_from(self.raw.partition).ok()?))
    }

    pub(super) fn offset(&self) -> i64 {
        self.raw.offset
    }

    /// Its time stamp; -1 when the record has none.
    pub(super) fn timestamp(&self) -> Millis {
        // SAFETY: the message lives; the kind of time stamp may be left out by passing null.
        Millis(unsafe { sys::rd_kafka_message_timestamp(self.raw, ptr::null_mut()) })
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: key and length describe bytes that live as long as the message.
        unsafe { bytes_of(self.raw.key, self.raw.key_len) }
    }

    pub(super) fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes_of(self.raw.payload, self.raw.len) }
    }
}

/// # Safety
/// `start` is null or the start of `length` bytes that live for `'a`.
unsafe fn bytes_of<'a>(start: *mut c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
}

/// Something that happened to a client.
#[derive(Debug)]
pub(super) struct Event {
    ptr: NonNull<sys::rd_kafka_event_t>,
    _client: Arc<Client>,
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: we own the event.
        unsafe { sys::rd_kafka_event_destroy(self.ptr.as_ptr()) }
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Delivery,
    Rebalance,
    Commit,
    Error,
    Other,
}

impl Event {
    /// The kinds of event that a client has to be asked to deliver.
    pub(super) const DELIVERIES: c_int = sys::RD_KAFKA_EVENT_DR as c_int;
    pub(super) const REBALANCES: c_int = sys::RD_KAFKA_EVENT_REBALANCE as c_int;
    pub(super) const COMMITS: c_int = sys::RD_KAFKA_EVENT_OFFSET_COMMIT as c_int;
    pub(super) const ERRORS: c_int = sys::RD_KAFKA_EVENT_ERROR as c_int;

    pub(super) fn about(&self) -> About {
        // SAFETY: the event is ours and live.
        match unsafe { sys::rd_kafka_event_type(self.ptr.as_ptr()) } as c_int {
            Event::DELIVERIES => About::Delivery,
            Event::REBALANCES => About::Rebalance,
            Event::COMMITS => About::Commit,
            Event::ERRORS => About::Error,
            _ => About::Other,
        }
    }

    /// The event's code: which kind of rebalance, or what went wrong.
    pub(super) fn code(&self) -> Code {
        // SAFETY: the event is ours and live.
        unsafe { sys::rd_kafka_event_error(self.ptr.as_ptr()) }.into()
    }

    /// The error that the event carries.
    pub(super) fn error(&self) -> Option<ClientError> {
        let code = self.code();
        if code == Code::NoError {
            return None;
        }
        // SAFETY: the event is ours and live, and so is its string until we have copied it.
        unsafe {
            let text = text_of(sys::rd_kafka_event_error_string(self.ptr.as_ptr()));
            Some(ClientError { code, text, fatal: sys::rd_kafka_event_error_is_fatal(self.ptr.as_ptr()) != 0 })
        }
    }

    /// The partitions of a rebalance or a commit.
    pub(super) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the event is ours and live, and so is its list.
        unsafe { entries_of(sys::rd_kafka_event_topic_partition_list(self.ptr.as_ptr())) }
    }
}

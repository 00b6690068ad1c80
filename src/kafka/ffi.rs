//! The safe face of librdkafka: clients, queues, batches of messages, events, deliveries, administration.
//!
//! Owns every raw pointer of the client library and is, with its parts in `ffi/`, the only place of `kafka` with unsafe
//! code; each block says why it holds. May decide nothing: what an event means is the business of `member`, `reader`, `producer` and
//! `cluster`, its only callers. Lifetimes are kept by `Arc<Client>`: a queue, a topic handle or a batch never
//! outlives its client, which librdkafka demands.
#![allow(unsafe_code)]

use super::secret::Secret;
use crate::log::{Outgoing, OutgoingRecord, Ticket, TopicPartition};
use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use triage_engine::model::Millis;

mod admin;
mod events;
mod messages;
mod partitions;
mod produce;
mod rights;

pub(super) use admin::TopicConfig;
pub(super) use events::{About, Event};
pub(super) use messages::{Batch, Message, Queue};
use partitions::entries_of;
pub(super) use partitions::{Entry, PartitionList};
pub(super) use produce::{ProduceSlots, Run, Sending, TopicHandle, pieces};
pub(super) use rights::{AclOperation, GroupRights};
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

/// What a client says of a login that its own end has cut short; a broker that goes away is told of in other words too.
const CLOSED_IN_LOGIN: &str = "SaslAuthenticateRequest failed: Local: Broker transport failure";

/// How the library ends its line when a client has lost its last broker.
const ALL_DOWN: &str = "brokers are down";

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
        // A client that is closed while it still logs in somewhere calls that an error.
        _ if line.contains(CLOSED_IN_LOGIN) => tracing::debug!(target: "librdkafka", "{facility}: {line}"),
        // Each client says it again and again; whoever asks one is told of it as an error too.
        _ if line.ends_with(ALL_DOWN) => tracing::debug!(target: "librdkafka", "{facility}: {line}"),
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
        unsafe {
            sys::rd_kafka_destroy_flags(self.rk.as_ptr(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE as c_int)
        }
    }
}

/// Properties that the library has taken, not yet a client.
pub(super) struct Configuration {
    ptr: NonNull<sys::rd_kafka_conf_t>,
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: we own the configuration: a client that takes it over keeps it from being dropped.
        unsafe { sys::rd_kafka_conf_destroy(self.ptr.as_ptr()) }
    }
}

impl Configuration {
    /// Every property, each checked by the library by itself: whether it exists (`Code::UnknownProtocol` if not), and
    /// takes such a value.
    pub(super) fn of(
        properties: &[(String, String)],
        secrets: &[(&'static str, Secret)],
    ) -> Result<Configuration, ClientError> {
        let mut text = [0 as c_char; 512];
        let plain = properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let secret = secrets.iter().map(|(name, secret)| (*name, secret.reveal()));
        // SAFETY: makes an object that is ours.
        let ptr = NonNull::new(unsafe { sys::rd_kafka_conf_new() });
        let conf = Configuration { ptr: ptr.expect("invariant: the library aborts when memory is short") };
        for (name, value) in plain.chain(secret) {
            let (name, value) = (c_text(name), c_text(value));
            // SAFETY: the configuration and the strings live during the call, which copies them; `text` is as long as
            // said and is terminated by the callee.
            let answer = unsafe {
                sys::rd_kafka_conf_set(
                    conf.ptr.as_ptr(),
                    name.as_ptr(),
                    value.as_ptr(),
                    text.as_mut_ptr(),
                    text.len(),
                )
            };
            if answer != sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                let code = match answer {
                    sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => Code::UnknownProtocol,
                    _ => Code::InvalidArgument,
                };
                // SAFETY: `text` was terminated by the callee.
                return Err(ClientError::new(code, unsafe { text_of(text.as_ptr()) }));
            }
        }
        Ok(conf)
    }

    /// The name of every property that this release of the library has, without aliases.
    pub(super) fn names(&self) -> Vec<String> {
        let mut count = 0;
        // SAFETY: the configuration lives; the array of `count` strings, names and values by turns, is given back once.
        unsafe {
            let pairs = sys::rd_kafka_conf_dump(self.ptr.as_ptr(), &mut count);
            let names = (0..count).step_by(2).map(|at| text_of(*pairs.add(at))).collect();
            sys::rd_kafka_conf_dump_free(pairs, count);
            names
        }
    }
}

impl Client {
    /// A client with these properties and passwords, delivering these kinds of event through its queues.
    pub(super) fn new(
        kind: Kind,
        properties: &[(String, String)],
        secrets: &[(&'static str, Secret)],
        events: c_int,
    ) -> Result<Arc<Client>, ClientError> {
        let mut text = [0 as c_char; 512];
        let held = Configuration::of(properties, secrets)?;
        // SAFETY: the configuration is ours until `rd_kafka_new` takes it, which it does only when it makes a client;
        // `text` is as long as said and is terminated by the callee.
        unsafe {
            let conf = held.ptr.as_ptr();
            sys::rd_kafka_conf_set_events(conf, events);
            sys::rd_kafka_conf_set_log_cb(conf, Some(forward_log));
            let kind = match kind {
                Kind::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
                Kind::Producer => sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            };
            let Some(rk) = NonNull::new(sys::rd_kafka_new(kind, conf, text.as_mut_ptr(), text.len())) else {
                return Err(ClientError::new(Code::InvalidArgument, text_of(text.as_ptr())));
            };
            std::mem::forget(held);
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

    /// Gives the lines that the client logs to its main queue; it must have been made with `log.queue`.
    pub(super) fn log_to_main_queue(&self) -> Result<(), ClientError> {
        // SAFETY: the client lives; no queue means its main one.
        ClientError::check(unsafe { sys::rd_kafka_set_log_queue(self.rk(), ptr::null_mut()) })
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

    /// Names the brokers to begin with again. The library remembers each time that it is told, so this is for clients
    /// that have none left.
    pub(super) fn name_brokers(&self, bootstrap: &str) {
        let bootstrap = c_text(bootstrap);
        // SAFETY: client and text live during the call, which copies what it keeps.
        unsafe { sys::rd_kafka_brokers_add(self.rk(), bootstrap.as_ptr()) };
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

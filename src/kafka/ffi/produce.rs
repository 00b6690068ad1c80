//! Producing by the raw interface: batches with a cached topic handle, and reports that settle tickets.
//!
//! Owns the pointer that rides on each record to its report. One `Sent` is made for each send and freed by whoever
//! counts its last record down, the report or the sender (for records that the client did not take). Called by
//! `producer` only.

use super::{
    Arc, AtomicU32, Client, ClientError, Code, Event, NonNull, Ordering, Outgoing, OutgoingRecord, Ticket,
    c_int, c_text, c_void, partition_number, ptr, sys, text_of,
};

/// A topic's handle, kept so that no send looks the topic up by name.
#[derive(Debug)]
pub(in crate::kafka) struct TopicHandle {
    ptr: NonNull<sys::rd_kafka_topic_t>,
    client: Arc<Client>,
}

// SAFETY: librdkafka's topic handles are counted and lock themselves.
unsafe impl Send for TopicHandle {}
// SAFETY: as above.
unsafe impl Sync for TopicHandle {}

impl TopicHandle {
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_topic_t {
        self.ptr.as_ptr()
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: we hold one count of the handle; the client lives through our `Arc`.
        unsafe { sys::rd_kafka_topic_destroy(self.ptr.as_ptr()) }
    }
}

/// What rides on each record of one send.
#[derive(Debug)]
struct Sent {
    ticket: Arc<Ticket>,
    left: AtomicU32,
}

impl Sent {
    /// Counts `records` down, and frees the send with its last.
    ///
    /// # Safety
    /// `sent` came from `Box::into_raw`, and these records of it were not counted down before.
    unsafe fn count_down(sent: *mut Sent, records: u32) {
        // SAFETY: the caller's promise: as long as records are left the send is alive.
        let before = unsafe { &*sent }.left.fetch_sub(records, Ordering::AcqRel);
        if before == records {
            // SAFETY: nothing is left, so no pointer to it exists but this one.
            drop(unsafe { Box::from_raw(sent) });
        }
    }
}

/// One send under way: enqueues its records piece by piece, since the client's buffer may be full.
#[derive(Debug)]
pub(in crate::kafka) struct Sending {
    topic: Arc<TopicHandle>,
    partition: i32,
    sent: *mut Sent,
    total: u32,
    /// Records that are the client's now; the others are counted down when this goes.
    taken: u32,
}

// SAFETY: what `sent` points to is counted atomically and holds only an `Arc`; nothing of it belongs to a thread.
unsafe impl Send for Sending {}

impl Drop for Sending {
    fn drop(&mut self) {
        let refused = self.total - self.taken;
        if refused > 0 {
            // SAFETY: the refused records have no report that could count them down; `sent` is alive through them.
            unsafe { Sent::count_down(self.sent, refused) };
        }
    }
}

impl Sending {
    /// Opens a send of `total` records, which must not be 0. The ticket counts them from now on.
    pub(in crate::kafka) fn open(
        topic: &Arc<TopicHandle>,
        partition: u32,
        ticket: &Arc<Ticket>,
        total: u32,
    ) -> Sending {
        assert!(total > 0, "invariant: a send of nothing would never be freed");
        ticket.add(total);
        let sent = Box::into_raw(Box::new(Sent { ticket: Arc::clone(ticket), left: AtomicU32::new(total) }));
        Sending { topic: Arc::clone(topic), partition: partition_number(partition), sent, total, taken: 0 }
    }

    /// Enqueues these records in one call; the answer has one code for each. None may have headers.
    pub(in crate::kafka) fn batch(
        &mut self,
        records: &[OutgoingRecord<'_>],
        slots: &mut ProduceSlots,
        codes: &mut Vec<Code>,
    ) {
        slots.0.clear();
        slots.0.extend(records.iter().map(|record| {
            let (payload, len) = raw(record.value());
            let (key, key_len) = raw(record.key());
            sys::rd_kafka_message_t {
                err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                rkt: ptr::null_mut(),
                partition: self.partition,
                payload,
                len,
                key,
                key_len,
                offset: 0,
                _private: self.sent.cast(),
            }
        }));
        let count = c_int::try_from(slots.0.len()).expect("invariant: a piece has far fewer records");
        // The flag for a partition per message is left out: all go to one, which is then looked up once, and with the
        // flag the library leaks the message when the partition does not exist.
        // SAFETY: topic and records live during the call; F_COPY copies keys and values, which the callee only reads.
        let taken = unsafe {
            sys::rd_kafka_produce_batch(
                self.topic.ptr.as_ptr(),
                self.partition,
                sys::RD_KAFKA_MSG_F_COPY as c_int,
                slots.0.as_mut_ptr(),
                count,
            )
        };
        self.taken += u32::try_from(taken).unwrap_or(0);
        codes.extend(slots.0.iter().map(|slot| Code::from(slot.err)));
        slots.0.clear();
    }

    /// Enqueues one record, with headers if it has any.
    pub(in crate::kafka) fn single(&mut self, record: OutgoingRecord<'_>) -> Code {
        let (payload, len) = raw(record.value());
        let (key, key_len) = raw(record.key());
        // SAFETY: the headers are ours until a send succeeds, which takes them over; key and value are copied, they and
        // the topic live during the call; the argument types are those that each tag demands.
        unsafe {
            let headers = sys::rd_kafka_headers_new(8);
            for (name, value) in record.headers() {
                let (value, length) = raw(Some(value));
                sys::rd_kafka_header_add(
                    headers,
                    name.as_ptr().cast(),
                    name.len() as isize,
                    value,
                    length as isize,
                );
            }
            let code = Code::from(sys::rd_kafka_producev(
                self.topic.client.rk(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                self.topic.ptr.as_ptr(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                self.partition,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY as c_int,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                payload,
                len,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key,
                key_len,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                self.sent.cast::<c_void>(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
                headers,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            ));
            match code {
                Code::NoError => self.taken += 1,
                _ => sys::rd_kafka_headers_destroy(headers),
            }
            code
        }
    }
}

/// Where bytes start and how many there are; null for none.
fn raw(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    bytes.map_or((ptr::null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()))
}

/// Room for one batch call, kept between sends.
#[derive(Debug, Default)]
pub(in crate::kafka) struct ProduceSlots(Vec<sys::rd_kafka_message_t>);

// SAFETY: it is empty between calls, so it holds no pointer.
unsafe impl Send for ProduceSlots {}

impl Client {
    /// A handle of the topic.
    pub(in crate::kafka) fn topic(self: &Arc<Client>, name: &str) -> Result<TopicHandle, ClientError> {
        let c_name = c_text(name);
        // SAFETY: client and name live; a null configuration means the client's own.
        let ptr = unsafe { sys::rd_kafka_topic_new(self.rk(), c_name.as_ptr(), ptr::null_mut()) };
        match NonNull::new(ptr) {
            Some(ptr) => Ok(TopicHandle { ptr, client: Arc::clone(self) }),
            None => Err(ClientError::new(Code::InvalidTopic, format!("`{name}` is no topic name"))),
        }
    }
}

/// One run of reports: consecutive records of one send with one outcome.
#[derive(Debug)]
pub(in crate::kafka) struct Run<'a> {
    pub ticket: &'a Ticket,
    pub records: u32,
    /// The lowest offset that the broker named.
    pub offset_first: Option<i64>,
    pub code: Code,
    topic: *const sys::rd_kafka_topic_t,
}

impl Run<'_> {
    /// The topic's name.
    pub(in crate::kafka) fn topic(&self) -> String {
        // SAFETY: the event that the run was read from is alive while `each_run` calls, and counts the topic.
        unsafe { text_of(sys::rd_kafka_topic_name(self.topic)) }
    }
}

impl Event {
    /// Hands out each run of a delivery report. To be called once for each event.
    pub(in crate::kafka) fn each_run(&mut self, mut settle: impl FnMut(&Run<'_>)) {
        let mut open: Option<(*mut Sent, Run<'_>)> = None;
        loop {
            // SAFETY: the event is ours; the message returned lives as long as the event.
            let message = unsafe { sys::rd_kafka_event_message_next(self.ptr.as_ptr()).as_ref() };
            let Some(message) = message else { break };
            let sent = message._private.cast::<Sent>();
            let code = Code::from(message.err);
            let offset = (message.offset >= 0 && code == Code::NoError).then_some(message.offset);
            match &mut open {
                Some((of, run)) if *of == sent && run.code == code && ptr::eq(run.topic, message.rkt) => {
                    run.records += 1;
                    run.offset_first = run.offset_first.into_iter().chain(offset).min();
                }
                _ => {
                    Event::finish(open.take(), &mut settle);
                    // SAFETY: `sent` was put on the record by `Sending` and is alive until its records are counted down,
                    // which `finish` does for this one.
                    let ticket = &*unsafe { &*sent }.ticket;
                    open = Some((
                        sent,
                        Run { ticket, records: 1, offset_first: offset, code, topic: message.rkt },
                    ));
                }
            }
        }
        Event::finish(open, &mut settle);
    }

    fn finish(open: Option<(*mut Sent, Run<'_>)>, settle: &mut impl FnMut(&Run<'_>)) {
        let Some((sent, run)) = open else { return };
        settle(&run);
        let records = run.records;
        // SAFETY: each record is reported once, and these were counted in this run only; `run` is not used after this.
        unsafe { Sent::count_down(sent, records) };
    }
}

/// The records of `outgoing` as a list that can be sent in pieces.
pub(in crate::kafka) fn pieces(outgoing: &Outgoing) -> Vec<OutgoingRecord<'_>> {
    outgoing.iter().collect()
}

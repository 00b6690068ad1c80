//! Queues, and batches of messages read from them.
//!
//! Owns messages from the moment the library hands them over until they are given back. Called by `fetch`, `member`,
//! `reader` and `producer`.

use super::{
    Arc, Client, Code, Duration, Event, Millis, NonNull, TopicPartition, c_text, c_void, milliseconds,
    partition_number, ptr, sys, text_of,
};

/// A queue of events or messages.
#[derive(Debug)]
pub(in crate::kafka) struct Queue {
    pub(super) ptr: NonNull<sys::rd_kafka_queue_t>,
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
    pub(in crate::kafka) fn new(client: &Arc<Client>) -> Queue {
        // SAFETY: the client lives.
        Queue::own(unsafe { sys::rd_kafka_queue_new(client.rk()) }, client)
    }

    /// The queue on which a consumer hears of its group.
    pub(in crate::kafka) fn consumer(client: &Arc<Client>) -> Queue {
        // SAFETY: the client lives; it is a consumer, or `own` panics on the null.
        Queue::own(unsafe { sys::rd_kafka_queue_get_consumer(client.rk()) }, client)
    }

    /// The queue on which a producer hears of its deliveries.
    pub(in crate::kafka) fn main(client: &Arc<Client>) -> Queue {
        // SAFETY: the client lives.
        Queue::own(unsafe { sys::rd_kafka_queue_get_main(client.rk()) }, client)
    }

    /// Sends what is fetched of these partitions here, for good. Before they are assigned, or records go astray.
    pub(in crate::kafka) fn take_over<'a>(&self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
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
    pub(in crate::kafka) fn event(&self, wait: Duration) -> Option<Event> {
        // SAFETY: the queue lives; the event returned is ours.
        let ptr = unsafe { sys::rd_kafka_queue_poll(self.ptr.as_ptr(), milliseconds(wait)) };
        NonNull::new(ptr).map(|ptr| Event::own(ptr, &self.client))
    }

    /// Takes at most `most` more messages into `batch`, as far as it has room. Waits until there are so many!
    pub(in crate::kafka) fn messages(&self, batch: &mut Batch, most: usize, wait: Duration) {
        let room = &mut batch.slots[batch.filled..];
        let (slots, most) = (room.as_mut_ptr(), most.min(room.len()));
        // SAFETY: queue and array live; the callee fills at most `most` slots with messages that are then ours.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.ptr.as_ptr(), milliseconds(wait), slots, most) };
        batch.filled += usize::try_from(taken).unwrap_or(0);
    }
}

/// Messages as fetched. They pin the fetch buffers, so they are copied and given back at once.
#[derive(Debug)]
pub(in crate::kafka) struct Batch {
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
    pub(in crate::kafka) fn new(client: &Arc<Client>, capacity: usize) -> Batch {
        let slots = vec![ptr::null_mut(); capacity].into_boxed_slice();
        Batch { slots, filled: 0, _client: Arc::clone(client) }
    }

    pub(in crate::kafka) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// The messages, in the order fetched.
    pub(in crate::kafka) fn iter(&self) -> impl Iterator<Item = Message<'_>> + Clone {
        self.slots[..self.filled].iter().map(|&slot| {
            // SAFETY: the first `filled` slots hold live messages of ours, until `clear`, which needs `&mut`.
            Message { raw: unsafe { &*slot } }
        })
    }

    /// Gives the messages back.
    pub(in crate::kafka) fn clear(&mut self) {
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
pub(in crate::kafka) struct Message<'a> {
    raw: &'a sys::rd_kafka_message_t,
}

impl<'a> Message<'a> {
    pub(in crate::kafka) fn code(&self) -> Code {
        self.raw.err.into()
    }

    pub(in crate::kafka) fn error_text(&self) -> String {
        // SAFETY: the message lives; the string belongs to it.
        unsafe { text_of(sys::rd_kafka_message_errstr(self.raw)) }
    }

    /// Whether it is a record of the partition of `first`, above `last`. Offsets that go back start a run of their
    /// own: the reader of the records judges it.
    pub(in crate::kafka) fn follows(&self, first: &Message<'_>, last: i64) -> bool {
        self.code() == Code::NoError
            && self.raw.rkt == first.raw.rkt
            && self.raw.partition == first.raw.partition
            && last < self.raw.offset
    }

    /// Bytes of key and value together.
    pub(in crate::kafka) fn bytes(&self) -> usize {
        self.raw.key_len + self.raw.len
    }

    /// Its partition; `None` for an error that is of no partition.
    pub(in crate::kafka) fn partition(&self) -> Option<TopicPartition> {
        if self.raw.rkt.is_null() {
            return None;
        }
        // SAFETY: the message lives and counts its topic, whose name lives as long.
        let topic = unsafe { text_of(sys::rd_kafka_topic_name(self.raw.rkt)) };
        Some(TopicPartition::new(&topic, u32::try_from(self.raw.partition).ok()?))
    }

    pub(in crate::kafka) fn offset(&self) -> i64 {
        self.raw.offset
    }

    /// Its time stamp; -1 when the record has none.
    pub(in crate::kafka) fn timestamp(&self) -> Millis {
        // SAFETY: the message lives; the kind of time stamp may be left out by passing null.
        Millis(unsafe { sys::rd_kafka_message_timestamp(self.raw, ptr::null_mut()) })
    }

    pub(in crate::kafka) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: key and length describe bytes that live as long as the message.
        unsafe { bytes_of(self.raw.key, self.raw.key_len) }
    }

    pub(in crate::kafka) fn value(&self) -> Option<&'a [u8]> {
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

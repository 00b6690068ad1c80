//! Records on their way out, built in one buffer.
//!
//! Owns keys, values and headers until the producer has copied them. Filled by shards, read by producers.

use std::ops::Range;

/// Records for one partition, in order.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    headers: Vec<(&'static str, Range<usize>)>,
}

#[derive(Debug, Clone)]
struct Slot {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

/// One record on its way out.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingRecord<'a> {
    batch: &'a Outgoing,
    index: usize,
}

impl Outgoing {
    /// Appends a record without headers; `None` as the value is a tombstone.
    pub fn push(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.push_with_headers(key, value, std::iter::empty());
    }

    /// Appends a record with headers.
    pub fn push_with_headers<'h>(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'static str, &'h [u8])>,
    ) {
        let value = value.map(|bytes| self.copy(bytes));
        self.finish(key, value, headers);
    }

    /// Appends a record whose value `write` appends to the buffer: it need not be made elsewhere and copied.
    pub fn push_written<'h>(
        &mut self,
        key: Option<&[u8]>,
        write: impl FnOnce(&mut Vec<u8>),
        headers: impl IntoIterator<Item = (&'static str, &'h [u8])>,
    ) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        assert!(self.bytes.len() >= start, "a value is appended to what stands there");
        let value = start..self.bytes.len();
        self.finish(key, Some(value), headers);
    }

    fn finish<'h>(
        &mut self,
        key: Option<&[u8]>,
        value: Option<Range<usize>>,
        headers: impl IntoIterator<Item = (&'static str, &'h [u8])>,
    ) {
        let key = key.map(|bytes| self.copy(bytes));
        let first = self.headers.len();
        for (name, bytes) in headers {
            let bytes = self.copy(bytes);
            self.headers.push((name, bytes));
        }
        self.slots.push(Slot { key, value, headers: first..self.headers.len() });
    }

    /// Makes room for so many more records of so many bytes together.
    pub fn reserve(&mut self, records: usize, bytes: usize) {
        self.slots.reserve(records);
        self.bytes.reserve(bytes);
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes held, keys, values and headers together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no record has headers: such a batch may go out by the client's batch call.
    #[must_use]
    pub fn is_headerless(&self) -> bool {
        self.headers.is_empty()
    }

    /// Empties the batch, keeping its buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
        self.headers.clear();
    }

    /// Every record, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = OutgoingRecord<'_>> {
        (0..self.slots.len()).map(|index| OutgoingRecord { batch: self, index })
    }
}

impl<'a> OutgoingRecord<'a> {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.batch.slots[self.index].key.clone().map(|range| &self.batch.bytes[range])
    }

    /// Its value; a tombstone has none.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.batch.slots[self.index].value.clone().map(|range| &self.batch.bytes[range])
    }

    /// Its headers, names and values, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &'a [u8])> + use<'a> {
        let batch = self.batch;
        batch.headers[batch.slots[self.index].headers.clone()]
            .iter()
            .map(|(name, value)| (*name, &batch.bytes[value.clone()]))
    }
}

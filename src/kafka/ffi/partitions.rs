//! Partition lists, in and out.
//!
//! Owns the library's list type: topics of a subscription, partitions with offsets, what a call answered for each.
//! Called by the other parts of `ffi` and by whoever assigns, commits or asks.

use super::{Code, NonNull, TopicPartition, c_text, partition_number, ptr, sys, text_of};

/// One entry of a partition list.
#[derive(Debug, Clone)]
pub(in crate::kafka) struct Entry {
    pub partition: TopicPartition,
    pub offset: i64,
    pub metadata: String,
    pub code: Code,
}

/// Partitions with an offset each, in the client library's shape.
#[derive(Debug)]
pub(in crate::kafka) struct PartitionList {
    pub(super) ptr: NonNull<sys::rd_kafka_topic_partition_list_t>,
}

// SAFETY: a list is plain memory that is ours alone.
unsafe impl Send for PartitionList {}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: we own the list.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.ptr.as_ptr()) }
    }
}

impl PartitionList {
    pub(in crate::kafka) fn new() -> PartitionList {
        // SAFETY: no preconditions.
        let ptr = unsafe { sys::rd_kafka_topic_partition_list_new(8) };
        PartitionList { ptr: NonNull::new(ptr).expect("invariant: librdkafka aborts when memory is out") }
    }

    /// A list of `partitions` without offsets.
    pub(in crate::kafka) fn of<'a>(
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> PartitionList {
        let mut list = PartitionList::new();
        for partition in partitions {
            list.push(partition, sys::RD_KAFKA_OFFSET_INVALID.into(), None);
        }
        list
    }

    /// A list of `partitions`, each with its offset.
    pub(in crate::kafka) fn at<'a>(
        offsets: impl IntoIterator<Item = &'a (TopicPartition, i64)>,
    ) -> PartitionList {
        let mut list = PartitionList::new();
        for (partition, offset) in offsets {
            list.push(partition, *offset, None);
        }
        list
    }

    /// A list of topics, for a subscription.
    pub(in crate::kafka) fn topics(topics: &[&str]) -> PartitionList {
        let list = PartitionList::new();
        for topic in topics {
            let topic = c_text(topic);
            // SAFETY: the list is ours, the name is copied.
            unsafe { sys::rd_kafka_topic_partition_list_add(list.ptr.as_ptr(), topic.as_ptr(), -1) };
        }
        list
    }

    pub(in crate::kafka) fn push(&mut self, partition: &TopicPartition, offset: i64, metadata: Option<&str>) {
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

    pub(in crate::kafka) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the list is ours and live.
        unsafe { entries_of(self.ptr.as_ptr()) }
    }
}

/// Copies a list's entries.
///
/// # Safety
/// `list` is null or a live list.
pub(super) unsafe fn entries_of(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<Entry> {
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

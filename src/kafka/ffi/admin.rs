//! Administration by the raw interface: describe, create, trim.
//!
//! Owns the request and result objects of the admin calls. Each call is synchronous: it waits on a queue of its own,
//! at most as long as said. Called by `cluster` only.

use super::rights::{AclOperation, code_of, operations_of};
use super::{
    Arc, CString, Client, ClientError, Code, Duration, Event, NonNull, PartitionList, Queue, TopicPartition,
    c_int, c_text, entries_of, milliseconds, partition_number, ptr, sys, text_of,
};
use crate::log::NewTopic;

/// What the broker says of a topic; one in error has nothing else.
#[derive(Debug, Clone)]
pub(in crate::kafka) struct TopicShape {
    pub name: String,
    pub id: u128,
    pub partitions: u32,
    /// Copies of its first partition.
    pub copies: usize,
    /// What this client may do to it, where that was asked.
    pub allowed: Vec<AclOperation>,
    pub code: Code,
}

/// A topic's configuration, names and values.
pub(in crate::kafka) type TopicConfig = Vec<(String, String)>;

pub(super) struct Options(pub(super) NonNull<sys::rd_kafka_AdminOptions_t>);

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: we own the options.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0.as_ptr()) }
    }
}

struct Resources(Vec<*mut sys::rd_kafka_ConfigResource_t>);

impl Drop for Resources {
    fn drop(&mut self) {
        // SAFETY: we own each of them.
        unsafe { sys::rd_kafka_ConfigResource_destroy_array(self.0.as_mut_ptr(), self.0.len()) }
    }
}

struct NewTopics(Vec<*mut sys::rd_kafka_NewTopic_t>);

impl Drop for NewTopics {
    fn drop(&mut self) {
        // SAFETY: we own each of them.
        unsafe { sys::rd_kafka_NewTopic_destroy_array(self.0.as_mut_ptr(), self.0.len()) }
    }
}

impl NewTopics {
    fn of(topics: &[NewTopic]) -> Result<NewTopics, ClientError> {
        let mut made = NewTopics(Vec::with_capacity(topics.len()));
        for topic in topics {
            let mut text = [0; 512];
            let name = c_text(&topic.name);
            let partitions = c_int::try_from(topic.partitions).unwrap_or(c_int::MAX);
            let copies = if topic.replication == 0 { -1 } else { c_int::from(topic.replication) };
            // SAFETY: the strings live during the calls and are copied; `text` is as long as said; what is made is
            // kept in `made`, which destroys it on each way out.
            unsafe {
                let new = sys::rd_kafka_NewTopic_new(
                    name.as_ptr(),
                    partitions,
                    copies,
                    text.as_mut_ptr(),
                    text.len(),
                );
                if new.is_null() {
                    return Err(ClientError::new(Code::InvalidArgument, text_of(text.as_ptr())));
                }
                made.0.push(new);
                for (name, value) in &topic.config {
                    let (name, value) = (c_text(name), c_text(value));
                    ClientError::check(sys::rd_kafka_NewTopic_set_config(
                        new,
                        name.as_ptr(),
                        value.as_ptr(),
                    ))?;
                }
            }
        }
        Ok(made)
    }
}

impl Client {
    pub(super) fn options(
        &self,
        of: sys::rd_kafka_admin_op_t,
        wait: Duration,
    ) -> Result<Options, ClientError> {
        let mut text = [0; 256];
        // SAFETY: the client lives; `text` is as long as said.
        unsafe {
            let options = NonNull::new(sys::rd_kafka_AdminOptions_new(self.rk(), of))
                .ok_or_else(|| ClientError::new(Code::InvalidArgument, "no such admin call"))?;
            let options = Options(options);
            let (pointer, wait) = (options.0.as_ptr(), milliseconds(wait));
            ClientError::check(sys::rd_kafka_AdminOptions_set_request_timeout(
                pointer,
                wait,
                text.as_mut_ptr(),
                text.len(),
            ))?;
            Ok(options)
        }
    }

    /// Waits for the answer of an admin call.
    pub(super) fn answer(queue: &Queue, wait: Duration) -> Result<Event, ClientError> {
        // The request's own limit comes first, so that an answer is all but certain within a little more.
        let event = queue
            .event(wait + Duration::from_secs(2))
            .ok_or_else(|| ClientError::new(Code::OperationTimedOut, "no answer to an admin call"))?;
        event.error().map_or(Ok(event), Err)
    }

    /// Whether this partition has a leader now, as a broker says; `None` when there is no such partition. What the library
    /// remembers of the topic is what it is told here.
    pub(in crate::kafka) fn has_leader(
        self: &Arc<Client>,
        partition: &TopicPartition,
        wait: Duration,
    ) -> Result<Option<bool>, ClientError> {
        let topic = self.topic(&partition.topic)?;
        let mut found = ptr::null();
        // SAFETY: client and topic live; what is found is given back once, and read only before that; counts describe
        // the arrays found.
        unsafe {
            let answer = sys::rd_kafka_metadata(self.rk(), 0, topic.as_ptr(), &mut found, milliseconds(wait));
            ClientError::check(answer)?;
            let topics = slice_of((*found).topics, (*found).topic_cnt);
            let partitions = topics.first().map(|topic| slice_of(topic.partitions, topic.partition_cnt));
            let number = partition_number(partition.partition);
            let here = partitions.and_then(|all| all.iter().find(|one| one.id == number));
            let has_leader = here.map(|one| one.leader >= 0);
            sys::rd_kafka_metadata_destroy(found);
            Ok(has_leader)
        }
    }

    /// These topics, and what may be done to each where `with_rights` asks for that.
    pub(in crate::kafka) fn describe_topics(
        self: &Arc<Client>,
        topics: &[&str],
        with_rights: bool,
        wait: Duration,
    ) -> Result<Vec<TopicShape>, ClientError> {
        let queue = Queue::new(self);
        let options = self.options(sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, wait)?;
        let names: Vec<CString> = topics.iter().map(|topic| c_text(topic)).collect();
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: names, collection, options and queue live during the call, which copies what it keeps.
        unsafe {
            let set = sys::rd_kafka_AdminOptions_set_include_authorized_operations;
            ClientError::take(set(options.0.as_ptr(), with_rights.into()))?;
            let wanted = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            sys::rd_kafka_DescribeTopics(self.rk(), wanted, options.0.as_ptr(), queue.ptr.as_ptr());
            sys::rd_kafka_TopicCollection_destroy(wanted);
        }
        let event = Client::answer(&queue, wait)?;
        // SAFETY: the event lives to the end of this function, and with it all that is read of the result; counts
        // describe the arrays returned.
        unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(event.ptr.as_ptr());
            let mut count = 0;
            let found = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            Ok((0..count).map(|index| shape_of(*found.add(index))).collect())
        }
    }

    /// The configuration of each of these topics, which must exist.
    pub(in crate::kafka) fn describe_configs(
        self: &Arc<Client>,
        topics: &[&str],
        wait: Duration,
    ) -> Result<Vec<(String, TopicConfig)>, ClientError> {
        let queue = Queue::new(self);
        let options = self.options(sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, wait)?;
        let of_topic = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        // SAFETY: each name lives during its call and is copied; the requests are owned by `wanted`; all live
        // during the call, which copies what it keeps.
        let wanted = unsafe {
            let requests =
                topics.iter().map(|topic| sys::rd_kafka_ConfigResource_new(of_topic, c_text(topic).as_ptr()));
            let mut wanted = Resources(requests.collect());
            let (first, count) = (wanted.0.as_mut_ptr(), wanted.0.len());
            sys::rd_kafka_DescribeConfigs(self.rk(), first, count, options.0.as_ptr(), queue.ptr.as_ptr());
            wanted
        };
        let event = Client::answer(&queue, wait)?;
        drop(wanted);
        let mut all = Vec::with_capacity(topics.len());
        // SAFETY: as in `describe_topics`.
        unsafe {
            let result = sys::rd_kafka_event_DescribeConfigs_result(event.ptr.as_ptr());
            let mut count = 0;
            let found = sys::rd_kafka_DescribeConfigs_result_resources(result, &mut count);
            for index in 0..count {
                let resource = *found.add(index);
                ClientError::check(sys::rd_kafka_ConfigResource_error(resource))?;
                let mut many = 0;
                let entries = sys::rd_kafka_ConfigResource_configs(resource, &mut many);
                let config = (0..many).map(|at| *entries.add(at)).map(|entry| {
                    (
                        text_of(sys::rd_kafka_ConfigEntry_name(entry)),
                        text_of(sys::rd_kafka_ConfigEntry_value(entry)),
                    )
                });
                all.push((text_of(sys::rd_kafka_ConfigResource_name(resource)), config.collect()));
            }
        }
        Ok(all)
    }

    /// Makes these topics; the answer has one code and one text for each.
    pub(in crate::kafka) fn create_topics(
        self: &Arc<Client>,
        topics: &[NewTopic],
        wait: Duration,
    ) -> Result<Vec<(String, ClientError)>, ClientError> {
        let queue = Queue::new(self);
        let options = self.options(sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS, wait)?;
        let mut new = NewTopics::of(topics)?;
        // SAFETY: all live during the call, which copies what it keeps.
        unsafe {
            let (first, count) = (new.0.as_mut_ptr(), new.0.len());
            sys::rd_kafka_CreateTopics(self.rk(), first, count, options.0.as_ptr(), queue.ptr.as_ptr());
        }
        let event = Client::answer(&queue, wait)?;
        // SAFETY: as in `describe_topics`.
        unsafe {
            let result = sys::rd_kafka_event_CreateTopics_result(event.ptr.as_ptr());
            let mut count = 0;
            let found = sys::rd_kafka_CreateTopics_result_topics(result, &mut count);
            let answers = (0..count).map(|index| {
                let topic = *found.add(index);
                let code = Code::from(sys::rd_kafka_topic_result_error(topic));
                let error = ClientError::new(code, text_of(sys::rd_kafka_topic_result_error_string(topic)));
                (text_of(sys::rd_kafka_topic_result_name(topic)), error)
            });
            Ok(answers.collect())
        }
    }

    /// Deletes the records of one partition below an offset.
    pub(in crate::kafka) fn delete_records(
        self: &Arc<Client>,
        partition: &TopicPartition,
        below: i64,
        wait: Duration,
    ) -> Result<(), ClientError> {
        let queue = Queue::new(self);
        let options = self.options(sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETERECORDS, wait)?;
        let list = PartitionList::at([&(partition.clone(), below)]);
        // SAFETY: all live during the call, which copies what it keeps; the request is destroyed once.
        unsafe {
            let mut request = sys::rd_kafka_DeleteRecords_new(list.ptr.as_ptr());
            sys::rd_kafka_DeleteRecords(
                self.rk(),
                ptr::from_mut(&mut request),
                1,
                options.0.as_ptr(),
                queue.ptr.as_ptr(),
            );
            sys::rd_kafka_DeleteRecords_destroy(request);
        }
        let event = Client::answer(&queue, wait)?;
        // SAFETY: the event lives to the end of this function, and with it the list.
        let answers = unsafe {
            let result = sys::rd_kafka_event_DeleteRecords_result(event.ptr.as_ptr());
            entries_of(sys::rd_kafka_DeleteRecords_result_offsets(result))
        };
        match answers.iter().find(|entry| entry.code != Code::NoError) {
            Some(entry) => Err(ClientError::new(entry.code, entry.code.to_string())),
            None => Ok(()),
        }
    }
}

/// # Safety
/// `first` is null or the start of `count` values that live as long as the slice.
unsafe fn slice_of<'a, T>(first: *const T, count: c_int) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: the caller's promise.
        Ok(count) if !first.is_null() => unsafe { std::slice::from_raw_parts(first, count) },
        _ => &[],
    }
}

/// # Safety
/// `topic` is a live description; one in error has no id or an id of zeros.
unsafe fn shape_of(topic: *const sys::rd_kafka_TopicDescription_t) -> TopicShape {
    // SAFETY: the caller's promise; counts describe the arrays returned.
    unsafe {
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let (mut partitions, mut copies, mut allowed) = (0, 0, 0);
        let first = sys::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        if partitions > 0 {
            sys::rd_kafka_TopicPartitionInfo_replicas(*first, &mut copies);
        }
        let operations = sys::rd_kafka_TopicDescription_authorized_operations(topic, &mut allowed);
        TopicShape {
            name: text_of(sys::rd_kafka_TopicDescription_name(topic)),
            id: if id.is_null() { 0 } else { uuid(id) },
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            copies,
            allowed: operations_of(operations, allowed),
            code: code_of(sys::rd_kafka_TopicDescription_error(topic)),
        }
    }
}

/// # Safety
/// `id` is a live id.
unsafe fn uuid(id: *const sys::rd_kafka_Uuid_t) -> u128 {
    // SAFETY: the caller's promise. The halves are signed in this interface; their bits are the id's.
    unsafe {
        let high = sys::rd_kafka_Uuid_most_significant_bits(id) as u64;
        let low = sys::rd_kafka_Uuid_least_significant_bits(id) as u64;
        u128::from(high) << 64 | u128::from(low)
    }
}

//! Questions about who may do what: groups with the operations that the broker would allow, and its words for them.
//!
//! Owns the request and result objects of these admin calls, which wait at most as long as said. Called by `live`.

use super::{
    Arc, CString, Client, ClientError, Code, Duration, Queue, c_text, milliseconds, ptr, sys, text_of,
};
pub(in crate::kafka) use sys::rd_kafka_AclOperation_t as AclOperation;

/// What the broker says of a group to this client.
#[derive(Debug, Clone)]
pub(in crate::kafka) struct GroupRights {
    pub name: String,
    pub code: Code,
    pub state: String,
    pub members: usize,
    pub allowed: Vec<AclOperation>,
}

impl Client {
    /// Whether a broker answers a question at all.
    pub(in crate::kafka) fn ask(&self, wait: Duration) -> Result<(), ClientError> {
        let mut found = ptr::null();
        // SAFETY: the client lives; without a topic only the brokers are asked for; what is found is given back once.
        unsafe {
            let code = sys::rd_kafka_metadata(self.rk(), 0, ptr::null_mut(), &mut found, milliseconds(wait));
            ClientError::check(code)?;
            sys::rd_kafka_metadata_destroy(found);
        }
        Ok(())
    }

    /// These groups with who is in them and what may be done to each.
    pub(in crate::kafka) fn group_rights(
        self: &Arc<Client>,
        groups: &[&str],
        wait: Duration,
    ) -> Result<Vec<GroupRights>, ClientError> {
        let queue = Queue::new(self);
        let of = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let options = self.options(of, wait)?;
        let names: Vec<CString> = groups.iter().map(|group| c_text(group)).collect();
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: names, options and queue live during the call, which copies what it keeps.
        unsafe {
            let set = sys::rd_kafka_AdminOptions_set_include_authorized_operations;
            ClientError::take(set(options.0.as_ptr(), 1))?;
            let (first, count) = (pointers.as_mut_ptr(), pointers.len());
            sys::rd_kafka_DescribeConsumerGroups(
                self.rk(),
                first,
                count,
                options.0.as_ptr(),
                queue.ptr.as_ptr(),
            );
        }
        let event = Client::answer(&queue, wait)?;
        // SAFETY: the event lives to the end of this function, and with it all that is read of the result; counts
        // describe the arrays returned.
        unsafe {
            let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event.ptr.as_ptr());
            let mut count = 0;
            let found = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
            let rights = (0..count).map(|index| {
                let group = *found.add(index);
                let mut allowed = 0;
                let operations =
                    sys::rd_kafka_ConsumerGroupDescription_authorized_operations(group, &mut allowed);
                let state = sys::rd_kafka_ConsumerGroupDescription_state(group);
                GroupRights {
                    name: text_of(sys::rd_kafka_ConsumerGroupDescription_group_id(group)),
                    code: code_of(sys::rd_kafka_ConsumerGroupDescription_error(group)),
                    state: text_of(sys::rd_kafka_consumer_group_state_name(state)),
                    members: sys::rd_kafka_ConsumerGroupDescription_member_count(group),
                    allowed: operations_of(operations, allowed),
                }
            });
            Ok(rights.collect())
        }
    }
}

/// # Safety
/// `error` is null or a live error object.
pub(super) unsafe fn code_of(error: *const sys::rd_kafka_error_t) -> Code {
    if error.is_null() {
        return Code::NoError;
    }
    // SAFETY: the caller's promise.
    unsafe { sys::rd_kafka_error_code(error) }.into()
}

/// # Safety
/// `first` is null or the start of `count` operations that live during the call.
pub(super) unsafe fn operations_of(first: *const AclOperation, count: usize) -> Vec<AclOperation> {
    if first.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's promise; the library writes only operations that it knows.
    unsafe { std::slice::from_raw_parts(first, count) }.to_vec()
}

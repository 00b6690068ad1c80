//! Events: rebalances, commits, deliveries, errors.
//!
//! Owns an event from the moment the library hands it over. What it means is not decided here. Called by `member`,
//! `reader` and `producer`.

use super::{Arc, Client, ClientError, Code, Entry, NonNull, c_int, entries_of, ptr, sys, text_of};

/// Something that happened to a client.
#[derive(Debug)]
pub(in crate::kafka) struct Event {
    pub(super) ptr: NonNull<sys::rd_kafka_event_t>,
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
pub(in crate::kafka) enum About {
    Delivery,
    Rebalance,
    Commit,
    Error,
    Log,
    Other,
}

impl Event {
    pub(super) fn own(ptr: NonNull<sys::rd_kafka_event_t>, client: &Arc<Client>) -> Event {
        Event { ptr, _client: Arc::clone(client) }
    }

    /// The kinds of event that a client has to be asked to deliver.
    pub(in crate::kafka) const DELIVERIES: c_int = sys::RD_KAFKA_EVENT_DR as c_int;
    pub(in crate::kafka) const REBALANCES: c_int = sys::RD_KAFKA_EVENT_REBALANCE as c_int;
    pub(in crate::kafka) const COMMITS: c_int = sys::RD_KAFKA_EVENT_OFFSET_COMMIT as c_int;
    pub(in crate::kafka) const ERRORS: c_int = sys::RD_KAFKA_EVENT_ERROR as c_int;

    pub(in crate::kafka) const LOGS: c_int = sys::RD_KAFKA_EVENT_LOG as c_int;

    pub(in crate::kafka) fn about(&self) -> About {
        // SAFETY: the event is ours and live.
        match unsafe { sys::rd_kafka_event_type(self.ptr.as_ptr()) } as c_int {
            Event::DELIVERIES => About::Delivery,
            Event::REBALANCES => About::Rebalance,
            Event::COMMITS => About::Commit,
            Event::ERRORS => About::Error,
            Event::LOGS => About::Log,
            _ => About::Other,
        }
    }

    /// The event's code: which kind of rebalance, or what went wrong.
    pub(in crate::kafka) fn code(&self) -> Code {
        // SAFETY: the event is ours and live.
        unsafe { sys::rd_kafka_event_error(self.ptr.as_ptr()) }.into()
    }

    /// The error that the event carries.
    pub(in crate::kafka) fn error(&self) -> Option<ClientError> {
        let code = self.code();
        if code == Code::NoError {
            return None;
        }
        // The library reads this flag from a union without looking which member it holds, so that asking about the
        // answer to a commit would give whatever lies there: only error events have one.
        let has_flag = self.about() == About::Error;
        // SAFETY: the event is ours and live, and so is its string until we have copied it.
        unsafe {
            let text = text_of(sys::rd_kafka_event_error_string(self.ptr.as_ptr()));
            let fatal = has_flag && sys::rd_kafka_event_error_is_fatal(self.ptr.as_ptr()) != 0;
            Some(ClientError { code, text, fatal })
        }
    }

    /// The line that the client library would have logged, without its thread's name.
    pub(in crate::kafka) fn log_line(&self) -> Option<String> {
        let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the event is ours and live, and so are its strings until we have copied one.
        unsafe {
            let none = sys::rd_kafka_event_log(self.ptr.as_ptr(), &mut facility, &mut line, &mut level);
            let line = text_of(line);
            let told = line.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: "));
            (none == 0).then(|| told.map_or_else(|| line.clone(), |(_, told)| told.to_owned()))
        }
    }

    /// The partitions of a rebalance or a commit.
    pub(in crate::kafka) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the event is ours and live, and so is its list.
        unsafe { entries_of(sys::rd_kafka_event_topic_partition_list(self.ptr.as_ptr())) }
    }
}

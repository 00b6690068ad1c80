//! A stranger that makes a group share out its partitions anew.
//!
//! Owns nothing that lasts. A static member that restarts is given what it had, whatever has become of its topics, and
//! as leader of its group it never looks again (KAFKA-13435; the library speaks JoinGroup up to version 5, which cannot tell
//! it to): partitions that were added meanwhile are nobody's, for good. A member without a name that joins and leaves makes the
//! leader look. Called by `cluster`.

use super::answers::log_error;
use super::ffi::{About, Client, Event, Kind, PartitionList, Queue};
use super::{Deadline, KafkaSettings, close_consumer};
use crate::log::LogError;
use std::time::Duration;

/// How long the group may take to let the stranger in: the others must come to share out anew.
const SESSIONS: u32 = 2;

/// Joins `group` for `topic` alone, of which nothing is read, and leaves it once the group has shared out. `topic` should be one
/// that no other member reads, so that nobody has to give anything up.
///
/// # Errors
/// When the client cannot be made, or the group does not answer; the others may share out all the same.
pub(super) fn stir(settings: &KafkaSettings, group: &str, topic: &str) -> Result<(), LogError> {
    let properties = settings.consumer_properties(group, None);
    let events = Event::REBALANCES | Event::ERRORS;
    let wrong = |error| log_error(&error, group);
    let client = Client::new(Kind::Consumer, &properties, &settings.secrets, events).map_err(wrong)?;
    client.serve_on_consumer_queue().map_err(wrong)?;
    client.subscribe(&PartitionList::topics(&[topic])).map_err(wrong)?;
    let queue = Queue::consumer(&client);
    let deadline = Deadline::after(Duration::from_millis(u64::from(settings.session_timeout_ms)) * SESSIONS);
    let mut is_in = false;
    while !is_in && !deadline.has_passed() {
        is_in = queue.event(deadline.left()).is_some_and(|event| event.about() == About::Rebalance);
    }
    close_consumer("a stranger", client, queue);
    if is_in { Ok(()) } else { Err(LogError::Away(format!("{group} did not share out in time"))) }
}

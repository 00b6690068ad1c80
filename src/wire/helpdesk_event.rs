//! Reads what the helpdesk says happened: CloudEvents in JSON, structured mode or flat.
//!
//! Owns the shape: `type`, `source`, `id` at the top, the rest (`case_id`, `by`) in `data` or beside them. May not
//! decide what an event does: the desk engine does. Called by intake, which sends what is read to the desk log that
//! the case id names.

use serde_json::{Map, Value};
use triage_engine::desk::Event;
use triage_engine::model::{CaseId, DeadLetterReason};

/// The longest event that is read, in bytes.
pub const EVENT_BYTES_MAX: usize = 512 * 1024;

/// The longest `source`, `id` or `by`, in bytes; desks keep them in their log.
pub const NAME_BYTES_MAX: usize = 256;

/// What a record of the helpdesk's topic is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// An event for the desk log that the case id names.
    Event {
        /// The case.
        case: CaseId,
        /// What happened to it.
        event: HelpdeskEvent,
    },
    /// An event of a type that this release does not act on.
    Ignored,
    /// It cannot be read.
    DeadLetter(DeadLetterReason),
}

/// What happened to a case, as the helpdesk says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelpdeskEvent {
    /// It is resolved.
    CaseResolved {
        /// By whom, empty when not said.
        by: String,
        /// Which system says so, empty when not said.
        source: String,
        /// That system's id of the event, empty when not said.
        id: String,
    },
}

impl HelpdeskEvent {
    /// The desk log's event that says so of `case`.
    #[must_use]
    pub fn as_event(&self, case: CaseId) -> Event<'_> {
        match self {
            HelpdeskEvent::CaseResolved { by, source, id } => {
                Event::CaseResolved { case, by, event_source: source, event_id: id }
            }
        }
    }
}

/// Reads one record's value.
#[must_use]
pub fn read(value: Option<&[u8]>) -> Read {
    read_event(value).unwrap_or_else(Read::DeadLetter)
}

fn read_event(value: Option<&[u8]>) -> Result<Read, DeadLetterReason> {
    let bytes = value.filter(|bytes| !bytes.is_empty()).ok_or(DeadLetterReason::Empty)?;
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(DeadLetterReason::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| DeadLetterReason::InvalidUtf8)?;
    let event: Value = serde_json::from_str(text).map_err(|error| why_unreadable(&error))?;
    let Value::Object(top) = event else { return Err(DeadLetterReason::NotAnObject) };
    let kind = text_of(&top, "type")?.ok_or(DeadLetterReason::MissingField)?;
    if kind != "case.resolved" {
        return Ok(Read::Ignored);
    }
    let data = match top.get("data") {
        Some(Value::Object(data)) => data,
        Some(Value::Null) | None => &top,
        Some(_) => return Err(DeadLetterReason::InvalidField),
    };
    let case = text_of(data, "case_id")?.ok_or(DeadLetterReason::MissingField)?;
    let case = case.parse().map_err(|_| DeadLetterReason::InvalidField)?;
    let event = HelpdeskEvent::CaseResolved {
        by: name_of(data, "by")?,
        source: name_of(&top, "source")?,
        id: name_of(&top, "id")?,
    };
    Ok(Read::Event { case, event })
}

/// serde_json has no kind of its own for nesting; its words for it are checked by a test.
fn why_unreadable(error: &serde_json::Error) -> DeadLetterReason {
    let too_deep = error.to_string().starts_with("recursion limit exceeded");
    if too_deep { DeadLetterReason::TooDeep } else { DeadLetterReason::NotJson }
}

fn text_of<'a>(object: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, DeadLetterReason> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(DeadLetterReason::InvalidField),
    }
}

fn name_of(object: &Map<String, Value>, field: &str) -> Result<String, DeadLetterReason> {
    let name = text_of(object, field)?.unwrap_or_default();
    if name.len() > NAME_BYTES_MAX { Err(DeadLetterReason::InvalidField) } else { Ok(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved() -> Read {
        let event =
            HelpdeskEvent::CaseResolved { by: "ag_17".into(), source: "/helpdesk".into(), id: "e1".into() };
        Read::Event { case: CaseId { partition: 3, offset: 1045 }, event }
    }

    #[test]
    fn a_resolved_case_is_read_from_a_flat_event_and_from_a_structured_one() {
        let flat =
            r#"{"type":"case.resolved","source":"/helpdesk","id":"e1","case_id":"c3-1045","by":"ag_17"}"#;
        let structured = r#"{"specversion":"1.0","type":"case.resolved","source":"/helpdesk","id":"e1",
            "time":"2026-11-22T09:14:03Z","data":{"case_id":"c3-1045","by":"ag_17","note":[1]}}"#;
        assert_eq!(read(Some(flat.as_bytes())), resolved());
        assert_eq!(read(Some(structured.as_bytes())), resolved());
    }

    #[test]
    fn who_and_where_from_may_be_left_out() {
        let event =
            HelpdeskEvent::CaseResolved { by: String::new(), source: String::new(), id: String::new() };
        let case = CaseId { partition: 0, offset: 0 };
        assert_eq!(
            read(Some(br#"{"type":"case.resolved","case_id":"c0-0","by":null}"#)),
            Read::Event { case, event: event.clone() }
        );
        assert!(matches!(event.as_event(case), Event::CaseResolved { by: "", event_id: "", .. }));
    }

    #[test]
    fn types_that_are_not_acted_on_are_ignored_whatever_else_they_hold() {
        for kind in ["agent.activity.changed", "case.replied", "something.new", ""] {
            let event = format!(r#"{{"type":"{kind}","case_id":7,"data":"x"}}"#);
            assert_eq!(read(Some(event.as_bytes())), Read::Ignored, "{kind}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        use DeadLetterReason::*;
        let deep = format!(r#"{{"type":{}"#, "[".repeat(10_000));
        let long = format!(r#"{{"type":"case.resolved","case_id":"c0-0","by":"{}"}}"#, "x".repeat(257));
        let huge = vec![b' '; EVENT_BYTES_MAX + 1];
        let cases: [(&[u8], DeadLetterReason); 14] = [
            (b"", Empty),
            (&huge, TooLarge),
            (b"\xff{}", InvalidUtf8),
            (b"{", NotJson),
            (b"{} {}", NotJson),
            (br#"{"type":"\ud800"}"#, NotJson),
            (deep.as_bytes(), TooDeep),
            (b"[1]", NotAnObject),
            (b"{}", MissingField),
            (br#"{"type":7}"#, InvalidField),
            (br#"{"type":"case.resolved"}"#, MissingField),
            (br#"{"type":"case.resolved","case_id":"ticket 7"}"#, InvalidField),
            (br#"{"type":"case.resolved","data":[],"case_id":"c0-0"}"#, InvalidField),
            (long.as_bytes(), InvalidField),
        ];
        for (bytes, reason) in cases {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
            assert_eq!(read(Some(bytes)), Read::DeadLetter(reason), "{shown}");
        }
        assert_eq!(read(None), Read::DeadLetter(Empty));
    }
}

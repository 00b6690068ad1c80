//! The records of `assignments.<desk>`: everything a helpdesk must know of its cases.
//!
//! Owns their JSON; docs/schemas has one schema for each type. What this release does not know yet is null or empty
//! in its place. The mention's own JSON is spliced in after the verdict, unparsed. May not decide anything. Called by
//! the desk shard for every effect.

use super::cloudevents::{self, Classification, Envelope, generation_text, rfc3339};
use crate::log::Outgoing;
use serde::Serialize;
use triage_engine::desk::{CloseReason, Effect, Event, LogEntry, QueuedMention, What};

/// The plan in force until plans can be switched.
const PLAN: &str = "normal";

/// The type of an effect's record, as `ce_type` says it.
#[must_use]
pub fn kind(what: &What) -> &'static str {
    match what {
        What::AssignmentCreated { .. } => "assignment.created",
        What::MentionAdded => "case.mention_added",
        What::CaseClosed { .. } => "case.closed",
    }
}

#[derive(Serialize)]
struct MentionRecord<'a> {
    assignment_id: &'a str,
    assignment_epoch: u32,
    case_id: &'a str,
    mode: &'static str,
    desk: &'a str,
    queue: &'a str,
    agent: Option<&'a str>,
    reason: &'static str,
    category: &'a str,
    resolution: &'a str,
    tags: &'a [&'a str],
    priority: i32,
    case_version: u64,
    mention_id: &'a str,
    network: &'a str,
    author: AuthorRecord<'a>,
    posted_at: &'a str,
    customer: Option<()>,
    sentiment: Option<i32>,
    pii: PiiRecord<'a>,
    storm: Option<()>,
    sla: Option<()>,
    accept_by: Option<&'a str>,
    reply_by: Option<&'a str>,
    suggested_responses: [&'a str; 0],
    redirect: Option<()>,
    history: [(); 0],
    plan: PlanRecord,
    policy: &'a str,
}

#[derive(Serialize)]
struct AuthorRecord<'a> {
    id: &'a str,
    handle: &'a str,
}

#[derive(Serialize)]
struct PiiRecord<'a> {
    found: &'a [&'a str],
    redacted: bool,
}

#[derive(Serialize)]
struct PlanRecord {
    id: &'static str,
    epoch: i64,
}

#[derive(Serialize)]
struct ClosedRecord<'a> {
    assignment_id: &'a str,
    assignment_epoch: u32,
    case_id: &'a str,
    desk: &'a str,
    queue: &'a str,
    reason: &'static str,
    by: Option<&'a str>,
    case_version: u64,
    opened_at: &'a str,
    closed_at: &'a str,
    mentions: u64,
    plan: PlanRecord,
    policy: &'a str,
}

/// Appends the record of one effect, keyed by its case, with its headers. `entry` is the entry that the effect
/// names, `input_topic` the name of the topic that mentions come from.
///
/// # Panics
/// When the effect speaks of a mention and the entry holds none.
pub fn push(effect: &Effect, entry: &LogEntry<'_>, input_topic: &str, out: &mut Outgoing) {
    let case = effect.case.to_string();
    let policy = generation_text(&effect.generation);
    let (value, input, classification) = match effect.what {
        What::AssignmentCreated { .. } | What::MentionAdded => {
            let Event::Mention(mention) = &entry.event else {
                panic!("invariant: an effect that speaks of a mention was caused by one")
            };
            let found = !mention.pii_found.is_empty();
            let classification = if found { Classification::Confidential } else { Classification::Internal };
            (
                with_mention(effect, &case, &policy, mention),
                Some((input_topic, mention.input)),
                classification,
            )
        }
        What::CaseClosed { .. } => (closed(effect, &case, &policy, entry), None, Classification::Internal),
    };
    let envelope = Envelope {
        id: &format!("{case}.{}", effect.case_version),
        source: &format!("/triaged/desks/{}", effect.desk),
        kind: kind(&effect.what),
        at: effect.at,
        key: &case,
        classification,
        input,
        policy: &policy,
        plan: &format!("{PLAN}@{}", effect.epoch),
    };
    cloudevents::push(&envelope, &value, out);
}

fn with_mention(effect: &Effect, case: &str, policy: &str, mention: &QueuedMention<'_>) -> Vec<u8> {
    // A case that gets another mention stays with whom it is: today that is always its queue.
    let (mode, reason) = match effect.what {
        What::AssignmentCreated { mode } => (mode.name(), "opened"),
        What::MentionAdded | What::CaseClosed { .. } => ("queue", "linked"),
    };
    let record = MentionRecord {
        assignment_id: &effect.assignment.to_string(),
        assignment_epoch: effect.assignment_epoch,
        case_id: case,
        mode,
        desk: &effect.desk,
        queue: &effect.queue,
        agent: None,
        reason,
        category: mention.category,
        resolution: mention.resolution,
        tags: &mention.tags,
        priority: mention.priority,
        case_version: effect.case_version,
        mention_id: mention.mention_id,
        network: mention.network,
        author: AuthorRecord { id: mention.author_id, handle: mention.author_handle },
        posted_at: &rfc3339(mention.posted_at),
        customer: None,
        sentiment: None,
        pii: PiiRecord { found: &mention.pii_found, redacted: mention.pii_redacted },
        storm: None,
        sla: None,
        accept_by: None,
        reply_by: None,
        suggested_responses: [],
        redirect: None,
        history: [],
        plan: PlanRecord { id: PLAN, epoch: effect.epoch },
        policy,
    };
    let mut value = Vec::with_capacity(1_024 + mention.raw.len());
    write_json(&record, &mut value);
    let brace = value.pop();
    assert_eq!(brace, Some(b'}'), "invariant: a record is an object");
    value.extend_from_slice(b",\"mention\":");
    // Nothing was sent in its place where triage had no bytes of it.
    value.extend_from_slice(if mention.raw.is_empty() { b"null" } else { mention.raw });
    value.push(b'}');
    value
}

fn closed(effect: &Effect, case: &str, policy: &str, entry: &LogEntry<'_>) -> Vec<u8> {
    let What::CaseClosed { reason, opened_at, mentions } = effect.what else {
        panic!("invariant: called for closed cases")
    };
    let by = match (&entry.event, reason) {
        (Event::CaseResolved { by, .. }, CloseReason::Resolved) => Some(*by).filter(|by| !by.is_empty()),
        _ => None,
    };
    let record = ClosedRecord {
        assignment_id: &effect.assignment.to_string(),
        assignment_epoch: effect.assignment_epoch,
        case_id: case,
        desk: &effect.desk,
        queue: &effect.queue,
        reason: reason.name(),
        by,
        case_version: effect.case_version,
        opened_at: &rfc3339(opened_at),
        closed_at: &rfc3339(effect.at),
        mentions,
        plan: PlanRecord { id: PLAN, epoch: effect.epoch },
        policy,
    };
    let mut value = Vec::with_capacity(512);
    write_json(&record, &mut value);
    value
}

fn write_json<T: Serialize>(record: &T, value: &mut Vec<u8>) {
    serde_json::to_writer(value, record).expect("invariant: records have string keys and a vector takes all");
}

//! The records of `assignments.<desk>`: everything a helpdesk must know of its cases.
//!
//! Owns their JSON; docs/schemas has one schema for each type. What this release does not know yet is null or empty
//! in its place. The mention's own JSON is spliced in after the verdict, unparsed. May not decide anything. Called by
//! the desk shard for every effect.

use super::cloudevents::{self, Classification, Envelope, generation_text, rfc3339};
use crate::log::Outgoing;
use serde::Serialize;
use std::sync::Arc;
use triage_engine::desk::{CloseReason, Effect, Event, LogEntry, QueuedMention, What};
use triage_engine::policy::Generation;

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

/// Writes the records of a step, with what they have in common made once.
pub struct Writer<'a> {
    input_topic: &'a str,
    policy: Option<(Generation, String)>,
    source: Option<(Arc<str>, String)>,
}

impl<'a> Writer<'a> {
    /// A writer of records about mentions of `input_topic`.
    #[must_use]
    pub fn new(input_topic: &'a str) -> Writer<'a> {
        Writer { input_topic, policy: None, source: None }
    }

    /// Appends the record of one effect, keyed by its case, with its headers, to the batch that `place` names for the
    /// key. `entry` is the entry that the effect names.
    ///
    /// # Panics
    /// When the effect speaks of a mention and the entry holds none.
    pub fn push<'o>(
        &mut self,
        effect: &Effect,
        entry: &LogEntry<'_>,
        place: impl FnOnce(&[u8]) -> &'o mut Outgoing,
    ) {
        if self.policy.as_ref().is_none_or(|(known, _)| *known != effect.generation) {
            self.policy = Some((effect.generation, generation_text(&effect.generation)));
        }
        if self.source.as_ref().is_none_or(|(known, _)| *known != effect.desk) {
            self.source = Some((effect.desk.clone(), format!("/triaged/desks/{}", effect.desk)));
        }
        let (Some((_, policy)), Some((_, source))) = (&self.policy, &self.source) else {
            unreachable!("invariant: just set")
        };
        let case = effect.case.to_string();
        let mention = match (&effect.what, &entry.event) {
            (What::CaseClosed { .. }, _) => None,
            (_, Event::Mention(mention)) => Some(mention),
            _ => panic!("invariant: an effect that speaks of a mention was caused by one"),
        };
        let found = mention.is_some_and(|mention| !mention.pii_found.is_empty());
        let envelope = Envelope {
            id: &format!("{case}.{}", effect.case_version),
            source,
            kind: kind(&effect.what),
            at: effect.at,
            key: &case,
            classification: if found { Classification::Confidential } else { Classification::Internal },
            input: mention.map(|mention| (self.input_topic, mention.input)),
            policy,
            plan: &format!("{PLAN}@{}", effect.epoch),
        };
        let out = place(case.as_bytes());
        cloudevents::push(&envelope, out, |value| match mention {
            Some(mention) => with_mention(effect, &case, policy, mention, value),
            None => closed(effect, &case, policy, entry, value),
        });
    }
}

fn with_mention(effect: &Effect, case: &str, policy: &str, mention: &QueuedMention<'_>, value: &mut Vec<u8>) {
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
    value.reserve(1_024 + mention.raw.len());
    write_json(&record, value);
    let brace = value.pop();
    assert_eq!(brace, Some(b'}'), "invariant: a record is an object");
    value.extend_from_slice(b",\"mention\":");
    // Nothing was sent in its place where triage had no bytes of it.
    value.extend_from_slice(if mention.raw.is_empty() { b"null" } else { mention.raw });
    value.push(b'}');
}

fn closed(effect: &Effect, case: &str, policy: &str, entry: &LogEntry<'_>, value: &mut Vec<u8>) {
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
    write_json(&record, value);
}

fn write_json<T: Serialize>(record: &T, value: &mut Vec<u8>) {
    serde_json::to_writer(value, record).expect("invariant: records have string keys and a vector takes all");
}

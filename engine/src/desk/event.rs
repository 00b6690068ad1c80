//! What a desk log holds, entry by entry.
//!
//! Owns the shapes that the desk engine reads; the daemon's `wire/desk_log` writes and reads their bytes. May not
//! own a byte of a mention: everything is borrowed from the record. Made by triage shards (mentions), intake
//! (helpdesk events) and the desk's owner (ticks, policy switches).

use super::Generation;
use crate::model::{AuthorKey, CaseId, MentionKey, Millis, Position, Source};

/// One record of a desk log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry<'a> {
    /// Its offset in the desk log, 0 or more.
    pub offset: i64,
    /// When the broker appended it (`LogAppendTime`).
    pub at: Millis,
    /// Which record caused it; `None` for what the desk's owner writes itself.
    pub source: Option<SourceMark>,
    /// What happened.
    pub event: Event<'a>,
}

/// Which record caused an entry, and how far its sender had settled its own input by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceMark {
    /// The record that caused the entry.
    pub source: Source,
    /// The committed offset of that partition when the entry was sent; never above the source's own offset,
    /// for a record that is still being sent is not settled.
    pub committed: i64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every entry is a mention: a box would cost an allocation each"
)]
pub enum Event<'a> {
    /// Triage handed a mention to a desk.
    Mention(QueuedMention<'a>),
    /// The helpdesk says that a case is resolved.
    CaseResolved {
        /// Which case.
        case: CaseId,
        /// Who resolved it, empty when not said.
        by: &'a str,
        /// Which system says so, empty when not said.
        event_source: &'a str,
        /// That system's id of the event, empty when not said.
        event_id: &'a str,
    },
    /// Nothing but time.
    Tick,
    /// From here on another policy is in force.
    PolicySwitched {
        /// The offset of the switch on the control topic; one that is not above the epoch in force is ignored.
        epoch: i64,
        /// The policy.
        generation: Generation,
    },
}

/// A mention as triage hands it to a desk: the verdict, then the mention's own bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedMention<'a> {
    /// Its identity for exact dedup.
    pub key: MentionKey,
    /// Who wrote it.
    pub author: AuthorKey,
    /// The id as the producer sent it.
    pub mention_id: &'a str,
    /// The network's short name.
    pub network: &'a str,
    /// The network's id of the author.
    pub author_id: &'a str,
    /// The author's handle, empty when not said.
    pub author_handle: &'a str,
    /// The desk it is routed to.
    pub desk: &'a str,
    /// The queue of that desk.
    pub queue: &'a str,
    /// What the rules that matched said of it, in the policy's order.
    pub tags: Vec<&'a str>,
    /// `complaint`, `feedback`, `technical` or `general`.
    pub category: &'a str,
    /// How urgent, higher is sooner.
    pub priority: i32,
    /// `public`, `private` or `either`.
    pub resolution: &'a str,
    /// When the author posted it; the input record's time stamp where the producer did not say.
    pub posted_at: Millis,
    /// Where the mention stands on the input. Not the source of the entry when the mention was released later.
    pub input: Position,
    /// The policy that decided it.
    pub generation: Generation,
    /// The kinds of personal data found, each once.
    pub pii_found: Vec<&'a str>,
    /// Whether personal data was redacted in `raw`.
    pub pii_redacted: bool,
    /// The mention's own JSON, redacted already.
    pub raw: &'a [u8],
}

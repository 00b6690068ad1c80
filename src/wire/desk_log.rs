//! The bytes of desk-log records.
//!
//! Owns the format, which is internal, versioned and compact: one byte of version, the mark of its source, one byte of
//! kind, the envelope in postcard, and for a mention its own JSON untouched. May not decide anything, and copies nothing
//! when it reads. Written by triage shards, intake and desk owners, read by desk shards and `audit`. The broker's
//! checksum guards the bytes; this format notices cut or foreign ones.

use serde::{Deserialize, Serialize};
use triage_engine::desk::{Event, LogEntry, QueuedMention, SourceMark};
use triage_engine::model::{AuthorKey, CaseId, MentionKey, Millis, Position, Source};
use triage_engine::policy::Generation;

/// The version that this release writes. The high bits keep a desk-log record apart from text.
const VERSION: u8 = 0xd1;

/// Bytes that stand before an event at most: version, whether there is a mark, and as varints its log (128 bits),
/// partition, offset, ordinal and committed offset.
pub const MARK_BYTES_MAX: usize = 1 + 1 + 19 + 5 + 10 + 10 + 10;

const KIND_TICK: u8 = 0;
const KIND_MENTION: u8 = 1;
const KIND_CASE_RESOLVED: u8 = 2;
const KIND_POLICY_SWITCHED: u8 = 3;

/// Why a desk-log record cannot be read. The desk must stop: skipping one would fork its history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskLogFault {
    /// Written by a release that this one does not know, or not by triaged.
    #[error(
        "desk-log record of unknown version {0:#04x} (this release reads {VERSION:#04x}); was it written by a newer release?"
    )]
    Version(u8),
    /// An event that this release does not know.
    #[error("desk-log record of unknown kind {0}; was it written by a newer release?")]
    Kind(u8),
    /// Shorter or longer than it says.
    #[error("damaged desk-log record: {0}")]
    Damaged(&'static str),
    /// The log holds a record without a value.
    #[error("desk-log record without a value; is the topic compacted?")]
    Empty,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    source: Source,
    committed: i64,
}

/// `L` is a list of names: a slice when written, so that writing allocates nothing, a vector when read.
#[derive(Serialize, Deserialize)]
struct MentionEnvelope<'a, L> {
    key: MentionKey,
    author: AuthorKey,
    mention_id: &'a str,
    network: &'a str,
    author_id: &'a str,
    author_handle: &'a str,
    desk: &'a str,
    queue: &'a str,
    tags: L,
    category: &'a str,
    priority: i32,
    resolution: &'a str,
    posted_at: Millis,
    input: Position,
    generation: Generation,
    pii_found: L,
    pii_redacted: bool,
    raw_length: u64,
}

#[derive(Serialize, Deserialize)]
struct CaseResolvedEnvelope<'a> {
    case: CaseId,
    by: &'a str,
    event_source: &'a str,
    event_id: &'a str,
}

#[derive(Serialize, Deserialize)]
struct PolicySwitchedEnvelope {
    epoch: i64,
    generation: Generation,
}

/// Appends the value of the record that carries `event` to `value`.
pub fn encode(source: Option<&SourceMark>, event: &Event<'_>, value: &mut Vec<u8>) {
    encode_marked(source, &[], value);
    encode_event(event, value);
}

/// Appends what stands before an event's bytes, and these bytes: a worker writes the event, which depends on the
/// mention alone; its shard knows the mark, later.
pub fn encode_marked(source: Option<&SourceMark>, event: &[u8], value: &mut Vec<u8>) {
    value.push(VERSION);
    append(&source.map(|mark| Mark { source: mark.source, committed: mark.committed }), value);
    value.extend_from_slice(event);
}

/// Appends the bytes of an event without its mark.
pub fn encode_event(event: &Event<'_>, bytes: &mut Vec<u8>) {
    match event {
        Event::Tick => bytes.push(KIND_TICK),
        Event::Mention(mention) => {
            bytes.push(KIND_MENTION);
            append(&envelope_of(mention), bytes);
            bytes.extend_from_slice(mention.raw);
        }
        Event::CaseResolved { case, by, event_source, event_id } => {
            bytes.push(KIND_CASE_RESOLVED);
            append(&CaseResolvedEnvelope { case: *case, by, event_source, event_id }, bytes);
        }
        Event::PolicySwitched { epoch, generation } => {
            bytes.push(KIND_POLICY_SWITCHED);
            append(&PolicySwitchedEnvelope { epoch: *epoch, generation: *generation }, bytes);
        }
    }
}

/// Appends the key of the record that carries `event` to `key`: the author's for a mention, the case's id for what
/// speaks of a case. False when it has none. The key informs; the desk's `log_partition` chooses the partition.
pub fn encode_key(event: &Event<'_>, key: &mut Vec<u8>) -> bool {
    match event {
        Event::Mention(mention) => key.extend_from_slice(&mention.author.0.to_be_bytes()),
        Event::CaseResolved { case, .. } => key.extend_from_slice(case.to_string().as_bytes()),
        Event::Tick | Event::PolicySwitched { .. } => return false,
    }
    true
}

/// Reads a record of the desk log, borrowing from its value.
///
/// # Errors
/// When the bytes are not a record that this release can read; the reason says why.
pub fn decode(offset: i64, at: Millis, value: Option<&[u8]>) -> Result<LogEntry<'_>, DeskLogFault> {
    let value = value.ok_or(DeskLogFault::Empty)?;
    let (&version, rest) = value.split_first().ok_or(DeskLogFault::Empty)?;
    if version != VERSION {
        return Err(DeskLogFault::Version(version));
    }
    let (mark, rest) = take::<Option<Mark>>(rest)?;
    let (&kind, body) = rest.split_first().ok_or(DeskLogFault::Damaged("it ends before its kind"))?;
    let event = match kind {
        KIND_TICK if body.is_empty() => Event::Tick,
        KIND_TICK => return Err(DeskLogFault::Damaged("a tick with a body")),
        KIND_MENTION => {
            let (envelope, raw) = take::<MentionEnvelope<'_, Vec<&str>>>(body)?;
            if raw.len() as u64 != envelope.raw_length {
                return Err(DeskLogFault::Damaged("the mention is shorter or longer than its envelope says"));
            }
            split_mention(envelope, raw)
        }
        KIND_CASE_RESOLVED => {
            let CaseResolvedEnvelope { case, by, event_source, event_id } = take_whole(body)?;
            Event::CaseResolved { case, by, event_source, event_id }
        }
        KIND_POLICY_SWITCHED => {
            let PolicySwitchedEnvelope { epoch, generation } = take_whole(body)?;
            Event::PolicySwitched { epoch, generation }
        }
        other => return Err(DeskLogFault::Kind(other)),
    };
    Ok(LogEntry { offset, at, source: mark.map(checked_mark).transpose()?, event })
}

/// A sender names what it had settled when it sent: never the very record it was sending, nor one before the log.
fn checked_mark(mark: Mark) -> Result<SourceMark, DeskLogFault> {
    if mark.committed < 0 || mark.committed > mark.source.position.offset {
        return Err(DeskLogFault::Damaged("its source was settled before it was sent"));
    }
    Ok(SourceMark { source: mark.source, committed: mark.committed })
}

fn append<T: Serialize>(envelope: &T, value: &mut Vec<u8>) {
    // A vector cannot run out of room, and no envelope has a type that postcard refuses.
    postcard::serialize_with_flavor(envelope, Appender(value)).expect("invariant: envelopes can be written");
}

/// Lets postcard append whole slices to a vector that the caller keeps.
struct Appender<'v>(&'v mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appender<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn take<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<(T, &'a [u8]), DeskLogFault> {
    postcard::take_from_bytes(body).map_err(|_| DeskLogFault::Damaged("its envelope cannot be read"))
}

fn take_whole<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, DeskLogFault> {
    let (envelope, rest) = take(body)?;
    if rest.is_empty() { Ok(envelope) } else { Err(DeskLogFault::Damaged("bytes follow its envelope")) }
}

fn envelope_of<'m, 'a>(mention: &'m QueuedMention<'a>) -> MentionEnvelope<'a, &'m [&'a str]> {
    MentionEnvelope {
        key: mention.key,
        author: mention.author,
        mention_id: mention.mention_id,
        network: mention.network,
        author_id: mention.author_id,
        author_handle: mention.author_handle,
        desk: mention.desk,
        queue: mention.queue,
        tags: &mention.tags,
        category: mention.category,
        priority: mention.priority,
        resolution: mention.resolution,
        posted_at: mention.posted_at,
        input: mention.input,
        generation: mention.generation,
        pii_found: &mention.pii_found,
        pii_redacted: mention.pii_redacted,
        raw_length: mention.raw.len() as u64,
    }
}

fn split_mention<'a>(envelope: MentionEnvelope<'a, Vec<&'a str>>, raw: &'a [u8]) -> Event<'a> {
    Event::Mention(QueuedMention {
        key: envelope.key,
        author: envelope.author,
        mention_id: envelope.mention_id,
        network: envelope.network,
        author_id: envelope.author_id,
        author_handle: envelope.author_handle,
        desk: envelope.desk,
        queue: envelope.queue,
        tags: envelope.tags,
        category: envelope.category,
        priority: envelope.priority,
        resolution: envelope.resolution,
        posted_at: envelope.posted_at,
        input: envelope.input,
        generation: envelope.generation,
        pii_found: envelope.pii_found,
        pii_redacted: envelope.pii_redacted,
        raw,
    })
}

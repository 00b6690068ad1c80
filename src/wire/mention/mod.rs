//! Reads a record of the input as a mention, without copying what it says.
//!
//! Owns the bytes while a mention is borrowed from them, and says why a record cannot be read. May not decide what
//! becomes of a mention. Called by the workers, one decoder each; `map` tells where fields stand, `walk` finds them,
//! `shape` makes the mention, `fallback` gives a refused record its second opinion.

mod fallback;
pub(crate) mod map;
pub(crate) mod markup;
mod presets;
mod shape;
mod times;
mod walk;

pub use map::{FieldMap, FieldMapConfig, FieldMapMistake, Paths, Preset, TextFormat};

use shape::{Fixed, Reader, Shape};
use simd_json::{Buffers, INPUT_PADDING, Node, Tape};
use std::sync::Arc;
use triage_engine::model::{DeadLetterReason, Mention};
use walk::Found;

/// The name under which a record that is well formed but no mention is counted as noise.
pub const NOT_A_MENTION: &str = "not_a_mention";

/// How large and how deep a record may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of a record's value; checked before anything is read.
    pub mention_bytes_max: usize,
    /// Objects and arrays inside each other. Real posts need about ten.
    pub depth_max: usize,
}

impl Default for DecodeLimits {
    fn default() -> DecodeLimits {
        DecodeLimits { mention_bytes_max: 512 * 1024, depth_max: 128 }
    }
}

/// What a readable record is.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded<'a> {
    /// A mention.
    Mention {
        /// Borrowed from the decoder until its next call.
        mention: Mention<'a>,
        /// What was odd about the record.
        notes: Notes,
    },
    /// A well-formed record of the source that carries no post, such as a like: its disposition is `noise` under the
    /// built-in rule [`NOT_A_MENTION`].
    NotAMention {
        /// What was odd about the record.
        notes: Notes,
    },
}

/// What was odd about a record that could be read all the same; to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notes {
    /// The fast parser refused the record and the second opinion was asked.
    pub fallback_used: bool,
    /// Optional fields that were there and could not be read: a date in the far future, a negative count.
    pub unreadable_fields: u32,
    /// Keys of the field map that came twice in one object; the first one was read.
    pub duplicate_keys: u32,
}

impl Decoded<'_> {
    /// What was odd about the record.
    #[must_use]
    pub fn notes(&self) -> Notes {
        match self {
            Decoded::Mention { notes, .. } | Decoded::NotAMention { notes } => *notes,
        }
    }

    /// Whether the fast parser refused the record.
    #[must_use]
    pub fn fallback_used(&self) -> bool {
        self.notes().fallback_used
    }
}

/// Reads records one after the other, with memory that is used again. One per thread.
pub struct Decoder {
    map: Arc<FieldMap>,
    limits: DecodeLimits,
    buffers: Buffers,
    /// The record, padded; strings are unescaped in place.
    record: Vec<u8>,
    /// The record in the form that the second opinion gave it.
    rewritten: Vec<u8>,
    /// The tape's memory between two records.
    tape: Option<Tape<'static>>,
    /// Text that does not stand in the record as it is read.
    arena: String,
    fallbacks: u64,
}

impl Decoder {
    /// A decoder for records of the shape that `map` tells of.
    ///
    /// # Panics
    /// When a limit is 0.
    #[must_use]
    pub fn new(map: Arc<FieldMap>, limits: DecodeLimits) -> Decoder {
        assert!(limits.mention_bytes_max > 0 && limits.depth_max > 0);
        Decoder {
            map,
            limits,
            buffers: Buffers::with_max_depth(4096, limits.depth_max),
            record: Vec::new(),
            rewritten: Vec::new(),
            tape: None,
            arena: String::new(),
            fallbacks: 0,
        }
    }

    /// The field map.
    #[must_use]
    pub fn map(&self) -> &Arc<FieldMap> {
        &self.map
    }

    /// How often the second opinion was asked since the start, whatever it said.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.fallbacks
    }

    /// Reads a record's value.
    ///
    /// Where an object has a key twice the first counts. What follows the object, but white space, makes the record
    /// unreadable, as do a byte-order mark and lone surrogates; U+0000 is a character like any other.
    ///
    /// # Errors
    /// The reason why the record is a dead letter.
    pub fn decode(&mut self, value: Option<&[u8]>) -> Result<Decoded<'_>, DeadLetterReason> {
        let value = value.filter(|value| !value.is_empty()).ok_or(DeadLetterReason::Empty)?;
        if value.len() > self.limits.mention_bytes_max {
            return Err(DeadLetterReason::TooLarge);
        }
        let Decoder { map, buffers, record, rewritten, tape: spare, arena, fallbacks, .. } = self;
        arena.clear();
        let mut notes = Notes::default();
        let tape = spare.take().unwrap_or_else(Tape::null).reset();
        let tape = match parse(value, record, buffers, tape) {
            Ok(tape) => tape,
            Err(refusal) => {
                *fallbacks += 1;
                notes.fallback_used = true;
                let mut other = std::mem::take(rewritten);
                let opinion = fallback::second_opinion(value, &refusal, &mut other);
                *rewritten = Vec::new();
                opinion?;
                parse(&other, rewritten, buffers, Tape::null())
                    .map_err(|refusal| fallback::reason(&refusal))?
            }
        };
        let read = interpret(&tape.0, map, arena, &mut notes);
        *spare = Some(tape.reset());
        Ok(match read? {
            Shape::NotAMention => Decoded::NotAMention { notes },
            Shape::Mention(draft) => Decoded::Mention { mention: draft.finish(arena), notes },
        })
    }
}

/// Parses a copy of `json` in `padded`.
fn parse<'a>(
    json: &[u8],
    padded: &'a mut Vec<u8>,
    buffers: &mut Buffers,
    mut tape: Tape<'a>,
) -> simd_json::Result<Tape<'a>> {
    padded.clear();
    padded.extend_from_slice(json);
    padded.resize(json.len() + INPUT_PADDING, b' ');
    simd_json::fill_tape_padded(padded, json.len(), buffers, &mut tape)?;
    Ok(tape)
}

fn interpret<'a>(
    tape: &[Node<'a>],
    map: &'a FieldMap,
    arena: &mut String,
    notes: &mut Notes,
) -> Result<Shape<'a>, DeadLetterReason> {
    if !matches!(tape.first(), Some(Node::Object { .. })) {
        return Err(DeadLetterReason::NotAnObject);
    }
    let found = Found::walk(tape, map);
    notes.duplicate_keys = found.duplicate_keys;
    let fixed = Fixed { network: map.network_fixed.as_deref(), account: &map.account_fixed };
    let (shape, unreadable) = Reader { found, map, arena, unreadable: 0 }.read(fixed)?;
    notes.unreadable_fields = unreadable;
    Ok(shape)
}

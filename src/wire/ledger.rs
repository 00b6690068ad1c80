//! The write-ahead ledger's record: what was decided for one run of one input partition, column by column.
//!
//! Owns the layout (docs/formats.md), its check sum and its limits. May not decide anything, nor read a log.
//! Written by triage shards before any other effect of the run, read by whoever takes the partition over, by
//! `audit` and by `explain`. What is damaged, cut short or of another version is refused with the reason.

use triage_engine::model::{Disposition, MentionKey, Millis, StreamId};
use triage_engine::policy::Generation;
use triage_engine::triage::DETAIL_NONE;

/// What an entry's `desk` or `queue` says when there is nothing to say; its `detail` says [`DETAIL_NONE`].
pub const NONE: u16 = u16::MAX;

/// The most entries that one run may hold; about 5 MB of ledger. Bounds what a reader allocates.
pub const ENTRIES_MAX: usize = 1 << 18;

/// The version that this release writes, and the only one that it reads.
const VERSION: u16 = 2;
const MAGIC: [u8; 4] = *b"TLGR";
const HEADER_BYTES: usize = 88;
const CHECKSUM_BYTES: usize = 4;
const KEY_BYTES: usize = 16;

/// Bits of the column word. Bits 3 to 5 are kept for columns that later releases write: storm, customer
/// version, case hint. A reader refuses a bit that it does not know, since an owner that cannot
/// read a column cannot obey it.
const HAS_EXPIRED: u16 = 1 << 0;
const HAS_GAPS: u16 = 1 << 1;
const HAS_KEYS: u16 = 1 << 2;
const SUPERSEDES: u16 = 1 << 6;
const COLUMNS_KNOWN: u16 = HAS_EXPIRED | HAS_GAPS | HAS_KEYS | SUPERSEDES;

/// An entry's nibble: three bits of disposition, one bit that says whether it has a key.
const KEY_BIT: u8 = 1 << 3;
const _: () = {
    let mut index = 0;
    while index < Disposition::ALL.len() {
        assert!((Disposition::ALL[index] as u8) < KEY_BIT, "a disposition outgrew its three bits");
        index += 1;
    }
};

/// What was decided for one run of one input partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRun {
    /// The number of the rules under which it was decided.
    pub semantics: u32,
    /// The policy that was in force.
    pub generation: Generation,
    /// The epoch of the plan that was in force: the offset of its switch on the control topic, -1 before any.
    pub plan_epoch: i64,
    /// The shard's clock: the highest record time so far.
    pub now: Millis,
    /// Offsets lost to the broker's retention before they were read, first and last; all below the entries.
    pub expired: Option<(i64, i64)>,
    /// Set when the entries supersede earlier ones of their offsets, for a request that brings mentions back.
    pub superseding: Option<Superseding>,
    /// One for each record, offsets ascending; offsets between the first and the last that have none are holes.
    pub entries: Vec<LedgerEntry>,
}

/// For which request entries supersede earlier ones. The effective entry of an offset is the first of the request with
/// the highest place, and the first of all where no request has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Superseding {
    /// The control topic on which the request stands.
    pub log: StreamId,
    /// Its offset there.
    pub request: i64,
    /// The request speaks of offsets below this one: what was committed when its first record was written here. The first
    /// record's end holds for all records of the request.
    pub below: i64,
}

/// What was decided for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The record's offset, 0 or more.
    pub offset: i64,
    /// What became of it.
    pub disposition: Disposition,
    /// The rule's index for noise and blocked, the reason's code for a dead letter, [`DETAIL_NONE`] otherwise.
    pub detail: u32,
    /// The desk's index in the generation, or [`NONE`].
    pub desk: u16,
    /// The queue's index in the generation, or [`NONE`].
    pub queue: u16,
    /// The mention's identity, if it was read far enough to have one.
    pub key: Option<MentionKey>,
}

/// Why bytes are no ledger record that this release may obey.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Shorter than the shortest record.
    #[error("ledger record of {bytes} bytes is cut short: the shortest has {least}", least = HEADER_BYTES + CHECKSUM_BYTES)]
    Short {
        /// How many bytes there were.
        bytes: usize,
    },
    /// Does not start as a ledger record does.
    #[error("not a ledger record: it starts with {0:02x?}")]
    Foreign([u8; 4]),
    /// Written by another release.
    #[error("ledger format {found} is not known to this release, which reads {VERSION}")]
    Version {
        /// The version that the record names.
        found: u16,
    },
    /// Some byte is not as it was written.
    #[error("ledger record is damaged: check sum {computed:08x}, written {written:08x}")]
    Damaged {
        /// Computed over the bytes at hand.
        computed: u32,
        /// Found at the end of the record.
        written: u32,
    },
    /// Has a column that this release could not obey.
    #[error("ledger record has columns {0:#06x} that this release does not know")]
    UnknownColumns(u16),
    /// The check sum holds and the content contradicts itself: a writer's fault.
    #[error("ledger record contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// How a column is stored for the entries of one disposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// None has a value; nothing is stored.
    Absent = 0,
    /// One value for all, stored once.
    Constant = 1,
    /// A varint for each.
    Each = 2,
}

/// The three columns of small numbers, in the order in which they are stored.
const COLUMNS: usize = 3;

/// The values as they are stored: plus one, so that "none", which is frequent, is 0 and takes one byte.
fn columns_of(entry: &LedgerEntry) -> [u32; COLUMNS] {
    let short = |value: u16| u32::from(value.wrapping_add(1));
    [entry.detail.wrapping_add(1), short(entry.desk), short(entry.queue)]
}

/// Dispositions are numbered from 1; slot 0 stays unused.
const SLOTS: usize = KEY_BIT as usize;

/// What [`encode`] must know of a run before it can write it, found in one pass.
struct Survey {
    modes: [[Mode; COLUMNS]; SLOTS],
    constants: [[u32; COLUMNS]; SLOTS],
    keys: bool,
}

impl Survey {
    fn of(entries: &[LedgerEntry]) -> Survey {
        let mut survey =
            Survey { modes: [[Mode::Absent; COLUMNS]; SLOTS], constants: [[0; COLUMNS]; SLOTS], keys: false };
        let mut seen = [false; SLOTS];
        for entry in entries {
            let slot = usize::from(entry.disposition.code());
            let values = columns_of(entry);
            survey.keys |= entry.key.is_some();
            for (column, &value) in values.iter().enumerate() {
                if !seen[slot] {
                    survey.constants[slot][column] = value;
                    survey.modes[slot][column] = if value == 0 { Mode::Absent } else { Mode::Constant };
                } else if survey.constants[slot][column] != value {
                    survey.modes[slot][column] = Mode::Each;
                }
            }
            seen[slot] = true;
        }
        survey
    }

    fn word(&self) -> u64 {
        let mut word = 0;
        for slot in 0..SLOTS {
            for column in 0..COLUMNS {
                word |= (self.modes[slot][column] as u64) << mode_shift(slot, column);
            }
        }
        word
    }

    fn from_word(word: u64) -> Result<Survey, LedgerError> {
        let mut survey =
            Survey { modes: [[Mode::Absent; COLUMNS]; SLOTS], constants: [[0; COLUMNS]; SLOTS], keys: false };
        for slot in 0..SLOTS {
            for column in 0..COLUMNS {
                survey.modes[slot][column] = match (word >> mode_shift(slot, column)) & 0b11 {
                    0 => Mode::Absent,
                    1 => Mode::Constant,
                    2 => Mode::Each,
                    _ => {
                        return Err(LedgerError::Contradiction(
                            "a column is stored in a way that does not exist",
                        ));
                    }
                };
            }
        }
        if survey.word() == word {
            Ok(survey)
        } else {
            Err(LedgerError::Contradiction("spare mode bits are set"))
        }
    }
}

/// Two bits for each disposition and column: 48 of 64 in use.
fn mode_shift(slot: usize, column: usize) -> usize {
    2 * (slot * COLUMNS + column)
}

/// Appends the record of `run` to `out`. Allocates nothing but what `out` has to grow.
///
/// # Panics
/// When offsets are negative or do not ascend, when the lost range is empty or not below the entries, or when
/// there are more than [`ENTRIES_MAX`]: what is written ahead is obeyed, so a wrong one must not be written.
pub fn encode(run: &LedgerRun, out: &mut Vec<u8>) {
    let entries = &run.entries;
    assert!(entries.len() <= ENTRIES_MAX, "a run holds at most {ENTRIES_MAX} entries, not {}", entries.len());
    assert!(entries.is_sorted_by(|a, b| a.offset < b.offset), "offsets of a run ascend");
    let (first, last) = match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => (first.offset, last.offset),
        _ => (0, -1),
    };
    assert!(first >= 0 && last < i64::MAX, "an offset is 0 or more and has a next: {first}..={last}");
    if let Some((from, to)) = run.expired {
        assert!(0 <= from && from <= to, "a lost range {from}..={to} is empty");
        assert!(entries.is_empty() || to < first, "a lost range lies below the entries");
    }
    if let Some(of) = run.superseding {
        assert!(run.expired.is_none() && of.request >= 0 && last < of.below, "what is superseded lies below");
    }
    let survey = Survey::of(entries);
    let holes = !entries.is_empty() && (last - first) as u64 + 1 != entries.len() as u64;
    let mut columns = 0;
    columns |= if run.expired.is_some() { HAS_EXPIRED } else { 0 };
    columns |= if holes { HAS_GAPS } else { 0 };
    columns |= if survey.keys { HAS_KEYS } else { 0 };
    columns |= if run.superseding.is_some() { SUPERSEDES } else { 0 };

    let start = out.len();
    out.reserve(HEADER_BYTES + CHECKSUM_BYTES + entries.len() * (KEY_BYTES + 4));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&columns.to_le_bytes());
    out.extend_from_slice(&run.semantics.to_le_bytes());
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    out.extend_from_slice(&run.generation.0);
    out.extend_from_slice(&run.plan_epoch.to_le_bytes());
    out.extend_from_slice(&run.now.0.to_le_bytes());
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&last.to_le_bytes());
    out.extend_from_slice(&survey.word().to_le_bytes());
    debug_assert_eq!(out.len() - start, HEADER_BYTES);
    if let Some((from, to)) = run.expired {
        out.extend_from_slice(&from.to_le_bytes());
        out.extend_from_slice(&to.to_le_bytes());
    }
    if let Some(of) = run.superseding {
        out.extend_from_slice(&of.log.0.to_le_bytes());
        out.extend_from_slice(&of.request.to_le_bytes());
        out.extend_from_slice(&of.below.to_le_bytes());
    }
    if holes {
        encode_gaps(entries, out);
    }
    encode_dispositions(entries, out);
    encode_columns(entries, &survey, out);
    for key in entries.iter().filter_map(|entry| entry.key) {
        out.extend_from_slice(&key.0.to_le_bytes());
    }
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// Lengths by turns: records present, offsets absent, present, …, ending with records present.
fn encode_gaps(entries: &[LedgerEntry], out: &mut Vec<u8>) {
    let mut present = 1_u64;
    for pair in entries.windows(2) {
        let absent = (pair[1].offset - pair[0].offset - 1) as u64;
        if absent > 0 {
            push_varint(present, out);
            push_varint(absent, out);
            present = 0;
        }
        present += 1;
    }
    push_varint(present, out);
}

/// Two entries a byte, the earlier one in the low half.
fn encode_dispositions(entries: &[LedgerEntry], out: &mut Vec<u8>) {
    let nibble =
        |entry: &LedgerEntry| entry.disposition.code() | if entry.key.is_some() { KEY_BIT } else { 0 };
    for pair in entries.chunks(2) {
        out.push(nibble(&pair[0]) | pair.get(1).map_or(0, |entry| nibble(entry) << 4));
    }
}

/// For each column: the constants of its dispositions in the order of their numbers, then each other value.
fn encode_columns(entries: &[LedgerEntry], survey: &Survey, out: &mut Vec<u8>) {
    for column in 0..COLUMNS {
        for slot in 0..SLOTS {
            if survey.modes[slot][column] == Mode::Constant {
                push_varint(u64::from(survey.constants[slot][column]), out);
            }
        }
        for entry in entries {
            if survey.modes[usize::from(entry.disposition.code())][column] == Mode::Each {
                push_varint(u64::from(columns_of(entry)[column]), out);
            }
        }
    }
}

/// Seven bits a byte, lowest first, the top bit set on all but the last.
fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a record back.
///
/// # Errors
/// [`LedgerError`] for anything but a whole, undamaged record of a version and with columns that are known.
pub fn decode(bytes: &[u8]) -> Result<LedgerRun, LedgerError> {
    if bytes.len() < HEADER_BYTES + CHECKSUM_BYTES {
        return Err(LedgerError::Short { bytes: bytes.len() });
    }
    let (body, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    let mut reader = Reader { bytes: body };
    let magic = reader.array::<4>()?;
    if magic != MAGIC {
        return Err(LedgerError::Foreign(magic));
    }
    let version = u16::from_le_bytes(reader.array()?);
    if version != VERSION {
        return Err(LedgerError::Version { found: version });
    }
    let written = u32::from_le_bytes([checksum[0], checksum[1], checksum[2], checksum[3]]);
    let computed = crc32fast::hash(body);
    if computed != written {
        return Err(LedgerError::Damaged { computed, written });
    }
    let columns = u16::from_le_bytes(reader.array()?);
    if columns & !COLUMNS_KNOWN != 0 {
        return Err(LedgerError::UnknownColumns(columns & !COLUMNS_KNOWN));
    }
    decode_body(columns, &mut reader)
}

fn decode_body(columns: u16, reader: &mut Reader<'_>) -> Result<LedgerRun, LedgerError> {
    let wrong = LedgerError::Contradiction;
    let semantics = u32::from_le_bytes(reader.array()?);
    let count = u32::from_le_bytes(reader.array()?) as usize;
    let generation = Generation(reader.array()?);
    let plan_epoch = i64::from_le_bytes(reader.array()?);
    let now = Millis(i64::from_le_bytes(reader.array()?));
    let first = i64::from_le_bytes(reader.array()?);
    let last = i64::from_le_bytes(reader.array()?);
    let survey = Survey::from_word(u64::from_le_bytes(reader.array()?))?;
    if count > ENTRIES_MAX {
        return Err(wrong("more entries than a run may hold"));
    }
    let span_ok = if count == 0 { (first, last) == (0, -1) } else { first >= 0 && last >= first };
    if !span_ok {
        return Err(wrong("the first and the last offset do not fit the count"));
    }
    let expired = if columns & HAS_EXPIRED == 0 {
        None
    } else {
        let range = (i64::from_le_bytes(reader.array()?), i64::from_le_bytes(reader.array()?));
        if range.0 < 0 || range.1 < range.0 || (count > 0 && range.1 >= first) {
            return Err(wrong("the lost range is empty or not below the entries"));
        }
        Some(range)
    };
    let superseding = if columns & SUPERSEDES == 0 { None } else { Some(decode_superseding(last, reader)?) };
    if superseding.is_some() && expired.is_some() {
        return Err(wrong("what is superseded cannot be lost"));
    }
    let mut entries = Vec::new();
    decode_offsets(columns & HAS_GAPS != 0, first, last, count, reader, &mut entries)?;
    decode_dispositions(reader, &mut entries)?;
    decode_columns(survey, reader, &mut entries)?;
    decode_keys(columns & HAS_KEYS != 0, reader, &mut entries)?;
    if !reader.bytes.is_empty() {
        return Err(wrong("bytes are left over"));
    }
    Ok(LedgerRun { semantics, generation, plan_epoch, now, expired, superseding, entries })
}

fn decode_superseding(last: i64, reader: &mut Reader<'_>) -> Result<Superseding, LedgerError> {
    let log = StreamId(u128::from_le_bytes(reader.array()?));
    let (request, below) = (i64::from_le_bytes(reader.array()?), i64::from_le_bytes(reader.array()?));
    if request < 0 || last >= below {
        return Err(LedgerError::Contradiction("what is superseded does not lie below the request's end"));
    }
    Ok(Superseding { log, request, below })
}

fn decode_offsets(
    gaps: bool,
    first: i64,
    last: i64,
    count: usize,
    reader: &mut Reader<'_>,
    entries: &mut Vec<LedgerEntry>,
) -> Result<(), LedgerError> {
    let wrong = LedgerError::Contradiction;
    // Each entry takes at least half a byte, so the bytes at hand bound what is allocated.
    if count.div_ceil(2) > reader.bytes.len() {
        return Err(wrong("fewer bytes than entries need"));
    }
    entries.reserve_exact(count);
    let mut push_present = |offset: &mut i64, present: u64| {
        if present == 0 || present > (count - entries.len()) as u64 {
            return Err(wrong("the records present do not add up to the count"));
        }
        for _ in 0..present {
            let blank = Disposition::Expired;
            entries.push(LedgerEntry {
                offset: *offset,
                disposition: blank,
                detail: DETAIL_NONE,
                desk: NONE,
                queue: NONE,
                key: None,
            });
            *offset = offset.checked_add(1).ok_or(wrong("an offset is out of range"))?;
        }
        Ok(entries.len())
    };
    let mut offset = first;
    if !gaps {
        if count > 0 {
            push_present(&mut offset, count as u64)?;
        }
    } else {
        let mut filled = push_present(&mut offset, reader.varint()?)?;
        while filled < count {
            let absent = i64::try_from(reader.varint()?).ok().filter(|&absent| absent > 0);
            let absent = absent.ok_or(wrong("a hole has no length"))?;
            offset = offset.checked_add(absent).ok_or(wrong("an offset is out of range"))?;
            filled = push_present(&mut offset, reader.varint()?)?;
        }
    }
    if count > 0 && offset - 1 != last {
        return Err(wrong("the offsets do not end at the last one"));
    }
    Ok(())
}

fn decode_dispositions(reader: &mut Reader<'_>, entries: &mut [LedgerEntry]) -> Result<(), LedgerError> {
    let packed = reader.take(entries.len().div_ceil(2))?;
    for (index, entry) in entries.iter_mut().enumerate() {
        let nibble = (packed[index / 2] >> (4 * (index % 2))) & 0x0f;
        entry.disposition = Disposition::from_code(nibble & !KEY_BIT)
            .ok_or(LedgerError::Contradiction("a disposition that does not exist"))?;
        // The key's bytes come last; until then its place is marked.
        entry.key = (nibble & KEY_BIT != 0).then_some(MentionKey(0));
    }
    let spare = if entries.len() % 2 == 1 { packed[packed.len() - 1] >> 4 } else { 0 };
    if spare == 0 { Ok(()) } else { Err(LedgerError::Contradiction("the spare half byte is set")) }
}

fn decode_columns(
    mut survey: Survey,
    reader: &mut Reader<'_>,
    entries: &mut [LedgerEntry],
) -> Result<(), LedgerError> {
    for column in 0..COLUMNS {
        for slot in 0..SLOTS {
            if survey.modes[slot][column] == Mode::Constant {
                survey.constants[slot][column] = reader.value(column)?;
            }
        }
        for entry in &mut *entries {
            let slot = usize::from(entry.disposition.code());
            let value = match survey.modes[slot][column] {
                Mode::Absent => 0,
                Mode::Constant => survey.constants[slot][column],
                Mode::Each => reader.value(column)?,
            };
            match column {
                0 => entry.detail = value.wrapping_sub(1),
                1 => entry.desk = (value as u16).wrapping_sub(1),
                _ => entry.queue = (value as u16).wrapping_sub(1),
            }
        }
    }
    Ok(())
}

fn decode_keys(
    present: bool,
    reader: &mut Reader<'_>,
    entries: &mut [LedgerEntry],
) -> Result<(), LedgerError> {
    let mut any = false;
    for key in entries.iter_mut().filter_map(|entry| entry.key.as_mut()) {
        *key = MentionKey(u128::from_le_bytes(reader.array::<KEY_BYTES>()?));
        any = true;
    }
    if any == present {
        Ok(())
    } else {
        Err(LedgerError::Contradiction("the column word and the keys differ"))
    }
}

/// The bytes not read yet.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], LedgerError> {
        let (taken, rest) =
            self.bytes.split_at_checked(count).ok_or(LedgerError::Contradiction("a column is cut short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LedgerError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A value of a small column, plus one: 32 bits of detail, 16 of desk and queue.
    fn value(&mut self, column: usize) -> Result<u32, LedgerError> {
        let most = if column == 0 { u32::MAX } else { u32::from(u16::MAX) };
        let value = u32::try_from(self.varint()?).ok().filter(|&value| value <= most);
        value.ok_or(LedgerError::Contradiction("a value is out of range"))
    }

    /// The shortest spelling only, so that a record has one spelling.
    fn varint(&mut self) -> Result<u64, LedgerError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(LedgerError::Contradiction("a number is spelt wrongly"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(LedgerError::Contradiction("a number is too long"))
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

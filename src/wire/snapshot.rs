//! The bytes of a desk snapshot: parts of at most 512 KiB, then a manifest that names and checks them.
//!
//! Owns the format, the keys in the compacted topic, and every check on the way back: a part that is missing, cut,
//! changed or of another snapshot refuses the whole, with a reason; the shard then takes the one before it. May not decide
//! when a snapshot may be used (S is never past the committed offset): the desk shard does, which calls this.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use triage_engine::SEMANTICS;
use triage_engine::desk::{DeskLog, DeskSnapshot, NotADesk};

/// The longest part, in bytes, with what stands around its piece of the state: far below the broker's limit of 1 MiB. In
/// the simulator so short that its small desks need many.
pub const PART_BYTES_MAX: usize = if cfg!(test) { 2_048 } else { 512 * 1024 };

/// The most parts of one snapshot: 2 GiB of state, some ten million open cases.
pub const PARTS_MAX: u32 = 4_096;

/// Room in a part for magic, version, header and checksum.
const PART_OVERHEAD_MAX: usize = 64;
const VERSION: u8 = 1;
const MANIFEST_MAGIC: &[u8; 4] = b"TDSM";
const PART_MAGIC: &[u8; 4] = b"TDSP";

/// What a manifest says of its snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The number of the rules by which the log was folded.
    pub semantics: u32,
    /// Which partition of the desk log.
    pub partition: u32,
    /// S: the next offset to fold.
    pub next_offset: i64,
    /// How many parts there are.
    pub parts: u32,
    /// Bytes of the state, all parts together.
    pub bytes: u64,
    /// SHA-256 of the state.
    pub hash: [u8; 32],
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PartHeader {
    partition: u32,
    next_offset: i64,
    index: u32,
}

/// A snapshot ready to be written: parts first, then the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The record that makes the parts count.
    pub manifest: Vec<u8>,
    /// The parts, in order.
    pub parts: Vec<Vec<u8>>,
}

/// Why a snapshot is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFault {
    /// Not such a record, cut, or changed.
    #[error("damaged desk snapshot: {0}")]
    Damaged(&'static str),
    /// Written by a release that this one cannot read.
    #[error("desk snapshot of format version {0} (this release reads {VERSION})")]
    Version(u8),
    /// Folded under other rules.
    #[error("desk snapshot folded under semantics {0} (this release folds under {SEMANTICS})")]
    Semantics(u32),
    /// A part is not there.
    #[error("desk snapshot at offset {next_offset} lacks part {index} of {parts}")]
    Missing {
        /// S of the snapshot.
        next_offset: i64,
        /// Which part, from 0.
        index: u32,
        /// How many there should be.
        parts: u32,
    },
    /// A part of another snapshot stands in its place: a newer one was being written over it.
    #[error("part {index} of the desk snapshot at offset {next_offset} belongs to another snapshot")]
    Foreign {
        /// S of the snapshot asked for.
        next_offset: i64,
        /// Which part, from 0.
        index: u32,
    },
    /// More state than a snapshot may hold.
    #[error("desk snapshot of {0} parts; at most {PARTS_MAX} are written and read")]
    TooLarge(u64),
    /// The bytes are whole, but no desk log can have had such a state.
    #[error(transparent)]
    State(#[from] NotADesk),
}

/// The last record of each key of a partition of the snapshots topic.
pub type SnapshotRecords = BTreeMap<Vec<u8>, Vec<u8>>;

/// The key of the manifest of the state at S. Two owners that write the state at one S write the same bytes, so a
/// former owner that wakes up can never spoil the snapshot of its successor.
#[must_use]
pub fn manifest_key(partition: u32, next_offset: i64) -> String {
    format!("desk/{partition}/{next_offset}/manifest")
}

/// The key of a part of the state at S.
#[must_use]
pub fn part_key(partition: u32, next_offset: i64, index: u32) -> String {
    format!("desk/{partition}/{next_offset}/part/{index}")
}

/// Every manifest of `partition` among these records, by S. One that cannot be read is passed over: it is of another
/// release, or damaged, and its snapshot is none.
#[must_use]
pub fn manifests(partition: u32, records: &SnapshotRecords) -> BTreeMap<i64, Manifest> {
    let prefix = format!("desk/{partition}/");
    let ours = records
        .range(prefix.clone().into_bytes()..)
        .take_while(|(key, _)| key.starts_with(prefix.as_bytes()));
    ours.filter(|(key, _)| key.ends_with(b"/manifest"))
        .filter_map(|(key, value)| Some((key, decode_manifest(value).ok()?)))
        .filter(|(key, manifest)| manifest_key(partition, manifest.next_offset).as_bytes() == key.as_slice())
        .map(|(_, manifest)| (manifest.next_offset, manifest))
        .collect()
}

/// By S the keys of the parts of `partition` beside which no manifest lies: whoever wrote them ended before their snapshot
/// was whole. A manifest that cannot be read here is one: its snapshot may be another release's.
#[must_use]
pub fn leftover_parts(partition: u32, records: &SnapshotRecords) -> BTreeMap<i64, Vec<Vec<u8>>> {
    let prefix = format!("desk/{partition}/");
    let offset_of = |key: &[u8]| -> Option<i64> {
        let (offset, rest) = std::str::from_utf8(key).ok()?.strip_prefix(&prefix)?.split_once('/')?;
        if rest.starts_with("part/") { offset.parse().ok() } else { None }
    };
    let mut leftover: BTreeMap<i64, Vec<Vec<u8>>> = BTreeMap::new();
    for key in records.keys() {
        let Some(offset) = offset_of(key) else { continue };
        if !records.contains_key(manifest_key(partition, offset).as_bytes()) {
            leftover.entry(offset).or_default().push(key.clone());
        }
    }
    leftover
}

/// The state that a manifest speaks of, from the records beside it.
///
/// # Errors
/// As `decode`.
pub fn state(manifest: &Manifest, records: &SnapshotRecords) -> Result<DeskLog, SnapshotFault> {
    let key = |index| part_key(manifest.partition, manifest.next_offset, index);
    decode(manifest, |index| records.get(key(index).as_bytes()).map(Vec::as_slice))
}

/// Writes the whole state.
///
/// # Errors
/// `SnapshotFault::TooLarge` when it needs more than `PARTS_MAX` parts.
pub fn encode(snapshot: DeskSnapshot) -> Result<Encoded, SnapshotFault> {
    let (partition, next_offset) = (snapshot.partition, snapshot.next_offset);
    let state = postcard::to_allocvec(&snapshot).expect("invariant: a snapshot can be written");
    drop(snapshot);
    let pieces = state.chunks(PART_BYTES_MAX - PART_OVERHEAD_MAX);
    let count = u32::try_from(pieces.len()).ok().filter(|&count| count <= PARTS_MAX);
    let count = count.ok_or(SnapshotFault::TooLarge(pieces.len() as u64))?;
    assert!(count > 0, "invariant: every state takes some bytes");
    let manifest = Manifest {
        semantics: SEMANTICS,
        partition,
        next_offset,
        parts: count,
        bytes: state.len() as u64,
        hash: Sha256::digest(&state).into(),
    };
    let parts = (0..count).zip(pieces).map(|(index, piece)| {
        let header = PartHeader { partition: manifest.partition, next_offset: manifest.next_offset, index };
        let part = seal(PART_MAGIC, &header, piece);
        assert!(part.len() <= PART_BYTES_MAX, "invariant: a part's frame fits its allowance");
        part
    });
    Ok(Encoded { parts: parts.collect(), manifest: seal(MANIFEST_MAGIC, &manifest, &[]) })
}

/// Reads a manifest, so that the caller can choose a snapshot by its offset before it asks for parts.
///
/// # Errors
/// When it is damaged, or of a version or semantics that this release does not know.
pub fn decode_manifest(bytes: &[u8]) -> Result<Manifest, SnapshotFault> {
    let (manifest, rest) = open::<Manifest>(MANIFEST_MAGIC, bytes)?;
    if !rest.is_empty() {
        return Err(SnapshotFault::Damaged("bytes follow the manifest"));
    }
    if manifest.semantics != SEMANTICS {
        return Err(SnapshotFault::Semantics(manifest.semantics));
    }
    if manifest.parts == 0 || manifest.parts > PARTS_MAX {
        return Err(SnapshotFault::TooLarge(manifest.parts.into()));
    }
    Ok(manifest)
}

/// Puts the state together from its parts; `part` gives the value of the part at an index, if there is one.
///
/// # Errors
/// When a part is missing, damaged or foreign, or the whole is not what the manifest says.
pub fn decode<'a>(
    manifest: &Manifest,
    mut part: impl FnMut(u32) -> Option<&'a [u8]>,
) -> Result<DeskLog, SnapshotFault> {
    let Manifest { partition, next_offset, parts, .. } = *manifest;
    let mut state = Vec::new();
    for index in 0..parts {
        let bytes = part(index).ok_or(SnapshotFault::Missing { next_offset, index, parts })?;
        let (header, piece) = open::<PartHeader>(PART_MAGIC, bytes)?;
        if header != (PartHeader { partition, next_offset, index }) {
            return Err(SnapshotFault::Foreign { next_offset, index });
        }
        state.extend_from_slice(piece);
    }
    if state.len() as u64 != manifest.bytes || <[u8; 32]>::from(Sha256::digest(&state)) != manifest.hash {
        return Err(SnapshotFault::Damaged("the parts together are not what the manifest says"));
    }
    let (snapshot, rest) = postcard::take_from_bytes::<DeskSnapshot>(&state)
        .map_err(|_| SnapshotFault::Damaged("the state cannot be read"))?;
    let named = snapshot.partition == partition && snapshot.next_offset == next_offset;
    if !rest.is_empty() || !named {
        return Err(SnapshotFault::Damaged("the state is not the one that the manifest names"));
    }
    Ok(DeskLog::restore(&snapshot)?)
}

/// Magic, version, header, body, and the CRC-32 of all that.
fn seal<T: Serialize>(magic: &[u8; 4], header: &T, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + PART_OVERHEAD_MAX);
    bytes.extend_from_slice(magic);
    bytes.push(VERSION);
    bytes.extend(postcard::to_allocvec(header).expect("invariant: headers can be written"));
    bytes.extend_from_slice(body);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn open<'a, T: Deserialize<'a>>(magic: &[u8; 4], bytes: &'a [u8]) -> Result<(T, &'a [u8]), SnapshotFault> {
    let (sealed, checksum) =
        bytes.split_last_chunk::<4>().ok_or(SnapshotFault::Damaged("it is too short"))?;
    let versioned = sealed.strip_prefix(magic).ok_or(SnapshotFault::Damaged("it does not start as one"))?;
    let (&version, body) = versioned.split_first().ok_or(SnapshotFault::Damaged("it is too short"))?;
    if version != VERSION {
        return Err(SnapshotFault::Version(version));
    }
    if crc32fast::hash(sealed) != u32::from_le_bytes(*checksum) {
        return Err(SnapshotFault::Damaged("its checksum is wrong"));
    }
    postcard::take_from_bytes(body).map_err(|_| SnapshotFault::Damaged("its header cannot be read"))
}

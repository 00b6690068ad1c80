//! A policy bundle's bytes as records of `triaged.policies`, and back.
//!
//! Owns the keys, the size of a part and the manifest (docs/formats.md). May not look into a bundle nor touch a
//! log. Written by whoever publishes a policy; read by the follower of every instance, through [`Assembler`].
//! The topic is compacted: every record has a key, and the same policy published twice makes the same records.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use triage_engine::policy::{BUNDLE_BYTES_MAX, Generation};

/// The longest part: half of the broker's usual limit for a record.
pub const PART_BYTES_MAX: usize = 512 * 1024;

/// One record of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleRecord<V> {
    /// `<generation>/<n>` for a part, n from 0; `<generation>` for the manifest.
    pub key: String,
    /// A part's bytes, or the manifest.
    pub value: V,
}

/// What the manifest says, as JSON. The hash is the generation, which is the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    /// How many parts.
    parts: u32,
    /// Their length together.
    bytes: u64,
    /// Their SHA-256 together.
    hash: Generation,
}

/// Why a record of the topic is refused, or a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRecordError {
    /// The key is no part's and no manifest's.
    #[error("`{0}` is no key of a policy record: expected `sha256:<hex>` or `sha256:<hex>/<n>`")]
    Key(String),
    /// The manifest cannot be read or asks for what cannot be.
    #[error("manifest of {generation}: {why}")]
    Manifest {
        /// Whose.
        generation: Generation,
        /// What is wrong with it.
        why: String,
    },
    /// A part is longer than a part may be, or there are more than there may be.
    #[error("part {part} of {generation} is refused: {why}")]
    Part {
        /// Whose.
        generation: Generation,
        /// Which.
        part: u32,
        /// Why.
        why: String,
    },
    /// The parts are there and are not what was published.
    #[error("{generation} is damaged: {why}")]
    Damaged {
        /// Which.
        generation: Generation,
        /// What differs.
        why: String,
    },
}

/// The records that publish `bundle`, in the order in which they must be sent: parts, then the manifest.
///
/// # Panics
/// When the bundle is longer than [`BUNDLE_BYTES_MAX`], or `generation` is not its hash: readers would refuse it.
pub fn publish(generation: Generation, bundle: &[u8]) -> impl Iterator<Item = BundleRecord<Vec<u8>>> {
    assert!(
        bundle.len() <= BUNDLE_BYTES_MAX,
        "a bundle has at most {BUNDLE_BYTES_MAX} bytes, not {}",
        bundle.len()
    );
    assert_eq!(sha256(bundle), generation.0, "a generation is the hash of its bundle");
    let parts = bundle.chunks(PART_BYTES_MAX).enumerate();
    let count = parts.len() as u32;
    let manifest = Manifest { parts: count, bytes: bundle.len() as u64, hash: generation };
    let manifest = serde_json::to_vec(&manifest).expect("invariant: a manifest is plain data");
    parts
        .map(move |(n, part)| BundleRecord { key: format!("{generation}/{n}"), value: part.to_vec() })
        .chain(std::iter::once(BundleRecord { key: generation.to_string(), value: manifest }))
}

/// The tombstones that remove a bundle of `bytes` bytes: the manifest first, so that no reader waits for parts.
pub fn remove(generation: Generation, bytes: u64) -> impl Iterator<Item = BundleRecord<()>> {
    let parts = bytes.div_ceil(PART_BYTES_MAX as u64);
    std::iter::once(BundleRecord { key: generation.to_string(), value: () })
        .chain((0..parts).map(move |n| BundleRecord { key: format!("{generation}/{n}"), value: () }))
}

/// Puts bundles together from records in log order.
#[derive(Debug, Default)]
pub struct Assembler {
    waiting: BTreeMap<Generation, Waiting>,
    /// Bundles given out already; a second publication of the same is not given out again.
    given: BTreeSet<Generation>,
}

#[derive(Debug, Default)]
struct Waiting {
    parts: BTreeMap<u32, Vec<u8>>,
    manifest: Option<Manifest>,
}

impl Waiting {
    fn is_whole(&self) -> bool {
        self.manifest.is_some_and(|manifest| (0..manifest.parts).all(|part| self.parts.contains_key(&part)))
    }
}

impl Assembler {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Assembler {
        Assembler::default()
    }

    /// Takes the next record; returns a bundle once it is whole and its hash is right.
    ///
    /// Compaction may leave the manifest of an earlier publication before the parts of a later one, so a part
    /// that is missing when the manifest comes is waited for; [`Assembler::incomplete`] tells what for.
    ///
    /// # Errors
    /// [`PolicyRecordError`]; the record is ignored, and a damaged bundle's manifest with it, until it is
    /// published again.
    pub fn feed(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<(Generation, Vec<u8>)>, PolicyRecordError> {
        let (generation, part) = parse_key(key)?;
        let Some(value) = value else {
            self.remove(generation, part);
            return Ok(None);
        };
        if self.given.contains(&generation) {
            return Ok(None);
        }
        match part {
            None => {
                let manifest = read_manifest(generation, value)?;
                self.waiting.entry(generation).or_default().manifest = Some(manifest);
            }
            Some(part) => {
                check_part(generation, part, value)?;
                self.waiting.entry(generation).or_default().parts.insert(part, value.to_vec());
            }
        }
        self.give(generation)
    }

    fn remove(&mut self, generation: Generation, part: Option<u32>) {
        match part {
            None => {
                self.waiting.remove(&generation);
                self.given.remove(&generation);
            }
            Some(part) => {
                if let Some(waiting) = self.waiting.get_mut(&generation) {
                    waiting.parts.remove(&part);
                }
            }
        }
        self.waiting.retain(|_, waiting| waiting.manifest.is_some() || !waiting.parts.is_empty());
    }

    fn give(&mut self, generation: Generation) -> Result<Option<(Generation, Vec<u8>)>, PolicyRecordError> {
        let Some(waiting) = self.waiting.get_mut(&generation).filter(|waiting| waiting.is_whole()) else {
            return Ok(None);
        };
        let manifest = waiting.manifest.take().expect("invariant: what is whole has a manifest");
        let mut bundle = Vec::with_capacity(usize::try_from(manifest.bytes).unwrap_or(0));
        waiting.parts.range(..manifest.parts).for_each(|(_, part)| bundle.extend_from_slice(part));
        let damaged = |why: String| Err(PolicyRecordError::Damaged { generation, why });
        if bundle.len() as u64 != manifest.bytes {
            return damaged(format!(
                "its parts have {} bytes, its manifest says {}",
                bundle.len(),
                manifest.bytes
            ));
        }
        let hash = sha256(&bundle);
        if hash != generation.0 {
            return damaged(format!("its parts hash to {}", Generation(hash)));
        }
        self.waiting.remove(&generation);
        self.given.insert(generation);
        Ok(Some((generation, bundle)))
    }

    /// What was begun and is not whole, with the reason; look at the end of the topic.
    pub fn incomplete(&self) -> impl Iterator<Item = (Generation, String)> {
        self.waiting.iter().map(|(&generation, waiting)| {
            let why = match waiting.manifest {
                None => format!("{} parts and no valid manifest", waiting.parts.len()),
                Some(manifest) => {
                    let missing = (0..manifest.parts).filter(|part| !waiting.parts.contains_key(part));
                    let missing: Vec<String> = missing.map(|part| part.to_string()).collect();
                    format!("of {} parts these are missing: {}", manifest.parts, missing.join(", "))
                }
            };
            (generation, why)
        })
    }
}

/// Which bundle a record's key speaks of, and which part of it; `None` is the manifest.
///
/// # Errors
/// [`PolicyRecordError::Key`] for any other key.
pub fn parse_key(key: &[u8]) -> Result<(Generation, Option<u32>), PolicyRecordError> {
    let wrong = || PolicyRecordError::Key(String::from_utf8_lossy(&key[..key.len().min(100)]).into_owned());
    let text = std::str::from_utf8(key).map_err(|_| wrong())?;
    let (generation, part) = match text.split_once('/') {
        None => (text, None),
        Some((generation, part)) => (generation, Some(part.parse::<u32>().map_err(|_| wrong())?)),
    };
    let parsed: Generation = generation.parse().map_err(|_| wrong())?;
    // One spelling for each key, or compaction would keep two records for one part.
    let canonical = part.map_or_else(|| parsed.to_string(), |part| format!("{parsed}/{part}"));
    if canonical == text { Ok((parsed, part)) } else { Err(wrong()) }
}

fn read_manifest(generation: Generation, value: &[u8]) -> Result<Manifest, PolicyRecordError> {
    let refused = |why: String| PolicyRecordError::Manifest { generation, why };
    let manifest: Manifest = serde_json::from_slice(value).map_err(|error| refused(error.to_string()))?;
    if manifest.hash != generation {
        return Err(refused(format!("it speaks of {}", manifest.hash)));
    }
    if manifest.bytes > BUNDLE_BYTES_MAX as u64 {
        return Err(refused(format!(
            "{} bytes, the limit BUNDLE_BYTES_MAX is {BUNDLE_BYTES_MAX}",
            manifest.bytes
        )));
    }
    let parts = manifest.bytes.div_ceil(PART_BYTES_MAX as u64);
    if u64::from(manifest.parts) != parts {
        return Err(refused(format!(
            "{} parts, where {} bytes make {parts}",
            manifest.parts, manifest.bytes
        )));
    }
    Ok(manifest)
}

fn check_part(generation: Generation, part: u32, value: &[u8]) -> Result<(), PolicyRecordError> {
    let refused = |why: String| Err(PolicyRecordError::Part { generation, part, why });
    if part as usize >= BUNDLE_BYTES_MAX / PART_BYTES_MAX {
        return refused(format!("a bundle has at most {} parts", BUNDLE_BYTES_MAX / PART_BYTES_MAX));
    }
    if value.is_empty() || value.len() > PART_BYTES_MAX {
        return refused(format!("{} bytes, and a part has 1 to {PART_BYTES_MAX}", value.len()));
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(bytes: usize, seed: u8) -> (Generation, Vec<u8>) {
        let bytes: Vec<u8> = (0..bytes).map(|at| (at / 7) as u8 ^ seed).collect();
        (Generation(sha256(&bytes)), bytes)
    }

    fn records(bytes: usize, seed: u8) -> (Generation, Vec<u8>, Vec<BundleRecord<Vec<u8>>>) {
        let (generation, bytes) = bundle(bytes, seed);
        let records = publish(generation, &bytes).collect();
        (generation, bytes, records)
    }

    fn feed(assembler: &mut Assembler, record: &BundleRecord<Vec<u8>>) -> Option<(Generation, Vec<u8>)> {
        assembler.feed(record.key.as_bytes(), Some(&record.value)).unwrap()
    }

    #[test]
    fn a_policy_of_any_length_reads_back_once_from_parts_that_a_broker_takes() {
        for length in [0, 1, PART_BYTES_MAX - 1, PART_BYTES_MAX, PART_BYTES_MAX + 1, 3 * PART_BYTES_MAX] {
            let (generation, bytes, records) = records(length, 3);
            assert_eq!(records.len(), length.div_ceil(PART_BYTES_MAX) + 1);
            assert!(records.iter().all(|record| record.value.len() <= PART_BYTES_MAX));
            let mut assembler = Assembler::new();
            let given: Vec<_> = records.iter().filter_map(|record| feed(&mut assembler, record)).collect();
            assert_eq!(given, [(generation, bytes)], "{length} bytes");
            assert_eq!(
                records.iter().filter_map(|record| feed(&mut assembler, record)).count(),
                0,
                "published again"
            );
            assert_eq!(assembler.incomplete().count(), 0);
        }
    }

    #[test]
    fn two_policies_whose_records_are_interleaved_both_read_back() {
        let (one, _, ones) = records(PART_BYTES_MAX + 9, 1);
        let (two, _, twos) = records(PART_BYTES_MAX + 9, 2);
        let mut assembler = Assembler::new();
        let both = ones.iter().zip(&twos).flat_map(|(a, b)| [a, b]);
        let given: Vec<_> =
            both.filter_map(|record| feed(&mut assembler, record)).map(|(which, _)| which).collect();
        assert_eq!(given, [one, two]);
    }

    #[test]
    fn what_compaction_leaves_of_two_publications_is_still_whole() {
        let (generation, bytes, records) = records(3 * PART_BYTES_MAX, 5);
        // Part 0 of the first publication is gone; its manifest stands before the second one's parts.
        let mut assembler = Assembler::new();
        for record in &records[1..] {
            assert_eq!(feed(&mut assembler, record), None);
        }
        assert_eq!(
            assembler.incomplete().collect::<Vec<_>>(),
            [(generation, "of 3 parts these are missing: 0".to_owned())]
        );
        assert_eq!(feed(&mut assembler, &records[0]), Some((generation, bytes)));
        assert_eq!(feed(&mut assembler, &records[1]), None);
        assert_eq!(assembler.incomplete().count(), 0);
    }

    #[test]
    fn a_damaged_part_is_refused_until_the_policy_is_published_again() {
        let (generation, bytes, mut records) = records(2 * PART_BYTES_MAX, 5);
        let mut assembler = Assembler::new();
        records[1].value[77] ^= 1;
        feed(&mut assembler, &records[0]);
        feed(&mut assembler, &records[1]);
        let refused = assembler.feed(records[2].key.as_bytes(), Some(&records[2].value));
        assert!(
            matches!(refused, Err(PolicyRecordError::Damaged { generation: which, .. }) if which == generation)
        );
        records[1].value[77] ^= 1;
        let given: Vec<_> = records.iter().filter_map(|record| feed(&mut assembler, record)).collect();
        assert_eq!(given, [(generation, bytes)]);
    }

    #[test]
    fn keys_manifests_and_parts_that_nobody_wrote_are_refused_with_the_reason() {
        let (generation, _, records) = records(10, 5);
        let mut assembler = Assembler::new();
        for key in [
            "",
            "policy",
            "sha256:00",
            &format!("{generation}/"),
            &format!("{generation}/01"),
            &format!("{generation}/-1"),
        ] {
            let refused = assembler.feed(key.as_bytes(), Some(b"x"));
            assert_eq!(refused, Err(PolicyRecordError::Key(key.to_owned())));
        }
        let manifest =
            |text: &str| Assembler::new().feed(generation.to_string().as_bytes(), Some(text.as_bytes()));
        for wrong in [
            "".to_owned(),
            "{}".to_owned(),
            format!(r#"{{"parts":2,"bytes":10,"hash":"{generation}"}}"#),
            format!(r#"{{"parts":4096,"bytes":2147483648,"hash":"{generation}"}}"#),
            format!(r#"{{"parts":1,"bytes":10,"hash":"{}"}}"#, Generation([0; 32])),
        ] {
            assert!(matches!(manifest(&wrong), Err(PolicyRecordError::Manifest { .. })), "{wrong}");
        }
        for (key, value) in
            [(format!("{generation}/256"), vec![1]), (format!("{generation}/0"), vec![0; PART_BYTES_MAX + 1])]
        {
            let refused = assembler.feed(key.as_bytes(), Some(&value));
            assert!(matches!(refused, Err(PolicyRecordError::Part { .. })), "{key}");
        }
        assert_eq!(assembler.incomplete().count(), 0);
        assert_eq!(records.len(), 2);
    }

    #[test]
    fn a_policy_that_was_removed_may_come_back() {
        let (generation, bytes, records) = records(PART_BYTES_MAX + 1, 9);
        let mut assembler = Assembler::new();
        records.iter().for_each(|record| drop(feed(&mut assembler, record)));
        let tombstones: Vec<_> = remove(generation, bytes.len() as u64).collect();
        assert_eq!(tombstones.len(), records.len());
        for tombstone in tombstones {
            assert_eq!(assembler.feed(tombstone.key.as_bytes(), None), Ok(None));
        }
        assert_eq!(assembler.incomplete().count(), 0);
        assert_eq!(records.iter().filter_map(|record| feed(&mut assembler, record)).count(), 1);
    }
}

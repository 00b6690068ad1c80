//! The internal formats of the desk: desk-log records and snapshots, whole, cut and changed.
//!
//! Owns their round trips and what damage does: a reason, never a panic, never a state that was not written. Golden
//! folders show the records that helpdesks read.

use proptest::prelude::*;
use std::collections::BTreeMap;
use triage_engine::desk::{DeskLog, DeskSettings, Effects, Event, LogEntry, QueuedMention, SourceMark};
use triage_engine::model::{AuthorKey, CaseId, MentionKey, Millis, Position, Source, StreamId};
use triage_engine::policy::Generation;
use triaged::wire::desk_log::{self, DeskLogFault};
use triaged::wire::snapshot::{self, Encoded, PART_BYTES_MAX, SnapshotFault};

const SETTINGS: DeskSettings = DeskSettings { case_lapse_ms: 5_000, mentions_per_case_max: 3 };

/// What an entry needs to own, so that a strategy can make it.
#[derive(Debug, Clone)]
struct Owned {
    names: Vec<String>,
    raw: Vec<u8>,
    numbers: (u128, u128, i64, i32, u32),
    kind: u8,
    marked: bool,
}

fn any_owned() -> impl Strategy<Value = Owned> {
    let names = prop::collection::vec(".{0,12}", 12);
    let numbers = (any::<u128>(), any::<u128>(), 0..i64::MAX, any::<i32>(), any::<u32>());
    (names, prop::collection::vec(any::<u8>(), 0..200), numbers, 0..4_u8, any::<bool>())
        .prop_map(|(names, raw, numbers, kind, marked)| Owned { names, raw, numbers, kind, marked })
}

impl Owned {
    fn event(&self) -> Event<'_> {
        let (wide, other, long, signed, short) = self.numbers;
        let name = |index: usize| self.names[index].as_str();
        match self.kind {
            0 => Event::Tick,
            1 => Event::CaseResolved {
                case: CaseId { partition: short, offset: long },
                by: name(0),
                event_source: name(1),
                event_id: name(2),
            },
            2 => Event::PolicySwitched { epoch: long, generation: Generation([short as u8; 32]) },
            _ => Event::Mention(QueuedMention {
                key: MentionKey(wide),
                author: AuthorKey(other),
                mention_id: name(0),
                network: name(1),
                author_id: name(2),
                author_handle: name(3),
                desk: name(4),
                queue: name(5),
                tags: vec![name(6), name(7)],
                category: name(8),
                priority: signed,
                resolution: name(9),
                posted_at: Millis(long - i64::from(short)),
                input: Position { stream: StreamId(wide), partition: short, offset: long },
                generation: Generation([signed as u8; 32]),
                pii_found: vec![name(10)],
                pii_redacted: self.marked,
                raw: &self.raw,
            }),
        }
    }

    fn mark(&self) -> Option<SourceMark> {
        let (wide, _, offset, _, partition) = self.numbers;
        let position = Position { stream: StreamId(wide), partition, offset };
        let mark = SourceMark {
            source: Source { position, ordinal: u64::from(partition / 2) },
            committed: offset / 3,
        };
        self.marked.then_some(mark)
    }

    fn encoded(&self) -> Vec<u8> {
        let mut value = Vec::new();
        desk_log::encode(self.mark().as_ref(), &self.event(), &mut value);
        value
    }
}

proptest! {
    #[test]
    fn a_desk_log_record_reads_back_as_it_was_written(owned in any_owned()) {
        let value = owned.encoded();
        let entry = desk_log::decode(9, Millis(8), Some(&value)).expect("reads");
        let written = LogEntry { offset: 9, at: Millis(8), source: owned.mark(), event: owned.event() };
        prop_assert_eq!(entry, written);
    }

    #[test]
    fn a_desk_log_record_cut_anywhere_or_too_long_is_refused(owned in any_owned()) {
        let mut value = owned.encoded();
        for length in 0..value.len() {
            prop_assert!(desk_log::decode(9, Millis(8), Some(&value[..length])).is_err(), "cut at {}", length);
        }
        value.push(0);
        prop_assert!(desk_log::decode(9, Millis(8), Some(&value)).is_err());
    }

    #[test]
    fn no_bytes_make_the_desk_log_reader_panic(
        owned in any_owned(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        foreign in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut value = owned.encoded();
        let at = at.index(value.len());
        value[at] = byte;
        let _ = desk_log::decode(9, Millis(8), Some(&value));
        let _ = desk_log::decode(9, Millis(8), Some(&foreign));
    }

    #[test]
    fn a_state_snapshotted_and_restored_goes_on_as_if_nothing_had_happened(
        log in prop::collection::vec((any_owned(), 0..4_u128, 0..9_u128, 0..900_i64), 1..40),
        at in any::<prop::sample::Index>(),
    ) {
        let mut time = 0;
        let entries: Vec<_> = log.iter().enumerate().map(|(offset, (owned, author, key, pause))| {
            time += pause;
            let mut event = owned.event();
            match &mut event {
                Event::Mention(mention) => {
                    (mention.author, mention.key, mention.desk) = (AuthorKey(*author), MentionKey(*key), "tech");
                }
                Event::CaseResolved { case, .. } => {
                    *case = CaseId { partition: 3, offset: i64::from(owned.numbers.4 % 40) };
                }
                Event::Tick | Event::PolicySwitched { .. } => {}
            }
            LogEntry { offset: offset as i64, at: Millis(time), source: owned.mark(), event }
        }).collect();
        let at = at.index(entries.len());
        let (mut straight, mut effects) = (DeskLog::new(3), Effects::new());
        straight.step(&entries[..at], &SETTINGS, &mut effects);
        let mut restored = restore(&snapshot::encode(straight.snapshot()).expect("fits")).expect("restores");
        prop_assert_eq!(&restored.snapshot(), &straight.snapshot());
        let mut effects_restored = Effects::new();
        straight.step(&entries[at..], &SETTINGS, &mut effects);
        restored.step(&entries[at..], &SETTINGS, &mut effects_restored);
        prop_assert_eq!(effects, effects_restored);
        prop_assert_eq!(snapshot::encode(straight.snapshot()), snapshot::encode(restored.snapshot()));
    }
}

#[test]
fn a_record_of_another_release_or_none_is_refused_with_its_reason() {
    let decode = |value| desk_log::decode(0, Millis(0), value);
    assert_eq!(decode(None), Err(DeskLogFault::Empty));
    assert_eq!(decode(Some(b"")), Err(DeskLogFault::Empty));
    assert_eq!(decode(Some(b"{\"a\":1}")), Err(DeskLogFault::Version(b'{')));
    assert_eq!(decode(Some(&[0xd1, 0, 77])), Err(DeskLogFault::Kind(77)));
    let position = Position { stream: StreamId(1), partition: 0, offset: 5 };
    let early = SourceMark { source: Source { position, ordinal: 0 }, committed: 6 };
    let mut value = Vec::new();
    desk_log::encode(Some(&early), &Event::Tick, &mut value);
    assert!(decode(Some(&value)).expect_err("refused").to_string().contains("settled before it was sent"));
}

fn restore(encoded: &Encoded) -> Result<DeskLog, SnapshotFault> {
    let manifest = snapshot::decode_manifest(&encoded.manifest)?;
    snapshot::decode(&manifest, |index| encoded.parts.get(index as usize).map(Vec::as_slice))
}

/// A state of several parts: `cases` open cases, each some 100 bytes long.
fn large(cases: u32) -> DeskLog {
    let queue = "q".repeat(40);
    let owned = Owned {
        names: vec![String::new(); 12],
        raw: b"{}".to_vec(),
        numbers: (7, 7, 7, 7, 7),
        kind: 3,
        marked: false,
    };
    let entries: Vec<_> = (0..cases)
        .map(|offset| {
            let mut event = owned.event();
            if let Event::Mention(mention) = &mut event {
                (mention.author, mention.queue) = (AuthorKey(u128::from(offset) << 90), &queue);
            }
            LogEntry { offset: i64::from(offset), at: Millis(1), source: None, event }
        })
        .collect();
    let mut desk = DeskLog::new(3);
    desk.step(&entries, &SETTINGS, &mut Effects::new());
    desk
}

#[test]
fn a_large_state_goes_out_in_parts_that_the_broker_takes() {
    let desk = large(12_000);
    let encoded = snapshot::encode(desk.snapshot()).expect("fits");
    assert!(encoded.parts.len() >= 3, "{} parts", encoded.parts.len());
    assert!(encoded.parts.iter().all(|part| part.len() <= PART_BYTES_MAX));
    let manifest = snapshot::decode_manifest(&encoded.manifest).expect("reads");
    assert_eq!((manifest.partition, manifest.next_offset), (3, 12_000));
    assert_eq!(restore(&encoded).expect("restores"), desk);
    let keys: BTreeMap<_, _> = (0..3).map(|index| (snapshot::part_key(3, 1, index), ())).collect();
    assert_eq!(keys.len(), 3);
    assert!(!keys.contains_key(&snapshot::manifest_key(3, 1)));
}

#[test]
fn a_snapshot_with_a_part_missing_foreign_or_swapped_is_refused_with_its_reason() {
    let encoded = snapshot::encode(large(12_000).snapshot()).expect("fits");
    let other = snapshot::encode(large(11_999).snapshot()).expect("fits");
    let with = |change: &dyn Fn(&mut Encoded)| {
        let mut bad = encoded.clone();
        change(&mut bad);
        restore(&bad).expect_err("refused").to_string()
    };
    let last = encoded.parts.len() - 1;
    assert!(with(&|bad| bad.parts.truncate(last)).contains("lacks part"));
    assert!(with(&|bad| bad.parts[1] = other.parts[1].clone()).contains("another snapshot"));
    assert!(with(&|bad| bad.parts.swap(0, 1)).contains("another snapshot"));
    assert!(with(&|bad| bad.manifest.clone_from(&other.manifest)).contains("another snapshot"));
    assert!(with(&|bad| bad.manifest.clone_from(&bad.parts[0])).contains("does not start as one"));
}

#[test]
fn parts_without_a_manifest_are_left_over_and_those_of_another_release_are_not() {
    let encoded = snapshot::encode(large(12_000).snapshot()).expect("fits");
    let mut records = snapshot::SnapshotRecords::new();
    for offset in [7, 8, 9] {
        for (index, part) in (0..).zip(&encoded.parts) {
            records.insert(snapshot::part_key(3, offset, index).into_bytes(), part.clone());
        }
    }
    records.insert(snapshot::part_key(30, 7, 0).into_bytes(), encoded.parts[0].clone());
    records.insert(snapshot::manifest_key(3, 8).into_bytes(), encoded.manifest.clone());
    records.insert(snapshot::manifest_key(3, 9).into_bytes(), b"of a release to come".to_vec());
    let leftover = snapshot::leftover_parts(3, &records);
    assert_eq!(leftover.keys().copied().collect::<Vec<i64>>(), [7]);
    assert_eq!(leftover[&7].len(), encoded.parts.len());
    assert!(leftover[&7].iter().all(|key| key.starts_with(b"desk/3/7/part/")));
}

#[test]
fn a_snapshot_cut_or_changed_at_any_byte_is_refused() {
    let encoded = snapshot::encode(large(2).snapshot()).expect("fits");
    assert_eq!(encoded.parts.len(), 1);
    for whole in [&encoded.manifest, &encoded.parts[0]] {
        let is_manifest = std::ptr::eq(whole, &encoded.manifest);
        let refused = |bytes: Vec<u8>| {
            let mut bad = encoded.clone();
            *(if is_manifest { &mut bad.manifest } else { &mut bad.parts[0] }) = bytes;
            restore(&bad).is_err()
        };
        for at in 0..whole.len() {
            assert!(refused(whole[..at].to_vec()), "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert!(refused(changed), "changed at {at}");
        }
    }
}

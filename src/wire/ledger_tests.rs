//! Proof that a ledger record reads back as written and that nothing else is read as one.
//!
//! Owns the tests of `ledger.rs`, apart from it to keep that file short.

use super::*;
use proptest::prelude::*;

fn entry(
    offset: i64,
    disposition: Disposition,
    detail: u32,
    desk: u16,
    queue: u16,
    key: Option<u128>,
) -> LedgerEntry {
    LedgerEntry { offset, disposition, detail, desk, queue, key: key.map(MentionKey) }
}

fn run(entries: Vec<LedgerEntry>) -> LedgerRun {
    LedgerRun {
        semantics: 1,
        generation: Generation([7; 32]),
        plan_epoch: 41,
        now: Millis(1_790_000_000_000),
        expired: None,
        superseding: None,
        entries,
    }
}

fn encoded(run: &LedgerRun) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(run, &mut bytes);
    bytes
}

/// Ten percent queued, thirty duplicates, sixty noise, in no order: what a firehose looks like.
fn firehose(count: u64) -> LedgerRun {
    let mut state = 1_u64;
    let entries = (0..count).map(|index| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = state >> 33;
        let key = Some(u128::from(state) << 64 | u128::from(index));
        let offset = 1_000_000 + index as i64;
        match draw % 10 {
            0 => entry(
                offset,
                Disposition::Queued,
                DETAIL_NONE,
                (draw / 10 % 4) as u16,
                (draw / 40 % 30) as u16,
                key,
            ),
            1..=3 => entry(offset, Disposition::Duplicate, DETAIL_NONE, NONE, NONE, key),
            _ => entry(offset, Disposition::Noise, (draw / 10 % 1000) as u32, NONE, NONE, key),
        }
    });
    run(entries.collect())
}

/// Writes the check sum anew, so that a test reaches what lies behind it.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - CHECKSUM_BYTES;
    let checksum = crc32fast::hash(&bytes[..body]).to_le_bytes();
    bytes[body..].copy_from_slice(&checksum);
    bytes
}

fn sample() -> LedgerRun {
    let mut run = run(vec![
        entry(10, Disposition::Queued, DETAIL_NONE, 2, 5, Some(1)),
        entry(11, Disposition::Queued, DETAIL_NONE, 2, 9, Some(u128::MAX)),
        entry(14, Disposition::Noise, 300, NONE, NONE, Some(3)),
        entry(15, Disposition::DeadLetter, 4, NONE, NONE, None),
        entry(1_000_000, Disposition::Duplicate, DETAIL_NONE, NONE, NONE, Some(4)),
    ]);
    run.expired = Some((3, 9));
    run
}

#[test]
fn a_firehose_run_takes_at_most_twenty_bytes_a_mention_where_the_key_takes_sixteen() {
    let run = firehose(4096);
    let bytes = encoded(&run);
    let per_mention = bytes.len() as f64 / run.entries.len() as f64;
    assert!(per_mention <= 18.0, "{per_mention}");
    assert_eq!(decode(&bytes), Ok(run));
}

#[test]
fn holes_a_lost_range_and_records_without_a_key_read_back() {
    assert_eq!(decode(&encoded(&sample())), Ok(sample()));
    let mut only_lost = run(Vec::new());
    only_lost.expired = Some((0, 99));
    assert_eq!(decode(&encoded(&only_lost)), Ok(only_lost));
    let edge = run(vec![entry(i64::MAX - 1, Disposition::Blocked, DETAIL_NONE, NONE, NONE, None)]);
    assert_eq!(decode(&encoded(&edge)), Ok(edge));
}

#[test]
fn a_record_cut_short_at_any_byte_is_refused() {
    let bytes = encoded(&sample());
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "cut at {length} of {}", bytes.len());
        // Even one whose check sum was made to fit.
        if length >= HEADER_BYTES + CHECKSUM_BYTES {
            assert!(decode(&resealed(bytes[..length].to_vec())).is_err(), "cut at {length}, sealed anew");
        }
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(decode(&resealed(longer)), Err(LedgerError::Contradiction("bytes are left over")));
}

#[test]
fn any_flipped_bit_is_refused() {
    let bytes = encoded(&sample());
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn a_later_format_and_a_later_column_are_refused_by_name() {
    let mut later = encoded(&sample());
    later[4] = 3;
    assert_eq!(decode(&resealed(later)), Err(LedgerError::Version { found: 3 }));
    let mut column = encoded(&sample());
    column[6] |= 1 << 3;
    assert_eq!(decode(&resealed(column)), Err(LedgerError::UnknownColumns(1 << 3)));
    assert_eq!(decode(&[b'{'; 200]), Err(LedgerError::Foreign(*b"{{{{")));
}

#[test]
fn a_count_beyond_the_bytes_allocates_nothing() {
    let mut bytes = encoded(&run(Vec::new()));
    bytes[12..16].copy_from_slice(&(ENTRIES_MAX as u32).to_le_bytes());
    bytes[72..80].copy_from_slice(&(ENTRIES_MAX as i64 - 1).to_le_bytes());
    assert_eq!(decode(&resealed(bytes)), Err(LedgerError::Contradiction("fewer bytes than entries need")));
}

#[test]
#[should_panic(expected = "offsets of a run ascend")]
fn a_run_out_of_order_is_never_written() {
    encoded(&run(vec![
        entry(2, Disposition::Noise, 1, NONE, NONE, None),
        entry(2, Disposition::Noise, 1, NONE, NONE, None),
    ]));
}

fn any_entry() -> impl Strategy<Value = (i64, LedgerEntry)> {
    let small = || prop_oneof![Just(NONE), Just(0_u16), 0_u16..200, any::<u16>()];
    let detail = prop_oneof![Just(DETAIL_NONE), Just(0_u32), 0_u32..200, any::<u32>()];
    let step = prop_oneof![8 => Just(1_i64), 2 => 2_i64..2000];
    (step, prop::sample::select(Disposition::ALL), detail, small(), small(), any::<Option<u128>>()).prop_map(
        |(step, disposition, detail, desk, queue, key)| {
            (step, entry(0, disposition, detail, desk, queue, key))
        },
    )
}

fn any_run() -> impl Strategy<Value = LedgerRun> {
    let lost = prop::option::of((0_i64..500, 0_i64..500));
    let head = (any::<u32>(), any::<[u8; 32]>(), any::<i64>(), any::<i64>(), lost);
    (head, prop::collection::vec(any_entry(), 0..60)).prop_map(
        |((semantics, generation, plan_epoch, now, lost), steps)| {
            let expired = lost.map(|(first, more)| (first, first + more));
            let mut offset = expired.map_or(0, |(_, last)| last);
            let place = |(step, blank): (i64, LedgerEntry)| {
                offset += step;
                LedgerEntry { offset, ..blank }
            };
            let entries: Vec<LedgerEntry> = steps.into_iter().map(place).collect();
            let below = entries.last().map_or(0, |last| last.offset + 1);
            let superseding = (expired.is_none() && plan_epoch % 2 == 0).then(|| Superseding {
                log: StreamId(u128::from(semantics)),
                request: now & i64::MAX,
                below,
            });
            LedgerRun {
                semantics,
                generation: Generation(generation),
                plan_epoch,
                now: Millis(now),
                expired,
                superseding,
                entries,
            }
        },
    )
}

proptest! {
    #[test]
    fn every_run_reads_back_as_written_after_whatever_stood_in_the_buffer(run in any_run(), before in prop::collection::vec(any::<u8>(), 0..9)) {
        let mut bytes = before.clone();
        encode(&run, &mut bytes);
        prop_assert_eq!(&bytes[..before.len()], &before[..]);
        prop_assert_eq!(decode(&bytes[before.len()..]), Ok(run));
    }

    #[test]
    fn a_writers_fault_behind_a_right_check_sum_is_refused_or_read_as_one_spelling(run in any_run(), at in any::<prop::sample::Index>(), mask in 1_u8..) {
        let mut bytes = encoded(&run);
        let body = bytes.len() - CHECKSUM_BYTES;
        bytes[at.index(body)] ^= mask;
        let bytes = resealed(bytes);
        if let Ok(read) = decode(&bytes) {
            // Whatever is read may be written again: no reader makes what no writer may write.
            prop_assert_eq!(decode(&encoded(&read)), Ok(read));
        }
    }

    #[test]
    fn no_bytes_at_all_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
        let mut sealed = encoded(&run(Vec::new()));
        sealed.truncate(HEADER_BYTES);
        sealed[6] = 0b111;
        sealed[12] = 8;
        sealed.extend_from_slice(&bytes);
        sealed.extend_from_slice(&[0; CHECKSUM_BYTES]);
        let _ = decode(&resealed(sealed));
    }
}

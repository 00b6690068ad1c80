//! What users get from the exact window, checked against a plain map that remembers everything.
//!
//! Owns no code of the window. Run over small windows, and over keys crafted so that all of them want one bucket.

use super::super::word::Word;
use super::*;
use proptest::prelude::*;

/// The window, and beside it the truth: every key with the time it was last admitted.
struct Checked {
    window: ExactWindow,
    truth: BTreeMap<MentionKey, Millis>,
    now: Millis,
}

impl Checked {
    fn new(window_ms: i64, ids_max: usize) -> Checked {
        let window = ExactWindow::new(DedupLimits { window_ms, ids_max });
        Checked { window, truth: BTreeMap::new(), now: Millis::MIN }
    }

    fn ask(&mut self, key: MentionKey, now: Millis) -> bool {
        self.now = self.now.max(now);
        let limits = self.window.limits;
        let step = (limits.window_ms + 99) / 100;
        let evictions = self.window.forced_evictions();
        let seen = self.window.check_and_insert(key, now);
        let age = self.truth.get(&key).map(|&at| self.now.since(at));
        if seen {
            assert!(
                age.is_some_and(|age| age < limits.window_ms),
                "{key:?} was called seen, its age is {age:?}"
            );
        } else {
            let forgotten_rightly = age.is_none_or(|age| age > limits.window_ms - step);
            assert!(forgotten_rightly || evictions > 0, "{key:?} was forgotten at the age of {age:?}");
            self.truth.insert(key, self.now);
        }
        assert!(self.window.len() <= limits.ids_max);
        seen
    }
}

/// The network is hashed as a real one's name would be.
fn numeric(network: u64, id: u64) -> MentionKey {
    MentionKey(u128::from(mix(network + 1) >> 1) << 64 | u128::from(id))
}

/// A hash whose upper half, which chooses the bucket, may be crafted.
fn hashed(upper: u64, lower: u64) -> MentionKey {
    MentionKey(u128::from(upper) << 63 | u128::from(mix(lower) >> 1) | 1 << 127)
}

/// Undoes the mixer, so that a test can ask for an id that stands where it wants.
fn unmix(mixed: u64) -> u64 {
    let undo_shift = |value: u64, by: u32| (0..64 / by).fold(value, |sum, _| value ^ (sum >> by));
    let id = undo_shift(mixed, 31).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let id = undo_shift(id, 27).wrapping_mul(0x96de_1b17_3f11_9089);
    undo_shift(id, 30)
}

#[test]
fn a_repeat_inside_the_window_is_seen_and_one_after_it_is_not() {
    let mut window = Checked::new(60_000, 1000);
    let key = numeric(1, 7);
    assert!(!window.ask(key, Millis(1_000)));
    assert!(window.ask(key, Millis(1_000)));
    assert!(window.ask(key, Millis(60_000)));
    assert!(!window.ask(key, Millis(61_000)), "a repeat does not renew the key");
    assert_eq!(window.window.forced_evictions(), 0);
}

#[test]
fn a_time_stamp_that_goes_back_neither_panics_nor_revives_anything() {
    let mut window = Checked::new(1_000, 10);
    for now in [i64::MAX, 0, i64::MIN, -5] {
        window.ask(hashed(7, now as u64), Millis(now));
        assert!(window.ask(hashed(7, i64::MAX as u64), Millis(now)));
    }
}

#[test]
fn the_number_of_ids_is_bounded_and_the_oldest_go_first() {
    for ids_max in [1, 2, 7, 100, 101, 5_000] {
        let mut window = Checked::new(3_600_000, ids_max);
        for id in 0..3 * ids_max as u64 {
            assert!(!window.ask(numeric(1, id), Millis(id as i64)));
            assert!(window.ask(numeric(1, id), Millis(id as i64)), "the newest id is always remembered");
        }
        assert!(window.window.len() * 100 >= ids_max * 98, "{} of {ids_max}", window.window.len());
        assert!(window.window.forced_evictions() >= 2 * ids_max as u64);
        assert!(!window.ask(numeric(1, 0), Millis(3 * ids_max as i64)));
    }
}

#[test]
fn ids_of_many_networks_never_meet() {
    let mut window = Checked::new(60_000, 10_000);
    for round in 0..2 {
        for network in 0..3 * NETWORKS_MAX as u64 {
            for id in 0..200 {
                assert_eq!(window.ask(numeric(network, id), Millis(0)), round == 1);
            }
        }
    }
    assert_eq!(window.window.numeric.len(), NETWORKS_MAX);
}

#[test]
fn ids_crafted_for_one_bucket_push_each_other_out_but_are_never_called_seen() {
    // Keys at the very start of the key space share the home bucket whatever the size of the table.
    let mut window = Checked::new(60_000, 20_000);
    for place in 0..4_000 {
        let id = unmix(place);
        assert_eq!(mix(id), place);
        assert!(!window.ask(numeric(1, id), Millis(place as i64)));
    }
    let buckets = <u64 as Word>::BUCKETS_MIN;
    assert!((0..4_000).all(|place| u64::split(place, buckets).0 == 0));
}

#[test]
fn tags_that_come_round_again_never_revive_an_old_id() {
    // More than 1,023 generations, each with ids that are asked for again only after their tag was given out anew.
    let mut window = Checked::new(100, 100_000);
    for generation in 0..3_000u64 {
        for id in 0..3 {
            assert!(!window.ask(numeric(1, generation * 3 + id), Millis(generation as i64)));
        }
        if generation >= 1_023 {
            assert!(!window.ask(numeric(1, (generation - 1_023) * 3), Millis(generation as i64)));
        }
    }
    assert_eq!(window.window.forced_evictions(), 0);
}

#[test]
fn memory_at_full_load_is_12_bytes_for_a_number_and_24_for_a_text_and_nothing_is_pushed_out() {
    let ids = 200_000;
    let limits = DedupLimits { window_ms: 3_600_000, ids_max: ids };
    let mut numbers = ExactWindow::new(limits);
    let mut texts = ExactWindow::new(limits);
    let empty = numbers.bytes();
    for id in 0..ids as u64 {
        assert!(!numbers.check_and_insert(numeric(1, 1_790_000_000_000_000_000 + id * 4096), Millis(0)));
        assert!(!texts.check_and_insert(hashed(mix(!id), id), Millis(0)));
    }
    assert_eq!((numbers.len(), texts.len()), (ids, ids));
    assert!(numbers.bytes() - empty <= 12 * ids, "{}", numbers.bytes() - empty);
    assert!(texts.bytes() <= 24 * ids, "{}", texts.bytes());
    assert_eq!(numbers.forced_evictions() + texts.forced_evictions(), 0);
}

#[test]
fn the_newest_ids_stay_known_while_old_ones_make_room_for_them() {
    let ids = 50_000;
    let mut window = Checked::new(3_600_000, ids);
    for id in 0..4 * ids as u64 {
        window.ask(numeric(1, id), Millis(id as i64));
    }
    let newest = 4 * ids as u64;
    let known =
        (newest - 49_000..newest).filter(|&id| window.ask(numeric(1, id), Millis(newest as i64))).count();
    assert!(known >= 48_990, "{known} of 49,000");
}

fn keys() -> impl Strategy<Value = MentionKey> {
    prop_oneof![
        (0u64..12, 0u64..60).prop_map(|(network, id)| numeric(network, id)),
        (0u64..2, 0u64..60).prop_map(|(network, place)| numeric(network, unmix(place))),
        (0u64..60).prop_map(|id| hashed(mix(id), id)),
        (0u64..60).prop_map(|id| hashed(id, 1)),
    ]
}

proptest! {
    #[test]
    fn no_new_mention_is_ever_called_seen(
        window_ms in 1i64..400,
        ids_max in 1usize..150,
        asked in prop::collection::vec((keys(), -3i64..9), 1..600),
    ) {
        let mut window = Checked::new(window_ms, ids_max);
        let mut now = 0;
        for (key, step) in asked {
            now += step;
            window.ask(key, Millis(now));
        }
    }

    #[test]
    fn fetching_keys_beforehand_changes_no_answer(
        batches in prop::collection::vec((prop::collection::vec(keys(), 0..90), 0i64..9), 1..12),
    ) {
        let limits = DedupLimits { window_ms: 40, ids_max: 100 };
        let (mut plain, mut fetched) = (ExactWindow::new(limits), ExactWindow::new(limits));
        let mut now = Millis(0);
        for (keys, step) in batches {
            now = now.plus(step);
            fetched.fetch(keys.iter().copied());
            for key in keys {
                prop_assert_eq!(plain.check_and_insert(key, now), fetched.check_and_insert(key, now));
            }
        }
        prop_assert!(plain == fetched);
    }
}

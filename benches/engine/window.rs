//! Exact dedup alone: time of an id in batches, and memory of a live one, for numeric and for string ids.
//!
//! Owns the two kinds of ids. The window is full when it is timed, so that every new id makes the oldest leave.

use crate::common::measure::{Figure, Results};
use crate::common::mentions::{Random, START};
use crate::timed;
use triage_engine::dedup::{ExactWindow, mention_key};
use triage_engine::model::MentionKey;
use triage_engine::policy::DedupLimits;

const KEY: [u8; 16] = *b"benches of dedup";
const BATCH: usize = 32;

/// Ids of a window whose table the processor's own cache holds: what the same work costs when memory is not waited for.
const IDS_IN_CACHE: usize = 20_000;

pub fn rows(results: &mut Results, ids: usize, rounds: usize) {
    println!();
    for (kind, make) in [("numeric", numeric as fn(u64) -> MentionKey), ("string", string)] {
        for ids in [ids, IDS_IN_CACHE.min(ids / 2)] {
            let mut full = Full::new(ids, make);
            let costs: Vec<f64> = (0..rounds.max(1)).map(|_| full.cost(1_000_000.min(ids * 10))).collect();
            results.row(&format!("exact dedup, {kind} ids, {ids} live"), "ns/id", Figure::of(&costs));
            if ids > IDS_IN_CACHE {
                let bytes = full.window.bytes() as f64 / full.window.len() as f64;
                let row = |what: &str| format!("memory of a live {kind} id, {what}");
                results.row(&row("full window"), "bytes", Figure::of(&[bytes]));
                results.row(&row("worst while filling"), "bytes", Figure::of(&[full.worst]));
            }
        }
    }
}

/// A window that is full.
struct Full {
    window: ExactWindow,
    ids: usize,
    make: fn(u64) -> MentionKey,
    next: u64,
    random: Random,
    /// The most bytes of a live id while it was filled.
    worst: f64,
}

impl Full {
    fn new(ids: usize, make: fn(u64) -> MentionKey) -> Full {
        let window = ExactWindow::new(DedupLimits { window_ms: 600_000, ids_max: ids });
        let mut full = Full { window, ids, make, next: 0, random: Random(7), worst: 0.0 };
        while full.next < (ids + ids / 4) as u64 {
            full.window.insert(make(full.next), START.plus((full.next / 1_000) as i64));
            full.next += 1;
            if full.next.is_multiple_of(10_000) && full.next as usize > ids / 10 {
                full.worst = full.worst.max(full.window.bytes() as f64 / full.window.len() as f64);
            }
        }
        full
    }

    /// Nanoseconds of an id, over at least so many; three of ten are copies of what came in the last tenth of the window.
    fn cost(&mut self, least: usize) -> f64 {
        let (mut seconds, mut done, mut seen) = (0.0, 0, 0);
        while done < least {
            let keys: Vec<MentionKey> = (0..self.ids / 4)
                .map(|_| {
                    if self.random.permille(300) {
                        return (self.make)(self.next - 1 - self.random.below((self.ids / 10) as u64));
                    }
                    self.next += 1;
                    (self.make)(self.next)
                })
                .collect();
            let now = START.plus((self.next / 1_000) as i64);
            seconds += timed(|| {
                for batch in keys.chunks(BATCH) {
                    self.window.fetch(batch.iter().copied());
                    seen += batch.iter().filter(|&&key| self.window.check_and_insert(key, now)).count();
                }
            });
            done += keys.len();
        }
        std::hint::black_box(seen);
        seconds * 1e9 / done as f64
    }
}

fn numeric(number: u64) -> MentionKey {
    MentionKey(3 << 64 | u128::from(1_790_000_000_000 + number))
}

fn string(number: u64) -> MentionKey {
    mention_key("bluesky", &format!("at://did:plc:author/post/{number:x}"), &KEY)
}

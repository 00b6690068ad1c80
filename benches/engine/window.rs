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

pub fn rows(results: &mut Results, ids: usize, rounds: usize) {
    println!();
    for (kind, make) in [("numeric", numeric as fn(u64) -> MentionKey), ("string", string)] {
        let mut window = ExactWindow::new(DedupLimits { window_ms: 600_000, ids_max: ids });
        let mut worst: f64 = 0.0;
        let mut seen = 0;
        let mut next = 0;
        let fill = (ids + ids / 4) as u64;
        while next < fill {
            window.insert(make(next), START.plus((next / 1_000) as i64));
            next += 1;
            if next.is_multiple_of(10_000) && next as usize > ids / 10 {
                worst = worst.max(window.bytes() as f64 / window.len() as f64);
            }
        }
        let full = window.bytes() as f64 / window.len() as f64;
        let mut random = Random(7);
        let costs: Vec<f64> = (0..rounds.max(1))
            .map(|_| {
                let count = ids / 4;
                // Three of ten are copies of what came in the last tenth of the window.
                let keys: Vec<MentionKey> = (0..count)
                    .map(|_| {
                        if random.permille(300) {
                            return make(next - 1 - random.below((ids / 10) as u64));
                        }
                        next += 1;
                        make(next)
                    })
                    .collect();
                let now = START.plus((next / 1_000) as i64);
                let seconds = timed(|| {
                    for batch in keys.chunks(BATCH) {
                        window.fetch(batch.iter().copied());
                        seen += batch.iter().filter(|&&key| window.check_and_insert(key, now)).count();
                    }
                });
                std::hint::black_box(seen);
                seconds * 1e9 / count as f64
            })
            .collect();
        results.row(&format!("exact dedup, {kind} ids, {ids} live"), "ns/id", Figure::of(&costs));
        results.row(&format!("memory of a live {kind} id, full window"), "bytes", Figure::of(&[full]));
        results.row(
            &format!("memory of a live {kind} id, worst while filling"),
            "bytes",
            Figure::of(&[worst]),
        );
    }
}

fn numeric(number: u64) -> MentionKey {
    MentionKey(3 << 64 | u128::from(1_790_000_000_000 + number))
}

fn string(number: u64) -> MentionKey {
    mention_key("bluesky", &format!("at://did:plc:author/post/{number:x}"), &KEY)
}

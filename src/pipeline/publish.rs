//! From what shards count to what Prometheus reads: one whole copy per lane, so that a scrape agrees with itself.
//!
//! Owns the arithmetic of invariant I5 (input = dispositions + in flight). May not count by itself: shards do. Called
//! by the lanes' threads, at most ten times a second, and by the thread that asks the broker how far behind we are.

use super::shared::{Seat, Shared};
use super::waiting::{Progress, Waiting};
use crate::counters::{Counters, Input, Outcome, Readings, RestoreReason, Stage};
use crate::log::{LogError, TopicPartition};
use crate::shard::desk_lane::{DeskPlace, DeskWork};
use crate::shard::lane::{Lane, Shard, Work};
use crate::shard::triage::TriageCounts;
use crate::shard::triage_lane::TriageWork;
use std::collections::BTreeMap;
use std::sync::Arc;
use triage_engine::model::EventDisposition;

/// Of each desk log so many of its oldest cases are looked at, once a second, for the age of queues.
const OLDEST_CASES_MAX: usize = 1_000;

/// What a lane can tell of itself.
pub(super) trait Published: Work + Sized {
    /// What it counted since it started. `before` is the last answer: what only grows never goes back.
    fn counters(lane: &Lane<Self>, before: &Counters) -> Counters;

    /// What is told less often, because it costs more. `snapshot_new`: one was published since `before`.
    fn readings(lane: &Lane<Self>, wall_ms: i64, before: &Readings, snapshot_new: bool) -> Readings;

    /// How far the mentions of a live partition are; `None` where it holds other things.
    fn progress(shard: &Self::Shard) -> Option<Progress>;

    /// The committed offset of a live partition.
    fn committed(shard: &Self::Shard) -> i64;

    /// The epoch of the policy that a live partition uses; `i64::MAX` where none is used.
    fn epoch(shard: &Self::Shard) -> i64;
}

fn restores(counters: &mut Counters, restored: u64, stops: &BTreeMap<&'static str, u64>) {
    let mut assigned = restored;
    for (name, &count) in stops {
        let reason = RestoreReason::ALL.into_iter().find(|reason| reason.name() == *name);
        if let Some(reason) = reason {
            counters.restores[reason as usize] = count;
        }
        // A shard that stopped is restored again, unless the partition went away with it.
        assigned = assigned.saturating_sub(count);
    }
    counters.restores[RestoreReason::Assigned as usize] = assigned;
}

impl Published for TriageWork {
    fn counters(lane: &Lane<TriageWork>, before: &Counters) -> Counters {
        let mut sum: TriageCounts = lane.work.counts().clone();
        let mut counters = Counters::default();
        for place in lane.live() {
            sum.add(&place.shard.counts);
            let window = place.shard.engine().window();
            counters.dedup_live_ids += window.len() as u64;
            counters.dedup_forced_evictions += window.forced_evictions();
        }
        counters.settled = sum.settled;
        counters.dead_letters = sum.dead;
        counters.released = sum.released;
        counters.paused_partitions = lane.paused() as u64;
        // Records of a shard that was dropped unsettled are handed out again: they count once, as still in flight.
        let received = sum.received - lane.work.abandoned;
        let shown = received.max(before.input[Input::Mentions as usize]);
        counters.input[Input::Mentions as usize] = shown;
        counters.inflight_records = shown - counters.settled_total();
        counters.ledger_records = sum.ledger_records;
        counters.latency = sum.latency;
        counters.stages = sum.stages;
        counters.ledger_conflicts = lane.work.restores.get("conflict").copied().unwrap_or(0);
        counters.backpressure_ms = lane.backpressure_ms.max(0) as u64;
        counters.buffer_bytes = lane.bytes() as u64;
        counters.dedup_forced_evictions = counters.dedup_forced_evictions.max(before.dedup_forced_evictions);
        restores(&mut counters, lane.restored, &lane.work.restores);
        assert!(counters.accounts_for_every_mention(), "invariant I5: {counters:?}");
        counters
    }

    fn readings(lane: &Lane<TriageWork>, _: i64, _: &Readings, _: bool) -> Readings {
        let mut sum: TriageCounts = lane.work.counts().clone();
        lane.live().for_each(|place| sum.add(&place.shard.counts));
        let assigned = sum.assigned().into_iter().map(|(queue, to)| (to.desk, queue, to.mentions)).collect();
        Readings { assigned, ..Readings::default() }
    }

    fn progress(place: &Self::Shard) -> Option<Progress> {
        let shard = &place.shard;
        Some(Progress { settled: shard.settled_offset(), oldest: shard.oldest_unsettled() })
    }

    fn committed(place: &Self::Shard) -> i64 {
        place.shard.committed_offset()
    }

    fn epoch(place: &Self::Shard) -> i64 {
        place.shard.adopted()
    }
}

impl Published for DeskWork {
    fn counters(lane: &Lane<DeskWork>, _: &Counters) -> Counters {
        let mut sum = lane.work.counts.clone();
        lane.live().for_each(|place| sum.take(place));
        let mut counters = Counters::default();
        counters.input[Input::Helpdesk as usize] = sum.helpdesk_received;
        counters.input[Input::Desks as usize] = sum.desk_received;
        counters.outcomes[Outcome::Opened as usize] = sum.desk.opened;
        counters.outcomes[Outcome::Linked as usize] = sum.desk.linked;
        counters.outcomes[Outcome::Copy as usize] = sum.desk.copy;
        for &disposition in EventDisposition::ALL {
            let at_intake = sum.intake.get(&disposition).copied().unwrap_or(0);
            counters.events[usize::from(disposition.code())] = at_intake + sum.desk.events(disposition);
        }
        counters.snapshot_writes = sum.snapshots;
        counters.snapshot_failures = sum.snapshots_failed;
        counters.stages[Stage::Desk as usize] = sum.took;
        counters.backpressure_ms = lane.backpressure_ms.max(0) as u64;
        restores(&mut counters, lane.restored, &sum.restores);
        counters
    }

    fn readings(lane: &Lane<DeskWork>, wall_ms: i64, before: &Readings, snapshot_new: bool) -> Readings {
        let mut readings = Readings {
            snapshot_at_ms: before.snapshot_at_ms,
            snapshot_bytes: before.snapshot_bytes,
            ..Readings::default()
        };
        let mut desks: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let mut queues: BTreeMap<Arc<str>, (u64, Option<u64>)> = BTreeMap::new();
        for place in lane.live() {
            let DeskPlace::Desk(desk) = place else { continue };
            for ((name, queue), open) in desk.shard.engine().open_by_queue() {
                *desks.entry(name.clone()).or_default() += open;
                queues.entry(queue.clone()).or_default().0 += open;
            }
            for ((_, queue), opened_at) in desk.shard.engine().oldest_by_queue(OLDEST_CASES_MAX) {
                let (_, age) = queues.entry(queue).or_default();
                *age = Some((wall_ms - opened_at.0).max(0).unsigned_abs()).max(*age);
            }
            if snapshot_new && desk.shard.snapshots.published > 0 {
                readings.snapshot_bytes = desk.shard.snapshots.bytes;
                readings.snapshot_at_ms = u64::try_from(wall_ms).unwrap_or(0);
            }
        }
        readings.cases_open = desks.into_iter().collect();
        readings.queues = queues.into_iter().map(|(queue, (depth, age))| (queue, depth, age)).collect();
        readings
    }

    fn progress(_: &DeskPlace) -> Option<Progress> {
        None
    }

    fn committed(place: &DeskPlace) -> i64 {
        place.start()
    }

    fn epoch(place: &DeskPlace) -> i64 {
        match place {
            DeskPlace::Desk(desk) => desk.shard.engine().policy().map_or(i64::MIN, |(epoch, _)| epoch),
            DeskPlace::Intake(_) | DeskPlace::Plan(_) => i64::MAX,
        }
    }
}

/// Looks since when mentions wait on a lane. What it lost with its group may come back as long as that has not answered.
pub(super) fn wait<W: Published>(lane: &Lane<W>, waiting: &mut Waiting) {
    let live = lane.places().filter_map(|(partition, shard)| Some((partition, W::progress(shard)?)));
    waiting.look(|partition| lane.is_held(partition) || lane.is_lost(), live);
}

/// Tells the seat which partitions are live, and up to where they are committed.
pub(super) fn positions<W: Published>(lane: &Lane<W>, seat: &Seat) {
    let (held, not_live) = lane.holds();
    seat.set_holds(held, not_live);
    seat.set_epoch(lane.live().map(W::epoch).min().unwrap_or(i64::MAX));
    let mut committed = seat.committed();
    committed.clear();
    committed.extend(lane.places().map(|(partition, shard)| (partition.clone(), W::committed(shard))));
}

/// Asks the broker for the end of every partition that is live here; how far each is behind. Each answer is noted: an
/// instance that holds nothing asks too, for the end of the control topic, so that it knows whether a broker is there.
pub(super) fn lag(shared: &Shared) -> Vec<(Arc<str>, u32, u64)> {
    let ends_of = |partition: &TopicPartition| {
        let ends = shared.logs.bounds(partition);
        match &ends {
            Err(LogError::Away(why)) => shared.met_no_broker(why),
            _ => shared.broker_answered(),
        }
        ends
    };
    let mut lag = Vec::new();
    if shared.seats().iter().all(|seat| seat.committed().is_empty()) {
        // What its end is does not matter, only that somebody says so.
        let _ = ends_of(&TopicPartition::new(&shared.settings.topics.control, 0));
    }
    for seat in shared.seats() {
        let positions: Vec<(TopicPartition, i64)> = seat.committed().clone();
        for (partition, committed) in positions {
            match ends_of(&partition) {
                Ok((_, end)) => {
                    let behind = u64::try_from(end - committed).unwrap_or(0);
                    lag.push((partition.topic.clone(), partition.partition, behind));
                }
                Err(error) => {
                    tracing::debug!(%partition, %error, "its end is not known");
                    return lag;
                }
            }
        }
    }
    lag
}

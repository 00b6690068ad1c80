//! What a desk lane does: desk logs, helpdesk events and the control topic, each partition by its kind.
//!
//! Owns what the owner of a desk log writes into it itself: ticks on a quiet log, and policy switches. May not
//! read a mention from the firehose, so a backlog of mentions never starves the desks. Stepped through
//! `Lane<DeskWork>`.

use super::desk::{DeskShard, DeskTopics};
use super::desk_restore::DeskRestore;
use super::intake::{IntakeShard, IntakeTopics};
use super::lane::{Progress, Shard, Work};
use super::plan::PlanShard;
use super::{Alerts, Stop};
use crate::counters::Histogram;
use crate::log::{
    Commit, LogError, Logs, Outgoing, Producer, ReadStep, Reader, Records, Ticket, TopicPartition,
};
use crate::policies::{BuildMatcher, Policies};
use crate::wire::{control, desk_log};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use triage_engine::desk::{Counts, Event};
use triage_engine::model::{EventDisposition, Millis, StreamId};
use triage_engine::plans::{ControlRecord, PlanState};

/// What the desk lane of an instance needs.
#[derive(Clone)]
pub struct DeskParts {
    /// The cluster.
    pub logs: Arc<dyn Logs>,
    /// The policies.
    pub policies: Arc<Policies>,
    /// How matchers are built.
    pub matcher: BuildMatcher,
    /// Where alerts go.
    pub alerts: Alerts,
    /// The desk log.
    pub desks: Arc<str>,
    /// The helpdesk's events and the broker's id of that topic.
    pub helpdesk: (Arc<str>, StreamId),
    /// The control topic.
    pub control: Arc<str>,
    /// Desk snapshots; as many partitions as the desk log.
    pub snapshots: Arc<str>,
    /// Where desks' records go.
    pub outputs: DeskTopics,
    /// Where intake's records go.
    pub intake: IntakeTopics,
    /// Milliseconds of quiet after which the owner of a desk log with open cases appends a tick.
    pub tick_interval_ms: i64,
    /// Milliseconds between snapshots.
    pub snapshot_interval_ms: i64,
    /// Milliseconds for which the desk log is kept although snapshots have made it dispensable.
    pub log_keep_ms: i64,
}

/// The work of the desk lane.
pub struct DeskWork {
    parts: DeskParts,
    /// Whether a desk log is being trimmed: one at a time, or a slow broker would keep policies waiting behind them.
    trims: Arc<AtomicBool>,
    /// What dropped shards counted.
    pub counts: DeskCounts,
}

/// What a desk lane counts.
#[derive(Debug, Clone, Default)]
pub struct DeskCounts {
    /// What the desks counted.
    pub desk: Counts,
    /// Helpdesk events that ended at intake.
    pub intake: BTreeMap<EventDisposition, u64>,
    /// Records of desk logs handed out.
    pub desk_received: u64,
    /// Helpdesk records handed out.
    pub helpdesk_received: u64,
    /// Shards restored, by the reason they had stopped for.
    pub restores: BTreeMap<&'static str, u64>,
    /// Snapshots published.
    pub snapshots: u64,
    /// Snapshots that failed.
    pub snapshots_failed: u64,
    /// How long runs of desk logs took until what follows from them was acknowledged, in microseconds.
    pub took: Histogram,
}

/// One partition that is live, of whichever kind.
pub enum DeskPlace {
    /// A desk log.
    Desk(Box<LiveDesk>),
    /// Helpdesk events.
    Intake(IntakeShard),
    /// The control topic.
    Plan(PlanShard),
}

/// A desk log that is ours.
pub struct LiveDesk {
    /// The shard.
    pub shard: DeskShard,
    quiet_since: i64,
    tick: Option<Arc<Ticket>>,
    announced: i64,
    acknowledged: i64,
}

/// One partition on its way to being live.
pub enum DeskRestoring {
    /// A desk log.
    Desk(Box<DeskRestore>),
    /// Helpdesk events need nothing but the committed offset.
    Intake(TopicPartition, i64),
    /// The control topic is folded from its start.
    Plan(TopicPartition, Box<dyn Reader>, Box<PlanState>, i64),
}

/// How long one step of a restore waits for records at most.
const RESTORE_WAIT: Duration = Duration::from_millis(1);

impl DeskWork {
    /// A lane's work over these parts.
    #[must_use]
    pub fn new(parts: DeskParts) -> DeskWork {
        DeskWork { parts, trims: Arc::default(), counts: DeskCounts::default() }
    }

    /// Writes into a desk log what only its owner may: that another policy is in force, and that time passes.
    fn own_records(&self, desk: &mut LiveDesk, now_ms: i64, out: &mut dyn Producer) {
        let in_force = self.parts.policies.in_force();
        let known = desk.shard.engine().policy().map_or(i64::MIN, |(epoch, _)| epoch);
        if let Some(now) = in_force.as_ref().filter(|now| now.epoch > known.max(desk.announced)) {
            desk.announced = now.epoch;
            let switched = Event::PolicySwitched { epoch: now.epoch, generation: now.policy.generation() };
            append(desk.shard.log(), &switched, out);
        }
        if known > desk.acknowledged {
            desk.acknowledged = known;
            self.acknowledge(desk, out);
        }
        let due = now_ms - desk.quiet_since >= self.parts.tick_interval_ms;
        let out_already = desk.tick.as_ref().is_some_and(|ticket| !ticket.is_settled());
        if due && !out_already && desk.shard.engine().open_cases() > 0 {
            desk.quiet_since = now_ms;
            desk.tick = append(desk.shard.log(), &Event::Tick, out);
        }
    }

    fn acknowledge(&self, desk: &LiveDesk, out: &mut dyn Producer) {
        let Some((epoch, generation)) = desk.shard.engine().policy() else { return };
        let shard = format!("desk/{}", desk.shard.log().partition);
        let (key, value) = control::encode(&ControlRecord::Adopted { shard, epoch, generation });
        let mut batch = Outgoing::default();
        batch.push(Some(key.as_bytes()), value.as_deref());
        let to = TopicPartition { topic: self.parts.control.clone(), partition: 0 };
        if let Err(error) = out.send(&to, &batch, &Arc::new(Ticket::new())) {
            tracing::warn!(%error, "a policy switch was not acknowledged");
        }
    }

    fn snapshot(&self, desk: &mut LiveDesk, now_ms: i64, out: &mut dyn Producer) {
        let committed = desk.shard.runs.committed_offset();
        let log = desk.shard.log().clone();
        match desk.shard.advance_snapshots(now_ms, committed, &self.parts.policies, out) {
            Ok(None) => {}
            // Trimming is thrift, not correctness: what is left out, or fails, the next snapshot tries again.
            Ok(Some(_)) if self.trims.swap(true, Ordering::Relaxed) => {}
            Ok(Some(below)) => {
                let trims = Arc::clone(&self.trims);
                let (logs, kept_from) =
                    (Arc::clone(&self.parts.logs), desk.shard.engine().now().plus(-self.parts.log_keep_ms));
                // Three questions to the broker, for which the lane need not stand still.
                self.parts.policies.later(move |_| {
                    if let Err(error) = trim(logs.as_ref(), &log, below, kept_from) {
                        tracing::warn!(%log, %error, "the desk log was not trimmed");
                    }
                    trims.store(false, Ordering::Relaxed);
                });
            }
            Err(error) => tracing::warn!(%log, %error, "a desk snapshot was not published"),
        }
    }
}

/// Trims a desk log below this offset, as far as its records are older than `kept_from`.
fn trim(logs: &dyn Logs, log: &TopicPartition, below: i64, kept_from: Millis) -> Result<(), LogError> {
    let below = below.min(logs.offset_at(log, kept_from)?);
    let (start, _) = logs.bounds(log)?;
    if below > start { logs.trim(log, below) } else { Ok(()) }
}

/// Appends an event of the owner's own; it has no source, for it is harmless to append twice.
fn append(log: &TopicPartition, event: &Event<'_>, out: &mut dyn Producer) -> Option<Arc<Ticket>> {
    let mut value = Vec::new();
    desk_log::encode(None, event, &mut value);
    let mut batch = Outgoing::default();
    batch.push(None, Some(&value));
    let ticket = Arc::new(Ticket::new());
    match out.send(log, &batch, &ticket) {
        Ok(()) => Some(ticket),
        Err(error) => {
            tracing::warn!(%log, %error, "the desk log does not take its owner's record");
            None
        }
    }
}

impl Work for DeskWork {
    type Shard = DeskPlace;
    type Restore = DeskRestoring;

    fn begin(
        &mut self,
        partition: &TopicPartition,
        commit: Option<Commit>,
    ) -> Result<DeskRestoring, LogError> {
        let parts = &self.parts;
        if partition.topic == parts.desks {
            let to = TopicPartition { topic: parts.snapshots.clone(), partition: partition.partition };
            let logs = parts.logs.as_ref();
            let restore = DeskRestore::begin(logs, partition, to, parts.snapshot_interval_ms, commit)?;
            return Ok(DeskRestoring::Desk(Box::new(restore)));
        }
        let (start, _) = parts.logs.bounds(partition)?;
        let committed = commit.map_or(start, |commit| commit.offset);
        if partition.topic == parts.control {
            let reader = parts.logs.reader(&[(partition.clone(), start)])?;
            return Ok(DeskRestoring::Plan(partition.clone(), reader, Box::default(), committed));
        }
        if start > committed {
            tracing::error!(%partition, first = committed, last = start - 1, "helpdesk events were lost to retention");
        }
        Ok(DeskRestoring::Intake(partition.clone(), committed.max(start)))
    }

    fn pin_of(restore: &DeskRestoring) -> Option<i64> {
        match restore {
            DeskRestoring::Intake(_, committed) => Some(*committed),
            // Nothing expires there; and a desk without a commit may still find a snapshot that knows better.
            DeskRestoring::Desk(_) | DeskRestoring::Plan(..) => None,
        }
    }

    fn restore(&mut self, restore: DeskRestoring, _: &mut dyn Producer) -> Result<Progress<Self>, LogError> {
        let parts = &self.parts;
        match restore {
            DeskRestoring::Desk(restore) => {
                let step = restore.step(parts.logs.as_ref(), &parts.policies, parts.matcher, RESTORE_WAIT)?;
                Ok(match step {
                    Ok(shard) => Progress::Whole(Box::new(DeskPlace::Desk(Box::new(LiveDesk::new(shard))))),
                    Err(restore) => Progress::Reading(DeskRestoring::Desk(Box::new(restore))),
                })
            }
            DeskRestoring::Intake(partition, committed) => {
                let shard = IntakeShard::new(partition, parts.helpdesk.1, committed);
                Ok(Progress::Whole(Box::new(DeskPlace::Intake(shard))))
            }
            DeskRestoring::Plan(partition, mut reader, mut state, committed) => {
                match reader.read(RESTORE_WAIT)? {
                    ReadStep::Nothing => {
                        Ok(Progress::Reading(DeskRestoring::Plan(partition, reader, state, committed)))
                    }
                    ReadStep::Records(records) => {
                        for record in records.iter() {
                            control::fold(&mut state, record.offset, record.key, record.value);
                        }
                        Ok(Progress::Reading(DeskRestoring::Plan(partition, reader, state, committed)))
                    }
                    ReadStep::End(_, next) => {
                        let shard = PlanShard::new(partition, *state, next, committed);
                        Ok(Progress::Whole(Box::new(DeskPlace::Plan(shard))))
                    }
                }
            }
        }
    }

    fn live(&mut self, _: &mut DeskPlace, _: &mut dyn Producer) {}

    fn take(&mut self, place: &mut DeskPlace, records: Records, out: &mut dyn Producer) -> Option<Records> {
        let parts = &self.parts;
        match place {
            DeskPlace::Desk(desk) => {
                desk.quiet_since = i64::MIN;
                desk.shard.accept(records, &parts.policies, parts.matcher, &parts.outputs, out)
            }
            DeskPlace::Intake(shard) => {
                shard.accept(&records, &parts.intake, out);
                None
            }
            DeskPlace::Plan(shard) => {
                shard.accept(&records);
                None
            }
        }
    }

    fn advance(&mut self, place: &mut DeskPlace, now_ms: i64, _may_begin: bool, out: &mut dyn Producer) {
        match place {
            DeskPlace::Desk(desk) => {
                if desk.quiet_since == i64::MIN {
                    desk.quiet_since = now_ms;
                }
                desk.shard.runs.advance();
                self.own_records(desk, now_ms, out);
                self.snapshot(desk, now_ms, out);
            }
            DeskPlace::Intake(shard) => shard.runs.advance(),
            DeskPlace::Plan(shard) => shard.advance(&self.parts.policies, out),
        }
    }

    fn between(&mut self) -> bool {
        false
    }

    fn stopped(&mut self, partition: &TopicPartition, stop: &Stop, out: &mut dyn Producer) {
        self.parts.alerts.stopped(stop, partition, out);
    }

    fn dropped(&mut self, place: DeskPlace, stop: Option<&Stop>) {
        if let Some(stop) = stop {
            *self.counts.restores.entry(stop.name()).or_default() += 1;
        }
        self.counts.take(&place);
    }
}

impl DeskCounts {
    /// Adds what one shard has counted.
    pub fn take(&mut self, place: &DeskPlace) {
        match place {
            DeskPlace::Desk(desk) => {
                self.desk.add(&desk.shard.counts);
                self.desk_received += desk.shard.received;
                self.snapshots += desk.shard.snapshots.published;
                self.snapshots_failed += desk.shard.snapshots.failed;
                self.took.add(&desk.shard.runs.took);
            }
            DeskPlace::Intake(shard) => {
                self.helpdesk_received += shard.received;
                for (&disposition, &count) in &shard.counts {
                    *self.intake.entry(disposition).or_default() += count;
                }
            }
            DeskPlace::Plan(_) => {}
        }
    }
}

impl DeskPlace {
    /// Records taken and not settled.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        match self {
            DeskPlace::Desk(desk) => desk.shard.runs.in_flight(),
            DeskPlace::Intake(shard) => shard.runs.in_flight(),
            DeskPlace::Plan(_) => 0,
        }
    }
}

impl LiveDesk {
    fn new(shard: DeskShard) -> LiveDesk {
        LiveDesk { shard, quiet_since: i64::MIN, tick: None, announced: i64::MIN, acknowledged: i64::MIN }
    }
}

macro_rules! each {
    ($place:expr, $shard:ident => $do:expr) => {
        match $place {
            DeskPlace::Desk(desk) => {
                let $shard = &desk.shard.runs;
                $do
            }
            DeskPlace::Intake(intake) => {
                let $shard = &intake.runs;
                $do
            }
            DeskPlace::Plan($shard) => $do,
        }
    };
}

impl Shard for DeskPlace {
    fn stopped(&self) -> Option<Stop> {
        each!(self, shard => shard.stopped().cloned())
    }

    fn is_stopping(&self) -> bool {
        each!(self, shard => shard.is_stopping())
    }

    fn is_drained(&self) -> bool {
        each!(self, shard => shard.is_drained())
    }

    fn commit(&self) -> Option<Commit> {
        each!(self, shard => shard.commit())
    }

    fn committed(&mut self, commit: &Commit) {
        match self {
            DeskPlace::Desk(desk) => desk.shard.runs.committed(commit.offset),
            DeskPlace::Intake(shard) => shard.runs.committed(commit.offset),
            DeskPlace::Plan(shard) => shard.committed(commit.offset),
        }
    }

    fn overtaken(&mut self) {
        match self {
            DeskPlace::Desk(desk) => desk.shard.runs.stop_for(Stop::Overtaken),
            DeskPlace::Intake(shard) => shard.runs.stop_for(Stop::Overtaken),
            DeskPlace::Plan(shard) => shard.overtaken(),
        }
    }

    fn start(&self) -> i64 {
        match self {
            DeskPlace::Desk(desk) => desk.shard.runs.committed_offset(),
            DeskPlace::Intake(shard) => shard.runs.committed_offset(),
            DeskPlace::Plan(shard) => shard.next(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            DeskPlace::Desk(desk) => desk.shard.runs.bytes(),
            DeskPlace::Intake(shard) => shard.runs.bytes(),
            DeskPlace::Plan(_) => 0,
        }
    }
}

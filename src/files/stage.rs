//! The daemon's lanes on a log in this process's memory, stepped by one hand: the same input gives the same bytes.
//!
//! Owns the log, the clock that the file drives, and the order of the steps: lines in, triage until all of them are
//! settled, desks until they have folded what came. What is settled is dropped from the log, so memory follows what is
//! in flight and what desks remember. Workers scan in threads of their own, which changes no decision (the shard takes
//! their results in log order). May not decide anything. Called by `mod.rs`.

use super::reading::Line;
use crate::clock::{Clock, ManualClock};
use crate::config::Settings;
use crate::embedded::{Cluster, StoredRecord};
use crate::error::Error;
use crate::log::{Logs, NewTopic, TopicPartition};
use crate::pipeline::policy::{self, Local};
use crate::pipeline::{Wiring, topics, workers};
use crate::policies::{Follower, Policies};
use crate::shard::desk_lane::{DeskPlace, DeskWork};
use crate::shard::lane::{Lane, LaneLimits, Shard};
use crate::shard::starts::Starts;
use crate::shard::triage_counts::TriageCounts;
use crate::shard::triage_lane::TriageWork;
use crate::wire::desk_log;
use crate::worker::{ScanSettings, Workers};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use triage_engine::desk::{Counts, DeskLog, Event};
use triage_engine::model::Millis;
use triage_engine::policy::Policy;

/// How long a lane waits for the workers before it looks again.
const WAIT: Duration = Duration::from_micros(200);
/// The lanes' own clock stands still: what they do by time (commits apart, which are due at every step) is done here.
const LANE_NOW: i64 = 0;
/// So many steps bring an empty log up; more mean that it never will.
const START_STEPS_MAX: u32 = 10_000;

/// The lanes and their log.
pub(super) struct Stage {
    cluster: Cluster,
    clock: Arc<ManualClock>,
    times: Arc<Mutex<Times>>,
    triage: Lane<TriageWork>,
    desk: Lane<DeskWork>,
    input: TopicPartition,
    ledger: TopicPartition,
    desks: Vec<TopicPartition>,
    /// The topics that others read, in the order in which records of one moment are written.
    outputs: Vec<String>,
    /// The shortest time after which a case of any desk lapses, in milliseconds.
    lapse_ms_min: i64,
}

/// When each line of the batch in flight happened.
#[derive(Default)]
struct Times {
    /// The offset of the first.
    first: i64,
    at: Vec<Millis>,
}

impl Times {
    fn of(&self, offset: i64) -> Option<Millis> {
        usize::try_from(offset - self.first).ok().and_then(|index| self.at.get(index)).copied()
    }
}

impl Stage {
    /// Makes the log and its topics at the time `at`, and puts `local` in force.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub(super) fn open(
        settings: &Settings,
        local: &Local,
        scan: ScanSettings,
        at: Millis,
    ) -> Result<Stage, Error> {
        let settings = &on_one_partition(settings);
        let clock = Arc::new(ManualClock::new(at));
        let as_clock: Arc<dyn Clock> = clock.clone();
        let cluster = Cluster::new(as_clock.clone());
        let logs: Arc<dyn Logs> = Arc::new(cluster.clone());
        let sizes = topics::Sizes { inputs: 1, desks: 1, replication: 0 };
        let needed = topics::needed(settings, &cluster, &[&local.policy], sizes)?;
        let needed: Vec<NewTopic> = needed.into_iter().map(|(new, _)| new).collect();
        cluster.create(&needed)?;
        let found = topics::check(settings, &cluster)?;
        let times: Arc<Mutex<Times>> = Arc::default();
        let (known, desks) = (Arc::clone(&times), settings.topics.desks.clone());
        cluster.stamp_by(move |to, value| (*to.topic == *desks).then(|| stamp(&known, value)).flatten());

        let policies = Policies::new();
        let wiring = Wiring { settings, logs: &logs, policies: &policies, clock: &as_clock, found: &found };
        let limits = LaneLimits { buffer_bytes: usize::MAX, commit_interval_ms: 0, drain_ms: 0, retry_ms: 0 };
        let workers = Arc::new(Workers::new(workers(settings) as usize, scan));
        let (names, group) = (&settings.topics, &settings.group.name);
        let subscribed = [names.desks.as_str(), names.helpdesk_events.as_str(), names.control.as_str()];
        let desk = logs.member(&format!("{group}.desk"), "files", &subscribed)?;
        let desk = Lane::new(DeskWork::new(wiring.desk(0)), desk, logs.producer("desk")?, limits);
        let triage = logs.member(&format!("{group}.triage"), "files", &[names.mentions.as_str()])?;
        let triage_work = TriageWork::new(wiring.triage(workers, Starts::new(None)));
        let triage = Lane::new(triage_work, triage, logs.producer("triage")?, limits);
        let desks = (0..found.partitions_of(&names.desks)).map(|p| TopicPartition::new(&names.desks, p));
        let lapse = local.policy.desks().iter().map(|desk| desk.case_lapse_ms).min();
        let mut stage = Stage {
            desks: desks.collect(),
            cluster,
            clock,
            times,
            triage,
            desk,
            input: TopicPartition::new(&names.mentions, 0),
            ledger: TopicPartition::new(&topics::ledger(settings), 0),
            outputs: outputs(settings, &local.policy),
            lapse_ms_min: lapse.unwrap_or(i64::MAX),
        };
        policy::publish_and_request(
            settings,
            logs.as_ref(),
            as_clock.as_ref(),
            local.policy.generation(),
            &local.bundle,
        )?;
        let follower =
            Follower::new(logs.as_ref(), &names.control, &names.policies, policies.clone(), policy::matcher)?;
        stage.start(follower, &policies)?;
        Ok(stage)
    }

    /// Steps until the policy is in force and every partition is live.
    fn start(&mut self, mut follower: Follower, policies: &Policies) -> Result<(), Error> {
        for _ in 0..START_STEPS_MAX {
            self.desk.step(LANE_NOW, Duration::ZERO)?;
            follower.step(Duration::ZERO)?;
            if policies.in_force().is_none() {
                continue;
            }
            self.triage.step(LANE_NOW, Duration::ZERO)?;
            if self.triage.live().count() == 1 && self.desk.live().count() > self.desks.len() {
                return self.settle_desks();
            }
        }
        Err(Error::try_again("the policy did not come in force"))
    }

    /// Before this time, and before the shortest lapse from `from` on, no case lapses: lines of that stretch may go
    /// through together, and each case still lapses in the very millisecond in which it is due.
    pub(super) fn calm_until(&self, from: Millis) -> Millis {
        let dues = self.logs_of_desks().filter_map(|(_, desk)| desk.dues().next());
        dues.min().unwrap_or(Millis(i64::MAX)).min(from.plus(self.lapse_ms_min))
    }

    /// Lets time pass on the desks up to `now`: in the daemon a tick each second does that, here one at each moment at
    /// which something is due.
    pub(super) fn pass_time(&mut self, now: Millis) -> Result<(), Error> {
        let mut ticks: Vec<(Millis, TopicPartition)> = self
            .logs_of_desks()
            .flat_map(|(log, desk)| {
                desk.dues().take_while(|&due| due <= now).map(move |due| (due, log.clone()))
            })
            .collect();
        if ticks.is_empty() {
            return Ok(());
        }
        ticks.sort_unstable();
        ticks.dedup();
        let mut tick = Vec::new();
        desk_log::encode(None, &Event::Tick, &mut tick);
        for (due, log) in ticks {
            self.clock.set_wall(due);
            self.cluster.append(&log, None, Some(&tick))?;
        }
        self.settle_desks()
    }

    /// Takes lines in and sees them through; blank ones use up their number only.
    pub(super) fn feed(&mut self, lines: &[Line]) -> Result<(), Error> {
        let mut through = None;
        let (_, first) = self.cluster.bounds(&self.input)?;
        let at = lines.iter().map(|line| line.at).collect();
        *self.times.lock().unwrap_or_else(PoisonError::into_inner) = Times { first, at };
        for line in lines {
            if line.bytes.is_empty() {
                self.cluster.append_hole(&self.input)?;
                continue;
            }
            self.clock.set_wall(line.at);
            through = Some(self.cluster.append(&self.input, None, Some(&line.bytes))? + 1);
        }
        let Some(through) = through else { return Ok(()) };
        while self.triage.live().all(|place| place.shard.committed_offset() < through) {
            self.triage.step(LANE_NOW, WAIT)?;
            if self.triage.is_stopping() {
                let stop = self.triage.live().find_map(Shard::stopped);
                return Err(stopped(stop.map(|stop| stop.to_string())));
            }
        }
        self.cluster.trim(&self.input, through)?;
        self.cluster.trim(&self.ledger, self.cluster.bounds(&self.ledger)?.1)?;
        self.settle_desks()
    }

    /// Steps the desks until they have folded everything, and drops it.
    fn settle_desks(&mut self) -> Result<(), Error> {
        loop {
            self.desk.step(LANE_NOW, Duration::ZERO)?;
            if self.desk.is_stopping() {
                let stop = self.desk.live().find_map(Shard::stopped);
                return Err(stopped(stop.map(|stop| stop.to_string())));
            }
            let mut behind = false;
            for (partition, place) in self.desk.places() {
                if let DeskPlace::Desk(_) = place {
                    behind |= place.start() < self.cluster.bounds(partition)?.1;
                }
            }
            if !behind {
                break;
            }
        }
        for log in &self.desks {
            self.cluster.trim(log, self.cluster.bounds(log)?.1)?;
        }
        Ok(())
    }

    /// Takes what came out since the last time: in the order of the lines, and of time where no line caused it.
    pub(super) fn take_out(&mut self) -> Result<Vec<(String, StoredRecord)>, Error> {
        let mut out = Vec::new();
        for topic in &self.outputs {
            let of = TopicPartition::new(topic, 0);
            let (start, end) = self.cluster.bounds(&of)?;
            if start < end {
                out.extend(
                    self.cluster.records_from(&of, start)?.into_iter().map(|record| (topic.clone(), record)),
                );
                self.cluster.trim(&of, end)?;
            }
        }
        out.sort_by_cached_key(|(_, record)| {
            let header = |name: &str| {
                let found = record.headers.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            };
            let line = header("triaged_src").and_then(|at| at.rsplit('/').next()?.parse::<i64>().ok());
            (line, header("ce_time"))
        });
        Ok(out)
    }

    /// What triage and the desks counted so far.
    pub(super) fn counts(&self) -> (TriageCounts, Counts) {
        let mut triage = self.triage.work.counts().clone();
        self.triage.live().for_each(|place| triage.add(&place.shard.counts));
        let mut desk = self.desk.work.counts.clone();
        self.desk.live().for_each(|place| desk.take(place));
        (triage, desk.desk)
    }

    fn logs_of_desks(&self) -> impl Iterator<Item = (&TopicPartition, &DeskLog)> {
        self.desk.places().filter_map(|(log, place)| match place {
            DeskPlace::Desk(desk) => Some((log, desk.shard.engine())),
            DeskPlace::Intake(_) | DeskPlace::Plan(_) => None,
        })
    }
}

/// The topics that others read: what stays inside the daemon (ledger, desk log, control) is not written.
pub(super) fn outputs(settings: &Settings, policy: &Policy) -> Vec<String> {
    let fixed = [settings.topics.dead_letter.clone(), settings.topics.alerts.clone()];
    fixed.into_iter().chain(topics::assignments(settings, policy)).collect()
}

/// A record of the desk log happened when its line did.
fn stamp(times: &Mutex<Times>, value: Option<&[u8]>) -> Option<Millis> {
    let entry = desk_log::decode(0, Millis(0), value).ok()?;
    let source = entry.source?.source.position;
    times.lock().unwrap_or_else(PoisonError::into_inner).of(source.offset)
}

/// A file is one partition: an author's mentions keep their order, as in keyed input. Nothing outlives the run, so
/// nothing is kept in snapshots.
fn on_one_partition(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings.desk.snapshot_interval = Duration::from_millis(i64::MAX as u64 / 4);
    settings.host.instance = "files".to_owned();
    settings
}

fn stopped(why: Option<String>) -> Error {
    Error::data(format!("the run cannot go on: {}", why.unwrap_or_else(|| "a lane has stopped".to_owned())))
}

//! What the threads of one instance share: how far the daemon is, who has moved, what failed.
//!
//! Owns the stages of a life (starting, running, draining in order, ended) and the seats from which threads tell that
//! they move. May not touch a record. Written by the threads, read by the control plane.

use super::outage::{Line, Outage};
use super::reload::LastReload;
use crate::admin::Exporter;
use crate::clock::Clock;
use crate::config::Settings;
use crate::log::{LogError, Logs, TopicPartition};
use crate::policies::Policies;
use crate::shard::pause::Pause;
use crate::worker::Workers;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How far the daemon is. The order is that of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stage {
    Starting,
    Running,
    /// Triage lanes finish what they have read.
    DrainTriage,
    /// The desk lane finishes what it has read.
    DrainDesk,
    /// Followers stop.
    Stop,
}

impl Stage {
    const ALL: [Stage; 5] =
        [Stage::Starting, Stage::Running, Stage::DrainTriage, Stage::DrainDesk, Stage::Stop];

    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Starting => "starting",
            Stage::Running => "running",
            Stage::DrainTriage | Stage::DrainDesk | Stage::Stop => "draining",
        }
    }
}

/// Milliseconds for which a lane counts as cut off after its client last found no broker; the client says it many
/// times a second as long as that lasts.
const AWAY_FOR_MS: i64 = 3_000;
/// A thread that does not move for so long hangs: many times what a rebalance or a slow broker costs one step.
const STILL_MS_MAX: i64 = 30_000;
/// A lane that was given no partition within this time is a spare one: the others are enough.
const SPARE_AFTER_MS: i64 = 5_000;

/// One instance, as its threads see it.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) logs: Arc<dyn Logs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policies: Arc<Policies>,
    pub(super) exporter: Arc<Exporter>,
    pub(super) tuning: super::Tuning,
    stage: AtomicU8,
    asked_to_drain: AtomicBool,
    /// Whether the service manager was told that records flow.
    pub(super) told_ready: AtomicBool,
    /// When the start last moved.
    start_moved_ms: AtomicI64,
    notes: Mutex<Notes>,
    /// What an operator has told us not to read.
    pub(super) pause: Arc<Pause>,
    reload: Mutex<LastReload>,
    /// How many partitions the input has, as far as it was asked; 0 before.
    pub(super) inputs: AtomicU32,
    /// When a broker last answered anything.
    answered_ms: AtomicI64,
    outage: Mutex<Outage>,
}

#[derive(Default)]
struct Notes {
    seats: Vec<Arc<Seat>>,
    workers: Option<Arc<Workers>>,
    /// What each worker was seen at last, and since when.
    workers_seen: Vec<(Option<u64>, i64)>,
    /// What the daemon waits for, while it starts.
    waiting_for: String,
    /// The generation of the local folder at the start, or why there is none.
    local: Option<Result<String, String>>,
}

/// From where one thread tells how it is.
pub(super) struct Seat {
    pub(super) name: String,
    since_ms: i64,
    moved_ms: AtomicI64,
    held: AtomicU64,
    not_live: AtomicU64,
    /// The lowest policy epoch that a live partition uses; `i64::MAX` when there is none.
    epoch: AtomicI64,
    is_lane: bool,
    gone: AtomicBool,
    /// When its client last found no broker.
    away_ms: AtomicI64,
    /// Whether all it held was lost, and its group has not answered since.
    lost: AtomicBool,
    /// Each partition that is live, with its committed offset.
    committed: Mutex<Vec<(TopicPartition, i64)>>,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        logs: Arc<dyn Logs>,
        clock: Arc<dyn Clock>,
        exporter: Arc<Exporter>,
        policies: Arc<Policies>,
        tuning: super::Tuning,
    ) -> Shared {
        let now = clock.monotonic_ms();
        Shared {
            settings,
            logs,
            clock,
            policies,
            exporter,
            tuning,
            stage: AtomicU8::new(Stage::Starting as u8),
            asked_to_drain: AtomicBool::new(false),
            told_ready: AtomicBool::new(false),
            start_moved_ms: AtomicI64::new(now),
            notes: Mutex::default(),
            pause: Arc::default(),
            reload: Mutex::default(),
            inputs: AtomicU32::new(0),
            answered_ms: AtomicI64::new(now),
            outage: Mutex::default(),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.stage.load(Ordering::Acquire))]
    }

    /// Stages only follow each other.
    pub(super) fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        if stage > Stage::Running {
            // Who ends waits for every thread.
            self.policies.end();
        }
    }

    /// How the last reload went.
    pub(super) fn last_reload(&self) -> MutexGuard<'_, LastReload> {
        self.reload.lock().expect("invariant: nobody panics while noting a reload")
    }

    pub(super) fn ask_to_drain(&self) {
        self.asked_to_drain.store(true, Ordering::Release);
    }

    pub(super) fn is_asked_to_drain(&self) -> bool {
        self.asked_to_drain.load(Ordering::Acquire)
    }

    /// Sleeps, but not past being asked to drain.
    pub(super) fn pause(&self, wait: Duration) {
        let until = self.clock.monotonic_ms() + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        while self.clock.monotonic_ms() < until && !self.is_asked_to_drain() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The start gets on.
    pub(super) fn start_moved(&self) {
        self.start_moved_ms.store(self.clock.monotonic_ms(), Ordering::Relaxed);
    }

    /// Says what the start waits for: in the log, and to whoever asks whether we are ready.
    pub(super) fn waits_for(&self, what: &str) {
        let mut notes = self.notes();
        if notes.waiting_for != what {
            what.clone_into(&mut notes.waiting_for);
            drop(notes);
            if !what.is_empty() {
                tracing::info!("{what}");
            }
        }
    }

    pub(super) fn local_policy(&self, local: Result<String, String>) {
        self.notes().local = Some(local);
    }

    pub(super) fn local(&self) -> Option<Result<String, String>> {
        self.notes().local.clone()
    }

    pub(super) fn set_workers(&self, workers: &Arc<Workers>) {
        self.notes().workers = Some(Arc::clone(workers));
    }

    pub(super) fn seat(&self, name: &str, is_lane: bool) -> Arc<Seat> {
        let now = self.clock.monotonic_ms();
        let seat = Arc::new(Seat {
            name: name.to_owned(),
            since_ms: now,
            moved_ms: AtomicI64::new(now),
            held: AtomicU64::new(0),
            not_live: AtomicU64::new(0),
            epoch: AtomicI64::new(i64::MAX),
            is_lane,
            gone: AtomicBool::new(false),
            away_ms: AtomicI64::new(i64::MIN),
            lost: AtomicBool::new(false),
            committed: Mutex::default(),
        });
        self.notes().seats.push(Arc::clone(&seat));
        seat
    }

    pub(super) fn seats(&self) -> Vec<Arc<Seat>> {
        self.notes().seats.clone()
    }

    /// The input partitions that are live on a lane here, in order.
    pub(super) fn live_inputs(&self) -> Vec<u32> {
        let of_input = |of: &TopicPartition| *of.topic == *self.settings.topics.mentions;
        let mut live = Vec::new();
        for seat in self.seats() {
            live.extend(seat.committed().iter().filter(|(of, _)| of_input(of)).map(|(of, _)| of.partition));
        }
        live.sort_unstable();
        live
    }

    /// A broker has answered: the connection lives, whatever the answer was.
    pub(super) fn broker_answered(&self) {
        let now = self.clock.monotonic_ms();
        self.answered_ms.store(now, Ordering::Relaxed);
        let line = self.outage().over(now);
        tell(line);
    }

    /// Somebody met no broker, and was told `said` by the client.
    pub(super) fn met_no_broker(&self, said: &str) {
        let line = self.outage().met_none(self.clock.monotonic_ms(), said);
        tell(line);
    }

    /// Looks closer why no broker answers, if none does. Takes up to `wait`.
    pub(super) fn explain_outage(&self, wait: Duration) {
        if !self.outage().lasts() {
            return;
        }
        match self.logs.answers(wait) {
            Ok(()) => self.broker_answered(),
            Err(why) => {
                let (LogError::Away(why) | LogError::Denied(why)) = why else { return };
                let line = self.outage().explained(self.clock.monotonic_ms(), &why);
                tell(line);
            }
        }
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `: why`, as far as it is known why no broker answers.
    fn why_away(&self) -> String {
        self.outage().why().map_or_else(String::new, |why| format!(": {why}"))
    }

    /// Whether a broker has answered within the session timeout. One that is frozen keeps its connections: clients find
    /// out only when their requests time out, long after the group has given our partitions away.
    fn broker_answers(&self, now_ms: i64) -> Result<(), String> {
        let limit = i64::try_from(self.settings.kafka.session_timeout.as_millis()).unwrap_or(i64::MAX);
        let age = now_ms.saturating_sub(self.answered_ms.load(Ordering::Relaxed));
        if age <= limit {
            return Ok(());
        }
        Err(format!("no answer of a broker for {} s{}", age / 1_000, self.why_away()))
    }

    /// Whether records flow; why not, otherwise.
    pub(super) fn ready(&self) -> Result<(), String> {
        let notes = self.notes();
        match self.stage() {
            Stage::Starting if notes.waiting_for.is_empty() => return Err("starting".to_owned()),
            Stage::Starting => return Err(format!("starting: {}", notes.waiting_for)),
            Stage::Running => {}
            stage => return Err(stage.name().to_owned()),
        }
        let now = self.clock.monotonic_ms();
        self.broker_answers(now)?;
        if self.policies.in_force().is_none() {
            return Err("no policy is in force".to_owned());
        }
        let lanes = || notes.seats.iter().filter(|seat| seat.is_lane);
        if let Some(lane) = lanes().find(|lane| lane.is_away(now)) {
            return Err(format!("{}: no broker answers{}", lane.name, self.why_away()));
        }
        lanes().try_for_each(|lane| lane.ready(now))
    }

    /// Whether every thread moves; which one does not, otherwise.
    pub(super) fn live(&self) -> Result<(), String> {
        let now = self.clock.monotonic_ms();
        self.all_moved(now - STILL_MS_MAX, now)
    }

    /// What each worker is at.
    pub(super) fn at_work(&self) -> Vec<Option<u64>> {
        self.notes().workers.as_ref().map_or_else(Vec::new, |workers| workers.at_work())
    }

    /// Whether every thread has moved after `since_ms`: lanes and the follower by their own word, a worker if it rests
    /// or is at another batch than before. Which one has not, otherwise. `now_ms` is the time of this look.
    pub(super) fn all_moved(&self, since_ms: i64, now_ms: i64) -> Result<(), String> {
        let mut notes = self.notes();
        let mut still: Option<(String, i64)> = None;
        let mut look = |name: &dyn Fn() -> String, moved_ms: i64| {
            if moved_ms <= since_ms && still.is_none() {
                still = Some((name(), now_ms - moved_ms));
            }
        };
        if self.stage() == Stage::Starting {
            look(&|| "main".to_owned(), self.start_moved_ms.load(Ordering::Relaxed));
        }
        for seat in notes.seats.iter().filter(|seat| !seat.gone.load(Ordering::Relaxed)) {
            look(&|| seat.name.clone(), seat.moved_ms.load(Ordering::Relaxed));
        }
        let at_work = notes.workers.as_ref().map_or_else(Vec::new, |workers| workers.at_work());
        notes.workers_seen.resize(at_work.len(), (None, now_ms));
        for (number, (batch, seen)) in at_work.into_iter().zip(&mut notes.workers_seen).enumerate() {
            if batch.is_none() || batch != seen.0 {
                *seen = (batch, now_ms);
            } else {
                look(&|| format!("worker-{number}"), seen.1);
            }
        }
        match still {
            None => Ok(()),
            Some((name, ms)) => Err(format!("thread `{name}` has not moved for {ms} ms")),
        }
    }
}

fn tell(line: Option<Line>) {
    match line {
        None => {}
        Some(Line::Away { why, for_s }) => tracing::warn!(why, for_s, "no broker answers; trying again"),
        Some(Line::Back { after_s }) => tracing::info!(after_s, "a broker answers again"),
    }
}

impl Seat {
    /// Whether records flow through this lane, if any are its business; why not, otherwise.
    fn ready(&self, now: i64) -> Result<(), String> {
        let (held, not_live) = self.holds();
        if not_live > 0 {
            return Err(format!("{}: {not_live} of {held} partitions are being restored", self.name));
        }
        if held == 0 && self.lost.load(Ordering::Relaxed) {
            return Err(format!("{}: lost its partitions and waits for its group", self.name));
        }
        if held == 0 && now - self.since_ms < SPARE_AFTER_MS {
            return Err(format!("{}: waits for its partitions", self.name));
        }
        Ok(())
    }

    /// Whether its client has just found no broker.
    fn is_away(&self, now: i64) -> bool {
        now.saturating_sub(self.away_ms.load(Ordering::Relaxed)) < AWAY_FOR_MS
    }

    pub(super) fn moved(&self, now_ms: i64) {
        self.moved_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When its client last found no broker; whether that is news.
    pub(super) fn away(&self, at_ms: i64) -> bool {
        self.away_ms.swap(at_ms, Ordering::Relaxed) != at_ms
    }

    /// Whether all it held was lost, and its group has not answered since.
    pub(super) fn lost(&self, lost: bool) {
        self.lost.store(lost, Ordering::Relaxed);
    }

    /// A thread that has ended need not move.
    pub(super) fn leaves(&self) {
        self.gone.store(true, Ordering::Relaxed);
        self.held.store(0, Ordering::Relaxed);
        self.not_live.store(0, Ordering::Relaxed);
        self.lost(false);
        self.epoch.store(i64::MAX, Ordering::Relaxed);
        self.committed().clear();
    }

    pub(super) fn set_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// The lowest policy epoch that a live partition uses.
    pub(super) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(super) fn set_holds(&self, held: usize, not_live: usize) {
        self.held.store(held as u64, Ordering::Relaxed);
        self.not_live.store(not_live as u64, Ordering::Relaxed);
    }

    /// How many partitions it holds, and how many of them are not live yet.
    pub(super) fn holds(&self) -> (u64, u64) {
        (self.held.load(Ordering::Relaxed), self.not_live.load(Ordering::Relaxed))
    }

    pub(super) fn is_lane(&self) -> bool {
        self.is_lane
    }

    pub(super) fn committed(&self) -> MutexGuard<'_, Vec<(TopicPartition, i64)>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Shared {
    /// An instance that nobody has started, on an embedded log without topics, with its clock at 0.
    pub(super) fn alone() -> (Shared, Arc<crate::clock::ManualClock>) {
        let clock = Arc::new(crate::clock::ManualClock::new(triage_engine::model::Millis(0)));
        let names = crate::admin::InputNames {
            mentions: String::new(),
            helpdesk: String::new(),
            desks: String::new(),
            control: String::new(),
        };
        let exporter = Arc::new(Exporter::new(names, clock.wall()));
        let logs = Arc::new(crate::embedded::Cluster::new(clock.clone()));
        let (settings, tuning) = (Settings::default(), super::Tuning::default());
        (Shared::new(settings, logs, clock.clone(), exporter, Policies::new(), tuning), clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_no_broker_has_answered_for_a_session_is_not_ready_until_one_does() {
        let (shared, clock) = Shared::alone();
        let session = i64::try_from(shared.settings.kafka.session_timeout.as_millis()).expect("it is short");
        shared.enter(Stage::Running);
        clock.advance(session);
        let else_well = Err("no policy is in force".to_owned());
        assert_eq!(shared.ready(), else_well, "so long an answer may take");
        clock.advance(2_000);
        assert_eq!(shared.ready(), Err(format!("no answer of a broker for {} s", (session + 2_000) / 1_000)));
        // One that holds no partition asks as well, and so never stays away for having nothing to do.
        assert!(super::super::publish::lag(&shared).is_empty());
        assert_eq!(shared.ready(), else_well, "it is back by itself");
    }

    #[test]
    fn a_lane_that_lost_all_it_had_is_not_ready_until_its_group_has_said_what_is_its() {
        let (shared, _) = Shared::alone();
        let lane = shared.seat("triage-0", true);
        let later = SPARE_AFTER_MS + AWAY_FOR_MS;
        assert_eq!(lane.ready(0), Err("triage-0: waits for its partitions".to_owned()));
        assert_eq!(lane.ready(later), Ok(()), "a spare lane keeps nobody from working");
        lane.lost(true);
        assert_eq!(
            lane.ready(later),
            Err("triage-0: lost its partitions and waits for its group".to_owned())
        );
        lane.lost(false);
        assert_eq!(lane.ready(later), Ok(()), "the group has given it none, which is an answer");
        lane.set_holds(3, 1);
        assert_eq!(lane.ready(later), Err("triage-0: 1 of 3 partitions are being restored".to_owned()));
    }

    #[test]
    fn all_have_moved_only_if_each_that_is_there_has_since_the_last_look() {
        let (shared, clock) = Shared::alone();
        let (lane, follower) = (shared.seat("triage-0", true), shared.seat("follower", false));
        let look = |since: i64| {
            clock.advance(10);
            let now = clock.monotonic_ms();
            (shared.all_moved(since, now), now)
        };

        let (told, now) = look(-1);
        assert_eq!(told, Ok(()), "nobody has been looked at before");
        let (told, now) = look(now);
        let why = told.expect_err("a start that does not get on");
        assert!(why.starts_with("thread `main` has not moved for 20 ms"), "{why}");

        shared.enter(Stage::Running);
        lane.moved(clock.monotonic_ms() + 5);
        let (told, now) = look(now);
        assert!(
            told.expect_err("one stands still").starts_with("thread `follower`"),
            "the one that does is named"
        );

        follower.moved(clock.monotonic_ms() + 5);
        lane.moved(clock.monotonic_ms() + 5);
        let (told, now) = look(now);
        assert_eq!(told, Ok(()));

        lane.leaves();
        follower.moved(clock.monotonic_ms() + 5);
        assert_eq!(look(now).0, Ok(()), "who has ended need not move");
    }
}

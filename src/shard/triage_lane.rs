//! What a triage lane does: sends batches to the workers, takes them back in log order, lets the shard decide.
//!
//! Owns the order of the jobs of each partition, and which policy each is scanned under. May not decide, and may
//! not commit. Stepped through `Lane<TriageWork>`.

use super::lane::{Progress, Shard, Work};
use super::release::{self, Means, Release, Step};
use super::starts::{Careful, Starts};
use super::triage::{TriageCounts, TriageShard, TriageTopics};
use super::triage_restore::TriageRestore;
use super::{Alerts, Stop};
use crate::clock::{Clock, Stopwatch};
use crate::counters::Stage;
use crate::log::{Commit, Failure, LogError, Logs, Outgoing, Producer, Records, Ticket, TopicPartition};
use crate::policies::{BuildMatcher, InForce, Policies};
use crate::wire::alert::Alert;
use crate::wire::control;
use crate::worker::{Done, Job, JobTicket, Lift, Scanning, Workers};
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use triage_engine::model::StreamId;
use triage_engine::plans::{ControlRecord, ReleaseCounts};
use triage_engine::policy::Generation;

/// Names of the topics that triage uses.
#[derive(Debug, Clone)]
pub struct TriageNames {
    /// The input topic and the broker's id of it.
    pub input: (Arc<str>, StreamId),
    /// The ledger topic; it has as many partitions as the input.
    pub ledger: Arc<str>,
    /// The desk log.
    pub desks: Arc<str>,
    /// Dead letters, and how many partitions they have.
    pub dead_letter: (Arc<str>, u32),
    /// The control topic and the broker's id of it.
    pub control: (Arc<str>, StreamId),
}

/// What the triage lanes of an instance share.
#[derive(Clone)]
pub struct TriageParts {
    /// The cluster.
    pub logs: Arc<dyn Logs>,
    /// The policies.
    pub policies: Arc<Policies>,
    /// How matchers are built.
    pub matcher: BuildMatcher,
    /// The workers.
    pub workers: Arc<Workers>,
    /// The clock by which foreign time stamps are clamped.
    pub clock: Arc<dyn Clock>,
    /// The topics.
    pub names: TriageNames,
    /// Where alerts go.
    pub alerts: Alerts,
    /// Counts starts, to find the record that kills the process.
    pub starts: Starts,
}

/// The work of one triage lane.
pub struct TriageWork {
    parts: TriageParts,
    replies: (Sender<Done>, Receiver<Done>),
    done: BTreeMap<JobTicket, Done>,
    incarnations: u64,
    scanning: Option<Scanning>,
    /// The partition for which a request is under way.
    releasing: Option<TopicPartition>,
    /// What dropped shards counted.
    counts: TriageCounts,
    /// Records handed out and not settled when their shard was dropped: they are handed out again.
    pub abandoned: u64,
    /// Shards restored, by the reason they had stopped for.
    pub restores: BTreeMap<&'static str, u64>,
}

/// One input partition that is live.
pub struct TriagePlace {
    /// The shard.
    pub shard: TriageShard,
    lost: Option<(i64, i64)>,
    incarnation: u64,
    sequence: u64,
    jobs: VecDeque<Queued>,
    /// Bytes that batches hold on their way through the workers.
    bytes: usize,
    /// The epoch that was last put among the jobs.
    announced: i64,
    acknowledged: i64,
    careful: Option<Careful>,
    /// The request that brings mentions back now.
    release: Option<Box<Release>>,
    /// When one that failed is begun anew.
    release_due: i64,
    /// Requests that were answered here, whether or not the answer was read back.
    told: BTreeSet<i64>,
    answers: Vec<(ControlRecord, Arc<Ticket>)>,
}

enum Queued {
    Scan { ticket: JobTicket, epoch: i64, bytes: usize, since: Stopwatch },
    Adopt { generation: Generation, epoch: i64 },
}

impl TriageWork {
    /// A lane's work over these parts.
    #[must_use]
    pub fn new(parts: TriageParts) -> TriageWork {
        TriageWork {
            parts,
            replies: unbounded(),
            done: BTreeMap::new(),
            incarnations: 0,
            scanning: None,
            releasing: None,
            counts: TriageCounts::default(),
            abandoned: 0,
            restores: BTreeMap::new(),
        }
    }

    /// What the shards that are gone have counted.
    #[must_use]
    pub fn counts(&self) -> &TriageCounts {
        &self.counts
    }

    fn topics(&self, input: &TopicPartition) -> TriageTopics {
        let (dead_letter, partitions) = &self.parts.names.dead_letter;
        let partition = input.partition % (*partitions).max(1);
        let dead_letter = TopicPartition { topic: dead_letter.clone(), partition };
        TriageTopics { desks: self.parts.names.desks.clone(), dead_letter }
    }

    /// Cuts records where the policy changes under which they are to be scanned; `None` while one is not here.
    fn plan(&self, shard: &TriageShard, records: &Records, now: &InForce) -> Option<Vec<Batch>> {
        let mut batches: Vec<Batch> = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let generation = shard.decided_under(record.offset).unwrap_or_else(|| now.policy.generation());
            match batches.last_mut() {
                Some(batch) if batch.policy.generation() == generation => batch.range.end = index + 1,
                _ => {
                    let policy = self.parts.policies.get(generation, self.parts.matcher)?;
                    batches.push(Batch { range: index..index + 1, policy, killers: Vec::new() });
                }
            }
            if shard.is_known_killer(record.offset) {
                batches.last_mut().expect("invariant: just pushed").killers.push(record.offset);
            }
        }
        Some(batches)
    }

    fn submit(&mut self, place: &mut TriagePlace, records: &Arc<Records>, batch: Batch, epoch: i64) {
        let ticket = JobTicket { incarnation: place.incarnation, sequence: place.sequence };
        place.sequence += 1;
        let share = records.bytes() * batch.range.len() / records.len().max(1);
        place.bytes += share;
        place.jobs.push_back(Queued::Scan { ticket, epoch, bytes: share, since: Stopwatch::start() });
        let mut job = Job {
            records: records.clone(),
            range: batch.range,
            policy: batch.policy,
            stream: self.parts.names.input.1,
            killers: batch.killers,
            lift: Lift::Nothing,
            ticket,
            reply: self.replies.0.clone(),
        };
        let Some(careful) = &mut place.careful else { return self.parts.workers.submit(job) };
        job.killers.extend(careful.culprit());
        let scanning = self.scanning.get_or_insert_with(|| Scanning::new(self.parts.workers.settings()));
        let last = records.get(job.range.end - 1).offset;
        let watch = Stopwatch::start();
        let scanned = scanning.scan_carefully(&job, &mut |offset| careful.about_to_read(offset));
        let took_us = watch.elapsed_us();
        if careful.is_over(last) {
            place.careful = None;
        }
        self.done.insert(ticket, Done { ticket, scanned, took_us });
    }

    /// Tells the control topic that this shard has taken a switch over. Not tied to any offset: a lost word is
    /// said again after the next start.
    fn acknowledge(&self, place: &mut TriagePlace, out: &mut dyn Producer) {
        let adopted = place.shard.adopted();
        if adopted <= place.acknowledged {
            return;
        }
        place.acknowledged = adopted;
        let Some(now) = self.parts.policies.in_force().filter(|now| now.epoch == adopted) else { return };
        let shard = format!("triage/{}", place.shard.input().partition);
        let record = ControlRecord::Adopted { shard, epoch: adopted, generation: now.policy.generation() };
        let (key, value) = control::encode(&record);
        let mut batch = Outgoing::default();
        batch.push(Some(key.as_bytes()), value.as_deref());
        let to = TopicPartition { topic: self.parts.names.control.0.clone(), partition: 0 };
        if let Err(error) = out.send(&to, &batch, &Arc::new(Ticket::new())) {
            tracing::warn!(%error, "a policy switch was not acknowledged");
        }
    }

    /// Goes on with what requests ask to be brought back, one request after the other.
    fn release(&mut self, place: &mut TriagePlace, now_ms: i64, out: &mut dyn Producer) {
        let Some(now) = self.parts.policies.in_force() else { return };
        if place.shard.is_stopping() || now_ms < place.release_due {
            return;
        }
        // One at a time: what a release remembers of the ledger is bounded for each.
        let input = place.shard.input().clone();
        if self.releasing.as_ref().is_some_and(|busy| *busy != input) {
            return;
        }
        let release = match place.release.take() {
            Some(release) => Ok(Some(*release)),
            None => self.next_release(place),
        };
        let scanning = self.scanning.get_or_insert_with(|| Scanning::new(self.parts.workers.settings()));
        let mut means = Means {
            logs: self.parts.logs.as_ref(),
            policies: &self.parts.policies,
            matcher: self.parts.matcher,
            now: &now,
            stream: self.parts.names.input.1,
            scanning,
        };
        let step = release.and_then(|release| match release {
            Some(release) => release.step(&mut means, &mut place.shard, out).map(Some),
            None => Ok(None),
        });
        self.releasing = matches!(step, Ok(Some(Step::Goes(_)))).then_some(input);
        match step {
            Ok(None) => {}
            Ok(Some(Step::Goes(release))) => place.release = Some(release),
            Ok(Some(Step::Done(at, request, counts))) => {
                // Without the request only what was owed is done; the rest waits until the request was read.
                if let Some(request) = request {
                    place.told.insert(at.request);
                    self.answer(place, request.id, *counts, out);
                }
            }
            Err(error) => {
                let partition = place.shard.input();
                tracing::warn!(%partition, %error, "mentions cannot be brought back yet, trying again");
                place.release_due = now_ms + RELEASE_AGAIN_MS;
            }
        }
    }

    fn next_release(&self, place: &TriagePlace) -> Result<Option<Release>, LogError> {
        let releases = self.parts.policies.releases();
        let log = self.parts.names.control.1;
        let Some((at, request)) = release::next(&place.shard, log, &releases, &place.told) else {
            return Ok(None);
        };
        tracing::info!(partition = %place.shard.input(), request = at.request, "bringing mentions back");
        Release::begin(self.parts.logs.as_ref(), &place.shard, at, request).map(Some)
    }

    /// Tells the control topic what became of this partition's share of a request.
    fn answer(&self, place: &mut TriagePlace, id: String, counts: ReleaseCounts, out: &mut dyn Producer) {
        tracing::info!(
            partition = %place.shard.input(), request = id, brought_back = counts.brought_back(),
            noise = counts.noise, blocked = counts.blocked, gone = counts.gone, "mentions were brought back"
        );
        let record = ControlRecord::Released { id, partition: place.shard.input().partition, counts };
        let ticket = self.tell(&record, out);
        place.answers.push((record, ticket));
    }

    fn tell(&self, record: &ControlRecord, out: &mut dyn Producer) -> Arc<Ticket> {
        let (key, value) = control::encode(record);
        let mut batch = Outgoing::default();
        batch.push(Some(key.as_bytes()), value.as_deref());
        let to = TopicPartition { topic: self.parts.names.control.0.clone(), partition: 0 };
        let ticket = Arc::new(Ticket::new());
        if let Err(error) = out.send(&to, &batch, &ticket) {
            ticket.refuse(Failure { topic: to.topic.to_string(), why: error.to_string() });
        }
        ticket
    }

    /// Tells again what the control topic has not taken: somebody waits for it.
    fn tell_again(&self, place: &mut TriagePlace, out: &mut dyn Producer) {
        place.answers.retain(|(_, ticket)| !ticket.is_settled() || ticket.failure().is_some());
        for (record, ticket) in &mut place.answers {
            if ticket.is_settled() {
                *ticket = self.tell(record, out);
            }
        }
    }
}

/// Milliseconds before a request that failed is begun anew.
const RELEASE_AGAIN_MS: i64 = 500;

struct Batch {
    range: std::ops::Range<usize>,
    policy: Arc<crate::policies::Compiled>,
    killers: Vec<i64>,
}

impl Work for TriageWork {
    type Shard = TriagePlace;
    type Restore = TriageRestore;

    fn begin(
        &mut self,
        partition: &TopicPartition,
        commit: Option<Commit>,
    ) -> Result<TriageRestore, LogError> {
        let Some(now) = self.parts.policies.in_force() else {
            return Err(LogError::Away("no policy is in force yet".to_owned()));
        };
        let ledger =
            TopicPartition { topic: self.parts.names.ledger.clone(), partition: partition.partition };
        let stream = self.parts.names.input.1;
        TriageRestore::begin(self.parts.logs.as_ref(), partition, stream, ledger, commit, &now.policy)
    }

    fn pin_of(restore: &TriageRestore) -> Option<i64> {
        Some(restore.committed())
    }

    fn restore(&mut self, restore: TriageRestore, _: &mut dyn Producer) -> Result<Progress<Self>, LogError> {
        let restored = match restore.step(Duration::from_millis(1))? {
            Ok(restored) => restored,
            Err(restore) => return Ok(Progress::Reading(restore)),
        };
        for (offset, why) in &restored.damaged {
            tracing::error!(partition = %restored.shard.input(), offset, why, "a ledger record cannot be read");
        }
        self.incarnations += 1;
        Ok(Progress::Whole(Box::new(TriagePlace {
            shard: restored.shard,
            lost: restored.lost,
            incarnation: self.incarnations,
            sequence: 0,
            jobs: VecDeque::new(),
            bytes: 0,
            announced: i64::MIN,
            acknowledged: i64::MIN,
            careful: None,
            release: None,
            release_due: i64::MIN,
            told: BTreeSet::new(),
            answers: Vec::new(),
        })))
    }

    fn live(&mut self, place: &mut TriagePlace, out: &mut dyn Producer) {
        let committed = place.shard.committed_offset();
        let input = place.shard.input();
        place.careful = self.parts.starts.begin(input, committed);
        if let Some(offset) = place.careful.as_ref().and_then(Careful::culprit) {
            tracing::error!(partition = %input, offset, "a record has killed the process twice; it is set aside");
            self.parts.alerts.send(&Alert::RecordCrashed { offset }, input, out);
        }
        let Some(now) = self.parts.policies.in_force() else { return };
        if let Some(span) = place.lost.take() {
            tracing::error!(
                partition = %place.shard.input(), first = span.0, last = span.1,
                "mentions were lost to retention before they were read; they are ledgered as expired"
            );
            let alert = Alert::RecordsExpired { first: span.0, last: span.1 };
            self.parts.alerts.send(&alert, place.shard.input(), out);
            place.shard.expire(now.policy.generation(), now.epoch, span, out);
        }
    }

    fn take(&mut self, place: &mut TriagePlace, records: Records, _: &mut dyn Producer) -> Option<Records> {
        let Some(now) = self.parts.policies.in_force() else { return Some(records) };
        let Some(batches) = self.plan(&place.shard, &records, &now) else { return Some(records) };
        place.announce(&now);
        let records = Arc::new(records);
        for batch in batches {
            self.submit(place, &records, batch, now.epoch);
        }
        None
    }

    fn advance(&mut self, place: &mut TriagePlace, now_ms: i64, may_begin: bool, out: &mut dyn Producer) {
        if let Some(now) = self.parts.policies.in_force() {
            place.announce(&now);
        }
        while !place.shard.is_stopping() {
            match place.jobs.front() {
                Some(&Queued::Adopt { generation, epoch }) => place.shard.adopt(generation, epoch, out),
                Some(&Queued::Scan { ticket, epoch, bytes, since }) => {
                    let Some(done) = self.done.remove(&ticket) else { break };
                    place.bytes -= bytes;
                    let counts = &mut place.shard.counts;
                    counts.took(Stage::Scan, done.took_us);
                    counts.took(Stage::Workers, since.elapsed_us());
                    place.shard.accept(done.scanned, epoch, self.parts.clock.wall(), out);
                }
                None => break,
            }
            place.jobs.pop_front();
        }
        if may_begin {
            self.release(place, now_ms, out);
            self.tell_again(place, out);
        }
        place.shard.advance(&self.topics(place.shard.input()), self.parts.clock.as_ref(), out);
        self.acknowledge(place, out);
    }

    fn between(&mut self) -> bool {
        let mut any = false;
        while let Ok(done) = self.replies.1.try_recv() {
            self.done.insert(done.ticket, done);
            any = true;
        }
        // A lane with nothing to take back scans too.
        any || self.parts.workers.help()
    }

    fn stopped(&mut self, partition: &TopicPartition, stop: &Stop, out: &mut dyn Producer) {
        self.parts.alerts.stopped(stop, partition, out);
    }

    fn dropped(&mut self, mut place: TriagePlace, stop: Option<&Stop>) {
        self.releasing.take_if(|busy| *busy == *place.shard.input());
        self.parts.starts.leave(place.shard.input(), place.careful.take());
        self.abandoned += place.shard.in_flight();
        self.done.retain(|ticket, _| ticket.incarnation != place.incarnation);
        if let Some(stop) = stop {
            *self.restores.entry(stop.name()).or_default() += 1;
        }
        self.counts.add(&place.shard.counts);
        if place.is_drained() {
            self.parts.starts.forget(place.shard.input());
        }
    }
}

impl TriagePlace {
    /// Whether mentions are being brought back.
    #[must_use]
    pub fn is_releasing(&self) -> bool {
        self.release.is_some()
    }

    /// Puts a policy switch into its place among the jobs.
    fn announce(&mut self, now: &InForce) {
        if now.epoch > self.announced {
            self.announced = now.epoch;
            self.jobs.push_back(Queued::Adopt { generation: now.policy.generation(), epoch: now.epoch });
        }
    }
}

impl Shard for TriagePlace {
    fn stopped(&self) -> Option<Stop> {
        self.shard.stopped().cloned()
    }

    fn is_stopping(&self) -> bool {
        self.shard.is_stopping()
    }

    fn is_drained(&self) -> bool {
        self.jobs.is_empty() && self.shard.is_drained()
    }

    fn commit(&self) -> Option<Commit> {
        self.shard.commit()
    }

    fn committed(&mut self, commit: &Commit) {
        self.shard.committed(commit);
    }

    fn overtaken(&mut self) {
        self.shard.overtaken();
    }

    fn start(&self) -> i64 {
        self.shard.committed_offset().max(self.lost.map_or(i64::MIN, |(_, last)| last + 1))
    }

    fn bytes(&self) -> usize {
        self.bytes + self.shard.bytes()
    }
}

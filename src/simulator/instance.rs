//! One simulated instance: the lanes, the follower and a pool without threads, stepped one part at a time.
//!
//! Owns nothing that the daemon does not own. May not look into the lanes beyond what they show everybody.

use crate::clock::Clock;
use crate::embedded::{Cluster, MemberId};
use crate::log::{LogError, Logs, TopicPartition};
use crate::policies::{Follower, Policies, Source};
use crate::shard::Alerts;
use crate::shard::desk::DeskTopics;
use crate::shard::desk_lane::{DeskParts, DeskPlace, DeskWork};
use crate::shard::intake::IntakeTopics;
use crate::shard::lane::{Lane, LaneLimits, Shard};
use crate::shard::pause::Pause;
use crate::shard::starts::Starts;
use crate::shard::triage_lane::{TriageNames, TriageParts, TriagePlace, TriageWork};
use crate::wire::mention::{DecodeLimits, FieldMap, FieldMapConfig, Preset};
use crate::worker::{ScanSettings, Workers};
use std::sync::Arc;
use std::time::Duration;
use triage_engine::model::StreamId;
use triage_engine::scan::{Literal, Matcher, ReferenceMatcher};

pub(super) fn reference(literals: &[Literal]) -> Arc<dyn Matcher> {
    Arc::new(ReferenceMatcher::new(literals))
}

pub(super) fn scan_settings() -> ScanSettings {
    let map = FieldMap::compile(&FieldMapConfig::preset(Preset::Native)).expect("a preset is right");
    ScanSettings { map: Arc::new(map), limits: DecodeLimits::default() }
}

pub(crate) struct Instance {
    pub(super) name: String,
    pub(super) members: [MemberId; 2],
    pub(super) producers: Vec<u64>,
    pub(super) triage: Lane<TriageWork>,
    pub(crate) desk: Lane<DeskWork>,
    pub(super) pause: Arc<Pause>,
    follower: Follower,
    draining: bool,
}

/// What one world of instances has that another has not.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) desk_partitions: u32,
    pub(crate) drain_ms: i64,
    /// Milliseconds for which the desk log is kept although snapshots have made it dispensable.
    pub(crate) log_keep_ms: i64,
}

struct Parts {
    logs: Arc<dyn Logs>,
    policies: Arc<Policies>,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

impl Parts {
    fn alerts(&self) -> Alerts {
        Alerts::new("triaged.alerts", self.clock.clone())
    }

    fn triage(&self, input: StreamId, control: StreamId) -> TriageParts {
        TriageParts {
            logs: self.logs.clone(),
            policies: self.policies.clone(),
            matcher: reference,
            workers: Arc::new(Workers::new(0, scan_settings())),
            clock: self.clock.clone(),
            names: TriageNames {
                input: (Arc::from("mentions"), input),
                ledger: Arc::from("triaged.ledger.mentions"),
                desks: Arc::from("triaged.desks"),
                dead_letter: (Arc::from("triaged.dead-letter"), 1),
                control: (Arc::from("triaged.control"), control),
            },
            alerts: self.alerts(),
            starts: Starts::new(None),
        }
    }

    fn desk(&self, helpdesk: StreamId) -> DeskParts {
        DeskParts {
            logs: self.logs.clone(),
            policies: self.policies.clone(),
            matcher: reference,
            alerts: self.alerts(),
            desks: Arc::from("triaged.desks"),
            helpdesk: (Arc::from("helpdesk.events"), helpdesk),
            control: Arc::from("triaged.control"),
            snapshots: Arc::from("triaged.snapshots"),
            outputs: DeskTopics::new("assignments.", "mentions", self.logs.clone()),
            intake: IntakeTopics {
                desks: (Arc::from("triaged.desks"), self.settings.desk_partitions),
                dead_letter: TopicPartition::new("triaged.dead-letter", 0),
            },
            tick_interval_ms: 200,
            snapshot_interval_ms: 300,
            log_keep_ms: self.settings.log_keep_ms,
        }
    }
}

impl Instance {
    pub(crate) fn new(name: &str, cluster: &Cluster, clock: Arc<dyn Clock>, settings: Settings) -> Instance {
        let drain_ms = settings.drain_ms;
        let limits = LaneLimits { buffer_bytes: 20_000, commit_interval_ms: 50, drain_ms, retry_ms: 100 };
        let logs: Arc<dyn Logs> = Arc::new(cluster.clone());
        let ids = logs
            .describe(&["mentions", "helpdesk.events", "triaged.control"])
            .expect("the embedded log answers");
        let ids: Vec<_> = ids.into_iter().map(|info| info.expect("the topic exists").id).collect();
        // No bundle is held: each that is not compiled yet is read again.
        let bundles = TopicPartition::new("triaged.policies", 0);
        let policies = Policies::reading_again(Source { logs: logs.clone(), topic: bundles, bytes_max: 0 });
        let follower =
            Follower::new(logs.as_ref(), "triaged.control", "triaged.policies", policies.clone(), reference)
                .expect("a follower");
        let parts = Parts { logs: logs.clone(), policies, clock, settings };
        let (triage, desk) = (parts.triage(ids[0], ids[2]), parts.desk(ids[1]));
        let producers_before = cluster.producers_made();
        let pause = Arc::new(Pause::default());
        let triage_lane = Lane::new(
            TriageWork::new(triage),
            logs.member("triaged.triage", name, &["mentions"]).expect("a member"),
            logs.producer("triage").expect("a producer"),
            limits,
        );
        let triage_member = cluster.newest_member();
        let topics = ["triaged.desks", "helpdesk.events", "triaged.control"];
        let desk_lane = Lane::new(
            DeskWork::new(desk),
            logs.member("triaged.desk", name, &topics).expect("a member"),
            logs.producer("desk").expect("a producer"),
            limits,
        );
        Instance {
            name: name.to_owned(),
            members: [triage_member, cluster.newest_member()],
            producers: (producers_before + 1..=cluster.producers_made()).collect(),
            triage: triage_lane.obeying(&pause),
            pause,
            desk: desk_lane,
            follower,
            draining: false,
        }
    }

    /// Steps one part: 0 and 1 are the triage lane, 2 and 3 the desk lane, all others the follower.
    pub(crate) fn step(&mut self, part: u64, now_ms: i64) -> Result<(), LogError> {
        match part {
            0 | 1 => self.triage.step(now_ms, Duration::ZERO).map(|_| ()),
            2 | 3 => self.desk.step(now_ms, Duration::ZERO).map(|_| ()),
            _ => self.follower.step(Duration::ZERO).map(|_| ()),
        }
    }

    /// Records handed out and not settled, of mentions and of the desk's inputs: what a crash may repeat.
    pub(super) fn in_flight(&self) -> u64 {
        let triage: u64 = self.triage.live().map(|place| place.shard.in_flight()).sum();
        let desk: u64 = self.desk.live().map(DeskPlace::in_flight).sum();
        // What is settled and not committed yet is read again too.
        let released: u64 = self.triage.live().map(|place| place.shard.unnoted()).sum();
        triage + desk + released + self.uncommitted()
    }

    fn uncommitted(&self) -> u64 {
        let triage = self.triage.live().map(|place| (place.commit(), place.shard.committed_offset()));
        let desk = self.desk.live().map(|place| (place.commit(), place.start()));
        triage
            .chain(desk)
            .map(|(commit, at)| commit.map_or(0, |commit| (commit.offset - at).max(0) as u64))
            .sum()
    }

    pub(super) fn is_releasing(&self) -> bool {
        self.triage.live().any(TriagePlace::is_releasing)
    }

    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.triage.drain();
        self.desk.drain();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    pub(super) fn is_drained(&self) -> bool {
        self.draining && self.triage.is_drained() && self.desk.is_drained()
    }

    pub(super) fn settle_commits(&mut self, now_ms: i64) {
        // A commit that is due is made in a step; far in the future every commit is due.
        let _ = self.triage.step(now_ms + 1_000_000, Duration::ZERO);
        let _ = self.desk.step(now_ms + 1_000_000, Duration::ZERO);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.triage.is_drained()
            && self.desk.is_drained()
            && !self.is_releasing()
            && self.triage.holds().1 == 0
            && self.desk.holds().1 == 0
    }
}

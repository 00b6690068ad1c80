//! The demo's surroundings: a folder for its files, a log to run on, topics, and what is swept away behind it.
//!
//! Owns the settings of the demo. On the embedded log, which lives in memory, it trims what was read and accounted for,
//! so that a demo may run as long as somebody watches. On Apache Kafka it trims nothing: the topics are there to be
//! looked at. Called by `mod.rs`.

use super::Wishes;
use super::accounts::Accounts;
use super::policy as sample;
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::embedded::Cluster;
use crate::error::Error;
use crate::log::{LogError, Logs, NewTopic, ReadStep, TopicPartition};
use crate::pipeline::{connect, policy, topics};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Partitions of the demo's input.
pub(super) const PARTITIONS: u32 = 4;
/// Records of an assignments topic that the embedded log keeps, for each partition.
const ASSIGNMENTS_KEPT: i64 = 5_000;

/// Where the demo takes place.
pub(super) struct Stage {
    pub(super) settings: Settings,
    pub(super) logs: Arc<dyn Logs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) folder: PathBuf,
    embedded: Option<Cluster>,
    /// The topics of the desks.
    pub(super) assignments: Vec<String>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed lies in the folder for temporary files: the system sweeps it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Stage {
    /// Makes the folder, the log and the topics.
    pub(super) fn set(wishes: &Wishes) -> Result<Stage, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let folder = std::env::temp_dir().join(format!("triaged-demo-{}", std::process::id()));
        let unusable = |error: std::io::Error| {
            Error::configuration(format!("cannot write to `{}`: {error}", folder.display()))
                .hint("set TMPDIR to a folder that you may write to")
        };
        fs::create_dir_all(&folder).map_err(unusable)?;
        sample::write(&folder.join("policy")).map_err(unusable)?;
        let mut settings = Settings::default();
        settings.host.instance = "demo".to_owned();
        settings.host.state_dir = folder.join("state");
        settings.policy.folder = folder.join("policy");
        settings.admin.socket = folder.join("admin.sock");
        settings.limits.buffer_mib = 128;
        settings.triage.lanes = 1;
        settings.desk.snapshot_interval = Duration::from_secs(5);
        let (logs, embedded): (Arc<dyn Logs>, _) = match &wishes.bootstrap {
            None => {
                let cluster = Cluster::new(Arc::clone(&clock));
                (Arc::new(cluster.clone()), Some(cluster))
            }
            Some(bootstrap) => {
                settings.kafka.bootstrap.clone_from(bootstrap);
                prefix(&mut settings, &format!("demo.{}.", clock.wall().0));
                (connect(&settings)?, None)
            }
        };
        let local = policy::load(&settings.policy.folder)
            .map_err(|refused| refused.into_error(&settings.policy.folder))?;
        let sizes = topics::Sizes { inputs: PARTITIONS, desks: 4, replication: 0 };
        let needed = topics::needed(&settings, logs.as_ref(), &[&local.policy], sizes)?;
        let missing: Vec<NewTopic> =
            needed.into_iter().filter(|(_, info)| info.is_none()).map(|(new, _)| new).collect();
        logs.create(&missing)?;
        let assignments = topics::assignments(&settings, &local.policy);
        Ok(Stage { settings, logs, clock, folder, embedded, assignments })
    }

    /// Whether everything is gone when the demo ends.
    pub(super) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// The first assignment that a helpdesk would read, with its topic; `None` while there is none.
    pub(super) fn first_assignment(&self) -> Result<Option<(String, String)>, LogError> {
        for topic in &self.assignments {
            for partition in 0..PARTITIONS {
                let partition = TopicPartition::new(topic, partition);
                let (start, end) = self.logs.bounds(&partition)?;
                if start == end {
                    continue;
                }
                let mut reader = self.logs.reader(&[(partition, start)])?;
                for _ in 0..20 {
                    let ReadStep::Records(records) = reader.read(Duration::from_millis(100))? else {
                        continue;
                    };
                    let value = records.iter().find_map(|record| record.value);
                    let text = value.map(|value| String::from_utf8_lossy(value).into_owned());
                    return Ok(text.map(|text| (topic.clone(), text)));
                }
            }
        }
        Ok(None)
    }

    /// Sweeps away what was read and accounted for.
    pub(super) fn sweep(&self, accounts: &Accounts) -> Result<(), LogError> {
        let Some(cluster) = &self.embedded else { return Ok(()) };
        let topics = &self.settings.topics;
        let ledger = topics::ledger(&self.settings);
        let inputs: Vec<TopicPartition> =
            (0..PARTITIONS).map(|partition| TopicPartition::new(&topics.mentions, partition)).collect();
        let group = format!("{}.triage", self.settings.group.name);
        let committed = cluster.group_offsets(&group, &inputs)?;
        for ((partition, input_next, ledger_next), commit) in accounts.read_up_to().zip(committed) {
            let below = input_next.min(commit.map_or(0, |commit| commit.offset));
            cluster.trim(&inputs[partition as usize], below)?;
            cluster.trim(&TopicPartition::new(&ledger, partition), ledger_next)?;
        }
        for topic in &self.assignments {
            for partition in 0..PARTITIONS {
                let partition = TopicPartition::new(topic, partition);
                let (_, end) = cluster.bounds(&partition)?;
                cluster.trim(&partition, end - ASSIGNMENTS_KEPT)?;
            }
        }
        for partition in 0..3 {
            cluster.compact(&TopicPartition::new(&topics.snapshots, partition), false)?;
        }
        Ok(())
    }
}

/// Puts a prefix before every topic's and the group's name, so that a demo meets nothing that is there already.
fn prefix(settings: &mut Settings, prefix: &str) {
    let topics = &mut settings.topics;
    let names = [
        &mut topics.mentions,
        &mut topics.helpdesk_events,
        &mut topics.ledger_prefix,
        &mut topics.desks,
        &mut topics.control,
        &mut topics.policies,
        &mut topics.snapshots,
        &mut topics.dead_letter,
        &mut topics.alerts,
        &mut topics.assignments_prefix,
        &mut settings.group.name,
    ];
    for name in names {
        name.insert_str(0, prefix);
    }
}

//! A cluster of Apache Kafka: makes clients and answers questions about topics, offsets and groups.
//!
//! Owns the settings and one client for questions, made at the first one. It is a consumer that reads committed
//! records only, so that the ends it is told are last stable offsets, where readers end too. Called by the pipeline.

use super::answers::{is_leaderless, log_error};
use super::brokers::look_after;
use super::ffi::{Client, ClientError, Code, Configuration, Kind, PartitionList, TopicConfig};
use super::member::{KafkaMember, committed};
use super::producer::KafkaProducer;
use super::reader::KafkaReader;
use super::stir::stir;
use super::unreached::Trouble;
use super::{ANSWER_WAIT, Deadline, KafkaSettings};
use crate::log::{Commit, LogError, Logs, Member, NewTopic, Producer, Reader, TopicInfo, TopicPartition};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;
use triage_engine::model::{Millis, StreamId};

/// How long a topic just made may take to be known to the broker that we ask.
const CREATED_WAIT: Duration = Duration::from_secs(10);
/// How long a partition may be without a leader before a question about it is given up. Short, since a lane may ask.
const LEADER_WAIT: Duration = Duration::from_secs(5);

/// A cluster of Apache Kafka.
#[derive(Debug)]
pub struct KafkaLogs {
    settings: KafkaSettings,
    inquirer: Mutex<Option<Arc<Client>>>,
    /// Done once the inquirer is looked after: when a topic is known to ask it for.
    looked_after: Once,
}

impl KafkaLogs {
    /// The cluster that these settings lead to. Nothing is connected yet.
    ///
    /// # Errors
    /// `LogError::Fatal` naming every setting that would break a guarantee, or the first that the library does not know.
    pub fn new(settings: KafkaSettings) -> Result<KafkaLogs, LogError> {
        let refused: Vec<String> = settings.refused().iter().map(ToString::to_string).collect();
        if !refused.is_empty() {
            return Err(LogError::Fatal(refused.join("; ")));
        }
        for properties in [
            settings.consumer_properties(&settings.reader_group, None),
            settings.producer_properties("check"),
        ] {
            Configuration::of(&properties, &settings.secrets).map_err(|error| LogError::Fatal(error.text))?;
        }
        Ok(KafkaLogs { settings, inquirer: Mutex::new(None), looked_after: Once::new() })
    }

    pub(super) fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    pub(super) fn inquirer(&self) -> Result<Arc<Client>, LogError> {
        let mut held = self.inquirer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*held {
            return Ok(Arc::clone(client));
        }
        let client = self.asking_client(&self.settings.reader_group)?;
        *held = Some(Arc::clone(&client));
        Ok(client)
    }

    /// A consumer that is only asked questions. It delivers no events, so its queues need nobody.
    fn asking_client(&self, group: &str) -> Result<Arc<Client>, LogError> {
        let properties = self.settings.consumer_properties(group, None);
        Client::new(Kind::Consumer, &properties, &self.settings.secrets, 0)
            .map_err(|error| log_error(&error, group))
    }

    fn await_topics(&self, topics: &[NewTopic]) -> Result<(), LogError> {
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let deadline = Deadline::after(CREATED_WAIT);
        loop {
            let known = self.describe(&names)?;
            match names.iter().zip(&known).find(|(_, info)| info.is_none()) {
                None => return Ok(()),
                Some((name, _)) if deadline.has_passed() => {
                    return Err(LogError::Missing((*name).to_owned()));
                }
                Some(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

/// Asks again while a partition's leader is being chosen: its topic was made a moment ago, or a broker went away. The
/// library asks once and then looks for the new leader. One that it remembers to be without leader it calls unknown, for
/// as long as it remembers that: a quarter of an hour.
fn while_leaders_move<T>(
    client: &Arc<Client>,
    partition: &TopicPartition,
    mut ask: impl FnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let deadline = Deadline::after(LEADER_WAIT);
    loop {
        let mut error = match ask() {
            Err(error) if is_leaderless(error.code) || error.code == Code::UnknownPartition => error,
            answer => return answer,
        };
        if error.code == Code::UnknownPartition && client.has_leader(partition, LEADER_WAIT)?.is_some() {
            let code = Code::LeaderNotAvailable;
            error = ClientError::new(code, code.to_string());
        }
        if deadline.has_passed() || !is_leaderless(error.code) {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn value<'a>(config: &'a TopicConfig, name: &str) -> &'a str {
    config.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
}

impl Logs for KafkaLogs {
    fn member(&self, group: &str, instance: &str, topics: &[&str]) -> Result<Box<dyn Member>, LogError> {
        Ok(Box::new(KafkaMember::join(&self.settings, group, instance, topics)?))
    }

    fn reader(&self, from: &[(TopicPartition, i64)]) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(KafkaReader::open(&self.settings, from)?))
    }

    fn producer(&self, name: &str) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(KafkaProducer::open(&self.settings, name)?))
    }

    fn answers(&self, wait: Duration) -> Result<(), LogError> {
        self.reach(wait).map_err(|why| match why.trouble {
            Trouble::Login => LogError::Denied(why.to_string()),
            Trouble::Away | Trouble::Configuration => LogError::Away(why.to_string()),
        })
    }

    fn describe(&self, topics: &[&str]) -> Result<Vec<Option<TopicInfo>>, LogError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let client = self.inquirer()?;
        let wrong = |error: ClientError| self.explained(log_error(&error, &topics.join(", ")));
        let mut shapes = BTreeMap::new();
        for shape in client.describe_topics(topics, false, ANSWER_WAIT).map_err(wrong)? {
            match shape.code {
                Code::NoError => _ = shapes.insert(shape.name.clone(), shape),
                Code::UnknownTopicOrPartition | Code::UnknownTopic => {}
                code => return Err(log_error(&ClientError::new(code, code.to_string()), &shape.name)),
            }
        }
        let present: Vec<&str> = shapes.keys().map(String::as_str).collect();
        let configs: BTreeMap<String, TopicConfig> = match present.is_empty() {
            true => BTreeMap::new(),
            false => client.describe_configs(&present, ANSWER_WAIT).map_err(wrong)?.into_iter().collect(),
        };
        let describe = |name: &&str| {
            let (shape, config) = (shapes.get(*name)?, configs.get(*name)?);
            let cleans = |how| value(config, "cleanup.policy").split(',').any(|policy| policy.trim() == how);
            let kept = value(config, "retention.ms").parse().ok().filter(|&limit: &i64| limit >= 0);
            Some(TopicInfo {
                name: (*name).to_owned(),
                id: StreamId(shape.id),
                partitions: shape.partitions,
                log_append_time: value(config, "message.timestamp.type") == "LogAppendTime",
                compacted: cleans("compact"),
                // Where nothing is deleted the limit is not asked for.
                retention_ms: kept.filter(|_| cleans("delete")),
                message_bytes_max: value(config, "max.message.bytes").parse().unwrap_or(0),
            })
        };
        Ok(topics.iter().map(describe).collect())
    }

    fn create(&self, topics: &[NewTopic]) -> Result<(), LogError> {
        if topics.is_empty() {
            return Ok(());
        }
        let client = self.inquirer()?;
        let answers =
            client.create_topics(topics, ANSWER_WAIT).map_err(|error| log_error(&error, "new topics"))?;
        for (name, error) in answers {
            if !matches!(error.code, Code::NoError | Code::TopicAlreadyExists) {
                return Err(log_error(&error, &name));
            }
        }
        self.await_topics(topics)
    }

    fn bounds(&self, partition: &TopicPartition) -> Result<(i64, i64), LogError> {
        let client = self.inquirer()?;
        self.looked_after.call_once(|| look_after(&client, &self.settings.bootstrap, &partition.topic));
        while_leaders_move(&client, partition, || client.watermarks(partition, ANSWER_WAIT))
            .map_err(|error| log_error(&error, &partition.topic))
    }

    fn offset_at(&self, partition: &TopicPartition, at: Millis) -> Result<i64, LogError> {
        // The broker takes negative times for questions of another kind.
        let client = self.inquirer()?;
        let found = while_leaders_move(&client, partition, || {
            let times = PartitionList::at([&(partition.clone(), at.0.max(0))]);
            client.offsets_for_times(&times, ANSWER_WAIT)?;
            match times.entries().first() {
                Some(entry) if entry.code != Code::NoError => {
                    Err(ClientError::new(entry.code, entry.code.to_string()))
                }
                entry => Ok(entry.map(|entry| entry.offset).filter(|&offset| offset >= 0)),
            }
        });
        match found.map_err(|error| log_error(&error, &partition.topic))? {
            Some(offset) => Ok(offset),
            None => Ok(self.bounds(partition)?.1),
        }
    }

    fn group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Commit>>, LogError> {
        // A client of that group which never joins it: asking needs no membership.
        let client = self.asking_client(group)?;
        committed(&client, partitions).map_err(|error| log_error(&error, group))
    }

    fn share_out_anew(&self, group: &str, topic: &str) -> Result<(), LogError> {
        stir(&self.settings, group, topic)
    }

    fn trim(&self, partition: &TopicPartition, below: i64) -> Result<(), LogError> {
        let answer = self.inquirer()?.delete_records(partition, below, ANSWER_WAIT);
        answer.map_err(|error| log_error(&error, &partition.topic))
    }
}

//! The newest mentions, read to see how the producer writes them: keys, time stamps, shape.
//!
//! Owns the sample and what follows from it. Reads from outside any group and commits nothing. Called by `look`.

use super::{Finding, Severity, partitions_of};
use crate::clock::Deadline;
use crate::config::Settings;
use crate::error::Error;
use crate::kafka::KafkaLogs;
use crate::log::{Logs, ReadStep, Record, TopicPartition};
use crate::wire::mention::{Decoded, Decoder};
use crate::worker::ScanSettings;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use triage_engine::model::Millis;

/// Partitions that are looked at, spread over the topic, and records of each: enough to see a habit, in seconds.
const PARTITIONS_MAX: usize = 12;
const RECORDS_OF_EACH: i64 = 200;
/// How long the sample may take all in all.
const SAMPLE_WAIT: Duration = Duration::from_secs(15);
/// What clocks may differ by.
const AHEAD_MS_MAX: i64 = 5 * 60_000;
/// A stream of mentions that has been silent for so long has likely stopped.
const SILENT_MS_MAX: i64 = 24 * 3_600_000;

/// What was seen of the newest records.
#[derive(Default)]
struct Sample {
    records: usize,
    unkeyed: usize,
    unreadable: usize,
    /// Records whose time stamp is ahead of this machine's clock.
    ahead: usize,
    newest: Option<Millis>,
    /// Of each author, how many mentions, and where they lie.
    authors: BTreeMap<String, (usize, BTreeSet<u32>)>,
}

/// Reads the newest mentions; how many.
pub(super) fn newest_mentions(
    settings: &Settings,
    logs: &KafkaLogs,
    now: Millis,
    findings: &mut Vec<Finding>,
) -> Result<usize, Error> {
    let topic = &settings.topics.mentions;
    let scan = ScanSettings::of(settings)?;
    let mut decoder = Decoder::new(scan.map, scan.limits);
    let mut sample = Sample::default();
    let all = partitions_of(logs, topic)?;
    let mut from = Vec::new();
    for partition in all.iter().step_by(all.len().div_ceil(PARTITIONS_MAX).max(1)) {
        let (start, end) = logs.bounds(partition)?;
        if end > start {
            from.push((partition.clone(), start.max(end - RECORDS_OF_EACH)));
        }
    }
    if from.is_empty() {
        return Ok(0);
    }
    let mut open: BTreeSet<TopicPartition> = from.iter().map(|(partition, _)| partition.clone()).collect();
    let (mut reader, deadline) = (logs.reader(&from)?, Deadline::after(SAMPLE_WAIT));
    while !open.is_empty() && !deadline.is_over() {
        match reader.read(Duration::from_millis(100))? {
            ReadStep::Nothing => {}
            ReadStep::End(partition, _) => _ = open.remove(&partition),
            ReadStep::Records(records) if open.contains(records.partition()) => {
                let partition = records.partition().partition;
                records.iter().for_each(|record| sample.take(partition, &record, &mut decoder, now));
            }
            ReadStep::Records(_) => {}
        }
    }
    sample.judge(topic, now, findings);
    Ok(sample.records)
}

impl Sample {
    fn take(&mut self, partition: u32, record: &Record<'_>, decoder: &mut Decoder, now: Millis) {
        self.records += 1;
        self.unkeyed += usize::from(record.key.is_none_or(<[u8]>::is_empty));
        self.ahead += usize::from(record.timestamp.since(now) > AHEAD_MS_MAX);
        self.newest = self.newest.max(Some(record.timestamp));
        match decoder.decode(record.value) {
            Ok(Decoded::Mention { mention, .. }) => {
                let seen = self.authors.entry(mention.author.id.to_owned()).or_default();
                seen.0 += 1;
                seen.1.insert(partition);
            }
            Ok(Decoded::NotAMention { .. }) => {}
            Err(_) => self.unreadable += 1,
        }
    }

    fn judge(&self, topic: &str, now: Millis, findings: &mut Vec<Finding>) {
        let mut found =
            |severity, what, advice: &str| findings.push(Finding::new(severity, topic, what, advice));
        let all = self.records;
        let spread = self.authors.values().filter(|(_, partitions)| partitions.len() > 1).count();
        // Who is seen twice in one partition, and nobody in two, is likely kept together by other means than a key.
        let together = self.authors.values().any(|(mentions, _)| *mentions > 1);
        let why = match (spread, self.unkeyed * 2 > all && !together) {
            (0, true) => Some(format!("{} of the {all} newest mentions have no key", self.unkeyed)),
            (0, false) => None,
            _ => Some(format!(
                "mentions of {spread} authors, of {}, lie in several partitions",
                self.authors.len()
            )),
        };
        if let Some(why) = why {
            let weaker = "weaker are exact duplicates, which are known within a partition, and the order of one author's \
                          mentions";
            found(
                Severity::Note,
                format!("{why}: {weaker}"),
                "have the producer key mentions by their author's id",
            );
        }
        if self.unreadable * 2 > all {
            let what = format!("{} of the {all} newest records cannot be read as mentions", self.unreadable);
            found(
                Severity::Wrong,
                what,
                "check `input.preset` and `input.fields` against what the producer writes",
            );
        } else if self.unreadable > 0 {
            let what = format!(
                "{} of the {all} newest records cannot be read and become dead letters",
                self.unreadable
            );
            found(Severity::Note, what, "");
        }
        if self.ahead > 0 {
            let what = format!(
                "{} of the {all} newest records are stamped more than 5 minutes ahead of this clock",
                self.ahead
            );
            let advice = "set the producer's clock, or this machine's; or have the broker stamp them: message.timestamp.type=LogAppendTime";
            found(Severity::Wrong, what, advice);
        }
        let silent = self.newest.map_or(0, |newest| now.since(newest));
        if self.newest.is_some_and(|newest| newest.0 < 0) {
            found(Severity::Note, "records have no time stamp".to_owned(), "");
        } else if silent > SILENT_MS_MAX {
            let what = format!("the newest mention is {} hours old by its time stamp", silent / 3_600_000);
            found(
                Severity::Note,
                what,
                "is the producer running, and does it stamp records with the present time?",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(sample: &Sample, now: i64) -> Vec<(Severity, String)> {
        let mut findings = Vec::new();
        sample.judge("mentions", Millis(now), &mut findings);
        findings.into_iter().map(|finding| (finding.severity, finding.what)).collect()
    }

    fn sample() -> Sample {
        let authors = [("u1".to_owned(), (1, [0].into())), ("u2".to_owned(), (1, [1].into()))].into();
        Sample { records: 10, newest: Some(Millis(1_000_000_000)), authors, ..Sample::default() }
    }

    #[test]
    fn mentions_as_they_should_be_are_not_remarked_upon() {
        assert_eq!(findings(&sample(), 1_000_000_500), []);
    }

    #[test]
    fn authors_spread_over_partitions_are_told_with_what_is_weaker() {
        let mut spread = sample();
        spread.authors.entry("u1".to_owned()).or_default().1.insert(3);
        let found = findings(&spread, 1_000_000_500);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].0 == Severity::Note && found[0].1.contains("weaker are exact duplicates"),
            "{found:?}"
        );
        let mut unkeyed = Sample { unkeyed: 10, ..sample() };
        assert!(findings(&unkeyed, 1_000_000_500)[0].1.contains("10 of the 10 newest mentions have no key"));
        unkeyed.authors.insert("u3".to_owned(), (2, [2].into()));
        assert_eq!(findings(&unkeyed, 1_000_000_500), [], "they are kept together all the same");
    }

    #[test]
    fn records_that_are_no_mentions_or_not_of_this_time_are_told() {
        let foreign = Sample { unreadable: 9, ..sample() };
        assert_eq!(findings(&foreign, 1_000_000_500)[0].0, Severity::Wrong);
        let ahead = Sample { ahead: 1, ..sample() };
        assert!(findings(&ahead, 1_000_000_500)[0].1.contains("ahead of this clock"));
        let old = findings(&sample(), 1_000_000_000 + 50 * 3_600_000);
        assert!(old[0].1.contains("50 hours old"), "{old:?}");
    }
}

//! Decides everything again, by itself: what the ledger says must be what the policy it names makes of each mention.
//!
//! Owns its own dedup window and scanning. May not trust an instance. Part of the checker.

use super::{Checker, Found};
use crate::embedded::{Cluster, StoredRecord};
use crate::log::{Records, TopicPartition};
use crate::simulator::check_release;
use crate::simulator::instance::scan_settings;
use crate::worker::{Done, Job, JobTicket, Lift, Scanning};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use triage_engine::model::{Disposition, MentionKey};
use triage_engine::policy::{Generation, RuleIndex};
use triage_engine::triage::{Verdict, Wish};

impl Checker {
    /// Decides every record again, under the policy that the ledger names, with a window of its own.
    pub(super) fn check_dispositions(&self, cluster: &Cluster, number: usize) -> Found {
        let partition = TopicPartition::new("mentions", number as u32);
        let mut seen: BTreeSet<MentionKey> = BTreeSet::new();
        let mut scanning = Scanning::new(&scan_settings());
        // The first of a copy may be gone: then the copy is a duplicate, or the first was never acted on.
        let gone = self.inputs[number].ledger.range(..self.inputs[number].start);
        let mut may_be_seen: BTreeSet<MentionKey> = gone.filter_map(|(_, (entry, _))| entry.key).collect();
        if self.order_may_break {
            // The broker refused the ledger record of the first and took that of its copy; before the first was read
            // again, retention took it. It is ledgered as expired, and its copy as what it was when both were there.
            let expired = |offset: &&i64| self.inputs[number].expired.contains(offset);
            let lost = self.inputs[number].taken.iter().filter(|(offset, _)| expired(offset));
            may_be_seen.extend(lost.map(|(_, key)| *key));
        }
        for record in cluster.records_from(&partition, 0).map_err(|error| error.to_string())? {
            let Some((entry, generation)) = self.inputs[number].ledger.get(&record.offset) else {
                return Err(format!("I1: mentions/{number}/{} has no ledger entry", record.offset));
            };
            let verdict = self.verdict_of(&mut scanning, &partition, &record, *generation);
            let right = match verdict {
                Verdict::Dead(_) => Disposition::DeadLetter,
                Verdict::NotAMention => Disposition::Noise,
                Verdict::Mention { key, .. } if !seen.insert(key) => Disposition::Duplicate,
                Verdict::Mention { wish: Wish::Route { .. }, .. } => Disposition::Queued,
                Verdict::Mention { wish: Wish::Noise(_), .. } => Disposition::Noise,
                Verdict::Mention { wish: Wish::Block(_), .. } => Disposition::Blocked,
            };
            let copy_of_gone = entry.disposition == Disposition::Duplicate
                && entry.key.is_some_and(|key| may_be_seen.contains(&key));
            if entry.disposition != right && !copy_of_gone {
                return Err(format!(
                    "mentions/{number}/{} is {}, {} is right",
                    record.offset,
                    entry.disposition.name(),
                    right.name()
                ));
            }
            self.check_settled(number, record.offset)?;
        }
        Ok(())
    }

    /// Decides again what was brought back, with the rule lifted that the request names.
    pub(super) fn check_releases(&mut self, cluster: &Cluster, number: usize) -> Found {
        let input = &self.inputs[number];
        for (&request, release) in self.plans.releases().iter() {
            let place = check_release::place(self.control_stream, request);
            input
                .releases
                .is_whole(place, release, input, &self.policies)
                .map_err(|what| format!("mentions/{number}: {what}"))?;
        }
        let partition = TopicPartition::new("mentions", number as u32);
        let mut scanning = Scanning::new(&scan_settings());
        let records = cluster.records_from(&partition, 0).map_err(|error| error.to_string())?;
        let records: BTreeMap<i64, StoredRecord> =
            records.into_iter().map(|record| (record.offset, record)).collect();
        for (&(offset, request), again) in &input.releases.again {
            let (Some(record), Some(release)) = (records.get(&offset), self.plans.releases().get(&request))
            else {
                continue;
            };
            let policy = self.policies[&again.generation].policy();
            let rule = check_release::lifted(release)
                .and_then(|name| policy.rules().iter().position(|rule| rule.name == name));
            let lift = rule.map_or(Lift::Nothing, |rule| Lift::Rule(RuleIndex::new(rule)));
            let right = match self.verdict_with(&mut scanning, &partition, record, again.generation, lift) {
                Verdict::Dead(_) => Disposition::DeadLetter,
                Verdict::NotAMention => Disposition::Noise,
                Verdict::Mention { wish: Wish::Route { .. }, .. } => Disposition::Queued,
                Verdict::Mention { wish: Wish::Noise(_), .. } => Disposition::Noise,
                Verdict::Mention { wish: Wish::Block(_), .. } => Disposition::Blocked,
            };
            if again.entry.disposition != right {
                let (is, was) = (again.entry.disposition.name(), again.was.name());
                return Err(format!(
                    "mentions/{number}/{offset} went from {was} to {is}, {} is right",
                    right.name()
                ));
            }
            self.summary.brought_back += u64::from(right == Disposition::Queued);
        }
        Ok(())
    }

    /// Remembers the keys of what retention is about to take.
    pub(super) fn remember_keys(&mut self, cluster: &Cluster, number: u32, below: i64) {
        let partition = TopicPartition::new("mentions", number);
        let mut scanning = Scanning::new(&scan_settings());
        // Policies differ in what they make of a mention, not in its key.
        let generation = *self.policies.keys().next().expect("the feed has policies");
        let from = self.inputs[number as usize].start;
        for record in cluster.records_from(&partition, from).expect("the embedded log answers") {
            if record.offset >= below {
                break;
            }
            if let Verdict::Mention { key, .. } =
                self.verdict_of(&mut scanning, &partition, &record, generation)
            {
                self.inputs[number as usize].taken.insert(record.offset, key);
            }
        }
    }

    fn verdict_of(
        &self,
        scanning: &mut Scanning,
        partition: &TopicPartition,
        record: &StoredRecord,
        generation: Generation,
    ) -> Verdict {
        self.verdict_with(scanning, partition, record, generation, Lift::Nothing)
    }

    fn verdict_with(
        &self,
        scanning: &mut Scanning,
        partition: &TopicPartition,
        record: &StoredRecord,
        generation: Generation,
        lift: Lift,
    ) -> Verdict {
        let mut records = Records::new(partition.clone());
        records.push(record.offset, record.timestamp, record.key.as_deref(), record.value.as_deref());
        let (reply, _answers) = crossbeam::channel::unbounded::<Done>();
        let job = Job {
            records: Arc::new(records),
            range: 0..1,
            policy: self.policies[&generation].clone(),
            stream: self.input_stream,
            killers: Vec::new(),
            lift,
            ticket: JobTicket { incarnation: 0, sequence: 0 },
            reply,
        };
        scanning.scan(&job).records[0].verdict
    }
}

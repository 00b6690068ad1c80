//! Reads the control and policies topics on behalf of one instance, and puts in force what they name.
//!
//! Owns the two positions and the bundles that are not whole yet. May not write to a log, nor decide which policy is in
//! force: the fold of the control topic says so (`engine/plans`). Stepped by a thread of its own, or by the simulator.

use super::{BuildMatcher, InForce, Policies};
use crate::log::{LogError, Logs, ReadStep, Reader, Record, TopicPartition};
use crate::wire::{control, policies as bundles};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::policy::{Bundle, Generation, time_zones_version};

/// Reads the control and policies topics on behalf of one instance.
pub struct Follower {
    policies: Arc<Policies>,
    reader: Box<dyn Reader>,
    control: TopicPartition,
    bundles: TopicPartition,
    assembler: bundles::Assembler,
    /// Where the first record stands of each bundle that is not whole yet.
    begun: BTreeMap<Generation, i64>,
    ended: [bool; 2],
    matcher: BuildMatcher,
}

impl Follower {
    /// A follower from the start of both topics.
    ///
    /// # Errors
    /// When the logs cannot be asked.
    pub fn new(
        logs: &dyn Logs,
        control: &str,
        bundles_topic: &str,
        policies: Arc<Policies>,
        matcher: BuildMatcher,
    ) -> Result<Follower, LogError> {
        let control = TopicPartition::new(control, 0);
        let bundles = TopicPartition::new(bundles_topic, 0);
        let from = [(bundles.clone(), logs.bounds(&bundles)?.0), (control.clone(), logs.bounds(&control)?.0)];
        let reader = logs.reader(&from)?;
        let assembler = bundles::Assembler::new();
        let begun = BTreeMap::new();
        Ok(Follower { policies, reader, control, bundles, assembler, begun, ended: [false; 2], matcher })
    }

    /// Reads on; whether anything was read.
    ///
    /// # Errors
    /// When the topics cannot be read.
    pub fn step(&mut self, wait: Duration) -> Result<bool, LogError> {
        match self.reader.read(wait)? {
            ReadStep::Nothing => {
                // What it waits for may have been compiled meanwhile.
                self.switch();
                return Ok(false);
            }
            ReadStep::End(partition, _) => {
                self.ended[usize::from(partition == self.control)] = true;
                self.policies.known().caught_up = self.ended == [true; 2];
            }
            ReadStep::Records(records) if *records.partition() == self.bundles => {
                for record in records.iter() {
                    self.take_bundle_part(&record);
                }
            }
            ReadStep::Records(records) => {
                let mut known = self.policies.known();
                for record in records.iter() {
                    control::fold(&mut known.plans, record.offset, record.key, record.value);
                }
            }
        }
        self.switch();
        Ok(true)
    }

    fn take_bundle_part(&mut self, record: &Record<'_>) {
        let key = record.key.unwrap_or_default();
        let named = bundles::parse_key(key).ok();
        match (named, record.value) {
            (Some((generation, None)), None) => {
                self.begun.remove(&generation);
                self.policies.forget(generation);
            }
            (Some((generation, _)), Some(_)) if !self.policies.has_bundle(generation) => {
                self.begun.entry(generation).or_insert(record.offset);
            }
            _ => {}
        }
        match self.assembler.feed(key, record.value) {
            Ok(Some((generation, bytes))) => match Bundle::from_bytes(&bytes) {
                Ok(bundle) => {
                    let from = self.begun.remove(&generation).unwrap_or(record.offset);
                    self.policies.take_in(generation, bundle, (from, bytes.len()));
                }
                Err(error) => tracing::error!(%error, "a policy bundle cannot be read"),
            },
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a part of a policy bundle cannot be used"),
        }
    }

    /// Puts the policy that the control topic names into force, once its bundle is here. Not before the topic was read to
    /// its end: policies that were in force one after the other need not be compiled one after the other.
    fn switch(&mut self) {
        let known = self.policies.known();
        let named = known.plans.in_force().map(|now| (now.epoch, now.generation)).filter(|_| known.caught_up);
        drop(known);
        let Some((epoch, generation)) = named else { return };
        if self
            .policies
            .in_force()
            .is_some_and(|now| now.epoch == epoch && now.policy.generation() == generation)
        {
            return;
        }
        let Some(policy) = self.policies.get(generation, self.matcher) else { return };
        tracing::info!(%generation, epoch, "policy in force");
        if let Some(other) = policy.policy().other_time_zones() {
            let ours = time_zones_version();
            tracing::warn!(
                "its calendars were checked with time-zone database {other}, this release has {ours}"
            );
        }
        self.policies.known().in_force = Some(InForce { epoch, policy });
    }
}

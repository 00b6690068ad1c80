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
use triage_engine::plans::PolicyRequest;
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
    /// Where reading the bundles goes on.
    bundles_next: i64,
    /// The end of the bundles' topic as it was once the control topic had been read up to the second offset.
    look: Option<(i64, i64)>,
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
        let bundles_next = logs.bounds(&bundles)?.0;
        let from = [(bundles.clone(), bundles_next), (control.clone(), logs.bounds(&control)?.0)];
        Ok(Follower {
            policies,
            reader: logs.reader(&from)?,
            control,
            bundles,
            assembler: bundles::Assembler::new(),
            begun: BTreeMap::new(),
            ended: [false; 2],
            bundles_next,
            look: None,
            matcher,
        })
    }

    /// Reads on; whether anything was read.
    ///
    /// # Errors
    /// When the topics cannot be read.
    pub fn step(&mut self, wait: Duration) -> Result<bool, LogError> {
        let read = self.read(wait)?;
        self.look_for_missing()?;
        // Also when nothing was read: what it waits for may have been compiled meanwhile.
        self.switch();
        Ok(read)
    }

    fn read(&mut self, wait: Duration) -> Result<bool, LogError> {
        match self.reader.read(wait)? {
            ReadStep::Nothing => return Ok(false),
            ReadStep::End(partition, next) => {
                if partition == self.bundles {
                    self.bundles_next = next;
                }
                self.ended[usize::from(partition == self.control)] = true;
                self.policies.known().caught_up = self.ended == [true; 2];
            }
            ReadStep::Records(records) if *records.partition() == self.bundles => {
                for record in records.iter() {
                    self.take_bundle_part(&record);
                    self.bundles_next = record.offset + 1;
                }
            }
            ReadStep::Records(records) => {
                let mut known = self.policies.known();
                for record in records.iter() {
                    control::fold(&mut known.plans, record.offset, record.key, record.value);
                }
            }
        }
        Ok(true)
    }

    /// Finds out whether the bundle of a request is missing: it was published before the request, so it stands below the
    /// end that its topic has once the request was read.
    fn look_for_missing(&mut self) -> Result<(), LogError> {
        let Some(source) = &self.policies.source else { return Ok(()) };
        let known = self.policies.known();
        let is_unseen = |(offset, request): (i64, &PolicyRequest)| {
            offset >= known.looked_until && !known.bundles.contains(request.generation)
        };
        let until = known.plans.next();
        let looks = known.caught_up && known.plans.waiting().any(is_unseen);
        drop(known);
        if !looks {
            self.look = None;
            return Ok(());
        }
        let (end, until) = match self.look {
            Some(look) => look,
            None => *self.look.insert((source.end()?, until)),
        };
        if self.bundles_next >= end {
            self.policies.known().looked_until = until;
            self.look = None;
        }
        Ok(())
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
        let Some(policy) = self.policies.meet(generation, self.matcher) else { return };
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

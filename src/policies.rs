//! The policies that this instance knows: the one in force, and by their hash those that a log names.
//!
//! Owns the fold of the control topic and of the policies topic, and the compiled generations. May not write:
//! requests and bundles go out through whoever holds a producer. One per instance; shards ask it, a follower
//! thread (or the simulator) steps it.

use crate::log::{LogError, Logs, ReadStep, Reader, TopicPartition};
use crate::wire::{control, policies as bundles};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use triage_engine::plans::{PlanState, Releases};
use triage_engine::policy::{Bundle, Generation, Mistake, Policy, time_zones_version};
use triage_engine::scan::{Literal, Matcher};

/// Builds the matcher of a policy: hyperscan in the daemon, the reference in the simulator.
pub type BuildMatcher = fn(&[Literal]) -> Arc<dyn Matcher>;

/// A policy with its matcher, ready for workers.
pub struct Compiled {
    policy: Policy,
    matcher: Arc<dyn Matcher>,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compiled({})", self.policy.generation())
    }
}

impl Compiled {
    /// Compiles a bundle.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn new(bundle: &Bundle, matcher: BuildMatcher) -> Result<Compiled, Vec<Mistake>> {
        let policy = Policy::compile(bundle)?;
        let matcher = matcher(policy.literals());
        Ok(Compiled { policy, matcher })
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The matcher of its literals.
    #[must_use]
    pub fn matcher(&self) -> &Arc<dyn Matcher> {
        &self.matcher
    }

    /// The policy's hash.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.policy.generation()
    }
}

/// The policy in force.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The offset of the switch on the control topic.
    pub epoch: i64,
    /// The policy.
    pub policy: Arc<Compiled>,
}

/// What every part of an instance shares of its policies.
#[derive(Default)]
pub struct Policies {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    in_force: Option<InForce>,
    compiled: BTreeMap<Generation, Arc<Compiled>>,
    bundles: BTreeMap<Generation, Arc<Bundle>>,
    plans: PlanState,
    caught_up: bool,
}

impl Policies {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Arc<Policies> {
        Arc::new(Policies::default())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("invariant: nobody panics while holding the policies")
    }

    /// The policy in force, once the control topic has named one and its bundle was read.
    #[must_use]
    pub fn in_force(&self) -> Option<InForce> {
        self.known().in_force.clone()
    }

    /// The policy with this hash, compiled at first asking; `None` while its bundle was not read.
    #[must_use]
    pub fn get(&self, generation: Generation, matcher: BuildMatcher) -> Option<Arc<Compiled>> {
        let known = self.known();
        if let Some(compiled) = known.compiled.get(&generation) {
            return Some(compiled.clone());
        }
        let bundle = known.bundles.get(&generation)?.clone();
        // Compiling may take seconds, and every lane asks for the policy in force at every step: not under the lock.
        drop(known);
        // A bundle that was once in force compiled then, under the same semantics; if it does not now, waiting
        // for it shows up as a shard that does not go live, with the reason in the log.
        match Compiled::new(&bundle, matcher) {
            Ok(compiled) => {
                // Two who compiled at once agree on the first.
                let mut known = self.known();
                Some(known.compiled.entry(generation).or_insert(Arc::new(compiled)).clone())
            }
            Err(mistakes) => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(%generation, mistakes = mistakes.len(), first, "a policy named by a log does not compile");
                None
            }
        }
    }

    /// The requests to bring mentions back, as far as the control topic was read.
    #[must_use]
    pub fn releases(&self) -> Arc<Releases> {
        self.known().plans.releases().clone()
    }

    /// What the control topic says, as far as it was read.
    #[must_use]
    pub fn plans(&self) -> PlanState {
        self.known().plans.clone()
    }

    /// Whether the control topic's end was reached once.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.known().caught_up
    }

    /// Every generation whose bundle was read.
    #[must_use]
    pub fn generations(&self) -> Vec<Generation> {
        self.known().bundles.keys().copied().collect()
    }

    /// Whether the bundle with this hash is on the policies topic.
    #[must_use]
    pub fn has_bundle(&self, generation: Generation) -> bool {
        self.known().bundles.contains_key(&generation)
    }
}

/// Reads the control and policies topics on behalf of one instance.
pub struct Follower {
    policies: Arc<Policies>,
    reader: Box<dyn Reader>,
    control: TopicPartition,
    bundles: TopicPartition,
    assembler: bundles::Assembler,
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
        Ok(Follower { policies, reader, control, bundles, assembler, ended: [false; 2], matcher })
    }

    /// Reads on; whether anything was read.
    ///
    /// # Errors
    /// When the topics cannot be read.
    pub fn step(&mut self, wait: Duration) -> Result<bool, LogError> {
        match self.reader.read(wait)? {
            ReadStep::Nothing => return Ok(false),
            ReadStep::End(partition, _) => {
                self.ended[usize::from(partition == self.control)] = true;
                self.policies.known().caught_up = self.ended == [true; 2];
            }
            ReadStep::Records(records) if *records.partition() == self.bundles => {
                for record in records.iter() {
                    self.take_bundle_part(record.key, record.value);
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

    fn take_bundle_part(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        match self.assembler.feed(key.unwrap_or_default(), value) {
            Ok(Some((_, bytes))) => match Bundle::from_bytes(&bytes) {
                Ok(bundle) => {
                    let generation = bundle.generation();
                    self.policies.known().bundles.insert(generation, Arc::new(bundle));
                }
                Err(error) => tracing::error!(%error, "a policy bundle cannot be read"),
            },
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a part of a policy bundle cannot be used"),
        }
    }

    /// Puts the policy that the control topic names into force, once its bundle is here.
    fn switch(&mut self) {
        let named = self.policies.known().plans.in_force().map(|now| (now.epoch, now.generation));
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

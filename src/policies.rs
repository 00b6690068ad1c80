//! The policies that this instance knows: the one in force, and by their hash those that a log names.
//!
//! Owns the fold of the control topic and of the policies topic, and the compiled generations. May not write to a
//! log: requests and bundles go out through whoever holds a producer. One per instance; shards ask it, a follower
//! thread (or the simulator) steps it. In the daemon one thread compiles, of low priority, and nobody who asks waits.

use crate::clock::Stopwatch;
use crate::log::{LogError, Logs, ReadStep, Reader, TopicPartition};
use crate::policy_cache::PolicyCache;
use crate::wire::{control, policies as bundles};
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use triage_engine::plans::{PlanState, Releases};
use triage_engine::policy::{Bundle, DeskLimits, Generation, Mistake, Policy, time_zones_version};
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
        Ok(Compiled::of(Policy::compile(bundle)?, matcher))
    }

    /// A policy that is compiled already, with its matcher.
    #[must_use]
    pub fn of(policy: Policy, matcher: BuildMatcher) -> Compiled {
        let matcher = matcher(policy.literals());
        Compiled { policy, matcher }
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

/// How many compiled policies are kept: the one in force, the next, and those that logs name. One that somebody
/// still uses is kept beside them.
const COMPILED_MAX: usize = 8;

/// Work that takes long, for a thread that nobody waits for.
pub type Work = Box<dyn FnOnce(&Policies) + Send>;

/// What every part of an instance shares of its policies.
#[derive(Default)]
pub struct Policies {
    known: Mutex<Known>,
    cache: Option<PolicyCache>,
    /// To the thread that compiles; without one, who asks for a policy compiles it.
    aside: Option<Sender<Work>>,
}

#[derive(Default)]
struct Known {
    in_force: Option<InForce>,
    /// With a number that grows whenever one is asked for.
    compiled: BTreeMap<Generation, (Arc<Compiled>, u64)>,
    asked: u64,
    bundles: BTreeMap<Generation, Arc<Bundle>>,
    desks: BTreeMap<Generation, Arc<[DeskLimits]>>,
    /// What the thread that compiles was asked for, and does not compile or is not done.
    wanted: BTreeSet<Generation>,
    plans: PlanState,
    caught_up: bool,
}

impl Known {
    fn compiled(&mut self, generation: Generation) -> Option<Arc<Compiled>> {
        self.asked += 1;
        let (compiled, asked) = self.compiled.get_mut(&generation)?;
        *asked = self.asked;
        Some(Arc::clone(compiled))
    }
}

impl Policies {
    /// Nothing known yet; who asks for a policy compiles it.
    #[must_use]
    pub fn new() -> Arc<Policies> {
        Arc::new(Policies::default())
    }

    /// Nothing known yet; policies are compiled by whoever does the work that comes out of the second value, and kept in
    /// `cache` for the next start.
    #[must_use]
    pub fn compiled_aside(cache: Option<PolicyCache>) -> (Arc<Policies>, Receiver<Work>) {
        let (aside, work) = unbounded();
        (Arc::new(Policies { cache, aside: Some(aside), ..Policies::default() }), work)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("invariant: nobody panics while holding the policies")
    }

    /// Does what takes long on the thread that compiles, and waits for it; here where there is none. `None` when that
    /// thread has ended.
    pub fn aside<T: Send + 'static>(&self, work: impl FnOnce(&Policies) -> T + Send + 'static) -> Option<T> {
        let Some(aside) = &self.aside else { return Some(work(self)) };
        let (tell, told) = bounded(1);
        let work: Work = Box::new(move |policies| drop(tell.send(work(policies))));
        aside.send(work).ok()?;
        told.recv().ok()
    }

    /// Does what takes long on the thread that compiles, without waiting for it; here where there is none.
    pub fn later(&self, work: impl FnOnce(&Policies) + Send + 'static) {
        match &self.aside {
            // A thread that has ended does nothing any more: neither does the daemon.
            Some(aside) => drop(aside.send(Box::new(work))),
            None => work(self),
        }
    }

    /// The policy in force, once the control topic has named one and its bundle was read and compiled.
    #[must_use]
    pub fn in_force(&self) -> Option<InForce> {
        self.known().in_force.clone()
    }

    /// The policy with this hash; `None` while its bundle was not read or it is being compiled.
    #[must_use]
    pub fn get(&self, generation: Generation, matcher: BuildMatcher) -> Option<Arc<Compiled>> {
        let mut known = self.known();
        if let Some(compiled) = known.compiled(generation) {
            return Some(compiled);
        }
        let bundle = known.bundles.get(&generation)?.clone();
        if self.aside.is_some() {
            if known.wanted.insert(generation) {
                drop(known);
                self.later(move |policies| {
                    if policies.obey(generation, &bundle, matcher).is_some() {
                        policies.known().wanted.remove(&generation);
                    }
                });
            }
            return None;
        }
        // Compiling may take seconds, and every lane asks for the policy in force at every step: not under the lock.
        drop(known);
        self.obey(generation, &bundle, matcher)
    }

    /// A bundle that was once in force compiled then, under the same semantics; if it does not now, waiting for it shows
    /// up as a shard that does not go live, with the reason in the log.
    fn obey(&self, generation: Generation, bundle: &Bundle, matcher: BuildMatcher) -> Option<Arc<Compiled>> {
        match self.made(generation, bundle, matcher) {
            Ok(compiled) => Some(compiled),
            Err(mistakes) => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(%generation, mistakes = mistakes.len(), first, "a policy named by a log does not compile");
                None
            }
        }
    }

    /// The policy that these files make, which need not be on the policies topic: from the cache where it is there.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn of_bundle(&self, bundle: &Bundle, matcher: BuildMatcher) -> Result<Arc<Compiled>, Vec<Mistake>> {
        self.made(bundle.generation(), bundle, matcher)
    }

    fn made(
        &self,
        generation: Generation,
        bundle: &Bundle,
        matcher: BuildMatcher,
    ) -> Result<Arc<Compiled>, Vec<Mistake>> {
        if let Some(compiled) = self.known().compiled(generation) {
            return Ok(compiled);
        }
        let began = Stopwatch::start();
        let cached = self.cache.as_ref().and_then(|cache| cache.load(generation));
        let (is_cached, policy) = match cached {
            Some(policy) => (true, policy),
            None => (false, Policy::compile(bundle)?),
        };
        let matcher = matcher(policy.literals());
        let (rules, literals, bytes) = (policy.rules().len(), policy.literals().len(), matcher.bytes());
        let took_ms = began.elapsed_us() / 1_000;
        tracing::info!(%generation, is_cached, rules, literals, matcher = matcher.name(), bytes, took_ms, "policy compiled");
        let compiled = self.keep(Arc::new(Compiled { policy, matcher }));
        if self.cache.is_some() && !is_cached {
            let compiled = Arc::clone(&compiled);
            self.later(move |policies| {
                if let Some(cache) = &policies.cache {
                    cache.store(compiled.policy());
                }
            });
        }
        Ok(compiled)
    }

    /// Two who compiled at once agree on the first. What was not asked for longest, and nobody uses, is forgotten.
    fn keep(&self, compiled: Arc<Compiled>) -> Arc<Compiled> {
        let mut known = self.known();
        let generation = compiled.generation();
        let asked = known.asked;
        let kept = Arc::clone(&known.compiled.entry(generation).or_insert((compiled, asked)).0);
        let mut forgotten = Vec::new();
        while known.compiled.len() > COMPILED_MAX {
            let unused = known.compiled.iter().filter(|(_, (compiled, _))| Arc::strong_count(compiled) == 1);
            let Some((&oldest, _)) = unused.min_by_key(|(_, (_, asked))| *asked) else { break };
            forgotten.extend(known.compiled.remove(&oldest));
        }
        // Freeing a large policy takes milliseconds: not under the lock.
        drop(known);
        drop(forgotten);
        kept
    }

    /// The limits of the desks of the policy with this hash, `wanted` among them if it has that one. They are known as soon as its
    /// bundle was read, so that desks need not wait until its rules are compiled. `None` while that is not so.
    #[must_use]
    pub fn desks(
        &self,
        generation: Generation,
        wanted: &str,
        matcher: BuildMatcher,
    ) -> Option<Arc<[DeskLimits]>> {
        let read = self.known().desks.get(&generation).cloned();
        if let Some(desks) = read.filter(|desks| desks.iter().any(|desk| desk.name == wanted)) {
            return Some(desks);
        }
        let compiled = self.get(generation, matcher)?;
        let desks: Arc<[DeskLimits]> = compiled.policy().desks().iter().map(DeskLimits::from).collect();
        self.known().desks.insert(generation, Arc::clone(&desks));
        Some(desks)
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
            Ok(Some((generation, bytes))) => match Bundle::from_bytes(&bytes) {
                Ok(bundle) => {
                    let desks = bundle.desk_limits().into();
                    let mut known = self.policies.known();
                    known.bundles.insert(generation, Arc::new(bundle));
                    known.desks.insert(generation, desks);
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

#[cfg(test)]
mod tests;

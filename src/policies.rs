//! The policies that this instance knows: the one in force, and by their hash those that a log names.
//!
//! Owns the compiled generations, and what the two topics said as far as the follower has read them. May not write to a
//! log: requests and bundles go out through whoever holds a producer. One per instance; shards ask it, a follower
//! thread (or the simulator) feeds it. In the daemon one thread compiles, of low priority, and nobody who asks waits.

mod follower;
mod pace;
mod published;

pub use follower::Follower;
pub use published::{HELD_BYTES_MAX, Source};

use crate::clock::Stopwatch;
use crate::log::LogError;
use crate::policy_cache::PolicyCache;
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use pace::Pace;
use published::{Bundles, Place};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use triage_engine::plans::{PlanState, Published, Releases};
use triage_engine::policy::{Bundle, DeskLimits, Generation, Mistake, Policy};
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

/// How long the thread that compiles rests after a bundle could not be read again.
const REST: Duration = Duration::from_secs(1);

/// Work that takes long, for a thread that nobody waits for.
pub type Work = Box<dyn FnOnce(&Policies) + Send>;

/// What every part of an instance shares of its policies.
#[derive(Default)]
pub struct Policies {
    known: Mutex<Known>,
    cache: Option<PolicyCache>,
    /// Without one every bundle is held.
    source: Option<Source>,
    /// To the thread that compiles; without one, who asks for a policy compiles it.
    aside: Option<Sender<Work>>,
    /// Somebody waits for the thread that compiles: it does not rest until the policy at hand is made.
    in_haste: AtomicBool,
    /// It does not rest any more.
    ends: AtomicBool,
}

#[derive(Default)]
struct Known {
    in_force: Option<InForce>,
    /// With a number that grows whenever one is asked for.
    compiled: BTreeMap<Generation, (Arc<Compiled>, u64)>,
    asked: u64,
    bundles: Bundles,
    desks: BTreeMap<Generation, Arc<[DeskLimits]>>,
    /// What the thread that compiles was asked for, and does not compile or is not done.
    wanted: BTreeSet<Generation>,
    plans: PlanState,
    caught_up: bool,
    /// Of a request on the control topic below this offset every bundle was read that was published before it.
    looked_until: i64,
}

impl Known {
    fn compiled(&mut self, generation: Generation) -> Option<Arc<Compiled>> {
        self.asked += 1;
        let (compiled, asked) = self.compiled.get_mut(&generation)?;
        *asked = self.asked;
        Some(Arc::clone(compiled))
    }
}

/// Why there is no compiled policy.
enum Unmade {
    /// The bundle has mistakes.
    Mistakes(Vec<Mistake>),
    /// The bundle cannot be read now.
    Unread(LogError),
}

impl Policies {
    /// Nothing known yet; who asks for a policy compiles it. Every bundle is held: for verbs that read the topics once.
    #[must_use]
    pub fn new() -> Arc<Policies> {
        Arc::new(Policies::default())
    }

    /// Nothing known yet; who asks for a policy compiles it, and reads its bundle again from `source` where that is not
    /// held any more.
    #[must_use]
    pub fn reading_again(source: Source) -> Arc<Policies> {
        Arc::new(Policies { source: Some(source), ..Policies::default() })
    }

    /// Nothing known yet; policies are read again and compiled by whoever does the work that comes out of the second
    /// value, and kept in `cache` for the next start.
    #[must_use]
    pub fn compiled_aside(
        cache: Option<PolicyCache>,
        source: Option<Source>,
    ) -> (Arc<Policies>, Receiver<Work>) {
        let (aside, work) = unbounded();
        (Arc::new(Policies { cache, source, aside: Some(aside), ..Policies::default() }), work)
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

    /// The policy with this hash; `None` while its bundle was not read or it is being compiled, which does not rest then.
    #[must_use]
    pub fn get(&self, generation: Generation, matcher: BuildMatcher) -> Option<Arc<Compiled>> {
        let found = self.meet(generation, matcher);
        if found.is_none() {
            self.in_haste.store(true, Ordering::Relaxed);
        }
        found
    }

    /// From now on no compilation rests: whoever ends waits for the thread that compiles.
    pub fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    fn is_in_haste(&self) -> bool {
        self.in_haste.load(Ordering::Relaxed) || self.ends.load(Ordering::Relaxed)
    }

    /// The same for who does not wait for it.
    #[must_use]
    pub fn meet(&self, generation: Generation, matcher: BuildMatcher) -> Option<Arc<Compiled>> {
        let mut known = self.known();
        if let Some(compiled) = known.compiled(generation) {
            return Some(compiled);
        }
        if !known.bundles.contains(generation) {
            return None;
        }
        if self.aside.is_some() {
            if known.wanted.insert(generation) {
                drop(known);
                self.later(move |policies| match policies.obey(generation, matcher) {
                    Ok(Some(_)) => drop(policies.known().wanted.remove(&generation)),
                    Ok(None) => {}
                    Err(_) => {
                        // Whoever waits for it asks again many times a second.
                        std::thread::sleep(REST);
                        policies.known().wanted.remove(&generation);
                    }
                });
            }
            return None;
        }
        // Compiling may take seconds, and every lane asks for the policy in force at every step: not under the lock.
        drop(known);
        self.obey(generation, matcher).ok().flatten()
    }

    /// A bundle that was once in force compiled then, under the same semantics; if it does not now, waiting for it shows
    /// up as a shard that does not go live, with the reason in the log. One that cannot be read now is asked for again.
    fn obey(&self, generation: Generation, matcher: BuildMatcher) -> Result<Option<Arc<Compiled>>, LogError> {
        match self.made(generation, || self.bundle(generation), matcher) {
            Ok(compiled) => Ok(Some(compiled)),
            Err(Unmade::Mistakes(mistakes)) => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(%generation, mistakes = mistakes.len(), first, "a policy named by a log does not compile");
                Ok(None)
            }
            Err(Unmade::Unread(error)) => {
                tracing::error!(%generation, %error, "the bundle of a policy named by a log cannot be read again");
                Err(error)
            }
        }
    }

    /// The bundle with this hash: the one that is held, or read again.
    fn bundle(&self, generation: Generation) -> Result<Arc<Bundle>, LogError> {
        let place = self.known().bundles.place(generation);
        match (place, &self.source) {
            (Some(Place::Here(bundle)), _) => Ok(bundle),
            (Some(Place::From(offset)), Some(source)) => source.read(generation, offset),
            (Some(Place::From(_)) | None, _) => {
                Err(LogError::Fatal(format!("{generation} is not published")))
            }
        }
    }

    /// The policy that these files make, which need not be on the policies topic: from the cache where it is there.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn of_bundle(&self, bundle: &Bundle, matcher: BuildMatcher) -> Result<Arc<Compiled>, Vec<Mistake>> {
        let made = self.made(bundle.generation(), || Ok(bundle), matcher);
        made.map_err(|unmade| match unmade {
            Unmade::Mistakes(mistakes) => mistakes,
            Unmade::Unread(_) => unreachable!("invariant: the bundle is here"),
        })
    }

    fn made<B: Borrow<Bundle>>(
        &self,
        generation: Generation,
        bundle: impl FnOnce() -> Result<B, LogError>,
        matcher: BuildMatcher,
    ) -> Result<Arc<Compiled>, Unmade> {
        if let Some(compiled) = self.known().compiled(generation) {
            return Ok(compiled);
        }
        let began = Stopwatch::start();
        let cached = self.cache.as_ref().and_then(|cache| cache.load(generation));
        let (is_cached, policy) = match cached {
            Some(policy) => (true, policy),
            None => {
                let bundle = bundle().map_err(Unmade::Unread)?;
                (false, self.compile(bundle.borrow()).map_err(Unmade::Mistakes)?)
            }
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

    /// On a thread of its own and while another policy serves the stream nobody waits for this one: it rests in between.
    fn compile(&self, bundle: &Bundle) -> Result<Policy, Vec<Mistake>> {
        if self.aside.is_none() || self.in_force().is_none() {
            return Policy::compile(bundle);
        }
        // Who waits asks again many times a second.
        self.in_haste.store(false, Ordering::Relaxed);
        let mut pace = Pace::start();
        Policy::compile_in_steps(bundle, &mut || pace.step(|| self.is_in_haste()))
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

    fn take_in(&self, generation: Generation, bundle: Bundle, read: (i64, usize)) {
        let desks = bundle.desk_limits().into();
        let bytes_max = self.source.as_ref().map_or(usize::MAX, |source| source.bytes_max);
        let mut known = self.known();
        known.bundles.insert(generation, Arc::new(bundle), read, bytes_max);
        known.desks.insert(generation, desks);
    }

    /// Somebody has taken the bundle from the topic: nobody compiles it any more.
    fn forget(&self, generation: Generation) {
        let mut known = self.known();
        known.desks.remove(&generation);
        known.wanted.remove(&generation);
        if known.bundles.remove(generation) {
            tracing::warn!(%generation, "the bundle of a policy was taken from the policies topic");
        }
    }

    /// Every generation whose bundle was read.
    #[must_use]
    pub fn generations(&self) -> Vec<Generation> {
        self.known().bundles.generations().collect()
    }

    /// Whether the bundle with this hash is on the policies topic.
    #[must_use]
    pub fn has_bundle(&self, generation: Generation) -> bool {
        self.known().bundles.contains(generation)
    }

    /// What is known of the bundle that the request at `offset` of the control topic names. Without a source of bundles
    /// none is ever known to be missing.
    #[must_use]
    pub fn published(&self, offset: i64, generation: Generation) -> Published {
        let known = self.known();
        match known.bundles.contains(generation) {
            true => Published::Whole,
            false if offset < known.looked_until => Published::Missing,
            false => Published::Unseen,
        }
    }
}

#[cfg(test)]
mod tests;

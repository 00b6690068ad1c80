//! The deterministic simulator of the protocol: the very lanes of the daemon over the embedded log, one thread,
//! one seed, every step a choice of that seed.
//!
//! Owns the world: instances that crash, freeze, join and leave, sends that are slow, refused or unheard, switches
//! of policy, holes, copies. After every step `check` looks at the logs from outside. May not reach into a shard
//! to make a test pass. Run by its tests; a failing seed replays with `TRIAGED_SEED=<seed>`.

mod check;
mod check_release;
mod feed;
pub(crate) mod instance;
mod random;
mod tests;

use crate::clock::{Clock, ManualClock};
use crate::embedded::{Cluster, Fate};
use crate::log::{LogError, Logs, NewTopic, TopicPartition};
use check::Checker;
use instance::{Instance, Settings};
use random::Random;
use std::sync::Arc;
use triage_engine::model::Millis;

/// How one seed's world is made: each seed draws its own faults, so that every mixture is met.
#[derive(Debug, Clone, Copy)]
struct Swarm {
    input_partitions: u32,
    desk_partitions: u32,
    refuses: bool,
    unheard: bool,
    nameless: bool,
    away: bool,
    crashes: bool,
    zombies: bool,
    second_instance: bool,
    switches: bool,
    holes: bool,
    slow: bool,
    /// Revoked partitions are let go of before they are drained, when that takes long.
    impatient: bool,
    /// Retention takes mentions, read or not.
    retention: bool,
    /// Somebody asks for mentions to be brought back.
    releases: bool,
}

impl Swarm {
    fn draw(random: &mut Random) -> Swarm {
        Swarm {
            input_partitions: 1 + random.below(3) as u32,
            desk_partitions: 1 + random.below(2) as u32,
            refuses: random.chance(30),
            unheard: random.chance(30),
            nameless: random.chance(30),
            away: random.chance(40),
            crashes: random.chance(80),
            zombies: random.chance(50),
            second_instance: random.chance(60),
            switches: random.chance(60),
            holes: random.chance(50),
            slow: random.chance(50),
            impatient: random.chance(20),
            retention: random.chance(25),
            releases: random.chance(60),
        }
    }
}

/// The simulated world.
struct World {
    seed: u64,
    random: Random,
    swarm: Swarm,
    clock: Arc<ManualClock>,
    cluster: Cluster,
    instances: Vec<Instance>,
    /// Instances that the groups have forgotten, and that do not know it yet.
    frozen: Vec<(Instance, u32)>,
    feed: feed::Feed,
    checker: Checker,
    step: u32,
    switches: u32,
    /// That somebody ended whom its groups had not forgotten, or what was found wrong in the middle of a step.
    ended: Option<String>,
}

/// What a run found.
#[derive(Debug)]
pub(super) struct Violation {
    seed: u64,
    step: u32,
    what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {} step {}: {}", self.seed, self.step, self.what)
    }
}

/// Steps of a run before it is healed and must come to rest.
const STEPS: u32 = 600;
/// Steps within which a healed world must come to rest.
const STEPS_TO_REST: u32 = 6_000;

fn run(seed: u64) -> Result<check::Summary, Violation> {
    let mut world = World::new(seed);
    for step in 0..STEPS {
        world.step = step;
        world.act();
        world.look()?;
    }
    world.heal();
    for step in 0..STEPS_TO_REST {
        world.step = STEPS + step;
        world.settle_all();
        world.look()?;
        if world.checker.is_at_rest() && world.is_quiet() {
            return world.verdict();
        }
    }
    let why = world.checker.unrest();
    Err(world.violation(format!("the healed world does not come to rest: {why}")))
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let swarm = Swarm::draw(&mut random);
        let clock = Arc::new(ManualClock::new(Millis(1_750_000_000_000)));
        let cluster = Cluster::new(clock.clone());
        let topic = |name: &str, partitions: u32| NewTopic {
            name: name.to_owned(),
            partitions,
            replication: 1,
            config: Vec::new(),
        };
        let topics = [
            topic("mentions", swarm.input_partitions),
            topic("triaged.ledger.mentions", swarm.input_partitions),
            topic("helpdesk.events", 1),
            topic("triaged.desks", swarm.desk_partitions),
            topic("triaged.snapshots", swarm.desk_partitions),
            topic("triaged.control", 1),
            topic("triaged.policies", 1),
            topic("triaged.dead-letter", 1),
            topic("triaged.alerts", 1),
            topic("assignments.care", 2),
            topic("assignments.tech", 2),
        ];
        cluster.create(&topics).expect("an embedded log takes topics");
        let feed = feed::Feed::new(swarm.input_partitions, swarm.desk_partitions);
        feed.publish_first_policy(&cluster);
        cluster.hold_sends(true);
        let mut checker = Checker::new(&cluster, swarm.input_partitions, swarm.desk_partitions, &feed);
        if swarm.impatient {
            checker.allow_repeats();
        }
        let mut world = World {
            seed,
            random,
            swarm,
            clock,
            cluster,
            instances: Vec::new(),
            frozen: Vec::new(),
            feed,
            checker,
            step: 0,
            switches: 0,
            ended: None,
        };
        world.start("one");
        world
    }

    fn start(&mut self, name: &str) {
        self.trace(|world| format!("{name} starts; {:?}", world.swarm));
        let clock: Arc<dyn Clock> = self.clock.clone();
        let drain_ms = if self.swarm.impatient { 5_000 } else { i64::MAX / 4 };
        // The checker has read what lies there: everything that snapshots have made dispensable is trimmed.
        let settings = Settings { desk_partitions: self.swarm.desk_partitions, drain_ms, log_keep_ms: 0 };
        let instance = Instance::new(name, &self.cluster, clock, settings);
        self.instances.push(instance);
    }

    /// What happens, for whoever replays one seed.
    fn trace(&self, what: impl Fn(&World) -> String) {
        if std::env::var_os("TRIAGED_SEED").is_some() {
            eprintln!("step {}: {}", self.step, what(self));
        }
    }

    /// One step, drawn.
    fn act(&mut self) {
        self.clock.advance(self.random.below(40) as i64);
        match self.random.below(100) {
            0..15 => self.feed.mentions(&self.cluster, &mut self.random, self.swarm.holes),
            15..18 => self.feed.helpdesk(&self.cluster, &mut self.random, self.checker.open_cases()),
            18 if self.swarm.releases => self.release(),
            18..60 => self.step_one(),
            60..87 => self.deliver(),
            87 if self.swarm.retention => self.expire_mentions(),
            87 => self.deliver(),
            88..90 => self.clock.advance(self.random.below(40_000) as i64),
            90..92 if self.swarm.crashes => self.crash(),
            92..94 if self.swarm.zombies => self.freeze(),
            94..96 if self.swarm.second_instance => self.join_or_leave(),
            96 if self.swarm.switches => {
                self.switches += 1;
                self.feed.switch(&self.cluster, self.switches);
            }
            97 if self.swarm.refuses => {
                self.checker.saw_fate(Fate::Refused);
                self.cluster.refuse_sends(1 + self.random.below(2) as u32);
            }
            98 if self.swarm.away => {
                self.cluster.be_away(1 + self.random.below(6) as u32);
                self.cluster.be_full(1 + self.random.below(30) as u32);
                self.cluster.fence_commits(self.random.below(4) as u32);
            }
            99 if self.random.chance(50) => self.pause_or_resume(),
            99 => self.compact(),
            _ => self.thaw(),
        }
        if self.instances.is_empty() && self.frozen.is_empty() {
            self.start("one");
        }
    }

    fn step_one(&mut self) {
        let frozen = self.frozen.len();
        let count = self.instances.len() + frozen;
        if count == 0 {
            return;
        }
        let index = self.random.below(count as u64) as usize;
        let part = self.random.below(5);
        let now_ms = self.clock.monotonic_ms();
        if index < self.instances.len() {
            if let Err(error) = self.instances[index].step(part, now_ms) {
                self.end(index, &error);
            }
        } else {
            let index = index - self.instances.len();
            self.frozen[index].1 = self.frozen[index].1.saturating_sub(1);
            if self.frozen[index].1 == 0 && self.random.chance(50) {
                self.wake(index);
            }
            if self.frozen[index].1 == 0 && self.frozen[index].0.step(part, now_ms).is_err() {
                let (gone, _) = self.frozen.remove(index);
                self.bury(gone, true);
            }
        }
    }

    /// The group has given its place away: the daemon ends, and its unit starts it again.
    fn end(&mut self, index: usize, error: &LogError) {
        let gone = self.instances.remove(index);
        let knows = |group, id| self.cluster.members(group).iter().any(|(member, _)| *member == id);
        if knows("triaged.triage", gone.members[0]) && knows("triaged.desk", gone.members[1]) {
            self.ended =
                Some(format!("{} ended although its groups have not forgotten it: {error}", gone.name));
        }
        let name = gone.name.clone();
        self.bury(gone, true);
        self.start(&name);
    }

    fn deliver(&mut self) {
        let producers = self.cluster.producers_waiting();
        if producers.is_empty() {
            return;
        }
        let rounds = if self.swarm.slow { 1 } else { 4 };
        for _ in 0..rounds {
            let producer = producers[self.random.below(producers.len() as u64) as usize];
            // What a frozen process had handed over mostly stays where it is until the process wakes up.
            let asleep = self
                .frozen
                .iter()
                .any(|(instance, left)| *left > 1 && instance.producers.contains(&producer));
            if asleep && self.random.chance(95) {
                continue;
            }
            let waiting = self.cluster.sends_waiting(producer);
            if waiting > 0 {
                let index = self.random.below(waiting as u64) as usize;
                let fate = self.fate();
                self.checker.saw_fate(fate);
                let to = self.cluster.waiting_for(producer, index);
                if fate == Fate::TakenNameless
                    && to.is_some_and(|to| to.topic.starts_with("triaged.ledger."))
                    && let Some(owner) = self.instances.iter().find(|it| it.producers.contains(&producer))
                {
                    // A shard that does not know where its record lies restores itself from the ledger.
                    self.checker.may_repeat(owner.in_flight());
                }
                self.cluster.decide(producer, index, fate);
            }
        }
    }

    fn fate(&mut self) -> Fate {
        match self.random.below(100) {
            0..2 if self.swarm.refuses => Fate::Refused,
            2..4 if self.swarm.unheard => Fate::TakenUnheard,
            4..6 if self.swarm.nameless => Fate::TakenNameless,
            _ => Fate::Taken,
        }
    }

    /// kill -9, and sometimes a start of the same instance at once.
    fn crash(&mut self) {
        if self.instances.is_empty() {
            return;
        }
        let index = self.random.below(self.instances.len() as u64) as usize;
        self.kill(index);
    }

    fn kill(&mut self, index: usize) {
        let gone = self.instances.remove(index);
        let name = gone.name.clone();
        let restarts = self.random.chance(70);
        self.trace(|_| format!("{name} is killed, restarts: {restarts}, in flight {}", gone.in_flight()));
        self.bury(gone, !restarts);
        if restarts {
            self.start(&name);
        }
    }

    /// An instance is gone for good: what it had handed to its client may have reached the broker, in order for
    /// each partition, up to some point.
    fn bury(&mut self, gone: Instance, expire: bool) {
        self.take_stock();
        self.checker.crashed(gone.in_flight());
        let members = gone.members;
        let producers = gone.producers.clone();
        drop(gone);
        for producer in producers {
            let mut vanishing: std::collections::BTreeSet<TopicPartition> = std::collections::BTreeSet::new();
            while let Some(to) = self.cluster.waiting_for(producer, 0) {
                if self.random.chance(40) {
                    vanishing.insert(to.clone());
                }
                let fate = if vanishing.contains(&to) { Fate::Vanished } else { Fate::TakenUnheard };
                self.cluster.decide(producer, 0, fate);
            }
        }
        if expire {
            self.cluster.expire("triaged.triage", members[0]);
            self.cluster.expire("triaged.desk", members[1]);
        }
    }

    /// SIGSTOP for longer than the session timeout: the groups forget it, others take over, it wakes up later.
    fn freeze(&mut self) {
        if self.instances.is_empty() {
            return;
        }
        let index = self.random.below(self.instances.len() as u64) as usize;
        if self.swarm.switches && self.random.chance(50) {
            self.switch_behind_the_back_of(index);
        }
        let frozen = self.instances.remove(index);
        self.trace(|_| format!("{} freezes, in flight {}", frozen.name, frozen.in_flight()));
        self.take_stock();
        self.checker.froze(frozen.in_flight());
        self.cluster.expire("triaged.triage", frozen.members[0]);
        self.cluster.expire("triaged.desk", frozen.members[1]);
        let name = frozen.name.clone();
        self.frozen.push((frozen, 1 + self.random.below(40) as u32));
        // Its static name is free again once the session is over.
        self.start(&name);
        if self.random.chance(50) {
            self.take_over();
        }
    }

    /// Whoever was started last gets far enough to decide what the frozen one had in flight.
    fn take_over(&mut self) {
        let now_ms = self.clock.monotonic_ms();
        for _ in 0..20 {
            let instance = self.instances.last_mut().expect("somebody was just started");
            if [4, 0, 2].into_iter().any(|part| instance.step(part, now_ms).is_err()) {
                return;
            }
            for producer in instance.producers.clone() {
                while self.cluster.sends_waiting(producer) > 0 {
                    self.cluster.decide(producer, 0, Fate::Taken);
                }
            }
        }
    }

    /// The policy changes while this instance has decisions under the old one on their way to the ledger, and
    /// before it hears of it: whoever takes over decides under the new one.
    fn switch_behind_the_back_of(&mut self, index: usize) {
        self.switches += 1;
        self.feed.switch(&self.cluster, self.switches);
        self.feed.mentions(&self.cluster, &mut self.random, self.swarm.holes);
        let now_ms = self.clock.monotonic_ms();
        for _ in 0..12 {
            let instance = &mut self.instances[index];
            let stepped = instance.step(0, now_ms).and_then(|()| instance.step(2, now_ms));
            let desk_producer = *instance.producers.last().expect("an instance has producers");
            if stepped.is_err() {
                return;
            }
            while self.cluster.sends_waiting(desk_producer) > 0 {
                self.cluster.decide(desk_producer, 0, Fate::Taken);
            }
        }
    }

    /// What a process had handed to its client before it froze reaches the broker as it wakes up.
    fn wake(&mut self, index: usize) {
        // It may have been restoring a partition: it goes on with what the ledger says now.
        self.take_stock();
        self.checker.woke();
        let producers = self.frozen[index].0.producers.clone();
        for producer in producers {
            while self.cluster.sends_waiting(producer) > 0 {
                self.cluster.decide(producer, 0, Fate::Taken);
            }
        }
    }

    fn thaw(&mut self) {
        if let Some((_, left)) = self.frozen.first_mut() {
            *left = 1;
        }
    }

    fn join_or_leave(&mut self) {
        match self.instances.iter().position(|instance| instance.name == "two") {
            None => self.start("two"),
            Some(index) => self.instances[index].drain(),
        }
        let now_ms = self.clock.monotonic_ms();
        if let Some(index) = self.instances.iter().position(|instance| instance.is_drained()) {
            let mut gone = self.instances.remove(index);
            self.trace(|_| format!("{} leaves, in flight {}", gone.name, gone.in_flight()));
            gone.settle_commits(now_ms);
            // What it leaves behind after a drain is repeated by nobody.
            let producers = gone.producers.clone();
            let members = gone.members;
            drop(gone);
            self.cluster.expire("triaged.triage", members[0]);
            self.cluster.expire("triaged.desk", members[1]);
            for producer in producers {
                while self.cluster.sends_waiting(producer) > 0 {
                    self.cluster.decide(producer, 0, Fate::Taken);
                }
            }
        }
    }

    /// Retention takes the oldest mentions of a partition, some of which nobody may have read.
    fn expire_mentions(&mut self) {
        let partition = self.random.below(u64::from(self.swarm.input_partitions)) as u32;
        let of = TopicPartition::new("mentions", partition);
        let (start, next) = self.cluster.bounds(&of).expect("the topic exists");
        let below = start + self.random.below((next - start) as u64 + 1) as i64;
        self.checker.mentions_expire(&self.cluster, partition, below);
        self.cluster.trim(&of, below).expect("the topic exists");
    }

    /// Somebody asks for what a rule took, or for dead letters; whoever works on it is killed now and then.
    fn release(&mut self) {
        if self.random.chance(50) {
            self.feed.release(&self.cluster, &mut self.random);
        }
        if !self.swarm.crashes || self.random.chance(60) {
            return;
        }
        // So many steps into it, wherever that is.
        for _ in 0..self.random.below(40) {
            self.step_one();
            self.deliver();
        }
        if let Some(index) = self.instances.iter().position(|instance| instance.is_releasing()) {
            self.kill(index);
        }
    }

    /// An operator pauses an instance, whole or in part, or lets it go on.
    fn pause_or_resume(&mut self) {
        if self.instances.is_empty() {
            return;
        }
        let index = self.random.below(self.instances.len() as u64) as usize;
        match self.random.below(3) {
            0 => self.instances[index].pause.pause(&[]),
            1 => self.instances[index].pause.pause(&[0]),
            _ => self.instances[index].pause.resume(),
        }
    }

    fn compact(&mut self) {
        let tombstones = self.random.chance(50);
        for topic in ["triaged.policies", "triaged.snapshots"] {
            self.cluster.compact(&TopicPartition::new(topic, 0), tombstones).expect("the topic exists");
        }
    }

    /// No more faults; everybody who is frozen dies, everybody who is needed lives.
    fn heal(&mut self) {
        self.trace(|world| format!("heals; {} instances", world.instances.len()));
        self.cluster.refuse_sends(0);
        self.cluster.be_away(0);
        self.cluster.be_full(0);
        self.cluster.fence_commits(0);
        self.swarm = Swarm { refuses: false, unheard: false, nameless: false, slow: false, ..self.swarm };
        while let Some((gone, _)) = self.frozen.pop() {
            self.bury(gone, true);
        }
        if let Some(index) = self.instances.iter().position(Instance::is_draining) {
            let gone = self.instances.remove(index);
            self.bury(gone, true);
        }
        self.instances.iter().for_each(|instance| instance.pause.resume());
        if self.instances.is_empty() {
            self.start("one");
        }
    }

    fn settle_all(&mut self) {
        self.clock.advance(500);
        let now_ms = self.clock.monotonic_ms();
        for index in 0..self.instances.len() {
            for part in 0..5 {
                if let Err(error) = self.instances[index].step(part, now_ms) {
                    return self.end(index, &error);
                }
            }
        }
        for producer in self.cluster.producers_waiting() {
            while self.cluster.sends_waiting(producer) > 0 {
                self.cluster.decide(producer, 0, Fate::Taken);
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.cluster.producers_waiting().is_empty() && self.instances.iter().all(Instance::is_quiet)
    }

    /// What may be repeated is counted by what is known, and much may have happened since the checker looked.
    fn take_stock(&mut self) {
        if let Err(what) = self.checker.look(&self.cluster, &self.instances) {
            self.ended.get_or_insert(what);
        }
    }

    fn look(&mut self) -> Result<(), Violation> {
        if let Some(what) = self.ended.take() {
            return Err(self.violation(what));
        }
        let found = self.checker.look(&self.cluster, &self.instances);
        found.map_err(|what| self.violation(what))
    }

    fn verdict(mut self) -> Result<check::Summary, Violation> {
        let found = self.checker.verdict(&self.cluster);
        found.map_err(|what| self.violation(what))
    }

    fn violation(&self, what: String) -> Violation {
        Violation { seed: self.seed, step: self.step, what }
    }
}

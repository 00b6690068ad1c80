//! Nobody waits for a policy to be compiled, and what was compiled before is not compiled again.

use super::*;
use crate::clock::ManualClock;
use crate::embedded::Cluster;
use crate::log::{Logs, NewTopic, Outgoing, Ticket, TopicPartition};
use crate::wire::{control, policies as bundles};
use triage_engine::model::Millis;
use triage_engine::plans::{ControlRecord, PolicyRequest, PolicySwitch};
use triage_engine::scan::ReferenceMatcher;

fn reference(literals: &[Literal]) -> Arc<dyn Matcher> {
    Arc::new(ReferenceMatcher::new(literals))
}

fn bundle(word: &str, desks: &str) -> Bundle {
    let text = format!(
        "{desks}[[queue]]\nname = \"care.all\"\ndesk = \"care\"\n[workflow]\ndefault = \"care.all\"\n\
         [fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n"
    );
    let rule = format!("[[rule]]\nname = \"one\"\nquery = '{word}'\n");
    Bundle { files: [("desks.toml".to_owned(), text), ("rule.toml".to_owned(), rule)].into() }
}

const CARE: &str = "[[desk]]\nname = \"care\"\nlog_partition = 0\n";

/// The two topics, and who writes them.
struct World {
    cluster: Cluster,
    switches: i64,
}

impl World {
    fn new() -> World {
        let cluster = Cluster::new(Arc::new(ManualClock::new(Millis(0))));
        let topics = ["control", "policies"].map(|name| NewTopic {
            name: name.to_owned(),
            partitions: 1,
            replication: 1,
            config: Vec::new(),
        });
        cluster.create(&topics).expect("an embedded log takes topics");
        World { cluster, switches: 0 }
    }

    fn send(&self, topic: &str, records: &[(String, Vec<u8>)]) {
        let mut batch = Outgoing::default();
        for (key, value) in records {
            batch.push(Some(key.as_bytes()), Some(value));
        }
        let mut producer = self.cluster.producer("test").expect("a producer");
        let ticket = Arc::new(Ticket::new());
        producer.send(&TopicPartition::new(topic, 0), &batch, &ticket).expect("sent");
        producer.flush(Duration::ZERO);
    }

    fn publish(&self, bundle: &Bundle) -> Generation {
        let generation = bundle.generation();
        let bytes = bundle.to_bytes();
        let records = bundles::publish(generation, &bytes);
        self.send("policies", &records.map(|record| (record.key, record.value)).collect::<Vec<_>>());
        generation
    }

    /// Publishes a policy and puts it in force.
    fn switch(&mut self, bundle: &Bundle) -> Generation {
        let generation = self.publish(bundle);
        // The request stands at an even offset, its answer at the next.
        let (id, through) = (format!("request-{}", self.switches), 2 * self.switches);
        self.switches += 1;
        let request = PolicyRequest { id: id.clone(), generation, by: "test".to_owned(), at: Millis(0) };
        let switch = PolicySwitch { generation, answers: id, through, previous: None, restates: None };
        for record in [ControlRecord::SwitchRequested(request), ControlRecord::Switched(switch)] {
            let (key, value) = control::encode(&record);
            self.send("control", &[(key, value.expect("it has a value"))]);
        }
        generation
    }

    fn follower(&self, policies: &Arc<Policies>) -> Follower {
        Follower::new(&self.cluster, "control", "policies", Arc::clone(policies), reference)
            .expect("a follower")
    }
}

/// Steps until there is surely nothing more to read.
fn follow(follower: &mut Follower) {
    for _ in 0..20 {
        follower.step(Duration::ZERO).expect("the embedded log answers");
    }
}

/// Does what waits to be done aside; how much it was.
fn work_off(policies: &Policies, work: &Receiver<Work>) -> usize {
    let mut done = 0;
    while let Ok(work) = work.try_recv() {
        work(policies);
        done += 1;
    }
    done
}

#[test]
fn the_old_policy_stays_in_force_until_the_new_one_is_compiled_and_its_desks_are_known_before() {
    let mut world = World::new();
    let (policies, work) = Policies::compiled_aside(None, None);
    let mut follower = world.follower(&policies);
    let first = world.switch(&bundle("tv", CARE));
    follow(&mut follower);
    assert!(policies.in_force().is_none() && policies.get(first, reference).is_none());
    assert_eq!(work_off(&policies, &work), 1, "however often it is asked for");
    follow(&mut follower);
    assert_eq!(policies.in_force().map(|now| now.policy.generation()), Some(first));

    let tech = format!("{CARE}[[desk]]\nname = \"tech\"\nlog_partition = 1\n");
    let second = world.switch(&bundle("radio", &tech));
    follow(&mut follower);
    assert_eq!(policies.in_force().map(|now| now.policy.generation()), Some(first), "nobody has compiled it");
    let desks = policies.desks(second, "tech", reference).expect("they stand in the bundle");
    assert_eq!(desks.iter().map(|desk| desk.name.as_str()).collect::<Vec<_>>(), ["care", "tech"]);
    assert!(policies.desks(second, "social", reference).is_none(), "that it has none is known later");
    work_off(&policies, &work);
    follow(&mut follower);
    let now = policies.in_force().expect("compiled");
    assert_eq!((now.policy.generation(), now.epoch), (second, 3));
    let desks = policies.desks(second, "social", reference).expect("known now");
    assert_eq!(desks.len(), 2);
}

#[test]
fn a_desk_that_is_written_in_an_uncommon_way_is_found_once_the_policy_is_compiled() {
    let mut world = World::new();
    let (policies, work) = Policies::compiled_aside(None, None);
    let mut follower = world.follower(&policies);
    let mut odd = bundle("tv", CARE);
    odd.files.insert("odd.toml".to_owned(), "desk = [{ name = \"tech\", log_partition = 1 }]\n".to_owned());
    let generation = world.switch(&odd);
    follow(&mut follower);
    assert!(policies.desks(generation, "care", reference).is_some());
    assert!(policies.desks(generation, "tech", reference).is_none());
    work_off(&policies, &work);
    assert_eq!(policies.desks(generation, "tech", reference).map(|desks| desks.len()), Some(2));
    assert!(policies.desks(generation, "care", reference).is_some());
}

#[test]
fn only_the_policy_in_force_is_compiled_at_the_start_not_those_before_it() {
    let mut world = World::new();
    for word in ["one", "two", "three"] {
        world.switch(&bundle(word, CARE));
    }
    let (policies, work) = Policies::compiled_aside(None, None);
    follow(&mut world.follower(&policies));
    assert_eq!(work_off(&policies, &work), 1);
    assert_eq!(policies.generations().len(), 3, "the others are at hand");
}

#[test]
fn the_next_policy_is_compiled_in_haste_only_while_somebody_waits_for_it() {
    let mut world = World::new();
    let (policies, work) = Policies::compiled_aside(None, None);
    let mut follower = world.follower(&policies);
    world.switch(&bundle("tv", CARE));
    follow(&mut follower);
    work_off(&policies, &work);
    follow(&mut follower);
    let is_in_haste = || policies.is_in_haste();
    let second = world.switch(&bundle("radio", CARE));
    follow(&mut follower);
    assert!(!is_in_haste(), "the first policy serves the stream");
    assert!(policies.get(second, reference).is_none() && is_in_haste(), "a lane cannot go on without it");
    work_off(&policies, &work);
    assert!(policies.get(second, reference).is_some() && !is_in_haste());
    policies.end();
    world.switch(&bundle("news", CARE));
    follow(&mut follower);
    work_off(&policies, &work);
    assert!(is_in_haste(), "who ends stays in haste through every policy");
}

#[test]
fn a_policy_that_does_not_compile_is_tried_once() {
    let mut world = World::new();
    let (policies, work) = Policies::compiled_aside(None, None);
    let mut follower = world.follower(&policies);
    let generation = world.switch(&bundle("(tv", CARE));
    follow(&mut follower);
    assert_eq!(work_off(&policies, &work), 1);
    follow(&mut follower);
    assert!(policies.get(generation, reference).is_none() && policies.in_force().is_none());
    assert_eq!(work_off(&policies, &work), 0);
}

#[test]
fn a_restart_reads_what_was_compiled_before_and_a_damaged_entry_is_compiled_again() {
    let state = tempfile::tempdir().expect("a folder");
    let bundle = bundle("tv", CARE);
    let start = || {
        let (policies, work) = Policies::compiled_aside(PolicyCache::open(state.path()), None);
        let compiled = policies.of_bundle(&bundle, reference).expect("it compiles");
        let stored = work_off(&policies, &work);
        (format!("{:?}", compiled.policy()), stored)
    };
    let (compiled, stored) = start();
    assert_eq!(stored, 1, "compiled and kept");
    assert_eq!(start(), (compiled.clone(), 0), "read back: there is nothing to keep");
    let entry = std::fs::read_dir(state.path().join("policies")).expect("the cache").next();
    let entry = entry.expect("one entry").expect("readable").path();
    let mut bytes = std::fs::read(&entry).expect("the entry");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entry, bytes).expect("written");
    assert_eq!(start(), (compiled.clone(), 1), "compiled again");
    assert_eq!(start(), (compiled, 0), "and mended");
}

#[test]
fn policies_that_nobody_uses_are_forgotten_and_those_in_use_are_not() {
    let policies = Policies::new();
    let of = |number: usize| bundle(&format!("w{number}"), CARE);
    let used = policies.of_bundle(&of(0), reference).expect("it compiles");
    for number in 1..=2 * COMPILED_MAX {
        policies.of_bundle(&of(number), reference).expect("it compiles");
    }
    let known = policies.known();
    assert_eq!(known.compiled.len(), COMPILED_MAX);
    assert!(known.compiled.contains_key(&used.generation()));
}

/// A world in which so many policies were in force one after the other, and a follower that holds so many bytes of them.
fn long_history(policies: usize, bytes_max: usize) -> (World, Vec<Generation>, Arc<Policies>, Follower) {
    let mut world = World::new();
    let generations = (0..policies).map(|n| world.switch(&bundle(&format!("word{n}"), CARE))).collect();
    let logs: Arc<dyn Logs> = Arc::new(world.cluster.clone());
    let source = Source { logs, topic: TopicPartition::new("policies", 0), bytes_max };
    let policies = Policies::reading_again(source);
    let mut follower = world.follower(&policies);
    while !policies.is_caught_up() {
        follower.step(Duration::ZERO).expect("the embedded log answers");
    }
    (world, generations, policies, follower)
}

#[test]
fn what_an_instance_holds_of_old_policies_is_bounded_and_each_of_them_is_still_to_be_had() {
    let one = bundle("word10", CARE).to_bytes().len();
    for bytes_max in [0, one, 3 * one] {
        let (_, generations, policies, _) = long_history(40, bytes_max);
        assert_eq!(policies.generations().len(), 40);
        let held = policies.known().bundles.bytes_held();
        assert!(held <= bytes_max && held + one > bytes_max, "{held} bytes of {bytes_max}");
        for generation in &generations {
            let compiled = policies.get(*generation, reference).expect("it is read again");
            assert_eq!(compiled.generation(), *generation);
            assert!(policies.desks(*generation, "care", reference).is_some());
        }
        assert!(policies.known().bundles.bytes_held() <= bytes_max, "what is read again is not held");
    }
}

#[test]
fn a_policy_that_was_published_again_is_read_from_where_compaction_left_it() {
    let (mut world, generations, policies, mut follower) = long_history(5, 0);
    world.switch(&bundle("word1", CARE));
    world.cluster.compact(&TopicPartition::new("policies", 0), true).expect("there is such a topic");
    follow(&mut follower);
    let now = policies.in_force().expect("it is read again");
    assert_eq!(now.policy.generation(), generations[1]);
}

#[test]
fn a_bundle_that_was_taken_from_the_topic_is_forgotten_until_it_is_published_again() {
    let (mut world, generations, policies, mut follower) = long_history(3, 0);
    let mut producer = world.cluster.producer("test").expect("a producer");
    for tombstone in bundles::remove(generations[0], 1) {
        let mut batch = Outgoing::default();
        batch.push(Some(tombstone.key.as_bytes()), None);
        producer.send(&TopicPartition::new("policies", 0), &batch, &Arc::new(Ticket::new())).expect("sent");
    }
    world.cluster.compact(&TopicPartition::new("policies", 0), true).expect("there is such a topic");
    // Before the follower reads that: it is gone, and nobody waits for it.
    assert!(policies.get(generations[0], reference).is_none());
    follow(&mut follower);
    assert!(
        !policies.has_bundle(generations[0]) && policies.desks(generations[0], "care", reference).is_none()
    );
    assert!(policies.get(generations[2], reference).is_some(), "the others are untouched");
    world.switch(&bundle("word0", CARE));
    follow(&mut follower);
    assert_eq!(policies.in_force().map(|now| now.policy.generation()), Some(generations[0]));
}

#[test]
fn a_bundle_that_is_asked_for_is_missing_only_when_its_topic_was_read_as_far_as_it_went_when_the_request_was()
{
    let (world, _, policies, mut follower) = long_history(1, usize::MAX);
    let [lost, late] = ["lost", "late"].map(|word| bundle(word, CARE));
    let ask = |id: &str, of: &Bundle| {
        let (generation, by) = (of.generation(), "test".to_owned());
        let request = PolicyRequest { id: id.to_owned(), generation, by, at: Millis(0) };
        let (key, value) = control::encode(&ControlRecord::SwitchRequested(request));
        let offset =
            world.cluster.bounds(&TopicPartition::new("control", 0)).expect("there is such a topic").1;
        world.send("control", &[(key, value.expect("it has a value"))]);
        offset
    };
    let first = ask("first", &lost);
    assert_eq!(policies.published(first, lost.generation()), Published::Unseen, "nothing was read yet");
    follow(&mut follower);
    assert_eq!(policies.published(first, lost.generation()), Published::Missing);
    // Who asks again has published it again: that it was missing before says nothing of the second request.
    world.publish(&late);
    let second = ask("second", &late);
    assert_eq!(policies.published(second, late.generation()), Published::Unseen);
    follow(&mut follower);
    assert_eq!(policies.published(second, late.generation()), Published::Whole);
    assert_eq!(policies.published(second, lost.generation()), Published::Unseen, "nobody has looked for it");
}

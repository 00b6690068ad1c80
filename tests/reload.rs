//! A policy of 10,000 rules that is swapped while two instances run at full rate: desks come, queues move, processes die.
//!
//! Owns the two policies and what must have become of each mention under either. Judges from the topics: every decision
//! names one policy, and is what that policy alone says. The seed is printed: `TRIAGED_FAULT_SEED` replays it,
//! `TRIAGED_FAULT_MENTIONS` changes how many mentions are sent. No test looks at how long anything took.

#[path = "common/faults.rs"]
mod common;

use common::daemon::{Daemon, Fleet, FleetOptions, read_all, until};
use common::kafka;
use common::load::{PARTITIONS, alone, audited, feed_on, seed, settled};
use common::mentions::{Fate, Mentions, Random, asked, policy};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use triage_engine::desk::Event;
use triage_engine::model::Disposition;
use triage_engine::policy::{Bundle, Generation, Policy};
use triaged::log::{Logs, NewTopic, TopicPartition};
use triaged::wire::{desk_log, ledger};

/// How many rules each policy has beside those of the tests.
const RULES: usize = 10_000;
/// How many mentions are sent unless told otherwise.
const MENTIONS: u64 = 40_000;
/// The desk that only the second policy has.
const NEW_DESK: &str = "social";

/// The first policy, or the second one: it has another desk, to which a queue moved and another was added; and the default
/// queue has another name.
fn of(second: bool, mark: &str) -> Bundle {
    let mut text = policy(false);
    if second {
        text = text.replace("care.general", "care.all");
        text = text.replace("name = \"tech.tv\"\ndesk = \"tech\"", "name = \"tech.tv\"\ndesk = \"social\"");
        text.push_str(
            "[[desk]]\nname = \"social\"\nlog_partition = 1\n[[queue]]\nname = \"social.tombola\"\ndesk = \"social\"\n\
             [[filter]]\nname = \"tombola\"\nwhen = \"tag:tombola\"\nqueue = \"social.tombola\"\n",
        );
    }
    let mut rules = format!("# {mark}\n");
    for number in 0..RULES {
        // Most words are nobody's; one in eight is said by every mention, so the rules are looked at.
        let said = if number % 8 == 0 { "order" } else { "quux" };
        let (a, b, c) = (number * 7 % 3_000, number * 11 % 5_000, number);
        writeln!(
            rules,
            "[[rule]]\nname = \"w{number:05}\"\nquery = '({said} OR \"w{a} x\") AND (\"w{b}\" OR z{a} OR \"y{c} y\")'"
        )
        .expect("writing into a string");
    }
    Bundle { files: [("all.toml".to_owned(), text), ("rules.toml".to_owned(), rules)].into() }
}

fn write(bundle: &Bundle, folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    for (name, text) in &bundle.files {
        std::fs::write(folder.join(name), text).expect("the policy is written");
    }
}

/// What becomes of a mention that asks for this: a desk and its queue, or none.
fn wanted(fate: Fate, second: bool) -> Option<(&'static str, &'static str)> {
    match (fate, second) {
        (Fate::Care, false) | (Fate::NoiseLater, false) => Some(("care", "care.general")),
        (Fate::Tech, false) => Some(("tech", "tech.tv")),
        (Fate::Care, true) => Some(("care", "care.all")),
        (Fate::Tech, true) => Some((NEW_DESK, "tech.tv")),
        (Fate::NoiseLater, true) => Some((NEW_DESK, "social.tombola")),
        _ => None,
    }
}

/// What each generation is called and says.
struct Known {
    policies: HashMap<Generation, (bool, Policy)>,
}

impl Known {
    fn of(bundles: &[(bool, &Bundle)]) -> Known {
        let compiled = |&(second, bundle): &(bool, &Bundle)| {
            let policy = Policy::compile(bundle).expect("the policy is right");
            (policy.generation(), (second, policy))
        };
        Known { policies: bundles.iter().map(compiled).collect() }
    }
}

/// Judges a fleet at rest; how many mentions were queued under each generation.
fn judge(fleet: &Fleet, known: &Known) -> BTreeMap<Generation, u64> {
    let mut asked_for: HashMap<(u32, i64), (Fate, String)> = HashMap::new();
    read_all(&fleet.logs, &fleet.input(), fleet.partitions, |partition, record| {
        asked_for.insert((partition, record.offset), asked(record.value));
    });
    let mut queued: HashMap<(u32, i64), Generation> = HashMap::new();
    let (mut seen, mut counts) = (HashSet::new(), BTreeMap::new());
    read_all(&fleet.logs, &fleet.ledger(), fleet.partitions, |partition, record| {
        let run = ledger::decode(record.value.expect("a value")).expect("a ledger record");
        let Some((second, policy)) = known.policies.get(&run.generation) else {
            panic!("ledger {partition}/{}: policy {} was never in force", record.offset, run.generation);
        };
        for entry in &run.entries {
            let place = (partition, entry.offset);
            if !seen.insert(place) {
                continue;
            }
            let (fate, id) = &asked_for[&place];
            let route = (entry.disposition == Disposition::Queued).then(|| {
                let queue = &policy.queues()[usize::from(entry.queue)];
                (policy.desks()[usize::from(entry.desk)].name.as_str(), queue.name.as_str())
            });
            if entry.disposition != Disposition::Duplicate {
                assert_eq!(route, wanted(*fate, *second), "{id} at {place:?} under {}", run.generation);
            }
            if route.is_some() {
                queued.insert(place, run.generation);
                *counts.entry(run.generation).or_default() += 1;
            }
        }
    });
    assert_eq!(seen.len(), asked_for.len(), "every mention was decided");
    let by_id = judge_desks(fleet, known, &queued, &asked_for);
    judge_assignments(fleet, known, &by_id);
    counts
}

/// What the desk logs hold is what the ledger says, of the same policy; the policies of each mention's hand-overs.
fn judge_desks(
    fleet: &Fleet,
    known: &Known,
    queued: &HashMap<(u32, i64), Generation>,
    asked_for: &HashMap<(u32, i64), (Fate, String)>,
) -> HashMap<String, BTreeSet<Generation>> {
    let (mut handed, mut by_id) = (HashSet::new(), HashMap::<String, BTreeSet<Generation>>::new());
    read_all(&fleet.logs, &fleet.desks(), 2, |partition, record| {
        let entry = desk_log::decode(record.offset, record.timestamp, record.value).expect("a desk record");
        let Event::Mention(mention) = &entry.event else { return };
        let place = (mention.input.partition, mention.input.offset);
        let told = format!("desk log {partition}/{} has {} of {place:?}", record.offset, mention.mention_id);
        assert_eq!(queued.get(&place), Some(&mention.generation), "{told}");
        let (second, policy) = &known.policies[&mention.generation];
        let (fate, _) = &asked_for[&place];
        assert_eq!(Some((mention.desk, mention.queue)), wanted(*fate, *second), "{told}");
        let desk =
            policy.desks().iter().find(|desk| desk.name == mention.desk).expect("a desk of its policy");
        assert_eq!(desk.log_partition, partition, "{told}");
        handed.insert(place);
        by_id.entry(mention.mention_id.to_owned()).or_default().insert(mention.generation);
    });
    assert_eq!(handed.len(), queued.len(), "every queued mention is on its desk log");
    by_id
}

/// Each assignment names a policy that decided its mention; one that opened a case stands where that policy says.
fn judge_assignments(fleet: &Fleet, known: &Known, by_id: &HashMap<String, BTreeSet<Generation>>) {
    let mut assigned = HashSet::new();
    for desk in ["care", "tech", NEW_DESK] {
        let topic = fleet.assignments(desk);
        let mut named = BTreeMap::new();
        read_all(&fleet.logs, &topic, 3, |partition, record| {
            let value: serde_json::Value =
                serde_json::from_slice(record.value.expect("a value")).expect("an assignment");
            let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let generation: Generation = text("policy").parse().expect("a generation");
            let id = text("mention_id");
            assert!(by_id[&id].contains(&generation), "{id} was never decided under {generation}");
            named.insert((partition, record.offset), text("policy"));
            if text("reason") == "opened" {
                let (_, policy) = &known.policies[&generation];
                let queue =
                    policy.queues().iter().find(|queue| queue.name == text("queue")).expect("a queue");
                let home = &policy.desks()[usize::from(queue.desk.0)].name;
                assert_eq!((text("desk").as_str(), desk), (home.as_str(), desk), "{id} under {generation}");
            }
            assigned.insert(id);
        });
        judge_headers(fleet, &topic, &named);
    }
    assert_eq!(assigned.len(), by_id.len(), "every mention that was queued was assigned");
}

/// A helpdesk that looks at the headers alone is told of the same policy as one that reads the record.
fn judge_headers(fleet: &Fleet, topic: &str, named: &BTreeMap<(u32, i64), String>) {
    let mut compared = 0;
    for partition in 0..3 {
        let of = TopicPartition::new(topic, partition);
        let (start, end) = fleet.logs.bounds(&of).expect("the partition is there");
        for (offset, headers) in kafka::headers(&of, start..end) {
            let policies: Vec<&[u8]> = headers
                .iter()
                .filter(|(name, _)| name == "triaged_policy")
                .map(|(_, value)| value.as_slice())
                .collect();
            assert_eq!(policies, [named[&(partition, offset)].as_bytes()], "the header of {of}/{offset}");
            compared += 1;
        }
    }
    assert_eq!(compared, named.len(), "`{topic}` was read whole both times");
}

fn ctl_reload(fleet: &Fleet, instance: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_triaged"))
        .args(["ctl", "policy", "reload", "--config"])
        .arg(fleet.config(instance))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs")
}

fn in_force(daemon: &Daemon) -> Option<String> {
    let (_, body) = daemon.ask("GET", "/v1/status").ok()?;
    let status: serde_json::Value = serde_json::from_str(&body).ok()?;
    status["policy"]["generation"].as_str().map(str::to_owned)
}

/// Waits until all use this policy, or if none is named, one and the same.
fn agree(daemons: &[&Daemon], generation: Option<&Generation>) -> String {
    until("the instances use one policy", daemons, || {
        let now: BTreeSet<Option<String>> = daemons.iter().map(|daemon| in_force(daemon)).collect();
        match now.iter().next() {
            Some(Some(name))
                if now.len() == 1 && generation.is_none_or(|wanted| *name == wanted.to_string()) =>
            {
                Ok(name.clone())
            }
            _ => Err(format!("{now:?}")),
        }
    })
}

#[test]
fn a_policy_of_ten_thousand_rules_is_swapped_under_load_and_no_mention_is_lost_or_decided_by_two() {
    let name = "reload";
    let _alone = alone();
    let seed = seed(name);
    let given = std::env::var("TRIAGED_FAULT_MENTIONS").ok().and_then(|text| text.parse().ok());
    let count: u64 = given.unwrap_or(MENTIONS);
    let fleet = Fleet::new(kafka::bootstrap(), "reload", PARTITIONS, FleetOptions::default());
    let social =
        NewTopic { name: fleet.assignments(NEW_DESK), partitions: 3, replication: 1, config: Vec::new() };
    fleet.logs.create(&[social]).expect("the new desk's topic");
    let (first, second, third) = (of(false, "first"), of(true, "second"), of(false, "third"));
    let known = Known::of(&[(false, &first), (true, &second), (false, &third)]);
    // The other host's folder says something else all the time, and nobody asks for it.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let other = of(true, "elsewhere");
    write(&other, elsewhere.path());
    let folder = elsewhere.path().to_str().expect("a path").to_owned();
    let start_b = || fleet.start_with("b", &[("TRIAGED__POLICY__FOLDER", &folder)]);

    write(&first, &fleet.policy_folder());
    let mut mentions = Mentions::new(seed, PARTITIONS, count);
    let mut a = fleet.start("a");
    a.ready();
    let mut b = start_b();
    b.ready();
    agree(&[&a, &b], Some(&first.generation()));

    // The swap in the middle of the stream.
    feed_on(&fleet, &mut mentions, count / 2);
    settled(&fleet, &[&a, &b], count / 8);
    write(&second, &fleet.policy_folder());
    let before = fleet.progress().expect("the group answers");
    let mut asking = ctl_reload(&fleet, "a");
    let mut during = before;
    while asking.try_wait().expect("it can be asked").is_none() {
        during = fleet.progress().unwrap_or(during);
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{name}: {} mentions were settled while the second policy was compiled", during - before);
    assert!(asking.wait().expect("it ends").success(), "the reload is taken\n{}", a.tail());
    feed_on(&fleet, &mut mentions, count / 4);
    agree(&[&a, &b], Some(&second.generation()));

    // A reload whose asker dies in the middle of it, and the other instance with it.
    write(&third, &fleet.policy_folder());
    let mut random = Random(seed);
    let mut asking = ctl_reload(&fleet, "a");
    std::thread::sleep(Duration::from_millis(random.below(3_000)));
    a.kill9();
    std::thread::sleep(Duration::from_millis(random.below(1_000)));
    b.kill9();
    let _ = asking.wait();
    feed_on(&fleet, &mut mentions, count / 4);
    (a, b) = (fleet.start("a"), start_b());
    a.ready();
    b.ready();
    let now = agree(&[&a, &b], None);
    let whole = [second.generation(), third.generation()].map(|generation| generation.to_string());
    assert!(whole.contains(&now), "{now} is one of the two that were asked for");
    println!("{name}: after the crash {} is in force", if now == whole[0] { "the old" } else { "the new" });
    // Whatever the crash left, the folder can be put in force.
    a.reload();
    agree(&[&a, &b], Some(&third.generation()));
    feed_on(&fleet, &mut mentions, 2_000);
    fleet.finish(&[&a, &b]);
    a.terminate();
    b.terminate();

    let counts = judge(&fleet, &known);
    println!("{name}: queued under each policy: {:?}", counts.values().collect::<Vec<_>>());
    for bundle in [&first, &second, &third] {
        assert!(counts.get(&bundle.generation()).is_some_and(|&queued| queued > 0), "each was in force");
    }
    assert!(!counts.contains_key(&other.generation()), "a folder by itself is never in force");
    audited(&fleet, name);
}

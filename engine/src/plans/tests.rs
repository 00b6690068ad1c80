//! Proof that one policy is in force for every reader, whoever else writes and whatever compaction leaves.
//!
//! Owns a model of the control topic: a compacted log, owners that read late, and zombies.

use super::*;
use crate::model::Millis;
use proptest::prelude::*;
use std::collections::BTreeSet;

type Log = Vec<(i64, ControlRecord)>;

fn generation(of: u8) -> Generation {
    Generation([of; 32])
}

fn request(id: &str, of: u8) -> ControlRecord {
    ControlRecord::SwitchRequested(PolicyRequest {
        id: id.into(),
        generation: generation(of),
        by: "jane".into(),
        at: Millis(0),
    })
}

fn append(log: &mut Log, next: &mut i64, record: ControlRecord) {
    log.push((*next, record));
    *next += 1;
}

/// What a cleaner leaves: below `end` the last record of each key, with or without its tombstones.
fn compacted(log: &Log, end: i64, keep_tombstones: bool) -> Log {
    let mut last = BTreeMap::new();
    for (offset, record) in log.iter().filter(|(offset, _)| *offset < end) {
        last.insert(record.key(), *offset);
    }
    log.iter()
        .filter(|(offset, record)| *offset >= end || last.get(&record.key()) == Some(offset))
        .filter(|(offset, record)| {
            *offset >= end || keep_tombstones || !matches!(record, ControlRecord::Tombstone(_))
        })
        .cloned()
        .collect()
}

fn folded(log: &Log) -> PlanState {
    let mut state = PlanState::new();
    for (offset, record) in log {
        state.apply(*offset, record);
    }
    state
}

/// Every policy is published before it is asked for.
fn all_there(_: i64, _: Generation) -> Published {
    Published::Whole
}

/// A shard that believes it owns the control topic.
#[derive(Default)]
struct Owner {
    state: PlanState,
}

impl Owner {
    fn read(&mut self, log: &Log, records: usize) {
        let next = self.state.next;
        for (offset, record) in log.iter().filter(|(offset, _)| *offset >= next).take(records) {
            self.state.apply(*offset, record);
        }
    }

    fn write_due(&self, log: &mut Log, next: &mut i64) -> bool {
        let due = self.state.due(all_there);
        let any = !due.is_empty();
        due.into_iter().for_each(|record| append(log, next, record));
        any
    }

    fn settle(&mut self, log: &mut Log, next: &mut i64) {
        for _ in 0..1000 {
            self.read(log, usize::MAX);
            if !self.write_due(log, next) {
                return;
            }
        }
        panic!("the owner never comes to rest");
    }
}

#[test]
fn a_request_is_answered_once_then_tombstoned_then_the_next_one_is_answered() {
    let (mut log, mut next) = (Log::new(), 10);
    append(&mut log, &mut next, request("a", 1));
    append(&mut log, &mut next, request("b", 2));
    Owner::default().settle(&mut log, &mut next);
    let kinds: Vec<String> = log
        .iter()
        .map(|(offset, record)| match record {
            ControlRecord::SwitchRequested(request) => format!("{offset} request {}", request.id),
            ControlRecord::Switched(switch) => format!("{offset} switch for {}", switch.answers),
            ControlRecord::Tombstone(key) => format!("{offset} tombstone {key:?}"),
            ControlRecord::Adopted { .. }
            | ControlRecord::ReleaseRequested(_)
            | ControlRecord::Released { .. } => unreachable!(),
        })
        .collect();
    let expected = [
        "10 request a",
        "11 request b",
        "12 switch for a",
        "13 tombstone Request(\"a\")",
        "14 switch for b",
        "15 tombstone Request(\"b\")",
    ];
    assert_eq!(kinds, expected);
    let state = folded(&log);
    assert_eq!(state.in_force().map(|now| (now.epoch, now.generation)), Some((14, generation(2))));
    assert_eq!(state.in_force().and_then(|now| now.previous), Some((12, generation(1))));
}

#[test]
fn a_request_for_a_policy_that_is_not_there_is_taken_back_and_the_next_one_is_answered() {
    let (mut log, mut next) = (Log::new(), 0);
    append(&mut log, &mut next, request("lost", 1));
    append(&mut log, &mut next, request("there", 2));
    let mut owner = Owner::default();
    owner.read(&log, usize::MAX);
    let look = |found: Published| move |_, of| if of == generation(1) { found } else { Published::Whole };
    assert_eq!(owner.state.due(look(Published::Unseen)), [], "whether it is there shows");
    let due = owner.state.due(look(Published::Missing));
    assert_eq!(due, [ControlRecord::Tombstone(ControlKey::Request("lost".to_owned()))]);
    assert!(!owner.state.is_withdrawn(0, "lost"), "it still stands");
    due.into_iter().for_each(|record| append(&mut log, &mut next, record));
    owner.settle(&mut log, &mut next);
    assert!(owner.state.is_withdrawn(0, "lost") && !owner.state.is_withdrawn(1, "there"));
    assert!(!owner.state.is_withdrawn(next, "never read"));
    assert_eq!(folded(&log).in_force().map(|now| now.generation), Some(generation(2)));
}

#[test]
fn a_late_answer_of_a_shard_that_lost_the_topic_changes_nothing_even_for_those_who_see_only_it() {
    let (mut log, mut next) = (Log::new(), 0);
    append(&mut log, &mut next, request("a", 1));
    let mut zombie = Owner::default();
    zombie.read(&log, 1);
    let mut owner = Owner::default();
    append(&mut log, &mut next, request("b", 2));
    owner.settle(&mut log, &mut next);
    let before = folded(&log).in_force().cloned();
    assert_eq!(before.as_ref().map(|now| now.generation), Some(generation(2)));

    zombie.write_due(&mut log, &mut next);
    assert_eq!(folded(&log).in_force().cloned(), before, "who saw everything ignores it");
    let blind = compacted(&log, next, false);
    assert_eq!(
        folded(&blind).in_force().map(|now| now.generation),
        Some(generation(1)),
        "who sees only it cannot"
    );

    owner.settle(&mut log, &mut next);
    for end in 0..=next {
        assert_eq!(folded(&compacted(&log, end, false)).in_force().cloned(), before, "cleaned below {end}");
    }
}

#[test]
fn shards_that_have_not_adopted_what_is_in_force_are_listed() {
    let (mut log, mut next) = (Log::new(), 0);
    append(&mut log, &mut next, request("a", 1));
    Owner::default().settle(&mut log, &mut next);
    let adopted = |shard: &str, epoch, of| ControlRecord::Adopted {
        shard: shard.into(),
        epoch,
        generation: generation(of),
    };
    append(&mut log, &mut next, adopted("triage/0", 1, 1));
    append(&mut log, &mut next, adopted("triage/1", 1, 1));
    append(&mut log, &mut next, adopted("triage/2", 1, 1));
    append(&mut log, &mut next, request("b", 2));
    Owner::default().settle(&mut log, &mut next);
    let epoch = folded(&log).in_force().map(|now| now.epoch).unwrap();
    append(&mut log, &mut next, adopted("triage/1", epoch, 2));
    append(&mut log, &mut next, ControlRecord::Tombstone(ControlKey::Adoption("triage/2".into())));
    let state = folded(&log);
    let laggards: Vec<_> = state.laggards().map(|(shard, adoption)| (shard, adoption.epoch)).collect();
    assert_eq!(laggards, [("triage/0", 1)]);
}

#[test]
fn a_tombstone_on_the_policy_does_not_take_it_away() {
    let (mut log, mut next) = (Log::new(), 0);
    append(&mut log, &mut next, request("a", 1));
    let mut owner = Owner::default();
    owner.settle(&mut log, &mut next);
    let before = owner.state.in_force().cloned();
    append(&mut log, &mut next, ControlRecord::Tombstone(ControlKey::Policy));
    owner.settle(&mut log, &mut next);
    assert_eq!(folded(&compacted(&log, next, true)).in_force().cloned(), before);
}

#[test]
fn a_switch_that_speaks_of_the_future_is_no_switch() {
    let mut state = PlanState::new();
    let mut switch = PolicySwitch {
        generation: generation(1),
        answers: "a".into(),
        through: 0,
        previous: None,
        restates: Some(9),
    };
    assert_eq!(state.apply(3, &ControlRecord::Switched(switch.clone())), None);
    switch.restates = None;
    switch.previous = Some((4, generation(2)));
    assert_eq!(state.apply(4, &ControlRecord::Switched(switch.clone())), None);
    switch.previous = Some((2, generation(2)));
    assert_eq!(state.apply(5, &ControlRecord::Switched(switch)).map(|now| now.epoch), Some(5));
}

#[test]
fn a_request_sent_again_after_its_answer_is_tombstoned_and_not_answered_again() {
    let (mut log, mut next) = (Log::new(), 0);
    append(&mut log, &mut next, request("a", 1));
    let mut owner = Owner::default();
    owner.settle(&mut log, &mut next);
    append(&mut log, &mut next, request("a", 1));
    owner.settle(&mut log, &mut next);
    assert_eq!(switches(&log).len(), 1);
    assert_eq!(owner.state.pending().count(), 0);
}

/// Every switch that came in force for a reader of the whole log: epoch and request.
fn switches(log: &Log) -> Vec<(i64, String)> {
    let mut state = PlanState::new();
    log.iter()
        .filter_map(|(offset, record)| {
            state.apply(*offset, record).map(|now| (now.epoch, now.answers.clone()))
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Request(u8),
    Withdraw(prop::sample::Index),
    Read { zombie: bool, records: usize },
    Write { zombie: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..5).prop_map(Step::Request),
        1 => any::<prop::sample::Index>().prop_map(Step::Withdraw),
        6 => (any::<bool>(), 0_usize..4).prop_map(|(zombie, records)| Step::Read { zombie, records }),
        6 => any::<bool>().prop_map(|zombie| Step::Write { zombie }),
    ];
    prop::collection::vec(step, 0..60)
}

/// What stands on the control topic, and everything that ever stood there.
struct World {
    standing: Log,
    history: Log,
    next: i64,
    asked: Vec<String>,
    withdrawn: BTreeSet<String>,
}

impl World {
    fn write(&mut self, records: Vec<ControlRecord>) {
        for record in records {
            self.history.push((self.next, record.clone()));
            append(&mut self.standing, &mut self.next, record);
        }
    }

    fn step(&mut self, step: &Step, owner: &mut Owner, zombie: &mut Owner) {
        match step {
            Step::Request(of) => {
                let id = format!("r{}", self.asked.len());
                self.write(vec![request(&id, *of)]);
                self.asked.push(id);
            }
            Step::Withdraw(_) if self.asked.is_empty() => {}
            Step::Withdraw(which) => {
                let id = which.get(&self.asked).clone();
                self.write(vec![ControlRecord::Tombstone(ControlKey::Request(id.clone()))]);
                self.withdrawn.insert(id);
            }
            Step::Read { zombie: late, records } => {
                if *late { zombie } else { owner }.read(&self.standing, *records);
            }
            Step::Write { zombie: late } => {
                let due = if *late { zombie } else { owner }.state.due(all_there);
                self.write(due);
            }
        }
    }

    fn settle(&mut self, owner: &mut Owner) {
        for round in 0.. {
            assert!(round < 1000, "the owner never comes to rest");
            owner.read(&self.standing, usize::MAX);
            let due = owner.state.due(all_there);
            if due.is_empty() {
                return;
            }
            self.write(due);
        }
    }
}

proptest! {
    #[test]
    fn with_two_owners_and_any_compaction_each_request_is_answered_once_and_all_readers_agree(
        phases in prop::collection::vec((steps(), any::<prop::sample::Index>(), any::<bool>()), 1..4),
    ) {
        let mut world = World {
            standing: Log::new(), history: Log::new(), next: 0, asked: Vec::new(), withdrawn: BTreeSet::new(),
        };
        let mut zombie = Owner::default();
        for (steps, clean_to, keep_tombstones) in phases {
            // The owner is another instance in every phase, and knows only what compaction left; the zombie stays.
            let mut owner = Owner::default();
            for step in &steps {
                world.step(step, &mut owner, &mut zombie);
            }
            world.settle(&mut owner);
            let whole = folded(&world.history);
            prop_assert_eq!(owner.state.in_force(), whole.in_force());
            for end in 0..=world.next {
                for keep in [true, false] {
                    let reader = folded(&compacted(&world.standing, end, keep));
                    prop_assert_eq!(reader.in_force(), whole.in_force(), "cleaned below {}", end);
                    prop_assert_eq!(reader.due(all_there), vec![], "nothing is answered again");
                }
            }
            world.standing = compacted(&world.standing, clean_to.index(world.next as usize + 1) as i64, keep_tombstones);
        }
        let mut answered: Vec<String> = switches(&world.history).into_iter().map(|(_, id)| id).collect();
        answered.sort();
        let once: BTreeSet<String> = answered.iter().cloned().collect();
        prop_assert_eq!(answered.len(), once.len(), "a request was answered twice");
        for id in &world.asked {
            prop_assert!(once.contains(id) || world.withdrawn.contains(id), "{} was never answered", id);
        }
    }
}

#[test]
fn of_too_many_release_requests_the_oldest_that_every_partition_has_answered_is_forgotten() {
    let ask = |number: usize| {
        ControlRecord::ReleaseRequested(ReleaseRequest {
            id: format!("r{number}"),
            what: Taken::ByRule("bad".into()),
            from: None,
            to: None,
            partitions: 2,
            by: "jane".into(),
            at: Millis(0),
        })
    };
    let answer = |number: usize, partition: u32| ControlRecord::Released {
        id: format!("r{number}"),
        partition,
        counts: ReleaseCounts {
            queued: [("care".to_owned(), 3)].into(),
            noise: 1,
            ..ReleaseCounts::default()
        },
    };
    let (mut log, mut next) = (Log::new(), 0);
    (0..=RELEASES_MAX).for_each(|number| append(&mut log, &mut next, ask(number)));
    assert_eq!(folded(&log).due(all_there), [], "nobody has answered: all stay");
    // The first is half done, the second whole.
    for (number, partition) in [(0, 1), (1, 0), (1, 1)] {
        append(&mut log, &mut next, answer(number, partition));
    }
    let state = folded(&log);
    let second = &state.releases()[&1];
    assert!(second.is_done() && !state.releases()[&0].is_done());
    assert_eq!((second.counts().brought_back(), second.counts().noise), (6, 2));
    let of = |partition| ControlRecord::Tombstone(ControlKey::Released("r1".into(), partition));
    let request = ControlRecord::Tombstone(ControlKey::Release("r1".into()));
    assert_eq!(state.due(all_there), [of(0), of(1), request]);
    Owner::default().settle(&mut log, &mut next);
    assert_eq!(folded(&log).releases().len(), RELEASES_MAX);
    assert!(!folded(&log).releases().contains_key(&1));
}

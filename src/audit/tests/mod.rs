//! What the audit says of a sound run, and of every fault that is planted into the logs behind an instance's back.
//!
//! Owns the faults; `world` owns the instance. No fault is planted in the instance itself.

mod world;

use super::{AuditOptions, AuditPlan, FindingKind, Report, audit, plan_of, time, verb};
use crate::config::Settings;
use crate::log::{Logs, TopicPartition};
use crate::wire::control;
use crate::wire::desk_log;
use crate::wire::ledger;
use std::collections::BTreeMap;
use std::sync::Arc;
use triage_engine::desk::Event;
use triage_engine::model::{Disposition, Millis};
use triage_engine::plans::{ControlRecord, ReleaseRequest, Taken};
use triage_engine::triage::DETAIL_NONE;
use world::{DESKS, INPUT, LEDGER, START, World, at};

fn plan() -> AuditPlan {
    let options = AuditOptions { sample: Some(1), ..AuditOptions::default() };
    plan_of(&Settings::default(), &options).expect("the defaults fit")
}

/// The offsets of the findings of one kind.
fn found(report: &Report, kind: FindingKind) -> Vec<(String, u32, i64)> {
    let of_kind = report.findings.iter().filter(|finding| finding.kind == kind);
    of_kind.map(|finding| (finding.topic.clone(), finding.partition, finding.offset)).collect()
}

fn of_input(offset: i64) -> Vec<(String, u32, i64)> {
    vec![(INPUT.to_owned(), 0, offset)]
}

#[test]
fn logs_of_a_sound_run_are_clean_and_every_record_is_counted_once() {
    let world = World::after(3_000);
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
    assert!(report.notes.is_empty(), "{report}");
    let mut of_kind: BTreeMap<&str, u64> = BTreeMap::new();
    for part in &report.partitions {
        let there = world.records(INPUT, part.partition).len() as u64;
        assert_eq!((part.records, part.sampled, part.in_flight), (there, there, 0));
        assert!(part.to - part.from > there as i64, "the input has holes");
        assert_eq!(part.dispositions.values().sum::<u64>(), there);
        part.dispositions.iter().for_each(|(name, count)| *of_kind.entry(name).or_default() += count);
        assert_eq!((part.repeats, part.gone, part.unverified), (0, 0, 0));
    }
    assert_eq!(
        of_kind.keys().copied().collect::<Vec<_>>(),
        ["blocked", "dead_letter", "duplicate", "noise", "queued"]
    );
    assert_eq!(report.partitions.iter().map(|part| part.records).sum::<u64>(), 3_000);
    for desk in &report.desks {
        assert!(desk.expected > 100 && desk.expected == desk.out, "{report}");
    }
    assert!(report.to_string().ends_with("exactly one outcome: nothing found"));
}

#[test]
fn a_group_that_has_committed_nothing_proves_nothing_and_is_no_clean_audit() {
    let world = World::after(400);
    let options = AuditOptions { group: Some("typo".to_owned()), ..AuditOptions::default() };
    let of_typo = plan_of(&Settings::default(), &options).expect("the defaults fit");
    let report = audit(&world.cluster, &of_typo, &mut |_| {}).expect("it reads");
    assert!(report.found.is_empty() && !report.is_clean(), "{report}");
    let text = report.to_string();
    assert!(
        text.contains("nothing was proved: group `typo.triage` has committed nothing on `mentions`"),
        "{text}"
    );
    assert!(text.contains("\nhint: ") && !text.contains("nothing found"), "{text}");
    let logs: Arc<dyn Logs> = Arc::new(world.cluster.clone());
    assert_eq!(verb(&Settings::default(), logs, options), Ok(1));

    // Where there is nothing to read, nobody need have committed.
    let before = AuditPlan { to: Some(Millis(1)), ..of_typo };
    assert!(audit(&world.cluster, &before, &mut |_| {}).expect("it reads").is_clean());
}

#[test]
fn a_record_that_the_ledger_lacks_is_named_lost() {
    let world = World::after(400);
    let (offset, at_offset, run) = world.ledgered(Disposition::Noise);
    assert!(world.cluster.tamper(&at(LEDGER, 0), at_offset, None).expect("the topic exists"));
    let report = world.audit();
    let lost: Vec<i64> = found(&report, FindingKind::Lost).into_iter().map(|(_, _, offset)| offset).collect();
    assert_eq!(lost, run.entries.iter().map(|entry| entry.offset).collect::<Vec<_>>());
    assert!(lost.contains(&offset), "{report}");
    assert_eq!(found(&report, FindingKind::CommitPastGap), of_input(lost[0]));
}

#[test]
fn a_hand_over_that_is_missing_is_named_unhanded() {
    let world = World::after(400);
    let (offset, ..) = world.ledgered(Disposition::Queued);
    let (log, record) = world.hand_over(offset);
    assert!(world.cluster.tamper(&log, record.offset, None).expect("the topic exists"));
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::Unhanded), of_input(offset), "{report}");
}

#[test]
fn a_dead_letter_that_is_missing_is_named_unhanded() {
    let world = World::after(400);
    let (offset, ..) = world.ledgered(Disposition::DeadLetter);
    let letters = world.records("triaged.dead-letter", 0);
    let key = format!("mentions/0/{offset}");
    let letter =
        letters.iter().find(|letter| letter.key.as_deref() == Some(key.as_bytes())).expect("there is one");
    assert!(
        world.cluster.tamper(&at("triaged.dead-letter", 0), letter.offset, None).expect("the topic exists")
    );
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::Unhanded), of_input(offset), "{report}");
    assert_eq!(found(&report, FindingKind::CommitPastGap), of_input(offset), "{report}");
}

/// Appends the hand-over of a source again, changed.
fn hand_over_again(world: &World, source: i64, desk: &str, queue: &str, log_partition: u32) {
    let (log, record) = world.hand_over(source);
    let entry =
        desk_log::decode(record.offset, record.timestamp, record.value.as_deref()).expect("it is ours");
    let Event::Mention(mut mention) = entry.event.clone() else { panic!("a hand-over carries a mention") };
    (mention.desk, mention.queue) = (desk, queue);
    let mut value = Vec::new();
    desk_log::encode(entry.source.as_ref(), &Event::Mention(mention), &mut value);
    let to = TopicPartition { partition: log_partition, ..log };
    world.cluster.append(&to, None, Some(&value)).expect("the topic exists");
}

#[test]
fn a_record_handed_to_two_desks_is_named_doubled_and_one_sent_again_is_a_repeat() {
    let mut world = World::after(400);
    let (offset, ..) = world.ledgered(Disposition::Queued);
    let (log, record) = world.hand_over(offset);
    world.cluster.append(&log, None, record.value.as_deref()).expect("the topic exists");
    world.settle();
    let report = world.audit();
    assert!(report.is_clean() && report.partitions[0].repeats == 1, "{report}");
    let (desk, queue, elsewhere) =
        if log.partition == 0 { ("tech", "tech.tv", 1) } else { ("care", "care.general", 0) };
    hand_over_again(&world, offset, desk, queue, elsewhere);
    world.settle();
    assert_eq!(found(&world.audit(), FindingKind::Doubled), of_input(offset), "{}", world.audit());
}

#[test]
fn an_assignment_out_twice_with_other_content_is_named_doubled() {
    let world = World::after(400);
    let record = world.records("assignments.care", 0).into_iter().nth(5).expect("there are some");
    let again = |value: &[u8]| {
        world
            .cluster
            .append(&at("assignments.care", 0), record.key.as_deref(), Some(value))
            .expect("it exists")
    };
    let value = record.value.clone().expect("a value");
    again(&value);
    let report = world.audit();
    assert!(report.is_clean() && report.desks[0].repeats == 1, "{report}");
    let text = String::from_utf8(value).expect("JSON").replace("care.general", "care.other");
    let offset = again(text.as_bytes());
    let report = world.audit();
    assert_eq!(
        found(&report, FindingKind::Doubled),
        [("assignments.care".to_owned(), 0, offset)],
        "{report}"
    );
}

#[test]
fn an_assignment_with_other_facts_than_the_desk_log_has_is_named() {
    let world = World::after(400);
    let record = world.records("assignments.care", 1).into_iter().nth(5).expect("there are some");
    let text = String::from_utf8(record.value.expect("a value"))
        .expect("JSON")
        .replace("care.general", "care.other");
    let of = at("assignments.care", 1);
    assert!(world.cluster.tamper(&of, record.offset, Some(text.as_bytes())).expect("the topic exists"));
    let report = world.audit();
    let place = [("assignments.care".to_owned(), 1, record.offset)];
    assert_eq!(found(&report, FindingKind::Disagrees), place, "{report}");
}

#[test]
fn an_assignment_that_is_missing_is_named_by_the_desk_log_entry_that_asks_for_it() {
    let world = World::after(400);
    let opening = world.records("assignments.care", 0).into_iter().find(|record| {
        String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).contains("\"reason\":\"opened\"")
    });
    let opening = opening.expect("cases were opened");
    assert!(
        world.cluster.tamper(&at("assignments.care", 0), opening.offset, None).expect("the topic exists")
    );
    let case = String::from_utf8(opening.key.expect("a key")).expect("a case id");
    let offset: i64 = case.trim_start_matches("c0-").parse().expect("an offset");
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::CommitPastGap), [(DESKS.to_owned(), 0, offset)], "{report}");
}

#[test]
fn a_commit_past_what_is_done_is_named_with_the_first_record_that_is_not() {
    let mut world = World::after(400);
    let first = world.commit("triaged.triage", &at(INPUT, 0));
    world.send(40);
    let end = world.cluster.bounds(&at(INPUT, 0)).expect("the topic exists").1;
    world.cluster.move_commit("triaged.triage", &at(INPUT, 0), end);
    let report = world.audit();
    let gap = world.records(INPUT, 0).iter().map(|record| record.offset).find(|&offset| offset >= first);
    assert_eq!(found(&report, FindingKind::CommitPastGap), of_input(gap.expect("more was sent")), "{report}");
    assert!(found(&report, FindingKind::Lost).len() > 10, "{report}");
    assert_eq!(
        report.partitions[1].in_flight,
        world.records(INPUT, 1).len() as u64 - committed_records(&world, 1)
    );
}

fn committed_records(world: &World, partition: u32) -> u64 {
    let committed = world.commit("triaged.triage", &at(INPUT, partition));
    world.records(INPUT, partition).iter().filter(|record| record.offset < committed).count() as u64
}

#[test]
fn a_wrong_noise_is_named_and_so_is_the_hand_over_that_it_denies() {
    let world = World::after(400);
    let (offset, ..) = world.ledgered(Disposition::Queued);
    overrule(&world, offset, Disposition::Noise, 1);
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::WrongDecision), of_input(offset), "{report}");
    assert_eq!(found(&report, FindingKind::Doubled), of_input(offset), "{report}");
    let what = &report
        .findings
        .iter()
        .find(|finding| finding.kind == FindingKind::WrongDecision)
        .expect("there")
        .what;
    assert!(what.contains("noise by rule `giveaway`") && what.contains("queued for desk"), "{what}");
}

/// Rewrites the decision of one offset of the input's first partition.
fn overrule(world: &World, offset: i64, disposition: Disposition, detail: u32) {
    for record in world.records(LEDGER, 0) {
        let mut run = ledger::decode(record.value.as_deref().expect("a value")).expect("it is ours");
        let Some(entry) = run.entries.iter_mut().find(|entry| entry.offset == offset) else { continue };
        entry.disposition = disposition;
        (entry.detail, entry.desk, entry.queue) = (detail, ledger::NONE, ledger::NONE);
        world.rewrite_ledger(record.offset, &run);
        return;
    }
    panic!("offset {offset} is not in the ledger");
}

#[test]
fn a_first_called_copy_and_a_copy_called_noise_are_both_named() {
    let world = World::after(400);
    let (first, ..) = world.ledgered(Disposition::Noise);
    let (copy, ..) = world.ledgered(Disposition::Duplicate);
    overrule(&world, first, Disposition::Duplicate, DETAIL_NONE);
    overrule(&world, copy, Disposition::Noise, 1);
    let report = world.audit();
    assert_eq!(
        found(&report, FindingKind::WrongDecision),
        [of_input(copy), of_input(first)].concat(),
        "{report}"
    );
}

#[test]
fn hand_overs_of_one_author_that_overtook_each_other_are_named() {
    let world = World::after(400);
    let mut last: BTreeMap<u128, (i64, crate::embedded::StoredRecord)> = BTreeMap::new();
    for record in world.records(DESKS, 0) {
        let entry =
            desk_log::decode(record.offset, record.timestamp, record.value.as_deref()).expect("it is ours");
        let (Some(mark), Event::Mention(mention)) = (&entry.source, &entry.event) else { continue };
        let offset = mark.source.position.offset;
        if mark.source.position.partition != 0 {
            continue;
        }
        let Some((_, before)) = last.insert(mention.author.0, (offset, record.clone())) else { continue };
        // Two hand-overs of one author change places.
        let of = at(DESKS, 0);
        world.cluster.tamper(&of, before.offset, record.value.as_deref()).expect("the topic exists");
        world.cluster.tamper(&of, record.offset, before.value.as_deref()).expect("the topic exists");
        let earlier = desk_log::decode(0, START, before.value.as_deref()).expect("it is ours").source;
        let report = world.audit();
        let earlier = earlier.expect("a hand-over has a source").source.position.offset;
        assert!(found(&report, FindingKind::Reordered).contains(&(INPUT.to_owned(), 0, earlier)), "{report}");
        return;
    }
    panic!("no author was handed over twice");
}

#[test]
fn a_damaged_ledger_record_is_named() {
    let world = World::after(400);
    let record = world.records(LEDGER, 1).into_iter().nth(3).expect("there are some");
    let mut value = record.value.expect("a value");
    value[20] ^= 1;
    assert!(world.cluster.tamper(&at(LEDGER, 1), record.offset, Some(&value)).expect("the topic exists"));
    let report = world.audit();
    assert_eq!(found(&report, FindingKind::Unreadable), [(LEDGER.to_owned(), 1, record.offset)], "{report}");
}

#[test]
fn trimmed_logs_are_clean_and_what_was_not_audited_is_said() {
    let world = World::keeping(1_200, 0);
    assert!(world.cluster.bounds(&at(DESKS, 0)).expect("it exists").0 > 0, "the desk log was trimmed");
    world.cluster.trim(&at(INPUT, 0), 100).expect("the topic exists");
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
    assert!(report.notes.iter().any(|note| note.contains("was trimmed")), "{report}");
    assert!(report.partitions[0].gone > 50, "{report}");
    assert!(report.partitions.iter().any(|part| part.unverified > 0), "{report}");
}

#[test]
fn the_command_exits_0_when_clean_and_1_with_findings_and_its_json_names_them() {
    let world = World::after(400);
    let logs: Arc<dyn Logs> = Arc::new(world.cluster.clone());
    let options = AuditOptions { json: true, ..AuditOptions::default() };
    assert_eq!(verb(&Settings::default(), logs.clone(), options.clone()), Ok(0));
    let (_, at_offset, _) = world.ledgered(Disposition::Noise);
    assert!(world.cluster.tamper(&at(LEDGER, 0), at_offset, None).expect("the topic exists"));
    assert_eq!(verb(&Settings::default(), logs, options), Ok(1));
    let json = serde_json::to_value(world.audit()).expect("plain data");
    let names: Vec<_> =
        json["findings"].as_array().expect("a list").iter().map(|finding| &finding["kind"]).collect();
    assert!(names.contains(&&serde_json::Value::from("lost")), "{names:?}");
    assert!(json["found"]["lost"].as_u64() >= Some(1));
}

#[test]
fn times_are_read_as_people_write_them_and_an_empty_range_is_refused() {
    assert_eq!(time("2025-06-15T15:06:40Z"), Ok(START));
    assert_eq!(time("2025-06-15"), Ok(Millis(1_749_945_600_000)));
    assert_eq!(time("yesterday").map_err(|error| error.exit_code()), Err(64));
    let options = AuditOptions { from: Some(Millis(2)), to: Some(Millis(2)), ..AuditOptions::default() };
    assert!(plan_of(&Settings::default(), &options).is_err());
}

#[test]
fn a_stretch_of_time_is_audited_alone() {
    let world = World::after(1_200);
    let (from, to) = (START.plus(200), START.plus(400));
    let report = audit(&world.cluster, &AuditPlan { from: Some(from), to: Some(to), ..plan() }, &mut |_| {})
        .expect("it reads");
    assert!(report.is_clean(), "{report}");
    for part in &report.partitions {
        let inside = world.records(INPUT, part.partition);
        let inside = inside.iter().filter(|record| record.timestamp >= from && record.timestamp < to).count();
        assert!(inside > 50 && part.records == inside as u64, "{report}");
    }
}

#[test]
fn what_is_wrong_on_a_desks_topic_is_found_in_its_own_stretch_of_time_and_in_no_later_one() {
    let mut world = World::after(400);
    let damaged = at("assignments.care", 1);
    let record = world.records("assignments.care", 1).into_iter().nth(5).expect("there are some");
    let text = String::from_utf8(record.value.clone().expect("a value")).expect("JSON");
    let text = text.replace("care.general", "care.other");
    assert!(world.cluster.tamper(&damaged, record.offset, Some(text.as_bytes())).expect("the topic exists"));
    let stranger = world.cluster.append(&at("assignments.care", 0), Some(b"c0-999999"), Some(b"{}"));
    stranger.expect("the topic exists");
    let since = world.records("assignments.care", 0).last().expect("just appended").timestamp.plus(1);
    world.step();
    world.send(40);
    world.settle();
    let of = |from: Option<Millis>, to: Option<Millis>| {
        audit(&world.cluster, &AuditPlan { from, to, ..plan() }, &mut |_| {}).expect("it reads")
    };
    let places = |report: &Report| {
        (found(report, FindingKind::Disagrees).len(), found(report, FindingKind::Unreadable).len())
    };
    assert_eq!(places(&of(None, None)), (1, 1));
    assert_eq!(places(&of(None, Some(since))), (1, 1));
    let later = of(Some(since), None);
    assert!(later.is_clean() && later.partitions.iter().any(|part| part.records > 0), "{later}");
    assert!(of(None, Some(record.timestamp)).is_clean());
}

#[test]
fn mentions_that_a_request_brought_back_are_clean_and_one_brought_back_twice_is_named() {
    let mut world = World::after(200);
    let noise = committed_of(&world.audit(), Disposition::Noise);
    let request = ReleaseRequest {
        id: "r".to_owned(),
        what: Taken::ByRule("giveaway".to_owned()),
        from: None,
        to: None,
        partitions: 2,
        by: "somebody".to_owned(),
        at: START,
    };
    let (key, value) = control::encode(&ControlRecord::ReleaseRequested(request));
    let place = world.cluster.append(&at("triaged.control", 0), Some(key.as_bytes()), value.as_deref());
    let place = place.expect("the topic exists");
    (0..2).for_each(|_| world.settle());
    let report = world.audit();
    assert!(report.is_clean(), "{report}");
    let back: u64 = report.partitions.iter().map(|part| part.brought_back).sum();
    assert!(back > 10 && back == noise - committed_of(&report, Disposition::Noise), "{back}: {report}");
    // A writer that names a mention by another number than its offset brings it back a second time.
    let (log, mut value, offset) = (0..2)
        .flat_map(|partition| {
            world.records(DESKS, partition).into_iter().map(move |record| (partition, record))
        })
        .find_map(|(partition, record)| {
            let entry = desk_log::decode(record.offset, record.timestamp, record.value.as_deref()).ok()?;
            let (mut mark, Event::Mention(mention)) = (entry.source?, &entry.event) else { return None };
            let is_of_request = mark.source.position.offset == place && mark.source.ordinal > 0;
            mark.source.ordinal += 1_000_000;
            let mut value = Vec::new();
            desk_log::encode(Some(&mark), &entry.event, &mut value);
            is_of_request.then_some((at(DESKS, partition), value, mention.input.offset))
        })
        .expect("something was brought back");
    world.cluster.append(&log, None, Some(&std::mem::take(&mut value))).expect("the topic exists");
    let doubled = found(&world.audit(), FindingKind::Doubled);
    assert!(doubled.iter().any(|(topic, _, at)| topic == INPUT && *at == offset), "{doubled:?}");
}

fn committed_of(report: &Report, disposition: Disposition) -> u64 {
    report.partitions.iter().filter_map(|part| part.dispositions.get(disposition.name())).sum()
}

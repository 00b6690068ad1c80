//! What users get of the desk engine, and what must hold for any log at all.
//!
//! Owns the tests of `DeskLog` and `SeenSet` through their public faces; the golden folders of the daemon tell the
//! same stories with records. Random logs are small alphabets on purpose, so that authors, copies and repeats meet.

use proptest::prelude::*;
use std::collections::BTreeSet;
use triage_engine::desk::{
    CloseReason, Counts, DeskLog, DeskPolicies, DeskSettings, Effect, Effects, Event, LogEntry,
    QueuedMention, Seen, SeenSet, SourceMark, What,
};
use triage_engine::model::{
    AuthorKey, CaseId, EventDisposition, MentionKey, Millis, Position, Source, StreamId,
};
use triage_engine::policy::Generation;

const SETTINGS: DeskSettings = DeskSettings { case_lapse_ms: 1_000, mentions_per_case_max: 3 };

fn position(partition: u32, offset: i64) -> Position {
    Position { stream: StreamId(7), partition, offset }
}

fn mark(partition: u32, offset: i64, ordinal: u64, committed: i64) -> SourceMark {
    SourceMark { source: Source { position: position(partition, offset), ordinal }, committed }
}

fn mention(author: u128, key: u128) -> Event<'static> {
    Event::Mention(QueuedMention {
        key: MentionKey(key),
        author: AuthorKey(author),
        mention_id: "x:1",
        network: "x",
        author_id: "x:u1",
        author_handle: "@jane",
        desk: "tech",
        queue: "tech.tv",
        tags: vec!["tv"],
        category: "technical",
        priority: 20,
        resolution: "either",
        posted_at: Millis(1),
        input: position(0, 0),
        generation: Generation([1; 32]),
        pii_found: vec![],
        pii_redacted: false,
        raw: b"{}",
    })
}

fn resolved(offset: i64) -> Event<'static> {
    Event::CaseResolved {
        case: CaseId { partition: 3, offset },
        by: "ag_17",
        event_source: "helpdesk",
        event_id: "e",
    }
}

/// A log from events, one per millisecond given, without sources.
fn log(events: Vec<(i64, Event<'static>)>) -> Vec<LogEntry<'static>> {
    events
        .into_iter()
        .enumerate()
        .map(|(offset, (at, event))| LogEntry { offset: offset as i64, at: Millis(at), source: None, event })
        .collect()
}

fn fold(entries: &[LogEntry<'_>]) -> (DeskLog, Effects) {
    let (mut desk, mut effects) = (DeskLog::new(3), Effects::new());
    desk.step(entries, &SETTINGS, &mut effects);
    desk.check_invariants();
    (desk, effects)
}

/// The cases and versions of the records, and what each says, shortly.
fn story(effects: &Effects) -> Vec<(i64, u64, &'static str)> {
    let told = |effect: &Effect| match effect.what {
        What::AssignmentCreated { .. } => "created",
        What::MentionAdded => "added",
        What::CaseClosed { reason, .. } => reason.name(),
    };
    effects.records.iter().map(|effect| (effect.case.offset, effect.case_version, told(effect))).collect()
}

#[test]
fn a_returning_author_joins_the_open_case_and_another_author_does_not() {
    let (desk, effects) = fold(&log(vec![(1, mention(1, 10)), (2, mention(1, 11)), (3, mention(2, 12))]));
    assert_eq!(story(&effects), [(0, 1, "created"), (0, 2, "added"), (2, 1, "created")]);
    assert_eq!((effects.counts.opened, effects.counts.linked, desk.open_cases()), (2, 1, 2));
}

#[test]
fn an_author_has_one_open_case_on_each_desk() {
    let mut other_desk = mention(1, 11);
    if let Event::Mention(mention) = &mut other_desk {
        (mention.desk, mention.queue) = ("billing", "billing.all");
    }
    let (desk, effects) = fold(&log(vec![(1, mention(1, 10)), (2, other_desk)]));
    assert_eq!(story(&effects), [(0, 1, "created"), (1, 1, "created")]);
    assert_eq!(&*effects.records[1].desk, "billing");
    assert_eq!(desk.open_cases(), 2);
}

#[test]
fn a_queue_is_as_old_as_its_oldest_open_case_if_that_is_among_those_looked_at() {
    let mut other_desk = mention(3, 12);
    if let Event::Mention(mention) = &mut other_desk {
        (mention.desk, mention.queue) = ("billing", "billing.all");
    }
    let entries = vec![(1, mention(1, 10)), (2, mention(2, 11)), (3, other_desk), (4, resolved(0))];
    let (desk, _) = fold(&log(entries));
    let ages =
        |cases: usize| -> Vec<i64> { desk.oldest_by_queue(cases).into_values().map(|at| at.0).collect() };
    assert_eq!(desk.open_by_queue().len(), 2);
    assert_eq!(ages(10), [3, 2], "billing, and tech without the case that is resolved");
    assert_eq!(ages(1), [2], "the queue that is not named has only younger cases");
    assert_eq!(ages(0), []);
}

#[test]
fn a_copy_from_another_partition_is_counted_and_opens_nothing() {
    let (desk, effects) = fold(&log(vec![(1, mention(1, 10)), (2, mention(1, 10))]));
    assert_eq!(story(&effects), [(0, 1, "created")]);
    assert_eq!((effects.counts.opened, effects.counts.copy, desk.open_cases()), (1, 1, 1));
}

#[test]
fn a_resolved_case_leaves_memory_and_the_authors_next_mention_opens_another() {
    let (desk, effects) = fold(&log(vec![(1, mention(1, 10)), (2, resolved(0)), (3, mention(1, 11))]));
    assert_eq!(story(&effects), [(0, 1, "created"), (0, 2, "resolved"), (2, 1, "created")]);
    assert_eq!(effects.counts.events(EventDisposition::Applied), 1);
    assert_eq!(desk.open_cases(), 1);
    let closed = What::CaseClosed { reason: CloseReason::Resolved, opened_at: Millis(1), mentions: 1 };
    assert_eq!(effects.records[1].what, closed);
}

#[test]
fn an_event_for_a_case_that_is_not_open_here_is_counted() {
    let elsewhere = Event::CaseResolved {
        case: CaseId { partition: 4, offset: 0 },
        by: "",
        event_source: "",
        event_id: "",
    };
    let events =
        vec![(1, mention(1, 10)), (2, resolved(9)), (3, elsewhere), (4, resolved(0)), (5, resolved(0))];
    let (_, effects) = fold(&log(events));
    assert_eq!(effects.counts.events(EventDisposition::UnknownCase), 3);
    assert_eq!(effects.counts.events(EventDisposition::Applied), 1);
    assert_eq!(story(&effects), [(0, 1, "created"), (0, 2, "resolved")]);
}

#[test]
fn a_quiet_case_lapses_at_its_due_time_and_a_mention_puts_it_off() {
    let events = vec![
        (1, mention(1, 10)),
        (900, mention(1, 11)),
        (1_899, Event::Tick),
        (1_900, Event::Tick),
        (1_901, mention(1, 12)),
    ];
    let (_, effects) = fold(&log(events));
    assert_eq!(story(&effects), [(0, 1, "created"), (0, 2, "added"), (0, 3, "lapsed"), (4, 1, "created")]);
    assert_eq!((effects.records[2].entry, effects.records[2].at), (3, Millis(1_900)));
    assert_eq!(effects.counts.lapsed, 1);
}

#[test]
fn cases_lapse_in_the_order_of_their_due_times() {
    let events = vec![(5, mention(1, 10)), (1, mention(2, 11)), (6, mention(3, 12)), (9_000, mention(1, 13))];
    let (_, effects) = fold(&log(events));
    // The second entry carries an earlier stamp than the first: the log's time does not go back.
    assert_eq!(effects.records[1].at, Millis(5));
    let lapsed: Vec<i64> = effects.records[3..6].iter().map(|effect| effect.case.offset).collect();
    assert_eq!(lapsed, [0, 1, 2]);
    assert_eq!(story(&effects)[6], (3, 1, "created"));
}

#[test]
fn a_case_over_its_limit_still_emits_every_mention_and_recognises_copies_of_the_newest() {
    let events = (0..5).map(|key| (1, mention(1, key))).chain([(2, mention(1, 4)), (2, mention(1, 2))]);
    let (_, effects) = fold(&log(events.collect()));
    assert_eq!(effects.records.len(), 5);
    assert_eq!((effects.counts.copy, effects.counts.mention_ids_forgotten), (2, 2));
    assert_eq!(effects.counts.linked, 4);
}

#[test]
fn a_record_sent_again_changes_nothing() {
    let mut entries = log(vec![(1, mention(1, 10)), (2, mention(1, 10)), (3, resolved(0)), (4, resolved(0))]);
    for (entry, offset) in entries.iter_mut().zip([5, 5, 6, 6]) {
        entry.source = Some(mark(0, offset, 0, 5));
    }
    let (_, effects) = fold(&entries);
    assert_eq!(story(&effects), [(0, 1, "created"), (0, 2, "resolved")]);
    assert_eq!((effects.counts.repeated, effects.counts.copy), (1, 0));
    assert_eq!(effects.counts.events(EventDisposition::Repeated), 1);
}

#[test]
fn a_policy_switch_shows_on_later_records_and_an_older_one_is_ignored() {
    let switch = |epoch, byte| Event::PolicySwitched { epoch, generation: Generation([byte; 32]) };
    let events = vec![(1, mention(1, 10)), (2, switch(41, 4)), (3, switch(40, 3)), (4, mention(1, 11))];
    let (desk, effects) = fold(&log(events));
    assert_eq!(effects.records.iter().map(|effect| effect.epoch).collect::<Vec<_>>(), [-1, 41]);
    assert_eq!(desk.policy(), Some((41, Generation([4; 32]))));
}

#[test]
fn the_policy_that_decided_a_mention_gives_its_limits() {
    struct ByGeneration;
    impl DeskPolicies for ByGeneration {
        fn settings(&self, generation: &Generation, desk: &str) -> DeskSettings {
            assert_eq!(desk, "tech");
            DeskSettings { case_lapse_ms: i64::from(generation.0[0]) * 100, mentions_per_case_max: 3 }
        }
    }
    let entries = log(vec![(0, mention(1, 10)), (99, Event::Tick), (100, Event::Tick)]);
    let (mut desk, mut effects) = (DeskLog::new(3), Effects::new());
    desk.step(&entries[..2], &ByGeneration, &mut effects);
    assert_eq!(effects.counts.lapsed, 0);
    desk.step(&entries[2..], &ByGeneration, &mut effects);
    assert_eq!(effects.counts.lapsed, 1);
}

#[test]
#[should_panic(expected = "go back")]
fn a_log_that_goes_back_stops_the_desk() {
    let entries = log(vec![(1, Event::Tick), (2, Event::Tick)]);
    let (mut desk, _) = fold(&entries);
    desk.step(&entries[1..], &SETTINGS, &mut Effects::new());
}

fn any_event() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![
        6 => (0..4_u128, 0..12_u128).prop_map(|(author, key)| mention(author, key)),
        2 => (0..40_i64).prop_map(resolved),
        2 => Just(Event::Tick),
        1 => (0..4_i64).prop_map(|epoch| {
            Event::PolicySwitched { epoch, generation: Generation([epoch as u8; 32]) }
        }),
    ]
}

prop_compose! {
    fn any_log()(
        steps in prop::collection::vec(
            (any_event(), 0..700_i64, 1..3_i64, prop::option::of((0..2_u32, 0..30_i64, 0..2_u64, 0..8_i64))),
            1..60,
        )
    ) -> Vec<LogEntry<'static>> {
        let (mut at, mut offset) = (0, -1);
        steps.into_iter().map(|(event, pause, hole, source)| {
            (at, offset) = (at + pause, offset + hole);
            let source = source.map(|(partition, source, ordinal, behind)| {
                mark(partition, source, ordinal, (source - behind).max(0))
            });
            LogEntry { offset, at: Millis(at - pause % 3 * 200), source, event }
        }).collect()
    }
}

/// Folds a log cut before each of `cuts`, with every effect named by its entry's offset.
fn fold_cut(entries: &[LogEntry<'_>], cuts: &BTreeSet<usize>) -> (DeskLog, Vec<(i64, Effect)>, Counts) {
    let (mut desk, mut effects) = (DeskLog::new(3), Effects::new());
    let (mut told, mut counts) = (Vec::new(), Counts::default());
    let mut start = 0;
    for end in cuts.iter().copied().filter(|&cut| cut < entries.len()).chain([entries.len()]) {
        desk.step(&entries[start..end], &SETTINGS, &mut effects);
        counts.add(&effects.counts);
        told.extend(
            effects
                .records
                .drain(..)
                .map(|effect| (entries[start + effect.entry].offset, Effect { entry: 0, ..effect })),
        );
        start = end;
    }
    desk.check_invariants();
    (desk, told, counts)
}

proptest! {
    #[test]
    fn how_a_log_is_cut_into_steps_changes_nothing(
        entries in any_log(), cuts in prop::collection::btree_set(0..60_usize, 0..20)
    ) {
        let whole = fold_cut(&entries, &BTreeSet::new());
        prop_assert_eq!(&whole, &fold_cut(&entries, &cuts));
        prop_assert_eq!(&whole, &fold_cut(&entries, &(0..60).collect()));
    }

    #[test]
    fn every_case_counts_its_records_from_one_and_no_author_has_two_open_cases(entries in any_log()) {
        let (desk, told, counts) = fold_cut(&entries, &BTreeSet::new());
        let mut open = std::collections::BTreeMap::new();
        let mut closed = BTreeSet::new();
        for (_, effect) in &told {
            prop_assert!(!closed.contains(&effect.case), "{} spoke after it was closed", effect.case);
            let before = open.insert(effect.case, effect.case_version).unwrap_or(0);
            prop_assert_eq!(effect.case_version, before + 1);
            if let What::CaseClosed { .. } = effect.what {
                open.remove(&effect.case);
                closed.insert(effect.case);
            }
        }
        prop_assert_eq!(open.len(), desk.open_cases());
        let mentions = entries.iter().filter(|entry| matches!(entry.event, Event::Mention(_))).count() as u64;
        prop_assert_eq!(mentions, counts.opened + counts.linked + counts.copy + counts.repeated);
        let authors: BTreeSet<_> = desk.snapshot().cases.iter().map(|case| case.author).collect();
        prop_assert_eq!(authors.len(), desk.open_cases());
    }

    #[test]
    fn a_snapshot_restores_to_a_state_that_goes_on_alike(entries in any_log(), at in 0..60_usize) {
        let at = at.min(entries.len());
        let (mut desk, mut effects) = (DeskLog::new(3), Effects::new());
        desk.step(&entries[..at], &SETTINGS, &mut effects);
        let mut restored = DeskLog::restore(&desk.snapshot()).expect("a state restores");
        prop_assert_eq!(restored.snapshot(), desk.snapshot());
        let mut effects_restored = Effects::new();
        desk.step(&entries[at..], &SETTINGS, &mut effects);
        restored.step(&entries[at..], &SETTINGS, &mut effects_restored);
        prop_assert_eq!(effects, effects_restored);
        prop_assert_eq!(desk.snapshot(), restored.snapshot());
    }

    /// The model remembers everything it ever took; senders reorder, repeat and move C as real ones do: they send
    /// at or above the C they know, and C only moves over what was delivered.
    #[test]
    fn the_seen_set_takes_each_source_once_in_whatever_order_it_comes(
        sends in prop::collection::vec((0..2_u32, 0..20_i64, 0..2_u64, 0..2_u8), 1..200)
    ) {
        let mut seen = SeenSet::default();
        let mut model = BTreeSet::new();
        let mut committed = [0_i64; 2];
        for (partition, ahead, ordinal, advance) in sends {
            let slot = partition as usize;
            // Both ordinals of the lowest offset are out: its sender commits past it.
            while advance == 1
                && (0..2).all(|ordinal| model.contains(&(partition, committed[slot], ordinal)))
            {
                committed[slot] += 1;
            }
            // Half of the sends look back: a late sender that still knows an older C, or a crashed one's repeat.
            let offset = (committed[slot] + ahead - 5).max(0);
            let known = if ahead % 2 == 0 { committed[slot].min(offset) } else { 0 };
            let new = model.insert((partition, offset, ordinal));
            let answer = seen.take(&mark(partition, offset, ordinal, known));
            prop_assert_eq!(answer, if new { Seen::New } else { Seen::Repeat });
        }
        prop_assert!(seen.len() <= model.len());
    }
}

#[test]
fn a_late_sender_is_taken_though_its_successor_came_first() {
    let mut seen = SeenSet::default();
    assert_eq!(seen.take(&mark(0, 7, 0, 5)), Seen::New);
    assert_eq!(seen.take(&mark(0, 6, 0, 5)), Seen::New);
    assert_eq!(seen.take(&mark(0, 6, 0, 5)), Seen::Repeat);
    assert_eq!(seen.take(&mark(0, 6, 1, 5)), Seen::New, "another record of the same source");
    assert_eq!(seen.take(&mark(1, 6, 0, 5)), Seen::New, "another partition");
    assert_eq!(seen.len(), 4);
}

#[test]
fn what_its_sender_has_settled_is_a_repeat_and_is_forgotten() {
    let mut seen = SeenSet::default();
    assert_eq!(seen.take(&mark(0, 5, 0, 0)), Seen::New);
    assert_eq!(seen.take(&mark(0, 9, 0, 8)), Seen::New);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen.take(&mark(0, 5, 0, 0)), Seen::Repeat);
    assert_eq!(seen.take(&mark(0, 7, 0, 0)), Seen::Repeat, "below C nothing is new");
}

#[test]
fn a_snapshot_that_no_desk_can_have_had_is_refused() {
    let (desk, _) = fold(&log(vec![(1, mention(1, 10)), (2, mention(2, 11))]));
    let good = desk.snapshot();
    assert!(DeskLog::restore(&good).is_ok());
    let refused = |change: fn(&mut triage_engine::desk::DeskSnapshot)| {
        let mut bad = good.clone();
        change(&mut bad);
        DeskLog::restore(&bad).expect_err("refused").to_string()
    };
    assert!(refused(|bad| bad.cases[1].author = bad.cases[0].author).contains("its author has two"));
    assert!(refused(|bad| bad.cases[1].id = bad.cases[0].id).contains("appears twice"));
    assert!(refused(|bad| bad.cases[0].id.partition = 4).contains("another partition"));
    assert!(refused(|bad| bad.cases[0].id.offset = 2).contains("not folded"));
    assert!(refused(|bad| bad.cases[0].version = 0).contains("not opened by a mention"));
    assert!(refused(|bad| bad.cases[0].lapses_at = bad.now).contains("not open"));
    assert!(refused(|bad| bad.next_offset = -1).contains("-1"));
}

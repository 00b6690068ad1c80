//! One mention of a test through the daemon's own stages: decoded, scanned, evaluated by a worker's `Scanning`, decided by
//! the engine's triage step.
//!
//! Owns the records that are made of tests, and what is read off a decision. May not decide or compare. A test knows
//! no other mention, so nothing is a copy. Called by `mod.rs`.

use crate::config::Settings;
use crate::error::Error;
use crate::log::{Records, TopicPartition};
use crate::policies::Compiled;
use crate::shown::{About, Told};
use crate::wire::mention::{Decoded, Decoder};
use crate::wire::redact::Redactor;
use crate::worker::{Done, Job, JobTicket, Lift, ScanSettings, Scanning};
use crossbeam::channel::Sender;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use triage_engine::dedup::{DedupLimits, ExactWindow};
use triage_engine::explain::Explainer;
use triage_engine::model::{DeadLetterReason, Disposition, Millis, StreamId};
use triage_engine::policy::{Expectation, FILTER_DEFAULT, Policy, Reading, TestMention, Why};
use triage_engine::triage::{DETAIL_NONE, Decision, Event, Triage, Verdict};

/// Rules and filters whose terms are told for one mention, at most.
const WHY_MAX: usize = 4;

/// What became of a mention.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// The disposition's name; of a dead letter the reason behind it.
    pub disposition: String,
    /// The rule that made it noise or blocked it.
    pub rule: Option<String>,
    /// The desk, if it is queued.
    pub desk: Option<String>,
    /// The queue, if it is queued.
    pub queue: Option<String>,
    /// The filter that decided, or `default`, if it is queued.
    pub filter: Option<String>,
    /// What it is about, if it is queued.
    pub category: Option<&'static str>,
    /// How urgent it is, if it is queued.
    pub priority: Option<u8>,
    /// Where it may be answered, if it is queued.
    pub resolution: Option<&'static str>,
    /// Every rule that matches.
    pub rules: Vec<String>,
    /// Every tag of those rules.
    pub tags: Vec<String>,
    /// Kinds of personal data found.
    pub pii: Vec<&'static str>,
}

/// Decides mentions of tests under one policy.
pub struct Decider<'p> {
    compiled: &'p Arc<Compiled>,
    scanning: Scanning,
    decoder: Decoder,
    redactor: Redactor,
    explainer: Explainer<'p>,
    /// Jobs have an address to answer to; here nobody listens.
    reply: Sender<Done>,
}

impl<'p> Decider<'p> {
    /// Tests are written in triaged's own shape, whatever the configuration reads.
    ///
    /// # Errors
    /// As `ScanSettings::of` says.
    pub fn new(compiled: &'p Arc<Compiled>) -> Result<Decider<'p>, Error> {
        let settings = ScanSettings::of(&Settings::default())?;
        Ok(Decider {
            compiled,
            scanning: Scanning::new(&settings),
            decoder: Decoder::new(settings.map.clone(), settings.limits),
            redactor: Redactor::new(settings.map),
            explainer: Explainer::new(compiled.policy(), compiled.matcher().scanner()),
            reply: crossbeam::channel::bounded(0).0,
        })
    }

    /// Decides a mention that arrives at `at`.
    pub fn decide(&mut self, mention: &TestMention, at: Millis) -> Decided {
        let record = serde_json::to_vec(mention).expect("invariant: a test's mention can be written");
        let verdict = self.scan(&record, at);
        let decision = triage(verdict, at);
        let policy = self.compiled.policy();
        let mut decided = Decided {
            disposition: decision.disposition.name().to_owned(),
            pii: self.redactor.redact(&record, &mut Vec::new()),
            ..Decided::default()
        };
        let name = |names: Option<&String>| names.cloned();
        match decision.disposition {
            Disposition::Queued => {
                decided.desk = name(policy.desks().get(usize::from(decision.desk)).map(|desk| &desk.name));
                decided.queue =
                    name(policy.queues().get(usize::from(decision.queue)).map(|queue| &queue.name));
            }
            Disposition::Noise | Disposition::Blocked if decision.detail != DETAIL_NONE => {
                decided.rule = name(policy.rules().get(decision.detail as usize).map(|rule| &rule.name));
            }
            Disposition::DeadLetter => {
                let reason = u8::try_from(decision.detail).ok().and_then(DeadLetterReason::from_code);
                let reason = reason.map_or("", DeadLetterReason::name);
                decided.disposition = format!("dead_letter ({reason})");
            }
            _ => {}
        }
        if let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(Some(&record)) {
            let told = self.explainer.explain(&mention);
            debug_assert!(
                matches!(verdict, Verdict::Mention { wish, .. } if wish == told.wish),
                "what is told agrees with what is done: {told}"
            );
            decided.rules = told.rules.iter().map(|rule| rule.name.clone()).collect();
            let tags: BTreeSet<String> = told.rules.into_iter().flat_map(|rule| rule.tags).collect();
            decided.tags = tags.into_iter().collect();
            if let Some(route) = told.route {
                let held = told.filters.last().filter(|filter| filter.held);
                decided.filter =
                    Some(held.map_or_else(|| FILTER_DEFAULT.to_owned(), |filter| filter.name.clone()));
                decided.category = Some(route.category);
                decided.priority = Some(route.priority);
                decided.resolution = Some(route.resolution);
            }
        }
        decided
    }

    fn scan(&mut self, record: &[u8], at: Millis) -> Verdict {
        let mut records = Records::new(TopicPartition::new("tests", 0));
        records.push(0, at, None, Some(record));
        let job = Job {
            records: Arc::new(records),
            range: 0..1,
            policy: Arc::clone(self.compiled),
            stream: StreamId(0),
            killers: Vec::new(),
            lift: Lift::Nothing,
            ticket: JobTicket { incarnation: 0, sequence: 0 },
            reply: self.reply.clone(),
        };
        let scanned = self.scanning.scan(&job);
        scanned.records.first().expect("invariant: one record in, one out").verdict
    }

    /// Why rules and filters did not do what a test expects: the few that say most.
    pub fn why(&mut self, mention: &TestMention, expect: &Expectation, decided: &Decided) -> Vec<Told> {
        let record = serde_json::to_vec(mention).expect("invariant: a test's mention can be written");
        let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(Some(&record)) else {
            return Vec::new();
        };
        self.explainer.explain(&mention);
        let policy = self.compiled.policy();
        let reading = policy.reading(&mention, self.explainer.matched());
        let mut told = Telling { policy, reading: &reading, whys: Vec::new() };
        told.rules(expect, decided);
        told.filters(expect, decided);
        told.whys
    }
}

/// The triage step of a shard that has seen nothing.
fn triage(verdict: Verdict, at: Millis) -> Decision {
    let mut triage = Triage::new(ExactWindow::new(DedupLimits { window_ms: 1, ids_max: 1 }));
    let mut decisions = Vec::with_capacity(1);
    triage.step(&[Event::Record { at, verdict }], &mut decisions);
    decisions[0]
}

/// Chooses what is told.
struct Telling<'t> {
    policy: &'t Policy,
    reading: &'t Reading<'t>,
    whys: Vec<Told>,
}

impl Telling<'_> {
    fn add(&mut self, about: About, why: Why) {
        let known = self.whys.iter().any(|told| told.about == about && told.why.name == why.name);
        if !known && self.whys.len() < WHY_MAX {
            self.whys.push(Told { about, why });
        }
    }

    fn rule(&mut self, name: &str) {
        if let Some(rule) = self.policy.rules().iter().find(|rule| rule.name == name) {
            self.add(About::Rule, self.reading.rule(rule));
        }
    }

    /// The rules that give a tag, those first that come nearest.
    fn givers(&mut self, tag: &str) {
        let givers = self.policy.rules().iter().filter(|rule| rule.tags.iter().any(|given| given == tag));
        let mut whys: Vec<Why> = givers.map(|rule| self.reading.rule(rule)).collect();
        whys.sort_by_key(|why| (!why.is_near_miss(), why.term.leaves().len()));
        whys.into_iter().take(2).for_each(|why| self.add(About::Rule, why));
    }

    fn rules(&mut self, expect: &Expectation, decided: &Decided) {
        let missing = expect.rules.iter().filter(|rule| !decided.rules.contains(rule));
        let unwanted = expect.not_rules.iter().filter(|rule| decided.rules.contains(rule));
        missing.chain(unwanted).for_each(|rule| self.rule(rule));
        for rule in [&expect.rule, &decided.rule].into_iter().flatten() {
            let as_expected = expect.rule == decided.rule
                && expect.disposition.is_none_or(|disposition| disposition == decided.disposition);
            if !as_expected {
                self.rule(rule);
            }
        }
        for tag in expect.tags.iter().filter(|tag| !decided.tags.contains(tag)) {
            self.givers(tag);
        }
        for tag in expect.not_tags.iter().filter(|tag| decided.tags.contains(tag)) {
            let gives = |name: &&String| {
                let rule = self.policy.rules().iter().find(|rule| rule.name == **name);
                rule.is_some_and(|rule| rule.tags.contains(tag))
            };
            if let Some(giver) = decided.rules.iter().find(gives) {
                self.rule(giver);
            }
        }
    }

    /// The filters that should have decided, and the rules that would have given the tags that they ask for.
    fn filters(&mut self, expect: &Expectation, decided: &Decided) {
        if decided.queue.is_none() {
            return;
        }
        let desk_of =
            |queue: usize| &self.policy.desks()[usize::from(self.policy.queues()[queue].desk.0)].name;
        let leads_there = |filter: &&triage_engine::policy::Filter| {
            let queue = usize::from(filter.queue.0);
            let named =
                |expected: &Option<String>, has: &String| expected.as_ref().is_none_or(|name| name == has);
            let there = named(&expect.queue, &self.policy.queues()[queue].name)
                && named(&expect.desk, desk_of(queue))
                && named(&expect.filter, &filter.name);
            there && [&expect.queue, &expect.desk, &expect.filter].into_iter().any(Option::is_some)
        };
        let elsewhere = |expected: &Option<String>, is: &Option<String>| expected.is_some() && expected != is;
        let goes_elsewhere = elsewhere(&expect.queue, &decided.queue)
            || elsewhere(&expect.desk, &decided.desk)
            || elsewhere(&expect.filter, &decided.filter);
        if !goes_elsewhere {
            return;
        }
        let filters: Vec<Why> = self
            .policy
            .filters()
            .iter()
            .filter(leads_there)
            .map(|filter| self.reading.filter(filter))
            .collect();
        for why in filters {
            let missing: Vec<String> = why
                .term
                .deciding()
                .iter()
                .filter(|term| !term.holds)
                .map(|term| why.written(term).to_owned())
                .collect();
            self.add(About::Filter, why);
            for tag in missing.iter().filter_map(|term| term.strip_prefix("tag:")) {
                self.givers(tag);
            }
        }
        // The filter above those that took the mention first.
        if let Some(held) =
            self.policy.filters().iter().find(|filter| decided.filter.as_ref() == Some(&filter.name))
        {
            self.add(About::Filter, self.reading.filter(held));
        }
    }
}

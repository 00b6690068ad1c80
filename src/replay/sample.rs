//! A mention whose fate would change, told without its personal data: what it was, what it would be, and which rules
//! made the difference.
//!
//! Owns the wording, and which mentions are told: those with the lowest of a hash of their positions, so that they are
//! spread over the range and the same at every replay. May not decide. Called by the fold.

use crate::explain::Reading;
use crate::wire::mention::{Decoded, Decoder};
use crate::worker::ScanSettings;
use serde::Serialize;
use std::collections::BTreeSet;
use triage_engine::model::{Disposition, Mention};
use triage_engine::policy::{Policy, QueueIndex, Rule, RuleIndex};
use triage_engine::triage::{DETAIL_NONE, Decision};

/// One mention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// `topic/partition/offset`, or the line of a file.
    pub position: String,
    /// Its id.
    pub mention_id: String,
    /// What it says, personal data taken out.
    pub text: String,
    /// What became of it.
    pub was: String,
    /// What would become of it.
    pub would_be: String,
    /// What made the difference.
    pub because: Vec<String>,
}

/// One side of the comparison, as far as a sample needs it.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) policy: &'a Policy,
    pub(super) decision: Decision,
    /// The rules that matched.
    pub(super) matched: &'a [RuleIndex],
}

/// Tells samples.
pub(super) struct Telling {
    reading: Reading,
    decoder: Decoder,
}

/// The order in which mentions are preferred as samples.
pub(super) fn rank(partition: u32, offset: i64) -> u64 {
    // The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbours lie far from each other.
    let mut mixed = (offset as u64) ^ (u64::from(partition) << 48);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Telling {
    pub(super) fn new(scan: &ScanSettings) -> Telling {
        let decoder = Decoder::new(scan.map.clone(), scan.limits);
        Telling { reading: Reading::new(scan), decoder }
    }

    /// Tells a record.
    pub(super) fn sample(
        &mut self,
        position: String,
        value: Option<&[u8]>,
        before: Told<'_>,
        after: Told<'_>,
    ) -> Sample {
        let (told, _) = self.reading.tell(value, None);
        let mention = match self.decoder.decode(value) {
            Ok(Decoded::Mention { mention, .. }) => Some(mention),
            _ => None,
        };
        Sample {
            position,
            mention_id: told.mention_id,
            text: told.text,
            was: fate(before, mention.as_ref()),
            would_be: fate(after, mention.as_ref()),
            because: because(before, after),
        }
    }
}

/// A decision in words, with what decided.
fn fate(side: Told<'_>, mention: Option<&Mention<'_>>) -> String {
    let Told { policy, decision, matched } = side;
    let name = decision.disposition.name();
    let Some(mention) = mention else { return name.to_owned() };
    match decision.disposition {
        Disposition::Queued => {
            let by = match policy.filters().get(usize::from(policy.route(mention, matched).filter)) {
                Some(filter) => format!("filter `{}`", filter.name),
                None => "the workflow's default".to_owned(),
            };
            let desk = policy.desks().get(usize::from(decision.desk)).map_or("?", |desk| &desk.name);
            let queue = policy.queues().get(usize::from(decision.queue)).map_or("?", |queue| &queue.name);
            let said = policy.assertion(matched, QueueIndex(decision.queue));
            let mut tags = Vec::new();
            policy.tags(matched, &mut tags);
            let tags = if tags.is_empty() { String::new() } else { format!(", tags {}", tags.join(" ")) };
            let (category, priority) = (said.category.name(), said.priority);
            format!(
                "{name} for desk `{desk}`, queue `{queue}`, by {by}; {category}, priority {priority}{tags}"
            )
        }
        Disposition::Noise | Disposition::Blocked if decision.detail == DETAIL_NONE => {
            let list = policy.listed_author(mention).unwrap_or("blocked");
            format!("{name} by the list of {list} accounts")
        }
        Disposition::Noise | Disposition::Blocked => {
            let rule = policy.rules().get(decision.detail as usize).map_or("?", |rule| &rule.name);
            format!("{name} by rule `{rule}`")
        }
        Disposition::Joined | Disposition::Duplicate | Disposition::DeadLetter | Disposition::Expired => {
            name.to_owned()
        }
    }
}

/// The rules that made the difference.
fn because(before: Told<'_>, after: Told<'_>) -> Vec<String> {
    let (was, is) = (before.policy, after.policy);
    let names = |policy: &'_ Policy, matched: &[RuleIndex]| -> BTreeSet<String> {
        matched.iter().map(|index| rule(policy, *index).name.clone()).collect()
    };
    let (old, new) = (names(was, before.matched), names(is, after.matched));
    let of = |policy: &Policy, name: &str| policy.rules().iter().find(|rule| rule.name == name).cloned();
    let mut found = Vec::new();
    for name in old.difference(&new) {
        found.push(match of(is, name) {
            Some(_) => format!("rule `{name}` no longer matches"),
            None => format!("rule `{name}` is gone"),
        });
    }
    for name in new.difference(&old) {
        found.push(match of(was, name) {
            Some(_) => format!("rule `{name}` matches now"),
            None => format!("rule `{name}` is new"),
        });
    }
    for name in old.intersection(&new) {
        if let (Some(was), Some(is)) = (of(was, name), of(is, name)) {
            let changed = changed(&was, &is);
            if !changed.is_empty() {
                found.push(format!("rule `{name}` has another {}", changed.join(", ")));
            }
        }
    }
    if before.decision.disposition != after.decision.disposition
        && [before, after].iter().any(|side| side.decision.disposition == Disposition::Duplicate)
    {
        found.push("[dedup] differs".to_owned());
    }
    if found.is_empty() {
        found.push("the same rules say the same: accounts or the workflow differ".to_owned());
    }
    found
}

fn rule(policy: &Policy, index: RuleIndex) -> &Rule {
    &policy.rules()[index.place()]
}

/// What two rules of one name say otherwise of a mention that both match.
fn changed(was: &Rule, is: &Rule) -> Vec<&'static str> {
    let sorted = |rule: &Rule| rule.tags.iter().cloned().collect::<BTreeSet<String>>();
    let parts = [
        ("action", was.action != is.action),
        ("never_drop", was.never_drop != is.never_drop),
        ("category", was.category != is.category),
        ("priority", was.priority != is.priority),
        ("resolution", was.resolution != is.resolution),
        ("list of tags", sorted(was) != sorted(is)),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

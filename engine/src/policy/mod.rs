//! The policy: what is decided, as one immutable value with a hash.
//!
//! Owns rules, desks, queues and the workflow, from their files to their evaluation. May not read files, know a
//! clock, or keep state between mentions. Triage calls `evaluate`, `action` and `route` for each mention, in
//! this order; the verbs call `compile` and show its mistakes.
//!
//! ```text
//! bundle (files as bytes, generation) -> file (mirror) -> compile (checks) -> Policy
//!                                          query (grammar) -> program (flat, indexed by literal)
//! ```
//!
//! Totality: nothing here can fail once a policy is compiled. A filter that asks for what a mention lacks is
//! false (domain.md section 4), so there is no error to count.

mod accounts;
mod asks;
mod bundle;
mod bytes;
mod calendar;
mod compile;
mod cost;
mod duration;
mod file;
mod lint;
mod lists;
mod mistake;
mod pieces;
mod program;
mod queries;
mod query;
mod rule;
mod rule_test;
mod search;
mod table;
mod why;
mod workspace;

#[cfg(test)]
mod tests;

pub use bundle::{
    BUNDLE_BYTES_MAX, BUNDLE_MAGIC, BUNDLE_VERSION, Bundle, BundleDamage, FILE_BYTES_MAX, Generation,
    NotAGeneration, PATH_BYTES_MAX, check_path,
};
pub use calendar::{
    Calendar, CalendarIndex, NEXT_CHANGE_DAYS_MAX, TIME_ZONES_PATH, note_time_zones, time_zones_version,
};
pub use compile::{DESKS_MAX, FILTERS_MAX, LITERALS_MAX, QUEUES_MAX, RULES_MAX};
pub use cost::{CostMeter, RuleCost};
pub use duration::parse_duration;
pub use lint::{Lint, LintKind, lint};
pub use lists::{LIST_TERMS_MAX, LISTS_MAX, LISTS_TERMS_MAX};
pub use mistake::{Mistake, did_you_mean, toml_hint};
pub use program::{NEAR_SPANS_MAX, Scratch};
pub use query::{
    LITERAL_BYTES_MAX, NEAR_WORDS_MAX, PERSONS_MAX, PREFIX_CHARS_MIN, QUERY_BYTES_MAX, QUERY_DEPTH_MAX,
    QUERY_TERMS_MAX, REGEX_BYTES_MAX, REGEX_COMPILED_BYTES_MAX, REGEX_PER_POLICY_MAX, SUFFIX_CHARS_MIN,
};
pub use rule::{Category, Desk, DeskLimits, Filter, Queue, Resolution, Rule, RuleAction, RuleClass};
pub use rule_test::{
    Expectation, FILTER_DEFAULT, RuleTest, RuleTestCase, TestAuthor, TestMention, TestThread, read_rule_tests,
};
pub use search::Search;
pub use why::{Found, Operator, Reading, Term, Why};
pub(crate) use workspace::Workspace;

use crate::model::Mention;
use crate::scan::{Hit, Literal};
use crate::text::{Forms, NormalText};
use accounts::AccountList;
use program::{Nobody, Programs, RulePrograms, Scanned};
use query::Lists;
use serde::{Deserialize, Serialize};

/// A rule's place in [`Policy::rules`], which is the order of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleIndex(pub u32);

impl RuleIndex {
    /// The rule at this place.
    ///
    /// # Panics
    /// When no policy has so many rules: see [`RULES_MAX`].
    #[must_use]
    pub fn new(place: usize) -> RuleIndex {
        assert!(place < RULES_MAX, "a policy has at most {RULES_MAX} rules");
        RuleIndex(place as u32)
    }

    /// Its place in the list.
    #[must_use]
    pub fn place(self) -> usize {
        self.0 as usize
    }
}

/// A desk's place in [`Policy::desks`], which is the order of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeskIndex(pub u16);

/// A queue's place in [`Policy::queues`], which is the order of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueIndex(pub u16);

/// What the matching rules together ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The mention goes to a desk.
    Route,
    /// The mention is noise, says this rule.
    Noise(RuleIndex),
    /// The mention is not handled: this rule says so, or its author is the brand itself or blocked (`None`).
    Block(Option<RuleIndex>),
}

/// Where a mention goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The queue's desk.
    pub desk: DeskIndex,
    /// The queue.
    pub queue: QueueIndex,
    /// The filter that decided, by its place in [`Policy::filters`]; [`Route::FILTER_DEFAULT`] when none held.
    pub filter: u16,
}

impl Route {
    /// Stands for "no filter held, the workflow's default queue".
    pub const FILTER_DEFAULT: u16 = u16::MAX;
}

/// What the matching rules assert of a mention, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion {
    /// Of the rule with the highest priority that names one; `General` when none does.
    pub category: Category,
    /// The highest, 0 to 100; the queue's when no rule names one.
    pub priority: u8,
    /// The strictest (private, public, either); the queue's when no rule names one.
    pub resolution: Resolution,
}

/// How much exact dedup remembers, per input partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DedupLimits {
    /// How long an id is remembered, in milliseconds.
    pub window_ms: i64,
    /// How many ids at most.
    pub ids_max: usize,
}

/// A compiled policy. It is serialised for caches of the very program that wrote them, and for nothing else: what is
/// read back is not checked again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Policy {
    generation: Generation,
    literals: Vec<Literal>,
    rules: Vec<Rule>,
    desks: Vec<Desk>,
    calendars: Vec<Calendar>,
    time_zones: Option<String>,
    queues: Vec<Queue>,
    filters: Vec<Filter>,
    default: QueueIndex,
    /// As the rules ask for them; `why` reads what the programs have forgotten.
    lists: Lists,
    programs: RulePrograms,
    filter_programs: Programs,
    own: AccountList,
    blocked: AccountList,
    hash_key: [u8; 16],
    dedup: DedupLimits,
}

impl Policy {
    /// Compiles the files of a bundle.
    ///
    /// # Errors
    /// Every mistake in every file, sorted by file and place; never an empty list.
    pub fn compile(bundle: &Bundle) -> Result<Policy, Vec<Mistake>> {
        Policy::compile_in_steps(bundle, &mut || {})
    }

    /// The same, and calls `step` between pieces of work of some milliseconds at most, for who wants to rest there.
    ///
    /// # Errors
    /// As [`Policy::compile`].
    pub fn compile_in_steps(bundle: &Bundle, step: &mut dyn FnMut()) -> Result<Policy, Vec<Mistake>> {
        let policy = compile::compile(bundle, step)?;
        policy.check_invariants();
        Ok(policy)
    }

    /// The hash of the files that it was compiled from.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Every literal of every rule, each once; a [`Hit`] names them by their place here.
    #[must_use]
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// The forms of a text that its rules look into, for the normaliser to fill.
    #[must_use]
    pub fn forms(&self) -> Forms {
        self.programs.forms()
    }

    /// The rules, by name.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The desks, by name.
    #[must_use]
    pub fn desks(&self) -> &[Desk] {
        &self.desks
    }

    /// The calendars, by name.
    #[must_use]
    pub fn calendars(&self) -> &[Calendar] {
        &self.calendars
    }

    /// The time-zone database that its calendars were checked with, if it is another one than this program's: then they
    /// may open at another hour here than on a host with another release.
    #[must_use]
    pub fn other_time_zones(&self) -> Option<&str> {
        let other = |version: &&str| !self.calendars.is_empty() && *version != time_zones_version();
        self.time_zones.as_deref().filter(other)
    }

    /// The queues, by name.
    #[must_use]
    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// The workflow's filters, from top to bottom.
    #[must_use]
    pub fn filters(&self) -> &[Filter] {
        &self.filters
    }

    /// How many rules can match a text in which no literal was seen, and so are run for every mention.
    #[must_use]
    pub fn always_run(&self) -> usize {
        self.programs.always_len()
    }

    /// The key of the fleet's 128-bit hash.
    #[must_use]
    pub fn hash_key(&self) -> [u8; 16] {
        self.hash_key
    }

    /// How much exact dedup remembers.
    #[must_use]
    pub fn dedup(&self) -> DedupLimits {
        self.dedup
    }

    /// Fills `matched` with all rules that match, ascending. `text` are the mention's normal forms, at least those of
    /// [`Policy::forms`], and `hits` what the scanner found of [`Policy::literals`] in them.
    ///
    /// # Panics
    /// When a hit names a literal that this policy does not have: it came from another policy's scanner.
    pub fn evaluate(
        &self,
        mention: &Mention<'_>,
        text: &NormalText,
        hits: &[Hit],
        scratch: &mut Scratch,
        matched: &mut Vec<RuleIndex>,
    ) {
        let scanned = Scanned { mention, text, hits };
        self.programs.evaluate(&self.rules, scanned, scratch, matched, &mut Nobody);
        debug_assert!(matched.last().is_none_or(|rule| rule.place() < self.rules.len()));
    }

    /// What to do with a mention that these rules match.
    ///
    /// The brand's own posts are blocked whatever they say. Then `never_drop`, which every rule of a class has, outranks everything, a blocked
    /// author outranks rules, and `block` outranks `noise`; of several rules the first by name is named.
    #[must_use]
    pub fn action(&self, mention: &Mention<'_>, matched: &[RuleIndex]) -> Action {
        if self.own.holds_author(mention) {
            return Action::Block(None);
        }
        let (mut noise, mut block) = (None, None);
        for &index in matched {
            let rule = self.rule(index);
            if rule.never_drop {
                return Action::Route;
            }
            match rule.action {
                RuleAction::Tag => {}
                RuleAction::Noise => noise = noise.or(Some(index)),
                RuleAction::Block => block = block.or(Some(index)),
            }
        }
        if self.blocked.holds_author(mention) {
            return Action::Block(None);
        }
        match (block, noise) {
            (Some(rule), _) => Action::Block(Some(rule)),
            (None, Some(rule)) => Action::Noise(rule),
            (None, None) => Action::Route,
        }
    }

    /// Where a mention that these rules match goes: the first filter that holds, else the default queue.
    #[must_use]
    pub fn route(&self, mention: &Mention<'_>, matched: &[RuleIndex]) -> Route {
        let category = self.category(matched);
        let has_tag =
            |tag: u32| matched.iter().any(|&index| self.rule(index).tag_numbers.binary_search(&tag).is_ok());
        let first = program::first_true(&self.filter_programs, mention, category, has_tag);
        let queue = first.map_or(self.default, |filter| self.filters[filter].queue);
        let filter = first.and_then(|filter| u16::try_from(filter).ok()).unwrap_or(Route::FILTER_DEFAULT);
        Route { desk: self.queues[usize::from(queue.0)].desk, queue, filter }
    }

    /// What the matching rules assert, with the queue's own values where they are silent.
    #[must_use]
    pub fn assertion(&self, matched: &[RuleIndex], queue: QueueIndex) -> Assertion {
        let queue = &self.queues[usize::from(queue.0)];
        let rules = || matched.iter().map(|&index| self.rule(index));
        Assertion {
            category: self.category(matched),
            priority: rules().filter_map(|rule| rule.priority).max().unwrap_or(queue.priority),
            resolution: rules().filter_map(|rule| rule.resolution).min().unwrap_or(queue.resolution),
        }
    }

    /// Appends the tags of the matching rules, each once, in the order of names.
    pub fn tags<'p>(&'p self, matched: &[RuleIndex], tags: &mut Vec<&'p str>) {
        let from = tags.len();
        tags.extend(matched.iter().flat_map(|&index| self.rule(index).tags.iter().map(String::as_str)));
        tags[from..].sort_unstable();
        let mut kept = from;
        for place in from..tags.len() {
            if place == from || tags[place] != tags[kept - 1] {
                tags[kept] = tags[place];
                kept += 1;
            }
        }
        tags.truncate(kept);
    }

    fn category(&self, matched: &[RuleIndex]) -> Category {
        program::category(&self.rules, matched)
    }

    fn rule(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.place()]
    }

    fn check_invariants(&self) {
        assert!(self.rules.is_sorted_by(|a, b| a.name < b.name), "rules stand in the order of names");
        assert!(self.desks.is_sorted_by(|a, b| a.name < b.name), "desks stand in the order of names");
        assert!(self.queues.is_sorted_by(|a, b| a.name < b.name), "queues stand in the order of names");
        assert!(self.queues.iter().all(|queue| usize::from(queue.desk.0) < self.desks.len()));
        assert!(self.filters.iter().all(|filter| usize::from(filter.queue.0) < self.queues.len()));
        assert!(usize::from(self.default.0) < self.queues.len(), "the default queue exists");
        assert!(
            self.filters.len() < usize::from(Route::FILTER_DEFAULT),
            "filter numbers leave one for the default"
        );
        assert_eq!(self.filter_programs.len(), self.filters.len(), "each filter has its program");
    }
}

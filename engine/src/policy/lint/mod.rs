//! What a policy may say and probably does not mean: filters that can never decide, queries given twice, and so on.
//!
//! Owns the closed list of lints and how each is found. May not refuse anything: a policy with findings still serves.
//! Works on the files of a bundle that compiles, apart from `compile`, so that a start pays nothing for it. Called by
//! `triaged check` alone.

mod calendars;
mod common;
mod filters;
mod impossible;
mod possible;
mod regexes;

use super::RuleAction;
use super::bundle::Bundle;
use super::file::{Files, RuleText};
use super::mistake::{Mistake, Mistakes, Place, first_few};
use super::query::{Dialect, Expression, Form, Mark, parse, words};
use super::table::Located;
use crate::scan::Literal;
use common::LANGUAGES;
use impossible::excluding;
use possible::{Known, common_words};
use std::collections::{BTreeMap, BTreeSet};

/// The shortest literal, in bytes, that may be enough for a rule.
const LITERAL_BYTES_MIN: usize = 3;

/// Whether a literal is so short that it means little: one kana or Hangul syllable stands in nearly every text.
fn is_short(literal: &Literal) -> bool {
    let mut characters = literal.text.chars();
    let alone = characters.next().filter(|_| characters.next().is_none());
    let syllable =
        |c: char| matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{ac00}'..='\u{d7a3}');
    literal.text.len() < LITERAL_BYTES_MIN || alone.is_some_and(syllable)
}

macro_rules! lints {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// What is looked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum LintKind { $($(#[doc = $doc])* $variant,)* }

        impl LintKind {
            /// Every kind.
            pub const ALL: [LintKind; [$($name),*].len()] = [$(LintKind::$variant),*];

            /// Its name on the command line and in JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(LintKind::$variant => $name,)* }
            }

            /// What it finds, in one sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(LintKind::$variant => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

lints! {
    /// A rule for which words alone are enough that stand in nearly every text of a language.
    CommonWord = "common-word",
    /// A desk that has no queue.
    IdleDesk = "idle-desk",
    /// A rule that gives no tag, category, priority or resolution and asks for no action.
    IdleRule = "idle-rule",
    /// A part of a regular expression that can never match.
    ImpossiblePart = "impossible-part",
    /// A rule that can never match.
    ImpossibleRule = "impossible-rule",
    /// Two lists with the same terms.
    SameList = "same-list",
    /// Two rules with the same query.
    SameQuery = "same-query",
    /// Desks that share one partition of the desk log.
    SharedPartition = "shared-partition",
    /// A literal shorter than 3 bytes, or of one kana or Hangul syllable, that is enough for a rule to match.
    ShortLiteral = "short-literal",
    /// A filter that can never decide.
    UnreachableFilter = "unreachable-filter",
    /// A calendar that no desk keeps.
    UnusedCalendar = "unused-calendar",
    /// A list that no rule names.
    UnusedList = "unused-list",
    /// A queue to which no filter sends anything.
    UnusedQueue = "unused-queue",
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// Which kind.
    pub kind: LintKind,
    /// Where, what, and what to do about it.
    pub mistake: Mistake,
}

/// Every finding in a bundle that compiles, by file and place.
#[must_use]
pub fn lint(bundle: &Bundle) -> Vec<Lint> {
    let (files, mistakes) = Files::of(bundle, |_| true, &mut || {});
    let lists = list_facts(&files);
    let mut linter = Linter { mistakes, lists, dead_tags: BTreeSet::new(), found: Vec::new() };
    linter.rules(&files);
    linter.lists(&files);
    linter.desks(&files);
    linter.calendars(&files);
    linter.filters(&files.filters);
    linter.found.sort_by(|a, b| (&a.mistake, a.kind).cmp(&(&b.mistake, b.kind)));
    linter.found
}

/// What the lints want to know of a list.
#[derive(Default)]
struct ListFacts {
    /// Its terms in the default form, each once.
    terms: BTreeSet<Literal>,
    /// Those that are short (`is_short`): thousands of rules may name the list.
    short: BTreeSet<Literal>,
    /// A term for each language in which it has one that stands in nearly every text.
    common: BTreeMap<&'static str, String>,
}

fn list_facts(files: &Files) -> BTreeMap<String, ListFacts> {
    let mut lists: BTreeMap<String, ListFacts> = BTreeMap::new();
    for list in &files.lists {
        let Some(name) = &list.name else { continue };
        let facts = lists.entry(name.value.clone()).or_default();
        for term in &list.terms {
            let Ok(literal) = words::read_list_term(&term.value, Form::default()) else { continue };
            for language in LANGUAGES.iter().filter(|language| language.is_common(&literal)) {
                facts.common.entry(language.code).or_insert_with(|| term.value.clone());
            }
            if is_short(&literal) {
                facts.short.insert(literal.clone());
            }
            facts.terms.insert(literal);
        }
    }
    lists
}

struct Linter<'f> {
    mistakes: Mistakes<'f>,
    lists: BTreeMap<String, ListFacts>,
    /// The tags that only rules give that can never match.
    dead_tags: BTreeSet<String>,
    found: Vec<Lint>,
}

impl Linter<'_> {
    fn note(&mut self, kind: LintKind, place: &Place, what: String, hint: &str) {
        let mistake = self.mistakes.placed(place, what, hint);
        self.found.push(Lint { kind, mistake });
    }

    fn known(&self) -> Known<'_> {
        Known { lists: &self.lists, dead_tags: &self.dead_tags }
    }

    fn rules(&mut self, files: &Files) {
        let parsed = |rule: &RuleText| parse(&rule.query.as_ref()?.value, Dialect::Rule(rule.form)).ok();
        let parsed: Vec<Option<Expression>> = files.rules.iter().map(parsed).collect();
        let impossible = self.impossible(&files.rules, &parsed);
        let mut queries: BTreeMap<String, (&str, &Place)> = BTreeMap::new();
        for ((rule, query), impossible) in files.rules.iter().zip(&parsed).zip(impossible) {
            let (Some(name), Some(text)) = (&rule.name, &rule.query) else { continue };
            let action = rule.action.as_ref().is_some_and(|action| action.value != RuleAction::Tag);
            let never_drop = rule.never_drop.as_ref().is_some_and(|never_drop| never_drop.value);
            let asserts = rule.class.is_some()
                || rule.category.is_some()
                || rule.priority.is_some()
                || rule.resolution.is_some();
            if rule.tags.is_empty() && !action && !never_drop && !asserts {
                let what = format!("the rule `{}` asks for nothing", name.value);
                let hint = "give it `tags`, or one of category, priority, resolution, action";
                self.note(LintKind::IdleRule, &name.place, what, hint);
            }
            let Some(query) = query else { continue };
            if impossible {
                let what = format!("the rule `{}` can never match", name.value);
                let hint = excluding(query, self.known());
                self.note(LintKind::ImpossibleRule, &text.place, what, &hint);
                continue;
            }
            self.impossible_parts(text, rule.form, query);
            if !self.short_literals(&name.value, text, query) {
                self.common_words(&name.value, text, query);
            }
            let shape = query.meaning();
            match queries.get(&shape) {
                Some((other, place)) => {
                    let where_is = self.mistakes.describe(place);
                    let what = format!("the rule `{}` has the query of `{other}` ({where_is})", name.value);
                    self.note(LintKind::SameQuery, &text.place, what, "join them: a rule may give many tags");
                }
                None => _ = queries.insert(shape, (&name.value, &text.place)),
            }
        }
    }

    /// Whether a short literal was found.
    fn short_literals(&mut self, rule: &str, text: &Located<String>, query: &Expression) -> bool {
        let mut short: Vec<(Literal, Mark)> = Vec::new();
        let mut add = |literal: &Literal, mark: Mark| {
            if is_short(literal) && !short.iter().any(|(known, _)| known == literal) {
                short.push((literal.clone(), mark));
            }
        };
        query.leaves(&mut |leaf| match leaf {
            Expression::Literal(literal, mark) => add(literal, *mark),
            Expression::List(list, mark) => {
                let facts = self.lists.get(&list.name);
                facts.iter().flat_map(|facts| &facts.short).for_each(|short| add(short, *mark));
            }
            _ => {}
        });
        short.retain(|(literal, _)| suffices(query, literal, &self.lists, true));
        for (literal, mark) in &short {
            let place = self.mistakes.inside(&text.place, mark.at, mark.length);
            let of_list = match mark.of(&text.value) {
                name if name.starts_with('$') => format!(" of `{name}`"),
                _ => String::new(),
            };
            let what = format!("for the rule `{rule}` the word `{}`{of_list} alone is enough", literal.text);
            let hint = "so short a word is common and may mean many things: join it to another with AND";
            self.note(LintKind::ShortLiteral, &place, what, hint);
        }
        !short.is_empty()
    }

    fn common_words(&mut self, rule: &str, text: &Located<String>, query: &Expression) {
        let found = LANGUAGES.iter().find_map(|language| {
            let of_list = |name: &str| self.lists.get(name)?.common.get(language.code).map(String::as_str);
            let words = common_words(query, language, &of_list, self.known())?;
            Some((language, words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>()))
        });
        let Some((language, words)) = found else { return };
        let what = format!(
            "for the rule `{rule}` words are enough that stand in nearly every {} text: {}",
            language.name,
            first_few(&words, ", ")
        );
        let hint = format!(
            "join them to a word of the matter with AND, write a phrase, or exclude the language: NOT lang:{}",
            language.code
        );
        self.note(LintKind::CommonWord, &text.place, what, &hint);
    }

    fn lists(&mut self, files: &Files) {
        let mut named: BTreeSet<String> = BTreeSet::new();
        for rule in &files.rules {
            let query =
                rule.query.as_ref().and_then(|text| parse(&text.value, Dialect::Rule(rule.form)).ok());
            query.iter().for_each(|query| {
                query.leaves(&mut |leaf| {
                    if let Expression::List(list, _) = leaf {
                        named.insert(list.name.clone());
                    }
                });
            });
        }
        let mut contents: BTreeMap<BTreeSet<Literal>, (&str, &Place)> = BTreeMap::new();
        for list in &files.lists {
            let Some(name) = &list.name else { continue };
            if !named.contains(&name.value) {
                let what = format!("no rule names the list `{}`", name.value);
                self.note(LintKind::UnusedList, &name.place, what, "name it in a query, or remove it");
            }
            let Some(content) = self.lists.get(&name.value).map(|facts| facts.terms.clone()) else {
                continue;
            };
            match contents.get(&content) {
                Some((other, place)) => {
                    let first = self.mistakes.describe(place);
                    let what = format!("the list `{}` has the terms of `{other}` ({first})", name.value);
                    self.note(LintKind::SameList, &name.place, what, "name one of them in both rules");
                }
                None => _ = contents.insert(content, (&name.value, &name.place)),
            }
        }
    }

    fn desks(&mut self, files: &Files) {
        let used = files.filters.iter().filter_map(|filter| filter.queue.as_ref());
        let used: BTreeSet<&str> =
            used.chain(&files.workflow_default).map(|name| name.value.as_str()).collect();
        for queue in &files.queues {
            let Some(name) = queue.name.as_ref().filter(|name| !used.contains(name.value.as_str())) else {
                continue;
            };
            let what = format!("no filter sends anything to the queue `{}`", name.value);
            self.note(LintKind::UnusedQueue, &name.place, what, "name it in a [[filter]], or remove it");
        }
        let busy: BTreeSet<&str> =
            files.queues.iter().filter_map(|queue| Some(queue.desk.as_ref()?.value.as_str())).collect();
        let mut partitions: BTreeMap<u32, &str> = BTreeMap::new();
        for desk in &files.desks {
            let Some(name) = &desk.name else { continue };
            if !busy.contains(name.value.as_str()) {
                let what = format!("the desk `{}` has no queue", name.value);
                self.note(LintKind::IdleDesk, &name.place, what, "give it a [[queue]], or remove it");
            }
            let Some(partition) = desk.log_partition else { continue };
            match partitions.get(&partition) {
                Some(other) => {
                    let what =
                        format!("the desks `{other}` and `{}` share log_partition {partition}", name.value);
                    let hint = "one instance then serves both; give each its own to spread the load, \
                        but never change it once a desk has cases";
                    self.note(LintKind::SharedPartition, &name.place, what, hint);
                }
                None => _ = partitions.insert(partition, &name.value),
            }
        }
    }
}

/// Whether the query can be `wanted` for a text that holds this literal and no other.
fn suffices(
    query: &Expression,
    literal: &Literal,
    lists: &BTreeMap<String, ListFacts>,
    wanted: bool,
) -> bool {
    match (query, wanted) {
        (Expression::Literal(found, _), _) => (found == literal) == wanted,
        (Expression::List(list, _), _) => {
            lists.get(&list.name).is_some_and(|facts| facts.terms.contains(literal)) == wanted
        }
        (Expression::Regex(..) | Expression::Near(..), _) => !wanted,
        (Expression::Field(..), _) => true,
        (Expression::Not(part), _) => suffices(part, literal, lists, !wanted),
        (Expression::And(parts), true) | (Expression::Or(parts), false) => {
            parts.iter().all(|part| suffices(part, literal, lists, wanted))
        }
        (Expression::Or(parts), true) | (Expression::And(parts), false) => {
            parts.iter().any(|part| suffices(part, literal, lists, wanted))
        }
    }
}

//! What a policy may say and probably does not mean: filters that can never decide, queries given twice, and so on.
//!
//! Owns the closed list of lints and how each is found. May not refuse anything: a policy with findings still serves.
//! Works on the files of a bundle that compiles, apart from `compile`, so that a start pays nothing for it. Called by
//! `triaged check` alone.

use super::RuleAction;
use super::bundle::Bundle;
use super::file::{Files, FilterText};
use super::mistake::{Mistake, Mistakes, Place};
use super::query::{Dialect, Expression, Field, parse};
use super::table::Located;
use crate::scan::Literal;
use std::collections::BTreeMap;

/// The shortest literal, in bytes, that may be enough for a rule.
const LITERAL_BYTES_MIN: usize = 3;
/// Questions that the filters compared may ask together: every combination of answers is tried.
const QUESTIONS_MAX: usize = 12;

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
    /// A desk that has no queue.
    IdleDesk = "idle-desk",
    /// A rule that gives no tag, category, priority or resolution and asks for no action.
    IdleRule = "idle-rule",
    /// Two rules with the same query.
    SameQuery = "same-query",
    /// Desks that share one partition of the desk log.
    SharedPartition = "shared-partition",
    /// A literal shorter than 3 bytes that is enough for a rule to match.
    ShortLiteral = "short-literal",
    /// A filter that can never decide.
    UnreachableFilter = "unreachable-filter",
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
    let mut mistakes = Mistakes::new(bundle.files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let mut files = Files::default();
    for (number, text) in bundle.files.values().enumerate() {
        files.read(number, text, &mut mistakes);
    }
    let mut linter = Linter { mistakes, found: Vec::new() };
    linter.rules(&files);
    linter.desks(&files);
    linter.filters(&files.filters);
    linter.found.sort_by(|a, b| (&a.mistake, a.kind).cmp(&(&b.mistake, b.kind)));
    linter.found
}

struct Linter<'f> {
    mistakes: Mistakes<'f>,
    found: Vec<Lint>,
}

impl Linter<'_> {
    fn note(&mut self, kind: LintKind, place: &Place, what: String, hint: &str) {
        let mistake = self.mistakes.placed(place, what, hint);
        self.found.push(Lint { kind, mistake });
    }

    fn rules(&mut self, files: &Files) {
        let mut queries: BTreeMap<String, (&str, &Place)> = BTreeMap::new();
        for rule in &files.rules {
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
            let Ok(query) = parse(&text.value, Dialect::Rule(rule.accents)) else { continue };
            self.short_literals(&name.value, text, &query);
            let mut shape = String::new();
            write_shape(&query, &mut shape);
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

    fn short_literals(&mut self, rule: &str, text: &Located<String>, query: &Expression) {
        let mut short: Vec<&Literal> = Vec::new();
        query.leaves(&mut |leaf| {
            if let Expression::Literal(literal, _) = leaf
                && literal.text.len() < LITERAL_BYTES_MIN
                && !short.contains(&literal)
            {
                short.push(literal);
            }
        });
        for literal in short.into_iter().filter(|literal| suffices(query, literal, true)) {
            // The normalised text may not stand in the query as it is; then the whole query is meant.
            let at = text.value.to_lowercase().find(&literal.text);
            let place = at.map_or_else(|| text.place.clone(), |at| self.mistakes.inside(&text.place, at));
            let what = format!("for the rule `{rule}` the word `{}` alone is enough", literal.text);
            let hint = "so short a word is common and may mean many things: join it to another with AND";
            self.note(LintKind::ShortLiteral, &place, what, hint);
        }
    }

    fn desks(&mut self, files: &Files) {
        let used = |queue: &str| {
            let filters = files.filters.iter().filter_map(|filter| filter.queue.as_ref());
            filters.chain(&files.workflow_default).any(|named| named.value == queue)
        };
        for queue in &files.queues {
            let Some(name) = queue.name.as_ref().filter(|name| !used(&name.value)) else { continue };
            let what = format!("no filter sends anything to the queue `{}`", name.value);
            self.note(LintKind::UnusedQueue, &name.place, what, "name it in a [[filter]], or remove it");
        }
        let mut partitions: BTreeMap<u32, &str> = BTreeMap::new();
        for desk in &files.desks {
            let Some(name) = &desk.name else { continue };
            let queues = files.queues.iter().filter_map(|queue| queue.desk.as_ref());
            if !queues.into_iter().any(|of| of.value == name.value) {
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

    fn filters(&mut self, filters: &[FilterText]) {
        let mut before: Vec<(&str, Expression)> = Vec::new();
        for filter in filters {
            let (Some(name), Some(when)) = (&filter.name, &filter.when) else { continue };
            let Ok(condition) = parse(&when.value, Dialect::Filter) else { continue };
            let name = name.value.as_str();
            if can_be(&condition, true, &[]) == Some(false) {
                let what = format!("the condition of the filter `{name}` can never hold");
                self.note(LintKind::UnreachableFilter, &when.place, what, "its parts exclude each other");
            } else if let Some(culprit) = covered_by(&condition, &before) {
                let what = format!("the filter `{name}` can never decide: {culprit} whenever it does");
                let hint = "filters are asked from top to bottom: move it up, or remove it";
                self.note(LintKind::UnreachableFilter, &when.place, what, hint);
            } else if can_be(&condition, false, &[]) == Some(false) {
                let what = format!("the filter `{name}` always holds: nothing below it is ever asked");
                let hint = "the workflow's default queue is for what no filter takes";
                self.note(LintKind::UnreachableFilter, &when.place, what, hint);
            }
            before.push((name, condition));
        }
    }
}

/// Which filters above leave nothing to this condition, in words.
fn covered_by(condition: &Expression, before: &[(&str, Expression)]) -> Option<String> {
    let one = before.iter().find(|(_, earlier)| can_be(condition, true, &[earlier]) == Some(false));
    if let Some((name, _)) = one {
        return Some(format!("`{name}` above it holds"));
    }
    let own = questions(&[condition]);
    let related: Vec<&Expression> = before
        .iter()
        .map(|(_, earlier)| earlier)
        .filter(|earlier| questions(&[*earlier]).iter().any(|question| own.contains(question)))
        .collect();
    let together = related.len() > 1 && can_be(condition, true, &related) == Some(false);
    together.then(|| "one of those above it holds".to_owned())
}

/// Whether the condition can be `wanted` where none of `before` holds; `None` when that would take too long to find out.
/// What a mention may answer to one question does not depend on another, save that some exclude each other; so `false`
/// is certain.
fn can_be(condition: &Expression, wanted: bool, before: &[&Expression]) -> Option<bool> {
    let mut all = vec![condition];
    all.extend(before);
    let asked = questions(&all);
    if asked.len() > QUESTIONS_MAX {
        return None;
    }
    let possible = |answers: u32| {
        let yes = |place: usize| answers & (1 << place) != 0;
        let apart = (0..asked.len())
            .all(|a| (0..a).all(|b| !(yes(a) && yes(b) && exclude_each_other(asked[a], asked[b]))));
        let answer = |field: &Field| asked.iter().position(|question| *question == field).is_some_and(yes);
        apart && holds(condition, &answer) == wanted && !before.iter().any(|earlier| holds(earlier, &answer))
    };
    Some((0..1_u32 << asked.len()).any(possible))
}

/// Every field question that the conditions ask, each once.
fn questions<'t>(conditions: &[&'t Expression]) -> Vec<&'t Field> {
    let mut asked: Vec<&'t Field> = Vec::new();
    for condition in conditions {
        condition.leaves(&mut |leaf| {
            if let Expression::Field(field, _) = leaf
                && !asked.contains(&field)
            {
                asked.push(field);
            }
        });
    }
    asked
}

fn exclude_each_other(a: &Field, b: &Field) -> bool {
    use Field::{Category, Kind, Network, Repost, Verified};
    match (a, b) {
        (Category(a), Category(b)) => a != b,
        (Kind(a), Kind(b)) => a != b,
        (Network(a), Network(b)) => a != b,
        (Repost(a), Repost(b)) | (Verified(a), Verified(b)) => a != b,
        _ => false,
    }
}

fn holds(condition: &Expression, answer: &impl Fn(&Field) -> bool) -> bool {
    match condition {
        // A filter asks no words.
        Expression::Literal(..) | Expression::Regex(..) | Expression::List(..) | Expression::Near(..) => {
            false
        }
        Expression::Field(field, _) => answer(field),
        Expression::Not(part) => !holds(part, answer),
        Expression::And(parts) => parts.iter().all(|part| holds(part, answer)),
        Expression::Or(parts) => parts.iter().any(|part| holds(part, answer)),
    }
}

/// Whether the query can be `wanted` for a text that holds this literal and no other.
fn suffices(query: &Expression, literal: &Literal, wanted: bool) -> bool {
    match (query, wanted) {
        (Expression::Literal(found, _), _) => (found == literal) == wanted,
        (Expression::Regex(..) | Expression::List(..) | Expression::Near(..), _) => !wanted,
        (Expression::Field(..), _) => true,
        (Expression::Not(part), _) => suffices(part, literal, !wanted),
        (Expression::And(parts), true) | (Expression::Or(parts), false) => {
            parts.iter().all(|part| suffices(part, literal, wanted))
        }
        (Expression::Or(parts), true) | (Expression::And(parts), false) => {
            parts.iter().any(|part| suffices(part, literal, wanted))
        }
    }
}

/// A query's meaning without its places and its blanks, for comparing.
fn write_shape(query: &Expression, shape: &mut String) {
    fn list<'q>(sign: &str, parts: impl IntoIterator<Item = &'q Expression>, shape: &mut String) {
        shape.push_str(sign);
        shape.push('(');
        for part in parts {
            write_shape(part, shape);
            shape.push(' ');
        }
        shape.push(')');
    }
    match query {
        Expression::Literal(literal, _) => shape.push_str(&format!("{literal:?}")),
        Expression::Regex(pattern, _) => shape.push_str(&format!("{pattern:?}")),
        Expression::List(list, _) => shape.push_str(&format!("{list:?}")),
        Expression::Near(near, _) => {
            let sign = format!("{}{}", if near.ordered { "ONEAR/" } else { "NEAR/" }, near.words_max);
            list(&sign, [&*near.left, &*near.right], shape);
        }
        Expression::Field(field, _) => shape.push_str(&format!("{field:?}")),
        Expression::Not(part) => list("!", [&**part], shape),
        Expression::And(parts) => list("&", parts, shape),
        Expression::Or(parts) => list("|", parts, shape),
    }
}

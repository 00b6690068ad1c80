//! Filters that can never decide: their condition never holds, or those above leave nothing to them.
//!
//! Owns the comparison of filters with each other. What can hold at all is `possible`'s knowledge. Called by the lints.

use super::impossible::excluding;
use super::possible::{Goal, Known, possible};
use super::{LintKind, Linter};
use crate::policy::file::FilterText;
use crate::policy::query::{Dialect, Expression, Field, parse};
use std::collections::BTreeSet;

/// How many pairs of filters that ask about the same are held against each other: those of two thousand filters that all
/// do, in about a second.
const FILTER_PAIRS_MAX: usize = 2_000_000;
/// How many filters are asked whether one of them always holds.
const COVER_FILTERS_MAX: usize = 64;

impl Linter<'_> {
    pub(super) fn filters(&mut self, filters: &[FilterText]) {
        let mut before: Vec<Earlier<'_>> = Vec::new();
        let mut pairs_left = FILTER_PAIRS_MAX;
        // The filter with which those above leave nothing to any other.
        let mut last: Option<String> = None;
        for filter in filters {
            let (Some(name), Some(when)) = (&filter.name, &filter.when) else { continue };
            let Ok(condition) = parse(&when.value, Dialect::Filter) else { continue };
            let name = name.value.as_str();
            let subjects = subjects(&condition);
            let known = self.known();
            let always = possible(&[(&condition, false)], known) == Some(false);
            if possible(&[(&condition, true)], known) == Some(false) {
                let what = format!("the condition of the filter `{name}` can never hold");
                let hint = excluding(&condition, known);
                self.note(LintKind::UnreachableFilter, &when.place, what, &hint);
            } else if let Some(culprit) = covered_by(&condition, &subjects, &before, known, &mut pairs_left) {
                let what = format!("the filter `{name}` can never decide: {culprit} whenever it does");
                let hint = "filters are asked from top to bottom: move it up, or remove it";
                self.note(LintKind::UnreachableFilter, &when.place, what, hint);
            } else if let Some(last) = &last {
                let what =
                    format!("the filter `{name}` can never decide: `{last}` or one above it always holds");
                let hint = "filters are asked from top to bottom: move it up, or remove it";
                self.note(LintKind::UnreachableFilter, &when.place, what, hint);
            } else if always {
                let what = format!("the filter `{name}` always holds: nothing below it is ever asked");
                let hint = "the workflow's default queue is for what no filter takes";
                self.note(LintKind::UnreachableFilter, &when.place, what, hint);
            }
            before.push(Earlier { name, condition, subjects, always });
            if last.is_none() && leave_nothing(&before, self.known(), &mut pairs_left) {
                last = Some(name.to_owned());
            }
        }
    }
}

/// A filter above the one that is looked at.
struct Earlier<'f> {
    name: &'f str,
    condition: Expression,
    subjects: BTreeSet<String>,
    /// Whether it always holds.
    always: bool,
}

/// Which filters above leave nothing to this condition, in words; of the filters that are related to it `pairs_left` are
/// looked at and taken off it.
fn covered_by(
    condition: &Expression,
    own: &BTreeSet<String>,
    before: &[Earlier<'_>],
    known: Known<'_>,
    pairs_left: &mut usize,
) -> Option<String> {
    let leaves_nothing = |goals: &[Goal<'_>]| possible(goals, known) == Some(false);
    // Filters that ask about nothing in common cannot cover each other.
    let related = before.iter().filter(|earlier| !earlier.subjects.is_disjoint(own));
    let related: Vec<&Earlier<'_>> = related.take(*pairs_left).collect();
    *pairs_left -= related.len();
    let covers = |earlier: &&&Earlier<'_>| leaves_nothing(&[(condition, true), (&earlier.condition, false)]);
    let one = before.iter().find(|earlier| earlier.always).or_else(|| related.iter().find(covers).copied());
    if let Some(earlier) = one {
        return Some(format!("`{}` above it holds", earlier.name));
    }
    let mut goals: Vec<Goal<'_>> = related.iter().map(|earlier| (&earlier.condition, false)).collect();
    goals.push((condition, true));
    (related.len() > 1 && leaves_nothing(&goals)).then(|| "one of those above it holds".to_owned())
}

/// Whether the last of these filters and those that are related to it, also by others, leave nothing to any below, so
/// that one of them always holds.
fn leave_nothing(filters: &[Earlier<'_>], known: Known<'_>, pairs_left: &mut usize) -> bool {
    let Some((last, above)) = filters.split_last() else { return false };
    let mut subjects = last.subjects.clone();
    let mut related = vec![last];
    let mut others: Vec<&Earlier<'_>> = above.iter().collect();
    loop {
        let (joined, apart): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|earlier| !earlier.subjects.is_disjoint(&subjects));
        *pairs_left = pairs_left.saturating_sub(joined.len() + apart.len());
        subjects.extend(joined.iter().flat_map(|earlier| earlier.subjects.iter().cloned()));
        let grown = !joined.is_empty();
        related.extend(joined);
        others = apart;
        if !grown {
            break;
        }
        if related.len() > COVER_FILTERS_MAX || *pairs_left == 0 {
            return false;
        }
    }
    let goals: Vec<Goal<'_>> = related.iter().map(|earlier| (&earlier.condition, false)).collect();
    related.len() > 1 && possible(&goals, known) == Some(false)
}

/// What a condition asks about.
fn subjects(condition: &Expression) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    condition.leaves(&mut |leaf| {
        if let Expression::Field(field, _) = leaf {
            found.insert(match field {
                Field::Tag(tag) => format!("tag:{tag}"),
                other => format!("{:?}", std::mem::discriminant(other)),
            });
        }
    });
    found
}

//! Filters that can never decide: their condition never holds, or those above leave nothing to them.
//!
//! Owns the comparison of filters with each other. What can hold at all is `possible`'s knowledge. Called by the lints.

use super::possible::{Goal, possible};
use super::{LintKind, Linter, excluding};
use crate::policy::file::FilterText;
use crate::policy::query::{Dialect, Expression, Field, parse};
use std::collections::BTreeSet;

/// How many pairs of filters that ask about the same are held against each other: those of two thousand filters that all
/// do, in about a second.
const FILTER_PAIRS_MAX: usize = 2_000_000;

impl Linter<'_> {
    pub(super) fn filters(&mut self, filters: &[FilterText]) {
        let mut before: Vec<Earlier<'_>> = Vec::new();
        let mut pairs_left = FILTER_PAIRS_MAX;
        for filter in filters {
            let (Some(name), Some(when)) = (&filter.name, &filter.when) else { continue };
            let Ok(condition) = parse(&when.value, Dialect::Filter) else { continue };
            let name = name.value.as_str();
            let subjects = subjects(&condition);
            let always = possible(&[(&condition, false)]) == Some(false);
            if possible(&[(&condition, true)]) == Some(false) {
                let what = format!("the condition of the filter `{name}` can never hold");
                self.note(LintKind::UnreachableFilter, &when.place, what, &excluding(&condition));
            } else if let Some(culprit) = covered_by(&condition, &subjects, &before, &mut pairs_left) {
                let what = format!("the filter `{name}` can never decide: {culprit} whenever it does");
                let hint = "filters are asked from top to bottom: move it up, or remove it";
                self.note(LintKind::UnreachableFilter, &when.place, what, hint);
            } else if always {
                let what = format!("the filter `{name}` always holds: nothing below it is ever asked");
                let hint = "the workflow's default queue is for what no filter takes";
                self.note(LintKind::UnreachableFilter, &when.place, what, hint);
            }
            before.push(Earlier { name, condition, subjects, always });
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
    pairs_left: &mut usize,
) -> Option<String> {
    let leaves_nothing = |goals: &[Goal<'_>]| possible(goals) == Some(false);
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

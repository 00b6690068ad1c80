//! Rules that can never match, and why.
//!
//! Owns the round through all rules: one that asks for a tag which only such rules give can never match either. Whether a
//! query can hold is `possible`'s knowledge. Called by the lints.

use super::Linter;
use super::possible::{Known, possible};
use crate::policy::file::RuleText;
use crate::policy::mistake::{NAMES_SHOWN_MAX, first_few};
use crate::policy::query::{Expression, Field};
use std::collections::BTreeSet;

/// How many parts of a query that can never hold are left out in turn, to find those that exclude each other.
const PARTS_WEIGHED_MAX: usize = 64;

impl Linter<'_> {
    /// Whether each rule can never match, and with that the tags that nothing gives.
    pub(super) fn impossible(&mut self, rules: &[RuleText], queries: &[Option<Expression>]) -> Vec<bool> {
        let mut never = vec![false; rules.len()];
        let mut open: Vec<usize> = (0..rules.len()).collect();
        loop {
            for at in open {
                let query = queries[at].as_ref();
                never[at] =
                    query.is_some_and(|query| possible(&[(query, true)], self.known()) == Some(false));
            }
            let tags_of = |wanted: bool| {
                let chosen = rules.iter().zip(&never).filter(move |(_, never)| **never == wanted);
                chosen.flat_map(|(rule, _)| rule.tags.iter().map(|tag| tag.value.as_str()))
            };
            let alive: BTreeSet<&str> = tags_of(false).collect();
            let dead: BTreeSet<String> =
                tags_of(true).filter(|tag| !alive.contains(tag)).map(str::to_owned).collect();
            let news: BTreeSet<&String> = dead.difference(&self.dead_tags).collect();
            let asks = |query: &Expression| dead_tags_of(query, |tag| news.contains(tag)).next().is_some();
            open =
                (0..rules.len()).filter(|&at| !never[at] && queries[at].as_ref().is_some_and(asks)).collect();
            self.dead_tags = dead;
            if open.is_empty() {
                return never;
            }
        }
    }
}

/// Which parts of a query that cannot hold stand in each other's way: those without which the others could.
pub(super) fn excluding(query: &Expression, known: Known<'_>) -> String {
    let alive = Known { dead_tags: &BTreeSet::new(), ..known };
    if possible(&[(query, true)], alive) != Some(false) {
        let dead = dead_tags_of(query, |tag| known.dead_tags.contains(tag)).map(|tag| format!("`{tag}`"));
        let dead: BTreeSet<String> = dead.collect();
        let dead: Vec<String> = dead.into_iter().collect();
        return format!("no rule that gives the tag {} can ever match", first_few(&dead, " or "));
    }
    let parts = match query {
        Expression::And(parts) if parts.len() <= PARTS_WEIGHED_MAX => parts.as_slice(),
        _ => &[],
    };
    let others = |left_out: usize| {
        let kept = parts.iter().enumerate().filter(|(at, _)| *at != left_out);
        possible(&kept.map(|(_, part)| (part, true)).collect::<Vec<_>>(), known)
    };
    let culprits: Vec<String> = (0..parts.len())
        .filter(|&at| others(at) != Some(false))
        .map(|at| format!("`{}`", parts[at].spelled()))
        .collect();
    match &culprits[..] {
        [first @ .., last] if (1..NAMES_SHOWN_MAX).contains(&first.len()) => {
            format!("{} and {last} exclude each other", first.join(", "))
        }
        _ => "its parts exclude each other".to_owned(),
    }
}

/// The tags that a query asks for and of which this holds.
fn dead_tags_of(query: &Expression, is_dead: impl Fn(&String) -> bool) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    query.leaves(&mut |leaf| {
        if let Expression::Field(Field::Tag(tag), _) = leaf
            && is_dead(tag)
        {
            found.push(tag.clone());
        }
    });
    found.into_iter()
}

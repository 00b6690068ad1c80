//! What must be seen for a rule to be worth running, and of several such sets the rarest.
//!
//! Owns the choice. Any set that it gives is right: a rule can be true only if one member was seen or given. Which one
//! it is decides how often the rule runs in vain. Called when a policy is compiled.

use super::steps::Atom;
use crate::policy::Category;
use crate::policy::query::{Expression, Field, ListTerm, Pattern};
use crate::scan::Literal;

/// Something without which a rule is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A literal, or any of a group, is seen.
    Atom(Atom),
    /// One of the letters is seen without which a pattern does not match, by what [`Weights::pattern`] calls them.
    Letters(u32),
    /// A matching rule gives this tag.
    Tag(u32),
    /// A matching rule asserts this category.
    Category(Category),
}

/// Who knows how rare things are.
pub trait Weights {
    /// The number of a word or phrase and in how many of a million texts it stands.
    fn literal(&self, literal: &Literal) -> (Atom, u64);
    /// The same for a list.
    fn list(&self, list: &ListTerm) -> (Atom, u64);
    /// The letters without which a pattern does not match; none if there are none, or as long as patterns are not to be
    /// looked up.
    fn pattern(&self, pattern: &Pattern) -> Option<(u32, u64)>;
    /// The number of a tag.
    fn tag(&self, tag: &str) -> u32;
}

/// In how many of a million texts a tag or a category is taken to be given: rarer than a frequent word, more frequent
/// than most.
const GIVEN_PER_MILLION: u64 = 5_000;

/// Triggers with how often at least one of them is there, of a million texts and by estimate.
struct Set {
    members: Vec<Trigger>,
    per_million: u64,
}

impl Set {
    fn one(member: Trigger, per_million: u64) -> Option<Set> {
        Some(Set { members: vec![member], per_million })
    }
}

/// Of all sets of which at least one member is there whenever the expression is true, one that is rare; each member once.
/// None when it can be true without any, as `NOT giveaway` can.
pub fn choose(expression: &Expression, weights: &impl Weights) -> Option<Vec<Trigger>> {
    let mut members = set(expression, true, weights)?.members;
    assert!(!members.is_empty(), "a set of triggers has a member");
    members.sort_unstable();
    members.dedup();
    Some(members)
}

fn set(expression: &Expression, wanted: bool, weights: &impl Weights) -> Option<Set> {
    let of_atom = |(atom, per_million)| Set::one(Trigger::Atom(atom), per_million);
    match (expression, wanted) {
        (Expression::Literal(literal, _), true) => of_atom(weights.literal(literal)),
        (Expression::List(list, _), true) => of_atom(weights.list(list)),
        (Expression::Regex(pattern, _), true) => {
            let (letters, per_million) = weights.pattern(pattern)?;
            Set::one(Trigger::Letters(letters), per_million)
        }
        (Expression::Near(near, _), true) => rarest([&*near.left, &*near.right].into_iter(), true, weights),
        (Expression::Field(Field::Tag(tag), _), true) => {
            Set::one(Trigger::Tag(weights.tag(tag)), GIVEN_PER_MILLION)
        }
        // A mention for which no rule asserts a category is of this one.
        (Expression::Field(Field::Category(Category::General), _), true) => None,
        (Expression::Field(Field::Category(category), _), true) => {
            Set::one(Trigger::Category(*category), GIVEN_PER_MILLION)
        }
        (Expression::Literal(..) | Expression::List(..) | Expression::Near(..), false)
        | (Expression::Regex(..), false)
        | (Expression::Field(..), _) => None,
        (Expression::Not(part), _) => set(part, !wanted, weights),
        // "Not all of them" is "one of them not", and the other way round.
        (Expression::And(parts), true) | (Expression::Or(parts), false) => {
            rarest(parts.iter(), wanted, weights)
        }
        (Expression::Or(parts), true) | (Expression::And(parts), false) => {
            let mut all = Set { members: Vec::new(), per_million: 0 };
            for part in parts {
                let part = set(part, wanted, weights)?;
                all.members.extend(part.members);
                all.per_million += part.per_million;
            }
            Some(all)
        }
    }
}

/// Of the parts of an AND any one will do: the rarest, then the one with the fewest members.
fn rarest<'t>(
    parts: impl Iterator<Item = &'t Expression>,
    wanted: bool,
    weights: &impl Weights,
) -> Option<Set> {
    let sets = parts.filter_map(|part| set(part, wanted, weights));
    sets.min_by_key(|set| (set.per_million, set.members.len()))
}

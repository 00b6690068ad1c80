//! Whether a query can hold at all, and under which assumptions.
//!
//! Owns the search for a mention that makes queries true or false. It knows what fields exclude of each other, which
//! word holds which, what lists hold and which tags nothing gives; it knows nothing of distances and patterns but that each is
//! what it is. So `Some(false)` is certain, `Some(true)` is not. Called by the lints.

use super::ListFacts;
use super::common::Language;
use crate::model::Visibility;
use crate::policy::Category;
use crate::policy::query::{Expression, Field, Form, ListTerm};
use crate::scan::Literal;
use crate::text::{Edges, bounded};
use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

/// How many steps one search may take. A query of a thousand ORs takes a few thousand.
const STEPS_MAX: usize = 20_000;
/// The kinds that a mention can have, one of which it has.
const KINDS: usize = 6;

/// A query and what it is to be.
pub type Goal<'t> = (&'t Expression, bool);

/// The longest literal, in bytes, of which each part is looked for in a list.
const WHOLE_BYTES_MAX: usize = 64;

/// What is known of the names in a query.
#[derive(Clone, Copy)]
pub struct Known<'l> {
    /// By name.
    pub lists: &'l BTreeMap<String, ListFacts>,
    /// The tags that only rules give that can never match.
    pub dead_tags: &'l BTreeSet<String>,
}

impl<'l> Known<'l> {
    /// The terms of a list; none when they are not known in the form in which it is looked for.
    fn terms(self, list: &ListTerm) -> Option<&'l BTreeSet<Literal>> {
        self.lists.get(&list.name).filter(|_| list.form == Form::default()).map(|facts| &facts.terms)
    }
}

/// Whether all goals can be reached together; `None` when that takes too long to find out.
pub fn possible(goals: &[Goal<'_>], known: Known<'_>) -> Option<bool> {
    Search { assumed: Vec::new(), known, common: None, steps: 0 }.reach(goals.to_vec())
}

/// Gives a word of a list that is common in the language in question.
pub type CommonTerm<'l> = &'l dyn Fn(&str) -> Option<&'l str>;

/// The words that make a query true in texts that hold nothing but the most frequent words of a language; none when no
/// such text does, or when it needs no words.
pub fn common_words<'t>(
    query: &'t Expression,
    language: &'t Language,
    of_list: CommonTerm<'t>,
    known: Known<'t>,
) -> Option<Vec<&'t str>> {
    let lang = Field::Lang(language.code.to_owned());
    let common = Some((language, of_list));
    let mut search = Search { assumed: vec![(Fact::Field(&lang), true)], known, common, steps: 0 };
    if search.reach(vec![(query, true)]) != Some(true) {
        return None;
    }
    let seen = |leaf: &Expression| {
        search.assumed.iter().any(|(fact, holds)| match (fact, leaf) {
            (Fact::Literal(assumed), Expression::Literal(literal, _)) => *holds && *assumed == literal,
            (Fact::Other(Expression::List(assumed, _)), Expression::List(list, _)) => {
                *holds && assumed == list
            }
            _ => false,
        })
    };
    let mut words: Vec<&'t str> = Vec::new();
    query.leaves(&mut |leaf| {
        words.extend(match leaf {
            Expression::Literal(literal, _) if seen(leaf) => Some(literal.text.as_str()),
            Expression::List(list, _) if seen(leaf) => of_list(&list.name),
            _ => None,
        });
    });
    let mut known = BTreeSet::new();
    words.retain(|word| known.insert(*word));
    (!words.is_empty()).then_some(words)
}

/// What is assumed of a mention.
#[derive(Clone, Copy)]
enum Fact<'t> {
    Field(&'t Field),
    Literal(&'t Literal),
    /// A pattern, a list or a distance.
    Other(&'t Expression),
}

struct Search<'t, 'l> {
    assumed: Vec<(Fact<'t>, bool)>,
    known: Known<'l>,
    /// If given, the text has no other words than the most frequent ones of this language.
    common: Option<(&'l Language, CommonTerm<'l>)>,
    steps: usize,
}

impl<'t> Search<'t, '_> {
    /// Whether the goals can be reached under what is assumed. If so, what was assumed to reach them is kept.
    fn reach(&mut self, mut goals: Vec<Goal<'t>>) -> Option<bool> {
        let mut choices: Vec<Goal<'t>> = Vec::new();
        while let Some((goal, wanted)) = goals.pop() {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return None;
            }
            match (goal, wanted) {
                (Expression::Not(part), _) => goals.push((part, !wanted)),
                (Expression::And(parts), true) | (Expression::Or(parts), false) => {
                    goals.extend(parts.iter().map(|part| (part, wanted)));
                }
                (Expression::And(_), false) | (Expression::Or(_), true) => choices.push((goal, wanted)),
                (Expression::Near(near, _), true) => {
                    goals.extend([(&*near.left, true), (&*near.right, true)]);
                    if !self.assume(Fact::Other(goal), true) {
                        return Some(false);
                    }
                }
                _ => {
                    let fact = match goal {
                        Expression::Field(field, _) => Fact::Field(field),
                        Expression::Literal(literal, _) => Fact::Literal(literal),
                        other => Fact::Other(other),
                    };
                    if !self.assume(fact, wanted) {
                        return Some(false);
                    }
                }
            }
        }
        // The choice with the fewest ways first: it fails soonest.
        let Some(at) = (0..choices.len()).min_by_key(|&at| ways(choices[at].0).len()) else {
            return Some(true);
        };
        let (choice, wanted) = choices.swap_remove(at);
        let mut certain = true;
        for part in ways(choice) {
            let (assumed, mut goals) = (self.assumed.len(), choices.clone());
            goals.push((part, wanted));
            match self.reach(goals) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => certain = false,
            }
            self.assumed.truncate(assumed);
        }
        certain.then_some(false)
    }

    /// Adds a fact; false when it contradicts what is assumed.
    fn assume(&mut self, fact: Fact<'t>, holds: bool) -> bool {
        let rare = match (fact, self.common) {
            (Fact::Literal(literal), Some((language, _))) => !language.is_common(literal),
            (Fact::Other(Expression::List(list, _)), Some((_, of_list))) => of_list(&list.name).is_none(),
            (Fact::Other(Expression::Regex(..)), Some(_)) => true,
            _ => false,
        };
        if holds && rare {
            return false;
        }
        self.assumed.push((fact, holds));
        match fact {
            Fact::Field(Field::Tag(tag)) if holds && self.known.dead_tags.contains(tag) => false,
            Fact::Field(field) => self.agrees(field),
            Fact::Literal(_) => self.words_agree(fact, holds),
            Fact::Other(other) => {
                let meaning = other.meaning();
                self.assumed.iter().all(|(fact, other_holds)| match fact {
                    Fact::Other(other) => *other_holds == holds || other.meaning() != meaning,
                    _ => true,
                }) && self.words_agree(fact, holds)
            }
        }
    }

    /// Whether a text can have and lack the words that it must, now that it has or lacks those of this fact.
    fn words_agree(&self, fact: Fact<'t>, holds: bool) -> bool {
        let is_words = |fact| matches!(fact, Fact::Literal(_) | Fact::Other(Expression::List(..)));
        match holds {
            _ if !is_words(fact) => true,
            true => !self.is_denied(fact),
            false => self.assumed.iter().all(|(other, holds)| !holds || !self.is_denied(*other)),
        }
    }

    /// Whether what a text must lack leaves no way for it to hold this word, or one of this list.
    fn is_denied(&self, fact: Fact<'t>) -> bool {
        let lacking = || self.assumed.iter().filter(|(_, holds)| !holds).map(|(lacks, _)| *lacks);
        let is_lacking = |literal: &Literal| {
            lacking().any(|lacks| match lacks {
                Fact::Literal(other) => implies(literal, other),
                Fact::Other(Expression::List(list, _)) => {
                    self.known.terms(list).is_some_and(|terms| holds_one(literal, terms))
                }
                _ => false,
            })
        };
        match fact {
            Fact::Literal(literal) => is_lacking(literal),
            Fact::Other(Expression::List(list, _)) => {
                self.known.terms(list).is_some_and(|terms| terms.iter().all(is_lacking))
            }
            _ => false,
        }
    }

    /// Whether a mention can be as all facts about the subject of this field say.
    fn agrees(&self, field: &Field) -> bool {
        let same: Vec<(&Field, bool)> = self
            .assumed
            .iter()
            .filter_map(|(fact, holds)| match fact {
                Fact::Field(other) if discriminant(*other) == discriminant(field) => Some((*other, *holds)),
                _ => None,
            })
            .collect();
        let is = || same.iter().filter(|(_, holds)| *holds).map(|(field, _)| *field);
        let is_not = || same.iter().filter(|(_, holds)| !*holds).map(|(field, _)| *field);
        if is().any(|one| is_not().any(|other| one == other)) {
            return false;
        }
        let values = match field {
            // A mention has many of these, or none.
            Field::Tag(_) | Field::Has(_) => return true,
            Field::Lang(_) => {
                return languages_agree(&is().collect::<Vec<_>>(), &is_not().collect::<Vec<_>>());
            }
            Field::Followers(_) => {
                return followers_agree(&is().collect::<Vec<_>>(), &is_not().collect::<Vec<_>>());
            }
            Field::Verified(_) | Field::Repost(_) | Field::Promoted(_) => 2,
            Field::Visibility(_) => [Visibility::Public, Visibility::Private].len(),
            Field::Kind(_) => KINDS,
            Field::Category(_) => Category::ALL.len(),
            Field::Network(_) | Field::Account(_) | Field::Author(_) => usize::MAX,
        };
        let mut excluded: Vec<&Field> = is_not().collect();
        excluded.sort_unstable();
        excluded.dedup();
        is().all(|one| is().all(|other| one == other)) && excluded.len() < values
    }
}

fn ways(choice: &Expression) -> &[Expression] {
    match choice {
        Expression::And(parts) | Expression::Or(parts) => parts,
        _ => &[],
    }
}

/// Whether one language is, or is a variety of, all these and none of those.
fn languages_agree(is: &[&Field], is_not: &[&Field]) -> bool {
    let within = |narrow: &Field, wide: &Field| match (narrow, wide) {
        (Field::Lang(narrow), Field::Lang(wide)) => {
            narrow.strip_prefix(wide.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        }
        _ => false,
    };
    let related = is.iter().all(|one| is.iter().all(|other| within(one, other) || within(other, one)));
    related && !is.iter().any(|one| is_not.iter().any(|other| within(one, other)))
}

/// Whether a number is inside all these bounds and outside of all those.
fn followers_agree(is: &[&Field], is_not: &[&Field]) -> bool {
    let bounds = |field: &&Field| match field {
        Field::Followers(bounds) => Some(*bounds),
        _ => None,
    };
    let least = is.iter().filter_map(bounds).map(|bounds| bounds.least).max().unwrap_or(0);
    let most = is.iter().filter_map(bounds).map(|bounds| bounds.most).min().unwrap_or(u64::MAX);
    let mut outside: Vec<_> = is_not.iter().filter_map(bounds).collect();
    outside.sort_unstable();
    // The smallest number that nothing excludes so far.
    let mut free = Some(least);
    for bounds in outside {
        if let Some(number) = free.filter(|number| bounds.holds(*number)) {
            free = bounds.most.checked_add(1).map(|next| next.max(number));
        }
    }
    free.is_some_and(|number| number <= most)
}

/// Whether every text that holds `one` holds `other`: `"tv broken"` holds `tv`, and `tv` is no part of `*tv`'s words.
fn implies(one: &Literal, other: &Literal) -> bool {
    if one.form != other.form {
        return false;
    }
    let (text, part) = (one.text.as_str(), other.text.as_str());
    let starts = text.char_indices().map(|(start, _)| start).filter(|&start| text[start..].starts_with(part));
    starts.into_iter().any(|start| {
        let end = start + part.len();
        // At an open end of `one`, letters may follow that `other` does not allow.
        let left = start > 0 || one.edges != Edges::Suffix || other.edges == Edges::Suffix;
        let right = end < text.len() || one.edges != Edges::Prefix || other.edges == Edges::Prefix;
        left && right && bounded(text, start, end, other.edges)
    })
}

/// Whether every text that holds this literal holds a term of a list; long literals are only looked for whole.
fn holds_one(literal: &Literal, terms: &BTreeSet<Literal>) -> bool {
    if terms.contains(literal) {
        return true;
    }
    let text = literal.text.as_str();
    if text.len() > WHOLE_BYTES_MAX {
        return false;
    }
    let mut part = Literal { text: String::with_capacity(text.len()), ..literal.clone() };
    let is_term = |edges, part: &mut Literal| {
        part.edges = edges;
        terms.contains(part) && implies(literal, part)
    };
    text.char_indices().any(|(start, _)| {
        part.text.clear();
        text[start..].chars().any(|character| {
            part.text.push(character);
            [Edges::Whole, Edges::Prefix, Edges::Suffix].into_iter().any(|edges| is_term(edges, &mut part))
        })
    })
}

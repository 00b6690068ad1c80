//! From queries to programs: what is looked for gets its number, and each rule the triggers under which it is run.
//!
//! Owns the numbering of literals and groups. A group is what many literals stand for together: a named list, which
//! thousands of rules may share and none copies; an emoji in all its skin tones; the words of a NOT. Called when a policy
//! is compiled.

use super::index::{Asking, Entry, Index};
use super::rarity;
use super::steps::{Atom, Names, Programs};
use super::trigger::{Trigger, Weights, choose};
use super::{RulePrograms, number};
use crate::policy::RuleIndex;
use crate::policy::query::{Expression, ListTerm, Lists, Pattern, regex, tone_variants};
use crate::scan::Literal;
use crate::text::{Edges, Form, Forms};
use siphasher::sip::SipHasher13;
use std::hash::BuildHasherDefault;

/// Seeded the same on every host; its order is never read.
type HashMap<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<SipHasher13>>;

/// A word that one rule in so many names is what the mentions are about, however rare the word is elsewhere.
const RULES_PER_SUBJECT: u64 = 100;
/// Below so many rules that name it a word is no such subject.
const SUBJECT_RULES_MIN: u64 = 8;
/// Of a million texts, how many hold a word that all rules name.
const SUBJECT_PER_MILLION: u64 = 300_000;
/// Of a million texts, how many may hold the letters that a rule is looked up by: of more it is run for every one.
const LETTERS_PER_MILLION_MAX: u64 = 500_000;
/// From so many words on the alternatives of a rule that is run for every mention become a group.
const ANY_PARTS_MIN: usize = 3;

/// Everything that is looked for, numbered as it is met.
struct Numbering<'q, T> {
    lists: &'q Lists,
    tags: T,
    rules: u64,
    atoms: HashMap<Literal, Atom>,
    literals: Vec<Known>,
    groups: Vec<Vec<u32>>,
    /// By group.
    group_facts: Vec<Facts>,
    known_lists: HashMap<&'q ListTerm, u32>,
    known_groups: HashMap<Vec<u32>, u32>,
    /// The patterns of the query that is compiled, if it has nothing else to be looked up by: the letters without which
    /// each does not match, and in how many of a million texts they stand.
    letters: Vec<(&'q Pattern, Vec<Literal>, u64)>,
    /// Whether the query that is compiled is run for every mention.
    always: bool,
}

/// How rare something is by itself, and how many leaves of queries name it.
#[derive(Clone, Copy)]
struct Facts {
    per_million: u64,
    uses: u64,
}

struct Known {
    literal: Literal,
    facts: Facts,
}

/// Compiles the rules' queries, in the order of their indices; see [`RulePrograms::new`].
pub fn build(
    queries: &[Expression],
    lists: &Lists,
    tag: &impl Fn(&str) -> u32,
    askers: Vec<RuleIndex>,
    step: &mut dyn FnMut(),
) -> (RulePrograms, Vec<Literal>) {
    let mut numbering = Numbering {
        lists,
        tags: tag,
        rules: queries.len() as u64,
        atoms: HashMap::default(),
        literals: Vec::new(),
        groups: Vec::new(),
        group_facts: Vec::new(),
        known_lists: HashMap::default(),
        known_groups: HashMap::default(),
        letters: Vec::new(),
        always: false,
    };
    numbering.count(queries, step);
    let places: HashMap<RuleIndex, u32> =
        askers.iter().enumerate().map(|(place, &rule)| (rule, number(place))).collect();
    let mut programs = Programs::default();
    let mut always = Vec::new();
    let mut asking = Asking::new(askers);
    let mut triggered: Vec<(Atom, Entry)> = Vec::new();
    for (place, query) in queries.iter().enumerate() {
        step();
        let rule = RuleIndex::new(place);
        let asker = places.get(&rule).copied();
        let triggers = numbering.triggers(query);
        numbering.always = triggers.is_none();
        programs.push(query, &mut numbering);
        let entry = asker.map_or(Entry::rule(rule), Entry::asker);
        match (triggers, asker) {
            (None, None) => always.push(rule),
            (None, Some(asker)) => asking.always.push(asker),
            (Some(triggers), _) => triggers.into_iter().for_each(|trigger| match (trigger, asker) {
                (Trigger::Atom(atom), _) => triggered.push((atom, entry)),
                (Trigger::Letters(letters), _) => triggered.push((numbering.letters(letters), entry)),
                (Trigger::Tag(tag), Some(asker)) => asking.wait_for_tag(tag, asker),
                (Trigger::Category(category), Some(asker)) => asking.wait_for_category(category, asker),
                (Trigger::Tag(_) | Trigger::Category(_), None) => {
                    unreachable!("invariant: who asks for tags or categories is among the askers")
                }
            }),
        }
    }
    programs.finish();
    let patterns = compiled(&programs);
    for (group, members) in numbering.groups.iter().enumerate() {
        let entry = Entry::group(number(group));
        triggered.extend(members.iter().map(|&literal| (Atom::Literal(literal), entry)));
    }
    let mut literals: Vec<Literal> = numbering.literals.into_iter().map(|known| known.literal).collect();
    literals.shrink_to_fit();
    let forms = patterns.iter().map(|(_, form)| *form).chain(literals.iter().map(|literal| literal.form));
    let rules = RulePrograms {
        by_literal: Index::new(literals.len(), of_kind(&triggered, false)),
        by_group: Index::new(numbering.groups.len(), of_kind(&triggered, true)),
        forms: forms.fold(Forms::default(), Forms::with),
        programs,
        patterns,
        always,
        asking,
    };
    (rules, literals)
}

/// The regular expressions of the programs.
fn compiled(programs: &Programs) -> Vec<(regex::Compiled, Form)> {
    let compile = |pattern: &Pattern| {
        let regex = regex::Compiled::new(pattern);
        (regex.expect("invariant: a pattern was compiled when its query was read"), pattern.form)
    };
    programs.patterns().iter().map(compile).collect()
}

/// What follows from each group, or from each literal.
fn of_kind(triggered: &[(Atom, Entry)], group: bool) -> Vec<(u32, Entry)> {
    let chosen = triggered.iter().filter_map(|(atom, entry)| match atom {
        Atom::Literal(literal) => (!group).then_some((*literal, *entry)),
        Atom::Group(of) => group.then_some((*of, *entry)),
    });
    chosen.collect()
}

impl<'q, T: Fn(&str) -> u32> Numbering<'q, T> {
    /// Counts what all queries name: none can be weighed before that.
    fn count(&mut self, queries: &'q [Expression], step: &mut dyn FnMut()) {
        for query in queries {
            step();
            query.leaves(&mut |leaf| match leaf {
                Expression::Literal(literal, _) => self.count_literal(literal),
                Expression::List(list, _) => self.count_list(list),
                _ => {}
            });
        }
    }

    fn count_literal(&mut self, literal: &Literal) {
        let atom = self.atom(literal);
        self.facts_mut(atom).uses += 1;
    }

    fn count_list(&mut self, list: &'q ListTerm) {
        let group = match self.known_lists.get(list) {
            Some(&group) => group,
            None => {
                let terms =
                    self.lists.get(&list.name).map_or_else(Vec::new, |terms| terms.literals(list.form));
                let mut members = Vec::with_capacity(terms.len());
                for term in &terms {
                    match self.atom(term) {
                        Atom::Literal(literal) => members.push(literal),
                        Atom::Group(toned) => members.extend_from_slice(&self.groups[toned as usize]),
                    }
                }
                let group = self.group(members);
                self.known_lists.insert(list, group);
                group
            }
        };
        self.facts_mut(Atom::Group(group)).uses += 1;
    }

    /// What must be seen or given for this query to be worth running; none if it is run for every mention.
    fn triggers(&mut self, query: &'q Expression) -> Option<Vec<Trigger>> {
        self.letters.clear();
        if let Some(triggers) = choose(query, self) {
            return Some(triggers);
        }
        self.weigh_patterns(query);
        choose(query, self)
    }

    /// Finds the letters without which the patterns of this query do not match. Only a query that would be run for every
    /// mention asks for that: its letters stand anywhere in a word, so they are looked for by the matcher that reads every
    /// byte. That is worth its time beside patterns, which do the same each for itself, and not beside words: with 20,000
    /// made posts 200 patterns alone in their rules cost 49 us a post when each was run, and 0.5 us so; the matcher's
    /// time stayed at 1 to 2 us (a loaded machine, unoptimised build). That makes a quarter of a microsecond for each
    /// pattern that is not run: a policy of a few patterns, and nothing else for that matcher, may gain nothing.
    fn weigh_patterns(&mut self, query: &'q Expression) {
        query.leaves(&mut |leaf| {
            let Expression::Regex(pattern, _) = leaf else { return };
            let of_text = |text| Literal { text, form: pattern.form, edges: Edges::Anywhere };
            let weight = |set: &Vec<Literal>| set.iter().map(|one| u64::from(rarity::per_million(one))).sum();
            let sets = regex::required(pattern).into_iter().map(|set| set.into_iter().map(of_text).collect());
            let sets = sets.map(|set| (weight(&set), set));
            let rarest = sets.filter(|(weight, _)| *weight <= LETTERS_PER_MILLION_MAX).min();
            self.letters.extend(rarest.map(|(per_million, set): (u64, _)| (pattern, set, per_million)));
        });
    }

    /// The number of letters that were chosen. They have no tones but those that they are written with.
    fn letters(&mut self, chosen: u32) -> Atom {
        let mut members = Vec::new();
        for literal in self.letters[chosen as usize].1.clone() {
            members.push(match self.atoms.get(&literal) {
                Some(Atom::Literal(known)) => *known,
                _ => {
                    let number = self.new_literal(literal.clone());
                    self.atoms.insert(literal, Atom::Literal(number));
                    number
                }
            });
        }
        if let [one] = members[..] { Atom::Literal(one) } else { Atom::Group(self.group(members)) }
    }

    /// The number of a literal, a new one if it was not met before.
    fn atom(&mut self, literal: &Literal) -> Atom {
        if let Some(&atom) = self.atoms.get(literal) {
            return atom;
        }
        let plain = self.new_literal(literal.clone());
        let toned: Vec<u32> = tone_variants(&literal.text)
            .into_iter()
            .map(|text| {
                let variant = Literal { text, ..literal.clone() };
                match self.atoms.get(&variant) {
                    Some(Atom::Literal(known)) => *known,
                    // What has a tone has no variants.
                    _ => {
                        let number = self.new_literal(variant.clone());
                        self.atoms.insert(variant, Atom::Literal(number));
                        number
                    }
                }
            })
            .collect();
        let atom = match toned.is_empty() {
            true => Atom::Literal(plain),
            false => Atom::Group(self.group(std::iter::once(plain).chain(toned).collect())),
        };
        self.atoms.insert(literal.clone(), atom);
        atom
    }

    fn new_literal(&mut self, literal: Literal) -> u32 {
        let facts = Facts { per_million: u64::from(rarity::per_million(&literal)), uses: 0 };
        self.literals.push(Known { literal, facts });
        number(self.literals.len() - 1)
    }

    /// The number of these literals taken together.
    fn group(&mut self, mut members: Vec<u32>) -> u32 {
        members.sort_unstable();
        members.dedup();
        if let Some(&group) = self.known_groups.get(&members) {
            return group;
        }
        let group = number(self.groups.len());
        let per_million =
            members.iter().map(|&literal| self.literals[literal as usize].facts.per_million).sum();
        self.group_facts.push(Facts { per_million, uses: 0 });
        self.known_groups.insert(members.clone(), group);
        self.groups.push(members);
        group
    }

    fn facts_mut(&mut self, atom: Atom) -> &mut Facts {
        match atom {
            Atom::Literal(literal) => &mut self.literals[literal as usize].facts,
            Atom::Group(group) => &mut self.group_facts[group as usize],
        }
    }

    /// In how many of a million texts it stands, as far as can be told.
    fn weight(&self, atom: Atom) -> u64 {
        let facts = match atom {
            Atom::Literal(literal) => self.literals[literal as usize].facts,
            Atom::Group(group) => self.group_facts[group as usize],
        };
        let is_subject = facts.uses >= SUBJECT_RULES_MIN && facts.uses * RULES_PER_SUBJECT >= self.rules;
        let as_subject = facts.uses * SUBJECT_PER_MILLION / self.rules.max(1);
        if is_subject { facts.per_million.max(as_subject) } else { facts.per_million }
    }
}

impl<T: Fn(&str) -> u32> Weights for Numbering<'_, T> {
    fn literal(&self, literal: &Literal) -> (Atom, u64) {
        let atom = self.atoms[literal];
        (atom, self.weight(atom))
    }

    fn list(&self, list: &ListTerm) -> (Atom, u64) {
        let atom = Atom::Group(self.known_lists[list]);
        (atom, self.weight(atom))
    }

    fn pattern(&self, pattern: &Pattern) -> Option<(u32, u64)> {
        let place = self.letters.iter().position(|(known, ..)| *known == pattern)?;
        Some((number(place), self.letters[place].2))
    }

    fn tag(&self, tag: &str) -> u32 {
        (self.tags)(tag)
    }
}

impl<T: Fn(&str) -> u32> Names for Numbering<'_, T> {
    fn literal(&mut self, literal: &Literal) -> Atom {
        self.atoms[literal]
    }

    fn list(&mut self, list: &ListTerm) -> Atom {
        Atom::Group(self.known_lists[list])
    }

    /// For a rule that is run for every mention many words become one look-up. For the others that would cost each text
    /// that holds a word more than it saves.
    fn any(&mut self, parts: &[Expression]) -> Option<Atom> {
        if !self.always || parts.len() < ANY_PARTS_MIN {
            return None;
        }
        let mut members = Vec::with_capacity(parts.len());
        for part in parts {
            let atom = match part {
                Expression::Literal(literal, _) => self.atoms[literal],
                Expression::List(list, _) => Atom::Group(self.known_lists[list]),
                _ => return None,
            };
            match atom {
                Atom::Literal(literal) => members.push(literal),
                Atom::Group(group) => members.extend_from_slice(&self.groups[group as usize]),
            }
        }
        Some(Atom::Group(self.group(members)))
    }

    fn tag(&self, tag: &str) -> u32 {
        (self.tags)(tag)
    }
}

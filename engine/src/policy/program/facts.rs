//! What one mention answers to the leaves of programs.
//!
//! Owns what was seen of the text, and the answers that cost something and so are found once, when the first rule asks:
//! features, regular expressions, pairs. May not know rules. Made and cleared by the evaluation of one mention.

use super::near::NearScratch;
use super::steps::Atom;
use crate::model::Mention;
use crate::policy::Category;
use crate::policy::accounts::without_at;
use crate::policy::query::Field;
use crate::policy::query::regex::Compiled;
use crate::scan::Hit;
use crate::signals::features::Feature;
use crate::text::{Form, NormalText};

/// The answers that are kept for a mention; the buffers are used again for the next.
#[derive(Debug, Default)]
pub struct Answers {
    features: [Option<bool>; Feature::ALL.len()],
    /// By pattern.
    patterns: Vec<Option<bool>>,
    /// The patterns that have an answer.
    asked: Vec<u32>,
    pub(super) near: NearScratch,
}

impl Answers {
    /// Forgets the mention.
    pub fn clear(&mut self) {
        self.features = Default::default();
        for pattern in self.asked.drain(..) {
            self.patterns[pattern as usize] = None;
        }
        self.near.clear();
    }

    /// Whether a pattern matches the text.
    pub fn pattern(&mut self, number: u32, pattern: &(Compiled, Form), text: &NormalText) -> bool {
        let place = number as usize;
        if self.patterns.len() <= place {
            self.patterns.resize(place + 1, None);
        }
        *self.patterns[place].get_or_insert_with(|| {
            self.asked.push(number);
            pattern.0.matches(text.form(pattern.1))
        })
    }

    /// Whether a field of the mention is as asked; tags and categories are not asked here.
    pub fn field(&mut self, field: &Field, mention: &Mention<'_>) -> bool {
        match field {
            Field::Has(feature) => {
                *self.features[*feature as usize].get_or_insert_with(|| feature.is_in(mention.text))
            }
            field => holds(field, mention, Category::General),
        }
    }
}

/// What the scanner saw of a text.
#[derive(Clone, Copy)]
pub struct Seen<'s> {
    pub text: &'s NormalText,
    /// Sorted by literal and place.
    pub hits: &'s [Hit],
    pub literals: &'s [u64],
    pub groups: &'s [u64],
    /// The literals that were seen of each group that was.
    pub members: &'s [(u32, u32)],
}

impl<'s> Seen<'s> {
    /// Whether it was seen.
    #[inline]
    pub fn has(&self, atom: Atom) -> bool {
        let (bits, place) = match atom {
            Atom::Literal(literal) => (self.literals, literal),
            Atom::Group(group) => (self.groups, group),
        };
        bits[place as usize / 64] >> (place % 64) & 1 == 1
    }

    /// Calls `visit` with the hits of each literal that stands for `atom`.
    pub fn hits_of(&self, atom: Atom, mut visit: impl FnMut(&'s [Hit])) {
        if !self.has(atom) {
            return;
        }
        match atom {
            Atom::Literal(literal) => visit(self.hits_of_literal(literal)),
            Atom::Group(group) => {
                let members = self.members.iter().filter(|(of, _)| *of == group);
                members.for_each(|&(_, literal)| visit(self.hits_of_literal(literal)));
            }
        }
    }

    fn hits_of_literal(&self, literal: u32) -> &'s [Hit] {
        let from = self.hits.partition_point(|hit| hit.literal < literal);
        let length = self.hits[from..].partition_point(|hit| hit.literal == literal);
        &self.hits[from..from + length]
    }
}

/// Whether a field of the mention is as asked.
pub fn holds(field: &Field, mention: &Mention<'_>, category: Category) -> bool {
    match field {
        Field::Lang(lang) => {
            let said = mention.lang.as_bytes();
            said.get(..lang.len()).is_some_and(|start| start.eq_ignore_ascii_case(lang.as_bytes()))
                && matches!(said.get(lang.len()), None | Some(b'-' | b'_'))
        }
        Field::Kind(kind) => mention.kind == *kind,
        Field::Network(network) => mention.network == network,
        Field::Account(account) => without_at(mention.account).eq_ignore_ascii_case(account),
        Field::Author(handle) => without_at(mention.author.handle).eq_ignore_ascii_case(handle),
        Field::Followers(bounds) => bounds.holds(mention.author.followers),
        Field::Visibility(visibility) => mention.visibility == *visibility,
        Field::Verified(verified) => mention.author.verified == *verified,
        Field::Repost(repost) => mention.repost_of.is_some() == *repost,
        Field::Promoted(promoted) => mention.promoted == *promoted,
        Field::Has(feature) => feature.is_in(mention.text),
        Field::Category(wanted) => category == *wanted,
        // Tags are steps of their own.
        Field::Tag(_) => false,
    }
}

//! A query as a tree, before it is compiled.
//!
//! Owns the shapes alone, and the question which literals must be seen for a query to be true. Made by
//! `parse`, read by `policy::program`.

use crate::model::Kind;
use crate::policy::Category;
use crate::scan::Literal;

/// A parsed query or filter condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// The text holds this literal.
    Literal(Literal),
    /// A field of the mention, asked for at this byte of the query.
    Field(Field, usize),
    /// The part is false.
    Not(Box<Expression>),
    /// All parts are true; two or more.
    And(Vec<Expression>),
    /// One part is true; two or more.
    Or(Vec<Expression>),
}

/// What is asked of a mention's fields. Names are stored in the form in which they are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The language or a variety of it: `en` holds for `en-GB`. Lower case.
    Lang(String),
    /// The kind of post.
    Kind(Kind),
    /// The network's short name.
    Network(String),
    /// The brand's account that was mentioned, without its `@`, compared without ASCII case.
    Account(String),
    /// How many followers the author has.
    Followers(Comparison, u64),
    /// Whether the network vouches for the author.
    Verified(bool),
    /// Whether the mention repeats another.
    Repost(bool),
    /// A matching rule asserts this tag.
    Tag(String),
    /// The mention's category.
    Category(Category),
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
}

impl Comparison {
    /// Whether `value` stands so to `limit`.
    pub fn holds(self, value: u64, limit: u64) -> bool {
        match self {
            Comparison::Above => value > limit,
            Comparison::AtLeast => value >= limit,
            Comparison::Below => value < limit,
            Comparison::AtMost => value <= limit,
            Comparison::Equal => value == limit,
        }
    }
}

impl Expression {
    /// A set of literals of which at least one is seen whenever this is true; `None` when it can be true
    /// with no literal seen, as `NOT giveaway` can.
    ///
    /// Of the parts of an AND any one will do: the set with the fewest literals, then the one whose shortest
    /// literal is longest, since long literals are rare.
    pub fn triggers(&self) -> Option<Vec<&Literal>> {
        self.triggers_when(true)
    }

    fn triggers_when(&self, wanted: bool) -> Option<Vec<&Literal>> {
        match (self, wanted) {
            (Expression::Literal(literal), true) => Some(vec![literal]),
            (Expression::Literal(_), false) | (Expression::Field(..), _) => None,
            (Expression::Not(part), _) => part.triggers_when(!wanted),
            // "Not all of them" is "one of them not", and the other way round.
            (Expression::And(parts), true) | (Expression::Or(parts), false) => {
                let sets = parts.iter().filter_map(|part| part.triggers_when(wanted));
                sets.min_by_key(|set| {
                    let shortest = set.iter().map(|literal| literal.text.len()).min().unwrap_or(0);
                    (set.len(), std::cmp::Reverse(shortest))
                })
            }
            (Expression::Or(parts), true) | (Expression::And(parts), false) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(part.triggers_when(wanted)?);
                }
                all.sort_by(|a, b| (&a.text, a.accents as u8).cmp(&(&b.text, b.accents as u8)));
                all.dedup_by(|a, b| a.text == b.text && a.accents as u8 == b.accents as u8);
                Some(all)
            }
        }
    }

    /// Calls `visit` with every leaf, from left to right.
    pub fn leaves<'t>(&'t self, visit: &mut impl FnMut(&'t Expression)) {
        match self {
            Expression::Literal(_) | Expression::Field(..) => visit(self),
            Expression::Not(part) => part.leaves(visit),
            Expression::And(parts) | Expression::Or(parts) => {
                parts.iter().for_each(|part| part.leaves(visit))
            }
        }
    }
}

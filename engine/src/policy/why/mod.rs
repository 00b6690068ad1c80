//! Why a rule matches a mention or not, and why a filter holds or not: term by term, in the words of the query.
//!
//! Owns a second evaluation, which reads the tree of the query where the policy runs a program, and keeps for every term
//! whether it holds and where in the text. Normaliser, scanner, comparisons and the library of regular expressions are
//! those of the policy; a test shows that both evaluations agree. May not decide anything. Called by `explain` and by the
//! runner of rule tests, for single mentions.

mod layout;
mod near;
mod term;

pub use term::{Found, Operator, Term, Why};

use super::program::{Span, holds};
use super::query::{Dialect, Expression, Field, ListTerm, Lists, Mark, Near, parse, regex, tone_variants};
use super::{Filter, Policy, Rule, RuleIndex};
use crate::model::Mention;
use crate::scan::{Literal, Matcher, ReferenceMatcher};
use crate::text::{Form, Forms, NormalText, Normaliser};
use layout::Layout;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Places of one term that are told, at most.
const FOUND_MAX: usize = 20;

/// Where something stands in a normal form, ascending, each place once.
type Spans = Vec<Span>;

/// One mention under one policy, to be asked about rules and filters.
pub struct Reading<'r> {
    policy: &'r Policy,
    mention: &'r Mention<'r>,
    matched: &'r [RuleIndex],
    text: NormalText,
    /// By the index of the form, once somebody has asked.
    layouts: [OnceCell<Layout>; Form::ALL.len()],
    /// Where the terms of a list stand, once somebody has asked.
    lists: RefCell<BTreeMap<ListTerm, Arc<Spans>>>,
}

impl Policy {
    /// Reads a mention which these rules match, to be asked why.
    #[must_use]
    pub fn reading<'r>(&'r self, mention: &'r Mention<'r>, matched: &'r [RuleIndex]) -> Reading<'r> {
        let mut text = NormalText::default();
        Normaliser::new().normalise(mention.text, Forms::ALL, &mut text);
        Reading {
            policy: self,
            mention,
            matched,
            text,
            layouts: Default::default(),
            lists: RefCell::default(),
        }
    }

    /// Whose account the author's is, where that alone decides: the brand's `own`, or one that is `blocked`.
    #[must_use]
    pub fn listed_author(&self, mention: &Mention<'_>) -> Option<&'static str> {
        match (self.own.holds_author(mention), self.blocked.holds_author(mention)) {
            (true, _) => Some("own"),
            (false, true) => Some("blocked"),
            (false, false) => None,
        }
    }
}

impl Reading<'_> {
    /// Why a rule matches or not.
    #[must_use]
    pub fn rule(&self, rule: &Rule) -> Why {
        self.why(&rule.name, &rule.query, Dialect::Rule(rule.form))
    }

    /// Why a filter holds or not.
    #[must_use]
    pub fn filter(&self, filter: &Filter) -> Why {
        self.why(&filter.name, &filter.when, Dialect::Filter)
    }

    fn why(&self, name: &str, query: &str, dialect: Dialect) -> Why {
        let expression = parse(query, dialect);
        let expression = expression.expect("invariant: it was parsed when the policy was compiled");
        let evaluation = Evaluation { reading: self, query, literals: self.literals_of(&expression) };
        let (term, _) = evaluation.term(&expression);
        Why { name: name.to_owned(), query: query.to_owned(), holds: term.holds, term }
    }

    fn layout(&self, form: Form) -> &Layout {
        self.layouts[form.index()].get_or_init(|| Layout::new(self.mention.text, self.text.form(form), form))
    }

    /// Where each literal of the query stands.
    fn literals_of(&self, expression: &Expression) -> BTreeMap<Literal, Spans> {
        let mut places: BTreeMap<Literal, Spans> = BTreeMap::new();
        expression.leaves(&mut |leaf| {
            if let Expression::Literal(literal, _) = leaf {
                places.insert(literal.clone(), Vec::new());
            }
        });
        self.scan(&mut places);
        places
    }

    fn scan(&self, places: &mut BTreeMap<Literal, Spans>) {
        let (mut literals, mut owners) = (Vec::new(), Vec::new());
        let mut spans: Vec<&mut Spans> = Vec::with_capacity(places.len());
        for (literal, found) in places {
            // An emoji without a tone stands for all tones.
            let toned = tone_variants(&literal.text).into_iter();
            let toned = toned.map(|text| Literal { text, ..literal.clone() });
            literals.extend(std::iter::once(literal.clone()).chain(toned));
            owners.resize(literals.len(), spans.len());
            spans.push(found);
        }
        let mut hits = Vec::new();
        ReferenceMatcher::new(&literals).scanner().scan(&self.text, &mut hits);
        for hit in hits {
            spans[owners[hit.literal as usize]].push(Span { start: hit.start, end: hit.end });
        }
        spans.into_iter().for_each(sort);
    }

    /// Where the terms of a list stand.
    fn list(&self, list: &ListTerm, lists: &Lists) -> Arc<Spans> {
        if let Some(known) = self.lists.borrow().get(list) {
            return Arc::clone(known);
        }
        let literals = lists.get(&list.name).map_or_else(Vec::new, |terms| terms.literals(list.form));
        let mut places = literals.into_iter().map(|literal| (literal, Vec::new())).collect();
        self.scan(&mut places);
        let mut spans: Spans = places.into_values().flatten().collect();
        sort(&mut spans);
        let spans = Arc::new(spans);
        self.lists.borrow_mut().insert(list.clone(), Arc::clone(&spans));
        spans
    }
}

/// One query being asked.
struct Evaluation<'e> {
    reading: &'e Reading<'e>,
    query: &'e str,
    literals: BTreeMap<Literal, Spans>,
}

impl Evaluation<'_> {
    /// The term, and where it stands in its normal form if it may stand beside NEAR.
    fn term(&self, expression: &Expression) -> (Term, Spans) {
        match expression {
            Expression::Literal(literal, mark) => {
                let spans = self.literals[literal].clone();
                let term = self.of_text(Operator::Literal, *mark, &spans, literal.form);
                let note = match spans.is_empty() {
                    true => {
                        let (form, reading) = (literal.form, self.reading);
                        near::parted(reading.layout(form), reading.text.form(form), &literal.text)
                    }
                    false => String::new(),
                };
                (Term { note, ..term }, spans)
            }
            Expression::List(list, mark) => {
                let spans = self.reading.list(list, &self.reading.policy.lists).to_vec();
                (self.of_text(Operator::List, *mark, &spans, list.form), spans)
            }
            Expression::Regex(pattern, mark) => {
                let compiled = regex::Compiled::new(pattern);
                let compiled = compiled.expect("invariant: it compiled when the policy was compiled");
                let places = compiled.places(self.reading.text.form(pattern.form), FOUND_MAX).into_iter();
                let spans = places.map(|place| Span { start: place.start as u32, end: place.end as u32 });
                let spans: Spans = spans.collect();
                let term = self.of_text(Operator::Regex, *mark, &spans, pattern.form);
                (term, Vec::new())
            }
            Expression::Field(field, mark) => (self.field(field, *mark), Vec::new()),
            Expression::Near(near, mark) => self.near(near, *mark),
            Expression::Not(part) => {
                let (part, _) = self.term(part);
                let mark = part.mark();
                let not = Term { holds: !part.holds, parts: vec![part], ..Term::new(Operator::Not, mark) };
                (not, Vec::new())
            }
            Expression::And(parts) => (self.all(Operator::And, parts).0, Vec::new()),
            Expression::Or(parts) => self.all(Operator::Or, parts),
        }
    }

    fn all(&self, operator: Operator, parts: &[Expression]) -> (Term, Spans) {
        let (parts, spans): (Vec<Term>, Vec<Spans>) = parts.iter().map(|part| self.term(part)).unzip();
        let mut spans: Spans = spans.into_iter().flatten().collect();
        sort(&mut spans);
        let holds = match operator {
            Operator::And => parts.iter().all(|part| part.holds),
            _ => parts.iter().any(|part| part.holds),
        };
        let mark = self.around(parts.iter().map(Term::mark));
        (Term { holds, parts, ..Term::new(operator, mark) }, spans)
    }

    fn near(&self, near: &Near, mark: Mark) -> (Term, Spans) {
        let (left, left_spans) = self.term(&near.left);
        let (right, right_spans) = self.term(&near.right);
        let form = form_of(&near.left);
        let layout = self.reading.layout(form);
        let spans = near::pairs(layout, near, &left_spans, &right_spans);
        let note = match spans.is_empty() {
            true => near::note(layout, near, &left_spans, &right_spans),
            false => String::new(),
        };
        let operator = if near.ordered { Operator::Onear } else { Operator::Near };
        let whole = self.around([left.mark(), mark, right.mark()].into_iter());
        let told = self.of_text(operator, whole, &spans, form);
        (Term { note, parts: vec![left, right], ..told }, spans)
    }

    fn field(&self, field: &Field, mark: Mark) -> Term {
        let Reading { policy, mention, matched, .. } = self.reading;
        let holds = match field {
            Field::Tag(tag) => matched.iter().any(|&rule| policy.rule(rule).tags.contains(tag)),
            field => holds(field, mention, policy.category(matched)),
        };
        Term { holds, note: self.said(field), ..Term::new(Operator::Field, mark) }
    }

    /// What the mention says where a field asks; nothing that would tell who wrote it.
    fn said(&self, field: &Field) -> String {
        let Reading { policy, mention, matched, .. } = self.reading;
        let named =
            |name: &str| if name.is_empty() { "not said".to_owned() } else { format!("it is `{name}`") };
        match field {
            Field::Lang(_) => named(mention.lang),
            Field::Kind(_) => named(mention.kind.name()),
            Field::Network(_) => named(mention.network),
            Field::Account(_) => named(mention.account),
            Field::Visibility(_) => named(mention.visibility.name()),
            Field::Followers(_) => format!("there are {}", mention.author.followers),
            Field::Category(_) => named(policy.category(matched).name()),
            Field::Author(_)
            | Field::Verified(_)
            | Field::Repost(_)
            | Field::Promoted(_)
            | Field::Has(_)
            | Field::Tag(_) => String::new(),
        }
    }

    /// From the first byte of all marks to the last, with the parentheses that belong to them.
    fn around(&self, marks: impl Iterator<Item = Mark>) -> Mark {
        let (mut from, mut to) = (usize::MAX, 0);
        for mark in marks {
            (from, to) = (from.min(mark.at), to.max(mark.at + mark.length));
        }
        assert!(from < to, "a list of terms is not empty");
        let inside = &self.query[from..to];
        let (mut open, mut unopened) = (0_usize, 0_usize);
        for byte in inside.bytes() {
            match byte {
                b'(' => open += 1,
                b')' if open == 0 => unopened += 1,
                b')' => open -= 1,
                _ => {}
            }
        }
        for _ in 0..unopened {
            from = self.query[..from].trim_end().strip_suffix('(').map_or(from, str::len);
        }
        for _ in 0..open {
            let rest = self.query[to..].trim_start().strip_prefix(')');
            to = rest.map_or(to, |rest| self.query.len() - rest.len());
        }
        Mark { at: from, length: to - from }
    }

    fn of_text(&self, operator: Operator, mark: Mark, spans: &Spans, form: Form) -> Term {
        let layout = self.reading.layout(form);
        let mut found: Vec<Found> = spans.iter().take(FOUND_MAX).map(|&span| layout.of(span)).collect();
        found.dedup();
        Term { holds: !spans.is_empty(), found, ..Term::new(operator, mark) }
    }
}

fn sort(spans: &mut Spans) {
    spans.sort_unstable();
    spans.dedup();
}

/// The form of the text that an operand of NEAR is looked for in: one rule has one.
fn form_of(operand: &Expression) -> Form {
    match operand {
        Expression::Literal(literal, _) => literal.form,
        Expression::List(list, _) => list.form,
        Expression::Near(near, _) => form_of(&near.left),
        Expression::Or(parts) => parts.first().map_or(Form::default(), form_of),
        Expression::Regex(..) | Expression::Field(..) | Expression::Not(_) | Expression::And(_) => {
            Form::default()
        }
    }
}

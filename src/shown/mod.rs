//! How it is shown to people why a rule matches or not: the query with the terms that decide underlined, and where they
//! stand in the text.
//!
//! Owns the wording and the lay-out. May not evaluate anything: the engine says what holds and where. Called by `explain`
//! and by the report of rule tests.

mod marked;

pub use marked::{Line, Mask};

use marked::Mark;
use serde::Serialize;
use std::fmt::Write;
use triage_engine::policy::{Operator, Term, Why};
use triage_engine::signals::pii::find_pii;

/// Terms of one query that are underlined, at most; the rest is counted.
const TERMS_SHOWN_MAX: usize = 8;
/// An OR of so many terms, all false, is underlined as one.
const GROUP_MIN: usize = 4;
/// Terms that a tree lists, at most.
const TREE_LINES_MAX: usize = 200;

/// What a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// A rule matches or does not.
    Rule,
    /// A workflow filter holds or does not.
    Filter,
}

/// Why a rule matches or a filter holds, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Which of the two.
    pub about: About,
    /// Term by term.
    pub why: Why,
}

/// Underlines and statuses in colour, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub bool);

impl Colour {
    /// The text in a colour, by the number of the terminals.
    #[must_use]
    pub fn paint(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The text of a mention, its personal data taken out.
#[must_use]
pub fn redacted(text: &str) -> Line {
    let mut found = Vec::new();
    find_pii(text, &mut found);
    let masks = found
        .iter()
        .map(|span| Mask { bytes: span.start..span.end, label: format!("[{}]", span.kind.name()) });
    Line::new(text, &masks.collect::<Vec<_>>())
}

/// One line that says whether it holds, and below it the query and the text with what decided underlined. Ends with a
/// line break.
#[must_use]
pub fn why(about: About, why: &Why, text: &Line, colour: Colour) -> String {
    let mut shown = headline(about, why);
    let terms = terms_shown(&why.term);
    let mut marks: Vec<Mark> = terms.iter().map(|(term, message)| mark(term, message)).collect();
    let left_out = marks.len().saturating_sub(TERMS_SHOWN_MAX);
    marks.truncate(TERMS_SHOWN_MAX);
    Line::new(&why.query, &[]).write("  query | ", &marks, colour, &mut shown);
    if left_out > 0 {
        let _ = writeln!(shown, "        | and {left_out} terms more");
    }
    let places = places(&terms);
    if !places.is_empty() {
        text.write("  text  | ", &[Mark { places, message: String::new() }], colour, &mut shown);
    }
    shown
}

/// Every term of the query, indented as it is joined, each with `true` or `false` and its places in the text. Ends with
/// a line break.
#[must_use]
pub fn tree(why: &Why, text: &Line) -> String {
    let mut lines = Vec::new();
    branch(why, &why.term, 0, text, &mut lines);
    let left_out = lines.len().saturating_sub(TREE_LINES_MAX);
    lines.truncate(TREE_LINES_MAX);
    let mut shown = lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    if left_out > 0 {
        let _ = writeln!(shown, "  … {left_out} terms more; --json has all");
    }
    shown
}

/// `the rule `x` matches`, and so on, with a line break.
fn headline(about: About, why: &Why) -> String {
    let name = &why.name;
    match (about, why.holds) {
        (About::Rule, true) => format!("the rule `{name}` matches\n"),
        (About::Rule, false) => format!("the rule `{name}` does not match\n"),
        (About::Filter, true) => format!("the filter `{name}` holds\n"),
        (About::Filter, false) => format!("the filter `{name}` does not hold\n"),
    }
}

/// The terms that decide, each with what is said of it.
fn terms_shown(whole: &Term) -> Vec<(&Term, String)> {
    let mut shown = Vec::new();
    gather(whole, &mut shown);
    shown
}

fn gather<'t>(term: &'t Term, shown: &mut Vec<(&'t Term, String)>) {
    let false_parts = || term.parts.iter().filter(|part| !part.holds);
    match term.operator {
        Operator::And | Operator::Or => {
            let leaves = term.parts.len() >= GROUP_MIN && term.parts.iter().all(Term::is_leaf);
            if term.operator == Operator::Or && !term.holds && leaves {
                let fields = term.parts.iter().any(|part| part.operator == Operator::Field);
                let where_not = if fields { "holds" } else { "is in the text" };
                shown.push((term, format!("none of these {} {where_not}", term.parts.len())));
                return;
            }
            term.parts.iter().filter(|part| part.holds == term.holds).for_each(|part| gather(part, shown));
        }
        Operator::Not => term.parts.iter().for_each(|part| gather(part, shown)),
        // Of two sides the one that is not there says more than the distance.
        Operator::Near | Operator::Onear if !term.holds && false_parts().next().is_some() => {
            false_parts().for_each(|part| gather(part, shown));
        }
        _ => shown.push((term, said(term))),
    }
}

fn said(term: &Term) -> String {
    let note = |text: &str| match term.note.as_str() {
        "" => text.to_owned(),
        note => format!("{text}: {note}"),
    };
    match (term.operator, term.holds) {
        (Operator::Literal, true) => "is in the text".to_owned(),
        (Operator::Literal, false) => note("is not in the text"),
        (Operator::List, true) => "one of the list is in the text".to_owned(),
        (Operator::List, false) => "none of the list is in the text".to_owned(),
        (Operator::Regex, true) => "is found in the text".to_owned(),
        (Operator::Regex, false) => "is not found in the text".to_owned(),
        (Operator::Near | Operator::Onear, true) => "near enough".to_owned(),
        (Operator::Near | Operator::Onear, false) => note("not near enough"),
        (Operator::Field, true) => note("true"),
        (Operator::Field, false) => note("false"),
        // Joined terms are told by their parts.
        (Operator::And | Operator::Or | Operator::Not, holds) => holds.to_string(),
    }
}

fn mark(term: &Term, message: &str) -> Mark {
    Mark { places: std::iter::once(term.at..term.at + term.length).collect(), message: message.to_owned() }
}

/// Where in the text the terms stand; of a NEAR that is too wide both sides.
fn places(terms: &[(&Term, String)]) -> Vec<std::ops::Range<usize>> {
    let mut places = Vec::new();
    for (term, _) in terms {
        let sides = if term.holds { std::slice::from_ref(*term) } else { &term.parts[..] };
        let stands = sides.iter().filter(|side| side.holds).flat_map(Term::leaves);
        places.extend(stands.flat_map(|leaf| leaf.found.iter().map(|found| found.start..found.end)));
    }
    places.sort_by_key(|place| (place.start, place.end));
    places.dedup();
    places
}

/// The `NEAR/3` between the sides of a pair, which may be pairs themselves.
fn near_operator<'w>(why: &'w Why, near: &Term) -> &'w str {
    let between = match &near.parts[..] {
        [left, right] => why.query.get(left.at + left.length..right.at),
        _ => None,
    };
    let mut words = between.unwrap_or_default().split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
    words.find(|word| !word.is_empty()).unwrap_or("NEAR")
}

fn branch(why: &Why, term: &Term, depth: usize, text: &Line, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let what = match term.operator {
        Operator::And => "AND",
        Operator::Or => "OR",
        Operator::Not => "NOT",
        Operator::Near | Operator::Onear => near_operator(why, term),
        Operator::Literal | Operator::Regex | Operator::List | Operator::Field => why.written(term),
    };
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = format!("{:<5}  {indent}{what}", term.holds);
    let places: Vec<String> = term.found.iter().map(|found| text.quoted(&(found.start..found.end))).collect();
    if !places.is_empty() {
        let _ = write!(line, "   {}", places.join(", "));
    } else if !term.note.is_empty() {
        let _ = write!(line, "   {}", term.note);
    }
    lines.push(line);
    term.parts.iter().for_each(|part| branch(why, part, depth + 1, text, lines));
}

#[cfg(test)]
mod tests;

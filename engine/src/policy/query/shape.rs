//! A query written out again: what it means without its places, its blanks and its parentheses too many.
//!
//! Owns one spelling for each tree, in the query language itself. Called by the lints, to compare queries and to name their parts, and by the tests of the language.

use super::field::Field;
use super::fields::needs_quotes;
use super::tree::Expression;
use super::{Case, Edges, Form};
use crate::scan::Literal;
use crate::text::Accents;

impl Expression {
    /// The query in its plainest spelling. Words stand in quotes; those that count accents or capitals say so before.
    pub fn spelled(&self) -> String {
        let mut out = String::new();
        spell(self, false, &mut out);
        out
    }

    /// The same for two queries that differ in nothing but the order of what AND, OR and NEAR join, or in repetitions.
    pub fn meaning(&self) -> String {
        let mut out = String::new();
        spell(self, true, &mut out);
        out
    }
}

fn spell(expression: &Expression, sorted: bool, out: &mut String) {
    match expression {
        Expression::Literal(literal, _) => out.push_str(&literal_spelled(literal)),
        Expression::Regex(pattern, _) => {
            out.push_str(&format!("{}/{}/", form_spelled(pattern.form), pattern.text.replace('/', "\\/")));
        }
        Expression::List(list, _) => out.push_str(&format!("{}${}", form_spelled(list.form), list.name)),
        Expression::Near(near, _) => {
            let operator = format!(" {}NEAR/{} ", if near.ordered { "O" } else { "" }, near.words_max);
            let sides = [&*near.left, &*near.right];
            joined(&sides, &operator, sorted && !near.ordered, sorted, out);
        }
        Expression::Field(field, _) => out.push_str(&field_spelled(field)),
        Expression::Not(part) => {
            out.push_str("NOT ");
            spell(part, sorted, out);
        }
        Expression::And(parts) => joined(&parts.iter().collect::<Vec<_>>(), " AND ", sorted, sorted, out),
        Expression::Or(parts) => joined(&parts.iter().collect::<Vec<_>>(), " OR ", sorted, sorted, out),
    }
}

fn joined(parts: &[&Expression], operator: &str, reorder: bool, sorted: bool, out: &mut String) {
    let mut spelled: Vec<String> = parts
        .iter()
        .map(|part| {
            let mut one = String::new();
            spell(part, sorted, &mut one);
            one
        })
        .collect();
    if reorder {
        spelled.sort_unstable();
    }
    if reorder && !operator.contains('/') {
        spelled.dedup();
    }
    match &spelled[..] {
        [one] => out.push_str(one),
        several => out.push_str(&format!("({})", several.join(operator))),
    }
}

fn form_spelled(form: Form) -> &'static str {
    match (form.accents, form.case) {
        (Accents::Ignore, Case::Ignore) => "",
        (Accents::Exact, Case::Ignore) => "é",
        (Accents::Ignore, Case::Exact) => "A",
        (Accents::Exact, Case::Exact) => "É",
    }
}

fn literal_spelled(literal: &Literal) -> String {
    let text = literal.text.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*");
    let (before, after) = match literal.edges {
        Edges::Whole => ("", ""),
        Edges::Prefix => ("", "*"),
        Edges::Suffix => ("*", ""),
        Edges::Anywhere => ("*", "*"),
    };
    format!("{}\"{before}{text}{after}\"", form_spelled(literal.form))
}

/// A value, in quotes where it would be doubted without.
fn quoted(name: &str, value: &str) -> String {
    if needs_quotes(name, value) { format!("\"{value}\"") } else { value.to_owned() }
}

fn field_spelled(field: &Field) -> String {
    match field {
        Field::Lang(lang) => format!("lang:{}", quoted("lang", lang)),
        Field::Kind(kind) => format!("kind:{}", kind.name()),
        Field::Network(network) => format!("network:{}", quoted("network", network)),
        Field::Account(account) => format!("account:@{account}"),
        Field::Author(handle) => format!("author:@{handle}"),
        Field::Followers(bounds) => {
            let most = if bounds.most == u64::MAX { "*".to_owned() } else { bounds.most.to_string() };
            format!("followers:[{} TO {most}]", bounds.least)
        }
        Field::Visibility(visibility) => format!("visibility:{}", visibility.name()),
        Field::Verified(value) => format!("verified:{value}"),
        Field::Repost(value) => format!("repost:{value}"),
        Field::Promoted(value) => format!("promoted:{value}"),
        Field::Has(feature) => format!("has:{}", feature.name()),
        Field::Tag(tag) => format!("tag:{tag}"),
        Field::Category(category) => format!("category:{}", category.name()),
    }
}

//! Reads the queries of a policy's rules and filters, and checks that what they name is there.
//!
//! Owns the messages about names in queries and the number of regular expressions, and who names the most words. The language itself is `query`'s
//! business. Called by `compile`.

use super::Rule;
use super::compile::tag_number;
use super::file::{Files, RuleText};
use super::mistake::Mistakes;
use super::query::{Dialect, Expression, Field, ListTerm, Lists, Mark, Pattern, REGEX_PER_POLICY_MAX, parse};
use super::table::Located;
use std::collections::{BTreeMap, BTreeSet};

/// What queries may name.
pub(super) struct Queries<'k> {
    /// Every tag that a rule gives, in order.
    pub tags: &'k [String],
    pub lists: &'k Lists,
    /// Whether every file could be read. If not, a name that is missing may be in the file that could not.
    pub whole: bool,
}

impl Queries<'_> {
    /// Reads the query that stands under `key`; every mistake in it is told.
    pub fn read(
        &self,
        key: &str,
        text: &Located<String>,
        dialect: Dialect,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<Expression> {
        let expression = match parse(&text.value, dialect) {
            Ok(expression) => expression,
            Err(found) => {
                for mistake in found {
                    let place = mistakes.inside(&text.place, mistake.at, mistake.length);
                    mistakes.at(&place, format!("in `{key}`: {}", mistake.what), mistake.hint);
                }
                return None;
            }
        };
        let mut wrong: Vec<(Mark, String, String)> = Vec::new();
        expression.leaves(&mut |leaf| wrong.extend(self.missing(leaf, mistakes).filter(|_| self.whole)));
        for (mark, what, hint) in wrong {
            let place = mistakes.inside(&text.place, mark.at, mark.length);
            mistakes.at(&place, format!("in `{key}`: {what}"), hint);
        }
        Some(expression)
    }

    /// What a leaf names and nobody gives: where it stands, what is wrong, and a hint. It would never hold.
    fn missing(&self, leaf: &Expression, mistakes: &Mistakes<'_>) -> Option<(Mark, String, String)> {
        match leaf {
            Expression::Field(Field::Tag(tag), mark) if tag_number(self.tags, tag).is_none() => {
                let hint = mistakes.near(tag, self.tags.iter().map(String::as_str));
                Some((*mark, format!("no rule gives the tag `{tag}`"), hint))
            }
            Expression::List(list, mark) if !self.lists.contains_key(&list.name) => {
                let name = &list.name;
                let near = mistakes.near(name, self.lists.keys().map(String::as_str));
                let other = format!(
                    "write [[list]] with name = \"{name}\"; a cashtag is written in quotes: \"${name}\""
                );
                Some((
                    *mark,
                    format!("there is no list `{name}`"),
                    if near.is_empty() { other } else { near },
                ))
            }
            _ => None,
        }
    }
}

/// Tells when there are more regular expressions than a policy may have, at the first beyond. The rules are sorted by name.
pub(super) fn check_regexes(
    texts: &[RuleText],
    rules: &[Rule],
    queries: &[Expression],
    mistakes: &mut Mistakes<'_>,
) {
    let mut patterns: BTreeSet<&Pattern> = BTreeSet::new();
    let mut beyond = None;
    for text in texts {
        let (Some(name), Some(text)) = (&text.name, &text.query) else { continue };
        let Ok(number) = rules.binary_search_by(|rule| rule.name.cmp(&name.value)) else { continue };
        if rules[number].query != text.value {
            continue;
        }
        queries[number].leaves(&mut |leaf| {
            if let Expression::Regex(pattern, mark) = leaf
                && patterns.insert(pattern)
                && patterns.len() == REGEX_PER_POLICY_MAX + 1
            {
                beyond = Some(mistakes.inside(&text.place, mark.at, mark.length));
            }
        });
    }
    let Some(beyond) = beyond else { return };
    let what = format!(
        "in `query`: {} different regular expressions, the limit REGEX_PER_POLICY_MAX is {REGEX_PER_POLICY_MAX}",
        patterns.len()
    );
    mistakes.at(&beyond, what, "words, phrases and wildcards cost less: write those where they do");
}

/// The rule or list that names the most words and phrases, the first of equals: how many, what it is, and its name. A
/// list counts once for each form in which rules name it.
pub(super) fn most_literals<'f>(
    files: &'f Files,
    rules: &[Rule],
    queries: &[Expression],
    lists: &Lists,
) -> Option<(usize, &'static str, &'f Located<String>)> {
    let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
    let mut named: BTreeSet<&ListTerm> = BTreeSet::new();
    for (rule, query) in rules.iter().zip(queries) {
        let mut own = BTreeSet::new();
        query.leaves(&mut |leaf| match leaf {
            Expression::Literal(literal, _) => _ = own.insert(literal),
            Expression::List(list, _) => _ = named.insert(list),
            _ => {}
        });
        by_rule.insert(&rule.name, own.len());
    }
    let mut by_list: BTreeMap<&str, usize> = BTreeMap::new();
    for list in named {
        let literals = lists.get(&list.name).map_or(0, |terms| terms.literals(list.form).len());
        *by_list.entry(&list.name).or_default() += literals;
    }
    let rules = files.rules.iter().filter_map(|text| Some(("rule", text.name.as_ref()?)));
    let lists = files.lists.iter().filter_map(|text| Some(("list", text.name.as_ref()?)));
    let counted = rules.chain(lists).map(|(kind, name)| {
        let counts = if kind == "rule" { &by_rule } else { &by_list };
        (counts.get(name.value.as_str()).copied().unwrap_or(0), kind, name)
    });
    counted.reduce(|most, other| if other.0 > most.0 { other } else { most })
}

//! Why a filter did not hold, in the words in which it was written.
//!
//! Owns the walk over a condition that looks for the parts that made it false. The condition is parsed again, since a
//! compiled program has forgotten its words; it was right when the policy was compiled. Called by `explain`.

use super::program::holds;
use super::query::{Dialect, Expression, Field, parse};
use super::{Filter, Policy, RuleIndex};
use crate::model::Mention;

impl Policy {
    /// The parts of a filter's condition that are false for a mention which these rules match; empty when it holds.
    #[must_use]
    pub fn why_false(&self, filter: &Filter, mention: &Mention<'_>, matched: &[RuleIndex]) -> Vec<String> {
        let condition = parse(&filter.when, Dialect::Filter);
        let condition = condition.expect("invariant: the condition was parsed when the policy was compiled");
        let category = self.category(matched);
        let leaf = |field: &Field| match field {
            Field::Tag(tag) => matched.iter().any(|&rule| self.rule(rule).tags.contains(tag)),
            field => holds(field, mention, category),
        };
        let mut parts = Vec::new();
        gather(&condition, &filter.when, true, &leaf, &mut parts);
        parts
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

/// Appends what stands in the way of `expression` being `wanted`; whether anything does.
fn gather(
    expression: &Expression,
    written: &str,
    wanted: bool,
    leaf: &impl Fn(&Field) -> bool,
    parts: &mut Vec<String>,
) -> bool {
    match expression {
        Expression::Literal(_, mark)
        | Expression::Regex(_, mark)
        | Expression::List(_, mark)
        | Expression::Near(_, mark) => {
            // Filters have no words; one that had would never be seen.
            if wanted {
                parts.push(format!("`{}` is not looked for here", mark.of(written)));
            }
            wanted
        }
        Expression::Field(field, mark) => {
            let differs = leaf(field) != wanted;
            if differs {
                parts.push(format!("`{}` is {}", mark.of(written), if wanted { "false" } else { "true" }));
            }
            differs
        }
        Expression::Not(part) => gather(part, written, !wanted, leaf, parts),
        // "Not all of them" is "one of them not", and the other way round.
        Expression::And(all) | Expression::Or(all) => {
            let every = matches!(expression, Expression::And(_)) == wanted;
            let before = parts.len();
            let found: Vec<bool> =
                all.iter().map(|part| gather(part, written, wanted, leaf, parts)).collect();
            let stands = if every { found.contains(&true) } else { found.iter().all(|&found| found) };
            if !stands {
                parts.truncate(before);
            }
            stands
        }
    }
}

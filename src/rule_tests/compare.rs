//! What a test expects beside what was decided.
//!
//! Owns the comparison: only what is written is checked, lists of rules and tags are "at least these". Called by `mod.rs`.

use super::decide::Decided;
use serde::Serialize;
use triage_engine::policy::Expectation;

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The key of `[test.expect]`.
    pub what: &'static str,
    /// What the test says.
    pub expected: String,
    /// What came out.
    pub decided: String,
}

/// Everything that is not as expected; empty when the test holds.
pub(super) fn differences(expect: &Expectation, decided: &Decided) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut one = |what, expected: Option<&str>, decided: Option<&str>| {
        if let Some(expected) = expected.filter(|expected| decided != Some(*expected)) {
            let decided = decided.unwrap_or("none").to_owned();
            found.push(Difference { what, expected: expected.to_owned(), decided });
        }
    };
    let priority = |priority: Option<u8>| priority.map(|number| number.to_string());
    let (expected_priority, decided_priority) = (priority(expect.priority), priority(decided.priority));
    one("disposition", expect.disposition, Some(&decided.disposition));
    one("rule", expect.rule.as_deref(), decided.rule.as_deref());
    one("desk", expect.desk.as_deref(), decided.desk.as_deref());
    one("queue", expect.queue.as_deref(), decided.queue.as_deref());
    one("filter", expect.filter.as_deref(), decided.filter.as_deref());
    one("category", expect.category, decided.category);
    one("priority", expected_priority.as_deref(), decided_priority.as_deref());
    one("resolution", expect.resolution, decided.resolution);
    for (what, expected, unwanted, has) in [
        ("rules", &expect.rules, false, &decided.rules),
        ("not_rules", &expect.not_rules, true, &decided.rules),
        ("tags", &expect.tags, false, &decided.tags),
        ("not_tags", &expect.not_tags, true, &decided.tags),
    ] {
        if expected.iter().any(|name| has.contains(name) == unwanted) {
            found.push(Difference { what, expected: expected.join(", "), decided: listed(has) });
        }
    }
    if let Some(expected) = &expect.pii {
        let has: Vec<String> = decided.pii.iter().map(|&kind| kind.to_owned()).collect();
        if expected.len() != has.len() || expected.iter().any(|kind| !has.contains(kind)) {
            found.push(Difference { what: "pii", expected: listed(expected), decided: listed(&has) });
        }
    }
    found
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

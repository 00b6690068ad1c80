//! The memory that a policy takes beside its matcher: the rules as they are written, their programs, their patterns.
//!
//! Owns the sums. Names, texts and tables are counted by their lengths; what desks, queues, filters and accounts take is
//! small and left out. May not measure. Called by `check`.

use super::program::vec_bytes;
use super::{Policy, Rule};

impl Policy {
    /// Bytes, within a fifth, with what each of so many threads needs to run the regular expressions.
    #[must_use]
    pub fn bytes(&self, threads: usize) -> usize {
        let literals = self.literals.iter().map(|literal| literal.text.len());
        let lists = self.lists.values().map(|list| &list.terms);
        let terms = lists.map(|terms| vec_bytes(terms) + texts_bytes(terms));
        vec_bytes(&self.rules)
            + self.rules.iter().map(rule_bytes).sum::<usize>()
            + vec_bytes(&self.literals)
            + literals.sum::<usize>()
            + terms.sum::<usize>()
            + self.programs.bytes(threads)
            + self.filter_programs.bytes()
    }
}

/// What a rule holds beside itself.
fn rule_bytes(rule: &Rule) -> usize {
    rule.name.len()
        + rule.query.len()
        + vec_bytes(&rule.tags)
        + texts_bytes(&rule.tags)
        + vec_bytes(&rule.tag_numbers)
}

fn texts_bytes(texts: &[String]) -> usize {
    texts.iter().map(String::len).sum()
}

//! The reference matcher: aho-corasick, portable and exact.
//!
//! Owns two automata, one per form of a text. It is the oracle that every other matcher is compared with, and what
//! the daemon falls back to. May use nothing that is faster but less certain.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Hit, Literal, Matcher, Scanner};
use crate::text::{Accents, NormalText, bounded};

/// All literals of one form, with their index among all literals.
struct Form {
    automaton: AhoCorasick,
    literals: Vec<u32>,
}

impl Form {
    fn new(literals: &[Literal], accents: Accents) -> Option<Form> {
        let chosen = || literals.iter().enumerate().filter(move |(_, literal)| literal.accents == accents);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(chosen().map(|(_, literal)| literal.text.as_bytes()))
            .expect("invariant: the limits of the policy are far below those of the automaton");
        let literals: Vec<u32> = chosen().map(|(index, _)| index as u32).collect();
        (!literals.is_empty()).then_some(Form { automaton, literals })
    }

    fn scan(&self, text: &str, hits: &mut Vec<Hit>) {
        for found in self.automaton.find_overlapping_iter(text) {
            if bounded(text, found.start(), found.end()) {
                let literal = self.literals[found.pattern().as_usize()];
                hits.push(Hit { literal, start: found.start() as u32, end: found.end() as u32 });
            }
        }
    }
}

struct Forms {
    folded: Option<Form>,
    exact: Option<Form>,
}

/// Finds literals with aho-corasick.
pub struct ReferenceMatcher {
    forms: Arc<Forms>,
}

impl ReferenceMatcher {
    /// Compiles the literals; a hit names them by their index in `literals`. The same text may stand there more than once.
    ///
    /// # Panics
    /// If a literal is empty or holds a line break, or if there are more than `u32::MAX`.
    #[must_use]
    pub fn new(literals: &[Literal]) -> ReferenceMatcher {
        assert!(u32::try_from(literals.len()).is_ok(), "a hit names its literal by 32 bits");
        literals.iter().for_each(Literal::assert_valid);
        let folded = Form::new(literals, Accents::Ignore);
        let exact = Form::new(literals, Accents::Exact);
        ReferenceMatcher { forms: Arc::new(Forms { folded, exact }) }
    }
}

impl Matcher for ReferenceMatcher {
    fn scanner(&self) -> Box<dyn Scanner> {
        Box::new(ReferenceScanner { forms: Arc::clone(&self.forms) })
    }

    fn name(&self) -> &'static str {
        "reference"
    }

    fn bytes(&self) -> usize {
        [&self.forms.folded, &self.forms.exact]
            .into_iter()
            .flatten()
            .map(|form| form.automaton.memory_usage() + form.literals.len() * size_of::<u32>())
            .sum()
    }
}

struct ReferenceScanner {
    forms: Arc<Forms>,
}

impl Scanner for ReferenceScanner {
    fn scan(&mut self, text: &NormalText, hits: &mut Vec<Hit>) {
        assert!(u32::try_from(text.folded.len().max(text.exact.len())).is_ok(), "a hit is 32 bits wide");
        let from = hits.len();
        for (form, text) in [(&self.forms.folded, &text.folded), (&self.forms.exact, &text.exact)] {
            if let Some(form) = form {
                form.scan(text, hits);
            }
        }
        hits[from..].sort_unstable();
    }
}

//! The reference matcher: aho-corasick, portable and exact.
//!
//! Owns an automaton per form of a text. It is the oracle that every other matcher is compared with, and what
//! the daemon falls back to. May use nothing that is faster but less certain.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Hit, Literal, Matcher, Scanner};
use crate::text::{Edges, Form, NormalText, bounded};

/// All literals of one form, with their index among all literals and their edges.
struct Automaton {
    automaton: AhoCorasick,
    literals: Vec<(u32, Edges)>,
}

impl Automaton {
    fn new(literals: &[Literal], form: Form) -> Option<Automaton> {
        let chosen = || literals.iter().enumerate().filter(move |(_, literal)| literal.form == form);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(chosen().map(|(_, literal)| literal.text.as_bytes()))
            .expect("invariant: the limits of the policy are far below those of the automaton");
        let literals: Vec<_> = chosen().map(|(index, literal)| (index as u32, literal.edges)).collect();
        (!literals.is_empty()).then_some(Automaton { automaton, literals })
    }

    fn scan(&self, text: &str, hits: &mut Vec<Hit>) {
        for found in self.automaton.find_overlapping_iter(text) {
            let (literal, edges) = self.literals[found.pattern().as_usize()];
            if bounded(text, found.start(), found.end(), edges) {
                hits.push(Hit { literal, start: found.start() as u32, end: found.end() as u32 });
            }
        }
    }
}

/// By the index of the form.
type Automata = [Option<Automaton>; 4];

/// Finds literals with aho-corasick.
pub struct ReferenceMatcher {
    forms: Arc<Automata>,
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
        ReferenceMatcher { forms: Arc::new(Form::ALL.map(|form| Automaton::new(literals, form))) }
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
        let automata = self.forms.iter().flatten();
        automata
            .map(|form| form.automaton.memory_usage() + form.literals.len() * size_of::<(u32, Edges)>())
            .sum()
    }
}

struct ReferenceScanner {
    forms: Arc<Automata>,
}

impl Scanner for ReferenceScanner {
    fn scan(&mut self, text: &NormalText, hits: &mut Vec<Hit>) {
        assert!(u32::try_from(text.bytes_max()).is_ok(), "a hit is 32 bits wide");
        let from = hits.len();
        for (automaton, form) in self.forms.iter().zip(Form::ALL) {
            if let Some(automaton) = automaton {
                automaton.scan(text.form(form), hits);
            }
        }
        hits[from..].sort_unstable();
    }
}

//! What one thread keeps to ask rules of one mention after another: a scanner, and buffers that are used again.
//!
//! Owns the order normalise, scan, evaluate for those who do not keep the steps apart, as the daemon's stages do. May not
//! decide. Called by `Search` and by `explain`.

use super::program::{Nobody, RulePrograms, Scanned, Scratch};
use super::{Policy, Rule, RuleIndex};
use crate::model::Mention;
use crate::scan::{Hit, Scanner};
use crate::text::{NormalText, Normaliser};

/// A scanner with its buffers; what it holds is of the last mention.
pub(crate) struct Workspace {
    scanner: Box<dyn Scanner>,
    normaliser: Normaliser,
    text: NormalText,
    hits: Vec<Hit>,
    scratch: Scratch,
    matched: Vec<RuleIndex>,
}

impl Workspace {
    /// `scanner` finds the literals of the rules that will be asked.
    pub fn new(scanner: Box<dyn Scanner>) -> Workspace {
        Workspace {
            scanner,
            normaliser: Normaliser::new(),
            text: NormalText::default(),
            hits: Vec::new(),
            scratch: Scratch::default(),
            matched: Vec::new(),
        }
    }

    /// Asks the rules of a policy.
    pub fn ask(&mut self, policy: &Policy, mention: &Mention<'_>) {
        self.run(&policy.programs, &policy.rules, mention);
    }

    /// Asks programs whose rules are these; rules that assert nothing need not be there.
    pub(super) fn run(&mut self, programs: &RulePrograms, rules: &[Rule], mention: &Mention<'_>) {
        let Workspace { scanner, normaliser, text, hits, scratch, matched } = self;
        normaliser.normalise(mention.text, programs.forms(), text);
        hits.clear();
        scanner.scan(text, hits);
        programs.evaluate(rules, Scanned { mention, text, hits }, scratch, matched, &mut Nobody);
    }

    /// Where literals stand in the last mention.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// The rules that matched the last mention, ascending.
    pub fn matched(&self) -> &[RuleIndex] {
        &self.matched
    }
}

//! One query by itself, for those who look for mentions without a policy.
//!
//! Owns nothing that rules do not have: the same words, the same normaliser, the same evaluation. May not know files.
//! Called by the daemon's verbs.

use super::program::{RulePrograms, Scratch};
use super::query::{Dialect, Lists, parse};
use super::{Mistake, RuleIndex};
use crate::model::Mention;
use crate::scan::{Hit, Matcher, ReferenceMatcher, Scanner};
use crate::text::{Accents, NormalText, Normaliser};

/// A query with what one thread needs to ask it of many mentions.
pub struct Search {
    programs: RulePrograms,
    scanner: Box<dyn Scanner>,
    normaliser: Normaliser,
    text: NormalText,
    hits: Vec<Hit>,
    scratch: Scratch,
    matched: Vec<RuleIndex>,
}

impl Search {
    /// Reads a query as a rule's, accents ignored.
    ///
    /// # Errors
    /// Every mistake in it, with its column.
    pub fn new(query: &str) -> Result<Search, Vec<Mistake>> {
        let expression = parse(query, Dialect::Rule(Accents::Ignore)).map_err(|found| {
            let mistakes = found.into_iter().map(|mistake| {
                let before = query[..mistake.at.min(query.len())].chars().count();
                let column = u32::try_from(before + 1).unwrap_or(u32::MAX);
                let (what, hint) = (mistake.what, mistake.hint);
                Mistake {
                    file: "query".to_owned(),
                    line: 1,
                    column,
                    length: 1,
                    line_text: query.to_owned(),
                    what,
                    hint,
                }
            });
            mistakes.collect::<Vec<_>>()
        })?;
        let (programs, literals) = RulePrograms::new(&[expression], &Lists::new(), &|_| u32::MAX, Vec::new());
        Ok(Search {
            programs,
            scanner: ReferenceMatcher::new(&literals).scanner(),
            normaliser: Normaliser::new(),
            text: NormalText::default(),
            hits: Vec::new(),
            scratch: Scratch::default(),
            matched: Vec::new(),
        })
    }

    /// Whether the query holds for this mention.
    pub fn matches(&mut self, mention: &Mention<'_>) -> bool {
        self.normaliser.normalise(mention.text, self.programs.forms(), &mut self.text);
        self.hits.clear();
        self.scanner.scan(&self.text, &mut self.hits);
        self.programs.evaluate(&[], mention, &self.text, &self.hits, &mut self.scratch, &mut self.matched);
        !self.matched.is_empty()
    }
}

//! Parts of regular expressions that can never match, while others can.
//!
//! Owns the words of this finding; which parts these are is the query language's business. A pattern that can never match
//! at all is a mistake and never comes here. Called by the lints of rules.

use super::{LintKind, Linter};
use crate::policy::query::regex::impossible_parts;
use crate::policy::query::{Expression, Form};
use crate::policy::table::Located;

impl Linter<'_> {
    pub(super) fn impossible_parts(&mut self, text: &Located<String>, form: Form, query: &Expression) {
        let mut marks = Vec::new();
        query.leaves(&mut |leaf| {
            if let Expression::Regex(_, mark) = leaf {
                marks.push(*mark);
            }
        });
        for mark in marks {
            let written = mark.of(&text.value);
            for part in impossible_parts(written, form) {
                let place = self.mistakes.inside(&text.place, mark.at + part.at.start, part.at.len());
                let what = format!("a part of `{written}` can never match: {}", part.why);
                self.note(LintKind::ImpossiblePart, &place, what, &part.hint);
            }
        }
    }
}

//! One query by itself, for those who look for mentions without a policy.
//!
//! Owns nothing that rules do not have: the same words, the same normaliser, the same evaluation. May not know files.
//! Called by the daemon's verbs.

use super::program::RulePrograms;
use super::query::{Dialect, Expression, Field, Form, Lists, Mark, QueryMistake, parse};
use super::{Mistake, Workspace};
use crate::model::Mention;
use crate::scan::{Matcher, ReferenceMatcher};

/// A query with what one thread needs to ask it of many mentions.
pub struct Search {
    programs: RulePrograms,
    workspace: Workspace,
}

impl Search {
    /// Reads a query as a rule's, accents ignored.
    ///
    /// # Errors
    /// Every mistake in it, with its column.
    pub fn new(query: &str) -> Result<Search, Vec<Mistake>> {
        let told = |mistake: QueryMistake| {
            let before = query[..mistake.at.min(query.len())].chars().count();
            let meant = Mark { at: mistake.at, length: mistake.length }.of(query).chars().count();
            Mistake {
                file: "query".to_owned(),
                line: 1,
                column: u32::try_from(before + 1).unwrap_or(u32::MAX),
                length: u32::try_from(meant).unwrap_or(u32::MAX).max(1),
                line_text: query.to_owned(),
                what: mistake.what,
                hint: mistake.hint,
            }
        };
        let expression = parse(query, Dialect::Rule(Form::default()))
            .map_err(|found| found.into_iter().map(told).collect::<Vec<_>>())?;
        let mut wrong = Vec::new();
        expression.leaves(&mut |leaf| {
            let (mark, what) = match leaf {
                Expression::List(_, mark) => (mark, "lists are part of a policy"),
                Expression::Field(Field::Tag(_), mark) => (mark, "tags are given by rules"),
                Expression::Field(Field::Category(_), mark) => (mark, "categories are given by rules"),
                _ => return,
            };
            let (at, what) = (mark.at, format!("`{}` has no meaning here: {what}", mark.of(query)));
            wrong.push(told(QueryMistake { at, length: mark.length, what, hint: String::new() }));
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let (programs, literals) =
            RulePrograms::new(&[expression], &Lists::new(), &|_| u32::MAX, Vec::new(), &mut || {});
        let workspace = Workspace::new(ReferenceMatcher::new(&literals).scanner());
        Ok(Search { programs, workspace })
    }

    /// Whether the query holds for this mention.
    pub fn matches(&mut self, mention: &Mention<'_>) -> bool {
        self.workspace.run(&self.programs, &[], mention);
        !self.workspace.matched().is_empty()
    }
}

//! A regular expression as it runs over a normal text: once over the text itself, once over the words of its hashtags.
//!
//! Owns that `^` and `$` are the ends of the text and of nothing else: the words of a CamelCase hashtag are lines behind the
//! text, whose ends are places inside it. There the pattern is run without the alternatives that ask for an end. May not
//! read queries. Made when a policy is compiled, asked by the evaluation and by `why`.

use super::REGEX_COMPILED_BYTES_MAX;
use crate::policy::query::tree::Pattern;
use crate::policy::query::{Case, Form};
use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Capture, Hir, HirKind, Look, Repetition};
use std::ops::Range;

/// A pattern, ready to run.
#[derive(Debug, Clone)]
pub struct Compiled {
    text: Regex,
    hashtags: InHashtags,
}

/// What is run over the words of hashtags.
#[derive(Debug, Clone)]
enum InHashtags {
    /// The pattern itself, which asks for no end of the text.
    Same,
    /// What is left of it without those alternatives that do.
    Rest(Regex),
    /// Nothing: it matches at an end of the text or not at all.
    Never,
}

impl Compiled {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, by the library's own words.
    pub fn new(pattern: &Pattern) -> Result<Compiled, regex::Error> {
        let ignore_case = pattern.form.case == Case::Ignore;
        let text = build(&pattern.text, ignore_case)?;
        let hashtags = match rest(&pattern.text, pattern.form) {
            None => InHashtags::Same,
            // Letters in both cases are written out by now.
            Some(Some(rest)) => InHashtags::Rest(build(&rest, false)?),
            Some(None) => InHashtags::Never,
        };
        Ok(Compiled { text, hashtags })
    }

    /// The pattern that it was compiled from.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// Whether it matches in a form of a text. No match goes from the text into the words of a hashtag.
    pub fn matches(&self, form: &str) -> bool {
        let (text, hashtags) = form.split_once('\n').unwrap_or((form, ""));
        let of_hashtags =
            || self.in_hashtags().is_some_and(|rest| hashtags.split('\n').any(|line| rest.is_match(line)));
        self.text.is_match(text) || (!hashtags.is_empty() && of_hashtags())
    }

    /// The first so many matches of each line of a form, in its bytes.
    pub fn places(&self, form: &str, lines_most: usize) -> Vec<Range<usize>> {
        let (mut found, mut start) = (Vec::new(), 0);
        for line in form.split('\n') {
            let regex = if start == 0 { Some(&self.text) } else { self.in_hashtags() };
            let matches = regex.into_iter().flat_map(|regex| regex.find_iter(line).take(lines_most));
            found.extend(matches.map(|found| start + found.start()..start + found.end()));
            start += line.len() + 1;
        }
        found
    }

    fn in_hashtags(&self) -> Option<&Regex> {
        match &self.hashtags {
            InHashtags::Same => Some(&self.text),
            InHashtags::Rest(rest) => Some(rest),
            InHashtags::Never => None,
        }
    }
}

fn build(pattern: &str, ignore_case: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .size_limit(REGEX_COMPILED_BYTES_MAX)
        .dfa_size_limit(REGEX_COMPILED_BYTES_MAX)
        .build()
}

/// What is left of a pattern where there is no end of the text: none if all of it is, an inner none if nothing is.
pub(super) fn rest(pattern: &str, form: Form) -> Option<Option<String>> {
    let mut parser = ParserBuilder::new().case_insensitive(form.case == Case::Ignore).build();
    let hir = parser.parse(pattern).ok()?;
    let asks_for_end = hir.properties().look_set().iter().any(is_end);
    asks_for_end.then(|| without_ends(&hir).map(|rest| rest.to_string()))
}

fn is_end(look: Look) -> bool {
    use Look::{End, EndCRLF, EndLF, Start, StartCRLF, StartLF};
    matches!(look, Start | StartLF | StartCRLF | End | EndLF | EndCRLF)
}

fn without_ends(hir: &Hir) -> Option<Hir> {
    match hir.kind() {
        HirKind::Look(look) if is_end(*look) => None,
        HirKind::Repetition(repetition) => match without_ends(&repetition.sub) {
            Some(sub) => Some(Hir::repetition(Repetition { sub: Box::new(sub), ..repetition.clone() })),
            None => (repetition.min == 0).then(Hir::empty),
        },
        HirKind::Capture(Capture { sub, .. }) => without_ends(sub),
        HirKind::Concat(parts) => {
            parts.iter().map(without_ends).collect::<Option<Vec<Hir>>>().map(Hir::concat)
        }
        HirKind::Alternation(parts) => {
            let left: Vec<Hir> = parts.iter().filter_map(without_ends).collect();
            (!left.is_empty()).then(|| Hir::alternation(left))
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => Some(hir.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(pattern: &str) -> Option<Option<String>> {
        rest(pattern, Form::default())
    }

    #[test]
    fn what_asks_for_an_end_of_the_text_is_left_out_where_there_is_none() {
        let left_of = |pattern| left(pattern).map(|rest| rest.map(|rest| rest.replace("(?:", "(")));
        assert_eq!(left(r"\bhelp\b"), None);
        for pattern in ["^help", "help$", r"\Ahelp\z", "(?m)^help", "(^|^x)+help", "x(a|b)(^|$)"] {
            assert_eq!(left(pattern), Some(None), "{pattern}");
        }
        assert_eq!(left_of("(^|[@#])1"), left_of("(^|[@#])1($){0,3}"));
        let both = Compiled::new(&Pattern { text: "^he|(^|x )lp".to_owned(), form: Form::default() });
        let both = both.expect("it compiles");
        assert!(both.matches("hey") && both.matches("lp") && both.matches("a\nx lp"));
        assert!(!both.matches("a\nhe") && !both.matches("a\nlp") && !both.matches("a\nX\nlp"));
        assert!(both.matches("a\nX LP"), "capitals count no more than in the text");
        assert_eq!(both.places("lp x lp\nlp x lp", 9), [0..2, 3..7, 11..15]);
    }
}

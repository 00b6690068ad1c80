//! One form of a mention's text: its lines and words, and where in the text as it was sent something stands.
//!
//! Owns the way back from the normal form. Its tables are made once for each form that somebody asks for, in time linear
//! in the text, and never on the data path. Called by `why` alone.

use super::term::Found;
use crate::policy::program::{Span, Words};
use crate::text::{Form, Forms, NormalText, Normaliser, Trace};
use unicode_normalization::char::is_combining_mark;

/// A text with one of its normal forms.
pub(super) struct Layout {
    trace: Trace,
    /// Where the lines of the form end; the text itself is line 0.
    breaks: Vec<u32>,
    /// By line, from 1: the hashtag whose words it is.
    hashtags: Vec<Found>,
    /// Where its words stand.
    pub words: Words,
}

impl Layout {
    /// `normal` is the text in this form.
    pub(super) fn new(text: &str, normal: &str, form: Form) -> Layout {
        let breaks: Vec<u32> = normal.match_indices('\n').map(|(at, _)| at as u32).collect();
        let hashtags = if breaks.is_empty() { Vec::new() } else { hashtags(text) };
        Layout { trace: Trace::of(text, form), breaks, hashtags, words: Words::of(normal) }
    }

    /// In which line of the form a byte stands.
    pub(super) fn line(&self, at: u32) -> usize {
        self.breaks.partition_point(|&end| end < at)
    }

    /// The bytes of the text that became these bytes of the form.
    pub(super) fn of(&self, span: Span) -> Found {
        match self.line(span.start) {
            0 => self.in_text(span),
            line => self
                .hashtags
                .get(line - 1)
                .copied()
                .unwrap_or(Found { start: 0, end: self.trace.text().len() }),
        }
    }

    fn in_text(&self, span: Span) -> Found {
        let text = self.trace.text();
        let start = self.trace.first_beyond(span.start as usize);
        // A blank before it may have become one with those that follow.
        let blanks = &text[start..];
        let start = start + (blanks.len() - blanks.trim_start().len());
        let end = self.trace.first_at_least(span.end as usize).max(start);
        // Accents that do not count belong to their letter.
        let marks = text[end..].chars().take_while(|&c| is_combining_mark(c)).map(char::len_utf8);
        let end = end + marks.sum::<usize>();
        Found { start, end }
    }
}

/// The hashtags that have lines of their own, each as often as it has lines.
fn hashtags(text: &str) -> Vec<Found> {
    let (mut normaliser, mut words) = (Normaliser::new(), NormalText::default());
    let mut found = Vec::new();
    let is_sign = |character: char| matches!(character, '#' | '＃');
    for (start, _) in text.match_indices(is_sign) {
        let rest = &text[start..];
        let next = |c: char| c.is_whitespace() || is_sign(c);
        let end = rest.char_indices().skip(1).find(|(_, c)| next(*c)).map_or(rest.len(), |(at, _)| at);
        normaliser.normalise(&rest[..end], Forms::default(), &mut words);
        let lines = words.form(Form::default()).matches('\n').count();
        found.resize(found.len() + lines, Found { start, end: start + end });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalise_term;

    /// The words of `text` that stand where `term` is found in its normal form.
    fn found<'t>(text: &'t str, term: &str) -> Vec<&'t str> {
        let mut normal = NormalText::default();
        Normaliser::new().normalise(text, Forms::default(), &mut normal);
        let normal = normal.form(Form::default());
        let layout = Layout::new(text, normal, Form::default());
        let term = normalise_term(term, Form::default());
        let span = |at: usize| Span { start: at as u32, end: (at + term.len()) as u32 };
        let places = normal.match_indices(&term).map(|(at, _)| layout.of(span(at)));
        places.map(|found| &text[found.start..found.end]).collect()
    }

    #[test]
    fn a_place_in_the_normal_form_is_found_in_the_text_as_it_was_written() {
        assert_eq!(found("My  TV is\nBROKEN!", "tv is broken"), ["TV is\nBROKEN"]);
        assert_eq!(found("Straße und strasse", "strasse"), ["Straße", "strasse"]);
        assert_eq!(found("ﬁne cafe\u{301} au lait", "cafe"), ["cafe\u{301}"]);
        assert_eq!(found("今天停电了，停电", "停电"), ["停电", "停电"]);
        assert_eq!(found("so 😡 and 👩‍👧", "😡"), ["😡"]);
        assert_eq!(found("a\u{200b}pp down", "app"), ["a\u{200b}pp"]);
        assert_eq!(found("don’t", "don't"), ["don’t"]);
        assert_eq!(found("", "x"), [""; 0]);
    }

    #[test]
    fn the_words_of_a_hashtag_are_the_hashtag() {
        let text = "no #plain here, #DelayedAgain and #LostMyBag!";
        assert_eq!(found(text, "delayed again"), ["#DelayedAgain"]);
        assert_eq!(found(text, "my bag"), ["#LostMyBag!"]);
    }
}

//! Where in a mention's own text something stands that was found in its normal form.
//!
//! Owns the way back: the normal form of a beginning of a text is as long as the beginning of its normal form, so the
//! character is found by halving. Slow, and needs no table on the hot path. Called by `why` alone.

use super::term::Found;
use crate::text::{Form, Forms, NormalText, Normaliser, normalise_term};
use std::ops::Range;
use unicode_normalization::char::is_combining_mark;

/// A text with its normal form.
pub(super) struct Origin<'t> {
    text: &'t str,
    normal: &'t str,
    form: Form,
}

impl<'t> Origin<'t> {
    /// `normal` is the text in this form.
    pub(super) fn new(text: &'t str, normal: &'t str, form: Form) -> Origin<'t> {
        Origin { text, normal, form }
    }

    /// The bytes of the text that became these bytes of the form.
    pub(super) fn of(&self, span: &Range<usize>) -> Found {
        let before = &self.normal[..span.start];
        match before.matches('\n').count() {
            0 => self.in_text(span),
            line => self.hashtag(line),
        }
    }

    fn in_text(&self, span: &Range<usize>) -> Found {
        let start = self.first_beyond(span.start);
        // A blank before it may have become one with those that follow.
        let blanks = &self.text[start..];
        let start = start + (blanks.len() - blanks.trim_start().len());
        let end = self.first_at_least(span.end).max(start);
        // Accents that do not count belong to their letter.
        let marks = self.text[end..].chars().take_while(|&c| is_combining_mark(c)).map(char::len_utf8);
        let end = end + marks.sum::<usize>();
        Found { start, end }
    }

    fn length(&self, end: usize) -> usize {
        normalise_term(&self.text[..end], self.form).len()
    }

    /// The end of the longest beginning whose form has at most `length` bytes.
    fn first_beyond(&self, length: usize) -> usize {
        let (mut low, mut high) = (0, self.text.len());
        while low < high {
            let middle = self.text.ceil_char_boundary(low + (high - low).div_ceil(2));
            if self.length(middle) <= length {
                low = middle;
            } else {
                high = self.text.floor_char_boundary(middle - 1);
            }
        }
        low
    }

    /// The end of the shortest beginning whose form has at least `length` bytes.
    fn first_at_least(&self, length: usize) -> usize {
        let (mut low, mut high) = (0, self.text.len());
        while low < high {
            let middle = self.text.floor_char_boundary(low + (high - low) / 2);
            if self.length(middle) >= length {
                high = middle;
            } else {
                low = self.text.ceil_char_boundary(middle + 1);
            }
        }
        high
    }

    /// The hashtag whose words are this line of the form, the text itself being line 0.
    fn hashtag(&self, line: usize) -> Found {
        let (mut normaliser, mut words) = (Normaliser::new(), NormalText::default());
        let mut left = line;
        let is_sign = |character: char| matches!(character, '#' | '＃');
        let signs = self.text.match_indices(is_sign).map(|(at, _)| at);
        for start in signs {
            let rest = &self.text[start..];
            let next = |c: char| c.is_whitespace() || is_sign(c);
            let end = rest.char_indices().skip(1).find(|(_, c)| next(*c)).map_or(rest.len(), |(at, _)| at);
            normaliser.normalise(&rest[..end], Forms::default(), &mut words);
            let lines = words.form(Form::default()).matches('\n').count();
            if left <= lines {
                return Found { start, end: start + end };
            }
            left -= lines;
        }
        Found { start: 0, end: self.text.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of `text` that stand where `term` is found in its normal form.
    fn found<'t>(text: &'t str, term: &str) -> Vec<&'t str> {
        let mut normal = NormalText::default();
        Normaliser::new().normalise(text, Forms::default(), &mut normal);
        let normal = normal.form(Form::default());
        let origin = Origin::new(text, normal, Form::default());
        let term = normalise_term(term, Form::default());
        let places = normal.match_indices(&term).map(|(at, _)| origin.of(&(at..at + term.len())));
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

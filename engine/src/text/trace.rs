//! Which bytes of a text became which bytes of its normal form.
//!
//! Owns the way back, which only those need who show a person where something was found. A text is cut into pieces that
//! hang on no neighbour, so that the table is made in time linear in the text; inside a piece, which is one character
//! and what combines with it, the place is found by halving. Called by whoever explains a decision; never on the data path.

use super::fold::{self, Sink};
use super::{Form, normalise_term};

/// The ends of the pieces of a text, in its bytes and in those of one form.
pub(crate) struct Trace {
    text: String,
    form: Form,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Default)]
struct Piece {
    text_end: usize,
    form_end: usize,
    /// Whether a blank stands at its end, which the form has once something follows.
    blank: bool,
}

impl Trace {
    /// The pieces of a text.
    pub fn of(text: &str, form: Form) -> Trace {
        let mut normal = String::with_capacity(text.len());
        let mut sink = Sink::new(&mut normal, form);
        let mut pieces = Vec::new();
        let mut text_end = 0;
        while text_end < text.len() {
            text_end += fold::piece(&text[text_end..], &mut sink);
            let (form_end, blank) = sink.written();
            pieces.push(Piece { text_end, form_end, blank });
        }
        Trace { text: text.to_owned(), form, pieces }
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The end of the longest beginning of the text whose form has at most `length` bytes.
    pub fn first_beyond(&self, length: usize) -> usize {
        let next = self.pieces.partition_point(|piece| piece.form_end <= length);
        let (mut low, mut high) = self.piece(next);
        while low < high {
            let middle = self.text.ceil_char_boundary(low + (high - low).div_ceil(2));
            if self.length(next, middle) <= length {
                low = middle;
            } else {
                high = self.text.floor_char_boundary(middle - 1);
            }
        }
        low
    }

    /// The end of the shortest beginning of the text whose form has at least `length` bytes.
    pub fn first_at_least(&self, length: usize) -> usize {
        let at = self.pieces.partition_point(|piece| piece.form_end < length);
        let (mut low, mut high) = self.piece(at);
        while low < high {
            let middle = self.text.floor_char_boundary(low + (high - low) / 2);
            if self.length(at, middle) >= length {
                high = middle;
            } else {
                low = self.text.ceil_char_boundary(middle + 1);
            }
        }
        high
    }

    /// The piece before this one; that before the first is empty.
    fn before(&self, piece: usize) -> Piece {
        piece.checked_sub(1).map_or_else(Piece::default, |before| self.pieces[before])
    }

    /// From the first byte of a piece to its end; beyond the last one nothing is left.
    fn piece(&self, piece: usize) -> (usize, usize) {
        let end = self.pieces.get(piece).map_or(self.text.len(), |piece| piece.text_end);
        (self.before(piece).text_end, end)
    }

    /// The bytes of the form of a beginning of the text that ends in this piece.
    fn length(&self, piece: usize, end: usize) -> usize {
        let before = self.before(piece);
        if before.form_end == 0 {
            return normalise_term(&self.text[..end], self.form).len();
        }
        // A letter stands for all that is before: no piece combines with what it follows.
        let part = &self.text[before.text_end..end];
        let blank = if before.blank { " " } else { "" };
        before.form_end + normalise_term(&format!("x{blank}{part}"), self.form).len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Forms, NormalText, Normaliser};
    use super::*;
    use proptest::prelude::*;

    /// Letters that combine, vanish, become several, or are blanks, in scripts with and without short cuts.
    const CHARACTERS: [char; 24] = [
        'a', 'E', ' ', '\t', 'ß', 'é', '\u{301}', '\u{308}', '\u{200b}', '¨', 'ﬁ', 'ﷺ', 'ا', 'َ', '停', 'が',
        'ﾊ', 'ﾞ', '한', '\u{1161}', 'İ', '👍', '🏽', 'น',
    ];

    proptest! {
        /// The definition: the form of a beginning, made by itself, is as long as the trace says.
        #[test]
        fn the_way_back_is_that_of_beginnings_made_by_themselves(
            drawn in proptest::collection::vec(0..CHARACTERS.len(), 0..14),
            form in 0..Form::ALL.len(),
        ) {
            let text: String = drawn.iter().map(|&place| CHARACTERS[place]).collect();
            let form = Form::ALL[form];
            let trace = Trace::of(&text, form);
            let mut normal = NormalText::default();
            Normaliser::new().normalise(&text, Forms::ALL, &mut normal);
            let whole = trace.pieces.last().map_or(0, |piece| piece.form_end);
            prop_assert_eq!(whole, normal.form(form).lines().next().map_or(0, str::len));
            for piece in 0..trace.pieces.len() {
                let (start, end) = trace.piece(piece);
                for end in (start + 1..=end).filter(|&end| text.is_char_boundary(end)) {
                    let alone = normalise_term(&text[..end], form).len();
                    prop_assert_eq!(trace.length(piece, end), alone, "{:?} up to {}", text, end);
                }
                prop_assert_eq!(trace.pieces[piece].form_end, trace.length(piece, end));
            }
        }
    }
}

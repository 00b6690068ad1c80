//! A line of text with marks below it, in the columns of a terminal.
//!
//! Owns how wide a character is, what is shown in place of a character that would act on the terminal, and which part of
//! a long line is shown. May not know queries. Called by `shown`.

use super::Colour;
use crate::diagnostic::columns::columns;
use crate::wire::visible::visible;
use std::ops::Range;

/// Columns of text that are shown of one line.
const COLUMNS_MAX: usize = 100;
/// Columns kept before a mark that does not fit.
const BEFORE: usize = 30;
/// Parts of one long text that are shown for its marks.
const WINDOWS_MAX: usize = 4;
/// Bytes of a text that are looked at; what lies behind is not shown.
const BYTES_MAX: usize = 64 * 1024;

/// Bytes that are shown as something else: personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Which bytes.
    pub bytes: Range<usize>,
    /// What is shown.
    pub label: String,
}

/// What is underlined together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes of the text.
    pub places: Vec<Range<usize>>,
    /// Stands behind the last underline; may be empty.
    pub message: String,
}

/// A text as cells, each with its bytes and its columns.
#[derive(Debug, Clone)]
pub struct Line {
    cells: Vec<Cell>,
}

#[derive(Debug, Clone)]
struct Cell {
    bytes: Range<usize>,
    shown: String,
    column: usize,
    width: usize,
}

impl Line {
    /// The text with `masks` in place of what they cover; line breaks are shown as blanks.
    #[must_use]
    pub fn new(text: &str, masks: &[Mask]) -> Line {
        let mut cells: Vec<Cell> = Vec::new();
        let mut column = 0;
        let text = &text[..text.floor_char_boundary(BYTES_MAX.min(text.len()))];
        for (at, character) in text.char_indices() {
            let mask = masks.iter().find(|mask| mask.bytes.contains(&at));
            let (bytes, shown) = match mask {
                Some(mask) if cells.last().is_some_and(|cell| cell.bytes == mask.bytes) => continue,
                Some(mask) => (mask.bytes.clone(), mask.label.clone()),
                None => (at..at + character.len_utf8(), visible(character.encode_utf8(&mut [0; 4]))),
            };
            let width = shown.chars().map(columns).sum();
            cells.push(Cell { bytes, shown, column, width });
            column += width;
        }
        Line { cells }
    }

    /// The bytes in quotes, as they are shown.
    pub(super) fn quoted(&self, bytes: &Range<usize>) -> String {
        let shown: String = self.touched(bytes).map(|cell| cell.shown.as_str()).collect();
        format!("\"{shown}\"")
    }

    /// The whole text, shortened to a line.
    #[must_use]
    pub fn short(&self) -> String {
        self.part(&(0..COLUMNS_MAX))
    }

    /// Writes the line after `margin` and a line for each mark below it. Where a mark lies beyond what is shown, the
    /// line is written again from there.
    pub(super) fn write(&self, margin: &str, marks: &[Mark], colour: Colour, out: &mut String) {
        let rest = format!("{}| ", " ".repeat(margin.chars().count().saturating_sub(2)));
        let mut window: Option<Range<usize>> = None;
        let mut windows = 0;
        for mark in marks {
            let mut places = mark.places.iter().map(|place| self.columns_of(place)).peekable();
            while let Some(first) = places.peek() {
                let fits = |window: &Range<usize>| {
                    window.contains(&first.start)
                        && (first.end <= window.end || first.start < window.start + BEFORE)
                };
                if !window.as_ref().is_some_and(fits) {
                    if windows == WINDOWS_MAX {
                        return;
                    }
                    windows += 1;
                    let from = self.window_from(first);
                    window = Some(from..from + COLUMNS_MAX);
                    let lead = if windows == 1 { margin } else { &rest };
                    *out += &format!("{lead}{}\n", self.part(&(from..from + COLUMNS_MAX)));
                }
                let shown = window.clone().unwrap_or(0..COLUMNS_MAX);
                let ellipsis = usize::from(shown.start > 0);
                let mut under = String::new();
                while let Some(place) = places.next_if(|place| shown.contains(&place.start)) {
                    let (from, to) = (
                        place.start - shown.start + ellipsis,
                        place.end.min(shown.end) - shown.start + ellipsis,
                    );
                    under += &" ".repeat(from.saturating_sub(under.len()));
                    under += &"^".repeat(to.saturating_sub(under.len()));
                }
                let space = " ".repeat(under.len() - under.trim_start().len());
                let message = if places.peek().is_some() { "" } else { mark.message.as_str() };
                let blank = if message.is_empty() { "" } else { " " };
                *out +=
                    &format!("{rest}{space}{}{blank}{message}\n", colour.paint("1;31", under.trim_start()));
            }
        }
    }

    /// Where the part of the line begins that shows a mark.
    fn window_from(&self, mark: &Range<usize>) -> usize {
        let end = self.cells.last().map_or(0, |cell| cell.column + cell.width);
        if end <= COLUMNS_MAX || mark.end <= COLUMNS_MAX { 0 } else { mark.start.saturating_sub(BEFORE) }
    }

    /// What stands in these columns, with ellipses where there is more.
    fn part(&self, columns: &Range<usize>) -> String {
        let mut shown = if columns.start > 0 { "…".to_owned() } else { String::new() };
        let inside = |cell: &&Cell| cell.column >= columns.start && cell.column + cell.width <= columns.end;
        shown.extend(self.cells.iter().filter(inside).map(|cell| cell.shown.as_str()));
        let shown_to_the_end = self.cells.last().is_none_or(|last| last.column + last.width <= columns.end);
        if shown_to_the_end { shown.trim_end().to_owned() } else { shown + "…" }
    }

    /// The columns of these bytes; never none.
    fn columns_of(&self, bytes: &Range<usize>) -> Range<usize> {
        let mut touched = self.touched(bytes);
        let Some(first) = touched.next() else {
            let end = self.cells.last().map_or(0, |cell| cell.column + cell.width);
            return end..end + 1;
        };
        let last = touched.last().unwrap_or(first);
        first.column..(last.column + last.width).max(first.column + 1)
    }

    fn touched(&self, bytes: &Range<usize>) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.bytes.start < bytes.end && bytes.start < cell.bytes.end)
    }
}

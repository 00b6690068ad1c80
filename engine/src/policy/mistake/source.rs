//! A policy file's text: where its lines begin, and how a TOML string maps to its source.
//!
//! Owns lines, columns and offsets. The table of lines is made when the first mistake asks, in time linear in the file, and
//! asked for each in constant time but for the logarithm: a file may have as many mistakes as lines. Called by `Mistakes`.

use std::cell::OnceCell;

/// The longest line that a mistake repeats, in bytes: that of the longest query. A file may be one line.
const LINE_BYTES_MAX: usize = crate::policy::QUERY_BYTES_MAX;
/// Characters are counted once for so many bytes, so that a column is found in a line of any length.
const BLOCK_BYTES: usize = 1024;

/// One file.
pub struct Source<'a> {
    /// Its path inside the policy folder.
    pub path: &'a str,
    /// What it says.
    pub text: &'a str,
    index: OnceCell<Index>,
}

struct Index {
    /// The first byte of each line.
    lines: Vec<usize>,
    /// The characters before each block.
    characters: Vec<usize>,
}

impl<'a> Source<'a> {
    pub fn new(path: &'a str, text: &'a str) -> Source<'a> {
        Source { path, text, index: OnceCell::new() }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
            let mut characters = Vec::with_capacity(self.text.len() / BLOCK_BYTES + 1);
            let mut before = 0;
            for block in self.text.as_bytes().chunks(BLOCK_BYTES) {
                characters.push(before);
                before += count(block);
            }
            characters.push(before);
            Index { lines: std::iter::once(0).chain(breaks).collect(), characters }
        })
    }

    /// The line of a byte and its column in characters, both from 1.
    pub fn line_and_column(&self, byte: usize) -> (u32, u32) {
        let byte = self.text.floor_char_boundary(byte.min(self.text.len()));
        let lines = &self.index().lines;
        let line = lines.partition_point(|&start| start <= byte);
        let column = 1 + self.characters_before(byte) - self.characters_before(lines[line - 1]);
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// A line by its number, without its end; empty if it is too long to be repeated.
    pub fn line(&self, number: u32) -> &'a str {
        let lines = &self.index().lines;
        let Some(&start) = lines.get(number as usize - 1) else { return "" };
        let end = lines.get(number as usize).map_or(self.text.len(), |next| next - 1);
        let line = self.text[start..end].trim_end_matches('\r');
        if line.len() > LINE_BYTES_MAX { "" } else { line }
    }

    fn characters_before(&self, byte: usize) -> usize {
        let block = byte / BLOCK_BYTES;
        self.index().characters[block] + count(&self.text.as_bytes()[block * BLOCK_BYTES..byte])
    }
}

/// The characters that begin in these bytes.
fn count(bytes: &[u8]) -> usize {
    // What goes on with a character has the bits 10 in front.
    bytes.iter().filter(|&&byte| byte & 0b1100_0000 != 0b1000_0000).count()
}

/// Maps an offset in the value of a TOML string to an offset in its source, quotes and escapes included.
pub fn raw_offset(raw: &str, offset: usize) -> usize {
    let multi_line = raw.starts_with("\"\"\"") || raw.starts_with("'''");
    let mut at = if multi_line { 3 } else { 1 };
    if multi_line {
        // A line break right after the opening quotes is not part of the value.
        at += if raw[3..].starts_with("\r\n") { 2 } else { usize::from(raw[3..].starts_with('\n')) };
    }
    if raw.starts_with('\'') {
        return (at + offset).min(raw.len());
    }
    let mut value = 0;
    while value < offset && at < raw.len() {
        let (source_length, value_length) = one_piece(&raw[at..]);
        at += source_length;
        value += value_length;
    }
    // A line-ending backslash stands for nothing; the next character begins after it.
    while at < raw.len() && raw[at..].starts_with('\\') && one_piece(&raw[at..]).1 == 0 {
        at += one_piece(&raw[at..]).0;
    }
    at.min(raw.len())
}

/// The next piece of a basic string: its bytes in the source and in the value.
fn one_piece(raw: &str) -> (usize, usize) {
    let mut chars = raw.chars();
    let Some(first) = chars.next() else { return (1, 1) };
    if first != '\\' {
        return (first.len_utf8(), first.len_utf8());
    }
    let digits = |from: usize, count: usize| {
        let code = raw.get(from..from + count).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        (from + count, code.and_then(char::from_u32).map_or(1, char::len_utf8))
    };
    match chars.next() {
        Some('x') => digits(2, 2),
        Some('u') => digits(2, 4),
        Some('U') => digits(2, 8),
        Some(c) if c.is_whitespace() => {
            let rest = &raw[1..];
            (1 + rest.len() - rest.trim_start().len(), 0)
        }
        _ => (2, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_inside_a_string_is_found_behind_quotes_escapes_and_line_breaks() {
        assert_eq!(raw_offset("\"ab\"", 1), 2);
        assert_eq!(raw_offset("'ab'", 1), 2);
        assert_eq!(raw_offset("'''\nab'''", 1), 5);
        assert_eq!(raw_offset("\"\"\"\r\nab\"\"\"", 0), 5);
        assert_eq!(raw_offset(r#""\"tv\" b""#, 5), 8);
        assert_eq!(raw_offset(r#""\u00e9x""#, 2), 7);
        assert_eq!(raw_offset("\"\"\"a \\\n   b\"\"\"", 2), 10);
        assert_eq!(raw_offset("\"ab\"", 99), 4);
    }

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        assert_eq!(Source::new("", "é\nçé x").line_and_column(7), (2, 3));
        assert_eq!(Source::new("", "").line_and_column(0), (1, 1));
        let text = format!("{}x\n{}y\r\n", "é".repeat(1_500), "éa".repeat(3_000));
        let source = Source::new("", &text);
        for (at, _) in text.char_indices() {
            let before = &text[..at];
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let line = 1 + before.matches('\n').count();
            let place = (line as u32, 1 + before[line_start..].chars().count() as u32);
            assert_eq!(source.line_and_column(at), place);
        }
        assert_eq!(source.line(2), format!("{}y", "éa".repeat(3_000)));
        assert_eq!((source.line(3), source.line(9)), ("", ""));
    }

    #[test]
    fn a_line_that_is_too_long_is_not_repeated_and_has_its_columns() {
        let text = format!("{}x", " ".repeat(LINE_BYTES_MAX));
        let source = Source::new("", &text);
        assert_eq!(
            (source.line(1), source.line_and_column(LINE_BYTES_MAX)),
            ("", (1, LINE_BYTES_MAX as u32 + 1))
        );
    }
}

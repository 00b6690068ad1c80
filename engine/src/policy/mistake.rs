//! A mistake in a policy file: where it stands, what is wrong, and what to do about it.
//!
//! Owns places (line and column), the "did you mean" search, and the way positions inside a TOML string map to
//! the file. May not decide what is a mistake. Used by everything in `policy` that reads files.

use std::fmt;
use std::ops::Range;

/// One mistake in the policy's files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize)]
pub struct Mistake {
    /// The file's path inside the policy folder; empty when the mistake is that something is in no file.
    pub file: String,
    /// The line, from 1; 0 when there is no place.
    pub line: u32,
    /// The column in characters, from 1; 0 when there is no place.
    pub column: u32,
    /// How many characters from there are meant, up to the end of the line; 0 when there is no place.
    pub length: u32,
    /// The whole line; empty when there is no place, or when it must not be repeated.
    pub line_text: String,
    /// What is wrong, quoting the user's value.
    pub what: String,
    /// What to do about it, if there is something to say; empty otherwise.
    pub hint: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str("policy")?,
            (file, 0) => f.write_str(file)?,
            (file, line) => write!(f, "{file}:{line}:{}", self.column)?,
        }
        write!(f, ": {}", self.what)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " ({})", self.hint) }
    }
}

/// A place in a file of the bundle: which one (by its number in path order), and which bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub file: usize,
    pub bytes: Range<usize>,
}

/// Collects mistakes while the files are read and checked; nothing stops at the first.
pub(super) struct Mistakes<'a> {
    files: Vec<(&'a str, &'a str)>,
    found: Vec<Mistake>,
}

impl<'a> Mistakes<'a> {
    pub fn new(files: impl Iterator<Item = (&'a str, &'a str)>) -> Mistakes<'a> {
        Mistakes { files: files.collect(), found: Vec::new() }
    }

    pub fn at(&mut self, place: &Place, what: impl Into<String>, hint: impl Into<String>) {
        let mistake = self.placed(place, what, hint);
        self.found.push(mistake);
    }

    /// The same for a value that may be a secret with a slip in it: its line is not repeated.
    pub fn at_secret(&mut self, place: &Place, what: impl Into<String>, hint: impl Into<String>) {
        let mistake = self.placed(place, what, hint);
        self.found.push(Mistake { line_text: String::new(), ..mistake });
    }

    /// A mistake at this place, not yet collected.
    pub fn placed(&self, place: &Place, what: impl Into<String>, hint: impl Into<String>) -> Mistake {
        let (file, text) = self.files[place.file];
        let (line, column) = line_and_column(text, place.bytes.start);
        let rest = text.get(place.bytes.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        let length = u32::try_from(rest.trim_end().chars().count()).unwrap_or(u32::MAX).max(1);
        let line_text = text.lines().nth(line as usize - 1).unwrap_or_default().to_owned();
        Mistake { file: file.into(), line, column, length, line_text, what: what.into(), hint: hint.into() }
    }

    /// A mistake with no place: something is missing from all files.
    pub fn nowhere(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Mistake {
            file: String::new(),
            line: 0,
            column: 0,
            length: 0,
            line_text: String::new(),
            what: what.into(),
            hint: hint.into(),
        });
    }

    /// Where another place is, for sentences such as "also in `rules/tv.toml` line 3".
    pub fn describe(&self, place: &Place) -> String {
        let (file, text) = self.files[place.file];
        format!("{file} line {}", line_and_column(text, place.bytes.start).0)
    }

    /// The path of a file.
    pub fn path(&self, file: usize) -> &'a str {
        self.files[file].0
    }

    /// The line of a place, from 1.
    pub fn line(&self, place: &Place) -> u32 {
        line_and_column(self.files[place.file].1, place.bytes.start).0
    }

    /// The place of a part of a TOML string: `offset` and `length` count bytes of the string's value. A length of 0
    /// stands for the word that begins there.
    pub fn inside(&self, string: &Place, offset: usize, length: usize) -> Place {
        let raw = &self.files[string.file].1[string.bytes.clone()];
        let (offset, last) = (raw_offset(raw, offset), raw_offset(raw, offset + length));
        let ends_word = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'');
        let word = || raw[offset..].find(ends_word).unwrap_or(raw.len() - offset);
        let start = string.bytes.start + offset;
        let end = start + if length == 0 { word() } else { last - offset };
        Place { file: string.file, bytes: start..end.max(start) }
    }

    /// Whether nothing was found so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, by file and place, each once.
    pub fn finish(mut self) -> Vec<Mistake> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}

fn line_and_column(text: &str, byte: usize) -> (u32, u32) {
    let byte = text.floor_char_boundary(byte.min(text.len()));
    let before = &text[..byte];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.bytes().filter(|&b| b == b'\n').count();
    let column = 1 + before[line_start..].chars().count();
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Maps an offset in the value of a TOML string to an offset in its source, quotes and escapes included.
fn raw_offset(raw: &str, offset: usize) -> usize {
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

/// What to do about text that is no TOML, by what the parser says and the line where it stands.
pub fn toml_hint(message: &str, line: &str) -> &'static str {
    if line.contains(['“', '”', '„', '‘', '’']) {
        "write straight quotes: \""
    } else if line.contains(':') && !line.contains('=') {
        "TOML writes `key = value` and `[section]`, not `key: value`"
    } else if message.contains("must be quoted") {
        "put the text in quotes"
    } else if message.contains("duplicate key") {
        "each key and each section is written once"
    } else if message.contains("invalid basic string") || message.contains("invalid literal string") {
        "a text ends with the quote that it began with, on the same line"
    } else {
        "the rest of the file is checked once this is mended"
    }
}

/// `did you mean …?` for the known name nearest to a wrong one, or an empty text when none is near.
///
/// Near is: at most a third of the letters differ (insertions, deletions, substitutions, swaps of neighbours), or one
/// name holds the other whole. Case does not count.
pub fn did_you_mean<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let lower = |name: &str| name.chars().take(64).flat_map(char::to_lowercase).collect::<String>();
    let wrong = lower(wrong);
    let wrong_length = wrong.chars().count();
    let nearest = known
        .into_iter()
        .map(|name| (strsim::osa_distance(&wrong, &lower(name)), name))
        .filter(|(distance, name)| {
            let inside = wrong_length >= 3 && (name.contains(&wrong) || wrong.contains(name));
            inside || *distance <= (wrong_length.max(name.chars().count()) / 3).max(1)
        })
        .min();
    nearest.map_or_else(String::new, |(_, name)| format!("did you mean `{name}`?"))
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
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        let known = ["tech.tv", "tech.internet", "care.general"];
        assert_eq!(did_you_mean("tech.tvv", known), "did you mean `tech.tv`?");
        assert_eq!(did_you_mean("tech.vt", known), "did you mean `tech.tv`?");
        assert_eq!(did_you_mean("billing", known), "");
    }

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        assert_eq!(line_and_column("é\nçé x", 7), (2, 3));
        assert_eq!(line_and_column("", 0), (1, 1));
    }
}

//! A mistake in a policy file: where it stands, what is wrong, and what to do about it.
//!
//! Owns the collection of mistakes, the "did you mean" search, and how names are listed. Lines and columns are `source`'s
//! business. May not decide what is a mistake. Used by everything in `policy` that reads files.

mod source;

use source::{Source, raw_offset};
use std::cell::Cell;
use std::fmt;
use std::ops::Range;

/// How many names one message lists, at most; of the others it tells how many there are.
pub(super) const NAMES_SHOWN_MAX: usize = 10;
/// How many names are held against wrong ones in all, so that a policy in which every name is wrong is told in seconds.
const NAMES_COMPARED_MAX: usize = 1_000_000;

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
    /// The whole line; empty when there is no place, when it must not be repeated, or when it is longer than a query may be.
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
    /// Where the piece begins that it was read from: see [`Place::near`].
    pub start: usize,
    pub bytes: Range<usize>,
}

impl Place {
    /// The place of something that was parsed with this one; `bytes` count from where the parser began.
    pub fn near(&self, bytes: Range<usize>) -> Place {
        Place { file: self.file, start: self.start, bytes: self.start + bytes.start..self.start + bytes.end }
    }
}

/// Collects mistakes while the files are read and checked; nothing stops at the first.
pub(super) struct Mistakes<'a> {
    files: Vec<Source<'a>>,
    found: Vec<Mistake>,
    names_left: Cell<usize>,
}

impl<'a> Mistakes<'a> {
    pub fn new(files: impl Iterator<Item = (&'a str, &'a str)>) -> Mistakes<'a> {
        let files = files.map(|(path, text)| Source::new(path, text)).collect();
        Mistakes { files, found: Vec::new(), names_left: Cell::new(NAMES_COMPARED_MAX) }
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
        let source = &self.files[place.file];
        let (line, column) = source.line_and_column(place.bytes.start);
        let rest =
            source.text.get(place.bytes.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        let length = u32::try_from(rest.trim_end().chars().count()).unwrap_or(u32::MAX).max(1);
        let line_text = source.line(line).to_owned();
        Mistake {
            file: source.path.into(),
            line,
            column,
            length,
            line_text,
            what: what.into(),
            hint: hint.into(),
        }
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
        format!("{} line {}", self.path(place.file), self.line(place))
    }

    /// The path of a file.
    pub fn path(&self, file: usize) -> &'a str {
        self.files[file].path
    }

    /// The line of a place, from 1.
    pub fn line(&self, place: &Place) -> u32 {
        self.files[place.file].line_and_column(place.bytes.start).0
    }

    /// The place of a part of a TOML string: `offset` and `length` count bytes of the string's value. A length of 0
    /// stands for the word that begins there.
    pub fn inside(&self, string: &Place, offset: usize, length: usize) -> Place {
        let raw = &self.files[string.file].text[string.bytes.clone()];
        let (offset, last) = (raw_offset(raw, offset), raw_offset(raw, offset + length));
        let ends_word = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'');
        let word = || raw[offset..].find(ends_word).unwrap_or(raw.len() - offset);
        let start = string.bytes.start + offset;
        let end = start + if length == 0 { word() } else { last - offset };
        Place { bytes: start..end.max(start), ..string.clone() }
    }

    /// [`did_you_mean`] for names of which a policy may have very many; empty once too many have been compared.
    pub fn near<'n>(&self, wrong: &str, known: impl ExactSizeIterator<Item = &'n str>) -> String {
        let Some(left) = self.names_left.get().checked_sub(known.len()) else { return String::new() };
        self.names_left.set(left);
        did_you_mean(wrong, known)
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

/// The first of these with `separator` between them, and how many more there are.
pub(super) fn first_few(names: &[String], separator: &str) -> String {
    let shown = names[..names.len().min(NAMES_SHOWN_MAX)].join(separator);
    match names.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => shown,
        more => format!("{shown}{separator}and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        let known = ["tech.tv", "tech.internet", "care.general"];
        assert_eq!(did_you_mean("tech.tvv", known), "did you mean `tech.tv`?");
        assert_eq!(did_you_mean("tech.vt", known), "did you mean `tech.tv`?");
        assert_eq!(did_you_mean("billing", known), "");
    }
}

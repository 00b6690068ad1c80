//! One thing that is wrong in a file, and how it is shown: place, line, underline, what to do.
//!
//! Owns the rendering for people and the fields of the JSON, one for the configuration, the policy and the answer to
//! a reload. May not decide what is wrong. Made by `config`, by the policy's mistakes and by the verbs' checks; shown
//! by `error`, `triaged check` and `triaged ctl`.

pub mod columns;

use columns::columns;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use triage_engine::policy::{Lint, Mistake};

/// The longest part of a line that is shown; of a longer one, what stands around the place.
const SHOWN_CHARACTERS_MAX: usize = 110;
/// Characters kept before the place in a line that is too long.
const SHOWN_BEFORE: usize = 40;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing starts with it.
    #[default]
    Mistake,
    /// It works, and is probably not meant so.
    Warning,
    /// Worth knowing; no check fails for it.
    Note,
}

/// One finding. The fields are the JSON of `triaged check --json` and of a refused reload: docs/check.md.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The lint's name; empty for mistakes.
    pub lint: String,
    /// The file, the environment variable, or empty where something is in no file.
    pub file: String,
    /// The line, from 1; 0 when there is no place.
    pub line: u32,
    /// The column in characters, from 1; 0 when there is no place.
    pub column: u32,
    /// How many characters are meant; 0 when there is no place.
    pub length: u32,
    /// The line itself; empty when there is none, or when it may hold a secret.
    pub line_text: String,
    /// What is wrong, quoting the user's value.
    pub what: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Diagnostic {
    /// A mistake in no place.
    #[must_use]
    pub fn mistake(what: impl Into<String>) -> Diagnostic {
        Diagnostic { what: what.into(), ..Diagnostic::default() }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = hint.into();
        self
    }

    /// In this file (or environment variable), at no line.
    #[must_use]
    pub fn of_file(mut self, file: impl Into<String>) -> Diagnostic {
        self.file = file.into();
        self
    }

    /// At these bytes of `text`; what goes beyond the line is cut off.
    #[must_use]
    pub fn at(mut self, text: &str, bytes: &Range<usize>) -> Diagnostic {
        let start = text.floor_char_boundary(bytes.start.min(text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = text.floor_char_boundary(bytes.end.clamp(start, line_end));
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.line = number(text[..start].matches('\n').count() + 1);
        self.column = number(text[line_start..start].chars().count() + 1);
        self.length = number(text[start..end].trim_end().chars().count()).max(1);
        text[line_start..line_end].trim_end_matches('\r').clone_into(&mut self.line_text);
        self
    }

    /// Without what stands right of the key: it may be a secret.
    #[must_use]
    pub fn without_value(mut self) -> Diagnostic {
        if let Some(sign) = self.line_text.find('=') {
            self.line_text.replace_range(sign.., "= …");
            let shown = u32::try_from(self.line_text.chars().count()).unwrap_or(u32::MAX);
            self.column = self.column.min(shown.max(1));
            self.length = self.length.min(shown + 1 - self.column).max(1);
        }
        self
    }

    /// With the folder of the policy before the file's name.
    #[must_use]
    pub fn in_folder(mut self, folder: &str) -> Diagnostic {
        if folder.is_empty() {
            return self;
        }
        let file = if self.file.is_empty() { String::new() } else { format!("/{}", self.file) };
        self.file = format!("{}{file}", folder.trim_end_matches('/'));
        self
    }

    /// The rendering for people, several lines, without a line break at the end.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let (bold, red, yellow, blue, end) = if colour {
            ("\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[0m")
        } else {
            ("", "", "", "", "")
        };
        let loud = if self.severity == Severity::Mistake { red } else { yellow };
        let place = match (self.file.as_str(), self.line) {
            ("", _) => String::new(),
            (file, 0) => format!("{bold}{file}:{end} "),
            (file, line) => format!("{bold}{file}:{line}:{}:{end} ", self.column),
        };
        let severity = match self.severity {
            Severity::Mistake => String::new(),
            Severity::Warning => format!("{yellow}warning:{end} "),
            Severity::Note => format!("{blue}note:{end} "),
        };
        let mut shown = format!("{place}{severity}{}", visible(&self.what));
        if !self.lint.is_empty() {
            shown += &format!(" [{}]", self.lint);
        }
        let number = self.line.to_string();
        let margin = " ".repeat(if self.line > 0 { number.len() } else { 1 });
        if self.line > 0 && !self.line_text.is_empty() {
            let (line, before, length) = self.window();
            shown += &format!("\n{blue}{number} |{end} {line}");
            shown +=
                &format!("\n{blue}{margin} |{end} {}{loud}{}{end}", " ".repeat(before), "^".repeat(length));
        }
        if !self.hint.is_empty() {
            shown += &format!("\n{blue}{margin} ={end} {}", visible(&self.hint));
        }
        shown
    }

    /// The part of the line that is shown, and in it the columns before the underline and those above it.
    fn window(&self) -> (String, usize, usize) {
        let line: Vec<char> = visible(&self.line_text).chars().collect();
        let before = (self.column as usize - 1).min(line.len());
        let from = if line.len() > SHOWN_CHARACTERS_MAX { before.saturating_sub(SHOWN_BEFORE) } else { 0 };
        let to = (from + SHOWN_CHARACTERS_MAX).min(line.len());
        let mut shown: String = line[from..to].iter().collect();
        let mut shift = 0;
        if from > 0 {
            shown.insert(0, '…');
            shift = 1;
        }
        if to < line.len() {
            shown.push('…');
        }
        let width = |part: &[char]| part.iter().copied().map(columns).sum::<usize>();
        let end = to.min(before + self.length as usize);
        let length = width(&line[before.min(end)..end]).max(1);
        (shown.trim_end().to_owned(), width(&line[from..before]) + shift, length)
    }
}

/// One character for each: tabs become blanks, and what would steer a terminal becomes a box.
fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl From<Mistake> for Diagnostic {
    fn from(mistake: Mistake) -> Diagnostic {
        let Mistake { file, line, column, length, line_text, what, hint } = mistake;
        Diagnostic { file, line, column, length, line_text, what, hint, ..Diagnostic::default() }
    }
}

impl From<Lint> for Diagnostic {
    fn from(lint: Lint) -> Diagnostic {
        let severity = Severity::Warning;
        Diagnostic { severity, lint: lint.kind.name().to_owned(), ..Diagnostic::from(lint.mistake) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_underlines_what_is_meant_and_says_what_to_do() {
        let text = "[kafka]\n\tbootstap = 5 # é\r\n";
        let shown = Diagnostic::mistake("there is no setting `bootstap`")
            .hint("did you mean `bootstrap`?")
            .of_file("t.toml")
            .at(text, &(9..17))
            .render(false);
        assert_eq!(
            shown,
            "t.toml:2:2: there is no setting `bootstap`\n2 |  bootstap = 5 # é\n  |  ^^^^^^^^\n  = did you mean `bootstrap`?"
        );
    }

    #[test]
    fn wide_characters_and_emoji_before_a_place_do_not_shift_its_underline() {
        let text = "query = 'テレビ 😡 e\u{301} land:日本'";
        let at = text.find("land").expect("it is there");
        let shown = Diagnostic::mistake("x").of_file("t").at(text, &(at..text.len() - 1)).render(false);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "t:1:19: x");
        assert_eq!(lines[2], "  |                      ^^^^^^^^^", "{shown}");
    }

    #[test]
    fn of_a_long_line_what_stands_around_the_place_is_shown() {
        let text = format!("query = '{}<here>{}'", "a ".repeat(200), "b ".repeat(200));
        let at = text.find("<here>").expect("it is there");
        let shown = Diagnostic::mistake("x").of_file("t").at(&text, &(at..at + 6)).render(false);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].starts_with("1 | …a ") || lines[1].starts_with("1 | … a"), "{shown}");
        assert!(lines[1].ends_with('…') && lines[1].chars().count() < 120, "{shown}");
        let column = |line: &str, what| line[..line.find(what).expect("there")].chars().count();
        assert_eq!(column(lines[1], "<here>"), column(lines[2], "^^^^^^"), "{shown}");
    }

    #[test]
    fn a_secret_is_not_repeated_and_nothing_in_a_file_steers_the_terminal() {
        let text = "'sasl.password' = 'hunter2'\n";
        let at = Diagnostic::mistake("no").of_file("t").at(text, &(0..26)).without_value().render(false);
        assert_eq!(at, "t:1:1: no\n1 | 'sasl.password' = …\n  | ^^^^^^^^^^^^^^^^^^^");
        let evil = "x = \"\x1b[2J\"";
        let shown = Diagnostic::mistake("bad \x1b[2J").of_file("t").at(evil, &(0..1)).render(false);
        assert!(!shown.contains('\x1b'), "{shown:?}");
    }

    #[test]
    fn colours_come_only_when_asked_for_and_change_no_word() {
        let told = Diagnostic::mistake("no").hint("so").of_file("t").at("x = 1", &(0..1));
        let colours = told.render(true);
        let mut plain = colours.clone();
        for code in ["\x1b[1m", "\x1b[1;31m", "\x1b[1;34m", "\x1b[0m"] {
            assert!(colours.contains(code), "{colours:?}");
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, told.render(false));
    }
}

//! Where each setting stands: the bytes of its name and of its value in the file, or the variable that overrides it.
//!
//! Owns the places only, and makes diagnostics of them. Kept after the file was read, for mistakes that are found by
//! whoever knows more: the client library, the field map, the policy folder.

use crate::diagnostic::Diagnostic;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::DeTable;

/// The places of a file's settings.
#[derive(Debug, Default)]
pub struct Places {
    file: String,
    text: String,
    /// By `section.key`, and deeper in tables: the bytes of the name and of the value.
    spans: BTreeMap<String, (Range<usize>, Range<usize>)>,
    /// By `section.key`: the variable's name.
    variables: BTreeMap<String, String>,
}

impl Places {
    pub(super) fn new(
        file: &str,
        text: &str,
        table: &DeTable<'_>,
        variables: BTreeMap<String, String>,
    ) -> Places {
        let mut spans = BTreeMap::new();
        note(table, "", &mut spans);
        Places { file: file.to_owned(), text: text.to_owned(), spans, variables }
    }

    /// The file's name as it is shown.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether somebody set this, in the file or in the environment.
    #[must_use]
    pub fn is_set(&self, path: &str) -> bool {
        self.spans.contains_key(path) || self.variables.contains_key(path)
    }

    /// A mistake in the value of a setting: `kafka.bootstrap`, or `kafka.client.linger.ms` inside a table.
    #[must_use]
    pub fn mistake(&self, path: &str, what: impl Into<String>) -> Diagnostic {
        if let Some(variable) = self.variables.get(path) {
            return Diagnostic::mistake(what).of_file(variable);
        }
        match self.spans.get(path) {
            Some((_, value)) => self.at_bytes(value.clone(), what),
            None => Diagnostic::mistake(what).of_file(self.variable_in(path).unwrap_or(&self.file)),
        }
    }

    /// The first variable that sets a part of this table.
    fn variable_in(&self, path: &str) -> Option<&str> {
        let within = |part: &str| part.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.variables.iter().find(|(part, _)| within(part)).map(|(_, variable)| variable.as_str())
    }

    /// A mistake in a part of a setting's value; in the whole of it where that part is not found.
    #[must_use]
    pub fn mistake_in(&self, path: &str, part: &str, what: impl Into<String>) -> Diagnostic {
        let span = self.spans.get(path).filter(|_| !self.variables.contains_key(path));
        let found = span.and_then(|(_, value)| {
            let at = value.start + self.text.get(value.clone())?.find(part).filter(|_| !part.is_empty())?;
            Some(at..at + part.len())
        });
        match found {
            Some(bytes) => self.at_bytes(bytes, what),
            None => self.mistake(path, what),
        }
    }

    /// A mistake in the name of a setting or section, or in its value as a whole.
    #[must_use]
    pub fn mistake_at_key(&self, path: &str, what: impl Into<String>) -> Diagnostic {
        match self.spans.get(path).filter(|_| !self.variables.contains_key(path)) {
            Some((key, _)) => {
                // Of a dotted name the place is that of its last part; the whole of it is meant.
                let before = self.text.get(..key.start).unwrap_or_default();
                let part = |c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c);
                let start = before.rfind(|c| !part(c)).map_or(0, |at| at + 1);
                self.at_bytes(start.min(key.start)..key.end, what)
            }
            None => self.mistake(path, what),
        }
    }

    /// A mistake at these bytes of the file.
    pub(super) fn at_bytes(&self, bytes: Range<usize>, what: impl Into<String>) -> Diagnostic {
        let told = Diagnostic::mistake(what).of_file(&self.file).at(&self.text, &bytes);
        let line = told.line_text.to_lowercase();
        let secret =
            ["password", "passphrase", "secret", "token", "key.pem"].iter().any(|word| line.contains(word));
        // A line that may hold a secret is shown without its value; the name of a file is none.
        if secret && !line.contains("_file") && !line.contains(".location") {
            told.without_value()
        } else {
            told
        }
    }
}

fn note(table: &DeTable<'_>, before: &str, spans: &mut BTreeMap<String, (Range<usize>, Range<usize>)>) {
    for (key, value) in table {
        let path = format!("{before}{}", key.get_ref());
        if let Some(inner) = value.get_ref().as_table() {
            note(inner, &format!("{path}."), spans);
        }
        spans.insert(path, (key.span(), value.span()));
    }
}

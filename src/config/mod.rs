//! triaged.toml: every setting, or every mistake at once with its place.
//!
//! Owns the reading of the file's text and of `TRIAGED__SECTION__KEY` overrides, and the two documents made of
//! the settings. Opens no file and reads no environment itself: the command line does, and ends with exit code
//! 78 when there are mistakes.

pub mod properties;
mod settings;
mod value;

pub use settings::{
    Admin, DeskLane, Entry, Group, Host, Input, Kafka, Limits, Log, PolicyFolder, Settings, Topics, Triage,
};
pub use value::Setting;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What an override's name begins with.
pub const OVERRIDE_PREFIX: &str = "TRIAGED__";

/// Where systemd puts the credentials of a unit.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, or the environment variable.
    pub file: String,
    /// Line and column from 1; `None` for an environment variable.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What was probably meant; empty when there is no guess.
    pub hint: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

/// The file and the overrides, as far as both could be parsed.
pub(crate) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    table: DeTable<'a>,
    /// By `section.key`: the variable's name and its value.
    overrides: BTreeMap<String, (String, String)>,
}

/// Reads the settings.
///
/// `file` is the name to be shown, `text` its content, `environment` all variables, `host_name` what `instance`
/// is when it is not set.
///
/// # Errors
/// Every mistake there is, in the order of the file.
pub fn load(
    file: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    host_name: &str,
) -> Result<Settings, Vec<Mistake>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut mistakes = Vec::new();
    for error in errors {
        let place = error.span().map(|span| line_and_column(text, span.start));
        let what = error.message().to_owned();
        mistakes.push(Mistake { file: file.to_owned(), place, what, hint: String::new() });
    }
    let (mut overrides, mut given) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in environment {
        match name.strip_prefix(OVERRIDE_PREFIX) {
            Some(path) => {
                overrides.insert(path.to_lowercase().replace("__", "."), (name, value));
            }
            None => {
                given.insert(name, value);
            }
        }
    }
    let source = Source { file, text, table: table.into_inner(), overrides };
    source.find_unknown(&mut mistakes);
    let mut settings = Settings::read(&source, &mut mistakes);
    if let Some(folder) = given_folder(&given, "STATE_DIRECTORY").filter(|_| !source.has("", "state_dir")) {
        settings.host.state_dir = folder;
    }
    if let Some(folder) = given_folder(&given, "RUNTIME_DIRECTORY").filter(|_| !source.has("admin", "socket"))
    {
        settings.admin.socket = folder.join("admin.sock");
    }
    if settings.host.instance.is_empty() {
        host_name.clone_into(&mut settings.host.instance);
    }
    settings.check(&source, &mut mistakes);
    if let Err((key, what)) =
        settings.kafka.expand_credentials(given.get(CREDENTIALS_VARIABLE).map(String::as_str))
    {
        mistakes.push(source.mistake("kafka", key, what));
    }
    mistakes.sort_by_key(|mistake| mistake.place);
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

/// The folder that systemd made for us, the first if it is a list.
fn given_folder(given: &BTreeMap<String, String>, name: &str) -> Option<PathBuf> {
    given.get(name)?.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

impl Source<'_> {
    /// Whether somebody set it.
    fn has(&self, section: &str, key: &str) -> bool {
        self.overrides.contains_key(&path(section, key)) || self.value(section, key).is_some()
    }

    fn value(&self, section: &str, key: &str) -> Option<&Spanned<DeValue<'_>>> {
        if section.is_empty() {
            return self.table.get(key);
        }
        match self.table.get(section)?.get_ref() {
            DeValue::Table(table) => table.get(key),
            _ => None,
        }
    }

    fn read<T: Setting>(&self, section: &str, key: &str, into: &mut T, mistakes: &mut Vec<Mistake>) {
        let read = if let Some((_, text)) = self.overrides.get(&path(section, key)) {
            // `5` and `true` mean what they mean in the file; text needs no quotes.
            let as_toml = DeValue::parse(text).ok().and_then(|value| T::read(value.get_ref()).ok());
            as_toml.map_or_else(|| T::read(&DeValue::String(text.as_str().into())), Ok)
        } else if let Some(value) = self.value(section, key) {
            T::read(value.get_ref())
        } else {
            return;
        };
        match read {
            Ok(value) => *into = value,
            Err(what) => {
                mistakes.push(self.mistake(section, key, format!("`{}`: {what}", path(section, key))))
            }
        }
    }

    fn mistake(&self, section: &str, key: &str, what: String) -> Mistake {
        if let Some((name, _)) = self.overrides.get(&path(section, key)) {
            return Mistake { file: name.clone(), place: None, what, hint: String::new() };
        }
        let span = self.value(section, key).or_else(|| self.table.get(section)).map(Spanned::span);
        self.mistake_at(span, what, String::new())
    }

    fn mistake_at(&self, span: Option<Range<usize>>, what: String, hint: String) -> Mistake {
        let place = Some(line_and_column(self.text, span.map_or(0, |span| span.start)));
        Mistake { file: self.file.to_owned(), place, what, hint }
    }

    fn find_unknown(&self, mistakes: &mut Vec<Mistake>) {
        let entries = Settings::entries();
        let keys_of = |section: &str| -> Vec<&str> {
            entries.iter().filter(|entry| entry.section == section).map(|entry| entry.key).collect()
        };
        let sections: Vec<&str> = Settings::sections()
            .iter()
            .map(|(section, _)| *section)
            .filter(|section| !section.is_empty())
            .collect();
        let top: Vec<&str> = keys_of("").into_iter().chain(sections.iter().copied()).collect();
        for (key, value) in &self.table {
            let name = key.get_ref().as_ref();
            if !top.contains(&name) {
                let what = format!("there is no setting `{name}`");
                mistakes.push(self.mistake_at(Some(key.span()), what, guess(name, &top)));
            } else if sections.contains(&name) {
                let known = keys_of(name);
                let DeValue::Table(table) = value.get_ref() else {
                    let what = format!("`{name}` is a section: write `[{name}]`");
                    mistakes.push(self.mistake_at(Some(key.span()), what, String::new()));
                    continue;
                };
                for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
                    let what = format!("there is no setting `{}` in `[{name}]`", key.get_ref());
                    mistakes.push(self.mistake_at(Some(key.span()), what, guess(key.get_ref(), &known)));
                }
            }
        }
        let paths: Vec<String> = entries.iter().map(|entry| path(entry.section, entry.key)).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        for (path, (name, _)) in self.overrides.iter().filter(|(path, _)| !paths.contains(&path.as_str())) {
            let what = format!("there is no setting `{path}`");
            mistakes.push(Mistake { file: name.clone(), place: None, what, hint: guess(path, &paths) });
        }
    }
}

fn path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The known name that is nearest, if it is near: at most a third of the letters differ.
fn guess(name: &str, known: &[&str]) -> String {
    let near = known.iter().map(|candidate| (distance(name, candidate), *candidate)).min();
    match near {
        Some((edits, candidate)) if edits * 3 <= candidate.len().max(3) => {
            format!("did you mean `{candidate}`?")
        }
        _ => String::new(),
    }
}

/// Edits between two names (Levenshtein), one row at a time.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().take(200).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 1..=to.len() {
            let replaced = diagonal + usize::from(letter != to[column - 1]);
            diagonal = row[column];
            row[column] = replaced.min(row[column] + 1).min(row[column - 1] + 1);
        }
    }
    row[to.len()]
}

/// The manual: docs/configuration.md.
#[must_use]
pub fn manual() -> String {
    let mut page = "# Configuration\n\nEvery setting of `triaged.toml`. This page is made of the types in \
        `src/config/settings.rs`.\n\nAny setting may be overridden by an environment variable: \
        `TRIAGED__KAFKA__BOOTSTRAP=broker:9092` for `bootstrap` in `[kafka]`, `TRIAGED__INSTANCE=a` at the top. \
        Unknown settings are mistakes.\n"
        .to_owned();
    for (section, about) in Settings::sections() {
        let title = if section.is_empty() { "Top".to_owned() } else { format!("`[{section}]`") };
        page += &format!(
            "\n## {title}\n\n{about}\n\n| setting | kind | default | what it does |\n|---|---|---|---|\n"
        );
        for entry in Settings::entries().iter().filter(|entry| entry.section == section) {
            let default =
                if entry.default.is_empty() { String::new() } else { format!("`{}`", entry.default) };
            page += &format!("| `{}` | {} | {default} | {} |\n", entry.key, entry.kind, entry.doc);
        }
    }
    page
}

/// The sample, every setting commented out at its default: config/triaged.toml.
#[must_use]
pub fn sample() -> String {
    let mut page =
        "# Every setting of triaged at its default. docs/configuration.md says the same as a page.\n"
            .to_owned();
    for (section, about) in Settings::sections() {
        page += &format!("\n# {about}\n");
        if !section.is_empty() {
            page += &format!("[{section}]\n");
        }
        let entries = Settings::entries();
        let (tables, plain): (Vec<&Entry>, Vec<&Entry>) = entries
            .iter()
            .filter(|entry| entry.section == section)
            .partition(|entry| entry.default.is_empty());
        for entry in plain {
            page += &format!("# {}\n# {} = {}\n", entry.doc, entry.key, entry.default);
        }
        for entry in tables {
            page += &format!("# {}\n# [{section}.{}]\n", entry.doc, entry.key);
        }
    }
    page
}

#[cfg(test)]
mod tests;

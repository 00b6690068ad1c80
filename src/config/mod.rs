//! triaged.toml: every setting, and every mistake at once with its place.
//!
//! Owns the reading of the file's text and of `TRIAGED__SECTION__KEY` overrides, and the documents made of the
//! settings. Opens no file and reads no environment itself: the command line does, checks what needs more than the
//! text (`cli::load`), and ends with exit code 78 when there are mistakes.

mod documents;
mod places;
pub mod properties;
mod rules;
mod settings;
mod value;

pub use documents::{manual, sample, schema};
pub use places::Places;
pub use settings::{
    Admin, DeskLane, Entry, Group, Host, Input, Kafka, Limits, Log, PolicyFolder, Settings, Topics, Triage,
};
pub use value::{Setting, Wrong};

use crate::diagnostic::Diagnostic;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use triage_engine::policy::{did_you_mean, toml_hint};

/// What tables are called.
const TABLE: &str = <BTreeMap<String, String> as Setting>::KIND;

/// What an override's name begins with.
pub const OVERRIDE_PREFIX: &str = "TRIAGED__";

/// Where systemd puts the credentials of a unit.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// The settings as far as they could be read, what is wrong with them, and where each stands.
#[derive(Debug)]
pub struct Loaded {
    /// What could not be read is at its default.
    pub settings: Settings,
    /// Every mistake, in the order of the file; those of the environment come last.
    pub mistakes: Vec<Diagnostic>,
    /// Where each setting stands, for mistakes that are found later.
    pub places: Places,
    /// Whether the file is no TOML; then what cannot be read is the only mistake that is told.
    pub damaged: bool,
}

/// The file and the overrides, as far as both could be parsed.
pub(crate) struct Source<'a> {
    table: DeTable<'a>,
    /// By `section.key`: the value of the variable.
    overrides: BTreeMap<String, String>,
    /// Variables that look like overrides and are none: the setting that was probably meant, the variable.
    misspelled: Vec<(String, String)>,
    places: Places,
}

/// Reads the settings.
///
/// `file` is the name to be shown, `text` its content, `environment` all variables, `host_name` what `instance`
/// is when it is not set.
pub fn load(
    file: &str,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    host_name: &str,
) -> Loaded {
    let (table, errors) = DeTable::parse_recoverable(text);
    let environment: Vec<(String, String)> = environment.into_iter().collect();
    let misspelled = environment.iter().filter_map(|(name, _)| Some((meant(name)?, name.clone()))).collect();
    let given: BTreeMap<String, String> =
        environment.iter().filter(|(name, _)| !name.starts_with(OVERRIDE_PREFIX)).cloned().collect();
    let variables: Vec<(String, String, String)> =
        environment.into_iter().filter_map(|(name, value)| Some((overridden(&name)?, name, value))).collect();
    let names = variables.iter().map(|(path, name, _)| (path.clone(), name.clone())).collect();
    let places = Places::new(file, text, table.get_ref(), names);
    let overrides = variables.into_iter().map(|(path, _, value)| (path, value)).collect();
    let source = Source { table: table.into_inner(), overrides, misspelled, places };
    let mut mistakes: Vec<Diagnostic> =
        errors.iter().map(|error| unreadable(&source.places, error.message(), error.span())).collect();
    // A line that is no TOML is told once.
    mistakes.dedup_by_key(|mistake| mistake.line);
    let unreadable = mistakes.len();
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
    let credentials = given.get(CREDENTIALS_VARIABLE).map(String::as_str);
    if let Err((key, what)) = settings.kafka.expand_credentials(credentials) {
        mistakes.push(source.places.mistake(&path("kafka", &key), what));
    }
    if let Err((key, what)) = settings.admin.expand_credentials(credentials) {
        mistakes.push(source.places.mistake(&path("admin", &key), what));
    }
    if unreadable > 0 {
        // What a damaged file seems to say would only bring mistakes that are none.
        mistakes.truncate(unreadable);
    }
    mistakes.sort_by_key(|mistake| (mistake.line == 0, mistake.line, mistake.column));
    Loaded { settings, mistakes, places: source.places, damaged: unreadable > 0 }
}

/// The path of the setting that a variable overrides, whether there is such a setting or not. A property of the client
/// library is written with `_` for each of its dots, which no shell and no service manager takes in a variable's name;
/// one that has dots is taken as it is written.
fn overridden(variable: &str) -> Option<String> {
    let path = variable.strip_prefix(OVERRIDE_PREFIX)?.to_lowercase().replace("__", ".");
    let tables = ["kafka.client.", "kafka.consumer.", "kafka.producer."];
    let property = tables.iter().find_map(|table| path.strip_prefix(table));
    let property = property.filter(|name| !name.contains('.') && !properties::UNDERSCORED.contains(name));
    Some(match property {
        Some(name) => format!("{}{}", &path[..path.len() - name.len()], name.replace('_', ".")),
        None => path,
    })
}

/// The setting that a variable with single underscores (`TRIAGED_LOG_LEVEL`) probably means.
fn meant(variable: &str) -> Option<String> {
    let name = variable.strip_prefix("TRIAGED_").filter(|rest| !rest.starts_with('_'))?.to_lowercase();
    let flat = |path: &str| path.replace('.', "_") == name.replace("__", "_");
    Settings::entries().iter().map(|entry| path(entry.section, entry.key)).find(|path| flat(path))
}

/// What is no TOML, with what people usually meant.
fn unreadable(places: &Places, message: &str, span: Option<std::ops::Range<usize>>) -> Diagnostic {
    let what = format!("not readable as TOML: {}", message.replace('\n', ", "));
    let told = places.at_bytes(span.unwrap_or(0..0), what);
    let hint = toml_hint(message, &told.line_text);
    told.hint(hint)
}

/// The folder that systemd made for us, the first if it is a list.
fn given_folder(given: &BTreeMap<String, String>, name: &str) -> Option<PathBuf> {
    given.get(name)?.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

impl Source<'_> {
    /// Whether somebody set it.
    fn has(&self, section: &str, key: &str) -> bool {
        self.places.is_set(&path(section, key))
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

    fn read<T: Setting>(&self, section: &str, key: &str, into: &mut T, mistakes: &mut Vec<Diagnostic>) {
        let path = path(section, key);
        let is_table = T::KIND == TABLE;
        let read = if let Some(text) = self.overrides.get(&path).filter(|_| !is_table) {
            // `5` and `true` mean what they mean in the file; text needs no quotes.
            let as_toml = DeValue::parse(text).ok().and_then(|value| T::read(value.get_ref()).ok());
            Some(as_toml.map_or_else(|| T::read(&DeValue::String(text.as_str().into())), Ok))
        } else {
            self.value(section, key).map(|value| T::read(value.get_ref()))
        };
        match read {
            None => {}
            Some(Ok(value)) => *into = value,
            Some(Err(Wrong { what, hint })) => {
                let given = self.value(section, key).filter(|_| !self.overrides.contains_key(&path));
                let hint = given.and_then(|given| rules::rewrite(&path, given.get_ref())).unwrap_or(hint);
                mistakes.push(self.places.mistake(&path, format!("`{path}`: {what}")).hint(hint));
            }
        }
        if is_table {
            let within = format!("{path}.");
            let parts =
                self.overrides.iter().filter_map(|(part, text)| Some((part.strip_prefix(&within)?, text)));
            parts.for_each(|(name, text)| into.set_part(name, text));
        }
    }

    fn find_unknown(&self, mistakes: &mut Vec<Diagnostic>) {
        let known = Known::new();
        for (key, value) in &self.table {
            let name = key.get_ref().as_ref();
            if known.sections.contains(&name) {
                let DeValue::Table(table) = value.get_ref() else {
                    let what = format!("`{name}` is a section, not a setting");
                    mistakes.push(self.places.mistake_at_key(name, what).hint(format!("write `[{name}]`")));
                    continue;
                };
                let unknown = table.iter().filter(|(key, _)| !known.has(name, key.get_ref()));
                for (key, value) in unknown {
                    let what = format!("there is no setting `{}` in `[{name}]`", key.get_ref());
                    let hint = known.hint(name, key.get_ref(), value.get_ref().is_table());
                    let place = path(name, key.get_ref());
                    mistakes.push(self.places.mistake_at_key(&place, what).hint(hint));
                }
            } else if !known.has("", name) {
                let kind = if value.get_ref().is_table() { "section" } else { "setting" };
                let what = format!("there is no {kind} `{name}`");
                let hint = known.hint("", name, value.get_ref().is_table());
                mistakes.push(self.places.mistake_at_key(name, what).hint(hint));
            }
        }
        for (meant, variable) in &self.misspelled {
            let what = format!(
                "`{variable}` is not read: two underscores stand before the name and between its parts"
            );
            let right = format!("{OVERRIDE_PREFIX}{}", meant.to_uppercase().replace('.', "__"));
            mistakes.push(Diagnostic::mistake(what).of_file(variable).hint(format!("write `{right}`")));
        }
        for wrong in self.overrides.keys().filter(|wrong| !known.paths.contains(wrong)) {
            if known.tables.contains(wrong) {
                let what = format!("`{wrong}` is a table: a variable sets one of its entries");
                let part = match wrong.as_str() {
                    "kafka.client" => "SECURITY_PROTOCOL=ssl",
                    "kafka.consumer" => "FETCH_WAIT_MAX_MS=100",
                    "kafka.producer" => "LINGER_MS=5",
                    _ => "TEXT=body",
                };
                let table = wrong.to_uppercase().replace('.', "__");
                let hint = format!("such as `{OVERRIDE_PREFIX}{table}__{part}`");
                mistakes.push(self.places.mistake(wrong, what).hint(hint));
            } else if !known.is_part(wrong) {
                let hint = did_you_mean(wrong, known.paths.iter().map(String::as_str));
                mistakes
                    .push(self.places.mistake(wrong, format!("there is no setting `{wrong}`")).hint(hint));
            }
        }
    }
}

/// Every name that may be written.
struct Known {
    entries: Vec<Entry>,
    sections: Vec<&'static str>,
    paths: Vec<String>,
    tables: Vec<String>,
}

impl Known {
    fn new() -> Known {
        let entries = Settings::entries();
        let sections = Settings::sections().iter().map(|(section, _)| *section).collect::<Vec<_>>();
        let (tables, plain): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(|entry| entry.kind == TABLE);
        let paths_of = |of: Vec<&Entry>| of.iter().map(|entry| path(entry.section, entry.key)).collect();
        let (tables, paths) = (paths_of(tables), paths_of(plain));
        let sections = sections.into_iter().filter(|section| !section.is_empty()).collect();
        Known { entries, sections, paths, tables }
    }

    /// Whether this is an entry of a table. Whether there is such an entry is known to whom the table is for: the client
    /// library, the field map.
    fn is_part(&self, path: &str) -> bool {
        let within = |table: &String| {
            path.strip_prefix(table).is_some_and(|part| part.len() > 1 && part.starts_with('.'))
        };
        self.tables.iter().any(within)
    }

    fn has(&self, section: &str, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.section == section && entry.key == key)
    }

    /// What was probably meant by an unknown name in `section`.
    fn hint(&self, section: &str, name: &str, is_table: bool) -> String {
        if !section.is_empty() && self.sections.contains(&name) {
            return format!("`{name}` is a section of its own: write `[{name}]`");
        }
        let elsewhere: Vec<String> = self
            .entries
            .iter()
            .filter(|entry| entry.key == name && entry.section != section)
            .map(|entry| match entry.section {
                "" => "at the top of the file, above the first section".to_owned(),
                section => format!("in `[{section}]`"),
            })
            .collect();
        if !elsewhere.is_empty() {
            return format!("`{name}` belongs {}", elsewhere.join(" or "));
        }
        if section == "kafka" && (is_table || name.contains('.')) {
            return "properties of librdkafka belong in `[kafka.client]`, `[kafka.consumer]` or `[kafka.producer]`"
                .to_owned();
        }
        let here = self.entries.iter().filter(|entry| entry.section == section).map(|entry| entry.key);
        match section {
            "" if is_table => did_you_mean(name, self.sections.iter().copied()),
            "" => did_you_mean(name, here.chain(self.sections.iter().copied())),
            _ => did_you_mean(name, here),
        }
    }
}

/// How a setting is named: `section.key`, or the key alone at the top.
fn path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

#[cfg(test)]
mod tests;

//! The documents made of the settings: the manual, the sample, the JSON Schema.
//!
//! Owns their layout; what stands in them are the docs on the fields of `settings`. A test keeps docs/configuration.md
//! and config/triaged.toml fresh.

use super::properties::refused_names;
use super::rules::{CHOICES, RANGES};
use super::{Entry, Settings, TABLE, path};
use serde_json::{Map, Value, json};

/// The manual: docs/configuration.md.
#[must_use]
pub fn manual() -> String {
    let mut page = "# Configuration\n\nEvery setting of `triaged.toml`. This page is made of the types in \
        `src/config/settings.rs`.\n\nAny setting may be overridden by an environment variable: \
        `TRIAGED__KAFKA__BOOTSTRAP=broker:9092` for `bootstrap` in `[kafka]`, `TRIAGED__INSTANCE=a` at the top, `TRIAGED__INPUT__FIELDS__TEXT=body` for an entry of `[input.fields]`, \
        `TRIAGED__KAFKA__CLIENT__SECURITY_PROTOCOL=ssl` for a property of the client library, each `_` for a dot. Other \
        variables are not expanded in values; `${CREDENTIALS_DIRECTORY}` is, at the start of a path to a file that is read. \
        Unknown settings are mistakes: `triaged check` tells all of them at once, with their lines \
        (docs/command-line.md). `triaged schema config` is the same page for editors.\n\nThe keys of \
        `[kafka.client]`, `[kafka.consumer]` and `[kafka.producer]` are librdkafka's; their dots need no quotes: \
        `linger.ms = 5`. The library itself is asked whether it has such a property and takes such a value.\n"
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

/// The JSON Schema (draft 2020-12) of triaged.toml, for editors: `triaged schema config`.
#[must_use]
pub fn schema() -> Value {
    let mut top = Map::new();
    for (section, about) in Settings::sections() {
        let entries = Settings::entries();
        let own = entries.iter().filter(|entry| entry.section == section);
        let properties: Map<String, Value> =
            own.map(|entry| (entry.key.to_owned(), entry_schema(entry))).collect();
        if section.is_empty() {
            top.extend(properties);
            continue;
        }
        let section_schema = json!({
            "type": "object",
            "description": about,
            "properties": properties,
            "additionalProperties": false,
        });
        top.insert(section.to_owned(), section_schema);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "triaged.toml",
        "description": "Every setting of triaged.",
        "type": "object",
        "properties": top,
        "additionalProperties": false,
    })
}

fn entry_schema(entry: &Entry) -> Value {
    let path = path(entry.section, entry.key);
    let mut schema = match entry.kind {
        "number" => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        "true or false" => json!({ "type": "boolean" }),
        "duration" => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        // Keys with dots may be written without quotes, which makes tables in tables.
        "table" => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean", "object"] },
        }),
        _ => json!({ "type": "string" }),
    };
    if entry.kind == TABLE && entry.section == "kafka" {
        let refused: Vec<&str> = refused_names().collect();
        schema["propertyNames"] = json!({ "not": { "enum": refused } });
    }
    if let Some((_, names)) = CHOICES.iter().find(|(choice, _)| *choice == path) {
        schema["enum"] = json!(names);
    }
    if let Some((_, least, most)) = RANGES.iter().find(|(range, ..)| *range == path) {
        schema["minimum"] = json!(least);
        schema["maximum"] = json!(most);
    }
    schema["description"] = json!(entry.doc);
    if !entry.default.is_empty() {
        // Defaults are written as TOML, whose texts, numbers and Booleans are JSON too.
        schema["default"] = serde_json::from_str(&entry.default).unwrap_or(Value::Null);
    }
    schema
}

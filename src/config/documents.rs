//! The documents made of the settings: the manual, the sample.
//!
//! Owns their layout; what stands in them are the docs on the fields of `settings`. A test keeps docs/configuration.md
//! and config/triaged.toml fresh.

use super::{Entry, Settings};

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

//! `triaged schema`, `completions`, `man`: the pages that editors, shells and man(1) read.
//!
//! Owns their layout. All are made of what the program itself goes by: the settings' types, the command line's own
//! definition, the schemas that records are tested against. Opens no configuration and asks no broker.

use crate::config;
use crate::error::{Error, Kind};
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// The schemas of records, by the type that stands in their headers.
const RECORDS: [(&str, &str); 3] = [
    ("assignment.created", include_str!("../../docs/schemas/assignment.created.json")),
    ("case.closed", include_str!("../../docs/schemas/case.closed.json")),
    ("case.mention_added", include_str!("../../docs/schemas/case.mention_added.json")),
];

#[derive(Debug, Args)]
pub(super) struct SchemaOptions {
    /// `config` for triaged.toml, or a record's type; without it the names that there are
    name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsOptions {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManOptions {
    /// Write one page for each verb there; without it the main page goes to standard output
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints a JSON Schema, or the names of all.
///
/// # Errors
/// 64 when there is none of that name.
pub(super) fn schema(options: &SchemaOptions) -> Result<ExitCode, Error> {
    let Some(name) = &options.name else {
        crate::say!("config");
        RECORDS.iter().for_each(|(name, _)| crate::say!("{name}"));
        return Ok(ExitCode::SUCCESS);
    };
    if name == "config" {
        crate::say!("{:#}", config::schema());
        return Ok(ExitCode::SUCCESS);
    }
    let Some((_, text)) = RECORDS.iter().find(|(known, _)| known == name) else {
        let names = RECORDS.iter().map(|(name, _)| *name).chain(["config"]);
        let near = triage_engine::policy::did_you_mean(name, names);
        let hint = if near.is_empty() { "`triaged schema` lists them".to_owned() } else { near };
        return Err(Error::usage(format!("there is no schema `{name}`")).hint(hint));
    };
    crate::say!("{}", text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Prints the completions of a shell.
pub(super) fn completions(options: &CompletionsOptions) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut super::command(), "triaged", &mut script);
    crate::say!("{}", String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

/// Prints the main page, or writes all of them.
///
/// # Errors
/// 73 when a page cannot be written.
pub(super) fn man(options: &ManOptions) -> Result<ExitCode, Error> {
    let pages = pages();
    let Some(folder) = &options.folder else {
        let (_, main) = pages.first().expect("invariant: the main page comes first");
        crate::say!("{}", main.trim_end());
        return Ok(ExitCode::SUCCESS);
    };
    let wrong = |path: &PathBuf, error: std::io::Error| {
        Error::new(Kind::CannotCreate, format!("cannot write `{}`: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| wrong(folder, error))?;
    for (name, page) in &pages {
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page).map_err(|error| wrong(&path, error))?;
    }
    crate::say!("{} pages in {}", pages.len(), folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Every page by its name, the main one first, each verb's after its parent's.
fn pages() -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut command = without_help(super::command());
    // Fills in the usage lines and what is global.
    command.build();
    add_pages(&command, command.get_name(), "", &mut pages);
    pages
}

/// There is no page for the verb `help`, which stands in for pages where there is no man(1).
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

fn add_pages(command: &Command, name: &str, parents_help: &str, pages: &mut Vec<(String, String)>) {
    let own_help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // A verb within a verb may leave the examples to its parent.
    let help = if own_help.is_empty() { parents_help.to_owned() } else { own_help };
    let verbs: Vec<&Command> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    pages.push((name.to_owned(), page(command, name, &help, &verbs)));
    for verb in verbs {
        add_pages(verb, &format!("{name}-{}", verb.get_name()), &help, pages);
    }
}

fn page(command: &Command, name: &str, help: &str, verbs: &[&Command]) -> String {
    let shown = name.replace('-', " ");
    let named = command.clone().bin_name(shown).display_name(name.to_owned());
    let man = Man::new(named).title(name.to_uppercase()).section("1").source("triaged").manual("triaged");
    let mut page = Vec::new();
    let mut written = man.render_title(&mut page);
    written = written.and(man.render_name_section(&mut page));
    written = written.and(man.render_synopsis_section(&mut page));
    written = written.and(man.render_description_section(&mut page));
    written = written.and(man.render_options_section(&mut page));
    if !verbs.is_empty() {
        written = written.and(man.render_subcommands_section(&mut page));
    }
    written = written.and(sections(help, name).to_writer(&mut page));
    written.expect("invariant: a page in memory can be written");
    String::from_utf8_lossy(&page).into_owned()
}

/// What stands below the options in the help: paragraphs with a title, as man(1) calls them.
fn sections(help: &str, name: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let (title, body) = paragraph.split_once(':').unwrap_or(("Notes", paragraph));
        let title = match title.trim() {
            "Example" | "Examples" => "EXAMPLES".to_owned(),
            "Exit code" | "Exit codes" => "EXIT STATUS".to_owned(),
            other => other.to_uppercase(),
        };
        roff.control("SH", [title.as_str()]);
        roff.control("nf", []);
        for line in body.trim_matches('\n').lines() {
            roff.text([roman(line.trim())]);
        }
        roff.control("fi", []);
    }
    if name != "triaged" {
        roff.control("SH", ["SEE ALSO"]);
        let parent = name.rsplit_once('-').map_or("triaged", |(parent, _)| parent);
        roff.text([roman(format!("{parent}(1)"))]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_schema_in_the_docs_is_printed_and_is_json() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schemas");
        let files = fs::read_dir(folder).expect("the docs have schemas").map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            name.strip_suffix(".json").expect("schemas are JSON").to_owned()
        });
        let known: BTreeSet<String> = RECORDS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files.collect::<BTreeSet<_>>(), known, "RECORDS lists what docs/schemas holds");
        for (name, text) in RECORDS {
            let schema: serde_json::Value = serde_json::from_str(text).expect(name);
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        }
    }

    #[test]
    fn every_verb_has_a_page_with_its_name_its_use_its_options_and_examples() {
        let pages = pages();
        assert_eq!(pages[0].0, "triaged");
        for verb in super::super::command().get_subcommands() {
            let name = format!("triaged-{}", verb.get_name());
            assert!(pages.iter().any(|(page, _)| *page == name), "{name} has no page");
        }
        for (name, page) in pages {
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES"] {
                assert_eq!(page.matches(&format!(".SH {section}\n")).count(), 1, "{name}: {section}\n{page}");
            }
            assert!(page.contains(&format!(".TH {} 1", name.to_uppercase())), "{name}\n{page}");
            assert!(!page.contains("help(1)"), "{name} points to a page that there is not:\n{page}");
            assert_eq!(page.contains(".SH \"SEE ALSO\""), name != "triaged", "{name}\n{page}");
            // A request that is misspelled would be swallowed by man(1).
            let known = ["TH", "SH", "TP", "PP", "RS", "RE", "nf", "fi", "ie", "el", "br", "sp", "B", "IP"];
            for line in page.lines().filter(|line| line.starts_with('.')) {
                let request = line[1..].split(' ').next().unwrap_or_default();
                assert!(known.contains(&request), "{name}: {line}");
            }
        }
    }
}

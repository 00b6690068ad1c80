//! Scenario files: what is offered, and what must come of it. docs/load-testing.md is their manual.
//!
//! Owns the file type and its check: what passes is a `Scenario`, and nothing else sees the file. The scenarios that
//! ship are part of the program. Called by every verb.

use crate::shape::{Kind, Shape};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use triage_engine::policy::did_you_mean;
use triaged::error::Error;

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*]
    };
}

/// Name and text of each scenario that ships.
pub const SHIPPED: &[(&str, &str)] =
    shipped!["smoke", "firehose", "all-queued", "record-second-2013", "super-bowl-blackout"];

/// More records than this are not judged in one run: the judge holds six bytes for each.
const RECORDS_MAX: u64 = 200_000_000;
/// Partitions that a scenario may ask for.
const PARTITIONS_MAX: u32 = 1_000;
/// Bytes that a scenario's name may have: it is part of a folder's name.
const NAME_BYTES_MAX: usize = 100;
/// The languages of the texts that ship.
pub const LANGUAGES: [&str; 2] = ["en", "ja"];

/// A scenario that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it rehearses, and where its numbers come from.
    pub about: String,
    /// Decides everything that looks random.
    pub seed: u64,
    /// When what is due.
    pub shape: Shape,
    /// What the records of each phase are.
    pub mixes: Vec<Mix>,
    /// Bytes of a record's value, unless its text alone needs more.
    pub payload_bytes: usize,
    /// Partitions of the input.
    pub partitions: u32,
    /// The policy that is expected; none is the one that ships.
    pub policy: Option<PathBuf>,
    /// Who writes.
    pub authors: Authors,
    /// Share of each language among originals, in the order of [`LANGUAGES`].
    pub languages: [f64; LANGUAGES.len()],
    /// What must come of it.
    pub objectives: Objectives,
    /// The text of the file.
    pub text: String,
}

/// What records are: shares of all, which add up to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// New mentions that a queue gets.
    #[serde(default)]
    pub queued: f64,
    /// Copies of a mention sent a moment ago.
    #[serde(default)]
    pub duplicates: f64,
    /// Copies of the storm's first post; a phase that has any begins a storm of its own.
    #[serde(default)]
    pub storm_members: f64,
    /// New mentions that a rule calls noise.
    #[serde(default)]
    pub noise: f64,
    /// Records that cannot be read.
    #[serde(default)]
    pub poison: f64,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authors {
    /// How many ordinary ones there are; a returning one joins the case that is open.
    pub count: u64,
    /// Share of new mentions that come from verified authors with many followers.
    #[serde(default)]
    pub vip: f64,
    /// Share of new mentions and storm members that go to partition 0, beside its fair part.
    #[serde(default)]
    pub hot_partition: f64,
}

/// What must come of it. Counts are "at most"; what is not given is measured and not judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objectives {
    /// Records without an outcome.
    pub lost: u64,
    /// Outcomes that came twice.
    pub doubled: u64,
    /// Mentions at a wrong desk or queue.
    pub misrouted: u64,
    /// Records with a wrong disposition, rule or reason.
    pub misjudged: u64,
    /// Half of all mentions are with their desk after so many milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 of 100 are.
    pub p99_ms: Option<f64>,
    /// 999 of 1,000 are.
    pub p999_ms: Option<f64>,
    /// All are.
    pub max_ms: Option<f64>,
    /// Seconds after the spike when all that was due in it is with its desk.
    pub recover_s: Option<f64>,
    /// Seconds after the spike when the daemon is no more than a second behind.
    pub lag_zero_s: Option<f64>,
    /// Most resident memory of the daemon, in MiB; not measured, and so not met, unless its process is known.
    pub rss_mib: Option<f64>,
    /// A record sent so many milliseconds after its instant has slipped; of more than 1 % no percentile is shown.
    pub slip_ms: f64,
    /// How long what was sent may take to come out at the end, in seconds; what has not by then is lost.
    pub drain_s: f64,
}

impl Default for Objectives {
    fn default() -> Objectives {
        Objectives {
            lost: 0,
            doubled: 0,
            misrouted: 0,
            misjudged: 0,
            p50_ms: None,
            p99_ms: None,
            p999_ms: None,
            max_ms: None,
            recover_s: None,
            lag_zero_s: None,
            rss_mib: None,
            slip_ms: 20.0,
            drain_s: 60.0,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    about: String,
    seed: u64,
    base_rate: f64,
    partitions: u32,
    payload_bytes: usize,
    policy: Option<PathBuf>,
    mix: Mix,
    authors: Authors,
    #[serde(default)]
    languages: BTreeMap<String, f64>,
    #[serde(default)]
    objectives: Objectives,
    phase: Vec<FilePhase>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePhase {
    name: String,
    kind: Kind,
    seconds: f64,
    times: Option<f64>,
    rate: Option<f64>,
    mix: Option<Mix>,
}

impl Mix {
    /// The shares in the order in which they are drawn.
    #[must_use]
    pub fn shares(&self) -> [f64; 5] {
        [self.queued, self.duplicates, self.storm_members, self.noise, self.poison]
    }

    fn mistakes(&self, place: &str, mistakes: &mut Vec<String>) {
        let sum: f64 = self.shares().iter().sum();
        if self.shares().iter().any(|share| !(0.0..=1.0).contains(share)) {
            mistakes.push(format!("{place}: a share lies between 0 and 1"));
        } else if (sum - 1.0).abs() > 1e-6 {
            mistakes.push(format!("{place}: the shares add up to {sum}, they must add up to 1"));
        }
    }
}

/// A scenario that ships by its name, or a file by its path.
///
/// # Errors
/// 78 when there is no such file or scenario, with the names that ship, or with every mistake in it.
pub fn load(name: &str) -> Result<Scenario, Error> {
    if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
        return read(&format!("{name}.toml"), text, Path::new("."));
    }
    let path = Path::new(name);
    let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::configuration(format!(
            "`{name}` is no scenario that ships, and no file that can be read: {error}"
        ))
        .hint(format!("these ship: {}", names.join(", ")))
    })?;
    read(name, &text, path.parent().unwrap_or(Path::new(".")))
}

/// Reads the text of a scenario; `folder` is where relative paths in it begin.
///
/// # Errors
/// 78 with every mistake.
pub fn read(file: &str, text: &str, folder: &Path) -> Result<Scenario, Error> {
    let wrong = |mistakes: Vec<String>| {
        Error::configuration(format!("scenario `{file}` cannot be used"))
            .mistakes(mistakes)
            .hint("docs/load-testing.md lists every key")
    };
    // Every name that does not exist is told at once; what else cannot be read, once they are right.
    let unknown = unknown_keys(text);
    if !unknown.is_empty() {
        return Err(wrong(unknown));
    }
    let parsed: File =
        toml::from_str(text).map_err(|error| wrong(vec![error.to_string().trim_end().to_owned()]))?;
    let mistakes = parsed.mistakes();
    if !mistakes.is_empty() {
        return Err(wrong(mistakes));
    }
    let rates = parsed.phase.iter().map(|phase| phase.rate(parsed.base_rate));
    let phases: Vec<(String, Kind, f64, f64)> = (parsed.phase.iter().zip(rates))
        .map(|(phase, rate)| (phase.name.clone(), phase.kind, phase.seconds, rate))
        .collect();
    let shape = Shape::new(parsed.base_rate, phases);
    let mixes: Vec<Mix> = parsed.phase.iter().map(|phase| phase.mix.unwrap_or(parsed.mix)).collect();
    let mut mistakes = Vec::new();
    if shape.total() > RECORDS_MAX {
        mistakes.push(format!("{} records are more than {RECORDS_MAX}", shape.total()));
    }
    for (index, mix) in mixes.iter().enumerate() {
        let records = shape.records(index);
        if mix.storm_members > 0.0 && records.end - records.start < u64::from(parsed.partitions) {
            let name = &parsed.phase[index].name;
            mistakes.push(format!("phase `{name}`: a storm needs a record for each partition to begin with"));
        }
    }
    if !mistakes.is_empty() {
        return Err(wrong(mistakes));
    }
    let languages = match parsed.languages.is_empty() {
        true => [1.0; LANGUAGES.len()],
        false => LANGUAGES.map(|language| parsed.languages.get(language).copied().unwrap_or(0.0)),
    };
    Ok(Scenario {
        name: parsed.name,
        about: parsed.about,
        seed: parsed.seed,
        shape,
        mixes,
        payload_bytes: parsed.payload_bytes,
        partitions: parsed.partitions,
        policy: parsed.policy.map(|path| folder.join(path)),
        authors: parsed.authors,
        languages,
        objectives: parsed.objectives,
        text: text.to_owned(),
    })
}

/// Every key that is none, with its line and what was probably meant; nothing of a text that is no TOML.
fn unknown_keys(text: &str) -> Vec<String> {
    const PHASE: &[&str] = &["name", "kind", "seconds", "times", "rate", "mix"];
    const TOP: &[&str] = &[
        "name",
        "about",
        "seed",
        "base_rate",
        "partitions",
        "payload_bytes",
        "policy",
        "mix",
        "authors",
        "languages",
        "objectives",
        "phase",
    ];
    let Ok(table) = DeTable::parse(text) else { return Vec::new() };
    let table = table.get_ref();
    let mix = names_of(&Mix { queued: 0.0, duplicates: 0.0, storm_members: 0.0, noise: 0.0, poison: 0.0 });
    let authors = names_of(&Authors { count: 0, vip: 0.0, hot_partition: 0.0 });
    let objectives = names_of(&Objectives::default());
    let mut unknown = Vec::new();
    let mut look = |place: &str, table: &DeTable<'_>, known: &[&str]| {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let (name, line) = (key.get_ref(), text[..key.span().start].matches('\n').count() + 1);
            let hint = did_you_mean(name, known.iter().copied());
            let hint = if hint.is_empty() { hint } else { format!(": {hint}") };
            unknown.push((line, format!("line {line}: there is no `{name}`{place}{hint}")));
        }
    };
    look("", table, TOP);
    let mut section = |name: &str, table: &DeTable<'_>, known: &[String]| {
        if let Some(DeValue::Table(table)) = table.get(name).map(toml::Spanned::get_ref) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            look(&format!(" in `{name}`"), table, &known);
        }
    };
    for (name, known) in [("mix", &mix), ("authors", &authors), ("objectives", &objectives)] {
        section(name, table, known);
    }
    let phases = table.get("phase").and_then(|phases| phases.get_ref().as_array());
    let phases = phases.into_iter().flatten().filter_map(|phase| phase.get_ref().as_table());
    phases.clone().for_each(|phase| section("mix", phase, &mix));
    phases.for_each(|phase| look(" in a `[[phase]]`", phase, PHASE));
    unknown.sort();
    unknown.into_iter().map(|(_, what)| what).collect()
}

/// The keys of a table, from the type that it is read as.
fn names_of(table: &impl Serialize) -> Vec<String> {
    let shown = serde_json::to_value(table).expect("invariant: the tables are plain JSON");
    shown.as_object().map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

impl FilePhase {
    fn rate(&self, base: f64) -> f64 {
        self.rate.or(self.times.map(|times| times * base)).unwrap_or(0.0)
    }
}

impl File {
    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let begins = self.name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !(begins && self.name.len() <= NAME_BYTES_MAX && self.name.chars().all(legal)) {
            mistakes.push(format!(
                "`name`: `{}` cannot be part of a folder's name: write a letter or digit, then up to {} of a-z A-Z 0-9 . _ -",
                self.name,
                NAME_BYTES_MAX - 1
            ));
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(self.base_rate) {
            mistakes.push("`base_rate` must be above 0".to_owned());
        }
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            mistakes.push(format!("`partitions` lies between 1 and {PARTITIONS_MAX}"));
        }
        if !(400..=400_000).contains(&self.payload_bytes) {
            mistakes.push("`payload_bytes` lies between 400 and 400000".to_owned());
        }
        if self.authors.count < u64::from(self.partitions) {
            mistakes.push("`authors.count`: each partition needs an author at least".to_owned());
        }
        for (name, share) in [("vip", self.authors.vip), ("hot_partition", self.authors.hot_partition)] {
            if !(0.0..=1.0).contains(&share) {
                mistakes.push(format!("`authors.{name}` lies between 0 and 1"));
            }
        }
        self.mix.mistakes("`mix`", &mut mistakes);
        for (language, share) in &self.languages {
            if !LANGUAGES.contains(&language.as_str()) {
                mistakes
                    .push(format!("`languages.{language}`: there are texts in {}", LANGUAGES.join(" and ")));
            }
            if !(share.is_finite() && *share >= 0.0) {
                mistakes.push(format!("`languages.{language}` is 0 or more"));
            }
        }
        if !self.languages.is_empty() && self.languages.values().sum::<f64>() <= 0.0 {
            mistakes.push("`languages`: at least one is above 0".to_owned());
        }
        if !(positive(self.objectives.slip_ms) && positive(self.objectives.drain_s)) {
            mistakes.push("`objectives.slip_ms` and `objectives.drain_s` are above 0".to_owned());
        }
        if self.phase.is_empty() {
            mistakes.push("there is no `[[phase]]`".to_owned());
        }
        for phase in &self.phase {
            let place = format!("phase `{}`", phase.name);
            if !positive(phase.seconds) {
                mistakes.push(format!("{place}: `seconds` must be above 0"));
            }
            match (phase.times, phase.rate) {
                (Some(_), Some(_)) | (None, None) => {
                    mistakes.push(format!(
                        "{place}: give `times` (of base_rate) or `rate` (a second), one of them"
                    ));
                }
                _ if !positive(phase.rate(self.base_rate)) => {
                    mistakes.push(format!("{place}: its rate must be above 0"));
                }
                _ => {}
            }
            if let Some(mix) = &phase.mix {
                mix.mistakes(&place, &mut mistakes);
            }
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_that_ships_can_be_used_and_is_called_what_its_file_is() {
        for (name, _) in SHIPPED {
            let scenario = load(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(scenario.name, *name);
            assert!(scenario.about.len() > 40, "{name} says what it rehearses");
        }
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).expect("the folder");
        assert_eq!(files.count(), SHIPPED.len(), "every file ships");
    }

    #[test]
    fn the_published_mixes_are_what_they_are_called() {
        let firehose = load("firehose").expect("it ships").mixes[0];
        assert_eq!((firehose.queued, firehose.noise), (0.10, 0.60));
        assert!((firehose.duplicates + firehose.storm_members - 0.30).abs() < 1e-9);
        assert!((load("all-queued").expect("it ships").mixes[0].queued - 1.0).abs() < 1e-9);
    }

    fn changed(from: &str, to: &str) -> String {
        let text = SHIPPED.iter().find(|(name, _)| *name == "smoke").expect("it ships").1;
        assert!(text.contains(from), "{from}");
        let error = read("mine.toml", &text.replacen(from, to, 1), Path::new(".")).expect_err("it is wrong");
        assert_eq!(error.exit_code(), 78);
        error.to_string()
    }

    #[test]
    fn a_key_that_does_not_exist_is_told_with_its_line() {
        let text = changed("seed = ", "sead = ");
        assert!(text.contains("line 4: there is no `sead`: did you mean `seed`?"), "{text}");
    }

    #[test]
    fn every_key_that_does_not_exist_is_told_at_once() {
        let text = changed("queued = 0.30", "quued = 0.30\nnosie = 1.0\n[phases]\n[authrs]");
        for part in [
            "`quued` in `mix`: did you mean `queued`?",
            "`nosie` in `mix`",
            "no `authrs`: did you mean `authors`?",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            changed("times = 6", "time = 6").contains("no `time` in a `[[phase]]`: did you mean `times`?")
        );
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_of_reports_is_refused() {
        for name in ["../../evil", "/tmp/evil", "..", ".hidden", "", "two words"] {
            let text = changed("name = \"smoke\"", &format!("name = \"{name}\""));
            assert!(text.contains(&format!("`name`: `{name}` cannot be part of a folder's name")), "{text}");
        }
    }

    #[test]
    fn the_manual_lists_every_key_and_every_scenario_that_ships() {
        let manual = include_str!("../../docs/load-testing.md");
        let mut keys: Vec<String> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
        for (_, text) in SHIPPED {
            let file: toml::Table = toml::from_str(text).expect("it is TOML");
            keys.extend(
                file.keys().filter(|key| file[*key].as_table().is_none() && *key != "phase").cloned(),
            );
        }
        let objectives = Objectives { p50_ms: Some(1.0), p99_ms: Some(1.0), ..Objectives::default() };
        let mix = load("smoke").expect("it ships").mixes[0];
        let authors = load("smoke").expect("it ships").authors;
        for table in [
            serde_json::to_value(objectives).expect("JSON"),
            serde_json::to_value(mix).expect("JSON"),
            serde_json::to_value(authors).expect("JSON"),
        ] {
            keys.extend(table.as_object().expect("a table").keys().cloned());
        }
        for key in ["times", "rate", "kind", "hold", "ramp", "decay"].map(str::to_owned).iter().chain(&keys) {
            assert!(manual.contains(&format!("`{key}`")), "docs/load-testing.md does not speak of `{key}`");
        }
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = changed("base_rate = 500", "base_rate = -1");
        assert!(text.contains("`base_rate` must be above 0"), "{text}");
        let text = changed("noise = 0.50", "noise = 0.90");
        assert!(text.contains("add up to 1"), "{text}");
        let text = changed("times = 1", "times = 1\nrate = 5");
        assert!(text.contains("one of them"), "{text}");
        let text = load("no-such-thing").expect_err("there is none").to_string();
        assert!(text.contains("these ship: smoke"), "{text}");
    }
}

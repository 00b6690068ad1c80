//! What limits a figure, said in the figures of this run wherever there are any, and the profile of the daemon.
//!
//! Owns the profile that `scripts/profile` left, and with it on what machine, when and of what commit its shares were taken:
//! a machine of another kind is not told that they are its own. Called by the page; the targets say which shares count.

use super::{budget_of, find, line};
use crate::common::measure::{Results, short};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One thing that limits a figure.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    /// What holds on any machine.
    Words(&'static str),
    /// What bare program and engine alone would come to in this part of the Kafka bench.
    Together(&'static str),
    /// The nanoseconds of these stages in the rows of the engine that begin so.
    Stages(&'static str, &'static [&'static str]),
    /// The shares of these columns in this part of the profile.
    Shares(&'static str, &'static [&'static str]),
}

/// What `scripts/profile` found.
#[derive(Debug, Deserialize)]
pub struct Profile {
    /// As the benches name theirs.
    pub processor: String,
    pub date: String,
    /// Version and commit.
    pub triaged: String,
    pub build: String,
    /// The machine's load average when it began.
    pub load: String,
    pub parts: Vec<Part>,
}

/// One part of the Kafka bench.
#[derive(Debug, Deserialize)]
pub struct Part {
    pub part: String,
    /// How many samples there were, if that was noted.
    pub samples: Option<u64>,
    /// Percent of the samples, by column; what was not noted is not there.
    pub shares: BTreeMap<String, f64>,
}

/// The columns, threads first; `scripts/profile.d/shares.awk` says what counts as which.
pub const COLUMNS: [&str; 12] = [
    "reading, scanning, deciding",
    "desk",
    "client library's threads",
    "delivery reports",
    "kernel",
    "fresh pages",
    "locks, switching",
    "JSON",
    "matching",
    "allocator",
    "copying",
    "lz4",
];

impl Profile {
    /// The profile that is kept beside this file.
    pub fn read() -> Profile {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/page/profile.json");
        let text = std::fs::read_to_string(path).expect("profile.json is there; scripts/profile writes it");
        serde_json::from_str(&text).expect("profile.json is as scripts/profile writes it")
    }

    /// A share in percent, if it was noted.
    pub fn share(&self, part: &str, column: &str) -> Option<f64> {
        assert!(COLUMNS.contains(&column), "the profile has no column `{column}`");
        self.parts.iter().find(|it| it.part == part)?.shares.get(column).copied()
    }

    /// Whether the Kafka bench ran on a machine of this kind.
    fn is_of(&self, results: &[Results]) -> bool {
        let kafka = results.iter().find(|result| result.bench == "kafka");
        let processor = kafka.and_then(|it| it.facts.iter().find(|(name, _)| name == "processor"));
        processor.is_none_or(|(_, processor)| *processor == self.processor)
    }

    /// The table, and where it is from.
    pub fn write(&self, page: &mut String, results: &[Results]) {
        let Profile { processor, date, triaged, build, load, .. } = self;
        let other = if self.is_of(results) { "" } else { " **The figures above are of another machine.**" };
        let from = format!(
            "Where the samples of the daemon fall, in percent, as `scripts/profile` finds them. Taken on {processor}, {date}, triaged \
             {triaged}, {build}, load {load}.{other}\nThreads first, then kinds of work across all threads: in the kernel, of it \
             on fresh pages; on locks and switching, in the kernel and before\nit; and outside of the kernel. \
             `scripts/profile.d/shares.awk` says what counts as which.\n"
        );
        line(page, &format!("\n{from}"));
        line(page, &format!("| part | samples | {} |", COLUMNS.join(" | ")));
        line(page, &format!("|---|---|{}", "---|".repeat(COLUMNS.len())));
        for part in &self.parts {
            let share = |column: &&str| {
                part.shares.get(*column).map_or("-".to_owned(), |share| format!("{share:.1}"))
            };
            let cells: Vec<String> = COLUMNS.iter().map(share).collect();
            let samples = part.samples.map_or("-".to_owned(), |samples| short(samples as f64));
            line(page, &format!("| {} | {samples} | {} |", part.part, cells.join(" | ")));
        }
    }
}

impl Limit {
    /// In words; nothing where this run has no figures for it.
    fn said(self, results: &[Results], profile: &Profile) -> Option<String> {
        match self {
            Limit::Words(words) => Some(words.to_owned()),
            Limit::Together(part) => {
                let most = budget_of(part, results)?.most();
                Some(format!(
                    "bare program and engine alone come to {} with nothing between them (below)",
                    short(most)
                ))
            }
            Limit::Stages(rows, stages) => {
                let ns =
                    |stage: &str| find(results, "engine", &format!("{rows}: {stage}")).map(|it| it.median);
                let parts: Option<Vec<String>> =
                    stages.iter().map(|stage| Some(format!("{stage} {}", short(ns(stage)?)))).collect();
                Some(format!("of {} ns: {} (below)", short(ns("whole")?), parts?.join("; ")))
            }
            Limit::Shares(..) if !profile.is_of(results) => {
                Some("profile of another machine, below".to_owned())
            }
            Limit::Shares(part, columns) => {
                let share = |column: &&str| Some(format!("{column} {:.0} %", profile.share(part, column)?));
                let shares: Vec<String> = columns.iter().filter_map(share).collect();
                Some(format!("by the profile below: {}", shares.join("; ")))
            }
        }
    }
}

/// What limits a figure, in one cell.
pub fn all(limits: &[Limit], results: &[Results], profile: &Profile) -> String {
    let said: Vec<String> = limits.iter().filter_map(|limit| limit.said(results, profile)).collect();
    said.join("; ")
}

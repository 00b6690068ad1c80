//! What an audit found: counts for each partition, and every place where a promise was broken.
//!
//! Owns the closed list of findings and how they read, for people and as JSON. May not read a log. Filled by the
//! passes of `audit`, shown by `verb`.

use crate::log::TopicPartition;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use triage_engine::model::Disposition;

/// Findings that a report lists at most; all are counted. A log that is broken throughout must not fill the memory.
pub const FINDINGS_MAX: usize = 10_000;

/// What kind of promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A record is committed and the ledger knows nothing of it (I1).
    Lost,
    /// A record is committed, the ledger says what it becomes, and that is not to be found (I2).
    Unhanded,
    /// A record has two outcomes that both count (I2).
    Doubled,
    /// What went out is not what the log that decides it says (I2).
    Disagrees,
    /// A group has committed an offset above something that is not done (I4).
    CommitPastGap,
    /// Deciding the record again gives another answer (I2).
    WrongDecision,
    /// Output order is not input order (I6).
    Reordered,
    /// A record of an internal log is damaged.
    Unreadable,
}

impl FindingKind {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Lost => "lost",
            FindingKind::Unhanded => "unhanded",
            FindingKind::Doubled => "doubled",
            FindingKind::Disagrees => "disagrees",
            FindingKind::CommitPastGap => "commit_past_gap",
            FindingKind::WrongDecision => "wrong_decision",
            FindingKind::Reordered => "reordered",
            FindingKind::Unreadable => "unreadable",
        }
    }

    /// What it means, for a stranger who has to act on it at night.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            FindingKind::Lost => {
                "committed mentions that nobody decided; nobody will read them again by themselves"
            }
            FindingKind::Unhanded => {
                "mentions that were decided and committed, but never reached where they should be"
            }
            FindingKind::Doubled => "records with two outcomes: somebody downstream may have acted on both",
            FindingKind::Disagrees => {
                "records that went out with other facts than the log that decides them holds"
            }
            FindingKind::CommitPastGap => "a consumer group's position is past work that is not done",
            FindingKind::WrongDecision => "decisions that come out differently when they are made again",
            FindingKind::Reordered => "records of one author or case that overtook each other",
            FindingKind::Unreadable => "damaged records of triaged's own logs",
        }
    }
}

/// One place where a promise was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which promise.
    pub kind: FindingKind,
    /// The topic of the record that is concerned.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: i64,
    /// What is wrong, in a sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<15} {}/{}/{}: {}", self.kind.name(), self.topic, self.partition, self.offset, self.what)
    }
}

/// What was found of one input partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// The partition of the input.
    pub partition: u32,
    /// The offsets looked at, the first and the one after the last.
    pub from: i64,
    /// The one after the last.
    pub to: i64,
    /// Records that are there; holes are none.
    pub records: u64,
    /// The group's committed offset; `None` when it never committed.
    pub committed: Option<i64>,
    /// Records by what became of them, by the disposition's name.
    pub dispositions: BTreeMap<&'static str, u64>,
    /// Records that a rule or a fault had kept from desks, and that a request brought back to one.
    pub brought_back: u64,
    /// Effects that lie in the logs more than once with the same content. Receivers recognise them.
    pub repeats: u64,
    /// Records at or above the committed offset: not settled yet, so nothing is wrong with them.
    pub in_flight: u64,
    /// Records decided again.
    pub sampled: u64,
    /// Offsets that the ledger knows and the input no longer holds.
    pub gone: u64,
    /// Decisions and effects that cannot be checked any more or yet, because what they rest on was trimmed, lies
    /// before the audited range, or was decided by another release.
    pub unverified: u64,
}

/// What was found of one partition of the desk log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeskReport {
    /// The partition of the desk log.
    pub partition: u32,
    /// Audited from this offset on: the log's start, or the snapshot that what was trimmed is folded into.
    pub from: i64,
    /// The one after the last.
    pub to: i64,
    /// The group's committed offset; `None` when it never committed.
    pub committed: Option<i64>,
    /// Records of cases that the log asks for.
    pub expected: u64,
    /// Of these, how many are out.
    pub out: u64,
    /// Records of cases that are out more than once with the same content.
    pub repeats: u64,
    /// Records that cannot be checked any more, because what they rest on was trimmed.
    pub unverified: u64,
}

/// The whole of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The input topic.
    pub input: String,
    /// Its partitions.
    pub partitions: Vec<PartitionReport>,
    /// The desk log's partitions.
    pub desks: Vec<DeskReport>,
    /// How many findings there are of each kind.
    pub found: BTreeMap<FindingKind, u64>,
    /// The first [`FINDINGS_MAX`] of them.
    pub findings: Vec<Finding>,
    /// What was not audited, and why, in sentences.
    pub notes: Vec<String>,
    /// The group that has committed nothing anywhere, although the audited input has records: then no promise was there
    /// to be checked, which is a misspelt group or a fleet that never worked.
    pub nothing_proved_of: Option<String>,
}

impl Report {
    /// Whether something was proved, and nothing found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.found.is_empty() && self.nothing_proved_of.is_none()
    }

    /// Notes that `group` has committed nothing, if that is so: every partition must have been counted.
    pub(super) fn note_commits_of(&mut self, group: &str) {
        let has_records = self.partitions.iter().any(|part| part.records > 0);
        let has_commits = self.partitions.iter().any(|part| part.committed.is_some());
        self.nothing_proved_of = (has_records && !has_commits).then(|| group.to_owned());
    }

    pub(super) fn find(&mut self, kind: FindingKind, at: &TopicPartition, offset: i64, what: String) {
        *self.found.entry(kind).or_default() += 1;
        if self.findings.len() < FINDINGS_MAX {
            let (topic, partition) = (at.topic.to_string(), at.partition);
            self.findings.push(Finding { kind, topic, partition, offset, what });
        }
    }

    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.partitions {
            let committed = part.committed.map_or("nothing".to_owned(), |offset| offset.to_string());
            let (from, last) = (part.from, part.to - 1);
            write!(
                f,
                "{}/{}: offsets {from} to {last}, {} records, ",
                self.input, part.partition, part.records
            )?;
            writeln!(f, "committed {committed}, {} in flight", part.in_flight)?;
            let counts = Disposition::ALL.iter().filter_map(|disposition| {
                part.dispositions
                    .get(disposition.name())
                    .map(|count| format!("{} {count}", disposition.name()))
            });
            writeln!(f, "  {}", counts.collect::<Vec<_>>().join(", "))?;
            write!(f, "  {} decided again, {} brought back, ", part.sampled, part.brought_back)?;
            write!(f, "{} repeats", part.repeats)?;
            writeln!(f, ", {} not there any more, {} not verifiable", part.gone, part.unverified)?;
        }
        for desk in &self.desks {
            let committed = desk.committed.map_or("nothing".to_owned(), |offset| offset.to_string());
            write!(f, "desk log {}: offsets {} to {}, ", desk.partition, desk.from, desk.to - 1)?;
            write!(
                f,
                "committed {committed}; {} records of cases asked for, {} out, ",
                desk.expected, desk.out
            )?;
            writeln!(f, "{} repeats, {} not verifiable", desk.repeats, desk.unverified)?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        if self.is_clean() {
            return write!(f, "every offset below the committed ones has exactly one outcome: nothing found");
        }
        if let Some(group) = &self.nothing_proved_of {
            writeln!(f, "nothing was proved: group `{group}` has committed nothing on `{}`", self.input)?;
            write!(f, "hint: `--group NAME` asks for `NAME.triage`; without it `group.name` is used")?;
            if self.found.is_empty() {
                return Ok(());
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let listed = self.findings.len() as u64;
        let all: u64 = self.found.values().sum();
        writeln!(
            f,
            "\n{all} findings{}:",
            if listed < all { format!(", the first {listed} listed") } else { String::new() }
        )?;
        for (kind, count) in &self.found {
            writeln!(f, "  {count} {}: {}", kind.name(), kind.meaning())?;
        }
        Ok(())
    }
}

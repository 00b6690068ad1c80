//! What is told of one mention or case: as a record, and as text.
//!
//! Owns the wording and the order. Everything that somebody else wrote is redacted and made visible before it gets here.
//! Filled by `search`, printed by the command line.

use crate::shown::Told;
use serde::Serialize;
use std::fmt;
use triage_engine::explain::Explanation;

/// All that was found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Story {
    /// What was asked for.
    pub asked: String,
    /// Whether anything of it was found.
    pub found: bool,
    /// Where was looked, in sentences.
    pub searched: Vec<String>,
    /// The mention itself.
    pub mention: Option<MentionTold>,
    /// What the ledger says of it.
    pub ledger: Option<LedgerTold>,
    /// Other records with the same id.
    pub also: Vec<String>,
    /// The record of which this one is a copy.
    pub copy_of: Option<String>,
    /// What deciding it again under that policy gives.
    pub decision: Option<Explanation>,
    /// Why rules match or not, term by term.
    pub why: Vec<Told>,
    /// The same for people.
    #[serde(skip)]
    pub why_text: String,
    /// Whether that is what the ledger says; `None` when it was not decided again.
    pub agrees: Option<bool>,
    /// The dead letter that speaks of it.
    pub dead_letter: Option<String>,
    /// The record of the desk log that hands it over.
    pub desk_log: Option<String>,
    /// What the desk made of it.
    pub outcome: Option<OutcomeTold>,
    /// The records of the case that was asked for.
    pub case: Vec<CaseRecordTold>,
    /// What could not be found out, and why.
    pub notes: Vec<String>,
}

/// A mention without its personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MentionTold {
    /// `topic/partition/offset`; empty for one that was not sent.
    pub position: String,
    /// The record's time.
    pub at: String,
    /// Its id, empty when it cannot be read.
    pub mention_id: String,
    /// The fleet's keyed hash of its author, 8 hex digits.
    pub author: String,
    /// What it says, personal data taken out.
    pub text: String,
    /// Kinds of personal data found.
    pub pii: Vec<&'static str>,
    /// Why it cannot be read, if it cannot.
    pub unreadable: Option<&'static str>,
}

/// A ledger entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerTold {
    /// The ledger's record.
    pub position: String,
    /// The disposition's name.
    pub disposition: &'static str,
    /// In words, with rule, reason, desk and queue.
    pub what: String,
    /// The policy in force.
    pub policy: String,
    /// The epoch of the switch to it.
    pub plan_epoch: i64,
    /// The shard's time after the run.
    pub now: String,
    /// The number of the rules by which it was decided.
    pub semantics: u32,
}

/// What the desk did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeTold {
    /// `opened`, `linked`, `copy`.
    pub outcome: &'static str,
    /// The case, when it could be found.
    pub case_id: Option<String>,
    /// The record on the desk's topic.
    pub record: Option<String>,
    /// Its version of the case.
    pub case_version: Option<u64>,
}

/// A record of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseRecordTold {
    /// `topic/partition/offset`.
    pub position: String,
    /// What the record says happened.
    pub what: String,
    /// The mention, if it speaks of one.
    pub mention_id: Option<String>,
    /// The version of the case.
    pub case_version: u64,
    /// When it was written.
    pub at: String,
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "{name:<9} {text}")
}

/// For people.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mention) = &self.mention {
            mention.fmt(f)?;
        }
        self.also.iter().try_for_each(|other| line(f, "also", other))?;
        if let Some(ledger) = &self.ledger {
            line(f, "ledger", &format!("{}: {}", ledger.position, ledger.what))?;
            let (policy, epoch, now) = (&ledger.policy, ledger.plan_epoch, &ledger.now);
            line(f, "", &format!("under {policy}, plan epoch {epoch}, at {now}"))?;
        }
        if let Some(first) = &self.copy_of {
            line(f, "copy of", first)?;
        }
        if let Some(letter) = &self.dead_letter {
            line(f, "letter", letter)?;
        }
        match self.agrees {
            Some(true) => line(f, "again", "deciding it again under that policy says the same:")?,
            Some(false) => line(
                f,
                "again",
                "deciding it again under that policy says OTHERWISE; `triaged audit` looks for more of that:",
            )?,
            None => {}
        }
        if let Some(decision) = &self.decision {
            writeln!(f, "{decision}")?;
        }
        f.write_str(&self.why_text)?;
        if let Some(record) = &self.desk_log {
            line(f, "desk log", record)?;
        }
        if let Some(outcome) = &self.outcome {
            outcome.fmt(f)?;
        }
        for (place, record) in self.case.iter().enumerate() {
            let mention = record.mention_id.as_ref().map_or(String::new(), |id| format!(", mention `{id}`"));
            let text = format!(
                "{}: version {} {}{mention}, {}",
                record.position, record.case_version, record.what, record.at
            );
            line(f, if place == 0 { "case" } else { "" }, &text)?;
        }
        self.notes.iter().try_for_each(|note| line(f, "note", note))
    }
}

impl fmt::Display for MentionTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MentionTold { position, at, mention_id, author, text, pii, unreadable } = self;
        match (unreadable, position.is_empty()) {
            (Some(why), _) => return line(f, "record", &format!("{position}, {at}: {why}")),
            (None, true) => line(f, "mention", &format!("`{mention_id}`, not sent"))?,
            (None, false) => line(f, "mention", &format!("`{mention_id}` at {position}, {at}"))?,
        }
        line(f, "author", &format!("{author} (a hash)"))?;
        line(f, "text", text)?;
        if pii.is_empty() { Ok(()) } else { line(f, "redacted", &pii.join(", ")) }
    }
}

impl fmt::Display for OutcomeTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = self.case_id.as_deref().unwrap_or("that could not be found");
        let text = match self.outcome {
            "opened" => format!("opened case {case}"),
            "copy" => format!("copy: its author's case {case} had it already"),
            _ => format!("joined its author's open case {case}"),
        };
        let record = match (&self.record, self.case_version) {
            (Some(record), Some(version)) => format!(": {record}, version {version}"),
            _ => String::new(),
        };
        line(f, "desk", &format!("{text}{record}"))
    }
}

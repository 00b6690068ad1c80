//! One decision as a line: what a terminal shows, and what `--json` gives.
//!
//! Owns the form. A mention's text is shown without its personal data, shortened, and with everything visible that
//! could play tricks on a terminal; its author as the fleet's keyed hash. Called by `tap`.

use crate::wire::cloudevents::rfc3339;
use crate::wire::ledger::LedgerEntry;
use crate::wire::mention::{Decoded, Decoder};
use crate::wire::redact::Redactor;
use crate::wire::visible::{shortened, visible};
use crate::worker::ScanSettings;
use serde::Serialize;
use std::fmt;
use triage_engine::dedup::author_key;
use triage_engine::model::{DeadLetterReason, Disposition, Millis};
use triage_engine::policy::{Policy, Search};
use triage_engine::triage::DETAIL_NOT_A_MENTION;

/// The names of dispositions that a ledger's entry may have.
pub const DISPOSITIONS: [&str; 6] = ["queued", "joined", "noise", "blocked", "duplicate", "dead_letter"];

/// Characters of a text that a terminal is shown; JSON has four times as many.
const TEXT_CHARACTERS_MAX: usize = 100;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When the ledger's record was written.
    pub at: String,
    /// The mention's place on the input.
    pub position: String,
    /// What became of it.
    pub disposition: &'static str,
    /// The desk, if it was queued.
    pub desk: Option<String>,
    /// Its queue.
    pub queue: Option<String>,
    /// The rule that took it, of noise and blocked.
    pub rule: Option<String>,
    /// Why it is a dead letter.
    pub reason: Option<&'static str>,
    /// The mention's id, when it can be read.
    pub mention_id: Option<String>,
    /// The keyed hash of its author, 8 hex digits.
    pub author: Option<String>,
    /// What it says.
    pub text: Option<String>,
    /// Kinds of personal data taken out.
    pub pii: Vec<&'static str>,
}

/// Makes lines.
pub(super) struct Telling {
    decoder: Decoder,
    redactor: Redactor,
    redacted: Vec<u8>,
    query: Option<Search>,
}

impl Telling {
    pub(super) fn new(scan: &ScanSettings, query: Option<Search>) -> Telling {
        Telling {
            decoder: Decoder::new(scan.map.clone(), scan.limits),
            redactor: Redactor::new(scan.map.clone()),
            redacted: Vec::new(),
            query,
        }
    }

    /// The line of one entry; `None` when the query does not hold, or cannot be asked.
    pub(super) fn line(
        &mut self,
        entry: &LedgerEntry,
        position: String,
        at: Millis,
        value: Option<&[u8]>,
        policy: Option<&Policy>,
    ) -> Option<Line> {
        let mut line = of_entry(entry, position, at, policy);
        if let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(value) {
            if self.query.as_mut().is_some_and(|query| !query.matches(&mention)) {
                return None;
            }
            line.mention_id = Some(visible(mention.mention_id));
            let key = policy.map(|policy| author_key(mention.network, mention.author.id, &policy.hash_key()));
            line.author = key.map(|key| format!("{:08x}", key.0 >> 96));
        } else if self.query.is_some() {
            return None;
        }
        if line.mention_id.is_some() {
            self.say(value.unwrap_or_default(), &mut line);
        }
        Some(line)
    }

    fn say(&mut self, raw: &[u8], line: &mut Line) {
        line.pii = self.redactor.redact(raw, &mut self.redacted);
        let shown = if line.pii.is_empty() { raw } else { &self.redacted };
        if let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(Some(shown)) {
            line.text = Some(visible(&shortened(mention.text, 4 * TEXT_CHARACTERS_MAX)));
        }
    }
}

fn of_entry(entry: &LedgerEntry, position: String, at: Millis, policy: Option<&Policy>) -> Line {
    let name = |found: Option<&str>| Some(found.unwrap_or("?").to_owned());
    let mut line = Line {
        at: rfc3339(at),
        position,
        disposition: entry.disposition.name(),
        desk: None,
        queue: None,
        rule: None,
        reason: None,
        mention_id: None,
        author: None,
        text: None,
        pii: Vec::new(),
    };
    match entry.disposition {
        Disposition::Queued => {
            let desk = policy.and_then(|policy| policy.desks().get(usize::from(entry.desk)));
            let queue = policy.and_then(|policy| policy.queues().get(usize::from(entry.queue)));
            line.desk = name(desk.map(|desk| desk.name.as_str()));
            line.queue = name(queue.map(|queue| queue.name.as_str()));
        }
        Disposition::Noise if entry.detail == DETAIL_NOT_A_MENTION => {
            line.rule = name(Some(crate::wire::mention::NOT_A_MENTION));
        }
        Disposition::Noise | Disposition::Blocked => {
            let rule = policy.and_then(|policy| policy.rules().get(entry.detail as usize));
            line.rule = rule.map(|rule| rule.name.clone());
        }
        Disposition::DeadLetter => {
            let reason = u8::try_from(entry.detail).ok().and_then(DeadLetterReason::from_code);
            line.reason = Some(reason.map_or("?", DeadLetterReason::name));
        }
        Disposition::Joined | Disposition::Duplicate | Disposition::Expired => {}
    }
    line
}

/// For a terminal: one line, without its end.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match (&self.queue, &self.rule, self.reason) {
            (Some(queue), ..) => format!("{}: {queue}", self.desk.as_deref().unwrap_or("?")),
            (None, Some(rule), _) => format!("rule {rule}"),
            (None, None, Some(reason)) => reason.to_owned(),
            (None, None, None) => String::new(),
        };
        let author = self.author.as_deref().unwrap_or("-");
        let text = self.text.as_deref().map_or(String::new(), |text| shortened(text, TEXT_CHARACTERS_MAX));
        let line = format!("{} {:<11} {why:<28} {author:<8} {text}", self.at, self.disposition);
        f.write_str(line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use triage_engine::model::MentionKey;

    fn telling(query: Option<&str>) -> Telling {
        let scan = ScanSettings::of(&Settings::default()).unwrap();
        Telling::new(&scan, query.map(|query| Search::new(query).unwrap_or_else(|_| panic!("{query}"))))
    }

    fn entry(disposition: Disposition, detail: u32) -> LedgerEntry {
        LedgerEntry { offset: 7, disposition, detail, desk: 0, queue: 0, key: Some(MentionKey(1)) }
    }

    const MENTION: &[u8] = br#"{"mention_id":"x:1","network":"x","author":{"id":"u","handle":"@jane"},
        "text":"evil \u202e\u001b[2J bill, mail jane@example.org"}"#;

    #[test]
    fn nothing_private_and_nothing_that_a_terminal_would_act_on_is_shown() {
        let line = telling(None)
            .line(
                &entry(Disposition::Duplicate, 0),
                "mentions/0/7".to_owned(),
                Millis(0),
                Some(MENTION),
                None,
            )
            .expect("a line");
        let (shown, json) = (line.to_string(), serde_json::to_string(&line).unwrap());
        for text in [&shown, &json] {
            assert!(!text.contains("jane"), "{text}");
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
        }
        assert!(shown.starts_with("1970-01-01T00:00:00.000Z duplicate"), "{shown}");
        assert!(shown.contains("evil \\u{202e}\\u{1b}[2J bill"), "{shown}");
    }

    #[test]
    fn a_query_leaves_out_what_it_does_not_hold_for_and_what_cannot_be_asked() {
        let line = |query: &str, value: Option<&[u8]>| {
            telling(Some(query)).line(
                &entry(Disposition::Duplicate, 0),
                String::new(),
                Millis(0),
                value,
                None,
            )
        };
        assert!(line("bill", Some(MENTION)).is_some());
        assert!(line("invoice", Some(MENTION)).is_none());
        assert!(line("NOT invoice", Some(b"{")).is_none());
        let dead = telling(None).line(
            &entry(Disposition::DeadLetter, 4),
            String::new(),
            Millis(0),
            Some(b"{"),
            None,
        );
        assert_eq!(dead.and_then(|line| line.reason), Some("not_json"));
    }
}

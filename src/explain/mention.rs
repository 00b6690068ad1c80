//! One record as it may be shown: decoded, personal data taken out, the author hashed; and what a policy makes of it.
//!
//! Owns the decoder and the redactor. May not read logs. Called by `explain`, and by
//! `replay` for its samples.

use super::MentionTold;
use crate::shown::{self, About, Colour, Told};
use crate::wire::mention::{Decoded, Decoder};
use crate::wire::redact::Redactor;
use crate::wire::visible::{shortened, visible};
use crate::worker::ScanSettings;
use triage_engine::dedup::author_key;
use triage_engine::explain::{Explainer, Explanation, explain};
use triage_engine::policy::{Policy, Why};
use triage_engine::scan::{Matcher, ReferenceMatcher};

/// Rules that nearly matched, of which the terms are told without being asked for.
const NEAR_MISSES_MAX: usize = 5;
/// Characters of a text that are shown.
const TEXT_CHARACTERS_MAX: usize = 280;

/// What one record's telling needs.
pub(crate) struct Reading {
    decoder: Decoder,
    redactor: Redactor,
}

impl Reading {
    pub(crate) fn new(scan: &ScanSettings) -> Reading {
        let decoder = Decoder::new(scan.map.clone(), scan.limits);
        Reading { decoder, redactor: Redactor::new(scan.map.clone()) }
    }

    /// What may be shown of a record, and what `policy` makes of it, if it is a mention.
    pub(crate) fn tell(
        &mut self,
        value: Option<&[u8]>,
        policy: Option<&Policy>,
    ) -> (MentionTold, Option<Explanation>) {
        let (mut told, decision) = match self.decoder.decode(value) {
            Ok(Decoded::Mention { mention, .. }) => {
                let key =
                    policy.map(|policy| author_key(mention.network, mention.author.id, &policy.hash_key()));
                let told = MentionTold {
                    mention_id: visible(mention.mention_id),
                    author: key.map_or("?".to_owned(), |key| format!("{:08x}", key.0 >> 96)),
                    ..MentionTold::default()
                };
                (told, policy.map(|policy| explain(policy, &mention)))
            }
            Ok(Decoded::NotAMention { .. }) => {
                let unreadable = Some("a well-formed record that is no mention");
                return (MentionTold { unreadable, ..MentionTold::default() }, None);
            }
            Err(reason) => {
                let unreadable = Some(reason.name());
                return (MentionTold { unreadable, ..MentionTold::default() }, None);
            }
        };
        let raw = value.unwrap_or_default();
        let mut redacted = Vec::new();
        told.pii = self.redactor.redact(raw, &mut redacted);
        let shown = if told.pii.is_empty() { raw } else { &redacted };
        if let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(Some(shown)) {
            told.text = visible(&shortened(mention.text, TEXT_CHARACTERS_MAX));
        }
        (told, decision)
    }

    /// Why rules of `policy` match the mention or not, term by term, as a record and as text: those that are `asked`, or,
    /// where none is, those that match and a few that nearly do.
    pub(super) fn why(&mut self, value: &[u8], policy: &Policy, asked: &[String]) -> (Vec<Told>, String) {
        let (mut told, mut text) = (Vec::new(), String::new());
        let Ok(Decoded::Mention { mention, .. }) = self.decoder.decode(Some(value)) else {
            return (told, text);
        };
        let mut explainer = Explainer::new(policy, ReferenceMatcher::new(policy.literals()).scanner());
        explainer.explain(&mention);
        let reading = policy.reading(&mention, explainer.matched());
        let whys = policy.rules().iter().filter(|rule| asked.is_empty() || asked.contains(&rule.name));
        let mut whys: Vec<Why> = whys.map(|rule| reading.rule(rule)).collect();
        if asked.is_empty() {
            let (matching, mut others): (Vec<Why>, Vec<Why>) = whys.into_iter().partition(|why| why.holds);
            others.retain(Why::is_near_miss);
            others.truncate(NEAR_MISSES_MAX);
            whys = matching.into_iter().chain(others).collect();
        }
        let line = shown::redacted(mention.text);
        for why in whys {
            text += &shown::why(About::Rule, &why, &line, Colour(false));
            if !asked.is_empty() {
                text += &shown::tree(&why, &line);
            }
            told.push(Told { about: About::Rule, why });
        }
        (told, text)
    }
}

//! `triaged explain`: why a mention or a case went where it went, told from the topics.
//!
//! Owns the order of the questions: the ledger (what was decided, under which policy), the mention decided again, the
//! desk log, the desk's topic. Reads as anybody could and writes nothing, so it works while the daemon runs and when it
//! does not. May not decide: the engine does, and tells why (`triage_engine::explain`). Called by the command line.

mod mention;
mod search;
mod story;

pub use story::{CaseRecordTold, LedgerTold, MentionTold, OutcomeTold, Story};

use crate::audit::reading::Generations;
use crate::audit::{AuditOptions, AuditPlan, Step, plan_of};
use crate::config::Settings;
use crate::error::{Error, Kind};
use crate::log::Logs;
use crate::pipeline::policy;
use crate::worker::ScanSettings;
pub(crate) use mention::Reading;
use search::Search;
use std::io::Read;
use triage_engine::model::CaseId;
use triage_engine::policy::did_you_mean;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A record of the input.
    Position {
        /// The partition.
        partition: u32,
        /// The offset.
        offset: i64,
    },
    /// A case.
    Case(CaseId),
    /// A mention by the id that its producer gave it.
    Mention(String),
}

impl Question {
    /// Reads `topic/partition/offset`, a case id such as `c3-1045`, or else a mention's id.
    ///
    /// # Errors
    /// A usage error for a position on another topic than `input`.
    pub fn parse(text: &str, input: &str) -> Result<Question, Error> {
        let mut parts = text.rsplitn(3, '/');
        let (offset, partition, topic) = (parts.next(), parts.next(), parts.next());
        let offset = offset.and_then(|offset| offset.parse::<i64>().ok()).filter(|offset| *offset >= 0);
        let partition = partition.and_then(|partition| partition.parse::<u32>().ok());
        if let (Some(offset), Some(partition), Some(topic)) = (offset, partition, topic) {
            if topic == input {
                return Ok(Question::Position { partition, offset });
            }
            return Err(Error::usage(format!("`{text}` is no position on `{input}`"))
                .hint(format!("such as `{input}/0/17`; a case is named as `c0-17`, a mention by its id")));
        }
        Ok(text.parse().map_or_else(|_| Question::Mention(text.to_owned()), Question::Case))
    }
}

/// Tells the story of what is asked for, from the logs; of the rules that are named, why they match or not.
///
/// # Errors
/// 64 for a question that makes no sense; when a log cannot be read.
pub fn explain(
    settings: &Settings,
    logs: &dyn Logs,
    asked: &str,
    rules: &[String],
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Story, Error> {
    let plan: AuditPlan = plan_of(settings, &AuditOptions::default())?;
    let question = Question::parse(asked, &plan.input)?;
    let generations = Generations::read(logs, &plan.policies, progress)?;
    let reading = Reading::new(&plan.scan);
    let mut search = Search::new(logs, &plan, progress, generations, reading)?;
    search.rules = rules.to_vec();
    search.story.asked = asked.to_owned();
    match question {
        Question::Position { partition, offset } => search.position(partition, offset)?,
        Question::Case(case) => search.case(case)?,
        Question::Mention(id) => search.mention(&id)?,
    }
    Ok(search.story)
}

/// Tells what the local policy folder would make of a mention that was not sent, and why the rules that are named match
/// or not; where none is, why those that match do, and what some others lack.
///
/// # Errors
/// 64 for a rule that is not there, 66 when it cannot be read, 65 when it is no mention, 78 when the policy has mistakes.
pub fn explain_unsent(settings: &Settings, from: &str, rules: &[String]) -> Result<Story, Error> {
    let scan = ScanSettings::of(settings)?;
    let folder = &settings.policy.folder;
    let local = policy::load(folder).map_err(|refused| refused.into_error(folder))?;
    for name in rules {
        let known = || local.policy.rules().iter().map(|rule| rule.name.as_str());
        if !known().any(|rule| rule == name) {
            return Err(
                Error::usage(format!("the policy has no rule `{name}`")).hint(did_you_mean(name, known()))
            );
        }
    }
    let mut bytes = Vec::new();
    // One mention, and the byte by which a longer one is known to be too large.
    let limit = scan.limits.mention_bytes_max as u64 + 1;
    let read = match from {
        "-" => std::io::stdin().take(limit).read_to_end(&mut bytes),
        path => std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|error| Error::new(Kind::NoInput, format!("cannot read `{from}`: {error}")))?;
    let value = bytes.trim_ascii();
    let mut reading = Reading::new(&scan);
    let (told, decision) = reading.tell(Some(value), Some(&local.policy));
    if let Some(why) = told.unreadable {
        return Err(Error::data(format!("what `{from}` holds is no mention: {why}"))
            .hint("one JSON object, as it would stand on the topic; `input.preset` says in which shape"));
    }
    let (why, why_text) = reading.why(value, &local.policy, rules);
    Ok(Story {
        why,
        why_text,
        asked: from.to_owned(),
        found: true,
        mention: Some(told),
        decision,
        notes: vec![
            "whether it is a copy of an earlier mention, or joins an open case, cannot be told before it is sent".to_owned(),
            format!("decided under the local folder `{}`, which may differ from the policy in force", folder.display()),
        ],
        ..Story::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_a_case_and_a_mention_are_told_apart() {
        let parse = |text: &str| Question::parse(text, "mentions");
        assert_eq!(parse("mentions/2/17"), Ok(Question::Position { partition: 2, offset: 17 }));
        assert_eq!(parse("c3-1045"), Ok(Question::Case(CaseId { partition: 3, offset: 1045 })));
        assert_eq!(parse("x:1790001"), Ok(Question::Mention("x:1790001".to_owned())));
        let post = "at://did:plc:x/app.bsky.feed.post/3l";
        assert_eq!(parse(post), Ok(Question::Mention(post.to_owned())), "slashes alone are no position");
        assert_eq!(parse("other/0/1").map_err(|error| error.exit_code()), Err(64));
    }
}

//! Bringing mentions back from an operator's side: what a request would find, asking, and waiting for the answers.
//!
//! Owns the request's way to the control topic and the counts from outside. May not bring anything back: the owners of the
//! input partitions do (`shard::release`). Called by the verbs `release` and `requeue`.

use super::{policy, topics};
use crate::clock::{Clock, Deadline};
use crate::config::Settings;
use crate::error::Error;
use crate::log::{LogError, Logs, Outgoing, ReadStep, TopicPartition};
use crate::policies::{Follower, Policies};
use crate::shard::survey::{Place, Survey, rule_index};
use crate::wire::{control, ledger};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use triage_engine::model::{Millis, StreamId};
use triage_engine::plans::{ControlRecord, Release, ReleaseRequest, Taken};
use triage_engine::policy::{Generation, RuleIndex, did_you_mean};
use triage_engine::scan::{Literal, Matcher, ReferenceMatcher};

/// How long a broker may say nothing at all before it counts as away.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What is to be brought back.
    pub what: Taken,
    /// Only mentions with this time stamp or a later one.
    pub from: Option<Millis>,
    /// Only mentions with an earlier time stamp.
    pub to: Option<Millis>,
}

/// What a request would find.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Mentions that it would decide again.
    pub found: u64,
    /// Mentions that retention has taken from the input.
    pub gone: u64,
}

/// Reads the control topic and the policies on behalf of one verb.
pub struct Asker<'a> {
    settings: &'a Settings,
    logs: &'a dyn Logs,
    clock: &'a dyn Clock,
    policies: Arc<Policies>,
    follower: Follower,
    partitions: u32,
}

fn reference(literals: &[Literal]) -> Arc<dyn Matcher> {
    Arc::new(ReferenceMatcher::new(literals))
}

impl<'a> Asker<'a> {
    /// An asker that knows every policy that was ever published.
    ///
    /// # Errors
    /// When the logs cannot be read, or a topic is missing.
    pub fn new(settings: &'a Settings, logs: &'a dyn Logs, clock: &'a dyn Clock) -> Result<Asker<'a>, Error> {
        let names = &settings.topics;
        let infos =
            logs.describe(&[names.mentions.as_str(), names.control.as_str(), names.policies.as_str()])?;
        let wanted = [&names.mentions, &names.control, &names.policies];
        if let Some((name, _)) = wanted.into_iter().zip(&infos).find(|(_, info)| info.is_none()) {
            return Err(LogError::Missing(name.clone()).into());
        }
        let partitions = infos[0].as_ref().map_or(0, |info| info.partitions);
        let policies = Policies::new();
        let mut follower =
            Follower::new(logs, &names.control, &names.policies, Arc::clone(&policies), reference)?;
        let patience = Deadline::after(SILENCE_MAX);
        while !policies.is_caught_up() {
            if patience.is_over() {
                return Err(LogError::Away("the control topic has no end".to_owned()).into());
            }
            follower.step(WAIT)?;
        }
        Ok(Asker { settings, logs, clock, policies, follower, partitions })
    }

    /// Refuses a rule that no policy ever had.
    ///
    /// # Errors
    /// 65, with the name that is nearest.
    pub fn check(&self, what: &Taken) -> Result<(), Error> {
        let Taken::ByRule(wanted) = what else { return Ok(()) };
        let mut names = BTreeSet::new();
        for generation in self.policies.generations() {
            if let Some(policy) = self.policies.get(generation, reference) {
                names.extend(policy.policy().rules().iter().map(|rule| rule.name.clone()));
            }
        }
        if names.contains(wanted) {
            return Ok(());
        }
        let error = Error::data(format!("no policy of this fleet ever had a rule `{wanted}`"));
        let nearest = did_you_mean(wanted, names.iter().map(String::as_str));
        Err(if nearest.is_empty() { error } else { error.hint(nearest) })
    }

    /// Counts what a request would find now, without asking for anything. Time is taken by place in the log, as the
    /// broker finds it.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn count(&self, wish: &Wish) -> Result<Counted, Error> {
        let mut counted = Counted::default();
        for partition in 0..self.partitions {
            let of = self.count_one(wish, partition)?;
            counted.found += of.found;
            counted.gone += of.gone;
        }
        Ok(counted)
    }

    fn count_one(&self, wish: &Wish, partition: u32) -> Result<Counted, Error> {
        let input = TopicPartition::new(&self.settings.topics.mentions, partition);
        let group = format!("{}.triage", self.settings.group.name);
        let commits = self.logs.group_offsets(&group, std::slice::from_ref(&input))?;
        let committed = commits.into_iter().next().flatten().map_or(0, |commit| commit.offset);
        let (start, end) = self.logs.bounds(&input)?;
        let from = wish.from.map_or(Ok(0), |at| self.logs.offset_at(&input, at))?;
        let to = wish.to.map_or(Ok(end), |at| self.logs.offset_at(&input, at))?;
        // A request that stands after all others sees what they have done.
        let place = Place { log: self.control_stream()?, request: i64::MAX };
        let mut counted = Counted::default();
        let mut floor = i64::MIN;
        loop {
            let survey = self.survey(wish, partition, place, floor)?;
            let open = survey.open(committed).filter(|(offset, _)| (from..to).contains(offset));
            for (offset, _) in open {
                match offset < start {
                    true => counted.gone += 1,
                    false => counted.found += 1,
                }
            }
            match survey.ceiling().filter(|&ceiling| ceiling < committed) {
                Some(ceiling) => floor = ceiling,
                None => return Ok(counted),
            }
        }
    }

    /// What the ledger of one partition says of the mentions that are wished for, from the offset `floor` on.
    fn survey(&self, wish: &Wish, partition: u32, place: Place, floor: i64) -> Result<Survey, Error> {
        let mut survey = Survey::above(place, Some(wish.what.clone()), floor);
        let mut rules: BTreeMap<Generation, Option<RuleIndex>> = BTreeMap::new();
        let of = TopicPartition::new(&topics::ledger(self.settings), partition);
        let mut reader = self.logs.reader(&[(of.clone(), self.logs.bounds(&of)?.0)])?;
        let mut patience = Deadline::after(SILENCE_MAX);
        loop {
            match reader.read(WAIT)? {
                ReadStep::End(..) => return Ok(survey),
                ReadStep::Nothing if patience.is_over() => {
                    return Err(LogError::Away(format!("{of} gives nothing and no end")).into());
                }
                ReadStep::Nothing => continue,
                ReadStep::Records(records) => {
                    for record in records.iter() {
                        let Some(Ok(run)) = record.value.map(ledger::decode) else { continue };
                        let rule = *rules.entry(run.generation).or_insert_with(|| {
                            let policy = self.policies.get(run.generation, reference)?;
                            rule_index(&wish.what, policy.policy())
                        });
                        survey.take(record.offset, &run, rule);
                    }
                }
            }
            patience = Deadline::after(SILENCE_MAX);
        }
    }

    fn control_stream(&self) -> Result<StreamId, LogError> {
        let name = &self.settings.topics.control;
        let info = self.logs.describe(&[name])?.pop().flatten();
        info.map(|info| info.id).ok_or_else(|| LogError::Missing(name.clone()))
    }

    /// Asks; the request's id. It is acknowledged when this returns.
    ///
    /// # Errors
    /// When the control topic does not take it.
    pub fn ask(&self, wish: &Wish) -> Result<String, Error> {
        let at = self.clock.wall();
        let by = self.settings.host.instance.clone();
        // Unique for ever: two people on one host do not ask twice in a millisecond with one process id.
        let name: String = by.chars().take(120).collect();
        let id = format!("{name}-{}-{}", std::process::id(), at.0);
        let request = ReleaseRequest {
            id: id.clone(),
            what: wish.what.clone(),
            from: wish.from,
            to: wish.to,
            partitions: self.partitions,
            by,
            at,
        };
        let (key, value) = control::encode(&ControlRecord::ReleaseRequested(request));
        let mut batch = Outgoing::default();
        batch.push(Some(key.as_bytes()), value.as_deref());
        let to = TopicPartition::new(&self.settings.topics.control, 0);
        policy::send(self.logs.producer("release")?.as_mut(), &to, &batch)?;
        Ok(id)
    }

    /// The request with its answers so far, after at most a tenth of a second; `None` until it was read back.
    ///
    /// # Errors
    /// When the control topic cannot be read.
    pub fn answers(&mut self, id: &str) -> Result<Option<Release>, Error> {
        match self.follower.step(WAIT) {
            Ok(_) => {}
            Err(LogError::Away(_)) => std::thread::sleep(WAIT),
            Err(error) => return Err(error.into()),
        }
        Ok(self.policies.releases().values().find(|release| release.request.id == id).cloned())
    }
}

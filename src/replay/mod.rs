//! `triaged replay`: yesterday's mentions under tomorrow's policy, and what would differ.
//!
//! Owns what is compared: what the ledger said (or another policy would say) and what the policy in a folder would, for
//! the stages that a policy decides. Emits nothing and writes nothing: no producer is made, no group joined, no offset
//! committed. May not decide: rules are asked by the scan stage's own functions (`worker`), copies by the triage engine.
//! Called by the command line.
//!
//! ```text
//! topics (input beside ledger) or lines of a file -> judges (threads) -> fold (in order) -> report
//! ```

mod fold;
mod judges;
mod ledger;
mod lines;
mod places;
mod report;
mod sample;
mod topics;

pub use report::{Changed, Count, MoveTold, PolicyTold, Report, RuleCount, Totals};
pub use sample::Sample;

use crate::audit::Step;
use crate::config::Settings;
use crate::error::Error;
use crate::files::{From, Progress};
use crate::interrupt::Interrupt;
use crate::log::Logs;
use crate::pipeline::{self, policy};
use crate::policies::Compiled;
use crate::worker::ScanSettings;
use fold::Fold;
use judges::Judges;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use triage_engine::model::Millis;

/// What somebody wants to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The folder of the policy to decide under.
    pub policy: PathBuf,
    /// The folder of the policy before; without it what the ledger says, and over a file the configured folder.
    pub against: Option<PathBuf>,
    /// Only mentions at or after this time.
    pub from: Option<Millis>,
    /// Only mentions before this time.
    pub to: Option<Millis>,
    /// Mentions shown of each move.
    pub samples: usize,
}

impl Wishes {
    /// Whether the range makes sense.
    ///
    /// # Errors
    /// 64 when it is empty.
    pub fn check(&self) -> Result<(), Error> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(Error::usage("`--from` is not before `--to`"));
        }
        Ok(())
    }
}

/// Replays the topics.
///
/// # Errors
/// 64 for a range that makes no sense, 78 for a policy with mistakes, 69 when no broker answers.
pub fn over_topics(
    settings: &Settings,
    logs: &dyn Logs,
    wishes: &Wishes,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Report, Error> {
    topics::replay(settings, logs, wishes, interrupt, progress)
}

/// Replays the lines of a file.
///
/// # Errors
/// 64 and 78 as over topics; 66 and 65 for a file that cannot be read, 74 when reading it fails.
pub fn over_lines(
    settings: &Settings,
    from: &From,
    wishes: &Wishes,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    lines::replay(settings, from, wishes, interrupt, progress)
}

/// What both kinds of replay begin with.
struct Ready {
    after: Arc<Compiled>,
    scan: ScanSettings,
    notes: Vec<String>,
}

impl Ready {
    fn load(settings: &Settings, wishes: &Wishes) -> Result<Ready, Error> {
        wishes.check()?;
        let scan = ScanSettings::of(settings)?;
        Ok(Ready { after: compiled(&wishes.policy, Some("`--policy`"))?, scan, notes: Vec::new() })
    }

    fn fold(&self, wishes: &Wishes, input: &str, position: fn(&str, u32, i64) -> String) -> Fold {
        Fold::new(&self.after, &self.scan, wishes.samples, input, position)
    }

    fn judges(&self, settings: &Settings) -> Result<Judges, Error> {
        Judges::new(pipeline::workers(settings).max(1) as usize, &self.scan, &self.after)
    }

    /// Notes what would keep the fleet from taking the policy after at a reload.
    fn note_lasting(&mut self, before: &Compiled) {
        if let Err(policy::Refused::Cluster(wrong)) =
            policy::check_lasting(before.policy(), self.after.policy())
        {
            self.notes.extend(wrong.into_iter().map(|what| format!("a reload would be refused: {what}")));
        }
    }
}

/// The policy of a folder with the matcher that the daemon would use; `option` named it, or the configuration did.
fn compiled(folder: &Path, option: Option<&str>) -> Result<Arc<Compiled>, Error> {
    let local = policy::load(folder).map_err(|refused| match option {
        Some(option) => refused.into_error_of(folder, option),
        None => refused.into_error(folder),
    })?;
    Ok(Arc::new(Compiled::of(local.policy, policy::matcher)))
}

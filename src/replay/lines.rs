//! A file of mentions under two policies, each from its first line on, as `run --from` would decide it.
//!
//! Owns the order of the lines, their times and the two dedup windows. May not decide what depends on one mention alone.
//! Called by `mod.rs`.

use super::fold::{Compared, Fold};
use super::judges::{Batch, Judged};
use super::report::Report;
use super::{Ready, Wishes, compiled};
use crate::config::Settings;
use crate::error::Error;
use crate::files::reading::{self, LineTimes};
use crate::files::{From, Progress};
use crate::interrupt::Interrupt;
use crate::log::{Records, TopicPartition};
use crossbeam::channel::RecvTimeoutError;
use std::time::Duration;
use triage_engine::dedup::ExactWindow;
use triage_engine::model::{DeadLetterReason, Disposition, Millis};
use triage_engine::triage::{Decision, Event, Triage, Verdict};

/// How often a replay that waits for lines looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);
/// Dead letters that are told by their lines.
const DEAD_LETTERS_TOLD_MAX: usize = 5;

/// Replays the lines of `from`.
///
/// # Errors
/// 66 and 65 for a file that cannot be read, 74 when reading it fails, 78 for a policy with mistakes.
pub(super) fn replay(
    settings: &Settings,
    from: &From,
    wishes: &Wishes,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, Error> {
    let mut ready = Ready::load(settings, wishes)?;
    let before = match &wishes.against {
        Some(folder) => compiled(folder, Some("`--against`"))?,
        None => compiled(&settings.policy.folder, None)?,
    };
    let input = reading::open(from, |_| Millis(0))?;
    let name = match from {
        From::File(path) => path.display().to_string(),
        From::Standard => "standard input".to_owned(),
    };
    let mut fold = ready.fold(wishes, &name, |_, _, offset| format!("line {}", offset + 1));
    let side = fold.side(&before);
    ready.note_lasting(&before);
    let mut judges = ready.judges(settings)?;
    let mut lines = Lines::new(fold, side, &ready, wishes, before.policy().dedup());
    let (mut next, mut interrupted) = (0_i64, false);
    while !lines.ended {
        if interrupt.is_asked() {
            interrupted = true;
            break;
        }
        let batch = match input.batches.recv_timeout(LOOK) {
            Ok(batch) => batch?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let held: usize = batch.lines.iter().map(|line| line.bytes.len()).sum();
        let mut records = Records::with_capacity(TopicPartition::new(&name, 0), batch.lines.len(), held);
        for line in &batch.lines {
            match line.bytes.is_empty() {
                true => lines.fold.totals.blank += 1,
                false => records.push(next, Millis(0), None, Some(&line.bytes)),
            }
            next += 1;
        }
        let bytes = batch.read;
        judges.submit(Batch { records, before: before.clone(), side }, &mut |judged| lines.take(&judged));
        let lines = u64::try_from(next).unwrap_or(0);
        progress(Progress { lines, bytes, bytes_all: input.bytes });
    }
    judges.finish(&mut |judged| lines.take(&judged));
    let mut report = lines.close();
    report.interrupted = interrupted;
    report.notes.extend(ready.notes);
    Ok(report)
}

/// What needs the lines' order.
struct Lines {
    fold: Fold,
    side: usize,
    times: LineTimes,
    before: Triage,
    after: Triage,
    /// The policy after has limits of its own for dedup; else what is a copy before is one after.
    own_window: bool,
    from: Option<Millis>,
    to: Option<Millis>,
    /// A line at or after `to` was met: so is every later one.
    ended: bool,
    dead_letters: Vec<(i64, DeadLetterReason)>,
    dead_letters_all: u64,
}

impl Lines {
    fn new(
        fold: Fold,
        side: usize,
        ready: &Ready,
        wishes: &Wishes,
        dedup: triage_engine::policy::DedupLimits,
    ) -> Lines {
        let limits = ready.after.policy().dedup();
        Lines {
            fold,
            side,
            times: LineTimes::default(),
            before: Triage::new(ExactWindow::new(dedup)),
            after: Triage::new(ExactWindow::new(limits)),
            own_window: dedup != limits,
            from: wishes.from,
            to: wishes.to,
            ended: false,
            dead_letters: Vec::new(),
            dead_letters_all: 0,
        }
    }

    fn take(&mut self, judged: &Judged) {
        if self.ended {
            return;
        }
        let mut at = Vec::with_capacity(judged.findings.len());
        for finding in &judged.findings {
            let now = self.times.next(finding.posted_at);
            if self.to.is_some_and(|to| now >= to) {
                self.ended = true;
                break;
            }
            at.push(now);
        }
        let findings = &judged.findings[..at.len()];
        let events: Vec<[Event; 2]> = findings
            .iter()
            .zip(&at)
            .map(|(finding, &at)| {
                let before = match (finding.verdict, finding.before) {
                    (Verdict::Mention { key, .. }, Some(wish)) => Verdict::Mention { key, wish },
                    (verdict, _) => verdict,
                };
                [Event::Record { at, verdict: before }, Event::Record { at, verdict: finding.verdict }]
            })
            .collect();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let of = |side: usize| events.iter().map(|event| event[side]).collect::<Vec<Event>>();
        self.before.step(&of(0), &mut before);
        if self.own_window {
            self.after.step(&of(1), &mut after);
        } else {
            let again = before.iter().zip(findings);
            after.extend(again.map(|(was, finding)| match was.disposition {
                Disposition::Duplicate => *was,
                _ => self.after.decide_again(finding.verdict, true),
            }));
        }
        for (index, (before, after)) in before.into_iter().zip(after).enumerate() {
            if self.from.is_none_or(|from| at[index] >= from) {
                self.count(judged, index, (before, after));
            }
        }
    }

    fn count(&mut self, judged: &Judged, index: usize, (before, after): (Decision, Decision)) {
        let (record, finding) = (judged.batch.records.get(index), &judged.findings[index]);
        if let Verdict::Dead(reason) = finding.verdict {
            self.dead_letters_all += 1;
            if self.dead_letters.len() < DEAD_LETTERS_TOLD_MAX {
                self.dead_letters.push((record.offset + 1, reason));
            }
        }
        if !matches!(finding.verdict, Verdict::Mention { .. }) {
            return self.fold.stays(self.side, &before, 1);
        }
        self.fold.compare(&Compared {
            position: (0, record.offset),
            value: record.value,
            side: self.side,
            before,
            after,
            matched: judged.matched(finding),
            otherwise: finding.otherwise,
        });
    }

    fn close(self) -> Report {
        let mut report = self.fold.close();
        for (line, reason) in &self.dead_letters {
            report.notes.push(format!("line {line} is a dead letter under any policy: {}", reason.name()));
        }
        let more = self.dead_letters_all - self.dead_letters.len() as u64;
        if more > 0 {
            report.notes.push(format!("and {more} dead letters more"));
        }
        report
    }
}

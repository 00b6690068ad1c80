//! `triaged run --from FILE`: mentions as lines of JSON instead of Kafka, through the daemon's own lanes, to files.
//!
//! Owns the edges: lines in (`reading`), records out (`output`), and the run between them (`stage`). A file is one
//! partition whose offset is the line's number less one; the file's own times drive every clock, so two runs of one file
//! give the same bytes. May not decide: what a file run decides is what the daemon would. Called by the command line.
//!
//! Memory: three batches of lines, and what the policy lets dedup and desks remember, whatever the size of the file.

mod output;
pub(crate) mod reading;
mod stage;

pub use output::To;
pub use reading::From;

use crate::config::Settings;
use crate::embedded::StoredRecord;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::pipeline::policy;
use crate::wire::dead_letter::DeadLetter;
use crate::worker::ScanSettings;
use crossbeam::channel::RecvTimeoutError;
use output::{Output, Reader};
use reading::{Batch, Input};
use stage::Stage;
use std::fmt;
use std::time::Duration;
use triage_engine::model::{Disposition, Millis};

/// How often a run that waits for lines looks whether it should end.
const LOOK: Duration = Duration::from_millis(50);
/// Dead letters that the summary names by their lines.
const DEAD_LETTERS_NAMED_MAX: usize = 5;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Lines seen through.
    pub lines: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes in all, where the input is a file.
    pub bytes_all: Option<u64>,
}

impl Progress {
    /// How many lines there will be, if those to come are as long as those that came.
    #[must_use]
    pub fn lines_expected(&self) -> Option<u64> {
        let all = u128::from(self.bytes_all?) * u128::from(self.lines) / u128::from(self.bytes.max(1));
        u64::try_from(all).ok()
    }
}

/// What became of the input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines read.
    pub lines: u64,
    /// Blank ones among them: no mentions.
    pub blank: u64,
    /// Mentions by their disposition's code.
    pub settled: [u64; Disposition::ALL.len() + 1],
    /// Mentions that opened a case, joined one, were there already.
    pub outcomes: [u64; 3],
    /// Records written.
    pub records: u64,
    /// The first dead letters: line and reason.
    pub dead_letters: Vec<(i64, String)>,
    /// Somebody asked the run to end before its input did.
    pub interrupted: bool,
    /// Whoever read standard output has seen enough.
    pub reader_gone: bool,
}

impl Summary {
    /// Lines that ended in a disposition; with the blank ones it is every line that was read.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.settled.iter().sum()
    }
}

/// The closing lines for people: no full stop, no line end at the end.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |disposition: &Disposition| self.settled[usize::from(disposition.code())];
        let parts = Disposition::ALL.iter().filter(|disposition| of(disposition) > 0);
        let parts: Vec<String> =
            parts.map(|disposition| format!("{} {}", of(disposition), disposition.name())).collect();
        let parts = if parts.is_empty() { "nothing to decide".to_owned() } else { parts.join(", ") };
        write!(f, "{} lines: {parts}", self.lines)?;
        if self.blank > 0 {
            write!(f, "; {} blank", self.blank)?;
        }
        let [opened, linked, copy] = self.outcomes;
        write!(
            f,
            "\n  at the desks: {opened} opened a case, {linked} joined one, {copy} were there already"
        )?;
        write!(f, "\n  {} records written", self.records)?;
        for (line, reason) in &self.dead_letters {
            write!(f, "\n  line {line} is a dead letter: {reason}")?;
        }
        let more = of(&Disposition::DeadLetter).saturating_sub(self.dead_letters.len() as u64);
        if more > 0 {
            write!(f, "\n  and {more} dead letters more")?;
        }
        if self.interrupted {
            write!(
                f,
                "\n  it was asked to end after line {}; what was read is decided and written",
                self.lines
            )?;
        }
        Ok(())
    }
}

/// Runs `from` through the policy folder of `settings` to `to`, until the input ends or `interrupt` is asked.
///
/// # Errors
/// 66 when the input cannot be opened, 73 when the output cannot be made, 74 when reading or writing fails on the way,
/// 78 when configuration or policy are wrong.
pub fn run(
    settings: &Settings,
    from: &From,
    to: &To,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, Error> {
    let scan = ScanSettings::of(settings)?;
    let folder = &settings.policy.folder;
    let local = policy::load(folder).map_err(|refused| refused.into_error(folder))?;
    let input = reading::open(from, reading::own_times(&scan))?;
    let output = Output::open(to, &stage::outputs(settings, &local.policy))?;
    let mut run = Run { stage: None, output, summary: Summary::default() };
    let open = |at| Stage::open(settings, &local, scan.clone(), at);
    while let Some(batch) = next(&input, interrupt)? {
        if run.stage.is_none() {
            run.stage = Some(open(batch.lines.first().map_or(Millis(0), |line| line.at))?);
        }
        run.take(&batch)?;
        progress(Progress { lines: run.summary.lines, bytes: batch.read, bytes_all: input.bytes });
        if run.summary.reader_gone {
            break;
        }
    }
    run.summary.interrupted = interrupt.is_asked();
    run.close()
}

/// The next batch; `None` at the end of the input, or when it is time to end.
fn next(input: &Input, interrupt: &Interrupt) -> Result<Option<Batch>, Error> {
    loop {
        if interrupt.is_asked() {
            return Ok(None);
        }
        match input.batches.recv_timeout(LOOK) {
            Ok(batch) => return batch.map(Some),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

struct Run {
    /// Opened at the time of the first line.
    stage: Option<Stage>,
    output: Output,
    summary: Summary,
}

impl Run {
    /// Sees a batch through, in stretches in which no case lapses.
    fn take(&mut self, batch: &Batch) -> Result<(), Error> {
        let mut rest = batch.lines.as_slice();
        while let (Some(first), Some(stage)) = (rest.first(), self.stage.as_mut()) {
            stage.pass_time(first.at)?;
            let until = stage.calm_until(first.at);
            let lapsed = stage.take_out()?;
            let (now, later) = rest.split_at(rest.iter().take_while(|line| line.at < until).count().max(1));
            stage.feed(now)?;
            let out = stage.take_out()?;
            for (topic, record) in lapsed.iter().chain(&out) {
                self.write(topic, record)?;
            }
            self.summary.lines += now.len() as u64;
            self.summary.blank += now.iter().filter(|line| line.bytes.is_empty()).count() as u64;
            rest = later;
        }
        self.summary.reader_gone |= self.output.flush()? == Reader::HasGone;
        Ok(())
    }

    fn write(&mut self, topic: &str, record: &StoredRecord) -> Result<(), Error> {
        self.summary.reader_gone |= self.output.write(topic, record)? == Reader::HasGone;
        self.summary.records += 1;
        let is_letter = record.headers.iter().any(|(_, value)| value == b"record.dead_letter");
        if is_letter && self.summary.dead_letters.len() < DEAD_LETTERS_NAMED_MAX {
            let letter: Option<DeadLetter> =
                record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
            self.summary.dead_letters.extend(letter.map(|letter| (letter.offset + 1, letter.reason)));
        }
        Ok(())
    }

    fn close(mut self) -> Result<Summary, Error> {
        if let Some(stage) = &self.stage {
            let (triage, desk) = stage.counts();
            self.summary.settled = triage.settled;
            self.summary.outcomes = [desk.opened, desk.linked, desk.copy];
        }
        let accounted = self.summary.decided() + self.summary.blank == self.summary.lines;
        assert!(accounted, "invariant: every line that was read ends in one disposition: {:?}", self.summary);
        Ok(self.summary)
    }
}

//! A progress line on the terminal: what is being done, how many records, how many a second, the time left.
//!
//! Owns when it is shown (only on a terminal, only once the work has taken longer than a second) and how it looks. May
//! not print anything that must be kept: the line is erased at the end. Called by every verb that reads a log.

use crate::clock::{Clock, SystemClock};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Arc;

/// What is over sooner needs no bar.
const AFTER_MS: i64 = 1_000;
const WITH_TOTAL: &str = "{msg} [{bar:24}] {human_pos} of {human_len}, {rate} a second, {eta} left";
const WITHOUT_TOTAL: &str = "{msg}: {human_pos} records, {rate} a second";

/// The progress of one verb. Silent when standard error is no terminal. Erased by `end`, and when it is dropped.
pub struct Progress {
    bar: ProgressBar,
    clock: Arc<dyn Clock>,
    /// Where the line goes once it is due; taken then. `None` also where there is no terminal.
    target: Option<ProgressDrawTarget>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Progress({} of {:?})", self.bar.position(), self.bar.length())
    }
}

impl Progress {
    /// Begins. `what` is said before the numbers (`reads the ledger`); without `total` no time left is told.
    #[must_use]
    pub fn new(what: &str, total: Option<u64>) -> Progress {
        let target = std::io::stderr().is_terminal().then(ProgressDrawTarget::stderr);
        Progress::on(target, Arc::new(SystemClock::new()), what, total)
    }

    fn on(
        target: Option<ProgressDrawTarget>,
        clock: Arc<dyn Clock>,
        what: &str,
        total: Option<u64>,
    ) -> Progress {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let mut progress = Progress { bar, clock, target };
        progress.next(what, total);
        progress
    }

    /// Goes on to another part of the work, which counts from zero.
    pub fn next(&mut self, what: &str, total: Option<u64>) {
        self.will_be(total);
        self.bar.set_message(what.to_owned());
        self.bar.reset();
    }

    /// Says how many records there will be, as far as that is known by now.
    pub fn will_be(&mut self, total: Option<u64>) {
        let template = if total.is_some() { WITH_TOTAL } else { WITHOUT_TOTAL };
        let style = ProgressStyle::with_template(template).expect("invariant: the templates are right");
        let rate = |state: &ProgressState, out: &mut dyn Write| {
            // A line on a terminal that cannot be formatted is no reason to end.
            let _ = write!(out, "{}", HumanCount(state.per_sec() as u64));
        };
        self.bar.set_style(style.progress_chars("=> ").with_key("rate", rate));
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
    }

    /// `records` more are done.
    pub fn add(&mut self, records: u64) {
        if self.target.is_some() && self.clock.monotonic_ms() >= AFTER_MS {
            self.bar.set_draw_target(self.target.take().expect("invariant: asked in the line above"));
        }
        self.bar.inc(records);
    }

    /// Erases the line.
    pub fn end(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use indicatif::TermLike;
    use std::io;
    use std::sync::Mutex;
    use triage_engine::model::Millis;

    /// A terminal that keeps all that was ever written to it.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl Paper {
        fn written(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(line)?;
            self.write_str("\n")
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_str("\r<erased>")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn on(paper: &Paper, clock: &Arc<ManualClock>, total: u64) -> Progress {
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        Progress::on(Some(target), clock.clone(), "reads the ledger", Some(total))
    }

    #[test]
    fn work_that_is_over_within_a_second_shows_nothing() {
        let (paper, clock) = (Paper::default(), Arc::new(ManualClock::new(Millis(0))));
        let mut progress = on(&paper, &clock, 10);
        clock.advance(AFTER_MS - 1);
        progress.add(10);
        progress.end();
        assert_eq!(paper.written(), "");
    }

    #[test]
    fn longer_work_shows_what_is_done_how_fast_and_the_time_left_and_leaves_no_trace() {
        let (paper, clock) = (Paper::default(), Arc::new(ManualClock::new(Millis(0))));
        let mut progress = on(&paper, &clock, 4_000);
        progress.add(500);
        clock.advance(AFTER_MS);
        progress.add(500);
        assert!(paper.written().contains("reads the ledger [======>"), "{}", paper.written());
        assert!(paper.written().contains("1,000 of 4,000, "), "{}", paper.written());
        assert!(
            paper.written().contains(" a second, ") && paper.written().contains(" left"),
            "{}",
            paper.written()
        );
        progress.next("reads the input", None);
        progress.add(7);
        progress.bar.force_draw();
        assert!(paper.written().contains("reads the input: 7 records, "), "{}", paper.written());
        progress.end();
        let last = paper.written();
        assert!(last.ends_with("<erased>"), "{last:?}");
    }
}

//! Reads lines from a file or standard input, ahead of the pipeline but never far.
//!
//! Owns the reading thread and the time of each line: the mention's own, never going back. What has no time of its own,
//! or one that is not here yet, happened when the line before it did. May hold no more than a few batches, whatever the
//! size of the file. Called by `mod.rs`, and by `replay`.

use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Kind};
use crate::wire::mention::{Decoded, Decoder};
use crate::worker::ScanSettings;
use crossbeam::channel::{Receiver, Sender, bounded};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use triage_engine::model::Millis;

/// Lines of one batch at most.
const LINES_MAX: usize = 4_096;
/// Bytes of one batch at most, but for its last line.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Bytes of one line that are kept: far beyond what a mention may have, so that length and hash in its dead letter are
/// right unless somebody feeds us what is no line at all.
const LINE_BYTES_MAX: usize = 16 << 20;
/// Batches that wait between the reader and the pipeline.
const BATCHES_AHEAD: usize = 2;
/// Bytes read at once.
const BUFFER_BYTES: usize = 256 << 10;
/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Where mentions come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Standard,
}

impl From {
    /// `-` is standard input, all else a path.
    #[must_use]
    pub fn parse(text: &str) -> From {
        if text == "-" { From::Standard } else { From::File(PathBuf::from(text)) }
    }
}

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    /// When it happened; not before the line before it.
    pub(crate) at: Millis,
    /// Its bytes without the line's end; empty for a blank line, which is no mention.
    pub(crate) bytes: Vec<u8>,
}

/// Consecutive lines.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) lines: Vec<Line>,
    /// Bytes of the file up to the end of this batch.
    pub(crate) read: u64,
}

/// An open input.
pub(crate) struct Input {
    /// Batches in order; ends with the input.
    pub(crate) batches: Receiver<Result<Batch, Error>>,
    /// Bytes in all, for a file.
    pub(crate) bytes: Option<u64>,
}

/// Opens the input and begins to read it; `time` gives each line its own.
///
/// # Errors
/// 66 when the file cannot be opened, 65 when it is compressed.
pub(crate) fn open(from: &From, time: impl FnMut(&[u8]) -> Millis + Send + 'static) -> Result<Input, Error> {
    let (source, shown, bytes): (Box<dyn Read + Send>, String, _) = match from {
        From::Standard => (Box::new(io::stdin()), "standard input".to_owned(), None),
        From::File(path) => {
            let (file, bytes) = open_file(path)?;
            (Box::new(file), format!("`{}`", path.display()), bytes)
        }
    };
    let (send, batches) = bounded(BATCHES_AHEAD);
    let reading = Reading { time, read: 0 };
    let work = move || {
        let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
        if let Err(error) = reading.read_all(&mut source, &shown, &send) {
            // Nobody listens any more when the run has ended for another reason.
            let _ = send.send(Err(error));
        }
    };
    let spawned = std::thread::Builder::new().name("lines".to_owned()).spawn(work);
    spawned.map_err(|error| Error::try_again(format!("no thread to read with: {error}")))?;
    Ok(Input { batches, bytes })
}

fn open_file(path: &Path) -> Result<(File, Option<u64>), Error> {
    let shown = path.display();
    let refused = |error: io::Error| {
        Error::new(Kind::NoInput, format!("cannot read `{shown}`: {error}"))
            .hint("`--from -` reads standard input")
    };
    let file = File::open(path).map_err(refused)?;
    let known = file.metadata().map_err(refused)?;
    if known.is_dir() {
        return Err(Error::new(Kind::NoInput, format!("cannot read `{shown}`: it is a folder")));
    }
    Ok((file, known.is_file().then_some(known.len())))
}

/// The time of each line that it is shown: its mention's own.
pub(super) fn own_times(scan: &ScanSettings) -> impl FnMut(&[u8]) -> Millis + Send + 'static {
    let (mut decoder, mut times) = (Decoder::new(scan.map.clone(), scan.limits), LineTimes::default());
    move |line| match decoder.decode(Some(line)) {
        Ok(Decoded::Mention { mention, .. }) => times.next(mention.posted_at),
        _ => times.next(None),
    }
}

/// The clock that the lines of a file drive.
#[derive(Debug)]
pub(crate) struct LineTimes {
    clock: SystemClock,
    /// The time of the last line.
    now: Millis,
}

impl Default for LineTimes {
    fn default() -> LineTimes {
        LineTimes { clock: SystemClock::new(), now: Millis(0) }
    }
}

impl LineTimes {
    /// The time of a line whose mention says that it was posted then.
    pub(crate) fn next(&mut self, posted_at: Option<Millis>) -> Millis {
        if let Some(own) = posted_at
            && own > self.now
            && own <= self.clock.wall()
        {
            self.now = own;
        }
        self.now
    }
}

struct Reading<T> {
    /// Gives each line its time.
    time: T,
    read: u64,
}

impl<T: FnMut(&[u8]) -> Millis> Reading<T> {
    fn read_all(
        mut self,
        source: &mut BufReader<Box<dyn Read + Send>>,
        shown: &str,
        send: &Sender<Result<Batch, Error>>,
    ) -> Result<(), Error> {
        let failed =
            |error: io::Error| Error::new(Kind::InputOutput, format!("{shown} cannot be read: {error}"));
        if source.fill_buf().map_err(failed)?.starts_with(&GZIP) {
            return Err(
                Error::data(format!("{shown} is compressed")).hint("zcat FILE | triaged run --from -")
            );
        }
        let (mut batch, mut held) = (Batch::default(), 0);
        while let Some(bytes) = self.line(source).map_err(failed)? {
            held += bytes.len();
            let at = (self.time)(&bytes);
            batch.lines.push(Line { at, bytes });
            batch.read = self.read;
            let full = batch.lines.len() >= LINES_MAX || held >= BATCH_BYTES_MAX;
            // What follows may take long to come: what is here goes on.
            if full || source.buffer().is_empty() {
                held = 0;
                if send.send(Ok(std::mem::take(&mut batch))).is_err() {
                    return Ok(());
                }
            }
        }
        if !batch.lines.is_empty() {
            let _ = send.send(Ok(batch));
        }
        Ok(())
    }

    /// The next line without its end; `None` at the end of the input.
    fn line(&mut self, source: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut any = false;
        loop {
            let buffer = source.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let taken = end.unwrap_or(buffer.len());
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&buffer[..taken.min(room)]);
            let used = taken + usize::from(end.is_some());
            source.consume(used);
            self.read += used as u64;
            if end.is_some() {
                break;
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            line.clear();
        }
        Ok(any.then_some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use std::io::Write;

    fn lines(text: &[u8]) -> Vec<(i64, String)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let scan = ScanSettings::of(&Settings::default()).unwrap();
        let input = open(&From::File(file.path().to_owned()), own_times(&scan)).unwrap();
        let batches: Vec<Batch> = input.batches.iter().map(Result::unwrap).collect();
        let lines = batches.into_iter().flat_map(|batch| batch.lines);
        lines.map(|line| (line.at.0, String::from_utf8(line.bytes).unwrap())).collect()
    }

    fn at(when: &str) -> String {
        format!(
            r#"{{"mention_id":"x:1","network":"x","author":{{"id":"u"}},"text":"t","posted_at":"{when}"}}"#
        )
    }

    #[test]
    fn a_line_has_the_mentions_own_time_which_never_goes_back_nor_runs_ahead_of_the_clock() {
        let times =
            ["2020-01-02T00:00:00Z", "2020-01-01T00:00:00Z", "2900-01-01T00:00:00Z", "2020-01-03T00:00:00Z"];
        let text: Vec<String> = times.iter().map(|when| at(when)).collect();
        let read: Vec<i64> = lines(text.join("\n").as_bytes()).into_iter().map(|(at, _)| at).collect();
        let day = 86_400_000;
        let second = 18_263 * day;
        assert_eq!(read, [second, second, second, second + day]);
    }

    #[test]
    fn every_line_keeps_its_number_with_or_without_carriage_returns_and_a_last_line_end() {
        let read: Vec<String> = lines(b"a\r\n\n  \nb\nc").into_iter().map(|(_, line)| line).collect();
        assert_eq!(read, ["a", "", "", "b", "c"]);
        assert_eq!(lines(b"").len(), 0);
        assert_eq!(lines(b"a\n").len(), 1);
    }

    #[test]
    fn a_compressed_file_is_refused_with_what_to_do() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[0x1f, 0x8b, 8, 0]).unwrap();
        let scan = ScanSettings::of(&Settings::default()).unwrap();
        let input = open(&From::File(file.path().to_owned()), own_times(&scan)).unwrap();
        let error = input.batches.recv().unwrap().unwrap_err();
        assert_eq!(error.exit_code(), 65);
        assert!(error.to_string().contains("zcat"), "{error}");
    }
}

//! Writes what would have gone to each topic, one line of JSON a record.
//!
//! Owns the form of a line, `{"topic","key","headers","value"}`, and the files. May not choose or change records. A
//! reader that has gone is an end like any other. Called by `mod.rs`.

use crate::embedded::StoredRecord;
use crate::error::{Error, Kind};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// One file for each topic in this folder.
    Folder(PathBuf),
    /// All of them to standard output.
    Standard,
}

impl To {
    /// `-` is standard output, all else a folder.
    #[must_use]
    pub fn parse(text: &str) -> To {
        if text == "-" { To::Standard } else { To::Folder(PathBuf::from(text)) }
    }
}

/// Whether anybody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Listens,
    HasGone,
}

/// An open output.
pub(super) enum Output {
    Folder { folder: PathBuf, files: BTreeMap<String, BufWriter<File>> },
    Standard(BufWriter<io::Stdout>),
}

impl Output {
    /// Opens the output. In a folder there is a file for each of `topics`, empty until something goes there; files of an
    /// earlier run are written anew.
    ///
    /// # Errors
    /// 73 when the folder or a file cannot be made.
    pub(super) fn open(to: &To, topics: &[String]) -> Result<Output, Error> {
        let To::Folder(folder) = to else { return Ok(Output::Standard(BufWriter::new(io::stdout()))) };
        let refused = |path: &Path, error: io::Error| {
            Error::new(Kind::CannotCreate, format!("cannot write to `{}`: {error}", path.display()))
                .hint("`--to -` writes to standard output")
        };
        fs::create_dir_all(folder).map_err(|error| refused(folder, error))?;
        let mut files = BTreeMap::new();
        for topic in topics {
            let path = folder.join(format!("{topic}.ndjson"));
            let file = File::create(&path).map_err(|error| refused(&path, error))?;
            files.insert(topic.clone(), BufWriter::new(file));
        }
        Ok(Output::Folder { folder: folder.clone(), files })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// 74 when it cannot be written.
    pub(super) fn write(&mut self, topic: &str, record: &StoredRecord) -> Result<Reader, Error> {
        let line = line(topic, record);
        let written = match self {
            Output::Standard(out) => out.write_all(&line),
            Output::Folder { files, .. } => {
                let file = files.get_mut(topic).expect("invariant: every output topic was opened");
                file.write_all(&line)
            }
        };
        self.judge(written)
    }

    /// Hands over what was written: readers see whole lines.
    ///
    /// # Errors
    /// 74 when it cannot be written.
    pub(super) fn flush(&mut self) -> Result<Reader, Error> {
        let flushed = match self {
            Output::Standard(out) => out.flush(),
            Output::Folder { files, .. } => files.values_mut().try_for_each(Write::flush),
        };
        self.judge(flushed)
    }

    fn judge(&self, written: io::Result<()>) -> Result<Reader, Error> {
        match (written, self) {
            (Ok(()), _) => Ok(Reader::Listens),
            (Err(error), Output::Standard(_)) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::HasGone),
            (Err(error), Output::Standard(_)) => {
                Err(Error::new(Kind::InputOutput, format!("standard output takes nothing more: {error}")))
            }
            (Err(error), Output::Folder { folder, .. }) => {
                Err(Error::new(Kind::InputOutput, format!("cannot write to `{}`: {error}", folder.display())))
            }
        }
    }
}

/// One record as one line. Keys and headers are text, values are JSON already: that is how every such topic is written.
fn line(topic: &str, record: &StoredRecord) -> Vec<u8> {
    let mut line = Vec::with_capacity(record.value.as_ref().map_or(0, Vec::len) + 768);
    line.extend_from_slice(b"{\"topic\":");
    text(topic.as_bytes(), &mut line);
    line.extend_from_slice(b",\"key\":");
    match &record.key {
        Some(key) => text(key, &mut line),
        None => line.extend_from_slice(b"null"),
    }
    line.extend_from_slice(b",\"headers\":{");
    for (index, (name, value)) in record.headers.iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        text(name.as_bytes(), &mut line);
        line.push(b':');
        text(value, &mut line);
    }
    line.extend_from_slice(b"},\"value\":");
    line.extend_from_slice(record.value.as_deref().unwrap_or(b"null"));
    line.extend_from_slice(b"}\n");
    line
}

fn text(bytes: &[u8], line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(bytes);
    serde_json::to_writer(line, &text).expect("invariant: text can be written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use triage_engine::model::Millis;

    #[test]
    fn a_record_is_one_line_with_topic_key_headers_and_value() {
        let record = StoredRecord {
            offset: 3,
            timestamp: Millis(1),
            key: Some(b"c0-3".to_vec()),
            value: Some(br#"{"case_id":"c0-3"}"#.to_vec()),
            headers: vec![("ce_id".to_owned(), b"c0-3.1".to_vec()), ("x".to_owned(), b"\"".to_vec())],
        };
        let line = String::from_utf8(line("assignments.care", &record)).unwrap();
        assert_eq!(
            line,
            "{\"topic\":\"assignments.care\",\"key\":\"c0-3\",\"headers\":{\"ce_id\":\"c0-3.1\",\"x\":\"\\\"\"},\
             \"value\":{\"case_id\":\"c0-3\"}}\n"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(error) = Output::open(&To::Folder(file.path().join("out")), &[]) else {
            panic!("it is a file")
        };
        assert_eq!(error.exit_code(), 73);
        assert!(error.to_string().contains("/out`"), "{error}");
    }
}

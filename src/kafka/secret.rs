//! Passwords: read from a file, handed to the client library, shown to nobody.
//!
//! Owns the only type that holds one. It has no `Display` and no serialisation, its `Debug` says `[secret]`, and what
//! it holds is given to `ffi` alone. Made by the pipeline from the files that the configuration names.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// More than any password; a longer file is another file.
const FILE_BYTES_MAX: u64 = 4096;
/// The bits of a file's mode that let everybody on the machine read it.
const READABLE_BY_ALL: u32 = 0o004;

/// A password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Secret {
    /// The password in this file: its one line, without the line's end.
    ///
    /// # Errors
    /// What is wrong with the file, never with a word of what it holds: it cannot be read, is empty, longer than
    /// 4 KiB, no text, or has several lines.
    pub fn read(path: &Path) -> Result<Secret, String> {
        let file = fs::metadata(path).map_err(|error| error.to_string())?;
        if !file.is_file() {
            return Err("is no file".to_owned());
        }
        if file.len() > FILE_BYTES_MAX {
            return Err(format!("has {} bytes, a password has {FILE_BYTES_MAX} at most", file.len()));
        }
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err("is empty".to_owned());
        }
        if line.contains(['\n', '\r', '\0']) {
            return Err("has more than one line".to_owned());
        }
        Ok(Secret(line.to_owned()))
    }

    /// Whether everybody on the machine may read the file; false where that cannot be told.
    #[must_use]
    pub fn is_open_to_all(path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|file| file.permissions().mode() & READABLE_BY_ALL != 0)
    }

    /// The password itself, for the client library.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Secret, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        fs::write(&path, bytes).expect("a file");
        Secret::read(&path)
    }

    #[test]
    fn a_password_file_may_end_its_line_and_holds_nothing_else() {
        for bytes in [&b"hunter2"[..], b"hunter2\n", b"hunter2\r\n"] {
            assert_eq!(read(bytes).expect("it is a password").reveal(), "hunter2");
        }
        assert_eq!(read(b" hunter2 \n").expect("blanks belong to it").reveal(), " hunter2 ");
        let long = vec![b'a'; 5000];
        for (bytes, why) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"hunter2\n\n", "more than one line"),
            (b"user\nhunter2\n", "more than one line"),
            (b"hunter2\xff", "not UTF-8"),
            (&long, "5000 bytes"),
        ] {
            let error = read(bytes).expect_err(why);
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
        assert!(Secret::read(Path::new("/nowhere/password")).expect_err("no file").contains("No such file"));
        assert_eq!(Secret::read(Path::new("/")).expect_err("a folder"), "is no file");
    }

    #[test]
    fn a_secret_is_not_shown_by_whoever_prints_what_holds_it() {
        let secret = read(b"hunter2").expect("it is a password");
        let mut settings = super::super::KafkaSettings::new("localhost:9092");
        settings.secrets.push(("sasl.password", secret));
        let shown = format!("{settings:?} {settings:#?}");
        assert!(shown.contains("[secret]") && !shown.contains("hunter2"), "{shown}");
        let logs = super::super::KafkaLogs::new(settings).expect("the settings are allowed");
        assert!(!format!("{logs:?}").contains("hunter2"));
    }

    #[test]
    fn a_password_that_everybody_may_read_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        fs::write(&path, "hunter2").expect("a file");
        for (mode, open) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            assert_eq!(Secret::is_open_to_all(&path), open, "{mode:o}");
        }
    }
}

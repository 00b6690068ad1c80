//! Reads a policy folder from disk as a bundle: every `*.toml` and `*.ics` below it, sorted, checked to be UTF-8.
//!
//! Owns what may be read: only files inside the folder, within the engine's limits, and nothing else of the
//! host. Rule tests, which stand in the folder `tests` inside it, are read apart: they decide nothing, so they are no
//! part of the bundle. May not look into the files; the engine compiles them. Called when a policy is loaded, checked
//! or tested, never on the data path.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use triage_engine::policy::{BUNDLE_BYTES_MAX, Bundle, FILE_BYTES_MAX, check_path, note_time_zones};

/// How deep folders may be nested; also what ends a loop of symbolic links.
const DEPTH_MAX: usize = 16;
/// How many files a policy folder may hold.
const FILES_MAX: usize = 10_000;
/// The folder of rule tests inside a policy folder.
pub const TESTS_FOLDER: &str = "tests";

/// Why a policy folder cannot be read. Every message names the path.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFolderError {
    /// The file system said no.
    #[error("cannot read `{path}`: {error}")]
    Unreadable {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is not text.
    #[error("`{path}` is not UTF-8: the first bad byte is byte {at}")]
    NotUtf8 {
        /// Which file.
        path: PathBuf,
        /// Which byte, from 0.
        at: usize,
    },
    /// A symbolic link leads out of the folder, so the same folder could be two policies on two hosts.
    #[error(
        "`{path}` is a symbolic link to `{target}`, which is outside the policy folder: copy the file into it"
    )]
    Outside {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A limit was passed.
    #[error("`{path}` {what}")]
    Limit {
        /// Which file or folder.
        path: PathBuf,
        /// Which limit, and how.
        what: String,
    },
    /// A name that no bundle can hold.
    #[error("`{path}` cannot be part of a policy: {reason}")]
    Name {
        /// Which file.
        path: PathBuf,
        /// What is wrong with its name.
        reason: String,
    },
    /// There is nothing to compile.
    #[error("`{0}` holds no `.toml` file: is it the policy folder?")]
    Empty(PathBuf),
}

/// Reads every `*.toml` below `folder`, rule tests left out, and every `*.ics`, which hold holidays.
///
/// Files and folders whose names begin with a dot are left
/// out too, as editors and version control keep theirs there.
///
/// # Errors
/// The first thing that cannot be read as part of a policy.
pub fn read_policy_folder(folder: &Path) -> Result<Bundle, PolicyFolderError> {
    let mut files = read(folder, folder, "")?;
    if !files.keys().any(|path| path.ends_with(".toml")) {
        return Err(PolicyFolderError::Empty(folder.to_owned()));
    }
    note_time_zones(&mut files);
    let bundle = Bundle { files };
    let bytes = bundle.to_bytes().len();
    if bytes > BUNDLE_BYTES_MAX {
        return Err(limit(
            folder,
            format!("makes a bundle of {bytes} bytes, the limit BUNDLE_BYTES_MAX is {BUNDLE_BYTES_MAX}"),
        ));
    }
    Ok(bundle)
}

/// Reads the rule tests of a policy folder: paths inside the folder to texts, none where it has no tests.
///
/// # Errors
/// The first thing that cannot be read.
pub fn read_rule_test_files(folder: &Path) -> Result<BTreeMap<String, String>, PolicyFolderError> {
    let tests = folder.join(TESTS_FOLDER);
    if tests.is_dir() { read(folder, &tests, &format!("{TESTS_FOLDER}/")) } else { Ok(BTreeMap::new()) }
}

/// Reads what is below `from`, which is `inside` in the policy folder `folder`.
fn read(folder: &Path, from: &Path, inside: &str) -> Result<BTreeMap<String, String>, PolicyFolderError> {
    let root = folder.canonicalize().map_err(|error| unreadable(folder, error))?;
    let mut reader = Reader { root: &root, files: BTreeMap::new(), bytes: 0 };
    reader.folder(from, inside, 0)?;
    Ok(reader.files)
}

struct Reader<'r> {
    root: &'r Path,
    files: BTreeMap<String, String>,
    bytes: usize,
}

impl Reader<'_> {
    /// Reads one folder; `inside` is its path in the bundle, empty or ending in `/`.
    fn folder(&mut self, folder: &Path, inside: &str, depth: usize) -> Result<(), PolicyFolderError> {
        if depth > DEPTH_MAX {
            return Err(limit(folder, format!("is nested deeper than {DEPTH_MAX} folders")));
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
            entries.push(entry.map_err(|error| unreadable(folder, error))?.path());
        }
        // Sorted, so that of two mistakes every host tells the same one.
        entries.sort();
        for path in entries {
            let name = path.file_name().unwrap_or_default();
            let is_tests = inside.is_empty() && name == TESTS_FOLDER;
            if is_tests || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let is_policy =
                path.extension().is_some_and(|extension| extension == "toml" || extension == "ics");
            let is_link = path.is_symlink();
            // What a link leads to decides what it is; one that leads nowhere matters only as a policy file.
            let kind = match fs::metadata(&path) {
                Ok(kind) => kind,
                Err(_) if is_link && !is_policy => continue,
                Err(error) => return Err(unreadable(&path, error)),
            };
            if !kind.is_dir() && !is_policy {
                continue;
            }
            if is_link {
                self.check_link(&path)?;
            }
            let reason =
                || PolicyFolderError::Name { path: path.clone(), reason: "its name is not UTF-8".into() };
            let name = name.to_str().ok_or_else(reason)?;
            if kind.is_dir() {
                self.folder(&path, &format!("{inside}{name}/"), depth + 1)?;
            } else {
                self.file(&path, format!("{inside}{name}"), kind.is_file())?;
            }
        }
        Ok(())
    }

    fn check_link(&self, path: &Path) -> Result<(), PolicyFolderError> {
        let target = path.canonicalize().map_err(|error| unreadable(path, error))?;
        if target.starts_with(self.root) {
            return Ok(());
        }
        Err(PolicyFolderError::Outside { path: path.to_owned(), target })
    }

    fn file(&mut self, path: &Path, inside: String, regular: bool) -> Result<(), PolicyFolderError> {
        let wrong_name = |reason| PolicyFolderError::Name { path: path.to_owned(), reason };
        if !regular {
            // Reading a pipe or a device would wait for ever.
            return Err(wrong_name("it is no regular file".into()));
        }
        check_path(&inside).map_err(wrong_name)?;
        if self.files.len() == FILES_MAX {
            return Err(limit(
                path,
                format!("is one file more than the limit FILES_MAX, which is {FILES_MAX}"),
            ));
        }
        // One byte more than allowed tells a file that is too long, also one that grows while it is read.
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(|error| unreadable(path, error))?;
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(path, error))?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(limit(
                path,
                format!("is longer than {FILE_BYTES_MAX} bytes, the limit FILE_BYTES_MAX of one policy file"),
            ));
        }
        self.bytes += bytes.len();
        if self.bytes > BUNDLE_BYTES_MAX {
            let what = format!(
                "brings the policy past {BUNDLE_BYTES_MAX} bytes, the limit BUNDLE_BYTES_MAX of all together"
            );
            return Err(limit(path, what));
        }
        let text = String::from_utf8(bytes).map_err(|error| PolicyFolderError::NotUtf8 {
            path: path.to_owned(),
            at: error.utf8_error().valid_up_to(),
        })?;
        self.files.insert(inside, text);
        Ok(())
    }
}

fn unreadable(path: &Path, error: io::Error) -> PolicyFolderError {
    PolicyFolderError::Unreadable { path: path.to_owned(), error }
}

fn limit(path: &Path, what: String) -> PolicyFolderError {
    PolicyFolderError::Limit { path: path.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use triage_engine::policy::{Policy, TIME_ZONES_PATH};

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, bytes) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, bytes).expect("written");
        }
        folder
    }

    /// A file of zeros, which takes no room on disk.
    fn long_file(path: &Path, bytes: usize) {
        let file = fs::File::create(path).expect("a file");
        file.set_len(bytes as u64).expect("so long");
    }

    fn refusal(folder: &tempfile::TempDir) -> String {
        read_policy_folder(folder.path()).expect_err("refused").to_string()
    }

    #[test]
    fn every_toml_file_below_the_folder_is_read_and_nothing_else() {
        let files: [(&str, &[u8]); 6] = [
            ("desks.toml", b"a"),
            ("holidays/uk.ics", b"e"),
            ("rules/z/deep.toml", b"b"),
            ("README.md", b"\xff"),
            (".git/config.toml", b"c"),
            ("rules/.#open.toml", b"d"),
        ];
        let folder = folder(&files);
        let bundle = read_policy_folder(folder.path()).expect("a bundle");
        let read: Vec<(&str, &str)> = bundle.files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        assert_eq!(read, [("desks.toml", "a"), ("holidays/uk.ics", "e"), ("rules/z/deep.toml", "b")]);
    }

    #[test]
    fn a_folder_with_calendars_names_the_time_zone_database_that_they_are_checked_with() {
        let bundle = |text: &[u8]| read_policy_folder(folder(&[("a.toml", text)]).path()).expect("a bundle");
        assert!(!bundle(b"rule").files.contains_key(TIME_ZONES_PATH));
        assert!(bundle(b"[[calendar]]").files.contains_key(TIME_ZONES_PATH));
        assert!(refusal(&folder(&[("uk.ics", b"")])).contains("holds no `.toml` file"));
    }

    #[test]
    fn rule_tests_are_read_apart_and_change_no_generation() {
        let files: [(&str, &[u8]); 3] =
            [("a.toml", b"a"), ("tests/b.toml", b"b"), ("rules/tests/c.toml", b"c")];
        let folder = folder(&files);
        let bundle = read_policy_folder(folder.path()).expect("a bundle");
        assert!(bundle.files.keys().eq(["a.toml", "rules/tests/c.toml"]), "{bundle:?}");
        let tests = read_rule_test_files(folder.path()).expect("tests");
        assert_eq!(tests.into_iter().collect::<Vec<_>>(), [("tests/b.toml".to_owned(), "b".to_owned())]);
        fs::write(folder.path().join("tests/b.toml"), "another").expect("written");
        assert_eq!(read_policy_folder(folder.path()).expect("a bundle").generation(), bundle.generation());
        fs::remove_dir_all(folder.path().join("tests")).expect("removed");
        assert!(read_rule_test_files(folder.path()).expect("no tests").is_empty());
    }

    #[test]
    fn links_inside_the_folder_are_followed_and_links_out_of_it_are_refused() {
        let outside = folder(&[("secret.toml", b"s")]);
        let inside = folder(&[("a.toml", b"a")]);
        symlink("a.toml", inside.path().join("b.toml")).expect("a link");
        assert_eq!(read_policy_folder(inside.path()).expect("a bundle").files.len(), 2);
        symlink(outside.path().join("secret.toml"), inside.path().join("c.toml")).expect("a link");
        let told = refusal(&inside);
        assert!(told.contains("c.toml") && told.contains("outside the policy folder"), "{told}");
        fs::remove_file(inside.path().join("c.toml")).expect("removed");
        symlink(outside.path(), inside.path().join("rules")).expect("a link");
        assert!(refusal(&inside).contains("outside the policy folder"));
    }

    #[test]
    fn a_loop_of_links_ends() {
        let folder = folder(&[("a.toml", b"a")]);
        symlink(".", folder.path().join("again")).expect("a link");
        assert!(refusal(&folder).contains("nested deeper than 16"));
    }

    #[test]
    fn what_cannot_be_policy_is_refused_with_its_path() {
        let told = refusal(&folder(&[("rules/bad.toml", b"ok \xff")]));
        assert!(told.contains("rules/bad.toml` is not UTF-8: the first bad byte is byte 3"), "{told}");
        let big = folder(&[]);
        long_file(&big.path().join("big.toml"), FILE_BYTES_MAX + 1);
        let told = refusal(&big);
        assert!(told.contains("big.toml` is longer than 67108864 bytes, the limit FILE_BYTES_MAX"), "{told}");
        assert!(refusal(&folder(&[("readme", b"")])).contains("holds no `.toml` file"));
        let told = read_policy_folder(Path::new("/nowhere/at/all")).expect_err("refused").to_string();
        assert!(told.starts_with("cannot read `/nowhere/at/all`: "), "{told}");
        let socket = folder(&[("a.toml", b"a")]);
        let listener =
            std::os::unix::net::UnixListener::bind(socket.path().join("s.toml")).expect("a socket");
        assert!(refusal(&socket).contains("no regular file"));
        drop(listener);
    }

    #[test]
    fn files_at_the_limit_each_may_still_be_too_much_together() {
        let folder = folder(&[]);
        for number in 0..=BUNDLE_BYTES_MAX / FILE_BYTES_MAX {
            long_file(&folder.path().join(format!("{number:02}.toml")), FILE_BYTES_MAX);
        }
        assert!(refusal(&folder).contains("134217728 bytes, the limit BUNDLE_BYTES_MAX of all together"));
    }

    #[test]
    fn the_sample_policy_compiles_without_a_mistake() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policy");
        let bundle = read_policy_folder(&sample).expect("the sample");
        let policy = Policy::compile(&bundle).unwrap_or_else(|mistakes| {
            panic!("{}", mistakes.iter().map(|m| format!("{m}\n")).collect::<String>())
        });
        assert!(policy.rules().len() >= 200, "{} rules", policy.rules().len());
        assert!(["air", "care", "press", "tech"].iter().eq(policy.desks().iter().map(|desk| &desk.name)));
        // Only rules about fields may cost something on every mention.
        assert_eq!(policy.always_run(), 1);
        let urgent = policy.rules().iter().filter(|rule| {
            rule.tags.iter().any(|tag| matches!(tag.as_str(), "safety" | "legal" | "press" | "self-harm"))
        });
        assert!(urgent.clone().count() >= 30 && urgent.clone().all(|rule| rule.never_drop));
    }
}

//! What lies in a policy folder and is no part of the policy: files that somebody may believe to be read.
//!
//! Owns which of them are passed over in silence, and the words for the others. May not look into a file, and changes
//! nothing: what is read is `policy_folder`'s business. Called by `check`.

use crate::diagnostic::{Diagnostic, Severity};
use std::fs;
use std::path::Path;

/// What editors leave beside a file, and pages for people: names that end so. Those that begin with a dot are no part of
/// a policy either.
const PASSED_OVER: [&str; 5] = ["~", ".swp", ".swo", "#", ".md"];
/// The directory of customers, which a folder will hold one day.
const CUSTOMERS: &str = "customers.csv";
/// How many files are told of each by its name.
const TOLD_MAX: usize = 10;
/// As deep as a policy folder is read.
const DEPTH_MAX: usize = 16;

/// A note of each file that is not read, and a warning of one that nothing reads yet.
pub(super) fn told(folder: &Path) -> Vec<Diagnostic> {
    let mut unread = Vec::new();
    gather(folder, "", 0, &mut unread);
    unread.sort();
    let shown = folder.display().to_string();
    let (customers, others): (Vec<String>, Vec<String>) = unread.into_iter().partition(|it| it == CUSTOMERS);
    let mut told: Vec<Diagnostic> = customers
        .into_iter()
        .map(|file| {
            let what = format!("`{file}` is not there yet: no customer is read from it");
            let told = Diagnostic::mistake(what).of_file(file).hint("take it out of the folder");
            Diagnostic { severity: Severity::Warning, ..told }
        })
        .collect();
    let note = |told| Diagnostic { severity: Severity::Note, ..told };
    told.extend(others.iter().take(TOLD_MAX).map(|file| {
        let hint = "name it `….toml` or `….ics`, in small letters, or take it out of the folder";
        note(
            Diagnostic::mistake("this file is not read: only `*.toml` and `*.ics` are")
                .of_file(file)
                .hint(hint),
        )
    }));
    if let Some(more) = others.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        told.push(note(Diagnostic::mistake(format!("{more} more files in it are not read"))));
    }
    told.into_iter().map(|told| told.in_folder(&shown)).collect()
}

/// What cannot be looked at was told by whoever read the policy.
fn gather(folder: &Path, inside: &str, depth: usize, unread: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(kind) = fs::metadata(entry.path()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() && depth < DEPTH_MAX {
            gather(&entry.path(), &format!("{inside}{name}/"), depth + 1, unread);
        } else if kind.is_file()
            && !name.ends_with(".toml")
            && !name.ends_with(".ics")
            && !PASSED_OVER.iter().any(|end| name.ends_with(end))
        {
            unread.push(format!("{inside}{name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> Vec<(Severity, String, String)> {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, "x").expect("written");
        }
        let here = format!("{}/", folder.path().display());
        let told = told(folder.path()).into_iter();
        told.map(|told| (told.severity, told.file.replace(&here, ""), told.what)).collect()
    }

    #[test]
    fn files_that_look_like_policy_and_are_not_read_are_told_of_and_what_editors_leave_is_not() {
        let quiet =
            ["a.toml", "uk.ics", "README.md", "b.toml~", ".b.toml.swp", "b.swp", "#b.toml#", ".git/x.yaml"];
        assert_eq!(of(&quiet), []);
        let told = of(&["a.toml", "z.yaml", "rules/z.TOML", "tests/z.toml.bak"]);
        let files: Vec<&str> = told.iter().map(|(_, file, _)| file.as_str()).collect();
        assert_eq!(files, ["rules/z.TOML", "tests/z.toml.bak", "z.yaml"]);
        assert!(
            told.iter().all(|(severity, _, what)| *severity == Severity::Note && what.contains("not read"))
        );
    }

    #[test]
    fn a_directory_of_customers_is_told_to_be_not_there_yet() {
        let told = of(&["a.toml", "customers.csv"]);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].0, told[0].1.as_str()), (Severity::Warning, "customers.csv"));
        assert!(told[0].2.contains("not there yet"), "{told:?}");
    }

    #[test]
    fn a_folder_full_of_other_files_is_told_in_a_few_lines() {
        let files: Vec<String> = (0..37).map(|number| format!("{number:02}.csv")).collect();
        let told = of(&files.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(told.len(), TOLD_MAX + 1);
        assert!(told[TOLD_MAX].2.starts_with("27 more files"), "{told:?}");
    }
}

//! Configurations that people really write, and what each is told: every message as it is read, with its exit code.
//!
//! Owns `tests/wrong/<what>/`: files that replace or join those of `tests/wrong/_sound`, a `run.sh` where it takes more
//! than `triaged check`, and `expected.txt`. `UPDATE_WRONG=1 cargo test --test wrong` rewrites what is expected; read
//! the difference.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.file_name().is_some_and(|name| name != "expected.txt") {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The script of a case, and all that it says: standard output, standard error, the exit code.
fn told(case: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    copy(&cases().join("_sound"), folder.path());
    copy(case, folder.path());
    let script = fs::read_to_string(case.join("run.sh"))
        .unwrap_or_else(|_| "triaged check --config triaged.toml\n".to_owned());
    let program = Path::new(env!("CARGO_BIN_EXE_triaged"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    // What may not be read may be read by root all the same, unless it gives that right up.
    let mut command = if needs_rights_taken(case) {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    let output = command
        .args(["-c", &script])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", path)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
    let script: String = script.lines().map(|line| format!("$ {line}\n")).collect();
    let told = format!("{script}--- standard output\n{out}--- standard error\n{err}--- exit code {code}\n");
    // The folder is another one each time, and patterns are compiled for the processor at hand.
    let told = told.replace(&folder.path().canonicalize().unwrap().display().to_string(), "<here>");
    [" of patterns (", " of rules; "].iter().fold(told, |told, what| {
        let Some(end) = told.find(what) else { return told };
        let start = told[..end].rfind(", ").unwrap() + 2;
        format!("{}<size>{}", &told[..start], &told[end..])
    })
}

fn needs_rights_taken(case: &Path) -> bool {
    let script = fs::read_to_string(case.join("run.sh")).unwrap_or_default();
    script.contains("chmod 000") && rustix::process::geteuid().is_root()
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('_'));
    names.sort();
    names
}

#[test]
fn what_people_write_wrong_is_answered_with_what_to_do() {
    let mut different = Vec::new();
    for name in names() {
        let case = cases().join(&name);
        if needs_rights_taken(&case) && Command::new("setpriv").arg("--version").output().is_err() {
            println!(
                "SKIPPED: `{name}`: root may read every file, and there is no setpriv(1) to give that up"
            );
            continue;
        }
        let (told, file) = (told(&case), case.join("expected.txt"));
        if is_rewriting() {
            fs::write(&file, &told).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if told != expected {
            different.push(format!("{name}: expected\n{expected}\nbut was told\n{told}"));
        }
    }
    assert!(
        different.is_empty(),
        "{}\nif this is meant: UPDATE_WRONG=1 cargo test --test wrong",
        different.join("\n")
    );
}

/// Whether what is expected is being rewritten: then it is judged in the next run.
fn is_rewriting() -> bool {
    std::env::var_os("UPDATE_WRONG").is_some()
}

#[test]
fn each_of_them_ends_with_78_or_with_1_where_it_would_start_and_with_0_for_notes() {
    if is_rewriting() {
        return;
    }
    let names = names();
    assert!(names.len() >= 20, "{} cases", names.len());
    for name in names {
        let expected = fs::read_to_string(cases().join(&name).join("expected.txt")).unwrap();
        let code = expected.lines().last().unwrap();
        let starts = expected.contains("it would start");
        let right = match name.as_str() {
            // What a command names is not there: a lint, a test, a rule.
            "findings-that-are-allowed"
            | "a-file-of-tests-outside-of-a-policy"
            | "a-test-that-does-not-exist"
            | "a-rule-to-explain-that-does-not-exist" => code == "--- exit code 64",
            // Notes alone.
            "files-that-are-not-read" => code == "--- exit code 0",
            "a-rule-test-that-fails" | "a-policy-without-rule-tests" => code == "--- exit code 1",
            _ => code == if starts { "--- exit code 1" } else { "--- exit code 78" },
        };
        assert!(right, "`{name}` ended with {code}");
        assert!(!expected.contains("panicked"), "{name}");
    }
}

#[test]
fn no_secret_is_ever_repeated() {
    if is_rewriting() {
        return;
    }
    for name in names() {
        let expected = fs::read_to_string(cases().join(&name).join("expected.txt")).unwrap();
        for secret in ["correct horse", "aabbccddeef"] {
            let told = expected.split("--- standard output").nth(1).unwrap();
            assert!(!told.contains(secret), "`{name}` repeats a secret: {told}");
        }
    }
}

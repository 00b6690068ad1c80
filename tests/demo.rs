//! The demo as whoever tries it first sees it.

#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn a_demo_of_five_seconds_accounts_for_every_offset_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_triaged"))
        .arg("demo")
        .env("DEMO_SECONDS", "5")
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let (said, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}\n{log}");
    for part in ["Nothing outlives it", "/metrics", "storm", "calm", "cases open", "\"assignment_id\""] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let verdict = said.lines().find(|line| line.starts_with("All offsets are accounted for")).unwrap();
    let sent: u64 = verdict.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!(sent > 1_000, "a storm is more than that: {verdict}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing outlives it");
}

//! The units, and the daemon under a service manager: what it is told, in which order, and when the watchdog starves.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/manager.rs"]
mod manager;

use common::program::{Fleet, Process, mention};
use manager::Manager;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd");
/// The text of the record that holds its reader for ever.
const HOLDER: &str = "avalanche";
/// The exposure that is allowed at most, times ten.
const EXPOSURE_MAX: &str = "13";

fn unit(name: &str) -> String {
    std::fs::read_to_string(Path::new(UNITS).join(name)).unwrap()
}

/// The units where `systemd-analyze` finds the program that they name, and an instance of the template.
fn installed() -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text.replace("/usr/bin/triaged", env!("CARGO_BIN_EXE_triaged"))).unwrap();
        path
    };
    // The examples of drop-ins are valid beside them.
    let drop_ins = folder.path().join("triaged.service.d");
    std::fs::create_dir(&drop_ins).unwrap();
    for example in std::fs::read_dir(Path::new(UNITS).join("examples")).unwrap() {
        let example = example.unwrap();
        std::fs::copy(example.path(), drop_ins.join(example.file_name())).unwrap();
    }
    let units = vec![
        place("triaged.service", unit("triaged.service")),
        place("triaged@eu.service", unit("triaged@.service")),
    ];
    (folder, units)
}

/// Runs `systemd-analyze`; nothing, told loudly, where there is none.
fn analyze(words: &[&str], unit: &Path) -> Option<Output> {
    let command = Command::new("systemd-analyze").args(words).arg(unit).env("SYSTEMD_PAGER", "").output();
    if command.is_err() {
        println!("SKIPPED: systemd-analyze is not installed; scripts/setup installs it");
    }
    command.ok()
}

#[test]
fn the_units_are_valid_and_expose_little() {
    let (_folder, units) = installed();
    for unit in &units {
        if let Some(verified) = analyze(&["verify", "--man=no"], unit) {
            let said = String::from_utf8_lossy(&[verified.stdout, verified.stderr].concat()).into_owned();
            assert!(verified.status.success() && said.is_empty(), "{}: {said}", unit.display());
        }
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        if let Some(rated) = analyze(&["security", "--offline=true", "--no-pager", &threshold], unit) {
            let table = String::from_utf8_lossy(&rated.stdout).into_owned();
            let verdict = table.lines().rfind(|line| line.contains("Overall exposure")).unwrap_or_default();
            println!("{}", verdict.trim());
            assert!(rated.status.success() && !verdict.is_empty(), "{table}");
        }
    }
}

#[test]
fn the_template_is_the_unit_with_a_configuration_and_folders_for_each_instance() {
    let mut text = unit("triaged.service");
    for (plain, each) in [
        ("answer them\n", "answer them (%i)\n"),
        ("triaged check\n", "triaged check --config /etc/triaged/%i.toml\n"),
        ("triaged run\n", "triaged run --config /etc/triaged/%i.toml\n"),
        ("policy reload\n", "policy reload --config /etc/triaged/%i.toml\n"),
        ("TRIAGED_HOST=%H\n", "TRIAGED_HOST=%H-%i\n"),
        ("StateDirectory=triaged\n", "StateDirectory=triaged-%i\n"),
        ("RuntimeDirectory=triaged\n", "RuntimeDirectory=triaged-%i\n"),
        (
            "has the host's name, which is\n# the same after a restart.",
            "has the name of the host and of\n# the unit's instance, which are the same after a restart.",
        ),
    ] {
        assert_eq!(text.matches(plain).count(), 1, "`{plain}` in triaged.service");
        text = text.replace(plain, each);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(Path::new(UNITS).join("triaged@.service"), &text).unwrap();
    }
    assert_eq!(unit("triaged@.service"), text, "run this test with UPDATE_DOCS=1");
}

/// A setting of the unit, in seconds.
fn seconds(key: &str) -> u64 {
    let text = unit("triaged.service");
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).expect("it is set");
    match value.strip_suffix("min") {
        Some(minutes) => 60 * minutes.parse::<u64>().unwrap(),
        None => value.trim_end_matches('s').parse().unwrap(),
    }
}

#[test]
fn the_unit_leaves_time_to_drain_and_to_wait_for_a_broker() {
    // Triage lanes, then the desk lane; what is over is for closing the clients.
    let drain = 2 * triaged::pipeline::Tuning::default().drain_ms_max.unsigned_abs() / 1_000;
    assert!(seconds("TimeoutStopSec") >= drain + 10, "draining may take {drain} s");
    // One step of a lane waits for at most two answers of the broker, and must not look like a hang.
    assert!(seconds("WatchdogSec") / 2 >= 2 * 15);
}

fn start(fleet: &Fleet, manager: &Manager, more: &[(&'static str, &str)]) -> Process {
    let environment = manager.environment();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied()).collect();
    fleet.start_as_unit("one", &manager.path("run"), &environment)
}

#[test]
fn systemd_hears_what_is_waited_for_then_ready_then_each_reload_then_stopping() {
    let fleet = Fleet::new("unit");
    let mut manager = Manager::new(4_000_000);
    let mut daemon = start(&fleet, &manager, &[]);
    let waits = manager.hears("topics do not exist", 0);
    let message = manager.heard()[waits].clone();
    assert!(
        message.starts_with("STATUS=starting: waits for") && message.contains("EXTEND_TIMEOUT_USEC="),
        "{message}"
    );
    assert!(
        manager.heard().iter().all(|message| !message.contains("READY=1")),
        "not before its topics are there"
    );

    fleet.create_topics();
    let ready = manager.hears("READY=1", waits);
    assert!(manager.heard()[..ready].iter().any(|message| message.contains("EXTEND_TIMEOUT_USEC=")));
    let generation = daemon.status()["policy"]["generation"].as_str().unwrap().to_owned();
    assert!(manager.path("state/one.lock").exists(), "its state is where the unit says");

    fleet.write_rule("[[rule]]\nname = \"broken\"\nquery = \"(a OR\"\n");
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(65), "systemctl reload fails: {text}");
    assert_eq!(daemon.status()["policy"]["generation"], generation.as_str());
    let refused = manager.hears("RELOADING=1\nMONOTONIC_USEC=", ready + 1);
    let ready = manager.hears("READY=1", refused + 1);

    fleet.write_rule("[[rule]]\nname = \"zebra\"\nquery = \"zebra\"\naction = \"noise\"\n");
    let (code, text) = daemon.ctl(&["policy", "reload"]);
    assert_eq!(code, Some(0), "{text}");
    let taken = manager.hears("RELOADING=1\nMONOTONIC_USEC=", ready + 1);
    let ready = manager.hears("READY=1", taken + 1);

    fleet.send(&[mention(1, "a zebra"), mention(2, "my bill is wrong")]);
    let running = manager.hears(" behind on ", ready + 1);
    let line = manager.heard()[running].clone();
    assert!(line.starts_with("STATUS=running: ") && line.contains(" mentions/s, "), "{line}");
    assert_eq!(daemon.ctl(&["pause"]).0, Some(0));
    let paused = manager.hears("STATUS=paused: no mention is read", running + 1);
    assert_eq!(daemon.ctl(&["resume"]).0, Some(0));
    manager.hears("STATUS=running: ", paused + 1);
    let fed = manager.hears("WATCHDOG=1", ready + 1);
    manager.hears("WATCHDOG=1", fed + 1);

    let before = manager.heard().len();
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    let stopping = manager.hears("STOPPING=1", before);
    let after = &manager.heard()[stopping..];
    assert!(after[0].contains("STATUS=draining: ") && after[0].contains("EXTEND_TIMEOUT_USEC="), "{after:?}");
    assert!(
        after.iter().all(|message| !message.contains("READY=1") && !message.contains("RELOADING=1")),
        "{after:?}"
    );
}

/// How often the log says that the watchdog is not fed, because a thread stands still for so many looks: one is what a
/// busy machine may do to a thread that is well.
fn starved(daemon: &Process) -> usize {
    let still = |line: &str| -> Option<u64> {
        let (_, rest) = line.split_once("has not moved for ")?;
        rest.strip_suffix(" ms: the watchdog is not fed, and bites after 2s")?.parse().ok()
    };
    daemon.log().lines().filter(|line| still(line).is_some_and(|ms| ms >= 3_000)).count()
}

#[test]
fn a_thread_that_hangs_starves_the_watchdog_while_the_control_plane_still_answers() {
    let fleet = Fleet::new("hang");
    fleet.create_topics();
    let mut manager = Manager::new(2_000_000);
    let mut daemon = start(&fleet, &manager, &[("TRIAGED_FAULT_HANG", HOLDER)]);
    let ready = manager.hears("READY=1", 0);
    manager.hears("WATCHDOG=1", ready + 1);

    fleet.send(&[mention(1, HOLDER)]);
    let wait_for_starving = |count: usize| {
        let deadline = Instant::now() + Duration::from_secs(90);
        while starved(&daemon) < count {
            assert!(Instant::now() < deadline, "the watchdog is still fed\n{}", daemon.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_for_starving(1);
    let heard = manager.heard().len();
    wait_for_starving(4);
    let after = manager.heard()[heard..].to_vec();
    assert!(after.iter().all(|message| !message.contains("WATCHDOG=1")), "{after:?}");
    assert_eq!(
        daemon.status()["ready"],
        true,
        "the control plane answers: a ping by itself would prove nothing"
    );

    // What systemd does then.
    daemon.signal(rustix::process::Signal::ABORT);
    assert_eq!(daemon.exit(Duration::from_secs(30)), None, "a signal ends it");
    let mut next = start(&fleet, &manager, &[]);
    manager.hears("READY=1", heard);
    next.wait_until("it is done anew", |status| {
        status["mentions"]["in_flight"] == 0 && status["mentions"]["read"] == 1
    });
    assert_eq!(next.terminate(), Some(0), "{}", next.log());
    fleet.audit_finds_nothing();
}

#[test]
fn the_password_is_the_credential_of_the_unit_and_a_damaged_one_is_named() {
    let fleet = Fleet::new("credential");
    let manager = Manager::new(1_000_000);
    let file = manager.path("credentials/triaged.kafka-password");
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
        let output = command
            .args(["check", "--config"])
            .arg(fleet.path("one.toml"))
            .envs(manager.environment())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, text) = check();
    assert_eq!(code, Some(0), "without one it starts: {text}");
    std::fs::write(&file, "s3cret\n").unwrap();
    // As systemd gives it: for the unit's user alone.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    let (code, text) = check();
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    let (code, text) = check();
    assert_eq!(code, Some(78), "{text}");
    assert!(text.contains("triaged.kafka-password"), "{text}");
}

#[test]
fn under_a_real_systemd_it_starts_reloads_restarts_and_drains_as_the_unit_says() {
    let fleet = Fleet::new("boot");
    let etc = fleet.unit_folder();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/systemd/boot.sh");
    // The script ends by itself; this is for the case that it hangs.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", "300", script, env!("CARGO_BIN_EXE_triaged")]).arg(&etc);
    let output = command.output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

//! The command line as people and scripts meet it: every help page, exit codes, streams, colours, closed pipes.
//!
//! Owns `tests/help/`: `UPDATE_HELP=1 cargo test --test cli` writes the pages anew; read the difference.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn triaged(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triaged"));
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn run(words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = triaged(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Every way to a verb: `[]`, `[run]`, …, `[ctl, policy, reload]`.
fn verbs() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        found.push(path.to_vec());
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            walk(verb, &[path, &[verb.get_name().to_owned()]].concat(), found);
        }
    }
    let mut found = Vec::new();
    walk(&triaged::cli::command(), &[], &mut found);
    assert!(found.len() > 10, "{found:?}");
    found
}

#[test]
fn every_help_page_reads_as_it_is_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let update = std::env::var_os("UPDATE_HELP").is_some();
    let mut kept: BTreeSet<PathBuf> = BTreeSet::new();
    let mut stale = Vec::new();
    for path in verbs() {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let (code, page, errors) = run(&words);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{words:?}");
        assert!(!page.contains('\x1b'), "colours go to terminals alone: {words:?}");
        let name =
            ["triaged"].into_iter().chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
        let file = folder.join(format!("{name}.txt"));
        if update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&file, &page).unwrap();
        }
        if fs::read_to_string(&file).unwrap_or_default() != page {
            stale.push(format!("{name} says now:\n{page}"));
        }
        kept.insert(file);
    }
    for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if !kept.contains(&file) {
            if update {
                fs::remove_file(&file).unwrap();
            } else {
                stale.push(format!("there is no such verb any more: {}", file.display()));
            }
        }
    }
    assert!(stale.is_empty(), "{}\nif this is meant: UPDATE_HELP=1 cargo test --test cli", stale.join("\n"));
}

#[test]
fn every_option_says_what_it_is_for() {
    fn walk(command: &clap::Command) {
        for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "`{}` of `{}` says nothing", option.get_id(), command.get_name());
        }
        command.get_subcommands().for_each(walk);
    }
    walk(&triaged::cli::command());
}

#[test]
fn what_cannot_be_done_is_told_on_standard_error_with_the_code_of_sysexits() {
    let folder = tempfile::tempdir().unwrap();
    let inside = |name: &str| folder.path().join(name).display().to_string();
    let (config, blocked) = (inside("triaged.toml"), inside("triaged.toml/man"));
    let settings = |text: &str| fs::write(&config, format!("instance = \"one\"\n{text}")).unwrap();
    let away = format!("[kafka]\nbootstrap = \"127.0.0.1:1\"\n[admin]\nsocket = {:?}\n", inside("none.sock"));
    settings(&away);
    for (words, code, said) in [
        (vec!["dance"], 64, "unrecognized subcommand 'dance'"),
        (vec!["chekc"], 64, "'check'"),
        (vec![], 64, "Usage: triaged <COMMAND>"),
        (vec!["run", "--conf"], 64, "--config"),
        (vec!["schema", "confg"], 64, "triaged: there is no schema `confg`\nhint: did you mean `config`?"),
        (vec!["completions", "tcsh"], 64, "invalid value 'tcsh'"),
        (vec!["topics", "--partitions", "0"], 64, "0 is not in 1..=10000"),
        (vec!["audit", "--config", &config, "--from", "yesterday"], 64, "`yesterday` is no time"),
        (vec!["ctl", "status", "--config", &config], 69, "is triaged running"),
        (vec!["man", &blocked], 73, "cannot write"),
        (
            vec!["run", "--config", "/nowhere/triaged.toml"],
            78,
            "cannot read configuration `/nowhere/triaged.toml`",
        ),
    ] {
        let (found, out, err) = run(&words);
        assert_eq!(found, Some(code), "{words:?}: {out}{err}");
        assert!(err.contains(said), "{words:?}: {err}");
        assert_eq!(out, "", "{words:?}: errors do not mix with data");
    }
    settings("[log]\nlevel = \"loud\"\n");
    for verb in ["run", "check", "topics", "audit"] {
        let (code, out, err) = run(&[verb, "--config", &config]);
        assert_eq!((code, out.as_str()), (Some(78), ""), "{verb}: {err}");
        assert!(err.contains("triaged.toml:3:9: `log.level`: `loud` is not known"), "{verb}: {err}");
        assert!(err.contains("3 | level = \"loud\"\n"), "{verb} shows the line: {err}");
    }
}

#[test]
fn a_reader_that_has_gone_ends_a_verb_quietly_and_a_full_disk_does_not() {
    for words in [vec!["schema", "config"], vec!["completions", "bash"], vec!["man"], vec!["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = triaged(&words).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = triaged(&["check", "--config", "/nowhere.toml"]).stderr(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "nobody hears why, and the code says it all the same");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = triaged(&["check", "--json", "--config", "/nowhere.toml"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "a verdict is no other because nobody reads it");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = triaged(&["schema", "config"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("triaged: cannot write to standard output: No space left"), "{told}");
}

/// What a verb prints when all its streams are a terminal; `None` where script(1) is not there, or cannot make one.
fn on_a_terminal(words: &str, variables: &[(&str, &str)]) -> Option<String> {
    let script = |line: &str| {
        let mut command = Command::new("script");
        command
            .args(["-q", "-e", "-c", line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stdin(Stdio::null());
        command.output()
    };
    match script("true") {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            println!("SKIPPED: no terminal can be made: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Err(error) => {
            println!("SKIPPED: no script(1) to make a terminal with: {error}");
            return None;
        }
    }
    let output = script(&format!("{} {words}", env!("CARGO_BIN_EXE_triaged"))).expect("it has just run");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn colours_go_to_a_terminal_and_never_where_they_are_not_wanted() {
    let words = "check --config /nowhere.toml";
    let wrong = "topics --config tests/wrong/a-setting-that-is-misspelled/triaged.toml";
    let Some(coloured) = on_a_terminal(wrong, &[]) else { return };
    assert!(coloured.contains("\x1b[1;31m^^^^^^^"), "{coloured:?}");
    for variables in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        for words in [wrong, words, "--help", "dance"] {
            let plain = on_a_terminal(words, &[variables]).unwrap();
            assert!(!plain.contains('\x1b'), "{words} with {variables:?}: {plain:?}");
        }
    }
    let (_, _, piped) = run(&["topics", "--config", "tests/wrong/a-setting-that-is-misspelled/triaged.toml"]);
    assert!(piped.contains("^^^^^^^") && !piped.contains('\x1b'), "{piped:?}");
}

#[test]
fn completions_of_every_shell_name_every_verb() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert_eq!(code, Some(0), "{shell}");
        for verb in triaged::cli::command().get_subcommands() {
            assert!(script.contains(verb.get_name()), "{shell} does not know `{}`", verb.get_name());
        }
    }
    // The shells that are here must at least be able to read what is theirs.
    for shell in ["bash", "zsh", "fish"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("completions");
        fs::write(&file, run(&["completions", shell]).1).unwrap();
        match Command::new(shell).arg("-n").arg(&file).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {output:?}"),
            Err(_) => println!("SKIPPED: {shell} is not here to read its completions"),
        }
    }
}

#[test]
fn one_page_for_each_verb_is_written_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("man/man1");
    let (code, said, _) = run(&["man", to.to_str().unwrap()]);
    let pages: BTreeSet<String> =
        fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!((code, said), (Some(0), format!("{} pages in {}\n", pages.len(), to.display())));
    let expected =
        verbs().into_iter().map(|path| [vec!["triaged".to_owned()], path].concat().join("-") + ".1");
    assert_eq!(pages, expected.collect());
    // Byte for byte the same each time: a package must be reproducible.
    let (_, main, _) = run(&["man"]);
    assert_eq!(fs::read_to_string(to.join("triaged.1")).unwrap().trim_end(), main.trim_end());
}

#[test]
fn the_sample_configuration_and_policy_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = triaged(&["check", "--config", "config/triaged.toml", "--json"])
        .current_dir(folder)
        .env("TRIAGED__POLICY__FOLDER", "config/policy")
        .output()
        .unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told:#}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(told["verdict"], "ready");
    assert_eq!(told["findings"], serde_json::json!([]));
    assert_eq!(told["policy"]["desks"][0]["name"], "air");
    assert!(told["policy"]["generation"].as_str().unwrap().starts_with("sha256:"));
    assert!(told["memory"]["pattern_bytes"].as_u64().unwrap() > 0);
    assert_eq!(told["memory"]["buffer_bytes"], 512 << 20);
}

#[test]
fn what_the_readme_says_to_run_in_a_checkout_runs_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let (_, running) = readme.split_once("## Running it\n").unwrap();
    let block = running.split("```").nth(1).unwrap();
    let commands: Vec<&str> =
        block.lines().filter_map(|line| line.split('#').next()).map(str::trim).collect();
    let commands: Vec<&str> = commands.into_iter().filter(|command| !command.is_empty()).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        // Those that ask a broker or a daemon get as far as asking, and find none; `run` would go on asking.
        let code = match words[..] {
            ["run", "--config", config] => {
                assert!(folder.join(config).exists(), "{config}");
                continue;
            }
            ["check", "--config", _] | ["test", _] => 0,
            _ => 69,
        };
        let mut command = triaged(&words);
        command.env("TRIAGED__KAFKA__BOOTSTRAP", "127.0.0.1:1");
        if words[0] == "ctl" {
            // Where somebody tries this, a daemon may run.
            command.env("TRIAGED__ADMIN__SOCKET", "/nowhere/admin.sock");
        }
        let output = command.current_dir(folder).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {told}");
        assert!(code != 0 || told.is_empty(), "nothing to mend before the first start: {words:?}: {told}");
    }
}

#[test]
fn every_verb_that_asks_a_broker_says_the_same_once_where_nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong/_sound/policy");
    let sound = sound.to_str().unwrap();
    let config = folder.path().join("triaged.toml");
    let text = format!("instance = 'a'\n[kafka]\nbootstrap = '127.0.0.1:1'\n[policy]\nfolder = '{sound}'\n");
    fs::write(&config, text).unwrap();
    let verbs: [&[&str]; 8] = [
        &["topics"],
        &["audit"],
        &["explain", "c0-1"],
        &["tap"],
        &["release", "--rule", "tv"],
        &["requeue"],
        &["replay", "--policy", sound],
        &["check", "--live"],
    ];
    let config = config.to_str().unwrap();
    let wrong: [&[&str]; 3] = [
        &["audit", "--from", "2026-11-23", "--to", "2026-11-22"],
        &["explain", "another-topic/0/1"],
        &["replay", "--policy", sound, "--from", "2026-11-23", "--to", "2026-11-22"],
    ];
    for words in wrong {
        let (code, _, told) = run(&[words, &["--config", config]].concat());
        assert_eq!(code, Some(64), "what is asked wrongly is told first: {words:?}: {told}");
    }
    let started = verbs.map(|words| {
        let mut command = triaged(&[words, &["--config", config]].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        (words, child)
    });
    for (words, child) in started {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(69), "{words:?}: {told}");
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines[0], "triaged: `127.0.0.1:1` is not reached: nobody listens there",
            "{words:?}: {told}"
        );
        assert!(
            lines[1].starts_with("  the client says: ") && lines[2].starts_with("hint: "),
            "{words:?}: {told}"
        );
        assert_eq!(lines.len(), 3, "{words:?}: {told}");
    }
}

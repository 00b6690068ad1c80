//! The house rules that a reader would otherwise have to remember, checked.
//!
//! Owns the order of layers, head comments, lengths, banned words, where `unsafe` may stand, and the proof that the
//! engine's bans bite. A rule that cannot be checked here belongs into docs/architecture.md, not into a comment.

#[path = "tidy/source.rs"]
mod source;

use source::{Source, words};
use std::path::Path;
use std::process::Command;

/// Each layer may use only what stands to its left; what shares a layer may not use each other. The same picture
/// stands in the crate's `lib.rs`.
const ENGINE_LAYERS: &str = "\
model <- text <- scan, signals <- policy <- dedup <- triage, desk, plans <- explain";
const DAEMON_LAYERS: &str = "\
clock, log, log_level, diagnostic <- error, log_seldom, progress <- wire <- config, policy_cache, policy_folder, counters, shown <- offsets, policies <- worker <- shard, rule_tests
    <- kafka, embedded, hyperscan, admin, systemd, interrupt <- pipeline, audit, simulator
    <- demo, files, explain, tap <- replay, rule_cost <- cli <- main";

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// Functions that are longer for a reason: path, name, reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];
/// The only two modules in which `unsafe` may stand, by the beginning of their files' paths; and, beside what ships,
/// where the benches count allocations and drive the bare client.
const UNSAFE_MODULES: &[&str] = &[
    "src/hyperscan.rs",
    "src/hyperscan/",
    "src/kafka/ffi.rs",
    "src/kafka/ffi/",
    "benches/engine/allocations.rs",
    "benches/kafka/bare.rs",
];
/// The only file that may read a clock.
const CLOCK_FILE: &str = "src/clock.rs";
/// What no file may say, spelled so that this one does not.
const BANNED_WORDS: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("ha", "ck")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let read = |path: &Path| std::fs::read_to_string(path).expect("a source file is text");
    let files = source::files(root(), |name| name.ends_with(".rs"));
    assert!(files.len() > 10, "the project's sources were not found");
    files.iter().map(|(name, path)| Source::new(name, &read(path))).collect()
}

/// Fails with every finding at once.
fn expect_none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

fn layers(picture: &str) -> Vec<Vec<&str>> {
    picture.split("<-").map(|layer| layer.split(',').map(str::trim).collect()).collect()
}

/// The modules of the own crate that production code of `source` names, with the byte where.
fn uses(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let code = source.production();
    let name = |at: usize| -> String {
        code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut found = Vec::new();
    let mut roots: Vec<usize> = words(code, "crate").map(|at| at + "crate".len()).collect();
    // As many `super` as the module is deep lead to the root as well.
    let climb = "super::".repeat(depth);
    let climbs = code.match_indices(&climb).map(|(at, _)| at);
    roots.extend(climbs.filter(|&at| !code[..at].ends_with("super::")).map(|at| at + climb.len() - 2));
    for at in roots.into_iter().filter(|&at| code[at..].starts_with("::")) {
        let at = at + 2;
        if code[at..].starts_with('{') {
            let end = code[at..].find(';').map_or(code.len(), |end| at + end);
            let mut nested = 0;
            for (index, byte) in code.bytes().enumerate().take(end).skip(at) {
                match byte {
                    b'{' => nested += 1,
                    b'}' => nested -= 1,
                    _ => {}
                }
                if nested == 1 && matches!(byte, b'{' | b',') {
                    let item = index + 1 + (code[index + 1..].len() - code[index + 1..].trim_start().len());
                    found.push((item, name(item)));
                }
            }
        } else {
            found.push((at, name(at)));
        }
    }
    found.retain(|(_, name)| name.starts_with(char::is_lowercase));
    found
}

fn check_layers(crate_root: &str, picture: &str) {
    let layers = layers(picture);
    let layer_of = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    let mut findings = Vec::new();
    for source in sources() {
        let Some(inside) = source.path.strip_prefix(crate_root) else { continue };
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        if module == "lib" {
            continue;
        }
        let Some(own) = layer_of(module) else {
            findings.push(format!("{}: `{module}` stands in no layer", source.path));
            continue;
        };
        let depth = inside.matches('/').count() + usize::from(!inside.ends_with("/mod.rs"));
        for (at, used) in uses(&source, depth) {
            // Names at the crate's root that are no modules (constants) are free.
            let allowed = used == module || layer_of(&used).is_none_or(|layer| layer < own);
            if !allowed {
                findings.push(format!("{}:{}: `{module}` uses `{used}`", source.path, source.line(at)));
            }
        }
    }
    expect_none("a layer may use only what stands to its left", findings);
}

#[test]
fn the_engine_keeps_its_layers() {
    check_layers("engine/src/", ENGINE_LAYERS);
}

#[test]
fn the_daemon_keeps_its_layers() {
    check_layers("src/", DAEMON_LAYERS);
}

#[test]
fn the_pictures_of_the_layers_are_those_that_are_checked() {
    for (path, picture) in [("engine/src/lib.rs", ENGINE_LAYERS), ("src/lib.rs", DAEMON_LAYERS)] {
        let text = std::fs::read_to_string(root().join(path)).expect("the crate has a root");
        let drawn: Vec<String> = picture.lines().map(|line| format!("//! {line}\n")).collect();
        assert!(text.contains(&drawn.concat()), "{path} must draw its layers so:\n{picture}");
    }
}

#[test]
fn every_file_says_what_it_is() {
    let head = |source: &Source| source.text.lines().take_while(|line| line.starts_with("//!")).count();
    // The names of tests speak for themselves: one line on what they are about will do.
    let least = |source: &Source| if source.production == 0 { 1 } else { 2 };
    let silent = sources().into_iter().filter(|source| head(source) < least(source));
    expect_none(
        "a head comment of two lines or more (one for tests)",
        silent.map(|source| source.path).collect(),
    );
}

#[test]
fn files_and_functions_fit_on_few_screens() {
    let mut findings = Vec::new();
    let mut excused = Vec::new();
    for source in sources() {
        let lines = source.production_lines();
        if lines > FILE_LINES_MAX {
            findings.push(format!("{}: {lines} lines, of {FILE_LINES_MAX} at most", source.path));
        }
        for (name, line, length) in source.functions() {
            let excuse = LONG_FUNCTIONS.iter().find(|long| long.0 == source.path && long.1 == name);
            match excuse {
                Some(long) if length > FUNCTION_LINES_MAX => excused.push(long.1),
                None if length > FUNCTION_LINES_MAX => {
                    findings.push(format!("{}:{line}: `{name}` has {length} lines", source.path));
                }
                _ => {}
            }
        }
    }
    for long in LONG_FUNCTIONS.iter().filter(|long| !excused.contains(&long.1)) {
        findings.push(format!("{}: `{}` needs its exception no more", long.0, long.1));
    }
    expect_none("lengths", findings);
}

fn may_be_unsafe(source: &Source) -> bool {
    UNSAFE_MODULES.iter().any(|module| source.path.starts_with(module))
}

#[test]
fn unsafe_stands_in_two_modules_only() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| !may_be_unsafe(source)) {
        findings
            .extend(words(&source.code, "unsafe").map(|at| format!("{}:{}", source.path, source.line(at))));
        for (at, allow) in source.code.match_indices("allow(unsafe_code)") {
            // A parent may open the door for one of the two modules, and for nothing else.
            let rest = source.code[at + allow.len()..].trim_start_matches(']').trim_start();
            if !(rest.starts_with("mod ffi;") || rest.starts_with("pub mod hyperscan;")) {
                findings.push(format!("{}:{}: {allow}", source.path, source.line(at)));
            }
        }
    }
    expect_none("unsafe", findings);
}

#[test]
fn unsafe_blocks_say_why_they_are_safe() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| may_be_unsafe(source)) {
        let lines: Vec<&str> = source.text.lines().collect();
        for at in words(&source.code, "unsafe") {
            let line = source.line(at) - 1;
            // An `unsafe fn` or a foreign block states a duty; only a block or an impl makes a promise.
            let rest = source.code[at + "unsafe".len()..].trim_start();
            let promise = rest.starts_with('{') || rest.starts_with("impl");
            let said = lines[line.saturating_sub(6)..=line].iter().any(|line| line.contains("SAFETY:"));
            if promise && !said {
                findings.push(format!("{}:{}", source.path, line + 1));
            }
        }
    }
    expect_none("unsafe without a SAFETY line within the six lines above", findings);
}

#[test]
fn production_code_neither_unwraps_nor_expects_without_naming_the_invariant() {
    let mut findings = Vec::new();
    // The simulator is a test: it is compiled into nothing else.
    for source in sources().into_iter().filter(|source| !source.path.starts_with("src/simulator/")) {
        let code = source.production();
        for (at, _) in code.match_indices(".unwrap()") {
            findings.push(format!("{}:{}: unwrap", source.path, source.line(at)));
        }
        for (at, call) in code.match_indices(".expect(") {
            let said = source.text[at + call.len()..].trim_start();
            if !said.starts_with("\"invariant: ") {
                findings.push(format!("{}:{}: expect without `invariant: `", source.path, source.line(at)));
            }
        }
    }
    expect_none("panics", findings);
}

#[test]
fn one_file_reads_the_clock() {
    let mut findings = Vec::new();
    for source in sources().iter().filter(|source| {
        source.path.contains("src/") && source.path != CLOCK_FILE && source.path != "src/simulator/tests.rs"
    }) {
        for call in ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"] {
            let hits = source.production().match_indices(call);
            findings.extend(hits.map(|(at, _)| format!("{}:{}: {call}", source.path, source.line(at))));
        }
    }
    expect_none("a clock read outside src/clock.rs", findings);
}

#[test]
fn nothing_is_left_for_later_in_a_comment() {
    let mut findings = Vec::new();
    for source in sources() {
        let lower = source.text.to_ascii_lowercase();
        for word in BANNED_WORDS {
            let hits =
                words(&lower, &word.to_ascii_lowercase()).map(|at| source.line(at)).collect::<Vec<_>>();
            findings.extend(hits.iter().map(|line| format!("{}:{line}: {word}", source.path)));
        }
        let code =
            words(&source.code, "dbg").filter(|&at| source.code[at..].starts_with(concat!("dbg", "!")));
        findings.extend(code.map(|at| format!("{}:{}: a debugging macro", source.path, source.line(at))));
    }
    expect_none("banned words", findings);
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let mut findings = Vec::new();
    for (name, path) in source::files(root(), |_| true) {
        // Files that are no text have no paths to show; real posts may hold any address.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        if name.starts_with("demo/") || name == "Cargo.lock" {
            continue;
        }
        for place in [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/home", "/")] {
            for (at, _) in text.match_indices(place) {
                let before = text[..at].chars().next_back();
                if before.is_none_or(|c| c.is_whitespace() || "\"'`(=:".contains(c)) {
                    let line = text[..at].matches('\n').count() + 1;
                    findings.push(format!("{name}:{line}: {place}"));
                }
            }
        }
    }
    expect_none("a path of a machine", findings);
}

#[test]
fn the_engines_bans_bite() {
    let planted = r#"
        //! Everything that the engine may not do, once each.
        pub fn clock() -> std::time::Instant { std::time::Instant::now() }
        pub fn date() -> std::time::SystemTime { std::time::SystemTime::now() }
        pub fn thread() { std::thread::spawn(|| ()); }
        pub fn sleep() { std::thread::sleep(std::time::Duration::ZERO); }
        pub fn environment() -> bool { std::env::var_os("A").is_some() }
        pub fn file() -> bool { std::fs::read("a").is_ok() }
        pub fn map() -> usize { std::collections::HashMap::<u8, u8>::new().len() }
        pub fn set() -> usize { std::collections::HashSet::<u8>::new().len() }
        pub fn print() { println!(); }
        pub fn complain() { eprintln!(); }
    "#;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("planted.rs");
    std::fs::write(&file, planted).expect("it can be written");
    let output = Command::new("clippy-driver")
        .env("CLIPPY_CONF_DIR", root().join("engine"))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--error-format=short", "--out-dir"])
        .args([folder.path(), &file])
        .output()
        .expect("clippy is part of the pinned toolchain");
    let said = String::from_utf8_lossy(&output.stderr);
    for (index, line) in planted.lines().enumerate().filter(|(_, line)| line.contains("pub fn")) {
        let here = format!("planted.rs:{}:", index + 1);
        let bitten = said.lines().any(|warning| warning.contains(&here) && warning.contains("disallowed"));
        assert!(bitten, "engine/clippy.toml lets through: {}\n{said}", line.trim());
    }
}

#[test]
fn the_scanner_of_these_rules_knows_code_from_comments_strings_and_tests() {
    let text = "//! a\nfn one(x: &'a str) { let c = '\"'; let s = \"fn two() { unsafe }\"; /* fn three() {} */ }\n\
                fn four() {\n    r#\"}\"#;\n}\nfn five();\n#[cfg(test)]\nmod tests { fn six() {} }\n";
    let source = Source::new("src/a.rs", text);
    let names: Vec<_> = source.functions().into_iter().map(|(name, _, length)| (name, length)).collect();
    assert_eq!(names, [("one".to_owned(), 1), ("four".to_owned(), 3)]);
    assert_eq!(words(&source.code, "unsafe").count(), 0);
    assert_eq!(source.code.len(), text.len());
    let used = uses(
        &Source::new("src/a/b.rs", "use crate::{wire::X, log};\nuse super::super::shard;\nuse super::c;"),
        2,
    );
    let used: Vec<_> = used.into_iter().map(|(_, name)| name).collect();
    assert_eq!(used, ["wire", "log", "shard"]);
}

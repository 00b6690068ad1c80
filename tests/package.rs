//! The Debian package: made of the program that the tests run, clean, complete, installed and purged.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether the machine has this program; told loudly where it has not.
fn has(program: &str, otherwise: &str) -> bool {
    let found =
        Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
    if !found {
        println!("SKIPPED: {program} is not installed, {otherwise}");
    }
    found
}

/// The package, made once; nothing where packages cannot be made.
fn package() -> Option<&'static Path> {
    static PACKAGE: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = PACKAGE.get_or_init(|| {
        if !has("dpkg-shlibdeps", "so no package can be made; scripts/setup installs it on Debian and Ubuntu")
        {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let binaries = folder.path().join("binaries");
        std::fs::create_dir(&binaries).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_triaged"), binaries.join("triaged")).unwrap();
        let made = Command::new(Path::new(ROOT).join("scripts/deb"))
            .args([&binaries, &folder.path().join("out")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", said(&made));
        let path = PathBuf::from(String::from_utf8_lossy(&made.stdout).trim());
        Some((folder, path))
    });
    made.as_ref().map(|(_, path)| path.as_path())
}

/// What dpkg-deb says of the package.
fn ask(what: &str, package: &Path, file: Option<&str>) -> String {
    let output = Command::new("dpkg-deb").arg(what).arg(package).args(file).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[test]
fn the_package_holds_the_program_its_units_a_configuration_and_its_pages() {
    let Some(package) = package() else { return };
    let list = ask("--contents", package, None);
    let mut expected = vec![
        ("-rwxr-xr-x", "usr/bin/triaged".to_owned()),
        ("-rw-r--r--", "usr/lib/systemd/system/triaged.service".to_owned()),
        ("-rw-r--r--", "usr/lib/systemd/system/triaged@.service".to_owned()),
        ("-rw-r--r--", "etc/triaged/triaged.toml".to_owned()),
        ("-rw-r--r--", "etc/triaged/policy/desks.toml".to_owned()),
        ("-rw-r--r--", "usr/share/man/man1/triaged.1.gz".to_owned()),
        ("-rw-r--r--", "usr/share/bash-completion/completions/triaged".to_owned()),
        ("-rw-r--r--", "usr/share/zsh/vendor-completions/_triaged".to_owned()),
        ("-rw-r--r--", "usr/share/fish/vendor_completions.d/triaged.fish".to_owned()),
    ];
    for page in [
        "copyright",
        "changelog.gz",
        "changelog.Debian.gz",
        "examples/memory.conf",
        "operations.md",
        "runbooks.md",
        "schemas/assignment.created.json",
        "deploy/prometheus/triaged.rules.yml",
        "deploy/prometheus/tests.yml",
        "deploy/grafana/triaged.json",
    ] {
        expected.push(("-rw-r--r--", format!("usr/share/doc/triaged/{page}")));
    }
    for (mode, path) in &expected {
        let line = list.lines().find(|line| line.ends_with(&format!("./{path}")));
        assert!(
            line.is_some_and(|line| line.starts_with(&format!("{mode} root/root"))),
            "{path}: {line:?}\n{list}"
        );
    }
    // What an administrator changes is kept: every file under /etc is known as such.
    let kept = ask("--info", package, Some("conffiles"));
    let files = list.lines().filter(|line| line.starts_with('-'));
    let mut files: Vec<&str> =
        files.filter_map(|line| line.split_once(" ./etc/")).map(|(_, path)| path).collect();
    files.sort_unstable();
    let known: Vec<&str> = kept.lines().filter_map(|line| line.strip_prefix("/etc/")).collect();
    assert_eq!(known, files);
    let control = ask("--info", package, Some("control"));
    let depends = control.lines().find(|line| line.starts_with("Depends: ")).unwrap_or_default();
    let scanner = ["libhyperscan5", "libvectorscan5"].iter().any(|library| depends.contains(library));
    assert!(
        scanner && depends.contains("libssl3") && depends.contains("libc6 (>= "),
        "its libraries: {control}"
    );
}

/// Where a page's relative links lead: paths, seen from the page, and anchors; either may be empty.
fn links(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let targets = page.match_indices("](").filter_map(|(at, _)| page[at + 2..].split(')').next());
    let here = targets.filter(|target| !target.contains("://"));
    here.map(|target| target.split_once('#').unwrap_or((target, "")))
}

/// Whether a heading of the page has this anchor: its words in lower case, joined by hyphens.
fn has_anchor(page: &str, anchor: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let letters = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    let anchors = headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().chars().filter(letters).collect());
    anchors.map(|words: String| words.replace(' ', "-")).any(|known| known == anchor)
}

#[test]
fn every_page_is_in_the_package_and_every_link_between_pages_leads_somewhere() {
    let text = "[a](b.md#c) [d](#e) [f](https://g) [h](i/j.svg)";
    assert_eq!(links(text).collect::<Vec<_>>(), [("b.md", "c"), ("", "e"), ("i/j.svg", "")]);
    assert!(has_anchor("## A page: of `words`\n", "a-page-of-words") && !has_anchor("a\n", "a"));
    let Some(package) = package() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("dpkg-deb").arg("--extract").args([package, folder.path()]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let pages = folder.path().join("usr/share/doc/triaged");
    let (mut count, mut followed) = (0, 0);
    for source in std::fs::read_dir(Path::new(ROOT).join("docs")).unwrap() {
        let name = source.unwrap().file_name();
        assert!(pages.join(&name).exists(), "{name:?} is not packed");
        if Path::new(&name).extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let page = std::fs::read_to_string(pages.join(&name)).unwrap();
        for (path, anchor) in links(&page) {
            let to = if path.is_empty() { pages.join(&name) } else { pages.join(path) };
            assert!(to.exists(), "{name:?}: `{path}` leads nowhere in the package");
            let found = anchor.is_empty() || has_anchor(&std::fs::read_to_string(&to).unwrap(), anchor);
            assert!(found, "{name:?}: `{path}` has no `#{anchor}`");
            followed += 1;
        }
        count += 1;
    }
    println!("{count} pages, {followed} links");
    assert!(count >= 10 && followed >= 10, "{count} pages, {followed} links");
}

#[test]
fn lintian_finds_nothing_in_the_package() {
    let Some(package) = package() else { return };
    if !has("lintian", "so the package is not looked through: apt-get install lintian") {
        return;
    }
    let words = ["--fail-on", "error,warning", "--allow-root"];
    let output = Command::new("lintian").args(words).arg(package).output().unwrap();
    println!("{}", said(&output));
    assert!(output.status.success(), "{}: {}", output.status, said(&output));
}

#[test]
fn the_package_installs_runs_and_leaves_nothing_behind_when_purged() {
    let Some(package) = package() else { return };
    let script = Path::new(ROOT).join("tests/package/install.sh");
    let output =
        Command::new("timeout").args(["--kill-after=10", "120"]).arg(script).arg(package).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", said(&output));
}

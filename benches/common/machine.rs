//! What the figures were made on: processor, memory, kernel, versions.
//!
//! Owns reading them from the system; what cannot be read says so. Written into every result.

use std::process::Command;

/// The facts, in the order in which they are shown.
pub fn facts() -> Vec<(String, String)> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |key: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_once(':'))
            .map_or("unknown".into(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    vec![
        fact("processor", format!("{} ({cores} cores, {} cache)", field("model name"), field("cache size"))),
        fact("memory", format!("{:.1} GiB", kib.unwrap_or(0) as f64 / 1_048_576.0)),
        fact("kernel", said("uname", &["-sr"])),
        fact("compiler", said("rustc", &["--version"])),
        fact("build", build()),
        fact("literal matcher", format!("libhs {}", triaged::hyperscan::version())),
        fact(
            "triaged",
            format!("{} {}", env!("CARGO_PKG_VERSION"), said("git", &["rev-parse", "--short=12", "HEAD"])),
        ),
        fact("load at start", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()),
    ]
}

/// Under which profile this was compiled, as far as the environment changed it.
fn build() -> String {
    if cfg!(debug_assertions) {
        return "not optimised".to_owned();
    }
    match option_env!("CARGO_PROFILE_RELEASE_LTO") {
        None => "release profile".to_owned(),
        Some(lto) => format!("release profile, but CARGO_PROFILE_RELEASE_LTO={lto}"),
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

//! The sample policy that ships, as files that may be changed while the demo runs.
//!
//! Owns the list of the files of config/policy, which are part of the program, so that the demo needs none at run time.

use std::fs;
use std::io;
use std::path::Path;

macro_rules! shipped {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../config/policy/", $path)))),*]
    };
}

/// Path inside the folder, and text.
const FILES: &[(&str, &str)] = shipped![
    "desks.toml",
    "rules/billing.toml",
    "rules/digital.toml",
    "rules/internet.toml",
    "rules/mobile.toml",
    "rules/noise.toml",
    "rules/service.toml",
    "rules/television.toml",
    "rules/travel.toml",
    "rules/urgent.toml",
    "signals.toml",
    "workflow.toml",
];

/// Writes the sample policy into `folder`.
///
/// # Errors
/// When the folder cannot be written to.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    for (path, text) in FILES {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_folder::read_policy_folder;

    #[test]
    fn the_demo_runs_under_the_sample_policy_file_for_file() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path()).expect("it can be written");
        let sample = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/policy"));
        let written = read_policy_folder(folder.path()).expect("it can be read");
        assert_eq!(written, read_policy_folder(sample).expect("it can be read"));
    }
}

//! Whether this host lets the daemon start: the file of the admin token, the folders of its socket and of its state.
//!
//! Owns what `check` says of them before a restart. What would keep any user's daemon from starting is a mistake, of
//! `run` too; what may be otherwise for the daemon's own user, or once systemd has made its folders, is a note of `check`.
//! May not make or change anything. Called by `check`, and by `load` before the daemon runs.

use crate::admin;
use crate::config::Loaded;
use crate::diagnostic::{Diagnostic, Severity};
use rustix::fs::{Access, access};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What any daemon with these settings would end with on this host.
pub(super) fn mistakes(loaded: &Loaded) -> Vec<Diagnostic> {
    let file = &loaded.settings.admin.token_file;
    // What names a credential that there is not was told with the settings.
    if file.as_os_str().is_empty() || file.to_string_lossy().contains("${") || loaded.damaged {
        return Vec::new();
    }
    let wrong = admin::check_token_file(file).err().map(|error| {
        let told = error.to_diagnostic();
        loaded.places.mistake("admin.token_file", told.what).hint(told.hint)
    });
    wrong.into_iter().collect()
}

/// What `check` says of the folders that the configuration names. Of one that it does not name nothing is said: it is
/// the service manager's, which makes it.
pub(super) fn folders(loaded: &Loaded) -> Vec<Diagnostic> {
    let Loaded { settings, places, .. } = loaded;
    let looks: [(&str, &Path, Look); 2] = [
        ("state_dir", &settings.host.state_dir, state_dir),
        ("admin.socket", &settings.admin.socket, socket),
    ];
    // The state directory is made with all the folders above it, and so may the socket's be.
    let made = |path: &Path| {
        path.parent().is_some_and(|folder| !folder.exists() && settings.host.state_dir.starts_with(folder))
    };
    let named = looks.into_iter().filter(|(setting, ..)| places.is_set(setting));
    let named = named.filter(|(setting, path, _)| *setting != "admin.socket" || !made(path));
    let told = named.filter_map(|(setting, path, look)| {
        let (severity, what, hint) = look(path)?;
        let told = places.mistake(setting, format!("`{setting}`: {what}")).hint(hint);
        Some(Diagnostic { severity, ..told })
    });
    told.collect()
}

/// A look at one path: how bad it is, what is wrong, what to do.
type Look = fn(&Path) -> Option<(Severity, String, &'static str)>;

/// The state directory is made at the start, with all the folders above it.
fn state_dir(path: &Path) -> Option<(Severity, String, &'static str)> {
    let hint = "name a folder that the daemon may write to; under systemd `StateDirectory=` makes one";
    let nearest = path.ancestors().find(|above| above.exists() || above.as_os_str().is_empty())?;
    let shown = path.display();
    if nearest.exists() && !nearest.is_dir() {
        let what = format!("`{shown}` cannot be a folder: `{}` is a file", nearest.display());
        return Some((Severity::Mistake, what, hint));
    }
    // What is relative begins in the folder where we are.
    let nearest = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
    let why = access(nearest, Access::WRITE_OK | Access::EXEC_OK).err()?;
    let what =
        format!("`{shown}` could not be written to or made by this user: `{}`: {why}", nearest.display());
    Some((Severity::Note, what, hint))
}

/// The socket's folder must be there: the daemon makes none.
fn socket(path: &Path) -> Option<(Severity, String, &'static str)> {
    if let Ok(there) = fs::symlink_metadata(path)
        && !there.file_type().is_socket()
    {
        let what = format!("`{}` exists and is no socket", path.display());
        return Some((Severity::Mistake, what, "set `admin.socket` to a path of its own"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = folder.display();
    match fs::metadata(folder) {
        Ok(there) if !there.is_dir() => {
            let what = format!("`{shown}` is no folder");
            Some((Severity::Mistake, what, "set `admin.socket` to a path in a folder"))
        }
        Ok(_) => {
            let why = access(folder, Access::WRITE_OK | Access::EXEC_OK).err()?;
            let what = format!("no socket could be made in `{shown}` by this user: {why}");
            Some((Severity::Note, what, "the daemon's user must be able to write there"))
        }
        Err(why) if why.kind() == ErrorKind::NotFound => {
            let what = format!("the folder `{shown}` is not there, and `run` makes none");
            let hint = "make it before the start; under systemd `RuntimeDirectory=` does";
            Some((Severity::Note, what, hint))
        }
        Err(why) => {
            let what = format!("the folder `{shown}` cannot be looked at by this user: {why}");
            Some((Severity::Note, what, "the daemon's user must be able to write there"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn told(text: &str) -> Vec<(Severity, String)> {
        let loaded = config::load("t.toml", text, [], "host");
        assert!(loaded.mistakes.is_empty(), "{:?}", loaded.mistakes);
        folders(&loaded)
            .into_iter()
            .map(|told| (told.severity, format!("{}: {}", told.line, told.what)))
            .collect()
    }

    #[test]
    fn folders_that_the_configuration_names_are_looked_at_and_only_what_is_certain_is_a_mistake() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path().display().to_string();
        fs::write(folder.path().join("file"), "x").expect("written");
        let of = |state: &str, socket: &str| {
            told(&format!("state_dir = '{here}/{state}'\n[admin]\nsocket = '{here}/{socket}'"))
        };
        assert_eq!(of("state/deeper", "admin.sock"), []);
        let away = of("file/deeper", "away/admin.sock");
        let words = ["cannot be a folder", "is not there, and `run` makes none"];
        for ((severity, line), (told, word)) in
            [(Severity::Mistake, 1), (Severity::Note, 3)].iter().zip(away.iter().zip(words))
        {
            assert_eq!(told.0, *severity, "{told:?}");
            assert!(told.1.starts_with(&format!("{line}: ")) && told.1.contains(word), "{told:?}");
        }
        let taken = of("state", "file");
        assert!(
            taken[0].0 == Severity::Mistake && taken[0].1.contains("exists and is no socket"),
            "{taken:?}"
        );
        assert_eq!(told("state_dir = 'relative/state'\n"), [], "made below the folder where we are");
    }

    #[test]
    fn folders_that_nobody_names_are_the_service_managers_business() {
        assert_eq!(told("instance = 'a'\n"), []);
    }
}

//! What ends a command: a message, a hint, an exit code.
//!
//! Owns the one rendering of errors at the edge (lower case, the user's value quoted, a hint line) and their
//! sysexits codes. Modules below have typed errors of their own and are converted here; nothing else may choose
//! an exit code. Called by the command line, the pipeline and the admin server's start.

use crate::diagnostic::Diagnostic;
use crate::log::LogError;
use std::fmt;
use std::io::{ErrorKind, IsTerminal, Write};

/// What kind of failure it was, which decides the exit code (sysexits.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The command line was wrong.
    Usage = 64,
    /// What was read is not what it should be.
    Data = 65,
    /// A file to read, named on the command line, is not there or cannot be read.
    NoInput = 66,
    /// Something this depends on is not there, a broker above all.
    Unavailable = 69,
    /// A file to write cannot be made.
    CannotCreate = 73,
    /// Reading or writing failed on the way.
    InputOutput = 74,
    /// It did not work now and may work later.
    TryAgain = 75,
    /// The broker refuses the login, or a right that is needed.
    NoPermission = 77,
    /// The configuration, the policy or the machine's set-up is wrong; starting again will not help.
    Configuration = 78,
}

impl Kind {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// Why a command ends. One or more mistakes, all told at once, and what to do about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
    mistakes: Vec<String>,
    diagnostics: Vec<Diagnostic>,
    hint: Option<String>,
}

impl Error {
    /// An error of `kind`. The message is lower case, without a full stop, and quotes the user's value.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), mistakes: Vec::new(), diagnostics: Vec::new(), hint: None }
    }

    /// The command line was wrong: 64.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// What was read is not what it should be: 65.
    #[must_use]
    pub fn data(message: impl Into<String>) -> Error {
        Error::new(Kind::Data, message)
    }

    /// Something this depends on is not there: 69.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Error {
        Error::new(Kind::Unavailable, message)
    }

    /// It may work later: 75.
    #[must_use]
    pub fn try_again(message: impl Into<String>) -> Error {
        Error::new(Kind::TryAgain, message)
    }

    /// The broker refuses the login or a right: 77.
    #[must_use]
    pub fn no_permission(message: impl Into<String>) -> Error {
        Error::new(Kind::NoPermission, message)
    }

    /// The configuration is wrong: 78.
    #[must_use]
    pub fn configuration(message: impl Into<String>) -> Error {
        Error::new(Kind::Configuration, message)
    }

    /// With a line that says what to do; an empty one says nothing.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self
    }

    /// With every single mistake, one line each, usually `file:line:column: what`.
    #[must_use]
    pub fn mistakes<T: fmt::Display>(mut self, mistakes: impl IntoIterator<Item = T>) -> Error {
        self.mistakes.extend(mistakes.into_iter().map(|mistake| mistake.to_string()));
        self
    }

    /// With every single mistake in a file, each shown with its line.
    #[must_use]
    pub fn diagnostics(mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) -> Error {
        self.diagnostics.extend(diagnostics);
        self
    }

    /// The rendering for people: the message, the mistakes indented below it, the hint last.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut shown = self.message.clone();
        let files = self.diagnostics.iter().map(|diagnostic| diagnostic.render(colour));
        for mistake in self.mistakes.iter().cloned().chain(files) {
            shown += "\n  ";
            shown += &mistake.replace('\n', "\n  ");
        }
        if let Some(hint) = &self.hint {
            shown += "\nhint: ";
            shown += hint;
        }
        shown
    }

    /// Every single mistake in words, or the message where there are none: for those who know a better place.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        if self.mistakes.is_empty() { vec![self.message.clone()] } else { self.mistakes.clone() }
    }

    /// Takes the mistakes in files out, for those who show them themselves.
    pub fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.diagnostics)
    }

    /// The message with its hint as one finding, for those who show findings.
    #[must_use]
    pub fn to_diagnostic(&self) -> Diagnostic {
        Diagnostic::mistake(&self.message).hint(self.hint.clone().unwrap_or_default())
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Error {}

impl From<LogError> for Error {
    fn from(error: LogError) -> Error {
        let message = error.to_string();
        match error {
            LogError::Away(_) => Error::unavailable(message)
                .hint("is the broker running, and is `kafka.bootstrap` right? `make kafka` starts one here"),
            LogError::Missing(_) => Error::configuration(message)
                .hint("`triaged topics --create` makes the topics that are missing; one that a principal may not see is missing to it too"),
            LogError::Denied(_) => Error::no_permission(message)
                .hint("`triaged topics --acl` prints the rights that are needed, `triaged check --live` those that are missing"),
            LogError::OutOfRange { .. } => Error::data(message),
            LogError::Fenced(_) | LogError::Fatal(_) => Error::try_again(message),
        }
    }
}

/// Whether to write in colour there: only on a terminal, and only where the environment does not say otherwise
/// (`NO_COLOR`, a terminal called `dumb`).
pub fn colour_on(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Prints one line on standard output. A reader that has gone (`triaged topics | head`) has seen what it wanted: what
/// comes after is dropped, and the verb ends with the exit code that it would have had, for a verdict is no other because
/// only its first lines were read. What cannot be written for another reason ends the process with 74.
pub fn print_line(line: fmt::Arguments<'_>) {
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => {
            warn_line(format_args!("cannot write to standard output: {error}"));
            std::process::exit(i32::from(Kind::InputOutput.exit_code()));
        }
    }
}

/// Prints one line on standard error, after the program's name. Where nobody hears it, the exit code says it all the
/// same.
pub fn warn_line(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "triaged: {line}");
}

/// `eprintln!` for verbs: see [`warn_line`].
#[macro_export]
macro_rules! warn_of {
    ($($line:tt)*) => { $crate::error::warn_line(format_args!($($line)*)) };
}

/// `println!` for verbs: see [`print_line`].
#[macro_export]
macro_rules! say {
    () => { $crate::error::print_line(format_args!("")) };
    ($($line:tt)*) => { $crate::error::print_line(format_args!($($line)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_message_then_every_mistake_then_the_hint() {
        let error = Error::configuration("the policy in `config/policy` has 2 mistakes")
            .mistakes(["rules/tv.toml:3:9: unknown key `qeury`", "desks.toml:1:1: no desk\nat all"])
            .hint("did you mean `query`?");
        assert_eq!(error.exit_code(), 78);
        assert_eq!(
            error.to_string(),
            "the policy in `config/policy` has 2 mistakes\n  rules/tv.toml:3:9: unknown key `qeury`\n  \
             desks.toml:1:1: no desk\n  at all\nhint: did you mean `query`?"
        );
    }

    #[test]
    fn a_broker_that_is_away_exits_69_and_says_what_to_do() {
        let error = Error::from(LogError::Away("connection refused".to_owned()));
        assert_eq!(error.exit_code(), 69);
        assert!(error.to_string().contains("connection refused\nhint: "));
    }
}

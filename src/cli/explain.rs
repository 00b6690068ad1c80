//! `triaged explain`: the story of a mention or a case, on standard output.
//!
//! Owns the options and what is printed. Where to look is `crate::explain`.

use super::{Config, FINDINGS, load};
use crate::audit;
use crate::error::Error;
use crate::explain;
use crate::pipeline;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// A position such as mentions/0/1043, a case such as c0-17, or a mention's id such as x:1790001
    #[arg(required_unless_present = "mention", conflicts_with = "mention")]
    id: Option<String>,
    /// A mention that has not been sent, decided under the local policy folder; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    mention: Option<String>,
    /// Why this rule matches or not, term by term; may be given more than once
    #[arg(long = "rule", value_name = "NAME")]
    rules: Vec<String>,
    /// The story as JSON
    #[arg(long)]
    json: bool,
}

/// Tells the story; exit code 1 when nothing was found.
///
/// # Errors
/// 64 for a question that makes no sense, 66 for a file that cannot be read, 69 when no broker answers.
pub(super) fn explain(options: &Options) -> Result<ExitCode, Error> {
    let settings = load::settings(&options.config)?;
    load::log(load::QUIET);
    let story = match (&options.mention, &options.id) {
        (Some(from), _) => explain::explain_unsent(&settings, from, &options.rules)?,
        (None, Some(id)) => {
            // What is asked wrongly is told before a broker is waited for.
            explain::Question::parse(id, &settings.topics.mentions)?;
            let logs = pipeline::reached(&settings)?;
            let mut shown = audit::Shown::new("searches");
            explain::explain(&settings, logs.as_ref(), id, &options.rules, &mut |step| shown.show(&step))?
        }
        (None, None) => return Err(Error::usage("nothing to explain is named")),
    };
    if options.json {
        let json = serde_json::to_string_pretty(&story).expect("invariant: a story of text can be written");
        crate::say!("{json}");
    } else if story.found {
        crate::say!("{}", story.to_string().trim_end());
    }
    if !story.found {
        let asked = &story.asked;
        let nothing = Error::data(format!("`{asked}` was not found; searched:")).mistakes(&story.searched);
        eprintln!("triaged: {nothing}");
        return Ok(ExitCode::from(FINDINGS));
    }
    Ok(ExitCode::SUCCESS)
}

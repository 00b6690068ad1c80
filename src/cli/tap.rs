//! `triaged tap`: decisions as they are made, one line each, on standard output.
//!
//! Owns the options and the printing. What is watched is `crate::tap`.

use super::{Config, load};
use crate::audit;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::pipeline;
use crate::tap::{self, DISPOSITIONS, Line, Wishes};
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::io::Write;
use std::process::ExitCode;
use triage_engine::model::Disposition;
use triage_engine::policy::Search;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// Only mentions for which this query holds, in the language of the rules
    query: Option<String>,
    /// Begin at this time instead of now, such as 2026-11-22T09:14:03Z or 2026-11-22
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only mentions that ended so; may be given more than once
    #[arg(long, value_name = "D", value_parser = PossibleValuesParser::new(DISPOSITIONS))]
    disposition: Vec<String>,
    /// End after so many lines; without it Ctrl-C ends it
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// MiB of the client's buffers: a tap reads one batch ahead for each partition, not half a gigabyte.
const BUFFER_MIB: u32 = 16;

/// Watches until it is asked to end.
///
/// # Errors
/// 64 for a query or a time that cannot be read, 69 when no broker answers.
pub(super) fn tap(options: &Options) -> Result<ExitCode, Error> {
    let query = options.query.as_deref().map(|query| {
        Search::new(query).map_err(|mistakes| {
            let told = mistakes.iter().map(|mistake| {
                let hint =
                    if mistake.hint.is_empty() { String::new() } else { format!("; {}", mistake.hint) };
                format!("column {}: {}{hint}", mistake.column, mistake.what)
            });
            Error::usage(format!("the query `{query}` cannot be read")).mistakes(told.collect::<Vec<_>>())
        })
    });
    let wishes = Wishes {
        query: query.transpose()?,
        dispositions: Disposition::ALL
            .iter()
            .copied()
            .filter(|known| options.disposition.iter().any(|name| name == known.name()))
            .collect(),
        from: options.from.as_deref().map(audit::time).transpose()?,
        count: options.count,
    };
    let mut settings = load::settings(&options.config)?;
    load::log(load::QUIET);
    settings.limits.buffer_mib = settings.limits.buffer_mib.min(BUFFER_MIB);
    let logs = pipeline::reached(&settings)?;
    let interrupt = Interrupt::listen()?;
    let mut show = |line: &Line| {
        let mut out = std::io::stdout().lock();
        let written = match options.json {
            true => serde_json::to_writer(&mut out, line).map_err(Into::into).and_then(|()| writeln!(out)),
            false => writeln!(out, "{line}"),
        };
        // A reader that has gone has seen enough.
        written.and_then(|()| out.flush()).is_ok()
    };
    let mut skipped =
        |count| eprintln!("triaged: {count} decisions were left out: more are made than can be shown");
    tap::tap(&settings, logs.as_ref(), wishes, &interrupt, &mut show, &mut skipped)?;
    Ok(ExitCode::SUCCESS)
}

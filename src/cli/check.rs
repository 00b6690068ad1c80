//! `triaged check`: whether the daemon could start with these files, what they say, and what is probably not meant.
//!
//! Owns the verdict, the summary on standard output and the JSON of docs/check.md. Every finding is made where the
//! thing is known: `load` and `config` for triaged.toml, `host` for this machine, the engine for the policy. Asks no broker.

use super::check_live::{self, Said};
use super::{Config, FINDINGS, host, load, memory, unread};
use crate::config::{Loaded, Places, Settings};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Kind, colour_on};
use crate::pipeline;
use crate::pipeline::policy::{self, Local, Refused};
use crate::pipeline::topics;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use memory::Estimate;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;
use triage_engine::policy::{LintKind, Policy, lint};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,
    /// Do not report this lint; may be given more than once
    #[arg(long, value_name = "LINT", value_parser = lint_names())]
    allow: Vec<String>,
    /// Ask the brokers too: reached, rights, topics, groups, keys and time stamps of the newest mentions
    #[arg(long)]
    live: bool,
    /// The findings, the summary and the memory as one JSON object; with --live what the brokers say is in it
    #[arg(long)]
    json: bool,
}

fn lint_names() -> PossibleValuesParser {
    let named = |kind: LintKind| PossibleValue::new(kind.name()).help(kind.about().trim_end_matches('.'));
    PossibleValuesParser::new(LintKind::ALL.map(named))
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ready,
    Findings,
    CannotStart,
}

/// All that is known in the end: the JSON object.
#[derive(Debug, Serialize)]
struct Outcome {
    verdict: Verdict,
    exit_code: u8,
    configuration: Configuration,
    policy: Option<Summary>,
    memory: Option<Estimate>,
    findings: Vec<Diagnostic>,
    /// With `--live`, where the files are right.
    live: Option<Said>,
}

#[derive(Debug, Serialize)]
struct Configuration {
    file: String,
    instance: String,
    group: String,
    bootstrap: String,
}

/// What the policy says.
#[derive(Debug, Serialize)]
struct Summary {
    folder: String,
    generation: String,
    rules: usize,
    literals: usize,
    rules_always_run: usize,
    filters: usize,
    desks: Vec<DeskSummary>,
}

#[derive(Debug, Serialize)]
struct DeskSummary {
    name: String,
    log_partition: u32,
    queues: Vec<String>,
}

/// Checks the configuration and the policy folder that it names.
///
/// # Errors
/// 78 when the configuration's file cannot be read at all.
pub(super) fn check(options: &Options) -> Result<ExitCode, Error> {
    let mut outcome = match load::read(&options.config) {
        Ok(loaded) => examine(loaded, &options.allow),
        Err(mut error) if options.json => {
            let told = error.take_diagnostics();
            let told = if told.is_empty() { vec![error.to_diagnostic()] } else { told };
            cannot_read(&options.config, told)
        }
        Err(error) => return Err(error),
    };
    let asks = options.live && outcome.verdict != Verdict::CannotStart;
    let settings = if asks { Some(load::settings(&options.config)?) } else { None };
    let said = settings.as_ref().map(check_live::ask);
    if options.json {
        match said {
            Some(Ok(said)) => outcome.hear(said),
            Some(Err(error)) => outcome.hears_nothing(&error),
            None => {}
        }
        let json = serde_json::to_string_pretty(&outcome).expect("invariant: an outcome is JSON");
        crate::say!("{json}");
        return Ok(ExitCode::from(outcome.exit_code));
    }
    let unreached = said.and_then(|said| said.map(|said| outcome.hear(said)).err());
    show(&outcome);
    if let Some(error) = unreached {
        return Err(error);
    }
    if let (Some(settings), Some(said)) = (&settings, &outcome.live) {
        check_live::print(settings, said);
    }
    Ok(ExitCode::from(outcome.exit_code))
}

impl Outcome {
    /// Takes note of what the brokers said: the memory for all partitions that they have, and the graver exit code.
    fn hear(&mut self, said: Said) {
        let crowded = self.memory.as_ref().and_then(|memory| memory.crowded(said.input_partitions));
        if let Some(crowded) = crowded {
            self.findings.push(crowded);
            self.verdict = Verdict::Findings;
            self.exit_code = FINDINGS;
        }
        self.exit_code = self.exit_code.max(said.exit_code());
        self.live = Some(said);
    }

    fn hears_nothing(&mut self, why: &Error) {
        self.exit_code = why.exit_code();
        self.live = Some(Said::nothing(why));
    }
}

fn cannot_read(config: &Config, findings: Vec<Diagnostic>) -> Outcome {
    let nothing = String::new;
    let file = config.config.as_ref().map_or_else(nothing, |path| path.display().to_string());
    let configuration = Configuration { file, instance: nothing(), group: nothing(), bootstrap: nothing() };
    let exit_code = Kind::Configuration.exit_code();
    Outcome {
        verdict: Verdict::CannotStart,
        exit_code,
        configuration,
        policy: None,
        memory: None,
        findings,
        live: None,
    }
}

fn examine(loaded: Loaded, allow: &[String]) -> Outcome {
    let mut findings = loaded.mistakes.clone();
    if findings.is_empty() {
        findings.extend(pipeline::warnings(&loaded.settings).into_iter().map(|what| {
            let (what, hint) = what.split_once(": ").unwrap_or((&what, ""));
            Diagnostic { severity: Severity::Warning, ..Diagnostic::mistake(what).hint(hint) }
        }));
        findings.extend(host::folders(&loaded));
    }
    findings.extend(host::mistakes(&loaded));
    let Loaded { settings, places, damaged, .. } = &loaded;
    // A folder that is named wrongly, or perhaps in a part of the file that cannot be read, says nothing.
    let folder_is_known = !damaged || places.is_set("policy.folder");
    let mut known = None;
    if folder_is_known && !findings.iter().any(|wrong| wrong.what.starts_with("`policy.folder`: ")) {
        known = examine_policy(settings, places, allow, &mut findings);
    }
    let (summary, estimate) = known.unzip();
    let (verdict, exit_code) = match findings.iter().map(|finding| finding.severity).min() {
        None | Some(Severity::Note) => (Verdict::Ready, 0),
        Some(Severity::Warning) => (Verdict::Findings, FINDINGS),
        Some(Severity::Mistake) => (Verdict::CannotStart, Kind::Configuration.exit_code()),
    };
    let Loaded { settings, places, .. } = loaded;
    let configuration = Configuration {
        file: places.file().to_owned(),
        instance: settings.host.instance,
        group: settings.group.name,
        bootstrap: settings.kafka.bootstrap,
    };
    Outcome { verdict, exit_code, configuration, policy: summary, memory: estimate, findings, live: None }
}

/// The policy folder, its tests and what in it is not read; what the policy says, if it can be used.
fn examine_policy(
    settings: &Settings,
    places: &Places,
    allow: &[String],
    findings: &mut Vec<Diagnostic>,
) -> Option<(Summary, Estimate)> {
    let folder = &settings.policy.folder;
    let local = match policy::load(folder) {
        Ok(local) => local,
        Err(Refused::Folder(why)) => {
            let told = places.mistake("policy.folder", format!("the policy folder cannot be used: {why}"));
            findings.push(told.hint(folder_hint(folder)));
            findings.extend(unread::told(folder));
            return None;
        }
        Err(refused) => {
            findings.extend(refused.into_error(folder).take_diagnostics());
            findings.extend(unread::told(folder));
            return None;
        }
    };
    let lints = lint(&local.bundle).into_iter().filter(|l| !allow.iter().any(|a| a == l.kind.name()));
    let shown = folder.display().to_string();
    findings.extend(lints.map(|lint| Diagnostic::from(lint).in_folder(&shown)));
    // Tests with mistakes keep a reload away, and a start goes on without them.
    if let Err(refused) = policy::tests(folder, &local.policy) {
        let told = refused.into_error(folder).take_diagnostics();
        findings.extend(told.into_iter().map(|told| Diagnostic { severity: Severity::Warning, ..told }));
    }
    findings.extend(unread::told(folder));
    let clashes = topics::clashes(settings, &local.policy).into_iter();
    findings.extend(clashes.map(|clash| places.mistake(clash.setting, clash.what)));
    let needed = Estimate::new(settings, &local.policy);
    findings.extend(needed.refusal(places));
    Some((Summary::new(settings, &local), needed))
}

fn folder_hint(folder: &Path) -> String {
    match folder.parent() {
        Some(parent) if folder.is_file() => {
            format!("name the folder: folder = {:?}", parent.display().to_string())
        }
        _ if !folder.exists() => format!("{}config/policy is a sample", load::relative(folder)),
        _ => "`policy.folder` names it; config/policy is a sample".to_owned(),
    }
}

impl Summary {
    fn new(settings: &Settings, local: &Local) -> Summary {
        let policy = &local.policy;
        Summary {
            folder: settings.policy.folder.display().to_string(),
            generation: local.bundle.generation().to_string(),
            rules: policy.rules().len(),
            literals: policy.literals().len(),
            rules_always_run: policy.always_run(),
            filters: policy.filters().len(),
            desks: desks(policy),
        }
    }
}

fn desks(policy: &Policy) -> Vec<DeskSummary> {
    let queues_of = |place: usize| {
        let own = policy.queues().iter().filter(move |queue| usize::from(queue.desk.0) == place);
        own.map(|queue| queue.name.clone()).collect()
    };
    let desks = policy.desks().iter().enumerate();
    desks
        .map(|(place, desk)| DeskSummary {
            name: desk.name.clone(),
            log_partition: desk.log_partition,
            queues: queues_of(place),
        })
        .collect()
}

fn show(outcome: &Outcome) {
    if outcome.verdict != Verdict::CannotStart {
        let Configuration { file, instance, group, bootstrap } = &outcome.configuration;
        crate::say!("configuration  {file}: instance `{instance}`, group `{group}`, brokers {bootstrap}");
        if let Some(policy) = &outcome.policy {
            show_policy(policy);
        }
        if let Some(memory) = &outcome.memory {
            crate::say!("memory         {memory}");
        }
    }
    if outcome.findings.is_empty() {
        return;
    }
    let count = |severity: Severity, one: &str| match outcome
        .findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .count()
    {
        0 => None,
        1 => Some(format!("1 {one}")),
        more => Some(format!("{more} {one}s")),
    };
    let counts = [(Severity::Mistake, "mistake"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts: Vec<String> = counts.into_iter().filter_map(|(severity, one)| count(severity, one)).collect();
    let counts = match counts.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => counts.concat(),
    };
    let verdict =
        if outcome.verdict == Verdict::CannotStart { "it would not start" } else { "it would start" };
    let told = Error::configuration(format!("{counts}: {verdict}")).diagnostics(outcome.findings.clone());
    crate::warn_of!("{}", told.render(colour_on(&std::io::stderr())));
}

fn show_policy(policy: &Summary) {
    crate::say!("policy         {}: {}", policy.folder, policy.generation);
    let always = match policy.rules_always_run {
        0 => String::new(),
        count => format!(", {count} of them tried for every mention"),
    };
    crate::say!("rules          {} of {} words and phrases{always}", policy.rules, policy.literals);
    for desk in &policy.desks {
        let DeskSummary { name, log_partition, queues } = desk;
        crate::say!("desk           {name}, log partition {log_partition}: {}", queues.join(" "));
    }
    crate::say!("filters        {}", policy.filters);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_name_every_lint_exit_code_and_field() {
        let docs = include_str!("../../docs/command-line.md");
        for kind in LintKind::ALL {
            let line = format!("| `{}` | {} |\n", kind.name(), kind.about());
            assert!(docs.contains(&line), "docs/command-line.md lacks {line}");
        }
        for code in [0, 1, 64, 65, 66, 69, 73, 74, 75, 77, 78] {
            assert!(docs.contains(&format!("\n| {code} | ")), "{code}");
        }
        let nothing = Configuration {
            file: String::new(),
            instance: String::new(),
            group: String::new(),
            bootstrap: String::new(),
        };
        let summary = Summary {
            folder: String::new(),
            generation: String::new(),
            rules: 0,
            literals: 0,
            rules_always_run: 0,
            filters: 0,
            desks: vec![DeskSummary { name: String::new(), log_partition: 0, queues: Vec::new() }],
        };
        let outcome = Outcome {
            verdict: Verdict::Ready,
            exit_code: 0,
            configuration: nothing,
            policy: Some(summary),
            memory: Some(Estimate::default()),
            findings: vec![Diagnostic::default()],
            live: Some(Said::nothing(&Error::unavailable("away"))),
        };
        let mut left = vec![serde_json::to_value(outcome).expect("JSON")];
        while let Some(value) = left.pop() {
            for (field, value) in value.as_object().into_iter().flatten() {
                assert!(docs.contains(&format!("`{field}`")), "docs/command-line.md lacks `{field}`");
                left.push(value.clone());
            }
            left.extend(value.as_array().into_iter().flatten().cloned());
        }
    }
}

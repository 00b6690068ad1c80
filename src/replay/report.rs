//! What a replay found: as a record, and as text.
//!
//! Owns the wording and the order. Everything that somebody else wrote is redacted and made visible before it gets
//! here. Filled by the fold, printed by the command line.

use super::sample::Sample;
use serde::Serialize;
use std::fmt;

/// Rules, and moves, that the text lists; the record has all.
const LISTED_MAX: usize = 40;
/// Moves of which the text shows samples.
const MOVES_SAMPLED_MAX: usize = 10;

/// A number before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Under the policy that decided.
    pub before: u64,
    /// Under the other one.
    pub after: u64,
}

impl Changed {
    fn delta(self) -> i64 {
        i64::try_from(self.after).unwrap_or(i64::MAX) - i64::try_from(self.before).unwrap_or(i64::MAX)
    }
}

/// A disposition, desk or queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Its name.
    pub name: String,
    /// Its mentions.
    #[serde(flatten)]
    pub changed: Changed,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// Its name.
    pub rule: String,
    /// Mentions that it matched, copies left out.
    pub matched: Changed,
    /// Mentions that it kept from desks, as noise or blocked.
    pub took: Changed,
}

impl RuleCount {
    /// Whether it never matched on either side.
    pub(super) fn is_silent(&self) -> bool {
        (self.matched, self.took) == (Changed::default(), Changed::default())
    }

    fn is_as_before(&self) -> bool {
        self.matched.delta() == 0 && self.took.delta() == 0
    }
}

/// Mentions that would end elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MoveTold {
    /// The queue, or the disposition of what no desk got.
    pub from: String,
    /// The same after.
    pub to: String,
    /// How many.
    pub mentions: u64,
    /// A few of them.
    pub samples: Vec<Sample>,
}

/// A policy that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyTold {
    /// Its generation.
    pub policy: String,
    /// Mentions that it decided.
    pub mentions: u64,
}

/// How many records there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Records with a disposition on both sides.
    pub mentions: u64,
    /// Of these, decided again; the others stay as they were decided, whatever the policy says.
    pub decided_again: u64,
    /// Brought back by a request before, and so left where the request put them.
    pub brought_back: u64,
    /// Without an entry in the ledger: left out.
    pub undecided: u64,
    /// The ledger has them and the input no longer: left out.
    pub gone: u64,
    /// They were read then, and cannot be read with the present configuration: left out.
    pub unreadable: u64,
    /// Blank lines of a file: no mentions.
    pub blank: u64,
    /// Ledger records that this release cannot read.
    pub damaged: u64,
}

/// What a replay found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The topic or file.
    pub input: String,
    /// The policies that decided, in the order in which they were met.
    pub before: Vec<PolicyTold>,
    /// The policy under which it was decided again.
    pub after: String,
    /// How many records there were.
    pub totals: Totals,
    /// Mentions by disposition.
    pub dispositions: Vec<Count>,
    /// Queued mentions by desk.
    pub desks: Vec<Count>,
    /// Queued mentions by queue.
    pub queues: Vec<Count>,
    /// Every rule that matched something.
    pub rules: Vec<RuleCount>,
    /// Mentions that would end elsewhere, the most first.
    pub moves: Vec<MoveTold>,
    /// Mentions that stay in their queue with other tags, category, priority or resolution.
    pub otherwise: u64,
    /// A few of them.
    pub otherwise_samples: Vec<Sample>,
    /// What to know before believing the numbers.
    pub notes: Vec<String>,
    /// Somebody asked it to end before it was through.
    pub interrupted: bool,
}

impl Report {
    /// Mentions that would end elsewhere.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moves.iter().map(|moved| moved.mentions).sum()
    }
}

/// A table's row: name, before, after, change.
fn row(f: &mut fmt::Formatter<'_>, indent: usize, name: &str, changed: Changed) -> fmt::Result {
    let delta = match changed.delta() {
        0 => String::new(),
        delta => format!("{delta:+}"),
    };
    let line = format!(
        "{:indent$}{name:<width$} {:>12} {:>12} {delta:>12}",
        "",
        changed.before,
        changed.after,
        width = 40 - indent
    );
    writeln!(f, "{}", line.trim_end())
}

fn rows(f: &mut fmt::Formatter<'_>, what: &str, counts: &[Count]) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{what}")?;
    counts.iter().try_for_each(|count| row(f, 2, &count.name, count.changed))
}

impl Report {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { mentions, decided_again, .. } = self.totals;
        writeln!(
            f,
            "replayed   {mentions} records of {}, {decided_again} of them decided again",
            self.input
        )?;
        for (index, told) in self.before.iter().enumerate() {
            let title = if index == 0 { "before" } else { "" };
            writeln!(f, "{title:<10} {} ({} records)", told.policy, told.mentions)?;
        }
        writeln!(f, "after      {}", self.after)
    }

    fn rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (same, mut changed): (Vec<_>, Vec<_>) = self.rules.iter().partition(|rule| rule.is_as_before());
        changed.sort_by_key(|rule| std::cmp::Reverse(rule.matched.delta().abs()));
        if !changed.is_empty() {
            writeln!(f, "\nmatches of rules")?;
        }
        for rule in changed.iter().take(LISTED_MAX) {
            row(f, 2, &rule.rule, rule.matched)?;
            if rule.took != Changed::default() {
                row(f, 4, "kept from desks", rule.took)?;
            }
        }
        if changed.len() > LISTED_MAX {
            writeln!(f, "  and {} rules more, with --json", changed.len() - LISTED_MAX)?;
        }
        if same.is_empty() { Ok(()) } else { writeln!(f, "  {} rules match as often as before", same.len()) }
    }

    fn moves(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.moves.is_empty() {
            writeln!(f, "\nnothing would end elsewhere")?;
        } else {
            writeln!(f, "\n{} would end elsewhere", self.moved())?;
        }
        for moved in self.moves.iter().take(LISTED_MAX) {
            writeln!(f, "  {:>12}  {} -> {}", moved.mentions, moved.from, moved.to)?;
        }
        if self.moves.len() > LISTED_MAX {
            writeln!(f, "  and {} ways more, with --json", self.moves.len() - LISTED_MAX)?;
        }
        if self.otherwise > 0 {
            let more = "stay in their queue with other tags, category, priority or resolution";
            writeln!(f, "  {:>12}  {more}", self.otherwise)?;
        }
        for moved in self.moves.iter().take(MOVES_SAMPLED_MAX).filter(|moved| !moved.samples.is_empty()) {
            writeln!(f, "\n{} -> {}, for example", moved.from, moved.to)?;
            moved.samples.iter().try_for_each(|sample| writeln!(f, "{sample}"))?;
        }
        if !self.otherwise_samples.is_empty() {
            writeln!(f, "\nsaid otherwise, for example")?;
            self.otherwise_samples.iter().try_for_each(|sample| writeln!(f, "{sample}"))?;
        }
        Ok(())
    }

    fn left_out(&self) -> Vec<String> {
        let Totals { brought_back, undecided, gone, unreadable, blank, damaged, .. } = self.totals;
        let told = [
            (brought_back, "were brought back by a request, and stay where it put them"),
            (undecided, "have no entry in the ledger: not decided yet, or it was trimmed; left out"),
            (gone, "are in the ledger and no longer in the input, which retention took; left out"),
            (unreadable, "were read then and cannot be read with this configuration; left out"),
            (blank, "are blank lines"),
            (damaged, "records of the ledger cannot be read by this release; what they say is left out"),
        ];
        let told = told.into_iter().filter(|(count, _)| *count > 0);
        let interrupted = "it was asked to end before it was through: these are the numbers so far";
        let interrupted = self.interrupted.then(|| interrupted.to_owned());
        told.map(|(count, what)| format!("{count} {what}")).chain(interrupted).collect()
    }
}

/// For people; no line end at the end.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        if self.totals.mentions > 0 {
            writeln!(f, "\n{:<40} {:>12} {:>12} {:>12}", "dispositions", "before", "after", "change")?;
            self.dispositions.iter().try_for_each(|count| row(f, 2, &count.name, count.changed))?;
            rows(f, "desks", &self.desks)?;
            rows(f, "queues", &self.queues)?;
            self.rules(f)?;
            self.moves(f)?;
        } else {
            writeln!(f, "nothing to decide again")?;
        }
        let notes: Vec<String> = self.left_out().into_iter().chain(self.notes.iter().cloned()).collect();
        if !notes.is_empty() {
            writeln!(f)?;
        }
        notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} at {}", self.mention_id, self.position)?;
        writeln!(f, "    {}", self.text)?;
        writeln!(f, "    was       {}", self.was)?;
        writeln!(f, "    would be  {}", self.would_be)?;
        write!(f, "    because   {}", self.because.join("; "))
    }
}

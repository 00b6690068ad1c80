//! Clocks of the processor, medians of interleaved rounds, and the rows that a bench leaves for the page.
//!
//! Owns how a figure is made of rounds: the median, with the lowest and the highest. Judges nothing.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Processor time of the calling thread. The machine may be shared: this is what it cost, however long it took.
pub fn thread_cpu() -> Duration {
    time_of(rustix::time::ClockId::ThreadCPUTime)
}

/// Processor time of this process, all threads, user and system.
pub fn process_cpu() -> Duration {
    time_of(rustix::time::ClockId::ProcessCPUTime)
}

fn time_of(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A figure from rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub rounds: usize,
}

impl Figure {
    /// The median of `values` with its range.
    pub fn of(values: &[f64]) -> Figure {
        assert!(!values.is_empty(), "a figure needs a round");
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Figure { median, min: sorted[0], max: sorted[sorted.len() - 1], rounds: sorted.len() }
    }
}

/// Figures by name, each a list of one value a round.
#[derive(Debug, Default)]
pub struct Rounds(BTreeMap<String, Vec<f64>>);

impl Rounds {
    /// Adds the value of one round.
    pub fn add(&mut self, name: &str, value: f64) {
        self.0.entry(name.to_owned()).or_default().push(value);
    }

    /// What the rounds of `name` come to.
    pub fn figure(&self, name: &str) -> Figure {
        Figure::of(self.0.get(name).unwrap_or_else(|| panic!("no round of `{name}`")))
    }

    /// The values of `name`, in the order of rounds.
    pub fn values(&self, name: &str) -> &[f64] {
        self.0.get(name).unwrap_or_else(|| panic!("no round of `{name}`"))
    }

    /// Round by round, `over` divided by `under`: what both suffered from the machine falls out.
    pub fn ratio(&self, over: &str, under: &str) -> Figure {
        let pairs = self.values(over).iter().zip(self.values(under));
        Figure::of(&pairs.map(|(over, under)| over / under).collect::<Vec<_>>())
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// One line of a bench's result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Stable: the page asks for it by this name.
    pub name: String,
    /// What it is in.
    pub unit: String,
    pub figure: Figure,
}

/// What one bench leaves behind.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    pub bench: String,
    pub date: String,
    /// Facts of the machine and of the input, in the order in which they are shown.
    pub facts: Vec<(String, String)>,
    pub rows: Vec<Row>,
}

impl Results {
    /// Nothing measured yet, on this machine, now.
    pub fn new(bench: &str) -> Results {
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
        Results { bench: bench.to_owned(), date, facts: super::machine::facts(), rows: Vec::new() }
    }

    /// Notes a fact and prints it.
    pub fn fact(&mut self, name: &str, value: impl ToString) {
        println!("{name}: {}", value.to_string());
        self.facts.push((name.to_owned(), value.to_string()));
    }

    /// Notes a figure and prints it.
    pub fn row(&mut self, name: &str, unit: &str, figure: Figure) {
        println!("{}", line(name, unit, figure));
        self.rows.push(Row { name: name.to_owned(), unit: unit.to_owned(), figure });
    }

    /// Writes `<bench>.json` where the page looks for it; small runs leave nothing.
    pub fn write(&self) {
        if !super::in_earnest() {
            return;
        }
        let folder = folder();
        std::fs::create_dir_all(&folder).expect("the folder of results can be made");
        let path = folder.join(format!("{}.json", self.bench));
        let text = serde_json::to_string_pretty(self).expect("results can be written as JSON");
        std::fs::write(&path, text).expect("results can be written");
        println!("written: {}", path.display());
    }
}

/// Where results lie between the benches and the page.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench")
}

/// A row as people read it.
pub fn line(name: &str, unit: &str, figure: Figure) -> String {
    let Figure { median, min, max, .. } = figure;
    format!("{name:<48} {:>12} {unit:<18} ({}..{})", short(median), short(min), short(max))
}

/// Three digits that count.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1_000.0 => {
            let digits = format!("{value:.0}");
            let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
            let groups: Vec<&str> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
                .collect();
            format!("{sign}{}", groups.join(","))
        }
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

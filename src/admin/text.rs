//! Writes the text of those families that the exporter's library cannot: histograms made of counts, seconds with a
//! fraction, and series whose names come and go.
//!
//! Owns the text format of Prometheus (heads, escapes, `le`) and the cap on series with names: what is beyond it is
//! summed up as `other`, so that no configuration can blow a scrape up. Called by `exporter`.

use super::metrics::{Family, Type};
use crate::counters::{BOUNDS, Histogram};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Series that one family shows at most under names of their own.
pub(super) const SERIES_MAX: usize = 1_000;
/// The name of all that are beyond.
pub(super) const OTHER: &str = "other";

/// Values by labels.
pub(super) type Series = BTreeMap<Vec<String>, f64>;

/// Which series have a name of their own: the first that came, for as long as they are there.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<&'static str, BTreeSet<Vec<String>>>,
    /// How often a series was shown as `other`.
    pub(super) capped: u64,
}

impl Names {
    /// At most `SERIES_MAX` of `present` under their names; the rest folded into one.
    pub(super) fn cap(&mut self, family: &Family, present: Series, fold: fn(f64, f64) -> f64) -> Series {
        let known = self.known.entry(family.name).or_default();
        known.retain(|labels| present.contains_key(labels));
        let mut shown = Series::new();
        for (labels, value) in present {
            let named = known.contains(&labels) || known.len() < SERIES_MAX;
            let labels = if named {
                known.insert(labels.clone());
                labels
            } else {
                self.capped += 1;
                vec![OTHER.to_owned(); family.labels.len()]
            };
            shown.entry(labels).and_modify(|sum| *sum = fold(*sum, value)).or_insert(value);
        }
        shown
    }
}

/// Appends a family with its series; nothing when there are none.
pub(super) fn family(out: &mut String, family: &Family, series: &Series) {
    assert!(family.kind != Type::Histogram, "{} is a histogram", family.name);
    if series.is_empty() {
        return;
    }
    head(out, family);
    for (values, value) in series {
        sample(out, family.name, "", family.labels, values, None, *value);
    }
}

/// Appends a histogram family. `unit` is how many of what was recorded make a second.
pub(super) fn histograms(
    out: &mut String,
    family: &Family,
    bounds: &[u64; BOUNDS],
    unit: f64,
    series: &[(Vec<String>, Histogram)],
) {
    assert!(family.kind == Type::Histogram, "{} is no histogram", family.name);
    head(out, family);
    for (values, histogram) in series {
        let mut sum = 0;
        for (count, bound) in histogram.counts.iter().zip(bounds) {
            sum += count;
            let le = (*bound as f64 / unit).to_string();
            sample(out, family.name, "_bucket", family.labels, values, Some(&le), sum as f64);
        }
        let count = histogram.count() as f64;
        sample(out, family.name, "_bucket", family.labels, values, Some("+Inf"), count);
        sample(out, family.name, "_sum", family.labels, values, None, histogram.sum as f64 / unit);
        sample(out, family.name, "_count", family.labels, values, None, count);
    }
}

fn head(out: &mut String, family: &Family) {
    let (name, help, kind) = (family.name, family.help, family.kind.name());
    write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
        .expect("invariant: writing to a string cannot fail");
}

fn sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[&str],
    values: &[String],
    le: Option<&str>,
    value: f64,
) {
    assert_eq!(labels.len(), values.len(), "{name} has labels {labels:?}");
    let pairs = labels.iter().copied().zip(values.iter().map(String::as_str)).chain(le.map(|le| ("le", le)));
    out.push_str(name);
    out.push_str(suffix);
    let mut open = '{';
    for (label, value) in pairs {
        write!(out, "{open}{label}=\"").expect("invariant: writing to a string cannot fail");
        escape(out, value);
        out.push('"');
        open = ',';
    }
    if open == ',' {
        out.push('}');
    }
    writeln!(out, " {value}").expect("invariant: writing to a string cannot fail");
}

fn escape(out: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            letter => out.push(letter),
        }
    }
}

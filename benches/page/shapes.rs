//! What more queries cost, in both shapes: queries of which few are alive, and queries that are all alive.
//!
//! Owns the table that shows cost beside what it grows with. Judges nothing: the targets do. Called by the page.

use super::{find, line};
use crate::common::measure::{Figure, Results, Row, short};

/// The rows of the engine by how their names begin, few queries before many, each with the row that it is compared with.
const ROWS: [(&str, &str); 8] = [
    ("1,000 firehose", "1,000 firehose"),
    ("10,000 firehose", "1,000 firehose"),
    ("100,000 firehose", "1,000 firehose"),
    ("1,000 firehose, every construct", "1,000 firehose, every construct"),
    ("10,000 firehose, every construct", "1,000 firehose, every construct"),
    ("1,000 firehose, real words", "1,000 firehose, real words"),
    ("10,000 firehose, real words", "1,000 firehose, real words"),
    ("100,000 firehose, real words", "1,000 firehose, real words"),
];

const HEAD: &str = "
## What more queries cost

Of the engine alone, firehose mix. Above, the queries of which some 100 are alive, of words and phrases and of every construct; below,
those of real words, all alive. Queries that are run and queries that match are counted for one mention.

| queries | ns a mention | of it match and evaluate | times the fewest | queries run | queries matched |
|---|---|---|---|---|---|";

/// The table, where the engine was measured with these rows.
pub fn write(page: &mut String, results: &[Results]) {
    let median = |row: String| find(results, "engine", &row).map(|figure| figure.median);
    let row = |&(name, few): &(&str, &str)| {
        let ns = median(format!("{name}: whole"))?;
        let rules = median(format!("{name}: match"))? + median(format!("{name}: evaluate"))?;
        let times = match name == few {
            true => "1".to_owned(),
            false => short(median(format!("{name} over {few}"))?),
        };
        let [runs, matches] = ["run", "matched"].map(|what| median(format!("{name}: queries {what}")));
        Some(format!(
            "| {name} | {} | {} | {times} | {} | {} |",
            short(ns),
            short(rules),
            short(runs?),
            short(matches?)
        ))
    };
    let lines: Vec<String> = ROWS.iter().filter_map(row).collect();
    if !lines.is_empty() {
        line(page, HEAD);
        lines.iter().for_each(|row| line(page, row));
    }
}

/// That a run with these rows gets a line for each, and one from before they were there no table.
pub fn check() {
    let mut results = Results { bench: "engine".to_owned(), ..Results::default() };
    let mut page = String::new();
    write(&mut page, std::slice::from_ref(&results));
    assert!(page.is_empty(), "{page}");
    for (name, few) in ROWS {
        let whats = ["whole", "match", "evaluate", "queries run", "queries matched"];
        let names =
            whats.map(|what| format!("{name}: {what}")).into_iter().chain([format!("{name} over {few}")]);
        results.rows.extend(names.map(|name| Row { name, unit: String::new(), figure: Figure::of(&[3.0]) }));
    }
    write(&mut page, &[results]);
    for (name, few) in ROWS {
        let times = if name == few { "1" } else { "3.00" };
        let line = format!("| {name} | 3.00 | 6.00 | {times} | 3.00 | 3.00 |\n");
        assert!(page.contains(&line), "`{line}` is in {page}");
    }
}

//! What `check` says of a policy's memory, beside what a policy takes from the allocator.
//!
//! Owns a process of its own, in which everything that is allocated is counted, and one test, since a second thread
//! would be counted too.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[allow(dead_code, reason = "the benches ask for more")]
#[path = "../benches/engine/allocations.rs"]
mod allocations;

use allocations::{Counting, kept};
use std::fmt::Write as _;
use triage_engine::policy::{Bundle, Policy};

#[global_allocator]
static COUNTING: Counting = Counting(mimalloc::MiMalloc);

const FRAME: &str = r#"
[[desk]]
name = "care"
log_partition = 0
[[queue]]
name = "care.general"
desk = "care"
[workflow]
default = "care.general"
[fleet]
hash_key = "000102030405060708090a0b0c0d0e0f"
"#;

/// Rules of every construct, and patterns from a few bytes to the largest that may be.
fn bundle(rules: usize, patterns: usize) -> Bundle {
    let mut text = FRAME.to_owned();
    let terms: Vec<String> = (0..rules / 10).map(|number| format!("\"term{number}\"")).collect();
    writeln!(text, "[[list]]\nname = \"terms\"\nterms = [\"term\", {}]", terms.join(", ")).unwrap();
    for number in 0..rules {
        let query = match number % 4 {
            0 => format!("word{number} AND NOT \"a phrase of {number}\" AND lang:en"),
            1 => format!("(word{number} OR other{number}) NEAR/4 (broken OR dead)"),
            2 => format!("$terms AND product{number} AND followers>{number}"),
            _ => format!("tag:tag{} AND model{number}*", number % 40 / 4 * 4),
        };
        let tag = number % 40;
        writeln!(
            text,
            "[[rule]]\nname = \"rule-{number}\"\nquery = '{query}'\ntags = [\"x{number}\", \"all\"]"
        )
        .unwrap();
        if number % 4 == 0 && number < 40 {
            text = text.trim_end_matches("]\n").to_owned() + &format!(", \"tag{tag}\"]\n");
        }
    }
    for number in 0..patterns {
        let pattern = match number % 4 {
            0 => format!("ref(und)?-{number}"),
            1 => format!("[a-z]{{2,4}}-?{number}"),
            2 => format!(r"\bte\w+{number}\b"),
            _ => format!(r"(\d|\s){{1,{}}}x{number}", 2 + number % 9),
        };
        writeln!(text, "[[rule]]\nname = \"regex-{number}\"\nquery = 'tv AND /{pattern}/'\ntags = [\"r\"]")
            .unwrap();
    }
    Bundle { files: [("policy.toml".to_owned(), text)].into() }
}

#[test]
fn the_estimate_of_a_policys_memory_is_within_a_fifth_of_what_it_takes() {
    // What is made once in a process is made before.
    drop(Policy::compile(&bundle(20, 4)).unwrap());
    for (rules, patterns) in [(1_000, 0), (20_000, 0), (20, 100), (5_000, 200)] {
        let bundle = bundle(rules, patterns);
        let before = kept();
        let policy = Policy::compile(&bundle).unwrap();
        let (taken, told) = ((kept() - before) as f64, policy.bytes(0) as f64);
        println!("{rules} rules, {patterns} patterns: estimated {told}, taken {taken}");
        assert!((told - taken).abs() <= taken / 5.0, "{rules}, {patterns}: estimated {told}, taken {taken}");
        assert!(policy.bytes(2) > policy.bytes(1) || patterns == 0, "threads have caches of their own");
        drop(policy);
    }
}

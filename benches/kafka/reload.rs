//! A policy swapped under a stream that two instances share: every query is another, and a desk and its queue are.
//!
//! Owns the policies of the rounds and what is compared: the same stream in the seconds before somebody asks for the swap,
//! and in as many seconds from then on; beside it, by how much two spans before the swap differ. How it is until both instances have the policy in force is told too. Judges that no mention was lost, and that none
//! was decided by parts of two policies; tests/reload.rs looks at each decision.

use crate::backlog::read;
use crate::common::measure::{Figure, Results, Rounds};
use crate::common::mentions::Mix;
use crate::common::{in_earnest, policies};
use crate::fleet::{DESK_PARTITIONS, Fleet, INSTANCES, Process};
use crate::kills::{share, told};
use crate::open_loop::{Outcome, Traffic, fleet, milliseconds};
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;
use triage_engine::desk::Event;
use triage_engine::model::Millis;
use triage_engine::policy::{Bundle, Generation};
use triaged::wire::desk_log;

/// How the names of products begin, of which most queries ask for one.
const PRODUCTS: [&str; 4] = ["kx", "hd", "mr", "zeta"];

/// The policy of a round. It does as much as that of any other round and finds as much, but every query asks for something
/// else, the tags that queries give are its own, and so is every second time a desk with its queue.
fn policy(queries: usize, round: usize) -> Bundle {
    let mut bundle = policies::bundle(queries, Mix::AllQueued);
    for text in bundle.files.values_mut() {
        let lines = text.lines().map(|line| match line.strip_prefix("query = '''") {
            Some(query) => {
                let query = query.trim_end_matches('\'');
                let products = PRODUCTS.iter().fold(query.to_owned(), |query, product| {
                    query.replace(&format!("\"{product}-"), &format!("\"{product}{round}-"))
                });
                match products == query {
                    true => format!("query = '''({query}) AND NOT \"round {round}\"'''\n"),
                    false => format!("query = '''{products}'''\n"),
                }
            }
            None => format!("{line}\n"),
        });
        let text_now: String = lines.collect();
        *text = text_now
            .replace("tags = [\"t", &format!("tags = [\"r{round}t"))
            .replace("tag:t", &format!("tag:r{round}t"));
        if !round.is_multiple_of(2) {
            *text = text.replace("\"tech\"", "\"help\"").replace("\"tech.app\"", "\"help.app\"");
        }
    }
    bundle
}

/// That every query of one is none of the other's.
fn assert_all_changed(before: &Bundle, after: &Bundle) {
    let queries = |bundle: &Bundle| -> Vec<String> {
        let lines = bundle.files["rules/queries.toml"].lines().filter(|line| line.starts_with("query"));
        lines.map(str::to_owned).collect()
    };
    let (before, after) = (queries(before), queries(after));
    assert_eq!(before.len(), after.len());
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "every query is changed");
}

/// One swap, in time since the stream's start.
struct Swap {
    /// As long as `before` and right before it: how much two such spans differ with no swap between them.
    earlier: Range<Duration>,
    before: Range<Duration>,
    /// As long, from the moment when it is asked for.
    from: Range<Duration>,
    /// From that moment until both instances have it in force.
    until: Range<Duration>,
    /// Of all processors' time, how much somebody used before and from then on.
    busy: [f64; 2],
}

/// Swaps the policy `rounds` times under `rate` mentions a second.
pub fn reload(bootstrap: &str, queries: usize, rate: u64, rounds: usize, results: &mut Results) {
    println!();
    let window = Duration::from_secs(if in_earnest() { 10 } else { 3 });
    let bundles: Vec<Bundle> = (0..=rounds).map(|round| policy(queries, round)).collect();
    bundles.windows(2).for_each(|pair| assert_all_changed(&pair[0], &pair[1]));
    let mut fleet = fleet(bootstrap, queries);
    fleet.write_policy(&bundles[0]);
    fleet.prepare(&bundles[1], &bundles[0]);
    let mut processes = INSTANCES.map(|instance| fleet.start_as(instance));
    share(&fleet, &mut processes);
    processes[0].profile();
    let traffic = Traffic::start(&fleet, rate);
    let swaps: Vec<Swap> =
        bundles[1..].iter().map(|bundle| swap(&fleet, &mut processes, &traffic, bundle, window)).collect();
    let outcome = traffic.end(&fleet, &mut processes[0]);
    let mixed = mixed(&fleet, &bundles);
    results.fact(
        "reload: stream",
        format!(
            "{queries} queries, each of them changed {rounds} times, and a desk with its queue; {}; two instances share it",
            told(&outcome, rate)
        ),
    );
    report(&outcome, &swaps, results);
    results.row("reload: mentions lost in all swaps", "", Figure::of(&[outcome.lost as f64]));
    results.row("reload: mentions decided by two policies", "", Figure::of(&[mixed as f64]));
}

fn swap(
    fleet: &Fleet,
    processes: &mut [Process; 2],
    traffic: &Traffic,
    bundle: &Bundle,
    window: Duration,
) -> Swap {
    // What starting, or the swap before, left to do is done before the seconds that count.
    std::thread::sleep(window);
    let earlier = traffic.start.elapsed();
    std::thread::sleep(window);
    let begun = (traffic.start.elapsed(), used());
    std::thread::sleep(window);
    // The folder is edited before anybody asks.
    fleet.write_policy(bundle);
    let asked = (traffic.start.elapsed(), used());
    let (done, said) = fleet.run(&["ctl", "policy", "reload"]);
    assert!(done, "the policy is put in force: {said}");
    println!("reload: answered after {:.2} s", (traffic.start.elapsed() - asked.0).as_secs_f64());
    let generation = bundle.generation().to_string();
    for (process, instance) in processes.iter_mut().zip(INSTANCES) {
        process.until("the policy is in force", |_| fleet.in_force(instance).as_ref() == Some(&generation));
    }
    let both = traffic.start.elapsed();
    let over = asked.0 + window;
    std::thread::sleep(over.saturating_sub(traffic.start.elapsed()));
    let ended = used();
    let busy = [(begun.1, asked.1), (asked.1, ended)].map(|(from, to)| {
        let (all, idle) = (to.0 - from.0, to.1 - from.1);
        100.0 * (1.0 - idle as f64 / (all as f64).max(1.0))
    });
    Swap {
        earlier: earlier..begun.0,
        before: begun.0..asked.0,
        from: asked.0..over,
        until: asked.0..both,
        busy,
    }
}

/// Time of all processors so far, and how much of it nobody used, in the kernel's ticks.
fn used() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|it| it.parse().ok()).collect();
    (ticks.iter().sum(), ticks.iter().skip(3).take(2).sum())
}

fn report(outcome: &Outcome, swaps: &[Swap], results: &mut Results) {
    let mut all = Rounds::default();
    for swap in swaps {
        let spans = [
            ("earlier", &swap.earlier),
            ("before", &swap.before),
            ("from", &swap.from),
            ("until", &swap.until),
        ];
        let p99 = spans.map(|(_, span)| milliseconds(&outcome.latency(span), 0.99));
        for ((name, span), p99) in spans.into_iter().zip(p99) {
            all.add(&format!("p99 {name}"), p99);
            all.add(&format!("sender late {name}"), outcome.sender_late(span));
        }
        all.add("more", p99[2] - p99[1]);
        all.add("more without", p99[1] - p99[0]);
        all.add("busy before", swap.busy[0]);
        all.add("busy from", swap.busy[1]);
        all.add("took", (swap.until.end - swap.until.start).as_secs_f64());
    }
    for (row, unit, name) in [
        ("p99 in the 10 s before those", "ms", "p99 earlier"),
        ("p99 in the 10 s before the swap", "ms", "p99 before"),
        ("p99 in the 10 s from when it is asked for", "ms", "p99 from"),
        ("p99 more than before, of the same swap", "ms", "more"),
        ("p99 before more than in the 10 s before those", "ms", "more without"),
        ("p99 of what was due until both have it in force", "ms", "p99 until"),
        ("in force on both after", "s", "took"),
        ("sender late before, p99", "ms", "sender late before"),
        ("sender late from when it is asked for, p99", "ms", "sender late from"),
        ("processors busy before", "%", "busy before"),
        ("processors busy from when it is asked for", "%", "busy from"),
    ] {
        results.row(&format!("reload: {row}"), unit, all.figure(name));
    }
}

/// Mentions on the desk log whose tags, desk or queue are not those of the policy that they name.
fn mixed(fleet: &Fleet, bundles: &[Bundle]) -> u64 {
    let rounds: HashMap<Generation, usize> =
        bundles.iter().enumerate().map(|(round, bundle)| (bundle.generation(), round)).collect();
    let (mut mixed, mut seen, mut tagged) = (0, vec![0_u64; bundles.len()], 0_u64);
    read(fleet, &fleet.desks(), DESK_PARTITIONS, usize::MAX, |offset, value| {
        let Ok(entry) = desk_log::decode(offset, Millis(0), Some(value)) else { return };
        let Event::Mention(mention) = entry.event else { return };
        let Some(&round) = rounds.get(&mention.generation) else {
            mixed += 1;
            return;
        };
        let mark = format!("r{round}t");
        let other = if round.is_multiple_of(2) { "help" } else { "tech" };
        let is_own = mention.tags.iter().all(|tag| tag.starts_with(&mark))
            && mention.desk != other
            && mention.queue.split('.').next() == Some(mention.desk);
        mixed += u64::from(!is_own);
        seen[round] += 1;
        tagged += u64::from(!mention.tags.is_empty());
    });
    assert!(seen.iter().all(|&count| count > 0) && tagged > 0, "each policy decided some: {seen:?}");
    mixed
}

//! Makes docs/performance.md of what the benches left: every target with its figure, every row, and on what machine.
//!
//! Owns the page's form. Judges by the targets' bounds alone. Under `cargo test` it only checks that the page that is in
//! the repository speaks of every target, and that nobody is shown another machine's profile as theirs.

#[path = "../common/mod.rs"]
mod common;
mod limits;
mod shapes;
mod targets;

use common::in_earnest;
use common::measure::{Figure, Results, folder, short};
use limits::{Limit, Profile};
use std::fmt::Write as _;
use std::path::PathBuf;
use targets::{BUDGETS, Bound, ELSEWHERE, PEERS, TARGETS, TRIED, Target};

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md")
}

fn main() {
    if !in_earnest() {
        check();
        return;
    }
    let results: Vec<Results> = ["engine", "metrics_cost", "kafka"].into_iter().filter_map(load).collect();
    assert!(!results.is_empty(), "no results; run `cargo bench --bench engine` first");
    let text = render(&results);
    std::fs::write(page(), text).expect("the page can be written");
    println!("written: docs/performance.md");
}

/// That the page in the repository speaks of every target, the profile of every share that a target asks for, and that
/// shares stand beside figures of their own kind of machine only.
fn check() {
    let text = std::fs::read_to_string(page()).expect("docs/performance.md is there; `make bench` writes it");
    let profile = Profile::read();
    let on = |processor: &str| {
        let facts = vec![("processor".to_owned(), processor.to_owned())];
        [Results { bench: "kafka".to_owned(), facts, ..Results::default() }]
    };
    assert!(text.starts_with(HEAD), "docs/performance.md does not begin as the page does; run make bench");
    for target in TARGETS {
        assert!(text.contains(target.asked), "the page lacks a target: {}; run make bench", target.asked);
        for limit in target.limits {
            let Limit::Shares(part, columns) = limit else { continue };
            for column in *columns {
                let share = profile.share(part, column);
                let share =
                    share.unwrap_or_else(|| panic!("the profile has no share of `{column}` in `{part}`"));
                let (here, elsewhere) = (on(&profile.processor), on("another"));
                let words = format!("{column} {share:.0} %");
                assert!(limits::all(&[*limit], &here, &profile).contains(&words), "{limit:?} says `{words}`");
                assert_eq!(limits::all(&[*limit], &elsewhere, &profile), "profile of another machine, below");
            }
        }
    }
    shapes::check();
    println!("docs/performance.md speaks of all {} targets", TARGETS.len());
}

fn load(bench: &str) -> Option<Results> {
    let text = std::fs::read_to_string(folder().join(format!("{bench}.json"))).ok()?;
    Some(serde_json::from_str(&text).expect("results are as they were written"))
}

fn render(results: &[Results]) -> String {
    let profile = Profile::read();
    let mut page = String::from(HEAD);
    for result in results {
        let wanted = [
            "processor",
            "memory",
            "kernel",
            "compiler",
            "build",
            "literal matcher",
            "triaged",
            "load at start",
            "client library",
            "broker",
        ];
        let facts: Vec<String> = result
            .facts
            .iter()
            .filter(|(name, _)| wanted.contains(&name.as_str()))
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        line(&mut page, &format!("- **{}**, {}: {}.", result.bench, result.date, facts.join("; ")));
    }
    line(&mut page, "\n## The numbers to reach\n");
    line(&mut page, "Median (lowest..highest of the rounds).\n");
    line(&mut page, "| what | target | measured | reached | what limits it |\n|---|---|---|---|---|");
    let mut before = "";
    for target in TARGETS {
        let what = if target.what == before { "" } else { target.what };
        before = target.what;
        let (measured, reached) = judge(target, results);
        let limits = limits::all(target.limits, results, &profile);
        line(&mut page, &format!("| {what} | {} | {measured} | {reached} | {limits} |", target.asked));
    }
    line(&mut page, "\nNot measured here:\n\n| what | where |\n|---|---|");
    for (what, place) in ELSEWHERE {
        line(&mut page, &format!("| {what} | {place} |"));
    }
    shapes::write(&mut page, results);
    budget(&mut page, results);
    profile.write(&mut page, results);
    line(&mut page, &format!("\nWhat trials showed, on {TRIED}:\n{TRIALS}"));
    peers(&mut page, results);
    images(&mut page);
    for result in results {
        all_rows(&mut page, result);
    }
    page
}

fn judge(target: &Target, results: &[Results]) -> (String, &'static str) {
    let Some(figure) = find(results, target.bench, target.row) else { return ("not measured".into(), "") };
    let reached = match target.bound {
        Bound::Least(bound) => figure.median >= bound,
        Bound::Most(bound) => figure.median <= bound,
        Bound::MostAbove(row, above) => {
            let Some(base) = find(results, target.bench, row) else { return ("not measured".into(), "") };
            let measured = format!("{} against {}", shown(figure), shown(base));
            return (measured, if figure.median <= base.median + above { "yes" } else { "no" });
        }
    };
    (shown(figure), if reached { "yes" } else { "no" })
}

/// A row by its name, or by what its name begins with.
fn find(results: &[Results], bench: &str, name: &str) -> Option<Figure> {
    let rows = &results.iter().find(|result| result.bench == bench)?.rows;
    let exact = rows.iter().find(|row| row.name == name);
    exact.or_else(|| rows.iter().find(|row| row.name.starts_with(name))).map(|row| row.figure)
}

fn shown(figure: Figure) -> String {
    let Figure { median, min, max, rounds } = figure;
    match rounds {
        1 => short(median),
        _ => format!("{} ({}..{})", short(median), short(min), short(max)),
    }
}

fn peers(page: &mut String, results: &[Results]) {
    let ours = |row| find(results, "kafka", row).map(|figure| figure.median);
    let (Some(small), Some(large)) =
        (ours("firehose 680 B: triaged, per CPU-second"), ours("firehose 2.8 KB: triaged, per CPU-second"))
    else {
        return;
    };
    line(page, PEERS_HEAD);
    line(page, &format!("| triaged, firehose mix, this run | {} | {} |", short(small), short(large)));
    let shown = |peer: f64| if peer.is_nan() { "-".to_owned() } else { short(peer) };
    for (name, at_small, at_large) in PEERS {
        line(page, &format!("| {name} | {} | {} |", shown(*at_small), shown(*at_large)));
    }
}

/// Nanoseconds of processor time a mention: what it takes, and what is unavoidable of that.
struct Budget {
    whole: f64,
    bare: f64,
    engine: f64,
    target: f64,
}

impl Budget {
    fn least(&self) -> f64 {
        self.bare + self.engine
    }

    /// Mentions a CPU-second if nothing but the unavoidable were done.
    fn most(&self) -> f64 {
        1e9 / self.least()
    }
}

/// The budget of a part of the Kafka bench, if both benches were run.
fn budget_of(part: &str, results: &[Results]) -> Option<Budget> {
    let (name, engine, target) = BUDGETS.iter().find(|(name, ..)| *name == part)?;
    let ns = |bench, row: &str| find(results, bench, row).map(|figure| 1e9 / figure.median);
    let kafka = |who| ns("kafka", &format!("{name}: {who}, per CPU-second"));
    Some(Budget {
        whole: kafka("triaged")?,
        bare: kafka("bare")?,
        engine: ns("engine", engine)?,
        target: *target,
    })
}

/// What a mention's processor time goes to, and what it would be if nothing but the unavoidable were done.
fn budget(page: &mut String, results: &[Results]) {
    let row = |(part, ..): &(&str, &str, f64)| {
        let budget = budget_of(part, results)?;
        let Budget { whole, bare, engine, target } = budget;
        let cells = [whole, bare, engine, whole - budget.least(), budget.most(), target].map(short);
        Some(format!("| {part} | {} | {:.2} |", cells.join(" | "), bare / budget.least()))
    };
    let lines: Vec<String> = BUDGETS.iter().filter_map(row).collect();
    if !lines.is_empty() {
        line(page, BUDGET_HEAD);
        lines.iter().for_each(|row| line(page, row));
    }
}

fn images(page: &mut String) {
    for (file, what) in [
        ("flame-engine.svg", "the engine alone, firehose mix"),
        ("flame-daemon.svg", "the daemon on a backlog"),
    ] {
        if page_folder().join("img").join(file).exists() {
            line(page, &format!("\n![Where the time goes in {what}](img/{file})"));
        }
    }
}

fn page_folder() -> PathBuf {
    page().parent().expect("the page is in a folder").to_path_buf()
}

fn all_rows(page: &mut String, result: &Results) {
    line(page, &format!("\n## Every row: {}\n", result.bench));
    for (name, value) in &result.facts {
        line(page, &format!("- {name}: {value}"));
    }
    line(page, "\n| row | unit | median | lowest | highest | rounds |\n|---|---|---|---|---|---|");
    for row in &result.rows {
        let Figure { median, min, max, rounds } = row.figure;
        let cells = format!("{} | {} | {} | {rounds}", short(median), short(min), short(max));
        line(page, &format!("| {} | {} | {cells} |", row.name, row.unit));
    }
}

fn line(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("writing into a string");
}

const HEAD: &str = "# Performance

This page is written by `make bench`, on whatever machine that runs on. Figures are processor time (user and system) of
the thread or process that does the work, not time on the wall, so that they hold on a shared machine; ratios are of two
programs in the same run, by turns. Rates in mentions a second of the wall are given too and depend on the disk and the
broker, which shares the machine.

- `make bench` measures everything in some 20 minutes; `BENCH=engine make bench` needs no broker and 6 minutes,
  `BENCH=kafka make bench` starts an Apache Kafka of its own. `BENCH_ROUNDS` and `BENCH_MENTIONS` change the size.
- Mentions and queries are made from the texts in `demo/mentions` with fixed seeds (`benches/common`). **Firehose**: 10 %
  for a desk, 30 % exact copies, 60 % noise. **All-queued**: every mention new and for a desk. Queries have a median of 5
  words and phrases, as often as people use them; about 29 % of mentions match one.
- **What more queries are**: some 100 queries are alive, however many there are (100 of 1,000, 110 of 10,000, 100 of 100,000). Each of the others
  asks for such words beside the name of a product that no text holds, `(words) AND (kx-1234 OR …)`, as in a policy that many brands share:
  so more queries do not match more, and their cost shows whether cost grows with rules although matches do not. That is what the targets
  ask. It is not the only shape: in **real words** every query is alive (words and phrases with a word of at most 1 % of texts,
  alternatives, AND, AND NOT), so runs and matches grow with the queries, and the cost with them; a quarter of the mentions go through
  these. No target is set for it; both shapes stand side by side below, in what more queries cost.
- The engine rows call the daemon's own scan stage and triage shard; only the broker is replaced, by one that has answered
  before the call returns. The bare loop decodes, matches and writes a record for every mention, with nothing in between.
- The bare Kafka programs (`benches/kafka/bare.rs`) are written on the client library's C interface with the daemon's
  properties: batch consume, copy, batch produce, idempotent, `acks=all`, offsets stored after delivery. They write as many
  records and bytes to as many topics as triaged did, headers included; the relay waits for the acknowledgement of its
  ledger record as triaged does. Inputs are not compressed, outputs are (lz4).
- The policy is swapped (rows `reload`) while two instances share the stream, a quarter of what one does at full load, `BENCH_RELOADS` times: every
  query asks for another product or excludes something else, tags are others, and one desk with its queue gives way to another. Compared
  are the 10 s before somebody asks and the 10 s from then on, in which both instances compile and put it in force.
  How busy the processors were and how late the sender was stand beside it, as all of them share the machine.
- Memory with a backlog is measured on one that is long beside every table: `dedup.ids_max` is so small that the windows are full after
  a fraction of it. With the usual limit they would go on filling; `triaged check` prints how large they get.
- A part of the Kafka bench runs alone with the beginning of its rows' names: `BENCH=kafka BENCH_ONLY=takeover scripts/bench`.
  Nothing is written down then. `scripts/profile` takes the profile and draws the graphs below; run it before `make bench`, so that the
  page shows it.
";

const BUDGET_HEAD: &str = "
## What is left to gain, Kafka to Kafka

Nanoseconds of processor time a mention. The bare program moves the same bytes through the same client library and decides
nothing; the engine alone decides and moves nothing (485-byte mentions, so it is flattered). What is left is what is neither:
the second reading of the desk log, batches handed between threads, cases and their records, fresh memory. The last columns
say what would come out if nothing were left: as many mentions a CPU-second, and as much of the bare program's rate, where
processors are the limit.

| mix | triaged | bare | engine alone | left | mentions a CPU-second without what is left | target | of bare without what is left |
|---|---|---|---|---|---|---|---|";

const TRIALS: &str = "
- **Fresh pages**: the client library makes a buffer of the size of each answer to a fetch. While answers were of tens of MiB, two
  thirds of all page faults were its reads from the socket; with answers of a MiB nearly none are. What is left is memory that is
  held for the first time.
- **All-queued**: each assignment has twelve headers, for each of which the library takes a block from the allocator and gives it
  back in another thread: most of the allocator's share, in the bare relay too. Values that stay where they were written, without the
  library's copy, were tried: 44,000 to 46,000 mentions a CPU-second against 50,000 by turns, for the small blocks left
  then lie among each other in the allocator (its share rises from 12 to 17 %).
- **Exact dedup**: of the samples in the window itself, looking for free slots 30 %, the look-up and waiting for its lines 28 %,
  comparing 24 %, placing 18 %. Counting free slots and comparing without branches was tried and changed nothing that could be seen
  (142 to 146 ns against 143 to 145 at load 25): the wait for memory is what counts.
- **Latency**: a commit, which both lanes waited for five times a second, took 6 to 7 ms in the median and up to 104 ms; now it is
  answered in passing. At 5,000 mentions a second and load 28, two rounds each: p99 2.96 and 6.41 times the relay's before, 1.29
  and 0.26 times after; the relay itself lay between 66 and 2,501 ms, so a quiet machine has to show it. What is left is three
  times `linger.ms` of 5 ms on the way, as in the relay.
- **Latency once a minute**: desks' states were written as bytes and hashed in the lane that routes, 400 to 600 ms each minute in the
  stream of the swaps, in quarters of a second around them; now another thread does it, and none of these is left. Not each swap
  has a snapshot beside it. p99 in the 10 s from when a swap was asked for was 243 ms (102..530, four swaps) before, 50 ms (49..104, five)
  and 115 ms (77..609, five more) after, with the processors 83 % busy: 8 ms below and 49 ms above the 10 s before. The machine's own
  stalls are larger (5,489 ms once before a swap); it does not show whether the target is reached. A compiler of still lower priority
  changed nothing that could be told from that.
- **A swap under load**: seen in tenths of a second at lower rates, while policies were compiled without rests, most that was slow fell into the second in which first one instance,
  then the other compiles. By samples of all processors the two take 375 ms of their time in the second and a half from when a swap is
  asked for; in as long before it 310 of 3,000 ms were idle. So whatever runs, the broker first of all, waits for a processor, 20 to
  70 ms at a time by the scheduler's events. p99 more than before, medians of a run's swaps: -0.9 ms at 8,000 mentions a second, 8.5 ms
  at 20,000; at 15,000 (processors 78 to 82 % busy) from 2.1 to 115 ms in eight runs, in two of them below 10. The first swap of a run,
  after which a new desk gets mentions, was most often the worst (5 to 509 ms more); with that desk in the second or third swap the
  medians were 4.5 and 0.1 ms. Why a new desk costs so much is not found. It is not the wait until the kept policy is on the disk
  (2 to 26 ms, no difference without), nor memory that the allocator gives back and asks for anew (`MIMALLOC_PURGE_DELAY=-1`), nor the
  broker's garbage collection (in the one run whose pauses were logged, those of 90 ms lay elsewhere).
- **A swap under load, compiled in moments**: since the compiler rests four times as long as it has worked while another policy serves,
  compiling is no longer what raises the tail: in the run above p99 of what was due until both had the policy in force lies below that of the 10 s
  before. p99 more than before, medians of five swaps, by turns with the program before it: at 15,000 mentions a second 1.3 (-8.4..10.8) and
  -2.2 (-60..340) ms, before 19.4 (3.4..70) ms and 9.0 (-1.9..211) ms with files in pieces alone; at 20,000 15.9 (6.3..71) ms (four swaps); at
  27,000 10.0 (-17..208) and 4.4 (-455..27.8) ms, before 24.3 (0.4..264) ms (three swaps). In force on both after 2 to 4 s, 0.7 to 1.5 s before.
  Runs of the first swap alone, at which a new desk gets mentions for the first time: at 15,000 mentions a second -2.3, 4.2, 4.5 and 51 ms, and
  at 25,000 -0.8, 1.9 and 2.5 ms. With a record on each partition of the new desk's topic before the run: -12, -11, -7.3, -4.0 and 5.1 ms, and
  -0.1, 2.3 and 7.6 ms. So the target is met in 14 of these 15 swaps. Waits of all mentions of more than 85 ms came in 4 runs in
  the 10 s before the swap (89 to 123 ms) and in 4 in the 10 s after (86 to 156 ms): it is not shown that the swap or the new desk causes them.
- **A swap beside none**: the benchmark also tells by how much the 10 s before a swap differ from the 10 s before those, with no swap between. 34
  swaps on a warm broker, p99 more than before, beside that: at 15,000 mentions a second 10.1 (-238..126) beside -13.1 (-46..414) ms, ten swaps;
  at 25,000 5.4 (-106..223) beside 1.3 (-748..178), twelve; at 28,500 3.1 (-358..745) beside -15.6 (-228..191), twelve. Until both had the
  policy in force p99 was 46.7, 52.0 and 58.1 ms, in the 10 s before 44.8, 56.0 and 58.3. None was lost, none decided by two policies. So single
  swaps lie far above and below 10 ms, as single spans without a swap do.
- **Fresh memory while compiling**: in a profile of one swap 38 % of the compilers' samples (471 of 1,244) cleared pages, nearly all of them huge
  ones (2 MiB). Such a page is dear here, probably as this virtual machine gives free blocks of 2 MiB back to its host: `triaged check`
  of that policy, 34 huge pages, took 0.12 to 0.22 s of system time on memory that had rested, 0.01 to 0.03 s right after another check,
  beside 0.21 s in the program. With `MIMALLOC_ALLOW_THP=0` it took 0.02 to 0.05 s in both cases. Swaps at 15,000 mentions a second by
  turns on a warm broker, three each, p99 more than before: 19.0 (14.6..28.4) and 36.1 (-4.0..120) ms with huge pages, 14.1 (-1,019..20.3)
  and 8.9 (4.4..200) ms without. The difference is within their spread; what huge pages give to the stream is not weighed against it,
  and they are left on. Without them, too, all mentions waited some 200 to 450 ms once after a first swap.
- **Priority of the compiler**: where the kernel groups threads by session (`sched_autogroup`) or by unit, a nice thread steps back for its own
  group alone. It makes way for this instance's lanes, not for a broker on the same machine; daemons in sessions of their own, with a
  compiler of 19 in place of 5, were slower (29 and 117 ms more than before).
- **Memory with a backlog**: by heaptrack (with the system's allocator in place of the daemon's) the bytes in use were 52 MB at most in
  600,000 mentions and 54 MB in 2,400,000. What is resident beyond that is freed memory that the allocator keeps, in huge pages where
  the kernel gives them; in 24 million mentions it rose from 230 to 260 MiB, most of it in the first 10 million.";

const PEERS_HEAD: &str = "
## Beside others

Mentions a CPU-second on a like job: 1,000 queries and exact dedup, Kafka to Kafka. The others were measured in one session on
one core of another machine (AMD EPYC, Zen 4), each tuned as well as we could; they passed every mention on but duplicates,
decoded as JSON and tagged, where the firehose mix of triaged passes on one in ten.

| program | 680 bytes | 2.8 KB |
|---|---|---|";

//! The numbers to reach, each with the row that measures it and what limits it.
//!
//! Owns the targets' words and bounds; a target that moves is changed here and nowhere else. Remarks about what limits a
//! figure stand here too, so that writing the page anew does not lose them; figures in them come from the run (`limits`).

use super::limits::Limit::{self, Shares, Stages, Together, Words};

/// Which way a bound goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    Least(f64),
    Most(f64),
    /// At most this much more than another row.
    MostAbove(&'static str, f64),
}

/// One number to reach.
pub struct Target {
    /// The heading that it stands under.
    pub what: &'static str,
    /// What is asked for, in words.
    pub asked: &'static str,
    /// The bench and the row.
    pub bench: &'static str,
    pub row: &'static str,
    pub bound: Bound,
    /// What keeps it from being better, as far as known.
    pub limits: &'static [Limit],
}

use Bound::{Least, Most, MostAbove};

const ENGINE: &str = "engine alone, one core, 485-byte mentions";
const FIREHOSE: &str = "Kafka to Kafka, firehose mix";
const QUEUED: &str = "Kafka to Kafka, all queued (two hops)";
const TAKEOVER: &str = "kill -9 of one of two, the other takes over";
const SWAP: &str = "10,000 queries, a desk and its queue swapped under two instances";
const DEDUP: &str = "exact dedup";

macro_rules! target {
    ($what:expr, $asked:literal, $bench:literal, $row:literal, $bound:expr, [$($limit:expr),*]) => {
        Target { what: $what, asked: $asked, bench: $bench, row: $row, bound: $bound, limits: &[$($limit),*] }
    };
}

/// All that can be measured so far.
pub const TARGETS: &[Target] = &[
    target!(
        ENGINE,
        "firehose mix, 1,000 queries: at least 500,000 mentions a CPU-second",
        "engine",
        "1,000 firehose: rate",
        Least(500_000.0),
        [Stages("1,000 firehose", &["match", "decode", "normalise", "decide, dedup, ledger record"])]
    ),
    target!(
        ENGINE,
        "every stage on every mention, 1,000 queries: at least 350,000",
        "engine",
        "1,000 all-queued: rate",
        Least(350_000.0),
        [Words(
            "the search for personal data walks each record a second time, after the parser; the stages stand below"
        )]
    ),
    target!(
        ENGINE,
        "at least half of the bare loop decode + match + encode",
        "engine",
        "1,000 firehose: of bare loop",
        Least(0.5),
        []
    ),
    target!(
        ENGINE,
        "10,000 queries cost at most 1.3 times 1,000",
        "engine",
        "10,000 firehose over 1,000 firehose",
        Most(1.3),
        []
    ),
    target!(
        ENGINE,
        "100,000 queries cost at most 3 times 1,000",
        "engine",
        "100,000 firehose over 1,000 firehose",
        Most(3.0),
        []
    ),
    target!(
        "metrics on the path of a mention",
        "counting costs at most 1 ns a mention",
        "metrics_cost",
        "what counting costs",
        Most(1.0),
        []
    ),
    target!(
        FIREHOSE,
        "at least 0.9 of a bare consume-and-produce program's rate",
        "kafka",
        "firehose 680 B: of bare, rate",
        Least(0.9),
        [Words(
            "where processors are the limit, the most that can be reached is the last column of what is left to gain, below"
        )]
    ),
    target!(
        FIREHOSE,
        "680-byte mentions: at least 330,000 a CPU-second",
        "kafka",
        "firehose 680 B: triaged, per CPU-second",
        Least(330_000.0),
        [
            Together("firehose 680 B"),
            Shares("firehose 680 B", &["reading, scanning, deciding", "client library's threads", "desk"])
        ]
    ),
    target!(
        FIREHOSE,
        "2.8 KB mentions: at least 145,000 a CPU-second",
        "kafka",
        "firehose 2.8 KB: triaged, per CPU-second",
        Least(145_000.0),
        [Shares("firehose 2.8 KB", &["kernel", "locks, switching", "JSON", "copying"])]
    ),
    target!(
        FIREHOSE,
        "a mention on 64 partitions costs at most 1.3 times what it costs on one",
        "kafka",
        "firehose on 64 partitions over 1: cost",
        Most(1.3),
        [
            Words("the client library walks over all partitions again and again"),
            Shares("firehose 680 B, 64 partitions", &["client library's threads"])
        ]
    ),
    target!(
        QUEUED,
        "at least 0.9 of a bare relay's rate",
        "kafka",
        "all-queued 680 B: of bare, rate",
        Least(0.9),
        [
            Words("as above; twelve headers on each assignment are in both"),
            Shares("all-queued 680 B", &["allocator"])
        ]
    ),
    target!(
        QUEUED,
        "680-byte mentions: at least 90,000 a CPU-second",
        "kafka",
        "all-queued 680 B: triaged, per CPU-second",
        Least(90_000.0),
        [
            Together("all-queued 680 B"),
            Shares(
                "all-queued 680 B",
                &[
                    "desk",
                    "client library's threads",
                    "reading, scanning, deciding",
                    "allocator",
                    "copying",
                    "fresh pages",
                    "lz4"
                ]
            )
        ]
    ),
    target!(
        "produce to routed record, open loop at half load",
        "p99 at most 1.5 times a bare relay's",
        "kafka",
        "latency: p99 over the bare relay's",
        Most(1.5),
        [Words(
            "broker, sender, daemon and relay share the machine; until commits were answered in passing both lanes stood still for them (below)"
        )]
    ),
    target!("kill -9", "first output after at most 2 s", "kafka", "kill -9 to first output", Most(2.0), []),
    target!("kill -9", "nothing lost", "kafka", "kill -9: mentions lost", Most(0.0), []),
    target!(
        TAKEOVER,
        "first output of its partitions at most 2 s after the session timeout, in s since the kill",
        "kafka",
        "takeover: kill -9 to first output of its partitions",
        MostAbove("takeover: session timeout", 2.0),
        [Words(
            "the other hears of it at its next heartbeat, up to a twelfth of the session timeout after the broker has given the dead one up"
        )]
    ),
    target!(TAKEOVER, "nothing lost", "kafka", "takeover: mentions lost", Most(0.0), []),
    target!(SWAP, "nothing lost", "kafka", "reload: mentions lost in all swaps", Most(0.0), []),
    target!(
        SWAP,
        "nothing decided by two policies",
        "kafka",
        "reload: mentions decided by two policies",
        Most(0.0),
        [Words(
            "tags, desk and queue of each mention on the desk log are of the policy that it names; tests/reload.rs looks at each decision"
        )]
    ),
    target!(
        SWAP,
        "p99 in the 10 s from when it is asked for at most 10 ms above the 10 s before, in ms",
        "kafka",
        "reload: p99 more than before, of the same swap",
        Most(10.0),
        [Words(
            "not the compiling, which rests four times as long as it works: until the policy is in force the p99 is that of before; what is left are single waits of all mentions, as there are without a swap; which swaps they fall on decides it (below)"
        )]
    ),
    target!(
        "memory with a backlog",
        "flat: in its last third at most 1.1 times what it was in the first, 680-byte mentions",
        "kafka",
        "memory 680 B: growth",
        Most(1.1),
        [Words(
            "what the allocator keeps of freed memory: by a heap profile the bytes in use do not grow (below)"
        )]
    ),
    target!(
        "memory with a backlog",
        "the same with mentions of 2.8 KB",
        "kafka",
        "memory 2.8 KB: growth",
        Most(1.1),
        [Words("as above")]
    ),
    target!(
        DEDUP,
        "at most 60 ns in batches, numeric ids",
        "engine",
        "exact dedup, numeric ids",
        Most(60.0),
        [Words(
            "memory: the same work on 20,000 ids, whose table the processor's cache holds, stands among the rows of the engine below"
        )]
    ),
    target!(
        DEDUP,
        "at most 60 ns in batches, string ids",
        "engine",
        "exact dedup, string ids",
        Most(60.0),
        [Words("as above, with a hash of the id before it")]
    ),
    target!(
        DEDUP,
        "at most 12 bytes a live numeric id",
        "engine",
        "memory of a live numeric id, full window",
        Most(12.0),
        [Words(
            "of a full window; up to twice that just after its table has doubled (\"worst while filling\" below)"
        )]
    ),
    target!(
        DEDUP,
        "at most 24 bytes a live string id",
        "engine",
        "memory of a live string id, full window",
        Most(24.0),
        [Words("as above")]
    ),
];

/// Parts whose processor time is taken apart: the part, the row of the engine that does as much, the target.
pub const BUDGETS: &[(&str, &str, f64)] = &[
    ("firehose 680 B", "1,000 firehose: rate", 330_000.0),
    ("all-queued 680 B", "1,000 all-queued: rate", 90_000.0),
];

/// What is promised and not measured here, with the place where it is shown or the reason why not.
pub const ELSEWHERE: &[(&str, &str)] = &[
    (
        "the record second of 2013: 143,199 tweets in one second, lag back to zero within 5 s",
        "`make storm SCENARIO=record-second-2013`, whose own objectives these are",
    ),
    ("exactly once: latency at most two commit intervals + 150 ms", "the mode is not there yet"),
    ("near-duplicates at most 1 us a mention", "the stage is not there yet"),
    (
        "safety, legal and press cases: recall at least 0.95",
        "not a matter of speed: [sample-policy.md](sample-policy.md)",
    ),
    (
        "nothing decided twice, repeats bounded by what was in flight",
        "the simulator's I2 and I3 for each seed ([architecture.md](architecture.md)), tests/faults.rs and `audit` on Apache Kafka; how many outputs a kill repeated stands among the rows below",
    ),
    (
        "exact dedup: never a drop on a mere 64-bit hash",
        "engine/src/dedup: `no_new_mention_is_ever_called_seen`, `ids_crafted_for_one_bucket…`",
    ),
    (
        "buffers under one knob, at most 512 MiB by default",
        "`limits.buffer_mib`; the peaks stand among the rows below",
    ),
];

/// On what the trials were made that the page tells of below the profile.
pub const TRIED: &str = "Intel(R) Xeon(R) Processor (2 cores), 2026-11-23, at load 12 to 30";

/// Peers on the same job (1,000 queries, exact dedup) in mentions a CPU-second at 680 bytes and at 2.8 KB, measured on one
/// core of another machine (AMD EPYC Zen 4, 2 cores), each as well tuned as we could.
pub const PEERS: &[(&str, f64, f64)] = &[
    ("bare consume-and-produce loop, all bytes out", 515_000.0, 175_000.0),
    ("Kafka Streams 4.3.1, dedup in a key-value store in memory (2.8 KB: RocksDB)", 67_000.0, 28_600.0),
    ("Redpanda Connect 4.105 with a native plug-in", 20_000.0, 8_300.0),
    ("Vector 0.56, configuration only", 7_500.0, f64::NAN),
];

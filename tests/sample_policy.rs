//! The sample policy against what people write: hand-written cases of safety, law and press, and real sets.
//!
//! Owns the count of what is found and of false alarms. The cases ship with the project (`tests/data/urgent`); real sets
//! that may not ship are read from the folder that `TRIAGED_DATA` names, and their texts are never printed. Which of
//! their hits are such a matter was judged by hand, row by row (`judged.toml`); every other hit is a false alarm.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use triage_engine::explain::Explainer;
use triage_engine::model::{Author, Kind, Mention, Thread, Visibility};
use triage_engine::policy::{Policy, RuleTest, read_rule_tests};
use triage_engine::scan::{Matcher, ReferenceMatcher};
use triaged::policy_folder::read_policy_folder;

const CLASSES: [&str; 3] = ["safety", "legal", "press"];
/// The least share of cases that must be found.
const RECALL_MIN: f64 = 0.95;
/// What is found of the cases of round 9 held out, less a little: it must not fall unseen.
const RECALL_HELD_OUT_MIN: f64 = 0.57;
/// The same of cases that another hand wrote, as on an ordinary day.
const RECALL_NATURAL_MIN: f64 = 0.70;
/// The highest share of texts written to mislead the rules that may raise an alarm.
const NEAR_MISS_ALARMS_MAX: f64 = 0.05;
/// The same of those by which no rule was mended: it must not rise unseen.
const NEAR_MISS_ALARMS_HELD_OUT_MAX: f64 = 0.12;
/// The highest share of ordinary mentions that may raise a false alarm.
const ALARMS_MAX: f64 = 0.001;

fn sample() -> Policy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policy");
    Policy::compile(&read_policy_folder(&folder).unwrap()).unwrap()
}

fn mention<'a>(text: &'a str, account: &'a str) -> Mention<'a> {
    Mention {
        mention_id: "x:1",
        network: "x",
        account,
        kind: Kind::Post,
        visibility: Visibility::Public,
        posted_at: None,
        author: Author { id: "x:u42", handle: "@jane", followers: 100, verified: false },
        text,
        lang: "",
        thread: Thread::default(),
        repost_of: None,
        promoted: false,
    }
}

/// What the policy makes of a text: disposition, tags, queue, and whether any rule matches.
struct Decided {
    disposition: &'static str,
    tags: BTreeSet<String>,
    queue: String,
    matched: bool,
}

struct Decider<'p>(Explainer<'p>);

impl<'p> Decider<'p> {
    fn new(policy: &'p Policy) -> Decider<'p> {
        Decider(Explainer::new(policy, ReferenceMatcher::new(policy.literals()).scanner()))
    }

    fn decide(&mut self, text: &str, account: &str) -> Decided {
        let told = self.0.explain(&mention(text, account));
        Decided {
            disposition: told.disposition,
            tags: told.rules.iter().flat_map(|rule| rule.tags.iter().cloned()).collect(),
            queue: told.route.map_or_else(String::new, |route| route.queue),
            matched: !told.rules.is_empty(),
        }
    }
}

fn cases(policy: &Policy, half: &str) -> Vec<RuleTest> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/urgent").join(half);
    let files = BTreeMap::from([(half.to_owned(), fs::read_to_string(path).unwrap())]);
    read_rule_tests(&files, policy).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// What was found of a class: how many of its cases get its tag, and how many there are.
#[derive(Clone, Copy, Default)]
struct Found {
    hits: u32,
    all: u32,
}

/// What is found of each class in one file of cases, and of all together under "all".
fn found(policy: &Policy, half: &str) -> BTreeMap<String, Found> {
    let mut decider = Decider::new(policy);
    let mut counts: BTreeMap<String, Found> = BTreeMap::new();
    for test in cases(policy, half) {
        for case in &test.cases {
            let decided = decider.decide(&case.mention.text, "@brandcare");
            let hit = test.expect.tags.iter().all(|class| decided.tags.contains(class));
            for class in test.expect.tags.iter().map(String::as_str).chain(["all"]) {
                let count = counts.entry(class.to_owned()).or_default();
                count.all += 1;
                count.hits += u32::from(hit);
            }
            if hit {
                assert_eq!(decided.disposition, "queued", "{}", case.mention.text);
                assert!(decided.queue.starts_with("press."), "{}: {}", decided.queue, case.mention.text);
            }
        }
    }
    counts
}

fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

#[test]
fn matters_of_safety_law_and_press_are_found_in_the_cases_and_reach_the_desk_on_duty() {
    let policy = sample();
    let mended = found(&policy, "development.toml");
    let held_out = found(&policy, "held-out.toml");
    let natural = found(&policy, "natural-held-out.toml");
    for (half, counts) in [("mended by", &mended), ("held out", &held_out), ("natural, held out", &natural)] {
        for (class, count) in counts {
            println!(
                "{half}: {class}: {} of {} ({:.3})",
                count.hits,
                count.all,
                share(count.hits, count.all)
            );
        }
    }
    assert!(mended["all"].all >= 200 && held_out["all"].all >= 75 && natural["all"].all >= 150);
    for class in CLASSES.into_iter().chain(["all"]) {
        assert!(share(mended[class].hits, mended[class].all) >= RECALL_MIN, "{class}");
    }
    assert!(share(held_out["all"].hits, held_out["all"].all) >= RECALL_HELD_OUT_MIN);
    assert!(share(natural["all"].hits, natural["all"].all) >= RECALL_NATURAL_MIN);
}

#[test]
fn what_only_looks_urgent_is_left_to_the_desks_of_its_subject() {
    let near: toml::Table = toml::from_str(include_str!("data/urgent/near-misses.toml")).unwrap();
    let policy = sample();
    let mut decider = Decider::new(&policy);
    for (half, texts) in &near {
        let texts: Vec<&str> = texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        let shout = |text: &&&str| {
            let tags = decider.decide(text, "@brandcare").tags;
            CLASSES.iter().any(|&class| tags.contains(class))
        };
        let alarms: Vec<&&str> = texts.iter().filter(shout).collect();
        println!("{half}: {} of {} near misses raise an alarm: {alarms:?}", alarms.len(), texts.len());
        let count = |all: usize| u32::try_from(all).unwrap();
        let most = if half == "third_hand" { NEAR_MISS_ALARMS_HELD_OUT_MAX } else { NEAR_MISS_ALARMS_MAX };
        assert!(share(count(alarms.len()), count(texts.len())) <= most, "{half}");
    }
}

/// The rows of a file of comma-separated values, quotes and line ends inside of fields as they are.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            letter => field.push(letter),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}

/// The texts of one column, with the number of their row after the head; rows that `wanted` refuses are left out.
fn column(path: &Path, name: &str, wanted: impl Fn(&[String], &[String]) -> bool) -> Vec<(u64, String)> {
    let bytes = fs::read(path).unwrap();
    // Not UTF-8 means Latin-1 in these sets, where each byte is the character of that number.
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().map(|&byte| char::from(byte)).collect());
    let mut rows = rows(&text.replace("\r\n", "\n").replace('\r', "\n"))
        .into_iter()
        .filter(|row| row.iter().any(|field| !field.is_empty()));
    let head = rows.next().unwrap();
    let place = head.iter().position(|title| title == name).unwrap();
    let numbered = rows.zip(0..).filter(|(row, _)| row.len() == head.len() && wanted(&head, row));
    numbered.map(|(mut row, number)| (number, plain(&row.swap_remove(place)))).collect()
}

/// Networks' own escapes undone.
fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A set's name, the account that was asked, and its texts by number.
type RealSet = (&'static str, &'static str, Vec<(u64, String)>);

/// What customers wrote in each set: name, the account that they asked, texts by number.
fn real_sets(folder: &Path) -> Vec<RealSet> {
    let inbound = |head: &[String], row: &[String]| {
        head.iter().zip(row).any(|(title, value)| title == "inbound" && value == "True")
    };
    let conversations = json(&folder.join("ibm_twitter_customer_care/dev.json"));
    let turns =
        conversations.as_array().unwrap().iter().flat_map(|one| one["dialogContent"].as_array().unwrap());
    let clients = turns.filter(|turn| turn.get("client").is_some());
    let clients = clients.map(|turn| turn["message"].as_str().unwrap().to_owned());
    let rated = fs::read_to_string(folder.join("vader/hutto_ICWSM_2014/tweets_GroundTruth.txt")).unwrap();
    let rated = rated.lines().filter_map(|line| line.splitn(3, '\t').nth(2)).map(str::to_owned);
    let intents = json(&folder.join("clinc150/data_full.json"));
    let intents = intents.as_object().unwrap().values().flat_map(|part| part.as_array().unwrap());
    let intents = intents.map(|pair| pair[0].as_str().unwrap().to_owned());
    let mut banking = column(&folder.join("banking77/train.csv"), "text", |_, _| true);
    let trained = u64::try_from(banking.len()).unwrap();
    let test = column(&folder.join("banking77/test.csv"), "text", |_, _| true);
    banking.extend(test.into_iter().map(|(number, text)| (trained + number, text)));
    vec![
        (
            "airline_sentiment",
            "@brandair",
            column(&folder.join("airline_sentiment/Tweets.csv"), "text", |_, _| true),
        ),
        ("twcs", "@brandcare", column(&folder.join("twcs/twcs_5309rows.csv"), "text", inbound)),
        ("ibm_twitter_customer_care", "@brandcare", (0..).zip(clients).collect()),
        ("vader", "@brandcare", (0..).zip(rated).collect()),
        ("banking77", "@brandcare", banking),
        ("clinc150", "@brandcare", (0..).zip(intents).collect()),
        ("sms_spam", "@brandcare", column(&folder.join("sms_spam/spam.csv"), "v2", |_, _| true)),
    ]
}

#[test]
fn what_people_really_write_raises_hardly_a_false_alarm() {
    let Some(folder) = std::env::var_os("TRIAGED_DATA") else {
        println!("skipped: TRIAGED_DATA is not set");
        return;
    };
    let judged: toml::Table = toml::from_str(include_str!("data/urgent/judged.toml")).unwrap();
    let policy = sample();
    let mut decider = Decider::new(&policy);
    let (mut all, mut alarms_of_all) = (0, 0);
    for (set, account, texts) in real_sets(Path::new(&folder)) {
        let real: BTreeSet<u64> = judged.get(set).map_or_else(BTreeSet::new, |rows| {
            rows.as_array()
                .unwrap()
                .iter()
                .map(|row| u64::try_from(row.as_integer().unwrap()).unwrap())
                .collect()
        });
        let (mut matched, mut noise, mut hits, mut alarms) = (0, 0, 0, Vec::new());
        let mut queues: BTreeMap<String, u32> = BTreeMap::new();
        for (number, text) in &texts {
            let decided = decider.decide(text, account);
            matched += u32::from(decided.matched);
            noise += u32::from(decided.disposition != "queued");
            *queues.entry(decided.queue).or_default() += 1;
            if CLASSES.iter().any(|&class| decided.tags.contains(class)) {
                hits += 1;
                if !real.contains(number) {
                    alarms.push(*number);
                }
            }
        }
        let count = u32::try_from(texts.len()).unwrap();
        let false_alarms = u32::try_from(alarms.len()).unwrap();
        println!(
            "{set}: {count} texts, {:.1} % matched, {noise} noise, {hits} hits of the classes, {false_alarms} of them false ({:.3} %): rows {alarms:?}",
            100.0 * share(matched, count),
            100.0 * share(false_alarms, count)
        );
        let mut queues: Vec<(String, u32)> = queues.into_iter().collect();
        queues.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        println!(
            "    {}",
            queues
                .iter()
                .map(|(queue, n)| format!("{queue} {:.1} %", 100.0 * share(*n, count)))
                .collect::<Vec<_>>()
                .join(", ")
        );
        if !["vader", "sms_spam"].contains(&set) {
            // The two others are nobody's mentions: what they hold is news and talk among friends.
            assert!(share(false_alarms, count) <= ALARMS_MAX, "{set}: rows {alarms:?}");
        }
        all += count;
        alarms_of_all += false_alarms;
    }
    println!("{all} texts, {alarms_of_all} false alarms: {:.3} %", 100.0 * share(alarms_of_all, all));
    assert!(share(alarms_of_all, all) <= ALARMS_MAX);
}

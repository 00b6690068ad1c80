//! Golden folders: what a desk log holds, readable, and every record that must follow from it.
//!
//! Owns `tests/golden/<behaviour>/`: `events.jsonl` (settings, then log entries), `expected.jsonl` (records, then
//! counts). Every entry goes through the desk log's bytes on its way in, every record is checked against its schema in
//! docs/schemas. `UPDATE_GOLDEN=1 cargo test --test golden` rewrites what is expected; read the difference.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use triage_engine::desk::{Counts, DeskLog, DeskSettings, Effects, Event, QueuedMention, SourceMark};
use triage_engine::model::{AuthorKey, EventDisposition, MentionKey, Millis, Position, Source, StreamId};
use triage_engine::policy::Generation;
use triaged::log::Outgoing;
use triaged::wire::{assignment, cloudevents, desk_log};

const INPUT: StreamId = StreamId(1);
const HELPDESK: StreamId = StreamId(2);
const GENERATION: Generation = Generation([0x9c; 32]);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn text<'a>(line: &'a Value, field: &str, otherwise: &'a str) -> &'a str {
    line.get(field).map_or(otherwise, |value| value.as_str().expect("a text"))
}

fn number(line: &Value, field: &str) -> i64 {
    line[field].as_i64().unwrap_or_else(|| panic!("`{field}` in {line}"))
}

fn names<'a>(line: &'a Value, field: &str) -> Vec<&'a str> {
    line.get(field).map_or(vec![], |list| {
        list.as_array().expect("a list").iter().map(|name| name.as_str().expect("a name")).collect()
    })
}

/// Half of a hash: golden keys need only differ.
fn key(text: &str) -> u128 {
    let hash = Sha256::digest(text.as_bytes());
    u128::from_be_bytes(hash[..16].try_into().expect("16 bytes"))
}

/// `<partition>/<offset>` of the input, `e<partition>/<offset>` of the helpdesk's events.
fn mark(line: &Value) -> Option<SourceMark> {
    let source = line.get("source")?.as_str().expect("a source");
    let (stream, place) = source.strip_prefix('e').map_or((INPUT, source), |place| (HELPDESK, place));
    let (partition, offset) = place.split_once('/').expect("partition/offset");
    let (partition, offset) = (partition.parse().expect("partition"), offset.parse().expect("offset"));
    let position = Position { stream, partition, offset };
    Some(SourceMark { source: Source { position, ordinal: 0 }, committed: number(line, "committed") })
}

fn at(line: &Value) -> Millis {
    Millis(line["at"].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time").as_millisecond())
}

/// The bytes of the desk-log record that a line describes.
fn encode(line: &Value) -> Vec<u8> {
    let (mark, mut value) = (mark(line), Vec::new());
    let author = text(line, "author", "");
    let raw = json!({"mention_id": text(line, "id", ""), "text": text(line, "text", "")}).to_string();
    let (author_id, handle) = (format!("x:{author}"), format!("@{author}"));
    let event = match text(line, "event", "") {
        "tick" => Event::Tick,
        "policy.switched" => Event::PolicySwitched { epoch: number(line, "epoch"), generation: GENERATION },
        "case.resolved" => Event::CaseResolved {
            case: text(line, "case", "").parse().expect("a case id"),
            by: text(line, "by", ""),
            event_source: "/helpdesk",
            event_id: text(line, "source", ""),
        },
        "mention" => Event::Mention(QueuedMention {
            key: MentionKey(key(text(line, "id", ""))),
            author: AuthorKey(key(&author_id)),
            mention_id: text(line, "id", ""),
            network: "x",
            author_id: &author_id,
            author_handle: &handle,
            desk: text(line, "desk", "tech"),
            queue: text(line, "queue", "tech.tv"),
            tags: names(line, "tags"),
            category: text(line, "category", "general"),
            priority: line.get("priority").map_or(0, |_| number(line, "priority") as i32),
            resolution: text(line, "resolution", "either"),
            posted_at: at(line).plus(-2_000),
            input: mark.expect("a mention has a source").source.position,
            generation: GENERATION,
            pii_found: names(line, "pii"),
            pii_redacted: line.get("pii").is_some(),
            raw: raw.as_bytes(),
        }),
        other => panic!("unknown event `{other}`"),
    };
    desk_log::encode(mark.as_ref(), &event, &mut value);
    value
}

fn told(counts: &Counts) -> Value {
    let events = EventDisposition::ALL.iter().filter(|&&disposition| counts.events(disposition) > 0);
    let events: Map<String, Value> = events
        .map(|&disposition| (disposition.name().to_owned(), counts.events(disposition).into()))
        .collect();
    json!({"counts": {"opened": counts.opened, "linked": counts.linked, "copy": counts.copy,
        "repeated": counts.repeated, "lapsed": counts.lapsed, "events": events}})
}

/// Every record that follows from the log, read in steps of so many entries, then what was counted.
fn run(lines: &[Value], step_entries: usize) -> Vec<Value> {
    let settings = DeskSettings {
        case_lapse_ms: number(&lines[0], "case_lapse_ms"),
        mentions_per_case_max: number(&lines[0], "mentions_per_case_max") as u32,
    };
    let mut desk = DeskLog::new(number(&lines[0], "partition") as u32);
    let (mut effects, mut counts, mut records) = (Effects::new(), Counts::default(), Vec::new());
    for step in lines[1..].chunks(step_entries) {
        let values: Vec<_> = step.iter().map(encode).collect();
        let entries: Vec<_> = step
            .iter()
            .zip(&values)
            .map(|(line, value)| {
                desk_log::decode(number(line, "offset"), at(line), Some(value)).expect("reads")
            })
            .collect();
        desk.step(&entries, &settings, &mut effects);
        counts.add(&effects.counts);
        for effect in &effects.records {
            let mut out = Outgoing::default();
            assignment::Writer::new("mentions").push(effect, &entries[effect.entry], |_| &mut out);
            records.push(record(&format!("assignments.{}", effect.desk), &out));
        }
    }
    desk.check_invariants();
    records.push(told(&counts));
    records
}

/// The one record as a value, after a look at its schema and headers.
fn record(topic: &str, out: &Outgoing) -> Value {
    let record = out.iter().next().expect("a record");
    let key = std::str::from_utf8(record.key().expect("a key")).expect("text");
    let value: Value = serde_json::from_slice(record.value().expect("a value")).expect("JSON");
    let headers: Map<String, Value> = record
        .headers()
        .map(|(name, value)| (name.to_owned(), std::str::from_utf8(value).expect("text").into()))
        .collect();
    let kind = headers["ce_type"].as_str().expect("a type");
    let schema = root().join("docs/schemas").join(format!("{kind}.json"));
    let schema = std::fs::read_to_string(&schema).unwrap_or_else(|error| panic!("{schema:?}: {error}"));
    fits(&value, &serde_json::from_str(&schema).expect("JSON"), kind).expect("fits its schema");
    assert_eq!(headers["ce_partitionkey"], key, "consumers join by key");
    assert_eq!(value["case_id"], key);
    assert!(cloudevents::partition_for(key.as_bytes(), 6) < 6);
    json!({"topic": topic, "key": key, "headers": headers, "value": value})
}

/// The part of JSON Schema that our schemas use, except for patterns and formats.
fn fits(value: &Value, schema: &Value, path: &str) -> Result<(), String> {
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{path}: unknown type `{other}`"),
    };
    let allowed = match &schema["type"] {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().expect("a type"))),
        _ => true,
    };
    let listed = schema["enum"].as_array().is_none_or(|list| list.contains(value));
    let enough =
        schema["minimum"].as_i64().is_none_or(|least| value.as_i64().is_some_and(|value| value >= least));
    if !(allowed && listed && enough) {
        return Err(format!("{path}: {value} does not fit {schema}"));
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().expect("a name");
            object.get(name).ok_or_else(|| format!("{path}: `{name}` is missing"))?;
        }
        for (name, value) in object {
            let schema =
                properties.get(name).ok_or_else(|| format!("{path}: `{name}` is not in the schema"))?;
            fits(value, schema, &format!("{path}.{name}"))?;
        }
    }
    value.as_array().into_iter().flatten().try_for_each(|item| fits(item, &schema["items"], path))
}

fn check(behaviour: &str) {
    let folder = root().join("tests/golden").join(behaviour);
    let events = std::fs::read_to_string(folder.join("events.jsonl")).expect("events.jsonl");
    let lines: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let records = run(&lines, usize::MAX);
    assert_eq!(records, run(&lines, 1), "how the log is cut into steps changes nothing");
    let written: String = records.iter().map(|record| format!("{record}\n")).collect();
    let path = folder.join("expected.jsonl");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, written).expect("writes");
        return;
    }
    let expected = std::fs::read_to_string(&path).expect("expected.jsonl; UPDATE_GOLDEN=1 writes it");
    assert_eq!(
        written, expected,
        "{behaviour}: UPDATE_GOLDEN=1 rewrites it if this is what users should get"
    );
}

macro_rules! golden {
    ($($test:ident = $folder:literal;)*) => {
        $(#[test] fn $test() { check($folder); })*
        const FOLDERS: &[&str] = &[$($folder,)*];
    };
}

golden! {
    an_authors_next_mention_joins_the_open_case = "an-authors-next-mention-joins-the-open-case";
    a_copy_from_another_partition_opens_nothing = "a-copy-from-another-partition-opens-nothing";
    a_resolved_case_closes_and_a_later_mention_opens_a_new_one =
        "a-resolved-case-closes-and-a-later-mention-opens-a-new-one";
    a_quiet_case_lapses = "a-quiet-case-lapses";
    a_repeat_after_a_crash_changes_nothing = "a-repeat-after-a-crash-changes-nothing";
    an_event_for_an_unknown_case_is_counted = "an-event-for-an-unknown-case-is-counted";
}

#[test]
fn every_golden_folder_is_run() {
    let folders = std::fs::read_dir(root().join("tests/golden")).expect("tests/golden");
    for folder in folders {
        let name = folder.expect("an entry").file_name().into_string().expect("text");
        assert!(FOLDERS.contains(&name.as_str()), "tests/golden/{name} is not run");
    }
}

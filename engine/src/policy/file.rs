//! The policy files' mirror: which tables and keys there are, merged over all files.
//!
//! Owns the names of tables and keys and the range of every number. What belongs together across tables
//! (names, references, queries) is `compile`'s work. Nothing outside this folder ever sees these types.

use super::bundle::Bundle;
use super::calendar::{CalendarText, read_calendar};
use super::mistake::{Mistakes, Place, did_you_mean, toml_hint};
use super::pieces::{Given, Piece};
use super::query::{Case, Form};
use super::table::{Located, Table, describe};
use super::{Category, Resolution, RuleAction, RuleClass};
use crate::text::Accents;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest time that a duration key may name: ten years.
const LONG_MS_MAX: i64 = 10 * 365 * 86_400_000;
/// The highest partition number that a desk may be given; far above what brokers advise.
const LOG_PARTITION_MAX: i64 = 9_999;

/// Everything that the files say, in the order of paths and lines.
#[derive(Default)]
pub(super) struct Files {
    pub rules: Vec<RuleText>,
    pub lists: Vec<ListText>,
    pub desks: Vec<DeskText>,
    pub calendars: Vec<CalendarText>,
    pub queues: Vec<QueueText>,
    pub filters: Vec<FilterText>,
    pub workflow_default: Option<Located<String>>,
    pub own: Vec<Located<String>>,
    pub blocked: Vec<Located<String>>,
    pub dedup_window_ms: Option<Located<i64>>,
    pub dedup_ids_max: Option<Located<i64>>,
    pub hash_key: Option<Located<String>>,
    /// Whether a file could not be read as TOML; what is missing may be in there.
    pub unreadable: bool,
}

pub(super) struct RuleText {
    pub name: Option<Located<String>>,
    pub query: Option<Located<String>>,
    pub tags: Vec<Located<String>>,
    pub class: Option<Located<RuleClass>>,
    pub category: Option<Category>,
    pub priority: Option<u8>,
    pub resolution: Option<Resolution>,
    pub action: Option<Located<RuleAction>>,
    pub never_drop: Option<Located<bool>>,
    pub form: Form,
}

pub(super) struct ListText {
    pub name: Option<Located<String>>,
    pub terms: Vec<Located<String>>,
}

pub(super) struct DeskText {
    pub name: Option<Located<String>>,
    pub log_partition: Option<u32>,
    pub case_lapse_ms: Option<i64>,
    pub mentions_per_case_max: Option<u32>,
    pub calendar: Option<Located<String>>,
}

pub(super) struct QueueText {
    pub name: Option<Located<String>>,
    pub desk: Option<Located<String>>,
    pub priority: Option<u8>,
    pub resolution: Option<Resolution>,
}

pub(super) struct FilterText {
    pub name: Option<Located<String>>,
    pub when: Option<Located<String>>,
    pub queue: Option<Located<String>>,
}

const TABLES: [&str; 10] =
    ["rule", "list", "desk", "calendar", "queue", "filter", "workflow", "accounts", "dedup", "fleet"];
const TABLES_LATER: [&str; 3] = ["plan", "response", "agent"];

impl Files {
    /// Reads the files of a bundle: every file of tables that `wanted` wants by its text.
    /// Calls `step` after each piece of one.
    pub fn of<'b>(
        bundle: &'b Bundle,
        wanted: impl Fn(&str) -> bool,
        step: &mut dyn FnMut(),
    ) -> (Files, Mistakes<'b>) {
        let (files, mistakes) = Files::cut(bundle, &wanted, Piece::cut, step);
        if !files.unreadable {
            return (files, mistakes);
        }
        Files::cut(bundle, &wanted, std::iter::once, step)
    }

    fn cut<'b, P: Iterator<Item = Piece<'b>>>(
        bundle: &'b Bundle,
        wanted: impl Fn(&str) -> bool,
        cut: impl Fn(Piece<'b>) -> P,
        step: &mut dyn FnMut(),
    ) -> (Files, Mistakes<'b>) {
        let named = bundle.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let (mut files, mut mistakes) = (Files::default(), Mistakes::new(named));
        for (number, (path, text)) in bundle.files.iter().enumerate() {
            // Holidays are read where a calendar names them; the time-zone database is only named.
            if path.ends_with(".toml") && wanted(text) {
                let mut given = Given::default();
                let reads = |piece| {
                    step();
                    files.read(&piece, &mut given, &mut mistakes)
                };
                files.unreadable |= !cut(Piece::whole(number, text)).all(reads);
            }
        }
        (files, mistakes)
    }

    /// Reads a part of a file and adds what it says; false when it is damaged or does not agree with the parts before it.
    fn read(&mut self, piece: &Piece<'_>, given: &mut Given, mistakes: &mut Mistakes<'_>) -> bool {
        let document = document(piece, mistakes);
        let Some(document) = document.filter(|document| given.agrees(piece, document.get_ref())) else {
            return false;
        };
        for (key, value) in document.get_ref() {
            let place = piece.place(key.span());
            let name: &str = key.get_ref();
            match name {
                "rule" | "list" | "desk" | "calendar" | "queue" | "filter" => {
                    for (table, place) in tables(name, value.get_ref(), &place, mistakes) {
                        self.read_listed(name, table, place, mistakes);
                    }
                }
                "workflow" | "accounts" | "dedup" | "fleet" => match value.get_ref().as_table() {
                    Some(table) => self.read_single(name, table, place, mistakes),
                    None => {
                        let found = describe(value.get_ref());
                        mistakes.at(
                            &place,
                            format!("`{name}` must be a table, found {found}"),
                            format!("write [{name}]"),
                        );
                    }
                },
                _ if !given.is_first(name) => {}
                "test" => {
                    mistakes.at(
                        &place,
                        "`test` stands among the rules",
                        "rule tests stand in the folder `tests`",
                    );
                }
                _ if TABLES_LATER.contains(&name) => {
                    mistakes.at(&place, format!("`{name}` is not there yet"), "");
                }
                _ => {
                    let hint = did_you_mean(name, TABLES);
                    mistakes.at(
                        &place,
                        format!("unknown table or key `{name}` at the top of the file"),
                        hint,
                    );
                }
            }
        }
        true
    }

    fn read_listed(&mut self, name: &str, table: &DeTable<'_>, place: Place, mistakes: &mut Mistakes<'_>) {
        match name {
            "rule" => self.rules.push(read_rule(Table::new(table, "[[rule]]", place, mistakes))),
            "list" => self.lists.push(read_list(Table::new(table, "[[list]]", place, mistakes))),
            "calendar" => {
                self.calendars.push(read_calendar(Table::new(table, "[[calendar]]", place, mistakes)));
            }
            "desk" => self.desks.push(read_desk(Table::new(table, "[[desk]]", place, mistakes))),
            "queue" => self.queues.push(read_queue(Table::new(table, "[[queue]]", place, mistakes))),
            _ => self.filters.push(read_filter(Table::new(table, "[[filter]]", place, mistakes))),
        }
    }

    fn read_single(&mut self, name: &str, table: &DeTable<'_>, place: Place, mistakes: &mut Mistakes<'_>) {
        match name {
            "workflow" => {
                let mut table = Table::new(table, "[workflow]", place, mistakes);
                let queue = table.text("default");
                once(&mut self.workflow_default, queue, "default", table.mistakes);
                table.finish(&[]);
            }
            "accounts" => {
                let mut table = Table::new(table, "[accounts]", place, mistakes);
                self.own.extend(table.texts("own"));
                self.blocked.extend(table.texts("blocked"));
                table.finish(&[]);
            }
            "dedup" => {
                let mut table = Table::new(table, "[dedup]", place, mistakes);
                let window = table.duration("window", 1_000..=31 * 86_400_000);
                once(&mut self.dedup_window_ms, window, "window", table.mistakes);
                let ids_max = table.integer("ids_max", 1_000..=1_000_000_000);
                once(&mut self.dedup_ids_max, ids_max, "ids_max", table.mistakes);
                table.finish(&[]);
            }
            _ => {
                let mut table = Table::new(table, "[fleet]", place, mistakes);
                let hash_key = table.text("hash_key");
                once(&mut self.hash_key, hash_key, "hash_key", table.mistakes);
                table.finish(&[]);
            }
        }
    }
}

/// Reads a piece as TOML; `None` when it is damaged, since what such a file seems to say would only bring mistakes
/// that are none.
pub(super) fn document<'t>(piece: &Piece<'t>, mistakes: &mut Mistakes<'_>) -> Option<Spanned<DeTable<'t>>> {
    let (document, damage) = DeTable::parse_recoverable(piece.text);
    // What is found behind the first damage is most often its consequence.
    if let Some(error) = damage.iter().min_by_key(|error| error.span().map_or(0, |bytes| bytes.start)) {
        let bytes = error.span().unwrap_or(0..0);
        let what = format!("not readable as TOML: {}", error.message().replace('\n', ", "));
        let line = piece.text[..piece.text.floor_char_boundary(bytes.start)].matches('\n').count();
        let hint = toml_hint(error.message(), piece.text.lines().nth(line).unwrap_or_default());
        mistakes.at(&piece.place(bytes), what, hint);
    }
    damage.is_empty().then_some(document)
}

/// The tables of `[[name]]`; anything else under that name is a mistake.
pub(super) fn tables<'t>(
    name: &str,
    value: &'t DeValue<'t>,
    place: &Place,
    mistakes: &mut Mistakes<'_>,
) -> Vec<(&'t DeTable<'t>, Place)> {
    let Some(list) = value.as_array() else {
        let what = format!("`{name}` must be a list of tables, found {}", describe(value));
        mistakes.at(place, what, format!("write [[{name}]] with two brackets"));
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in list.iter() {
        let place = place.near(item.span());
        match item.get_ref().as_table() {
            Some(table) => found.push((table, place)),
            None => mistakes.at(
                &place,
                format!("`{name}` must hold tables, found {}", describe(item.get_ref())),
                "",
            ),
        }
    }
    found
}

/// Keeps a value that only one file may give.
fn once<T>(kept: &mut Option<Located<T>>, new: Option<Located<T>>, key: &str, mistakes: &mut Mistakes<'_>) {
    let Some(new) = new else { return };
    match kept {
        Some(first) => {
            let what = format!("`{key}` is given twice: the first is in {}", mistakes.describe(&first.place));
            mistakes.at(&new.place, what, "keep one of them");
        }
        None => *kept = Some(new),
    }
}

/// A priority, 0 to 100.
fn priority(table: &mut Table<'_, '_, '_>) -> Option<u8> {
    table.integer("priority", 0..=100).and_then(|number| u8::try_from(number.value).ok())
}

fn resolution(table: &mut Table<'_, '_, '_>) -> Option<Resolution> {
    table.choice("resolution", &Resolution::ALL.map(|r| (r.name(), r))).map(|resolution| resolution.value)
}

fn read_rule(mut table: Table<'_, '_, '_>) -> RuleText {
    let name = table.text("name");
    let query = table.text("query");
    let rule = RuleText {
        name: table.require("name", name, "every rule has a name that decisions and metrics quote"),
        query: table.require("query", query, ""),
        tags: table.texts("tags"),
        class: table.choice("class", &RuleClass::ALL.map(|c| (c.name(), c))),
        category: table.choice("category", &Category::ALL.map(|c| (c.name(), c))).map(|c| c.value),
        priority: priority(&mut table),
        resolution: resolution(&mut table),
        action: table.choice("action", &RuleAction::ALL.map(|a| (a.name(), a))),
        never_drop: table.boolean("never_drop"),
        form: Form {
            accents: table
                .choice("accents", &[("ignore", Accents::Ignore), ("exact", Accents::Exact)])
                .map_or(Accents::Ignore, |accents| accents.value),
            case: table
                .choice("case", &[("ignore", Case::Ignore), ("exact", Case::Exact)])
                .map_or(Case::Ignore, |case| case.value),
        },
    };
    table.finish(&["expert"]);
    rule
}

fn read_list(mut table: Table<'_, '_, '_>) -> ListText {
    let name = table.text("name");
    let name = table.require("name", name, "queries name the list by it: $name");
    let terms = table.texts("terms");
    table.require_members("terms", "such as terms = [\"tv\", \"set top box\", \"router*\"]");
    table.finish(&[]);
    ListText { name, terms }
}

fn read_desk(mut table: Table<'_, '_, '_>) -> DeskText {
    let name = table.text("name");
    let log_partition = table.integer("log_partition", 0..=LOG_PARTITION_MAX);
    let log_partition = table.require(
        "log_partition",
        log_partition,
        "the partition of the desk log, fixed for the desk's life",
    );
    let desk = DeskText {
        name: table.require("name", name, ""),
        log_partition: log_partition.and_then(|number| u32::try_from(number.value).ok()),
        case_lapse_ms: table.duration("case_lapse", 60_000..=LONG_MS_MAX).map(|ms| ms.value),
        mentions_per_case_max: table
            .integer("mentions_per_case_max", 1..=1_000_000)
            .and_then(|number| u32::try_from(number.value).ok()),
        calendar: table.text("calendar"),
    };
    table.finish(&[]);
    desk
}

fn read_queue(mut table: Table<'_, '_, '_>) -> QueueText {
    let name = table.text("name");
    let desk = table.text("desk");
    let queue = QueueText {
        name: table.require("name", name, ""),
        desk: table.require("desk", desk, "every queue belongs to a desk"),
        priority: priority(&mut table),
        resolution: resolution(&mut table),
    };
    table.finish(&["order", "max_length", "max_rate", "overflow", "topic", "sla"]);
    queue
}

fn read_filter(mut table: Table<'_, '_, '_>) -> FilterText {
    let name = table.text("name");
    let when = table.text("when");
    let queue = table.text("queue");
    let filter = FilterText {
        name: table.require("name", name, ""),
        when: table.require("when", when, "such as when = \"tag:tv\""),
        queue: table.require("queue", queue, ""),
    };
    table.finish(&["targets"]);
    filter
}

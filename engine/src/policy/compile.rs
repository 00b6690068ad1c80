//! From files to a policy: names, references and queries are checked, every mistake is told at once.
//!
//! Owns what belongs together across tables. Reads through `file`, writes mistakes, and makes a `Policy` only
//! when there are none; so the rest of the program never sees a half-checked policy. Called when a policy is
//! loaded, never on the data path.

use super::accounts::AccountList;
use super::asks;
use super::bundle::{Bundle, parse_hex};
use super::calendar::{CalendarIndex, TIME_ZONES_PATH, calendars};
use super::file::{Files, RuleText};
use super::lists::check_lists;
use super::mistake::{Mistake, Mistakes, Place};
use super::program::{Programs, RulePrograms, TagsAlone};
use super::queries::{Queries, check_regexes, most_literals};
use super::query::{Dialect, Expression};
use super::table::Located;
use super::{
    DedupLimits, Desk, DeskIndex, DeskLimits, Filter, Policy, Queue, QueueIndex, Resolution, Rule,
    RuleAction, RuleClass,
};
use std::collections::{BTreeMap, BTreeSet};

/// How many rules a policy may have: twice what the largest of brands run, and what a restart is measured with.
pub const RULES_MAX: usize = 200_000;
/// How many desks a policy may have: one for each partition that a desk may be given.
pub const DESKS_MAX: usize = 10_000;
/// How many calendars a policy may have: one for each desk.
const CALENDARS_MAX: usize = DESKS_MAX;
/// How many queues a policy may have.
pub const QUEUES_MAX: usize = 10_000;
/// How many workflow filters a policy may have: each is asked in turn for every mention that none above it takes.
pub const FILTERS_MAX: usize = 10_000;
const _: () = assert!(DESKS_MAX < NONE_16 && QUEUES_MAX < NONE_16 && FILTERS_MAX < NONE_16);
/// How many different words and phrases a policy may look for: those of 200,000 rules of median five, which share some.
/// See `scan::WordMatcher` for the memory that they take.
pub const LITERALS_MAX: usize = 1_000_000;
/// Indices of desks, queues and filters are 16 bits, the last of which stands for none.
const NONE_16: usize = 65_535;
/// The longest name, in bytes; `assignments.<desk>` must stay far below the broker's 249.
const NAME_BYTES_MAX: usize = 64;
const CASE_LAPSE_MS_DEFAULT: i64 = 72 * 3_600_000;
const MENTIONS_PER_CASE_MAX_DEFAULT: u32 = 1_000;
const DEDUP_WINDOW_MS_DEFAULT: i64 = 600_000;
const DEDUP_IDS_MAX_DEFAULT: i64 = 1_000_000;

/// Names in the order of their indices, and where each was given.
type Names = BTreeMap<String, (u32, Place)>;

pub(super) fn compile(bundle: &Bundle, step: &mut dyn FnMut()) -> Result<Policy, Vec<Mistake>> {
    compile_within(bundle, LITERALS_MAX, step)
}

/// The same for a policy that may have so many words and phrases.
pub(super) fn compile_within(
    bundle: &Bundle,
    literals_max: usize,
    step: &mut dyn FnMut(),
) -> Result<Policy, Vec<Mistake>> {
    let (files, mistakes) = Files::of(bundle, |_| true, step);
    let mut compiler = Compiler { whole: !files.unreadable, literals_max, mistakes, step };
    let policy = compiler.policy(bundle, files);
    let mistakes = compiler.mistakes.finish();
    match policy {
        Some(policy) if mistakes.is_empty() => Ok(policy),
        _ => {
            assert!(!mistakes.is_empty(), "what cannot be compiled has a mistake that says why");
            Err(mistakes)
        }
    }
}

struct Compiler<'f> {
    /// Whether every file could be read. If not, a name that is missing may be in the file that could not.
    whole: bool,
    literals_max: usize,
    mistakes: Mistakes<'f>,
    step: &'f mut dyn FnMut(),
}

impl Compiler<'_> {
    /// The policy; its value is worth something only when no mistake was found.
    fn policy(&mut self, bundle: &Bundle, files: Files) -> Option<Policy> {
        // By name, so that indices do not depend on how the files are split or ordered.
        let desk_names = self.names("desk", files.desks.iter().map(|desk| desk.name.as_ref()), DESKS_MAX);
        let queue_names =
            self.names("queue", files.queues.iter().map(|queue| queue.name.as_ref()), QUEUES_MAX);
        let rule_names = self.names("rule", files.rules.iter().map(|rule| rule.name.as_ref()), RULES_MAX);
        self.names("filter", files.filters.iter().map(|filter| filter.name.as_ref()), FILTERS_MAX);

        let calendar_names = files.calendars.iter().map(|calendar| calendar.name.as_ref());
        let calendar_names = self.names("calendar", calendar_names, CALENDARS_MAX);
        let calendars = calendars(&files.calendars, &bundle.files, &mut self.mistakes);
        (self.step)();
        let desks = self.desks(&files, &desk_names, &calendar_names);
        let queues = self.queues(&files, &queue_names, &desk_names);
        let lists = check_lists(&files.lists, &mut self.mistakes);
        let tags = self.tags(&files);
        let reader = Queries { tags: &tags, lists: &lists, whole: self.whole };
        let (rules, queries) = self.rules(&files, &rule_names, &reader);
        let (filters, conditions) = self.filters(&files, &queue_names, &reader);
        (self.step)();
        check_regexes(&files.rules, &rules, &queries, &mut self.mistakes);
        let askers = asks::order(&rules, &queries, &files, &mut self.mistakes);
        (self.step)();
        let default = self.workflow_default(&files, &queue_names);
        if self.whole {
            self.expect_some("desk", desks.len(), "write [[desk]] with name and log_partition");
            self.expect_some("queue", queues.len(), "write [[queue]] with name and desk");
        }
        let own = self.accounts("own", &files.own);
        let blocked = self.accounts("blocked", &files.blocked);
        let hash_key = self.hash_key(&files);
        let dedup = dedup(&files);

        if !self.mistakes.is_empty() {
            return None;
        }
        let number = |tag: &str| tag_number(&tags, tag).unwrap_or(u32::MAX);
        let (programs, literals) = RulePrograms::new(&queries, &lists, &number, askers?, self.step);
        if literals.len() > self.literals_max {
            let most = most_literals(&files, &rules, &queries, &lists);
            self.too_many_literals(literals.len(), most);
            return None;
        }
        let mut filter_programs = Programs::default();
        for condition in &conditions {
            filter_programs.push(condition, &mut TagsAlone(&number));
        }
        filter_programs.finish();
        Some(Policy {
            generation: bundle.generation(),
            literals,
            rules,
            desks,
            calendars,
            time_zones: bundle.files.get(TIME_ZONES_PATH).map(|version| version.trim().to_owned()),
            queues,
            filters,
            default: default?,
            lists,
            programs,
            filter_programs,
            own,
            blocked,
            hash_key: hash_key?,
            dedup,
        })
    }

    /// Checks the names of one kind of table and numbers them in their own order.
    fn names<'n>(
        &mut self,
        kind: &str,
        names: impl Iterator<Item = Option<&'n Located<String>>>,
        most: usize,
    ) -> Names {
        // A desk's name is part of a topic's name.
        let dots = kind != "desk";
        let mut known: Names = BTreeMap::new();
        let mut beyond = None;
        for name in names.flatten() {
            self.check_name(&format!("{kind} name"), name, dots);
            if let Some((_, first)) = known.get(&name.value) {
                let what = format!(
                    "two {kind}s are named `{}`: the first is in {}",
                    name.value,
                    self.mistakes.describe(first)
                );
                self.mistakes.at(&name.place, what, "");
                continue;
            }
            known.insert(name.value.clone(), (0, name.place.clone()));
            if known.len() == most + 1 {
                beyond = Some(name.place.clone());
            }
        }
        if let Some(beyond) = beyond {
            let limit = format!("{}S_MAX", kind.to_uppercase());
            self.mistakes.at(&beyond, format!("{} {kind}s, the limit {limit} is {most}", known.len()), "");
        }
        for (place, (index, _)) in known.values_mut().enumerate() {
            *index = u32::try_from(place).unwrap_or(u32::MAX);
        }
        known
    }

    fn check_name(&mut self, what: &str, name: &Located<String>, dots: bool) {
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || (dots && b == b'.');
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = name.value.as_bytes();
        if bytes.iter().all(|&b| allowed(b)) && edge(bytes.first()) && edge(bytes.last()) {
            if bytes.len() > NAME_BYTES_MAX {
                let message = format!("the {what} `{}` is longer than {NAME_BYTES_MAX} bytes", name.value);
                self.mistakes.at(&name.place, message, "");
            }
            return;
        }
        let dot = if dots { ", digits, `-` and `.`" } else { ", digits and `-`" };
        let expected =
            format!("a name has lower-case letters{dot}, and begins and ends with a letter or digit");
        self.mistakes.at(&name.place, format!("`{}` cannot be a {what}", name.value), expected);
    }

    fn expect_some(&mut self, kind: &str, count: usize, hint: &str) {
        if count == 0 {
            self.mistakes.nowhere(format!("there is no {kind}"), hint);
        }
    }

    /// The index of a name that a table refers to.
    fn refer(&mut self, kind: &str, name: Option<&Located<String>>, known: &Names) -> u16 {
        let Some(name) = name else { return 0 };
        if let Some((index, _)) = known.get(&name.value) {
            return u16::try_from(*index).unwrap_or(u16::MAX);
        }
        if self.whole {
            let hint = self.mistakes.near(&name.value, known.keys().map(String::as_str));
            self.mistakes.at(&name.place, format!("there is no {kind} `{}`", name.value), hint);
        }
        0
    }

    fn desks(&mut self, files: &Files, names: &Names, calendars: &Names) -> Vec<Desk> {
        let mut desks: BTreeMap<String, Desk> = BTreeMap::new();
        for text in &files.desks {
            let calendar = text.calendar.as_ref();
            let calendar = calendar.map(|name| self.refer("calendar", Some(name), calendars));
            let Some(name) = &text.name else { continue };
            desks.entry(name.value.clone()).or_insert_with(|| Desk {
                name: name.value.clone(),
                log_partition: text.log_partition.unwrap_or(0),
                case_lapse_ms: text.case_lapse_ms.unwrap_or(CASE_LAPSE_MS_DEFAULT),
                mentions_per_case_max: text.mentions_per_case_max.unwrap_or(MENTIONS_PER_CASE_MAX_DEFAULT),
                calendar: calendar.map(CalendarIndex),
            });
        }
        debug_assert_eq!(desks.len(), names.len());
        desks.into_values().collect()
    }

    fn queues(&mut self, files: &Files, names: &Names, desks: &Names) -> Vec<Queue> {
        let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
        for text in &files.queues {
            let desk = DeskIndex(self.refer("desk", text.desk.as_ref(), desks));
            let Some(name) = &text.name else { continue };
            queues.entry(name.value.clone()).or_insert_with(|| Queue {
                name: name.value.clone(),
                desk,
                priority: text.priority.unwrap_or(0),
                resolution: text.resolution.unwrap_or(Resolution::Either),
            });
        }
        debug_assert_eq!(queues.len(), names.len());
        queues.into_values().collect()
    }

    /// Every tag that a rule gives, in order.
    fn tags(&mut self, files: &Files) -> Vec<String> {
        let mut tags = BTreeSet::new();
        for rule in &files.rules {
            for tag in &rule.tags {
                self.check_name("tag", tag, true);
                tags.insert(tag.value.clone());
            }
            tags.extend(rule.class.as_ref().map(|class| class.value.name().to_owned()));
        }
        tags.into_iter().collect()
    }

    /// The rules by name, and their queries in the same order.
    fn rules(&mut self, files: &Files, names: &Names, queries: &Queries<'_>) -> (Vec<Rule>, Vec<Expression>) {
        let mut found: BTreeMap<String, (Rule, Expression)> = BTreeMap::new();
        for text in &files.rules {
            (self.step)();
            let class = text.class.as_ref().map(|class| class.value);
            let given = text.tags.iter().map(|tag| tag.value.as_str()).chain(class.map(RuleClass::name));
            let mut known = BTreeSet::new();
            let own_tags: Vec<String> = given.filter(|tag| known.insert(*tag)).map(str::to_owned).collect();
            let dialect = Dialect::Rule(text.form);
            let query = text.query.as_ref();
            let query = query.and_then(|query| queries.read("query", query, dialect, &mut self.mistakes));
            self.check_never_drop(text);
            let (Some(name), Some(query), Some(query_text)) = (&text.name, query, &text.query) else {
                continue;
            };
            let mut tag_numbers: Vec<u32> =
                own_tags.iter().filter_map(|tag| tag_number(queries.tags, tag)).collect();
            tag_numbers.sort_unstable();
            let rule = Rule {
                name: name.value.clone(),
                query: query_text.value.clone(),
                form: text.form,
                tags: own_tags,
                class,
                category: text.category,
                priority: text.priority,
                resolution: text.resolution,
                action: text.action.as_ref().map_or(RuleAction::Tag, |action| action.value),
                never_drop: class.is_some()
                    || text.never_drop.as_ref().is_some_and(|never_drop| never_drop.value),
                tag_numbers,
            };
            found.entry(name.value.clone()).or_insert((rule, query));
        }
        found.retain(|name, _| names.get(name).is_some_and(|(index, _)| (*index as usize) < RULES_MAX));
        found.into_values().unzip()
    }

    /// A rule that is never dropped, by its key or by its class, cannot drop, and a class cannot be switched off.
    fn check_never_drop(&mut self, text: &RuleText) {
        let dropping = text.action.as_ref().filter(|action| action.value != RuleAction::Tag);
        let action = |action: &Located<RuleAction>| format!("`action = \"{}\"`", action.value.name());
        if let (Some(dropping), Some(never_drop)) = (dropping, &text.never_drop)
            && never_drop.value
        {
            let what = format!("`never_drop = true` and {} contradict each other", action(dropping));
            self.mistakes.at(&never_drop.place, what, "a rule that must never be dropped may only tag");
        }
        let Some(class) = &text.class else { return };
        let what =
            |with: &str| format!("`class = \"{}\"` and {with} contradict each other", class.value.name());
        let hint = "what a rule of a class matches is never dropped";
        if let Some(dropping) = dropping {
            self.mistakes.at(&class.place, what(&action(dropping)), hint);
        }
        if let Some(never_drop) = text.never_drop.as_ref().filter(|never_drop| !never_drop.value) {
            self.mistakes.at(&never_drop.place, what("`never_drop = false`"), hint);
        }
    }

    /// The filters from top to bottom, files in the order of their paths.
    fn filters(
        &mut self,
        files: &Files,
        queues: &Names,
        queries: &Queries<'_>,
    ) -> (Vec<Filter>, Vec<Expression>) {
        let mut filters = Vec::new();
        let mut conditions = Vec::new();
        for text in &files.filters {
            let queue = QueueIndex(self.refer("queue", text.queue.as_ref(), queues));
            let Some(when) = &text.when else { continue };
            let Some(condition) = queries.read("when", when, Dialect::Filter, &mut self.mistakes) else {
                continue;
            };
            if let Some(name) = &text.name {
                filters.push(Filter { name: name.value.clone(), when: when.value.clone(), queue });
                conditions.push(condition);
            }
        }
        (filters, conditions)
    }

    fn too_many_literals(&mut self, count: usize, most: Option<(usize, &str, &Located<String>)>) {
        let Some((own, kind, name)) = most else {
            unreachable!("invariant: rules and lists name every literal")
        };
        let what = format!(
            "{count} words and phrases, the limit LITERALS_MAX is {}; the {kind} `{}` names the most, {own}",
            self.literals_max, name.value
        );
        self.mistakes.at(
            &name.place,
            what,
            "a wildcard stands for many: refund* for refund, refunds, refunded",
        );
    }

    fn workflow_default(&mut self, files: &Files, queues: &Names) -> Option<QueueIndex> {
        let Some(default) = &files.workflow_default else {
            if self.whole {
                let hint = "write [workflow] with default = \"<queue>\"; no mention may be without a queue";
                self.mistakes.nowhere("the workflow has no default queue", hint);
            }
            return None;
        };
        Some(QueueIndex(self.refer("queue", Some(default), queues)))
    }

    fn accounts(&mut self, key: &str, texts: &[Located<String>]) -> AccountList {
        let mut list = AccountList::default();
        for text in texts {
            if let Err(expected) = list.add(&text.value) {
                self.mistakes.at(&text.place, format!("`{}` in `{key}` is no account", text.value), expected);
            }
        }
        list
    }

    fn hash_key(&mut self, files: &Files) -> Option<[u8; 16]> {
        let hint = "32 lower-case hex digits, the same for the whole fleet for ever; `openssl rand -hex 16` makes them";
        let Some(text) = &files.hash_key else {
            if self.whole {
                self.mistakes.nowhere("[fleet] lacks `hash_key`", hint);
            }
            return None;
        };
        let key = parse_hex::<16>(&text.value);
        if key.is_none() {
            // The value is not repeated: it may be a real key with a slip.
            self.mistakes.at_secret(&text.place, "`hash_key` is no key", hint);
        }
        key
    }
}

/// The limits of the desks in files that say `[[desk]]`, if those can be read. A file that means a desk and does not say so
/// in this way cannot be told from one that holds none: whoever misses a desk asks the compiled policy.
pub(super) fn desk_limits(bundle: &Bundle) -> Vec<DeskLimits> {
    let (files, _) = Files::of(bundle, |text| text.contains("[[desk]]"), &mut || {});
    let limits = files.desks.iter().filter_map(|text| {
        Some(DeskLimits {
            name: text.name.as_ref()?.value.clone(),
            case_lapse_ms: text.case_lapse_ms.unwrap_or(CASE_LAPSE_MS_DEFAULT),
            mentions_per_case_max: text.mentions_per_case_max.unwrap_or(MENTIONS_PER_CASE_MAX_DEFAULT),
        })
    });
    limits.collect()
}

fn dedup(files: &Files) -> DedupLimits {
    let ids_max = files.dedup_ids_max.as_ref().map_or(DEDUP_IDS_MAX_DEFAULT, |ids_max| ids_max.value);
    DedupLimits {
        window_ms: files.dedup_window_ms.as_ref().map_or(DEDUP_WINDOW_MS_DEFAULT, |window| window.value),
        ids_max: usize::try_from(ids_max).expect("invariant: the range was checked"),
    }
}

/// A tag's place in the sorted table of tags.
pub(super) fn tag_number(tags: &[String], tag: &str) -> Option<u32> {
    tags.binary_search_by(|known| known.as_str().cmp(tag)).ok().and_then(|place| u32::try_from(place).ok())
}

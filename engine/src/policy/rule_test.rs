//! Rule tests: mentions and what must become of them, as they stand beside the rules in `tests/*.toml`.
//!
//! Owns the format and its mistakes; every name that a test expects must be one of the policy, so that no test passes
//! because of a slip. May not decide anything: the daemon's runner sends the mentions through its own stages. Tests are
//! no part of a bundle and not of the generation's hash. Called by the runner and by `check`.
//!
//! ```toml
//! [[test]]
//! name    = "a broken television reaches the television queue"
//! at      = "2026-11-22T09:14:03Z"
//! mention = { text = "TV broken again, 3rd time!", lang = "en", followers = 12 }
//! expect  = { disposition = "queued", queue = "tech.tv", rules = ["tv-broken"], not_rules = ["giveaway"] }
//!
//! [[test]]
//! name   = "raffles are noise"
//! texts  = ["RT to win a TV", "Gewinne jetzt!"]     # one mention each; `mention` may give what they share
//! expect = { rule = "giveaway" }
//! ```

use super::file::{document, tables};
use super::mistake::{Mistake, Mistakes, Place, did_you_mean};
use super::pieces::Piece;
use super::table::{Located, Table};
use super::{Category, Policy, Resolution};
use crate::model::{Kind, Millis, Visibility};
use crate::signals::pii::PiiKind;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many mentions the tests of one policy may have in all.
const CASES_MAX: usize = 100_000;
/// More followers than there are people.
const FOLLOWERS_MAX: i64 = 10_000_000_000;
/// What a test calls "no filter held, the workflow's default queue".
pub const FILTER_DEFAULT: &str = "default";
const PII_KINDS: [PiiKind; 2] = [PiiKind::Card, PiiKind::Email];
const KINDS: [Kind; 6] = [Kind::Post, Kind::Reply, Kind::Repost, Kind::Quote, Kind::Message, Kind::Other];

/// One test: mentions, and what must become of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTest {
    /// Unique over all files.
    pub name: String,
    /// The file's path inside the policy folder.
    pub file: String,
    /// The line of the test's name.
    pub line: u32,
    /// When the mentions arrive; they are posted at that time too.
    pub at: Option<Millis>,
    /// The mentions, in the order of the file; one or more.
    pub cases: Vec<RuleTestCase>,
    /// What must become of each of them.
    pub expect: Expectation,
}

/// One mention of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTestCase {
    /// The line of its text.
    pub line: u32,
    /// The mention.
    pub mention: TestMention,
}

/// A mention as a test gives it. Serialised it is a record of triaged's own shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestMention {
    /// Its id; `test:1` and so on when the test gives none.
    pub mention_id: String,
    /// The network; `x` when the test gives none.
    pub network: String,
    /// The brand's account that was mentioned.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The kind; the decoder finds it when the test gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// Who can read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<&'static str>,
    /// When it was posted, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posted_at: Option<String>,
    /// Who wrote it.
    pub author: TestAuthor,
    /// What it says.
    pub text: String,
    /// Its language.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lang: String,
    /// Where it stands in a conversation.
    pub thread: TestThread,
    /// The mention that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repost_of: Option<String>,
    /// Whether it is paid promotion.
    pub promoted: bool,
}

/// What a test does not say.
impl Default for TestMention {
    fn default() -> TestMention {
        TestMention {
            mention_id: "test:1".to_owned(),
            network: "x".to_owned(),
            account: String::new(),
            kind: None,
            visibility: None,
            posted_at: None,
            author: TestAuthor {
                id: "x:tester".to_owned(),
                handle: "@tester".to_owned(),
                followers: 0,
                verified: false,
            },
            text: String::new(),
            lang: String::new(),
            thread: TestThread::default(),
            repost_of: None,
            promoted: false,
        }
    }
}

/// The author of a test's mention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestAuthor {
    /// The network's id; `x:tester` when the test gives none.
    pub id: String,
    /// The handle as written.
    pub handle: String,
    /// Followers.
    pub followers: i64,
    /// Whether the network vouches for the author.
    pub verified: bool,
}

/// The conversation of a test's mention.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TestThread {
    /// The first post of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The post that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
}

/// What must become of a mention; only what is given is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// `queued`, `noise` or `blocked`.
    pub disposition: Option<&'static str>,
    /// The queue.
    pub queue: Option<String>,
    /// The desk.
    pub desk: Option<String>,
    /// The filter that decides, or [`FILTER_DEFAULT`].
    pub filter: Option<String>,
    /// What it is about.
    pub category: Option<&'static str>,
    /// How urgent it is, 0 to 100.
    pub priority: Option<u8>,
    /// Where it may be answered.
    pub resolution: Option<&'static str>,
    /// The rule that makes it noise or blocks it.
    pub rule: Option<String>,
    /// Rules that match, among others.
    pub rules: Vec<String>,
    /// Rules that do not match.
    pub not_rules: Vec<String>,
    /// Tags that it gets, among others.
    pub tags: Vec<String>,
    /// Tags that it does not get.
    pub not_tags: Vec<String>,
    /// Exactly these kinds of personal data are found.
    pub pii: Option<Vec<String>>,
}

/// Reads the test files of a policy: the path inside its folder to the text.
///
/// # Errors
/// Every mistake in every file, sorted by file and place; never an empty list.
pub fn read_rule_tests(
    files: &BTreeMap<String, String>,
    policy: &Policy,
) -> Result<Vec<RuleTest>, Vec<Mistake>> {
    let mistakes = Mistakes::new(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let mut reader = Reader { names: Names::of(policy), mistakes, tests: Vec::new(), cases: 0, beyond: None };
    for (file, text) in files.values().enumerate() {
        reader.file(file, text);
    }
    reader.names_once();
    if let Some(beyond) = &reader.beyond {
        let what = format!("the rule tests have {} mentions, the limit is {CASES_MAX}", reader.cases);
        reader.mistakes.at(beyond, what, "`triaged run --from FILE` decides any number of mentions");
    }
    let mistakes = reader.mistakes.finish();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(reader.tests.into_iter().map(|(test, _)| test).collect())
}

/// What a test may name.
struct Names<'p> {
    rules: BTreeSet<&'p str>,
    tags: BTreeSet<&'p str>,
    queues: BTreeSet<&'p str>,
    desks: BTreeSet<&'p str>,
    filters: BTreeSet<&'p str>,
    pii_kinds: BTreeSet<&'p str>,
}

impl<'p> Names<'p> {
    fn of(policy: &'p Policy) -> Names<'p> {
        let filters = policy.filters().iter().map(|filter| filter.name.as_str());
        Names {
            rules: policy.rules().iter().map(|rule| rule.name.as_str()).collect(),
            tags: policy.rules().iter().flat_map(|rule| rule.tags.iter().map(String::as_str)).collect(),
            queues: policy.queues().iter().map(|queue| queue.name.as_str()).collect(),
            desks: policy.desks().iter().map(|desk| desk.name.as_str()).collect(),
            filters: filters.chain([FILTER_DEFAULT]).collect(),
            pii_kinds: PII_KINDS.map(PiiKind::name).into(),
        }
    }
}

struct Reader<'f, 'p> {
    names: Names<'p>,
    mistakes: Mistakes<'f>,
    tests: Vec<(RuleTest, Place)>,
    cases: usize,
    /// The test with which there are too many.
    beyond: Option<Place>,
}

impl Reader<'_, '_> {
    fn file(&mut self, file: usize, text: &str) {
        let piece = Piece::whole(file, text);
        let Some(document) = document(&piece, &mut self.mistakes) else { return };
        for (key, value) in document.get_ref() {
            let place = piece.place(key.span());
            let name: &str = key.get_ref();
            if name != "test" {
                let near = did_you_mean(name, ["test"]);
                let hint = if near.is_empty() {
                    "files below `tests` hold rule tests alone; all else stands beside that folder".to_owned()
                } else {
                    near
                };
                let what = format!("unknown table or key `{name}` at the top of a file of rule tests");
                self.mistakes.at(&place, what, hint);
                continue;
            }
            for (table, place) in tables(name, value.get_ref(), &place, &mut self.mistakes) {
                let read = read_test(Table::new(table, "[[test]]", place, &mut self.mistakes), &self.names);
                if let Some((test, place)) = read {
                    self.cases += test.cases.len();
                    if self.cases > CASES_MAX {
                        self.beyond.get_or_insert_with(|| place.clone());
                    }
                    self.tests.push((test, place));
                }
            }
        }
    }

    fn names_once(&mut self) {
        let mut known: BTreeMap<&str, &Place> = BTreeMap::new();
        for (test, place) in &self.tests {
            match known.get(test.name.as_str()) {
                Some(first) => {
                    let first = self.mistakes.describe(first);
                    let what = format!("two tests are named `{}`: the first is in {first}", test.name);
                    self.mistakes.at(place, what, "");
                }
                None => _ = known.insert(&test.name, place),
            }
        }
    }
}

fn read_test(mut table: Table<'_, '_, '_>, names: &Names<'_>) -> Option<(RuleTest, Place)> {
    let name = table.text("name");
    let name = table.require("name", name, "it says what users get");
    let at = table.time("at");
    let texts = table.texts("texts");
    let (mut shared, mut text) = (TestMention::default(), None);
    // What has a text of the wrong type has been told so.
    let mut has_text = table.has("mention");
    if let Some(mention) = table.table("mention", "`mention`") {
        has_text = mention.has("text");
        (shared, text) = read_mention(mention);
    }
    let expect = table.table("expect", "[test.expect]").map(|expect| read_expect(expect, names));
    let expect = table.require("expect", expect, "write [test.expect] with what must come out");
    check_texts(&mut table, text.as_ref(), has_text);
    let place = name.as_ref().map_or_else(|| table.place.clone(), |name| name.place.clone());
    let (file, line) = (table.mistakes.path(place.file).to_owned(), table.mistakes.line(&place));
    shared.posted_at = at.as_ref().map(|at| at.value.1.clone());
    let case = |text: Located<String>| RuleTestCase {
        line: table.mistakes.line(&text.place),
        mention: TestMention { text: text.value, ..shared.clone() },
    };
    let cases = text.into_iter().chain(texts).map(case).collect();
    table.finish(&[]);
    let at = at.map(|at| at.value.0);
    Some((RuleTest { name: name?.value, file, line, at, cases, expect: expect? }, place))
}

/// A test has one text, or a list of them; `has_text` is true also of a text that cannot be read.
fn check_texts(table: &mut Table<'_, '_, '_>, text: Option<&Located<String>>, has_text: bool) {
    let place = table.place.clone();
    let either = "write mention = { text = \"…\" }, or texts = [\"…\", \"…\"] for several mentions";
    match (text, table.has("texts")) {
        (Some(text), true) => {
            let hint = "write all of them into `texts`; `mention` gives what they share";
            table.mistakes.at(&text.place, "both `mention.text` and `texts` are given", hint);
        }
        (None, true) => table.require_members("texts", either),
        (None, false) if has_text => {}
        (None, false) if table.has("mention") => table.mistakes.at(&place, "`mention` lacks `text`", either),
        (None, false) => table.mistakes.at(&place, "[[test]] lacks `mention`", either),
        (Some(_), false) => {}
    }
}

/// The mention, and its text apart, which is empty where a picture says all.
fn read_mention(mut table: Table<'_, '_, '_>) -> (TestMention, Option<Located<String>>) {
    let text = table.any_text("text");
    let mut mention = TestMention::default();
    let TestMention { author, thread, .. } = &mut mention;
    if let Some(table) = table.table("author", "`author`") {
        read_author(table, author);
    }
    // The two that rules ask for most have a short form, named as in queries.
    read_reach(&mut table, author);
    if let Some(mut table) = table.table("thread", "`thread`") {
        thread.root = table.text("root").map(|root| root.value);
        thread.in_reply_to = table.text("in_reply_to").map(|post| post.value);
        table.finish(&[]);
    }
    let visibilities = [Visibility::Public, Visibility::Private].map(|it| (it.name(), it.name()));
    for (key, value) in [
        ("mention_id", &mut mention.mention_id),
        ("network", &mut mention.network),
        ("account", &mut mention.account),
        ("lang", &mut mention.lang),
    ] {
        if let Some(given) = table.text(key) {
            *value = given.value;
        }
    }
    mention.repost_of = table.text("repost_of").map(|post| post.value);
    mention.kind = table.choice("kind", &KINDS.map(|kind| (kind.name(), kind.name()))).map(|kind| kind.value);
    mention.visibility = table.choice("visibility", &visibilities).map(|it| it.value);
    mention.promoted = table.boolean("promoted").is_some_and(|promoted| promoted.value);
    table.finish(&[]);
    (mention, text)
}

fn read_author(mut table: Table<'_, '_, '_>, author: &mut TestAuthor) {
    if let Some(id) = table.text("id") {
        author.id = id.value;
    }
    if let Some(handle) = table.text("handle") {
        author.handle = handle.value;
    }
    read_reach(&mut table, author);
    table.finish(&[]);
}

fn read_reach(table: &mut Table<'_, '_, '_>, author: &mut TestAuthor) {
    if let Some(followers) = table.integer("followers", 0..=FOLLOWERS_MAX) {
        author.followers = followers.value;
    }
    if let Some(verified) = table.boolean("verified") {
        author.verified = verified.value;
    }
}

fn read_expect(mut table: Table<'_, '_, '_>, names: &Names<'_>) -> Expectation {
    let dispositions = ["queued", "noise", "blocked"].map(|name| (name, name));
    let disposition = table.choice("disposition", &dispositions);
    let rule = one_of(&mut table, "rule", "rule", &names.rules);
    let [rules, not_rules] = ["rules", "not_rules"].map(|key| all_of(&mut table, key, "rule", &names.rules));
    let [tags, not_tags] = ["tags", "not_tags"].map(|key| all_of(&mut table, key, "tag", &names.tags));
    exclusive(&mut table, "rule", rule.as_slice(), "rule", &not_rules);
    exclusive(&mut table, "rules", &rules, "rule", &not_rules);
    exclusive(&mut table, "tags", &tags, "tag", &not_tags);
    let expect = Expectation {
        disposition: disposition.as_ref().map(|disposition| disposition.value),
        queue: one_of(&mut table, "queue", "queue", &names.queues).map(|name| name.value),
        desk: one_of(&mut table, "desk", "desk", &names.desks).map(|name| name.value),
        filter: one_of(&mut table, "filter", "filter", &names.filters).map(|name| name.value),
        category: table.choice("category", &Category::ALL.map(|c| (c.name(), c.name()))).map(|c| c.value),
        priority: table.integer("priority", 0..=100).and_then(|number| u8::try_from(number.value).ok()),
        resolution: table
            .choice("resolution", &Resolution::ALL.map(|r| (r.name(), r.name())))
            .map(|resolution| resolution.value),
        rule: rule.map(|rule| rule.value),
        rules: values(rules),
        not_rules: values(not_rules),
        tags: values(tags),
        not_tags: values(not_tags),
        pii: table
            .has("pii")
            .then(|| values(all_of(&mut table, "pii", "kind of personal data", &names.pii_kinds))),
    };
    if let Some(disposition) = disposition {
        let goes_nowhere = ["queue", "desk", "filter", "category", "priority", "resolution"];
        let never = if disposition.value == "queued" { &["rule"][..] } else { &goes_nowhere[..] };
        if let Some(key) = never.iter().find(|key| table.has(key)) {
            let what = format!("`disposition = \"{}\"` and `{key}` exclude each other", disposition.value);
            let hint = match *key {
                "rule" => "`rule` is the one that makes it noise or blocks it; `rules` are those that match",
                _ => "only a mention that is queued has that",
            };
            table.mistakes.at(&disposition.place, what, hint);
        }
    }
    if table.is_empty() {
        table.mistakes.at(
            &table.place.clone(),
            "the test expects nothing",
            "give it a disposition, a queue or rules",
        );
    }
    table.finish(&[]);
    expect
}

/// A name of the policy.
fn one_of(
    table: &mut Table<'_, '_, '_>,
    key: &'static str,
    kind: &str,
    known: &BTreeSet<&str>,
) -> Option<Located<String>> {
    let name = table.text(key)?;
    check_known(table, &name, kind, known);
    Some(name)
}

/// Names of the policy.
fn all_of(
    table: &mut Table<'_, '_, '_>,
    key: &'static str,
    kind: &str,
    known: &BTreeSet<&str>,
) -> Vec<Located<String>> {
    let names = table.texts(key);
    names.iter().for_each(|name| check_known(table, name, kind, known));
    names
}

fn values(names: Vec<Located<String>>) -> Vec<String> {
    names.into_iter().map(|name| name.value).collect()
}

/// What must be there under `key` and must not be there under its opposite.
fn exclusive(
    table: &mut Table<'_, '_, '_>,
    key: &str,
    wanted: &[Located<String>],
    kind: &str,
    unwanted: &[Located<String>],
) {
    for name in unwanted.iter().filter(|name| wanted.iter().any(|other| other.value == name.value)) {
        let what = format!("the {kind} `{}` stands in `{key}` and in `not_{kind}s`", name.value);
        table.mistakes.at(&name.place, what, "no mention can do both: leave one out");
    }
}

fn check_known(table: &mut Table<'_, '_, '_>, name: &Located<String>, kind: &str, known: &BTreeSet<&str>) {
    if !known.contains(name.value.as_str()) {
        let hint = table.mistakes.near(&name.value, known.iter().copied());
        table.mistakes.at(&name.place, format!("the policy has no {kind} `{}`", name.value), hint);
    }
}

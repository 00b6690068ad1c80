//! Queries read the slow way: the text is read again for every rule and every term.
//!
//! Owns a tree of its own and what each construct of docs/rules.md means. Shares with production the normaliser and the
//! boundary rules, which have an oracle of their own, the features of `has:`, and the library of regular expressions; it
//! knows nothing of literals, triggers, groups, programs, jumps, bits or prefix sums.

use regex::{Regex, RegexBuilder};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use triage_engine::model::{Kind, Mention, Visibility};
use triage_engine::policy::Category;
use triage_engine::signals::features::Feature;
use triage_engine::text::{
    Case, Edges, Form, Forms, NormalText, Normaliser, bounded, is_unspaced, is_word, normalise_term,
};

/// What a query says.
#[derive(Debug, Clone)]
pub enum Naive {
    /// A word or phrase, with wildcards at its ends.
    Term(String, Edges),
    /// A named list, by its number.
    List(usize),
    /// `left NEAR/n right`.
    Near {
        left: Box<Naive>,
        right: Box<Naive>,
        words_max: u32,
        ordered: bool,
    },
    /// A regular expression: as written, without regard to case, and with.
    Regex(String, Regex, Regex),
    Field(Asked),
    /// A tag that another rule gives.
    Tag(String),
    Category(Category),
    Not(Box<Naive>),
    And(Vec<Naive>),
    Or(Vec<Naive>),
}

impl Naive {
    /// A regular expression that compiles.
    pub fn regex(pattern: &str) -> Naive {
        let compile = |ignore| RegexBuilder::new(pattern).case_insensitive(ignore).build();
        let (folded, exact) = (compile(true), compile(false));
        Naive::Regex(pattern.to_owned(), folded.expect("it compiles"), exact.expect("it compiles"))
    }
}

/// A question about a field, each with the values of its set.
#[derive(Debug, Clone)]
pub enum Asked {
    Lang(Vec<&'static str>),
    Kind(Vec<Kind>),
    Network(Vec<&'static str>),
    Account(Vec<&'static str>),
    Author(Vec<&'static str>),
    /// From, to; none is `*`.
    Followers(Option<u64>, Option<u64>),
    Visibility(Vec<Visibility>),
    Verified(bool),
    Repost(bool),
    Promoted(bool),
    Has(Feature),
}

/// A rule as the naive evaluator knows it.
#[derive(Debug, Clone)]
pub struct NaiveRule {
    pub query: Naive,
    pub form: Form,
    pub tags: Vec<String>,
    pub category: Option<Category>,
    pub priority: Option<u8>,
}

/// Rules in the order of their names, each after those that it asks; and lists of terms with their wildcards.
#[derive(Debug, Clone, Default)]
pub struct NaivePolicy {
    pub rules: Vec<NaiveRule>,
    pub lists: Vec<Vec<(String, Edges)>>,
}

impl NaivePolicy {
    /// The places of all rules that match.
    pub fn matched(&self, mention: &Mention<'_>) -> Vec<usize> {
        let lines = Form::ALL.map(|form| lines(mention.text, form));
        let mut matched = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            if (Reader { policy: self, mention, lines: &lines, form: rule.form, before: &matched })
                .holds(&rule.query)
            {
                matched.push(place);
            }
        }
        matched
    }
}

/// One rule's view of a mention.
struct Reader<'r> {
    policy: &'r NaivePolicy,
    mention: &'r Mention<'r>,
    /// By the index of the form.
    lines: &'r [Vec<String>; 4],
    form: Form,
    before: &'r [usize],
}

impl Reader<'_> {
    fn lines(&self) -> &[String] {
        &self.lines[self.form.index()]
    }

    fn holds(&self, query: &Naive) -> bool {
        match query {
            Naive::Term(..) | Naive::List(_) | Naive::Near { .. } => {
                self.lines().iter().any(|line| !self.spans(query, line).is_empty())
            }
            Naive::Regex(_, folded, exact) => {
                let regex = if self.form.case == Case::Ignore { folded } else { exact };
                let (text, hashtags) = self.lines().split_first().expect("the first line is the text");
                // The words of a hashtag have no ends of the text; no pattern that is drawn matches a line break.
                let inside = |line: &String| regex.is_match(&format!("\n{line}\n"));
                regex.is_match(text) || hashtags.iter().any(inside)
            }
            Naive::Field(asked) => self.field(asked),
            Naive::Tag(tag) => self.before.iter().any(|&rule| self.policy.rules[rule].tags.contains(tag)),
            Naive::Category(category) => self.category() == *category,
            Naive::Not(part) => !self.holds(part),
            Naive::And(parts) => parts.iter().all(|part| self.holds(part)),
            Naive::Or(parts) => parts.iter().any(|part| self.holds(part)),
        }
    }

    /// The places that a query stands for in one line.
    fn spans(&self, query: &Naive, line: &str) -> BTreeSet<(usize, usize)> {
        match query {
            Naive::Term(term, edges) => occurrences(&normalise_term(term, self.form), *edges, line),
            Naive::List(list) => {
                let terms = self.policy.lists[*list].iter();
                terms
                    .flat_map(|(term, edges)| occurrences(&normalise_term(term, self.form), *edges, line))
                    .collect()
            }
            Naive::Or(parts) => parts.iter().flat_map(|part| self.spans(part, line)).collect(),
            Naive::Near { left, right, words_max, ordered } => {
                let (left, right) = (self.spans(left, line), self.spans(right, line));
                let mut pairs = BTreeSet::new();
                for &one in &left {
                    for &other in &right {
                        let near = |from: usize, to: usize| {
                            from <= to && words_between(line, from, to) <= *words_max as usize
                        };
                        if near(one.1, other.0) {
                            pairs.insert((one.0, other.1));
                        }
                        if !ordered && near(other.1, one.0) {
                            pairs.insert((other.0, one.1));
                        }
                    }
                }
                pairs
            }
            _ => unreachable!("nothing else stands beside NEAR"),
        }
    }

    fn category(&self) -> Category {
        let rules = self.before.iter().map(|&rule| &self.policy.rules[rule]);
        let mut best: Option<(Option<u8>, Category)> = None;
        for rule in rules {
            let Some(category) = rule.category else { continue };
            let better = match best {
                None => true,
                Some((priority, known)) => {
                    rule.priority > priority || (rule.priority == priority && category < known)
                }
            };
            if better {
                best = Some((rule.priority, category));
            }
        }
        best.map_or(Category::General, |(_, category)| category)
    }

    fn field(&self, asked: &Asked) -> bool {
        let mention = self.mention;
        let plain = |handle: &str| handle.trim_start_matches('@').to_ascii_lowercase();
        match asked {
            Asked::Lang(langs) => langs.iter().any(|lang| {
                let said = mention.lang.to_ascii_lowercase().replace('_', "-");
                said == *lang || said.starts_with(&format!("{lang}-"))
            }),
            Asked::Kind(kinds) => kinds.contains(&mention.kind),
            Asked::Network(networks) => networks.contains(&mention.network),
            Asked::Account(accounts) => {
                accounts.iter().any(|account| plain(account) == plain(mention.account))
            }
            Asked::Author(authors) => {
                authors.iter().any(|author| plain(author) == plain(mention.author.handle))
            }
            Asked::Followers(from, to) => {
                let followers = mention.author.followers;
                from.is_none_or(|from| followers >= from) && to.is_none_or(|to| followers <= to)
            }
            Asked::Visibility(visibilities) => visibilities.contains(&mention.visibility),
            Asked::Verified(verified) => mention.author.verified == *verified,
            Asked::Repost(repost) => mention.repost_of.is_some() == *repost,
            Asked::Promoted(promoted) => mention.promoted == *promoted,
            Asked::Has(feature) => feature.is_in(mention.text),
        }
    }
}

/// The lines of a text in one form: the text itself, and each CamelCase hashtag as words.
fn lines(text: &str, form: Form) -> Vec<String> {
    let mut normal = NormalText::default();
    Normaliser::new().normalise(text, Forms::default().with(form), &mut normal);
    normal.form(form).split('\n').map(str::to_owned).collect()
}

/// Where a term stands in a line. One without a skin tone also stands where the text has one behind a person.
fn occurrences(term: &str, edges: Edges, line: &str) -> BTreeSet<(usize, usize)> {
    let starts = line.char_indices().map(|(start, _)| start);
    let found = starts.filter_map(|start| Some((start, start + length_at(term, &line[start..])?)));
    found.filter(|&(start, end)| bounded(line, start, end, edges)).collect()
}

/// The bytes that `term` covers at the beginning of `text`.
fn length_at(term: &str, text: &str) -> Option<usize> {
    let asks_tone = term.chars().any(is_tone);
    let mut rest = text.chars();
    let mut term = term.chars().peekable();
    let mut tones = Vec::new();
    while let Some(wanted) = term.next() {
        if rest.next() != Some(wanted) {
            return None;
        }
        let more = term.peek().is_some();
        if more && !asks_tone && is_person(wanted) {
            let tone = rest.clone().next().filter(|next| is_tone(*next));
            if tone.is_some() {
                rest.next();
            }
            tones.push(tone);
        }
    }
    // Two persons may have two tones, more of them all have one.
    let alike = tones.len() <= 2 || tones.iter().all(|tone| *tone == tones[0]);
    alike.then_some(text.len() - rest.as_str().len())
}

fn is_tone(character: char) -> bool {
    ('\u{1f3fb}'..='\u{1f3ff}').contains(&character)
}

/// Whether a tone may stand behind this.
pub fn is_person(character: char) -> bool {
    static PERSON: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\p{Emoji_Modifier_Base}").expect("it compiles"));
    !character.is_ascii() && PERSON.is_match(character.encode_utf8(&mut [0; 4]))
}

/// How many whole words stand between two places of a line.
fn words_between(line: &str, from: usize, to: usize) -> usize {
    words(line).into_iter().filter(|&(start, end)| start >= from && end <= to).count()
}

/// Runs of word characters, with apostrophes inside; each character of a script without blanks by itself.
fn words(line: &str) -> Vec<(usize, usize)> {
    let characters: Vec<(usize, char)> = line.char_indices().collect();
    let is_part = |place: usize| characters.get(place).is_some_and(|&(_, character)| is_word(character));
    let mut words = Vec::new();
    let mut open: Option<usize> = None;
    for (place, &(at, character)) in characters.iter().enumerate() {
        let inside = is_word(character) || (character == '\'' && open.is_some() && is_part(place + 1));
        match (inside, open) {
            (true, None) => open = Some(at),
            (false, Some(start)) => {
                words.push((start, at));
                open = None;
            }
            _ => {}
        }
        if !inside && is_unspaced(character) {
            words.push((at, at + character.len_utf8()));
        }
    }
    words.extend(open.map(|start| (start, line.len())));
    words
}

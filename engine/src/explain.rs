//! A decision as text and as a record: which rules matched, which filters were refused and why, where it goes.
//!
//! Owns the wording. Decides by the policy's own functions, so what it tells cannot differ from what is done. Knows one
//! mention and one policy: what needs memory (copies, open cases) is told by whoever has read the logs. Called by the
//! daemon's verb `explain`.

use crate::model::Mention;
use crate::policy::{Action, Policy, RuleAction, RuleIndex, Workspace};
use crate::scan::{Hit, Matcher, ReferenceMatcher, Scanner};
use crate::triage::{DETAIL_NONE, Wish};
use serde::Serialize;
use std::fmt;

/// Why a mention goes where it goes, if it is no copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The policy.
    pub policy: String,
    /// `queued`, `noise` or `blocked`.
    pub disposition: &'static str,
    /// What decided: a rule, the list of own or blocked accounts, a filter, or the workflow's default.
    pub by: String,
    /// Words and phrases of rules that stand in the text.
    pub words: Vec<String>,
    /// The rules that matched, by name.
    pub rules: Vec<RuleExplained>,
    /// The filters that were asked, from top to bottom; the last one held, unless the default decided.
    pub filters: Vec<FilterExplained>,
    /// Where it goes, if it goes anywhere.
    pub route: Option<RouteExplained>,
    /// The same as the triage engine is told.
    #[serde(skip)]
    pub wish: Wish,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleExplained {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub action: &'static str,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it calls the mention, if anything.
    pub category: Option<&'static str>,
    /// Its priority, if it gives one.
    pub priority: Option<u8>,
    /// Whether it outranks noise and block.
    pub never_drop: bool,
    /// Its query, as written.
    pub query: String,
}

/// A filter that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilterExplained {
    /// Its name.
    pub name: String,
    /// Its condition, as written.
    pub when: String,
    /// Whether it held.
    pub held: bool,
    /// What was false, in the condition's own words.
    pub because: Vec<String>,
}

/// Where a mention goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteExplained {
    /// The desk.
    pub desk: String,
    /// Its queue.
    pub queue: String,
    /// Tags of all rules that matched.
    pub tags: Vec<String>,
    /// What it is about.
    pub category: &'static str,
    /// How urgent, 0 to 100.
    pub priority: u8,
    /// Where it may be answered.
    pub resolution: &'static str,
}

/// Explains what `policy` makes of a mention that is no copy. Builds a matcher of its own: for single mentions.
#[must_use]
pub fn explain(policy: &Policy, mention: &Mention<'_>) -> Explanation {
    Explainer::new(policy, ReferenceMatcher::new(policy.literals()).scanner()).explain(mention)
}

/// Explains many mentions under one policy.
pub struct Explainer<'p> {
    policy: &'p Policy,
    workspace: Workspace,
}

impl<'p> Explainer<'p> {
    /// `scanner` finds the literals of `policy`.
    #[must_use]
    pub fn new(policy: &'p Policy, scanner: Box<dyn Scanner>) -> Explainer<'p> {
        Explainer { policy, workspace: Workspace::new(scanner) }
    }

    /// Explains what the policy makes of a mention that is no copy.
    pub fn explain(&mut self, mention: &Mention<'_>) -> Explanation {
        let Explainer { policy, workspace } = self;
        workspace.ask(policy, mention);
        let text_of = |hit: &Hit| policy.literals()[hit.literal as usize].text.clone();
        let mut words: Vec<String> = workspace.hits().iter().map(text_of).collect();
        words.sort();
        words.dedup();
        explain_matched(policy, mention, workspace.matched(), words)
    }

    /// The rules that matched the last mention, ascending.
    #[must_use]
    pub fn matched(&self) -> &[RuleIndex] {
        self.workspace.matched()
    }
}

fn explain_matched(
    policy: &Policy,
    mention: &Mention<'_>,
    matched: &[RuleIndex],
    words: Vec<String>,
) -> Explanation {
    let rule = |index: RuleIndex| &policy.rules()[index.place()];
    let action = policy.action(mention, matched);
    let (disposition, by, wish) = match action {
        Action::Noise(index) => ("noise", format!("rule `{}`", rule(index).name), Wish::Noise(index.0)),
        Action::Block(Some(index)) => {
            ("blocked", format!("rule `{}`", rule(index).name), Wish::Block(index.0))
        }
        Action::Block(None) => {
            let list = policy.listed_author(mention).unwrap_or("blocked");
            ("blocked", format!("the list of {list} accounts"), Wish::Block(DETAIL_NONE))
        }
        Action::Route => {
            let route = policy.route(mention, matched);
            ("queued", String::new(), Wish::Route { desk: route.desk.0, queue: route.queue.0 })
        }
    };
    let mut explanation = Explanation {
        policy: policy.generation().to_string(),
        disposition,
        by,
        words,
        rules: matched.iter().map(|&index| explain_rule(rule(index))).collect(),
        filters: Vec::new(),
        route: None,
        wish,
    };
    if action == Action::Route {
        explain_route(policy, mention, matched, &mut explanation);
    }
    explanation
}

fn explain_rule(rule: &crate::policy::Rule) -> RuleExplained {
    RuleExplained {
        name: rule.name.clone(),
        action: rule.action.name(),
        tags: rule.tags.clone(),
        category: rule.category.map(crate::policy::Category::name),
        priority: rule.priority,
        never_drop: rule.never_drop,
        query: rule.query.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn explain_route(policy: &Policy, mention: &Mention<'_>, matched: &[RuleIndex], told: &mut Explanation) {
    let route = policy.route(mention, matched);
    let reading = policy.reading(mention, matched);
    for (place, filter) in policy.filters().iter().enumerate() {
        let held = place == usize::from(route.filter);
        let why = reading.filter(filter);
        debug_assert_eq!(why.holds, held, "what is told agrees with what is done: {filter:?}");
        let because = if held { Vec::new() } else { why.in_words() };
        let (name, when) = (filter.name.clone(), filter.when.clone());
        told.filters.push(FilterExplained { name, when, held, because });
        if held {
            break;
        }
    }
    told.by = match told.filters.last().filter(|filter| filter.held) {
        Some(filter) => format!("filter `{}`", filter.name),
        None => "the workflow's default".to_owned(),
    };
    let assertion = policy.assertion(matched, route.queue);
    let mut tags = Vec::new();
    policy.tags(matched, &mut tags);
    told.route = Some(RouteExplained {
        desk: policy.desks()[usize::from(route.desk.0)].name.clone(),
        queue: policy.queues()[usize::from(route.queue.0)].name.clone(),
        tags: tags.into_iter().map(str::to_owned).collect(),
        category: assertion.category.name(),
        priority: assertion.priority,
        resolution: assertion.resolution.name(),
    });
}

/// For people; no line end at the end.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.route {
            Some(route) => write!(
                f,
                "decided   {} for desk `{}`, queue `{}`, by {}",
                self.disposition, route.desk, route.queue, self.by
            )?,
            None => write!(f, "decided   {} by {}", self.disposition, self.by)?,
        }
        write!(f, "\npolicy    {}", self.policy)?;
        if self.rules.is_empty() {
            write!(f, "\nrules     none matched")?;
        }
        for (place, rule) in self.rules.iter().enumerate() {
            write!(f, "\n{}{rule}", if place == 0 { "rules     " } else { "          " })?;
        }
        if !self.words.is_empty() {
            write!(f, "\nwords     {}", self.words.join(", "))?;
        }
        for (place, filter) in self.filters.iter().enumerate() {
            let before = if place == 0 { "filters   " } else { "          " };
            match filter.held {
                true => write!(f, "\n{before}`{}` held: {}", filter.name, filter.when)?,
                false => {
                    write!(f, "\n{before}`{}` did not hold: {}", filter.name, filter.because.join(", "))?
                }
            }
        }
        if let Some(route) = &self.route {
            let tags = if route.tags.is_empty() { "none".to_owned() } else { route.tags.join(", ") };
            write!(
                f,
                "\nso        tags {tags}; category {}; priority {}; answer {}",
                route.category, route.priority, route.resolution
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for RuleExplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        if self.action != RuleAction::Tag.name() {
            write!(f, " asks for {}", self.action)?;
        }
        if !self.tags.is_empty() {
            write!(f, " tags {}", self.tags.join(", "))?;
        }
        if let Some(category) = self.category {
            write!(f, ", category {category}")?;
        }
        if let Some(priority) = self.priority {
            write!(f, ", priority {priority}")?;
        }
        if self.never_drop {
            write!(f, ", never dropped")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Author, Kind, Thread, Visibility};
    use crate::policy::{Bundle, Search};

    fn policy() -> Policy {
        let text = "[[desk]]\nname = \"care\"\nlog_partition = 0\ncase_lapse = \"1h\"\nmentions_per_case_max = 10\n\
             [[queue]]\nname = \"care.all\"\ndesk = \"care\"\n[[queue]]\nname = \"care.bills\"\ndesk = \"care\"\n\
             [workflow]\ndefault = \"care.all\"\n[dedup]\nwindow = \"10m\"\nids_max = 1000\n\
             [fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n\
             [[rule]]\nname = \"bill\"\nquery = \"bill OR invoice\"\ntags = [\"bill\"]\npriority = 30\n\
             [[rule]]\nname = \"win\"\nquery = \"giveaway\"\naction = \"noise\"\n\
             [[filter]]\nname = \"loud\"\nwhen = \"tag:bill AND (followers>1000 OR verified:true) AND NOT lang:fr\"\nqueue = \"care.all\"\n\
             [[filter]]\nname = \"bills\"\nwhen = \"tag:bill\"\nqueue = \"care.bills\"\n";
        Policy::compile(&Bundle { files: [("policy.toml".to_owned(), text.to_owned())].into() })
            .expect("right")
    }

    fn mention<'a>(text: &'a str, lang: &'a str) -> Mention<'a> {
        Mention {
            mention_id: "x:1",
            network: "x",
            account: "",
            kind: Kind::Post,
            visibility: Visibility::Public,
            posted_at: None,
            author: Author { id: "u", handle: "@u", followers: 5, verified: false },
            text,
            lang,
            thread: Thread::default(),
            repost_of: None,
            promoted: false,
        }
    }

    #[test]
    fn a_refused_filter_is_told_with_what_was_false() {
        let told = explain(&policy(), &mention("my bill is wrong", "fr"));
        assert_eq!((told.disposition, told.by.as_str()), ("queued", "filter `bills`"));
        let because = ["`followers>1000` is false", "`verified:true` is false", "`lang:fr` is true"];
        assert_eq!(told.filters[0].because, because);
        assert_eq!((told.filters[1].held, told.filters.len()), (true, 2));
        assert_eq!(told.words, ["bill"]);
        let text = told.to_string();
        assert!(text.contains("`loud` did not hold: `followers>1000` is false"), "{text}");
        assert!(
            text.starts_with("decided   queued for desk `care`, queue `care.bills`, by filter `bills`"),
            "{text}"
        );
    }

    #[test]
    fn noise_is_told_with_its_rule_and_what_no_filter_wants_goes_to_the_default() {
        let noise = explain(&policy(), &mention("a giveaway for every invoice", ""));
        assert_eq!((noise.disposition, noise.by.as_str()), ("noise", "rule `win`"));
        assert_eq!(noise.rules.len(), 2);
        assert!(noise.route.is_none() && noise.filters.is_empty());
        let other = explain(&policy(), &mention("hello", ""));
        assert_eq!(other.by, "the workflow's default");
        assert_eq!(other.filters.iter().filter(|filter| !filter.because.is_empty()).count(), 2);
    }

    #[test]
    fn a_query_by_itself_finds_what_a_rule_with_it_would() {
        let mut search = Search::new("(bill OR invoice) AND NOT lang:fr").expect("it is right");
        assert!(search.matches(&mention("My BILL!", "en")));
        assert!(!search.matches(&mention("My bill", "fr")));
        assert!(!search.matches(&mention("billing", "en")), "words, not parts of words");
        let mistakes = Search::new("bill OR").err().expect("it is wrong");
        assert_eq!((mistakes[0].line, mistakes[0].file.as_str()), (1, "query"));
    }
}

//! Rules that ask what other rules assert: in which order they are evaluated, and that nothing goes round in a circle.
//!
//! Owns the order and the message about circles. Knows of a rule only what it gives and what it asks. Called by `compile`.

use super::file::{Files, RuleText};
use super::mistake::{Mistakes, first_few};
use super::query::{Expression, Field, Mark};
use super::{Rule, RuleIndex};
use std::collections::{BTreeMap, BTreeSet};

/// A circle of questions, in words, and where in which rule's query it is asked.
struct Circle {
    rule: RuleIndex,
    mark: Mark,
    what: String,
}

/// What is asked of other rules. All rules that give a category are asked together, since the highest priority decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked<'q> {
    Tag(&'q str),
    Category,
}

impl Asked<'_> {
    fn shown(&self) -> String {
        match self {
            Asked::Tag(tag) => format!("tag:{tag}"),
            Asked::Category => "the category".to_owned(),
        }
    }
}

/// The rules that ask what others assert, each after all those that it asks; none when they ask in a circle, which is
/// told where it begins.
pub(super) fn order(
    rules: &[Rule],
    queries: &[Expression],
    files: &Files,
    mistakes: &mut Mistakes<'_>,
) -> Option<Vec<RuleIndex>> {
    let circles = match order_of(rules, queries) {
        Ok(order) => return Some(order),
        Err(circles) => circles,
    };
    // Of two rules of one name the first counts.
    let texts = files.rules.iter().rev().filter_map(|text| Some((text.name.as_ref()?.value.as_str(), text)));
    let texts: BTreeMap<&str, &RuleText> = texts.collect();
    for circle in circles {
        let text = texts.get(rules[circle.rule.place()].name.as_str());
        let query = text.and_then(|text| text.query.as_ref()).expect("invariant: the rule has its query");
        let place = mistakes.inside(&query.place, circle.mark.at, circle.mark.length);
        let hint = "a tag or category is given before it is asked for: ask for words in one of them";
        mistakes.at(&place, format!("in `query`: {}", circle.what), hint);
    }
    None
}

fn order_of(rules: &[Rule], queries: &[Expression]) -> Result<Vec<RuleIndex>, Vec<Circle>> {
    let asked: Vec<Vec<(Asked<'_>, Mark)>> = queries.iter().map(questions).collect();
    let mut givers: BTreeMap<Asked<'_>, Vec<usize>> = BTreeMap::new();
    for (place, rule) in rules.iter().enumerate() {
        for tag in &rule.tags {
            givers.entry(Asked::Tag(tag)).or_default().push(place);
        }
        if rule.category.is_some() {
            givers.entry(Asked::Category).or_default().push(place);
        }
    }
    let mut askers: BTreeMap<Asked<'_>, Vec<usize>> = BTreeMap::new();
    for (place, questions) in asked.iter().enumerate() {
        questions.iter().for_each(|(question, _)| askers.entry(*question).or_default().push(place));
    }
    // A question is answered when all its givers are evaluated, a rule can be evaluated when its questions are answered.
    let mut open: BTreeMap<Asked<'_>, usize> =
        askers.keys().map(|question| (*question, givers.get(question).map_or(0, Vec::len))).collect();
    let mut waits: Vec<usize> = asked.iter().map(Vec::len).collect();
    let mut ready: Vec<usize> = (0..rules.len()).filter(|&place| waits[place] == 0).collect();
    let mut order = Vec::new();
    let answer = |question: &Asked<'_>, waits: &mut Vec<usize>, ready: &mut Vec<usize>| {
        for &place in &askers[question] {
            waits[place] -= 1;
            if waits[place] == 0 {
                ready.push(place);
            }
        }
    };
    let unanswerable: Vec<Asked<'_>> =
        open.iter().filter(|(_, left)| **left == 0).map(|(asked, _)| *asked).collect();
    unanswerable.iter().for_each(|question| answer(question, &mut waits, &mut ready));
    while let Some(place) = ready.pop() {
        if !asked[place].is_empty() {
            order.push(RuleIndex::new(place));
        }
        let tags = rules[place].tags.iter().map(|tag| Asked::Tag(tag));
        for given in tags.chain(rules[place].category.is_some().then_some(Asked::Category)) {
            let Some(left) = open.get_mut(&given) else { continue };
            *left -= 1;
            if *left == 0 {
                answer(&given, &mut waits, &mut ready);
            }
        }
    }
    let stuck: Vec<usize> = (0..rules.len()).filter(|&place| waits[place] > 0).collect();
    if stuck.is_empty() { Ok(order) } else { Err(circles(rules, &asked, &givers, &waits, &stuck)) }
}

/// What a query asks of other rules, each once.
fn questions(query: &Expression) -> Vec<(Asked<'_>, Mark)> {
    let mut found: Vec<(Asked<'_>, Mark)> = Vec::new();
    let mut known: BTreeSet<Asked<'_>> = BTreeSet::new();
    query.leaves(&mut |leaf| {
        let question = match leaf {
            Expression::Field(Field::Tag(tag), mark) => (Asked::Tag(tag), *mark),
            Expression::Field(Field::Category(_), mark) => (Asked::Category, *mark),
            _ => return,
        };
        if known.insert(question.0) {
            found.push(question);
        }
    });
    found
}

/// Every rule that waits waits for one that waits, so following them from anywhere comes round; each circle once.
fn circles(
    rules: &[Rule],
    asked: &[Vec<(Asked<'_>, Mark)>],
    givers: &BTreeMap<Asked<'_>, Vec<usize>>,
    waits: &[usize],
    stuck: &[usize],
) -> Vec<Circle> {
    // For each question the first giver that waits.
    let waiting = |places: &Vec<usize>| places.iter().copied().find(|&giver| waits[giver] > 0);
    let waiting: BTreeMap<Asked<'_>, usize> =
        givers.iter().filter_map(|(question, places)| Some((*question, waiting(places)?))).collect();
    let next = |place: usize| {
        let mut open = asked[place].iter();
        open.find_map(|(question, mark)| Some((*waiting.get(question)?, *question, *mark)))
    };
    let mut visited = vec![false; rules.len()];
    let mut circles = Vec::new();
    for &start in stuck {
        let (mut way, mut place) = (Vec::new(), start);
        while !std::mem::replace(&mut visited[place], true) {
            let (giver, question, mark) = next(place).expect("invariant: what waits waits for something");
            way.push((place, question, mark));
            place = giver;
        }
        let Some(from) = way.iter().position(|(known, ..)| *known == place) else { continue };
        // Told from its first rule by name, so that the message does not depend on where the walk began.
        let circle = &way[from..];
        let first = circle.iter().enumerate().min_by_key(|(_, (place, ..))| *place).map_or(0, |(at, _)| at);
        let told: Vec<String> = (0..circle.len())
            .map(|step| {
                let (place, question, _) = &circle[(first + step) % circle.len()];
                let (giver, ..) = &circle[(first + step + 1) % circle.len()];
                format!(
                    "`{}` asks for {}, which `{}` gives",
                    rules[*place].name,
                    question.shown(),
                    rules[*giver].name
                )
            })
            .collect();
        let (place, _, mark) = circle[first];
        let what = match circle {
            [(own, question, _)] => {
                format!("`{}` asks for {}, which it gives itself", rules[*own].name, question.shown())
            }
            _ => format!("rules ask each other in a circle: {}", first_few(&told, "; ")),
        };
        circles.push(Circle { rule: RuleIndex::new(place), mark, what });
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::RuleAction;
    use crate::policy::query::{Dialect, Form, parse};
    use proptest::prelude::*;

    fn rule(place: usize, gives: &[u8]) -> Rule {
        Rule {
            name: format!("r{place}"),
            query: String::new(),
            form: Form::default(),
            tags: gives.iter().map(|tag| format!("t{tag}")).collect(),
            class: None,
            category: None,
            priority: None,
            resolution: None,
            action: RuleAction::Tag,
            never_drop: false,
            tag_numbers: Vec::new(),
        }
    }

    fn query(asks: &[u8]) -> Expression {
        let written: String = asks.iter().map(|tag| format!("tag:t{tag} ")).collect();
        parse(&format!("word {written}"), Dialect::Rule(Form::default())).expect("a query of words and tags")
    }

    proptest! {
        /// Each rule gives and asks a few of six tags.
        #[test]
        fn rules_stand_behind_those_that_they_ask_or_a_circle_is_told(
            drawn in proptest::collection::vec(
                (proptest::collection::vec(0..6_u8, 0..2), proptest::collection::vec(0..6_u8, 0..2)), 1..8
            ),
        ) {
            let rules: Vec<Rule> = drawn.iter().enumerate().map(|(place, (gives, _))| rule(place, gives)).collect();
            let queries: Vec<Expression> = drawn.iter().map(|(_, asks)| query(asks)).collect();
            let asks = |asker: usize, giver: usize| drawn[asker].1.iter().any(|tag| drawn[giver].0.contains(tag));
            // Who can be reached by asking: a circle is a rule that reaches itself.
            let all = 0..rules.len();
            let mut reaches: BTreeSet<(usize, usize)> = BTreeSet::new();
            for _ in all.clone() {
                for (one, other) in all.clone().flat_map(|one| all.clone().map(move |other| (one, other))) {
                    if asks(one, other) || all.clone().any(|third| asks(one, third) && reaches.contains(&(third, other))) {
                        reaches.insert((one, other));
                    }
                }
            }
            let in_circle = |place: usize| reaches.contains(&(place, place));
            match order_of(&rules, &queries) {
                Ok(order) => {
                    prop_assert!(!all.clone().any(in_circle), "{:?}", drawn);
                    let askers = drawn.iter().filter(|(_, asks)| !asks.is_empty()).count();
                    prop_assert_eq!(order.len(), askers);
                    for (at, rule) in order.iter().enumerate() {
                        for later in &order[at..] {
                            prop_assert!(!asks(rule.place(), later.place()), "{:?}", drawn);
                        }
                    }
                }
                Err(circles) => {
                    prop_assert!(!circles.is_empty());
                    for circle in circles {
                        prop_assert!(in_circle(circle.rule.place()), "{:?}", drawn);
                    }
                }
            }
        }
    }
}

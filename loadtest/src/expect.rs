//! What should become of a record: the policy, asked once for each text in peace, before anything is sent.
//!
//! Owns the reading of the policy and the reference matcher, which is the oracle and not what the daemon runs. The daemon
//! must say the same of millions of records under load. Called by the cast, once a text and kind of author, and by tests.

use std::path::Path;
use std::sync::Arc;
use triage_engine::model::DeadLetterReason;
use triage_engine::policy::{Action, Generation, Policy, RuleIndex, Scratch};
use triage_engine::scan::{Hit, Literal, Matcher, ReferenceMatcher, Scanner};
use triage_engine::text::{NormalText, Normaliser};
use triaged::error::Error;
use triaged::policies::Compiled;
use triaged::policy_folder::read_policy_folder;
use triaged::wire::mention::{DecodeLimits, Decoded, Decoder, FieldMap, FieldMapConfig};

/// What should become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A desk gets it; desk and queue by their place in the policy.
    Queued {
        /// The desk.
        desk: u16,
        /// The queue.
        queue: u16,
    },
    /// Kept out of queues by this rule.
    Noise(u32),
    /// Kept out altogether; by this rule, or as an own or blocked author.
    Blocked(Option<u32>),
    /// A copy of a record before it.
    Duplicate,
    /// Cannot be read, for this reason.
    DeadLetter(DeadLetterReason),
}

impl Expect {
    /// The disposition's name.
    #[must_use]
    pub fn disposition(&self) -> &'static str {
        match self {
            Expect::Queued { .. } => "queued",
            Expect::Noise(_) => "noise",
            Expect::Blocked(_) => "blocked",
            Expect::Duplicate => "duplicate",
            Expect::DeadLetter(_) => "dead_letter",
        }
    }
}

fn reference(literals: &[Literal]) -> Arc<dyn Matcher> {
    Arc::new(ReferenceMatcher::new(literals))
}

/// The policy, ready to be asked.
pub struct Oracle {
    compiled: Compiled,
    decoder: Decoder,
    scanner: Box<dyn Scanner>,
    normaliser: Normaliser,
    text: NormalText,
    hits: Vec<Hit>,
    scratch: Scratch,
    matched: Vec<RuleIndex>,
}

impl Oracle {
    /// Reads and compiles the policy folder.
    ///
    /// # Errors
    /// 78 when it cannot be read, or with every mistake.
    pub fn of(folder: &Path) -> Result<Oracle, Error> {
        let bundle = read_policy_folder(folder).map_err(|error| Error::configuration(error.to_string()))?;
        let compiled = Compiled::new(&bundle, reference).map_err(|mistakes| {
            let count = mistakes.len();
            Error::configuration(format!("the policy in `{}` has {count} mistakes", folder.display()))
                .mistakes(mistakes)
        })?;
        let map = FieldMap::compile(&FieldMapConfig::default())
            .map_err(|mistakes| Error::configuration("the field map has mistakes").mistakes(mistakes))?;
        Ok(Oracle {
            scanner: compiled.matcher().scanner(),
            compiled,
            decoder: Decoder::new(Arc::new(map), DecodeLimits::default()),
            normaliser: Normaliser::new(),
            text: NormalText::default(),
            hits: Vec::new(),
            scratch: Scratch::default(),
            matched: Vec::new(),
        })
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        self.compiled.policy()
    }

    /// The policy's hash.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.compiled.generation()
    }

    /// What should become of this record, if it is no copy.
    pub fn ask(&mut self, value: &[u8]) -> Expect {
        let mention = match self.decoder.decode(Some(value)) {
            Ok(Decoded::Mention { mention, .. }) => mention,
            // Nothing that the load tester sends is well formed and no mention.
            Ok(Decoded::NotAMention { .. }) => return Expect::Blocked(None),
            Err(reason) => return Expect::DeadLetter(reason),
        };
        let policy = self.compiled.policy();
        self.normaliser.normalise(mention.text, policy.forms(), &mut self.text);
        self.hits.clear();
        self.scanner.scan(&self.text, &mut self.hits);
        self.matched.clear();
        policy.evaluate(&mention, &self.text, &self.hits, &mut self.scratch, &mut self.matched);
        match policy.action(&mention, &self.matched) {
            Action::Noise(rule) => Expect::Noise(rule.0),
            Action::Block(rule) => Expect::Blocked(rule.map(|rule| rule.0)),
            Action::Route => {
                let route = policy.route(&mention, &self.matched);
                Expect::Queued { desk: route.desk.0, queue: route.queue.0 }
            }
        }
    }
}

//! The bundles on the policies topic: which there are, and the bytes of those that were asked for last.
//!
//! Owns the bound on those bytes, and reading again what is not at hand. Bundles stay on the topic for good, since every
//! ledger record names the policy that decided; so may their number, but not their bytes, grow with each change of the
//! policy here. May not compile. Called by `policies` under its lock, but for reading, which waits for a broker.

use crate::clock::Deadline;
use crate::log::{LogError, Logs, ReadStep, TopicPartition};
use crate::wire::policies::{Assembler, parse_key};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::policy::{BUNDLE_BYTES_MAX, Bundle, Generation};

/// Bytes of bundles that an instance holds: the largest one, or all those of some hundred usual changes.
pub const HELD_BYTES_MAX: usize = BUNDLE_BYTES_MAX;
/// How long the broker may give nothing before reading a bundle again counts as failed.
const SILENCE_MAX: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_millis(100);

/// Where bundles are read again, and how many bytes of them are held.
pub struct Source {
    /// The cluster.
    pub logs: Arc<dyn Logs>,
    /// The policies topic's only partition.
    pub topic: TopicPartition,
    /// Bytes of bundles that are held: [`HELD_BYTES_MAX`] in the daemon.
    pub bytes_max: usize,
}

/// Where the bytes of a bundle are.
pub(super) enum Place {
    /// At hand.
    Here(Arc<Bundle>),
    /// On the topic, from this offset on.
    From(i64),
}

struct Published {
    /// No record of the bundle stands below this offset.
    from: i64,
    bytes: usize,
    asked: u64,
    bundle: Option<Arc<Bundle>>,
}

/// Every bundle on the topic.
#[derive(Default)]
pub(super) struct Bundles {
    by_generation: BTreeMap<Generation, Published>,
    /// Grows whenever one is asked for.
    asked: u64,
    /// Of all that are at hand.
    bytes: usize,
}

impl Bundles {
    /// Takes in what was read, of so many bytes from the offset `from` on; whose bytes were not asked for longest are
    /// let go until all at hand have at most `bytes_max`.
    pub(super) fn insert(
        &mut self,
        generation: Generation,
        bundle: Arc<Bundle>,
        (from, bytes): (i64, usize),
        bytes_max: usize,
    ) {
        self.remove(generation);
        self.asked += 1;
        self.bytes += bytes;
        let published = Published { from, bytes, asked: self.asked, bundle: Some(bundle) };
        self.by_generation.insert(generation, published);
        while self.bytes > bytes_max {
            let held = self.by_generation.values_mut().filter(|published| published.bundle.is_some());
            let Some(oldest) = held.min_by_key(|published| published.asked) else { break };
            oldest.bundle = None;
            self.bytes -= oldest.bytes;
        }
        debug_assert_eq!(self.bytes, self.held().map(|published| published.bytes).sum::<usize>());
    }

    fn held(&self) -> impl Iterator<Item = &Published> {
        self.by_generation.values().filter(|published| published.bundle.is_some())
    }

    /// The bundle was taken from the topic; false when it was not there.
    pub(super) fn remove(&mut self, generation: Generation) -> bool {
        let removed = self.by_generation.remove(&generation);
        self.bytes -= removed.as_ref().filter(|was| was.bundle.is_some()).map_or(0, |was| was.bytes);
        removed.is_some()
    }

    /// Where its bytes are; `None` when it was never published.
    pub(super) fn place(&mut self, generation: Generation) -> Option<Place> {
        self.asked += 1;
        let published = self.by_generation.get_mut(&generation)?;
        published.asked = self.asked;
        Some(published.bundle.clone().map_or(Place::From(published.from), Place::Here))
    }

    pub(super) fn contains(&self, generation: Generation) -> bool {
        self.by_generation.contains_key(&generation)
    }

    pub(super) fn generations(&self) -> impl Iterator<Item = Generation> {
        self.by_generation.keys().copied()
    }

    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> usize {
        self.bytes
    }
}

impl Source {
    /// The offset that the next record of the topic will have.
    ///
    /// # Errors
    /// As the log says.
    pub(super) fn end(&self) -> Result<i64, LogError> {
        self.logs.bounds(&self.topic).map(|(_, end)| end)
    }

    /// Reads a bundle again, from an offset below which none of its records stands. A later publication serves as well:
    /// compaction leaves nothing else of the earlier one.
    ///
    /// # Errors
    /// As the log says; `LogError::Fatal` when the topic does not hold it whole any more.
    pub(super) fn read(&self, generation: Generation, from: i64) -> Result<Arc<Bundle>, LogError> {
        let (start, _) = self.logs.bounds(&self.topic)?;
        let mut reader = self.logs.reader(&[(self.topic.clone(), from.max(start))])?;
        let mut assembler = Assembler::new();
        let mut patience = Deadline::after(SILENCE_MAX);
        loop {
            match reader.read(WAIT) {
                Ok(ReadStep::Records(records)) => {
                    patience = Deadline::after(SILENCE_MAX);
                    for record in records.iter() {
                        let key = record.key.unwrap_or_default();
                        if parse_key(key).is_ok_and(|(of, _)| of == generation)
                            && let Ok(Some((_, bytes))) = assembler.feed(key, record.value)
                        {
                            let bundle = Bundle::from_bytes(&bytes);
                            return bundle.map(Arc::new).map_err(|error| LogError::Fatal(error.to_string()));
                        }
                    }
                }
                Ok(ReadStep::End(..)) => {
                    let topic = &self.topic.topic;
                    return Err(LogError::Fatal(format!(
                        "the bundle of {generation} was on `{topic}` and is not there any more: publish it again"
                    )));
                }
                Ok(ReadStep::Nothing) | Err(LogError::Away(_)) if !patience.is_over() => {}
                Ok(ReadStep::Nothing) => {
                    let topic = &self.topic.topic;
                    return Err(LogError::Away(format!("`{topic}` gives nothing within {SILENCE_MAX:?}")));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

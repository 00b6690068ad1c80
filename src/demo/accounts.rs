//! Keeps the books of the demo from outside: every offset of the input must have exactly one entry in the ledger.
//!
//! Owns the count, made while the demo runs, so that logs may be trimmed behind it. Reads the ledger as any consumer
//! could, and knows nothing of what the daemon thinks it did.

use crate::log::{LogError, Logs, ReadStep, Reader, TopicPartition};
use crate::wire::ledger;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use triage_engine::model::Disposition;

/// The books.
pub(super) struct Accounts {
    reader: Box<dyn Reader>,
    input: String,
    partitions: Vec<Account>,
    /// Entries by the name of their disposition.
    pub(super) dispositions: BTreeMap<&'static str, u64>,
    faults: Vec<String>,
}

/// One partition.
#[derive(Debug, Clone, Default)]
struct Account {
    /// Every offset below has an entry.
    next: i64,
    /// Offsets above that have one.
    above: BTreeSet<i64>,
    /// The next offset of the ledger itself.
    ledger_next: i64,
}

impl Account {
    /// Notes an entry; false when the offset had one already.
    fn enter(&mut self, offset: i64) -> bool {
        if offset < self.next || !self.above.insert(offset) {
            return false;
        }
        while self.above.remove(&self.next) {
            self.next += 1;
        }
        true
    }
}

impl Accounts {
    /// Books from the start of both logs.
    ///
    /// # Errors
    /// As the log says.
    pub(super) fn open(
        logs: &dyn Logs,
        input: &str,
        ledger: &str,
        partitions: u32,
    ) -> Result<Accounts, LogError> {
        let from: Vec<_> =
            (0..partitions).map(|partition| (TopicPartition::new(ledger, partition), 0)).collect();
        Ok(Accounts {
            reader: logs.reader(&from)?,
            input: input.to_owned(),
            partitions: vec![Account::default(); partitions as usize],
            dispositions: BTreeMap::new(),
            faults: Vec::new(),
        })
    }

    /// Reads what the ledger has now.
    ///
    /// # Errors
    /// As the log says.
    pub(super) fn read_on(&mut self, wait: Duration) -> Result<(), LogError> {
        loop {
            match self.reader.read(wait)? {
                ReadStep::Nothing => return Ok(()),
                ReadStep::End(..) => {}
                ReadStep::Records(records) => {
                    let partition = records.partition().partition;
                    for record in records.iter() {
                        self.enter(partition, record.offset, record.value.unwrap_or_default());
                    }
                }
            }
        }
    }

    fn enter(&mut self, partition: u32, at: i64, value: &[u8]) {
        let account = &mut self.partitions[partition as usize];
        account.ledger_next = at + 1;
        let run = match ledger::decode(value) {
            Ok(run) => run,
            Err(error) => return self.faults.push(format!("ledger {partition}, offset {at}: {error}")),
        };
        let expired = run.expired.map_or(0..0, |(first, last)| first..last + 1);
        let expired = expired.map(|offset| (offset, Disposition::Expired));
        for (offset, disposition) in
            expired.chain(run.entries.iter().map(|entry| (entry.offset, entry.disposition)))
        {
            *self.dispositions.entry(disposition.name()).or_default() += 1;
            if !account.enter(offset) {
                self.faults.push(format!("{}/{partition}, offset {offset} was decided twice", self.input));
            }
        }
    }

    /// For each partition, up to where input and ledger were read.
    pub(super) fn read_up_to(&self) -> impl Iterator<Item = (u32, i64, i64)> {
        let partitions = self.partitions.iter().enumerate();
        partitions.map(|(partition, account)| (partition as u32, account.next, account.ledger_next))
    }

    /// How many offsets have their entry.
    pub(super) fn accounted(&self) -> u64 {
        self.partitions.iter().map(|account| account.next as u64 + account.above.len() as u64).sum()
    }

    /// Compares with the ends of the input; every fault that was found.
    ///
    /// # Errors
    /// As the log says.
    pub(super) fn verdict(&self, logs: &dyn Logs) -> Result<Vec<String>, LogError> {
        let mut faults = self.faults.clone();
        for (partition, account) in self.partitions.iter().enumerate() {
            let of = TopicPartition::new(&self.input, partition as u32);
            let (_, end) = logs.bounds(&of)?;
            if account.next < end {
                faults.push(format!(
                    "{of}: offset {} has no entry in the ledger; the log ends at {end}",
                    account.next
                ));
            } else if account.next > end || !account.above.is_empty() {
                faults.push(format!("{of}: the ledger speaks of offsets beyond its end at {end}"));
            }
        }
        Ok(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::embedded::Cluster;
    use crate::log::NewTopic;
    use crate::wire::ledger::{LedgerEntry, LedgerRun, NONE};
    use std::sync::Arc;
    use triage_engine::model::Millis;
    use triage_engine::policy::Generation;

    fn run(offsets: &[i64]) -> Vec<u8> {
        let entry = |&offset: &i64| LedgerEntry {
            offset,
            disposition: Disposition::Noise,
            detail: 0,
            desk: NONE,
            queue: NONE,
            key: None,
        };
        let run = LedgerRun {
            superseding: None,
            semantics: triage_engine::SEMANTICS,
            generation: Generation([7; 32]),
            plan_epoch: 0,
            now: Millis(5),
            expired: None,
            entries: offsets.iter().map(entry).collect(),
        };
        let mut bytes = Vec::new();
        ledger::encode(&run, &mut bytes);
        bytes
    }

    fn verdict(runs: &[&[i64]]) -> Vec<String> {
        let cluster = Cluster::new(Arc::new(SystemClock::new()));
        let topic =
            |name: &str| NewTopic { name: name.to_owned(), partitions: 1, replication: 1, config: vec![] };
        cluster.create(&[topic("in"), topic("ledger")]).expect("it takes topics");
        for _ in 0..4 {
            cluster.append(&TopicPartition::new("in", 0), None, Some(b"x")).expect("it takes records");
        }
        for offsets in runs {
            cluster
                .append(&TopicPartition::new("ledger", 0), None, Some(&run(offsets)))
                .expect("it takes records");
        }
        let mut accounts = Accounts::open(&cluster, "in", "ledger", 1).expect("it opens");
        accounts.read_on(Duration::ZERO).expect("it reads");
        accounts.verdict(&cluster).expect("it answers")
    }

    #[test]
    fn an_offset_without_an_entry_or_with_two_is_a_fault() {
        assert_eq!(verdict(&[&[0, 1], &[2, 3]]), Vec::<String>::new());
        assert_eq!(
            verdict(&[&[0, 1], &[3]]),
            ["in/0: offset 2 has no entry in the ledger; the log ends at 4"]
        );
        assert_eq!(verdict(&[&[0, 1], &[1, 2, 3]]), ["in/0, offset 1 was decided twice"]);
        assert_eq!(verdict(&[&[0, 1, 2, 3, 4]]), ["in/0: the ledger speaks of offsets beyond its end at 4"]);
    }
}

//! One member of a consumer group, whose membership changes are values.
//!
//! Owns which partitions are offered, live, leaving or lost, and hands out records of live ones only. May not decide
//! when a rebalance is answered: the lane does, by `start` and `release`, and the group waits for it. Called by the
//! lanes through `log::Member`.
//!
//! A rebalance is answered once for all its partitions: the library takes the first answer for the whole one. So an
//! assignment is answered by the first `start` (the others are added later, which it allows), a revocation by the
//! last `release`.

use super::answers::{is_fenced, log_error, standing_error};
use super::brokers::look_after;
use super::fetch::{Fetched, Fetcher};
use super::ffi::{About, Client, ClientError, Code, Entry, Event, Kind, PartitionList, Queue};
use super::{ANSWER_WAIT, Deadline, KafkaSettings, close_consumer};
use crate::log::{COMMIT_WAIT, Commit, LogError, Member, Polled, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often the group is looked at while waiting for records.
const GROUP_EVERY: Duration = Duration::from_millis(5);

/// How long a commit that meets a rebalance is tried again.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// How long moving a partition may take.
const MOVE_WAIT: Duration = Duration::from_secs(10);

/// Sessions after which a member that lost everything must have heard of its group again. Seen once after a broker had
/// stood still: the library did not join again by itself, and nothing but a new client helped.
const SESSIONS_UNHEARD: u32 = 6;

/// So many fences in a row may be the member's own late requests: one to join and one to commit.
const FENCES_OF_ITS_OWN: u32 = 2;

/// Sessions within which the next fence is of the same row. A rival fences within one, since its heartbeats tell it that
/// its place was taken.
const SESSIONS_IN_A_ROW: u32 = 4;

/// Between two tries of what the library is not ready for.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    /// Ours once `start` has answered.
    Offered,
    /// Being read.
    Live,
    /// Somebody else's once `release` has answered. `read` tells whether it was ever started.
    Leaving { read: bool },
    /// Somebody else's already.
    Lost { read: bool },
}

/// A member of a consumer group on Apache Kafka.
#[derive(Debug)]
pub(super) struct KafkaMember {
    // In the order in which they must go; `None` only while dropping.
    parts: Option<Parts>,
    name: String,
    seat: Seat,
    fences: Fences,
    /// Until when the group has to say something after everything was lost; nothing is awaited when `None`.
    heard_by: Option<Deadline>,
    holdings: BTreeMap<TopicPartition, Holding>,
    /// Released, but not said to the library yet, since others of the same revocation are not.
    released: Vec<TopicPartition>,
    /// The commit under way.
    begun: Option<Begun>,
}

/// A commit that was sent.
#[derive(Debug)]
struct Begun {
    offsets: PartitionList,
    /// A queue for each try, so that a late answer to one is never taken for the answer to the next.
    answers: Queue,
    answered_by: Deadline,
    /// Until when it is tried again if it meets a rebalance.
    again_until: Deadline,
}

#[derive(Debug)]
struct Parts {
    fetcher: Fetcher,
    group: Queue,
    client: Arc<Client>,
}

/// How often in a row the member was fenced, which tells a rival from the member's own past.
///
/// A member fences itself when its broker stood still. A request to join that it sent before the connection timed out is
/// read from the old connection after the one that it sent anew, and takes the place from it; so does a commit that the
/// library held back and sends without the member's id once the session has timed out here. Nobody goes on with the
/// place then, so that whoever joins anew keeps it. Another process of the same name does go on, and takes the place
/// back whenever it is taken from it.
#[derive(Debug, Default)]
struct Fences {
    in_a_row: u32,
    /// Until when the next one counts as of the same row.
    row_until: Option<Deadline>,
}

impl Fences {
    /// Counts a fence; whether it is another process's doing.
    fn is_rival(&mut self, session: Duration) -> bool {
        let goes_on = self.row_until.as_ref().is_some_and(|until| !until.has_passed());
        self.in_a_row = if goes_on { self.in_a_row + 1 } else { 1 };
        self.row_until = Some(Deadline::after(session * SESSIONS_IN_A_ROW));
        self.in_a_row > FENCES_OF_ITS_OWN
    }
}

/// Where the member sits: what it takes to join anew.
#[derive(Debug)]
struct Seat {
    settings: KafkaSettings,
    group: String,
    instance: String,
    topics: Vec<String>,
}

impl Seat {
    fn take(&self) -> Result<Parts, LogError> {
        let properties = self.settings.consumer_properties(&self.group, Some(&self.instance));
        let events = Event::REBALANCES | Event::ERRORS | Event::COMMITS;
        let wrong = |error: ClientError| log_error(&error, &self.group);
        let client =
            Client::new(Kind::Consumer, &properties, &self.settings.secrets, events).map_err(wrong)?;
        client.serve_on_consumer_queue().map_err(wrong)?;
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        client.subscribe(&PartitionList::topics(&topics)).map_err(wrong)?;
        if let Some(topic) = topics.first() {
            look_after(&client, &self.settings.bootstrap, topic);
        }
        Ok(Parts { fetcher: Fetcher::new(&client), group: Queue::consumer(&client), client })
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.begun = None;
        if let Some(Parts { fetcher, group, client }) = self.parts.take() {
            close_consumer(&self.name, client, (fetcher, group));
        }
    }
}

impl KafkaMember {
    /// Joins `group` for `topics` under the static name `instance`.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub(super) fn join(
        settings: &KafkaSettings,
        group: &str,
        instance: &str,
        topics: &[&str],
    ) -> Result<KafkaMember, LogError> {
        let seat = Seat {
            settings: settings.clone(),
            group: group.to_owned(),
            instance: instance.to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        };
        Ok(KafkaMember {
            parts: Some(seat.take()?),
            name: format!("member {instance} of {group}"),
            seat,
            fences: Fences::default(),
            heard_by: None,
            holdings: BTreeMap::new(),
            released: Vec::new(),
            begun: None,
        })
    }

    /// Joins with a new client; all that was held is lost, as far as the lane is concerned.
    fn join_again(&mut self, why: &str) -> Result<Polled, LogError> {
        tracing::warn!(why, "{} joins anew", self.name);
        self.await_group();
        self.begun = None;
        let fresh = self.seat.take()?;
        if let Some(Parts { fetcher, group, client }) = self.parts.replace(fresh) {
            close_consumer(&self.name, client, (fetcher, group));
        }
        self.released.clear();
        let held: Vec<TopicPartition> = std::mem::take(&mut self.holdings).into_keys().collect();
        Ok(if held.is_empty() { Polled::Nothing } else { Polled::Lost(held) })
    }

    /// From now on the group has to say something within `SESSIONS_UNHEARD`.
    fn await_group(&mut self) {
        self.heard_by = Some(Deadline::after(self.session() * SESSIONS_UNHEARD));
    }

    /// What an error of the library means. After a fence it refuses everything: that passes, since the next poll joins anew.
    fn wrong(&self, error: &ClientError) -> LogError {
        match self.client().fatal() {
            Some(fence) if is_fenced(fence.code) => LogError::Away(fence.text),
            _ => log_error(error, &self.name),
        }
    }

    fn session(&self) -> Duration {
        Duration::from_millis(u64::from(self.seat.settings.session_timeout_ms))
    }

    fn parts(&mut self) -> &mut Parts {
        self.parts.as_mut().expect("invariant: the parts go with the member")
    }

    fn client(&self) -> &Arc<Client> {
        &self.parts.as_ref().expect("invariant: the parts go with the member").client
    }

    /// Serves what happened to the group, until something is the lane's business.
    fn serve_group(&mut self, wait: Duration) -> Result<Option<Polled>, LogError> {
        let mut wait = wait;
        while let Some(event) = self.parts().group.event(wait) {
            wait = Duration::ZERO;
            let polled = match event.about() {
                About::Rebalance => self.rebalance(&event)?,
                About::Error => {
                    let error = event.error().unwrap_or_else(|| ClientError::new(Code::Fail, "unknown"));
                    if let Some(error) = standing_error(&error, &self.name) {
                        return Err(error);
                    }
                    None
                }
                _ => None,
            };
            if polled.is_some() {
                return Ok(polled);
            }
        }
        Ok(None)
    }

    fn rebalance(&mut self, event: &Event) -> Result<Option<Polled>, LogError> {
        let partitions: Vec<TopicPartition> =
            event.entries().into_iter().map(|entry| entry.partition).collect();
        let assigned = event.code() == Code::AssignPartitions;
        if assigned {
            self.heard_by = None;
        }
        if partitions.is_empty() {
            // Nothing changes for us, but the group waits for the answer all the same.
            let none = PartitionList::new();
            let answer = if assigned { self.client().add(&none) } else { self.client().remove(&none) };
            return answer.map(|()| None).map_err(|error| self.wrong(&error));
        }
        if assigned {
            for partition in &partitions {
                self.holdings.insert(partition.clone(), Holding::Offered);
            }
            return Ok(Some(Polled::Assigned(partitions)));
        }
        let lost = self.client().assignment_is_lost();
        if lost {
            self.await_group();
        }
        for partition in &partitions {
            let read = match self.holdings.get(partition) {
                None | Some(Holding::Offered) => false,
                Some(Holding::Live) => true,
                Some(Holding::Leaving { read } | Holding::Lost { read }) => *read,
            };
            let holding = if lost { Holding::Lost { read } } else { Holding::Leaving { read } };
            self.holdings.insert(partition.clone(), holding);
            self.parts().fetcher.forget(partition);
        }
        Ok(Some(if lost { Polled::Lost(partitions) } else { Polled::Revoking(partitions) }))
    }

    /// What to tell the lane of something fetched; `None` when it is of a partition that is not live.
    fn judge(&mut self, fetched: Fetched) -> Result<Option<Polled>, LogError> {
        match fetched {
            Fetched::Records(records) => {
                let live = self.holdings.get(records.partition()) == Some(&Holding::Live);
                Ok(live.then_some(Polled::Records(records)))
            }
            Fetched::End(..) => Ok(None),
            Fetched::Failed { partition: Some(partition), offset, error } => {
                if self.holdings.get(&partition) != Some(&Holding::Live) {
                    return Ok(None);
                }
                match failed_partition(self.client(), &partition, offset, &error) {
                    Some(error) => Err(error),
                    None => Ok(None),
                }
            }
            Fetched::Failed { partition: None, error, .. } => {
                standing_error(&error, &self.name).map_or(Ok(None), Err)
            }
        }
    }

    fn begin(&mut self, offered: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        let partitions = offered.iter().map(|(partition, _)| partition);
        self.parts().fetcher.take_over(partitions.clone());
        let list = PartitionList::at(offered);
        self.client().add(&list).map_err(|error| self.wrong(&error))?;
        self.holdings.extend(partitions.map(|partition| (partition.clone(), Holding::Live)));
        Ok(())
    }

    /// Moves partitions that are being read. The library drops what it has fetched of them; we drop our own.
    fn rewind(&mut self, live: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        let deadline = Deadline::after(MOVE_WAIT);
        let mut rest = live.to_vec();
        for (partition, _) in live {
            self.parts().fetcher.forget(partition);
        }
        loop {
            let list = PartitionList::at(&rest);
            self.client().seek(&list, MOVE_WAIT).map_err(|error| self.wrong(&error))?;
            let stuck: Vec<Entry> =
                list.entries().into_iter().filter(|entry| entry.code != Code::NoError).collect();
            rest.retain(|(partition, _)| stuck.iter().any(|entry| entry.partition == *partition));
            let Some(first) = stuck.first() else { return Ok(()) };
            match first.code {
                // After an offset out of range the library no longer reads the partition: it has to be begun again.
                // Not in the middle of a rebalance, where that would pass for the answer.
                Code::State | Code::UnknownPartition if self.is_settled() => return self.begin_again(&rest),
                Code::State | Code::UnknownPartition | Code::PreviousInProgress if !deadline.has_passed() => {
                    std::thread::sleep(PAUSE);
                }
                code => return Err(log_error(&ClientError::new(code, code.to_string()), &self.name)),
            }
        }
    }

    fn is_settled(&self) -> bool {
        self.holdings.values().all(|holding| *holding == Holding::Live)
    }

    /// Gives partitions up and takes them again. Between the two the library stops them, in a thread of its own, and
    /// thereby undoes where their records are sent: taken over before that, they would be sent nowhere, for good. A seek
    /// is answered after the stop has begun, and not with "in progress" once it is over.
    fn begin_again(&mut self, live: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        let wrong = |error: ClientError| self.wrong(&error);
        let partitions = live.iter().map(|(partition, _)| partition);
        self.client().remove(&PartitionList::of(partitions)).map_err(wrong)?;
        let deadline = Deadline::after(MOVE_WAIT);
        loop {
            let list = PartitionList::at(live);
            self.client().seek(&list, MOVE_WAIT).map_err(wrong)?;
            let stopping = |entry: &Entry| entry.code == Code::PreviousInProgress;
            if !list.entries().iter().any(stopping) || deadline.has_passed() {
                return self.begin(live);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn send_commit(&self, offsets: &PartitionList) -> Result<Queue, ClientError> {
        if self.client().assignment_is_lost() {
            return Err(ClientError::new(Code::AssignmentLost, "the partitions were given away"));
        }
        let answers = Queue::new(self.client());
        self.client().commit(offsets, &answers)?;
        Ok(answers)
    }

    /// What the broker says of a commit; it is none while there is time left.
    fn outcome(&self, begun: &Begun, wait: Duration) -> Option<Result<(), ClientError>> {
        let Some(answer) = begun.answers.event(wait.min(begun.answered_by.left())) else {
            let late = || Err(ClientError::new(Code::OperationTimedOut, "no answer to a commit"));
            return begun.answered_by.has_passed().then(late);
        };
        if let Some(error) = answer.error() {
            return Some(Err(error));
        }
        if let Some(entry) = answer.entries().iter().find(|entry| entry.code != Code::NoError) {
            let text = format!("{}: {}", entry.partition, entry.code);
            return Some(Err(ClientError::new(entry.code, text)));
        }
        // A member that lost its place just before may have committed as nobody, which proves nothing.
        if self.client().assignment_is_lost() {
            return Some(Err(ClientError::new(Code::AssignmentLost, "the partitions were given away")));
        }
        Some(Ok(()))
    }

    /// What the failure of a commit means.
    fn not_committed(&mut self, error: ClientError) -> LogError {
        if is_fenced(error.code) {
            return LogError::Fenced(error.text);
        }
        log_error(&self.client().fatal().unwrap_or(error), &self.name)
    }
}

/// What an error in place of a record means; `None` for a hiccup that the library mends itself.
pub(super) fn failed_partition(
    client: &Client,
    partition: &TopicPartition,
    asked: i64,
    error: &ClientError,
) -> Option<LogError> {
    if error.code != Code::AutoOffsetReset {
        return standing_error(error, &partition.topic);
    }
    Some(match client.watermarks(partition, ANSWER_WAIT) {
        Err(error) => log_error(&error, &partition.topic),
        Ok((start, _)) if asked < start => {
            LogError::OutOfRange { partition: partition.clone(), asked, start }
        }
        Ok((_, end)) => LogError::Fatal(format!(
            "{partition} ends at offset {end}, yet {asked} was asked for: was the topic made anew? ({})",
            error.text
        )),
    })
}

impl Member for KafkaMember {
    fn poll(&mut self, wait: Duration, read: bool) -> Result<Polled, LogError> {
        let deadline = Deadline::after(wait);
        if self.heard_by.as_ref().is_some_and(Deadline::has_passed) {
            return self.join_again("it lost its partitions and has heard nothing of its group since");
        }
        loop {
            let slice = deadline.left().min(GROUP_EVERY);
            let group_wait = if read { Duration::ZERO } else { slice };
            match self.serve_group(group_wait) {
                Ok(None) => {}
                Ok(Some(polled)) => return Ok(polled),
                Err(LogError::Fenced(why)) => {
                    let session = self.session();
                    return if self.fences.is_rival(session) {
                        Err(LogError::Fenced(why))
                    } else {
                        self.join_again(&format!("it was fenced: {why}"))
                    };
                }
                Err(error) => return Err(error),
            }
            if read && let Some(fetched) = self.parts().fetcher.next(slice) {
                if let Some(polled) = self.judge(fetched)? {
                    return Ok(polled);
                }
                continue;
            }
            if deadline.has_passed() {
                return Ok(Polled::Nothing);
            }
        }
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Commit>>, LogError> {
        committed(self.client(), partitions).map_err(|error| log_error(&error, &self.name))
    }

    fn start(&mut self, from: &[(TopicPartition, i64)]) -> Result<(), LogError> {
        let (mut offered, mut live) = (Vec::new(), Vec::new());
        for (partition, offset) in from {
            match self.holdings.get(partition) {
                Some(Holding::Offered) => offered.push((partition.clone(), *offset)),
                Some(Holding::Live) => live.push((partition.clone(), *offset)),
                _ => return Err(LogError::Fenced(format!("{partition} is not ours"))),
            }
        }
        if !offered.is_empty() {
            self.begin(&offered)?;
        }
        if live.is_empty() { Ok(()) } else { self.rewind(&live) }
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), LogError> {
        let ours = partitions.iter().any(|partition| self.holdings.contains_key(partition));
        if !ours && self.released.is_empty() {
            // They went with a client that is gone: this one was asked for nothing.
            return Ok(());
        }
        for partition in partitions {
            let was = self.holdings.remove(partition);
            if matches!(
                was,
                Some(Holding::Live | Holding::Leaving { read: true } | Holding::Lost { read: true })
            ) {
                self.released.push(partition.clone());
            }
            self.parts().fetcher.forget(partition);
        }
        let unanswered =
            |holding: &Holding| matches!(holding, Holding::Leaving { .. } | Holding::Lost { .. });
        if self.holdings.values().any(unanswered) {
            return Ok(());
        }
        let list = PartitionList::of(&self.released);
        self.client().remove(&list).map_err(|error| self.wrong(&error))?;
        // Not before: while the library has not been told, it is told again.
        self.released.clear();
        Ok(())
    }

    fn commit_begin(&mut self, offsets: &[(TopicPartition, Commit)]) -> Result<(), LogError> {
        while self.begun.is_some() {
            let _ = self.commit_answer(COMMIT_WAIT);
        }
        let mut list = PartitionList::new();
        for (partition, commit) in offsets {
            if !matches!(
                self.holdings.get(partition),
                Some(Holding::Offered | Holding::Live | Holding::Leaving { .. })
            ) {
                return Err(LogError::Fenced(format!("{partition} is not ours")));
            }
            list.push(partition, commit.offset, Some(&commit.metadata));
        }
        let answers = self.send_commit(&list).map_err(|error| self.not_committed(error))?;
        self.begun = Some(Begun {
            offsets: list,
            answers,
            answered_by: Deadline::after(COMMIT_WAIT),
            again_until: Deadline::after(COMMIT_AGAIN),
        });
        Ok(())
    }

    fn commit_answer(&mut self, wait: Duration) -> Option<Result<(), LogError>> {
        let mut begun = self.begun.take()?;
        match self.outcome(&begun, wait) {
            None => {
                self.begun = Some(begun);
                None
            }
            Some(Ok(())) => Some(Ok(())),
            // The group is in the middle of a rebalance that may not touch us; it passes without our help.
            Some(Err(error))
                if error.code == Code::RebalanceInProgress && !begun.again_until.has_passed() =>
            {
                std::thread::sleep(PAUSE);
                match self.send_commit(&begun.offsets) {
                    Ok(answers) => {
                        begun.answers = answers;
                        begun.answered_by = Deadline::after(COMMIT_WAIT);
                        self.begun = Some(begun);
                        None
                    }
                    Err(error) => Some(Err(self.not_committed(error))),
                }
            }
            Some(Err(error)) => Some(Err(self.not_committed(error))),
        }
    }

    fn is_lost(&self) -> bool {
        self.heard_by.is_some()
    }

    fn close(self: Box<Self>) {
        drop(self);
    }
}

/// What the client's group has committed for each partition, in the order asked.
pub(super) fn committed(
    client: &Client,
    partitions: &[TopicPartition],
) -> Result<Vec<Option<Commit>>, ClientError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let list = PartitionList::of(partitions);
    client.committed(&list, ANSWER_WAIT)?;
    let mut found = BTreeMap::new();
    for entry in list.entries() {
        if entry.code != Code::NoError {
            return Err(ClientError::new(entry.code, format!("{}: {}", entry.partition, entry.code)));
        }
        let commit = (entry.offset >= 0).then_some(Commit { offset: entry.offset, metadata: entry.metadata });
        found.insert(entry.partition, commit);
    }
    Ok(partitions.iter().map(|partition| found.get(partition).cloned().flatten()).collect())
}

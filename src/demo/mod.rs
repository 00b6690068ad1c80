//! The demo: real texts turned into a stream of mentions, calm first, then a storm, through the whole daemon.
//!
//! Owns the show: the feed, a line each second, the accounts at the end. Decides nothing about mentions: it only sends
//! them and reads what came out. Called by the command line.

mod accounts;
mod feed;
mod policy;
mod stage;
mod texts;

pub use feed::{Feed, Weather};
pub use policy::write as write_policy;
pub use texts::{Origin, Text, texts};

use crate::audit::{self, AuditOptions};
use crate::counters::{Counters, Input, Outcome};
use crate::error::Error;
use crate::log::{LogError, Outgoing, Producer, Ticket, TopicPartition};
use crate::pipeline::{Daemon, Tuning, topics};
use accounts::Accounts;
use stage::{PARTITIONS, Stage};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::model::Disposition;

/// Mentions a second on a calm day.
const CALM_RATE: u64 = 200;
/// Mentions a second in a storm.
const STORM_RATE: u64 = 8_000;
/// Seconds of each of the three parts when nobody says how long the demo is to last.
const PART_SECONDS: u64 = 20;
/// Milliseconds after which mentions that are due and not sent are forgotten: the machine was busy.
const BEHIND_MS_MAX: i64 = 500;
/// How long what was sent may take to come out at the end.
const REST_WAIT_MS: i64 = 60_000;
/// The seed of the feed: each demo is the same.
const SEED: u64 = 20_131_101;

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// Brokers of an Apache Kafka; `None` runs on a log in this process's memory.
    pub bootstrap: Option<String>,
    /// Seconds until it ends by itself.
    pub seconds: Option<u64>,
}

/// Runs the demo; whether every offset was accounted for at the end.
///
/// # Errors
/// When it cannot start, or the daemon fails on the way.
pub fn run(wishes: &Wishes) -> Result<bool, Error> {
    let stage = Stage::set(wishes)?;
    // A demo's desk log is kept for a few seconds only.
    let tuning = Tuning { desk_log_keep_ms: 5_000, ..Tuning::default() };
    let mut daemon = Daemon::start(stage.settings.clone(), stage.logs.clone(), stage.clock.clone(), tuning)?;
    introduce(&stage);
    let mut show = Show::new(&stage, &daemon, wishes)?;
    while show.goes_on() && daemon.goes_on() {
        show.act()?;
    }
    let accounted = show.rest()?;
    let totals = daemon.exporter().totals();
    daemon.end()?;
    let accounted = show.account(accounted, &totals)?;
    Ok(accounted)
}

fn introduce(stage: &Stage) {
    let folder = stage.folder.display();
    let socket = stage.settings.admin.socket.display();
    if stage.is_embedded() {
        say("triaged demo: the whole daemon on a log in this process's memory. Nothing outlives it.");
    } else {
        let (bootstrap, mentions) = (&stage.settings.kafka.bootstrap, &stage.settings.topics.mentions);
        say(&format!(
            "triaged demo: the whole daemon on Apache Kafka at {bootstrap}; it reads `{mentions}`."
        ));
        say(
            "  Its topics stay when it ends; delete those that begin with `demo.` when you have seen enough.",
        );
    }
    say(&format!("  metrics:  curl --unix-socket {socket} http://localhost/metrics"));
    say(&format!("  status:   triaged ctl status --socket {socket}"));
    say(&format!("  rules:    change {folder}/policy, then triaged ctl policy reload --socket {socket}"));
    say(&format!(
        "  topics:   in `{}`, out {}",
        stage.settings.topics.mentions,
        stage.assignments.join(", ")
    ));
    say("  Ctrl-C ends it: what is in flight is settled, then the books are checked.\n");
}

/// Whoever watches may have gone: a closed standard output must not end a drain.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A demo under way.
struct Show<'s> {
    stage: &'s Stage,
    exporter: Arc<crate::admin::Exporter>,
    producer: Box<dyn Producer>,
    feed: Feed,
    accounts: Accounts,
    seconds: Option<u64>,
    began_ms: i64,
    sent: u64,
    /// Up to when everything that was due is sent.
    sent_until_ms: i64,
    told_ms: i64,
    told: Counters,
    told_sent: u64,
    sample_shown: bool,
}

impl<'s> Show<'s> {
    fn new(stage: &'s Stage, daemon: &Daemon, wishes: &Wishes) -> Result<Show<'s>, Error> {
        let topics = &stage.settings.topics;
        let ledger = topics::ledger(&stage.settings);
        let began_ms = stage.clock.monotonic_ms();
        Ok(Show {
            stage,
            exporter: daemon.exporter(),
            producer: stage.logs.producer("demo-feed")?,
            feed: Feed::new(SEED, &texts()),
            accounts: Accounts::open(stage.logs.as_ref(), &topics.mentions, &ledger, PARTITIONS)?,
            seconds: wishes.seconds,
            began_ms,
            sent: 0,
            sent_until_ms: began_ms,
            told_ms: began_ms,
            told: Counters::default(),
            told_sent: 0,
            sample_shown: false,
        })
    }

    fn elapsed_ms(&self) -> u64 {
        (self.stage.clock.monotonic_ms() - self.began_ms).max(0) as u64
    }

    fn goes_on(&self) -> bool {
        self.seconds.is_none_or(|seconds| self.elapsed_ms() < seconds * 1_000)
    }

    /// Calm, storm, calm, in equal parts; over and over when nobody said how long.
    fn weather(&self) -> Weather {
        let part_ms = self.seconds.map_or(PART_SECONDS * 1_000, |seconds| seconds * 1_000 / 3).max(1);
        if (self.elapsed_ms() / part_ms) % 3 == 1 { Weather::Storm } else { Weather::Calm }
    }

    fn act(&mut self) -> Result<(), Error> {
        self.send_what_is_due()?;
        if self.stage.clock.monotonic_ms() - self.told_ms >= 1_000 {
            self.tell();
            self.accounts.read_on(Duration::ZERO)?;
            self.stage.sweep(&self.accounts)?;
            if !self.sample_shown {
                self.show_sample()?;
            }
        }
        Ok(())
    }

    fn send_what_is_due(&mut self) -> Result<(), LogError> {
        let weather = self.weather();
        self.feed.set_weather(weather);
        let rate = if weather == Weather::Storm { STORM_RATE } else { CALM_RATE };
        let now = self.stage.clock.monotonic_ms();
        self.sent_until_ms = self.sent_until_ms.max(now - BEHIND_MS_MAX);
        let due = (now - self.sent_until_ms).max(0) as u64 * rate / 1_000;
        if !self.producer.has_room() {
            // What is due now is sent once the broker has taken what was sent.
            return Ok(());
        }
        // Only whole mentions are sent; the rest of the time stays due.
        self.sent_until_ms += (due * 1_000 / rate) as i64;
        let mut batches: Vec<Outgoing> = vec![Outgoing::default(); PARTITIONS as usize];
        for _ in 0..due {
            let mention = self.feed.next(self.stage.clock.wall());
            let key = author(&mention);
            let partition = crate::wire::cloudevents::partition_for(key, PARTITIONS);
            batches[partition as usize].push(Some(key), Some(&mention));
        }
        let topic = &self.stage.settings.topics.mentions;
        for (partition, batch) in batches.iter().enumerate().filter(|(_, batch)| !batch.is_empty()) {
            let to = TopicPartition::new(topic, partition as u32);
            self.producer.send(&to, batch, &Arc::new(Ticket::new()))?;
        }
        self.sent += due;
        Ok(())
    }

    fn tell(&mut self) {
        let now = self.stage.clock.monotonic_ms();
        let ms = (now - self.told_ms).max(1) as u64;
        let totals = self.exporter.totals();
        let readings = self.exporter.readings();
        let of = |d: Disposition| {
            let code = usize::from(d.code());
            (totals.settled[code] - self.told.settled[code]) * 1_000 / ms
        };
        let cases: u64 = readings.cases_open.iter().map(|(_, cases)| cases).sum();
        let behind = self.sent.saturating_sub(totals.settled_total());
        let weather = if self.weather() == Weather::Storm { "storm" } else { "calm" };
        say(&format!(
            "{:>4} s  {weather:<5}  in {:>6}/s: {:>5} queued, {:>5} noise, {:>4} duplicates, {:>3} blocked | {:>6} cases open | {:>5} behind",
            self.elapsed_ms() / 1_000,
            (self.sent - self.told_sent) * 1_000 / ms,
            of(Disposition::Queued),
            of(Disposition::Noise),
            of(Disposition::Duplicate),
            of(Disposition::Blocked),
            cases,
            behind,
        ));
        (self.told_ms, self.told, self.told_sent) = (now, totals, self.sent);
    }

    fn show_sample(&mut self) -> Result<(), LogError> {
        if let Some((topic, record)) = self.stage.first_assignment()? {
            self.sample_shown = true;
            say(&format!("\nWhat a helpdesk reads, the first record of `{topic}`:\n  {record}\n"));
        }
        Ok(())
    }

    /// Sends no more and waits until what was sent has come out; whether it has.
    fn rest(&mut self) -> Result<bool, Error> {
        say("\nNo more mentions are sent. Waiting until all that were sent have come out.");
        let until = self.stage.clock.monotonic_ms() + REST_WAIT_MS;
        while self.stage.clock.monotonic_ms() < until {
            self.producer.flush(Duration::from_millis(100));
            self.accounts.read_on(Duration::from_millis(20))?;
            let totals = self.exporter.totals();
            if self.accounts.accounted() >= self.sent
                && totals.settled_total() >= self.sent
                && at_desks(&totals) >= queued(&totals)
            {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    /// Checks the books after the daemon has ended.
    fn account(&mut self, came_out: bool, totals: &Counters) -> Result<bool, Error> {
        self.accounts.read_on(Duration::from_millis(200))?;
        let mut faults = self.accounts.verdict(self.stage.logs.as_ref())?;
        if !came_out {
            faults.push(format!("not everything came out within {} s", REST_WAIT_MS / 1_000));
        }
        if !totals.accounts_for_every_mention() {
            faults.push("the metrics do not add up: read is not settled plus in flight".to_owned());
        }
        let (queued, arrived) = (queued(totals), at_desks(totals));
        if queued != arrived {
            faults.push(format!("{queued} mentions were queued and {arrived} arrived at their desks"));
        }
        let audited = self.audit(&mut faults)?;
        let sent = self.sent;
        if faults.is_empty() {
            let parts: Vec<String> =
                self.accounts.dispositions.iter().map(|(name, count)| format!("{count} {name}")).collect();
            say(&format!("All offsets are accounted for: {sent} mentions sent, each decided exactly once."));
            say(&format!("  in the ledger:  {}", parts.join(", ")));
            let outcome = |outcome: Outcome| totals.outcomes[outcome as usize];
            say(&format!(
                "  at the desks:   {} opened a case, {} joined their author's open case, {} were there already",
                outcome(Outcome::Opened) + outcome(Outcome::Reopened),
                outcome(Outcome::Linked),
                outcome(Outcome::Copy)
            ));
            say(&format!("  audit:          {audited}"));
            return Ok(true);
        }
        say(&format!("NOT all offsets are accounted for; {sent} mentions were sent:"));
        faults.iter().take(20).for_each(|fault| say(&format!("  {fault}")));
        Ok(false)
    }

    /// Audits the topics from outside, as `triaged audit` does; what it looked at.
    fn audit(&self, faults: &mut Vec<String>) -> Result<String, Error> {
        let plan = audit::plan_of(
            &self.stage.settings,
            &AuditOptions { sample: Some(10), ..AuditOptions::default() },
        )?;
        let report = audit::audit(self.stage.logs.as_ref(), &plan, &mut |_| {})?;
        faults.extend(report.findings.iter().map(ToString::to_string));
        let records: u64 = report.partitions.iter().map(|partition| partition.records).sum();
        Ok(format!("{records} records that are still on the topic read again from outside, nothing found"))
    }
}

fn queued(totals: &Counters) -> u64 {
    totals.settled[usize::from(Disposition::Queued.code())]
}

fn at_desks(totals: &Counters) -> u64 {
    debug_assert!(totals.input[Input::Mentions as usize] >= queued(totals));
    totals.outcomes.iter().sum()
}

/// The author's id as it stands in a native mention: the key, so that an author's mentions keep their order.
fn author(mention: &[u8]) -> &[u8] {
    const BEFORE: &[u8] = br#""author":{"id":""#;
    let start = mention.windows(BEFORE.len()).position(|window| window == BEFORE);
    let rest = start.map_or(mention, |start| &mention[start + BEFORE.len()..]);
    let end = rest.iter().position(|&byte| byte == b'"').unwrap_or(rest.len());
    &rest[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use triage_engine::model::Millis;

    #[test]
    fn mentions_are_keyed_by_their_author() {
        let mut feed = Feed::new(SEED, &texts());
        for _ in 0..100 {
            let mention = feed.next(Millis(1_790_000_000_000));
            let read: serde_json::Value = serde_json::from_slice(&mention).expect("it is JSON");
            assert_eq!(read["author"]["id"].as_str().map(str::as_bytes), Some(author(&mention)));
        }
    }
}

//! The log on Apache Kafka, against a real broker: what lanes and readers rely on.

#![allow(clippy::unwrap_used)]

mod common;

use common::kafka::{assigned, cluster, fresh, headers, numbers, poll_until, send, settings, topic};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use triage_engine::model::Millis;
use triaged::kafka::KafkaLogs;
use triaged::log::{Commit, LogError, Logs, Member, Outgoing, Polled, ReadStep, Ticket, TopicPartition};

const TICK: Duration = Duration::from_millis(50);

type Read = Vec<(i64, Option<Vec<u8>>, Option<Vec<u8>>)>;

/// Reads one partition from an offset to its end.
fn read_to_end(logs: &KafkaLogs, partition: &TopicPartition, from: i64) -> (Read, i64) {
    let mut reader = logs.reader(&[(partition.clone(), from)]).unwrap();
    let mut all = Vec::new();
    for _ in 0..1_200 {
        match reader.read(TICK).unwrap() {
            ReadStep::Nothing => {}
            ReadStep::Records(records) => {
                assert_eq!(records.partition(), partition);
                let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
                all.extend(
                    records.iter().map(|record| (record.offset, owned(record.key), owned(record.value))),
                );
            }
            ReadStep::End(of, offset) => {
                assert_eq!(of, *partition);
                return (all, offset);
            }
        }
    }
    panic!("no end of {partition} within a minute");
}

#[test]
fn what_is_sent_is_read_back_with_keys_tombstones_and_empty_values() {
    let logs = cluster();
    let name = topic(&logs, "round", 2, &[]);
    let to = TopicPartition::new(&name, 1);
    let mut producer = logs.producer("round").unwrap();
    let mut plain = Outgoing::default();
    plain.push(Some(b"a"), Some(b"one"));
    plain.push(Some(b"a"), None);
    plain.push(None, Some(b""));
    let first = send(&mut *producer, &to, &plain);
    let mut headed = Outgoing::default();
    headed.push_with_headers(Some(b"b"), Some(b"two"), [("ce_id", &b"1"[..]), ("ce_type", &b"x"[..])]);
    headed.push(Some(b"b"), None);
    let second = send(&mut *producer, &to, &headed);

    assert_eq!((first.offset_first(), second.offset_first()), (Some(0), Some(3)));
    let some = |text: &str| Some(text.as_bytes().to_vec());
    let expected = vec![
        (0, some("a"), some("one")),
        (1, some("a"), None),
        (2, None, some("")),
        (3, some("b"), some("two")),
        (4, some("b"), None),
    ];
    assert_eq!(read_to_end(&logs, &to, 0), (expected, 5));
    let expected = vec![("ce_id".to_owned(), b"1".to_vec()), ("ce_type".to_owned(), b"x".to_vec())];
    assert_eq!(headers(&to, 3..5), [(3, expected), (4, Vec::new())].into());
    assert_eq!(logs.bounds(&to).unwrap(), (0, 5));
}

#[test]
fn one_ticket_counts_many_sends_and_keeps_the_first_offset() {
    let logs = cluster();
    let name = topic(&logs, "ticket", 1, &[]);
    let to = TopicPartition::new(&name, 0);
    let mut producer = logs.producer("ticket").unwrap();
    send(&mut *producer, &to, &numbers(0..10, 4));
    let ticket = Arc::new(Ticket::new());
    for start in 0..50 {
        producer.send(&to, &numbers(start * 200..start * 200 + 200, 100), &ticket).unwrap();
    }
    assert!(producer.flush(Duration::from_secs(30)));
    assert!(ticket.is_settled());
    assert_eq!((ticket.offset_first(), ticket.failure()), (Some(10), None));
    // Nobody keeps the ticket once all is answered.
    drop(producer);
    assert_eq!(Arc::strong_count(&ticket), 1);
    let (read, end) = read_to_end(&logs, &to, 10);
    let values: Vec<u64> = read
        .iter()
        .map(|(_, _, value)| std::str::from_utf8(value.as_ref().unwrap()).unwrap().parse().unwrap())
        .collect();
    assert_eq!(values, (0..10_000).collect::<Vec<u64>>(), "in the order sent");
    assert_eq!(end, 10_010);
}

#[test]
fn what_the_buffer_has_no_room_for_waits_in_the_producer_and_keeps_its_order() {
    let logs = cluster();
    let name = topic(&logs, "full", 1, &[]);
    let to = TopicPartition::new(&name, 0);
    let mut small = settings();
    small.producer_buffer_kib = 64;
    let mut producer = KafkaLogs::new(small).unwrap().producer("full").unwrap();
    let (first, second) = (Arc::new(Ticket::new()), Arc::new(Ticket::new()));
    producer.send(&to, &numbers(0..3_000, 200), &first).unwrap();
    producer.send(&to, &numbers(3_000..5_000, 200), &second).unwrap();
    assert!(producer.flush(Duration::from_secs(30)));
    assert!(producer.has_room());
    for (ticket, offset) in [(first, 0), (second, 3_000)] {
        assert!(ticket.is_settled());
        assert_eq!((ticket.failure(), ticket.offset_first()), (None, Some(offset)));
    }
    let (read, _) = read_to_end(&logs, &to, 0);
    let values: Vec<u64> = read
        .iter()
        .map(|(_, _, value)| std::str::from_utf8(value.as_ref().unwrap()).unwrap().parse().unwrap())
        .collect();
    assert_eq!(values, (0..5_000).collect::<Vec<u64>>());
}

#[test]
fn a_record_that_can_never_be_delivered_fails_its_ticket_and_names_the_topic() {
    let logs = cluster();
    let name = topic(&logs, "large", 1, &[("max.message.bytes", "2000")]);
    let to = TopicPartition::new(&name, 0);
    let mut producer = logs.producer("large").unwrap();
    // Noise that no compression shrinks below the topic's limit.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    })
    .take(50_000)
    .collect();
    let mut batch = Outgoing::default();
    batch.push(None, Some(&noise));
    let ticket = Arc::new(Ticket::new());
    producer.send(&to, &batch, &ticket).unwrap();
    assert!(producer.flush(Duration::from_secs(30)));
    assert!(ticket.is_settled());
    assert_eq!(ticket.failure().unwrap().topic, name);

    let mut beyond = Outgoing::default();
    beyond.push(None, Some(&vec![b'x'; 3_000_000]));
    let ticket = Arc::new(Ticket::new());
    assert!(producer.send(&to, &beyond, &ticket).is_err(), "nothing of it was enqueued");
    assert!(ticket.is_settled());
    assert_eq!(ticket.failure(), None);
}

#[test]
fn no_send_waits_for_a_broker_that_is_away_however_full_the_buffer_is() {
    let mut nowhere = settings();
    nowhere.bootstrap = "127.0.0.1:1".to_owned();
    nowhere.producer_buffer_kib = 64;
    let mut producer = KafkaLogs::new(nowhere).unwrap().producer("away").unwrap();
    let to = TopicPartition::new("nowhere", 0);
    let tickets: Vec<Arc<Ticket>> = (0..50).map(|_| Arc::new(Ticket::new())).collect();
    for ticket in &tickets {
        // 50 times 40 kB: the second finds no room, and nobody will ever make any.
        producer.send(&to, &numbers(0..200, 200), ticket).unwrap();
    }
    assert!(!producer.has_room(), "whoever asks before sending reads no more");
    assert!(tickets.iter().all(|ticket| !ticket.is_settled()), "nothing is lost, nothing is answered");
    drop(producer);
    for ticket in tickets {
        assert!(ticket.is_settled());
        assert!(ticket.failure().is_some(), "what was thrown away has failed");
    }
}

#[test]
fn a_producer_that_is_dropped_fails_what_was_not_answered() {
    // Nobody listens there, so nothing can be answered.
    let mut nowhere = settings();
    nowhere.bootstrap = "127.0.0.1:1".to_owned();
    let mut producer = KafkaLogs::new(nowhere).unwrap().producer("dropped").unwrap();
    let ticket = Arc::new(Ticket::new());
    producer.send(&TopicPartition::new("nowhere", 0), &numbers(0..100, 10), &ticket).unwrap();
    assert!(!producer.flush(Duration::from_millis(100)));
    drop(producer);
    assert!(ticket.is_settled());
    assert!(ticket.failure().is_some());
    assert_eq!(Arc::strong_count(&ticket), 1);
}

#[test]
fn a_joining_member_gets_its_share_only_once_the_old_owner_has_drained_committed_and_released() {
    let logs = cluster();
    let name = topic(&logs, "share", 4, &[]);
    let mut producer = logs.producer("share").unwrap();
    for partition in 0..4 {
        send(&mut *producer, &TopicPartition::new(&name, partition), &numbers(0..500, 50));
    }
    let group = fresh("share-group");
    let mut first = logs.member(&group, "first", &[&name]).unwrap();
    let all = assigned(&mut *first);
    assert_eq!(all.len(), 4);
    assert_eq!(first.committed(&all).unwrap(), vec![None; 4]);
    let from: Vec<_> = all.iter().map(|partition| (partition.clone(), 0)).collect();
    first.start(&from).unwrap();
    let mut seen = BTreeSet::new();
    poll_until(&mut *first, "all records", |polled| {
        if let Polled::Records(records) = polled {
            let partition = records.partition().partition;
            assert!(records.iter().all(|record| seen.insert((partition, record.offset))), "nothing twice");
        }
        (seen.len() == 2_000).then_some(())
    });

    let mut second = logs.member(&group, "second", &[&name]).unwrap();
    let mut leaving = None;
    for _ in 0..600 {
        // The second has to be polled too, but gets nothing yet.
        assert!(matches!(second.poll(Duration::from_millis(20), true).unwrap(), Polled::Nothing));
        if let Polled::Revoking(partitions) = first.poll(TICK, true).unwrap() {
            leaving = Some(partitions);
            break;
        }
    }
    let leaving = leaving.expect("some partitions move to the second");
    assert_eq!(leaving.len(), 2);
    // The answer takes its time: nobody else owns the partitions meanwhile, and committing still works.
    for _ in 0..60 {
        assert!(matches!(second.poll(Duration::from_millis(20), true).unwrap(), Polled::Nothing));
        assert!(matches!(first.poll(Duration::from_millis(20), true).unwrap(), Polled::Nothing));
    }
    let commit = Commit { offset: 321, metadata: "ledger 77".to_owned() };
    let commits: Vec<_> = leaving.iter().map(|partition| (partition.clone(), commit.clone())).collect();
    first.commit(&commits).unwrap();
    first.release(&leaving).unwrap();
    assert!(matches!(first.commit(&commits), Err(LogError::Fenced(_))), "released is released");

    let mut got = Vec::new();
    for _ in 0..600 {
        match second.poll(Duration::from_millis(20), true).unwrap() {
            Polled::Assigned(partitions) => {
                got = partitions;
                break;
            }
            Polled::Nothing => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(first.poll(Duration::from_millis(20), true).unwrap(), Polled::Nothing));
    }
    assert_eq!(got.iter().collect::<BTreeSet<_>>(), leaving.iter().collect::<BTreeSet<_>>());
    assert_eq!(second.committed(&got).unwrap(), vec![Some(commit.clone()); 2]);
    second.start(&got.iter().map(|partition| (partition.clone(), 321)).collect::<Vec<_>>()).unwrap();
    let (_, start) = poll_until(&mut *second, "its records", |polled| match polled {
        Polled::Records(records) => Some((records.partition().clone(), records.get(0).offset)),
        _ => None,
    });
    assert_eq!(start, 321);
    assert_eq!(logs.group_offsets(&group, &got).unwrap(), vec![Some(commit); 2]);
}

#[test]
fn a_member_that_comes_back_under_its_name_keeps_its_partitions_and_disturbs_nobody() {
    let logs = cluster();
    let name = topic(&logs, "static", 2, &[]);
    let group = fresh("static-group");
    let mut one = logs.member(&group, "one", &[&name]).unwrap();
    let both = assigned(&mut *one);
    one.start(&both.iter().map(|partition| (partition.clone(), 0)).collect::<Vec<_>>()).unwrap();
    let mut two = logs.member(&group, "two", &[&name]).unwrap();
    let mut of_two = None;
    for _ in 0..600 {
        match one.poll(TICK, true).unwrap() {
            Polled::Revoking(partitions) => one.release(&partitions).unwrap(),
            Polled::Nothing => {}
            other => panic!("{other:?}"),
        }
        if let Polled::Assigned(partitions) = two.poll(TICK, true).unwrap() {
            two.start(&partitions.iter().map(|partition| (partition.clone(), 0)).collect::<Vec<_>>())
                .unwrap();
            of_two = Some(partitions);
            break;
        }
    }
    let of_two = of_two.expect("the second gets a share");
    two.commit(&[(of_two[0].clone(), Commit { offset: 0, metadata: "here".to_owned() })]).unwrap();
    two.close();

    let mut two = logs.member(&group, "two", &[&name]).unwrap();
    let mut again = None;
    for _ in 0..600 {
        assert!(matches!(one.poll(TICK, true).unwrap(), Polled::Nothing), "the other member notices nothing");
        if let Polled::Assigned(partitions) = two.poll(TICK, true).unwrap() {
            again = Some(partitions);
            break;
        }
    }
    assert_eq!(again, Some(of_two.clone()));
    assert_eq!(two.committed(&of_two).unwrap()[0].as_ref().unwrap().metadata, "here");
}

#[test]
fn a_rewind_under_load_hands_out_nothing_that_was_fetched_before() {
    let logs = cluster();
    let name = topic(&logs, "rewind", 2, &[]);
    let partitions = [TopicPartition::new(&name, 0), TopicPartition::new(&name, 1)];
    // Small batches, small fetches: what is fetched ahead is then many short runs of both partitions.
    let mut small = settings();
    small.producer.insert("batch.num.messages".to_owned(), "20".to_owned());
    small.consumer.insert("max.partition.fetch.bytes".to_owned(), "4000".to_owned());
    let small = KafkaLogs::new(small).unwrap();
    let mut producer = small.producer("rewind").unwrap();
    for partition in &partitions {
        send(&mut *producer, partition, &numbers(0..40_000, 100));
    }
    let mut member = small.member(&fresh("rewind-group"), "one", &[&name]).unwrap();
    assert_eq!(assigned(&mut *member).len(), 2);
    member.start(&partitions.clone().map(|partition| (partition, 0))).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let mut next = [0_i64; 2];
    for round in 0..40 {
        for _ in 0..(round % 5) * 3 + 1 {
            let records = poll_until(&mut *member, "records", |polled| match polled {
                Polled::Records(records) => Some(records),
                _ => None,
            });
            let at = records.partition().partition as usize;
            for record in records.iter() {
                assert_eq!(record.offset, next[at], "partition {at} in round {round}");
                next[at] += 1;
            }
        }
        let at = round % 2;
        next[at] = [0, 17, 30_000, 5][round / 2 % 4];
        member.start(&[(partitions[at].clone(), next[at])]).unwrap();
    }
}

#[test]
fn a_member_whose_name_another_has_taken_cannot_commit_any_more() {
    let logs = cluster();
    let name = topic(&logs, "fenced", 1, &[]);
    let partition = TopicPartition::new(&name, 0);
    let group = fresh("fenced-group");
    let commit = |offset| vec![(partition.clone(), Commit { offset, metadata: String::new() })];
    let mut old = logs.member(&group, "same", &[&name]).unwrap();
    assigned(&mut *old);
    old.start(&[(partition.clone(), 0)]).unwrap();
    old.commit(&commit(1)).unwrap();
    let mut new = logs.member(&group, "same", &[&name]).unwrap();
    assigned(&mut *new);
    new.start(&[(partition.clone(), 0)]).unwrap();
    new.commit(&commit(5)).unwrap();
    let refused = old.commit(&commit(2));
    assert!(matches!(refused, Err(LogError::Fenced(_))), "{refused:?}");
    assert_eq!(
        logs.group_offsets(&group, std::slice::from_ref(&partition)).unwrap()[0].as_ref().unwrap().offset,
        5
    );
}

/// One poll whose rebalance is answered at once; whether the member goes on. What an answer meets is told by the next poll.
fn goes_on(member: &mut dyn Member) -> bool {
    match member.poll(Duration::from_millis(20), true) {
        Ok(Polled::Assigned(partitions)) => {
            let from: Vec<_> = partitions.into_iter().map(|partition| (partition, 0)).collect();
            let _ = member.start(&from);
        }
        Ok(Polled::Lost(partitions) | Polled::Revoking(partitions)) => {
            let _ = member.release(&partitions);
        }
        Ok(_) => {}
        Err(LogError::Fenced(_)) => return false,
        Err(error) => panic!("{error}"),
    }
    true
}

#[test]
fn of_two_that_go_on_under_one_name_each_tries_again_until_one_is_told_that_it_is_the_others() {
    let logs = cluster();
    let name = topic(&logs, "rivals", 1, &[]);
    let commits = [(TopicPartition::new(&name, 0), Commit { offset: 7, metadata: String::new() })];
    let group = fresh("rivals-group");
    let mut rivals = vec![];
    rivals.resize_with(2, || logs.member(&group, "same", &[&name]).unwrap());
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    let fenced = loop {
        if let Some(at) = rivals.iter_mut().position(|rival| !goes_on(&mut **rival)) {
            break at;
        }
        assert!(std::time::Instant::now() < deadline, "neither is told");
    };
    drop(rivals.remove(fenced));
    while let Err(error) = rivals[0].commit(&commits) {
        assert!(goes_on(&mut *rivals[0]), "the name is that one's now");
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
}

#[test]
fn records_of_an_aborted_transaction_are_holes_and_the_end_is_still_found() {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let logs = cluster();
    let name = topic(&logs, "aborted", 1, &[]);
    let partition = TopicPartition::new(&name, 0);
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", common::kafka::bootstrap())
        .set("transactional.id", fresh("aborted"))
        .create()
        .unwrap();
    let limit = Duration::from_secs(30);
    producer.init_transactions(limit).unwrap();
    for (round, keep) in [true, false, true, false].into_iter().enumerate() {
        producer.begin_transaction().unwrap();
        for number in 0..10 {
            let value = format!("{round}-{number}-{keep}");
            producer.send(BaseRecord::<str, str>::to(&name).partition(0).payload(&value)).unwrap();
        }
        producer.flush(limit).unwrap();
        if keep { producer.commit_transaction(limit) } else { producer.abort_transaction(limit) }.unwrap();
    }
    let (read, end) = read_to_end(&logs, &partition, 0);
    let offsets: Vec<i64> = read.iter().map(|(offset, ..)| *offset).collect();
    let expected: Vec<i64> = (0..10).chain(22..32).collect();
    assert_eq!(offsets, expected, "each transaction has ten records and one marker");
    assert_eq!(end, 44);
    assert_eq!(logs.bounds(&partition).unwrap(), (0, 44));

    // While a transaction is open, reading ends before it, and so do the bounds.
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<str, str>::to(&name).partition(0).payload("open")).unwrap();
    producer.flush(limit).unwrap();
    assert_eq!(read_to_end(&logs, &partition, 0).1, 44);
    assert_eq!(logs.bounds(&partition).unwrap(), (0, 44));
    producer.abort_transaction(limit).unwrap();
}

#[test]
fn a_compacted_log_is_read_with_its_holes_to_its_end() {
    let logs = cluster();
    let config = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "0"),
    ];
    let name = topic(&logs, "compacted", 1, &config);
    let partition = TopicPartition::new(&name, 0);
    let mut producer = logs.producer("compacted").unwrap();
    let mut sent = 0;
    // The cleaner leaves the segment being written alone, so something is written while we wait for it.
    for _ in 0..240 {
        send(&mut *producer, &partition, &numbers(0..70, 20));
        sent += 70;
        let (read, end) = read_to_end(&logs, &partition, 0);
        assert_eq!(end, sent);
        assert_eq!(read.last().unwrap().0, sent - 1);
        if read.len() < usize::try_from(sent).unwrap() {
            return;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    panic!("the broker compacted nothing within a minute");
}

#[test]
fn an_offset_that_retention_has_overtaken_is_reported_and_reading_goes_on_from_the_start() {
    let logs = cluster();
    let name = topic(&logs, "trim", 1, &[]);
    let partition = TopicPartition::new(&name, 0);
    let mut producer = logs.producer("trim").unwrap();
    send(&mut *producer, &partition, &numbers(0..100, 10));
    logs.trim(&partition, 40).unwrap();
    assert_eq!(logs.bounds(&partition).unwrap(), (40, 100));
    let expected = LogError::OutOfRange { partition: partition.clone(), asked: 5, start: 40 };

    let mut reader = logs.reader(&[(partition.clone(), 5)]).unwrap();
    let said = (0..600).find_map(|_| reader.read(TICK).err());
    assert_eq!(said, Some(expected.clone()));

    let mut member = logs.member(&fresh("trim-group"), "one", &[&name]).unwrap();
    assigned(&mut *member);
    member.start(&[(partition.clone(), 5)]).unwrap();
    let said = (0..600).find_map(|_| member.poll(TICK, true).err());
    assert_eq!(said, Some(expected));
    member.start(&[(partition.clone(), 40)]).unwrap();
    let first = poll_until(&mut *member, "the records left", |polled| match polled {
        Polled::Records(records) => Some(records.get(0).offset),
        _ => None,
    });
    assert_eq!(first, 40);
    member.commit(&[(partition, Commit { offset: 41, metadata: String::new() })]).unwrap();
}

#[test]
fn a_topic_is_described_as_it_was_made_and_a_new_one_of_its_name_has_another_id() {
    let logs = cluster();
    let config = [("cleanup.policy", "compact,delete"), ("message.timestamp.type", "LogAppendTime")];
    let first = topic(&logs, "described", 3, &config);
    let second = topic(&logs, "plain", 1, &[("retention.ms", "3600000"), ("max.message.bytes", "123456")]);
    let told = logs.describe(&[&second, "test.there-is-none", &first]).unwrap();
    let (plain, none, described) = (told[0].clone().unwrap(), &told[1], told[2].clone().unwrap());
    assert!(none.is_none());
    assert_eq!((described.name.as_str(), described.partitions), (first.as_str(), 3));
    assert!(described.compacted && described.log_append_time);
    assert!(!plain.compacted && !plain.log_append_time);
    assert_eq!((plain.retention_ms, plain.message_bytes_max), (Some(3_600_000), 123_456));
    assert!(described.id.0 != 0 && described.id != plain.id);
    let missing = TopicPartition::new("test.there-is-none", 0);
    assert!(matches!(logs.bounds(&missing), Err(LogError::Missing(_))), "{:?}", logs.bounds(&missing));
}

#[test]
fn an_offset_is_found_by_its_time_and_the_end_when_nothing_is_that_late() {
    let logs = cluster();
    let name = topic(&logs, "times", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let partition = TopicPartition::new(&name, 0);
    let mut producer = logs.producer("times").unwrap();
    send(&mut *producer, &partition, &numbers(0..5, 10));
    let mut reader = logs.reader(&[(partition.clone(), 0)]).unwrap();
    let early = loop {
        if let ReadStep::Records(records) = reader.read(TICK).unwrap() {
            break records.get(0).timestamp;
        }
    };
    std::thread::sleep(Duration::from_millis(5));
    send(&mut *producer, &partition, &numbers(5..9, 10));
    assert_eq!(logs.offset_at(&partition, Millis::MIN).unwrap(), 0);
    assert_eq!(logs.offset_at(&partition, early.plus(1)).unwrap(), 5);
    assert_eq!(logs.offset_at(&partition, early.plus(86_400_000)).unwrap(), 9);
    assert_eq!(logs.group_offsets(&fresh("no-group"), &[partition]).unwrap(), vec![None]);
}

#[test]
fn a_member_that_stood_still_too_long_is_told_that_all_is_lost_and_may_join_again() {
    let logs = cluster();
    let name = topic(&logs, "lost", 2, &[]);
    let group = fresh("lost-group");
    let mut slow = settings();
    slow.consumer.insert("max.poll.interval.ms".to_owned(), "6000".to_owned());
    let mut member = KafkaLogs::new(slow).unwrap().member(&group, "slow", &[&name]).unwrap();
    let both = assigned(&mut *member);
    let from: Vec<_> = both.iter().map(|partition| (partition.clone(), 0)).collect();
    member.start(&from).unwrap();
    let commits: Vec<_> = both
        .iter()
        .map(|partition| (partition.clone(), Commit { offset: 0, metadata: String::new() }))
        .collect();
    member.commit(&commits).unwrap();
    std::thread::sleep(Duration::from_millis(8_000));
    let refused = member.commit(&commits);
    assert!(
        matches!(refused, Err(LogError::Fenced(_))),
        "before the member has even heard of it: {refused:?}"
    );
    let lost = poll_until(&mut *member, "the loss", |polled| match polled {
        Polled::Lost(partitions) => Some(partitions),
        Polled::Nothing => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(lost.len(), 2);
    assert!(matches!(member.start(&from), Err(LogError::Fenced(_))));
    assert!(matches!(member.commit(&commits), Err(LogError::Fenced(_))));
    member.release(&lost).unwrap();
    let again = assigned(&mut *member);
    assert_eq!(again.len(), 2);
    member.start(&from).unwrap();
    member.commit(&commits).unwrap();
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks: u64 =
        after.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
#[ignore = "a measurement, not a test: prints records per second and CPU for reading and for passing through"]
fn how_fast_records_are_read_and_passed_through() {
    for (bytes, count) in [(200_usize, 1_000_000_u64), (1024, 300_000)] {
        let logs = cluster();
        let name = topic(&logs, "rate", 4, &[]);
        let out = topic(&logs, "rate-out", 4, &[]);
        let mut producer = logs.producer("rate").unwrap();
        let began = (std::time::Instant::now(), cpu());
        let ticket = Arc::new(Ticket::new());
        for start in (0..count).step_by(2_000) {
            let to = TopicPartition::new(&name, (start / 2_000 % 4) as u32);
            while !producer.has_room() {
                producer.flush(Duration::from_millis(1));
            }
            producer.send(&to, &numbers(start..start + 2_000, bytes), &ticket).unwrap();
        }
        assert!(producer.flush(Duration::from_secs(120)));
        tell("produce", bytes, count, began);
        for pass in [false, true] {
            let partitions: Vec<_> = (0..4).map(|number| (TopicPartition::new(&name, number), 0)).collect();
            let mut member = logs.member(&fresh("rate-group"), "one", &[&name]).unwrap();
            assigned(&mut *member);
            member.start(&partitions).unwrap();
            let began = (std::time::Instant::now(), cpu());
            let (mut read, mut batch) = (0, Outgoing::default());
            while read < count {
                while !producer.has_room() {
                    producer.flush(Duration::from_millis(1));
                }
                if let Polled::Records(records) = member.poll(TICK, true).unwrap() {
                    read += records.len() as u64;
                    if pass {
                        batch.clear();
                        records.iter().for_each(|record| batch.push(record.key, record.value));
                        let to = TopicPartition::new(&out, records.partition().partition);
                        producer.send(&to, &batch, &ticket).unwrap();
                    }
                }
            }
            assert!(producer.flush(Duration::from_secs(120)));
            tell(if pass { "pass through" } else { "read" }, bytes, count, began);
        }
    }
}

fn tell(what: &str, bytes: usize, count: u64, began: (std::time::Instant, Duration)) {
    let (wall, busy) = (began.0.elapsed(), cpu() - began.1);
    let (rate, each) = (count as f64 / wall.as_secs_f64(), busy.as_secs_f64() * 1e6 / count as f64);
    println!("{what} {bytes} B: {rate:.0} records/s, {each:.2} us CPU of ours each");
}

//! What a start does and does not do, over the embedded log: the daemon as it is, without a broker.
//!
//! Owns its settings, topics and policies. May not look into the daemon's threads: it looks at the log from outside.

use super::*;
use crate::clock::SystemClock;
use crate::embedded::{Cluster, MemberId};
use crate::log::{NewTopic, Outgoing, Ticket};
use crate::wire::control as control_wire;
use triage_engine::plans::{ControlRecord, PolicySwitch};
use triage_engine::policy::{Bundle, Policy};

fn bundle() -> Bundle {
    let text = "[[desk]]\nname = \"care\"\nlog_partition = 0\ncase_lapse = \"1h\"\nmentions_per_case_max = 10\n\
                [[queue]]\nname = \"care.all\"\ndesk = \"care\"\n[workflow]\ndefault = \"care.all\"\n\
                [dedup]\nwindow = \"10m\"\nids_max = 1000\n[fleet]\nhash_key = \"00112233445566778899aabbccddeeff\"\n";
    Bundle { files: [("policy.toml".to_owned(), text.to_owned())].into() }
}

/// A cluster with every topic that the settings and the policy need.
fn world(settings: &Settings, policy: &Policy) -> Cluster {
    let cluster = Cluster::new(Arc::new(SystemClock::new()));
    let sizes = topics::Sizes { inputs: 1, desks: 1, replication: 1 };
    let needed = topics::needed(settings, &cluster, &[policy], sizes).expect("it answers");
    let needed: Vec<NewTopic> = needed.into_iter().map(|(new, _)| new).collect();
    cluster.create(&needed).expect("an embedded log takes topics");
    cluster
}

fn settings(folder: &std::path::Path) -> Settings {
    let mut settings = Settings::default();
    settings.host.state_dir = folder.join("state");
    settings.admin.socket = folder.join("admin.sock");
    settings
}

/// Asks for the policy, as an instance with other settings did; `switched`: and the owner of the topic has answered.
fn name(settings: &Settings, cluster: &Cluster, bundle: &Bundle, switched: bool) {
    let generation = bundle.generation();
    policy::publish_and_request(settings, cluster, &SystemClock::new(), generation, bundle)
        .expect("it is sent");
    let control = TopicPartition::new(&settings.topics.control, 0);
    let through = cluster.bounds(&control).expect("there is such a topic").1 - 1;
    if switched {
        let answers = "an earlier request".to_owned();
        let switch = PolicySwitch { generation, answers, through, previous: None, restates: None };
        let (key, value) = control_wire::encode(&ControlRecord::Switched(switch));
        let mut batch = Outgoing::default();
        batch.push(Some(key.as_bytes()), value.as_deref());
        let ticket = Arc::new(Ticket::new());
        cluster.producer("test").expect("a producer").send(&control, &batch, &ticket).expect("it is sent");
    }
}

/// Writes the policy to the folder of the settings.
fn write(settings: &mut Settings, folder: &std::path::Path, bundle: &Bundle) {
    settings.policy.folder = folder.join("policy");
    std::fs::create_dir_all(&settings.policy.folder).expect("a folder");
    for (path, text) in &bundle.files {
        std::fs::write(settings.policy.folder.join(path), text).expect("written");
    }
}

fn start(settings: Settings, cluster: &Cluster) -> Result<Daemon, Error> {
    let tuning = Tuning { signals: false, ..Tuning::default() };
    Daemon::start(settings, Arc::new(cluster.clone()), Arc::new(SystemClock::new()), tuning)
}

#[test]
fn a_policy_on_the_control_topic_that_clashes_with_the_topics_is_refused_before_any_lane_has_started() {
    let bundle = bundle();
    let policy = Policy::compile(&bundle).expect("the policy is right");
    for switched in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path());
        "assignments.care".clone_into(&mut settings.topics.helpdesk_events);
        let cluster = world(&settings, &policy);
        name(&settings, &cluster, &bundle, switched);
        let control = TopicPartition::new(&settings.topics.control, 0);
        let named = cluster.bounds(&control).expect("there is such a topic");
        let error = start(settings.clone(), &cluster).err().expect("its topics clash");
        assert_eq!(error.exit_code(), 78, "{error}");
        assert!(error.to_string().contains("`assignments.care` is the topic of desk `care` too"), "{error}");
        assert_eq!(cluster.newest_member(), MemberId(0), "nobody has joined a group");
        assert_eq!(cluster.bounds(&control).expect("there is such a topic"), named, "nobody has written");
    }
}

#[test]
fn a_policy_on_the_control_topic_that_fits_comes_in_force_and_the_lanes_start() {
    let bundle = bundle();
    let policy = Policy::compile(&bundle).expect("the policy is right");
    for switched in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path());
        let cluster = world(&settings, &policy);
        name(&settings, &cluster, &bundle, switched);
        let daemon = start(settings, &cluster).expect("it starts");
        let now = daemon.shared.policies.in_force().expect("a policy is in force");
        assert_eq!(now.policy.generation(), bundle.generation());
        daemon.end().expect("it drains");
    }
}

#[test]
fn a_reload_whose_policy_does_not_stay_on_its_topic_is_refused_at_once_and_the_old_one_stays_in_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(folder.path());
    let mut bundle = bundle();
    let cluster = world(&settings, &Policy::compile(&bundle).expect("the policy is right"));
    write(&mut settings, folder.path(), &bundle);
    let first = bundle.generation();
    let mut daemon = start(settings.clone(), &cluster).expect("it starts");
    assert!(daemon.goes_on());
    cluster.lose_sends_to(&settings.topics.policies);
    bundle.files.insert("rule.toml".to_owned(), "[[rule]]\nname = \"tv\"\nquery = \"tv\"\n".to_owned());
    write(&mut settings, folder.path(), &bundle);
    let refusal = daemon.control().reload().expect_err("nobody can read it").into_json();
    assert_eq!(refusal["refused"], "wrong", "{refusal}");
    let what = refusal["mistakes"][0]["what"].as_str().expect("it says why");
    let named =
        format!("{} was written to `triaged.policies` and is not there any more", bundle.generation());
    assert!(what.starts_with(&named), "{refusal}");
    let plans = daemon.shared.policies.plans();
    assert_eq!((plans.in_force().map(|now| now.generation), plans.pending().count()), (Some(first), 0));
    daemon.end().expect("it drains");
}

#[test]
fn a_first_start_whose_policy_does_not_stay_on_its_topic_ends_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(folder.path());
    let bundle = bundle();
    let cluster = world(&settings, &Policy::compile(&bundle).expect("the policy is right"));
    write(&mut settings, folder.path(), &bundle);
    cluster.lose_sends_to(&settings.topics.policies);
    let error = start(settings, &cluster).err().expect("nobody can read it");
    assert_eq!(error.exit_code(), 78, "{error}");
    assert!(
        error.to_string().contains("was written to `triaged.policies` and is not there any more"),
        "{error}"
    );
}

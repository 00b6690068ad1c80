//! Proof that settings are read as written, and that every mistake is told at once, at its place.
//!
//! Owns the freshness of the two documents made of the settings; `UPDATE_DOCS=1` writes them anew.

use super::*;
use std::time::Duration;

fn load_text(text: &str) -> Result<Settings, Vec<Mistake>> {
    load("triaged.toml", text, [], "host-1")
}

fn mistakes(text: &str) -> Vec<String> {
    load_text(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_file_means_the_defaults_and_the_hosts_name() {
    let settings = load_text("").unwrap();
    assert_eq!(settings.host.instance, "host-1");
    assert_eq!(settings.topics.desks, "triaged.desks");
    assert_eq!(settings.kafka.session_timeout, Duration::from_secs(10));
}

#[test]
fn what_is_written_is_read_and_an_override_outranks_it() {
    let text = "instance = 'a'\n[kafka]\nsession_timeout = '30s'\nbootstrap = 'k1:9092,k2:9092'\n\
        [kafka.producer]\n'linger.ms' = 5\n[limits]\nbuffer_mib = 1_024\n";
    let environment =
        [("TRIAGED__LIMITS__BUFFER_MIB", "256"), ("TRIAGED__INSTANCE", "b-7"), ("HOME", "/root")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = load("triaged.toml", text, environment, "host-1").unwrap();
    assert_eq!(settings.host.instance, "b-7");
    assert_eq!(settings.kafka.bootstrap, "k1:9092,k2:9092");
    assert_eq!(settings.kafka.session_timeout, Duration::from_secs(30));
    assert_eq!(settings.kafka.producer["linger.ms"], "5");
    assert_eq!(settings.limits.buffer_mib, 256);
    assert_eq!(load_text(text).unwrap().limits.buffer_mib, 1024);
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_a_guess() {
    let text = "instnce = 'a'\n[kafka]\nbootstrap = 9092\nsession_timeout = '10 s'\n[kafka.consumer]\n\
        'enable.auto.commit' = true\n[topics]\nalert = 'x'\n[log]\nlevel = 'loud'\n";
    let told = mistakes(text);
    assert_eq!(
        told,
        [
            "triaged.toml:1:1: there is no setting `instnce`; did you mean `instance`?",
            "triaged.toml:3:13: `kafka.bootstrap`: expected text in quotes, found the number 9092",
            "triaged.toml:4:19: `kafka.session_timeout`: expected a duration such as \"10s\" (ms, s, m, h, d), found the text \"10 s\"",
            "triaged.toml:5:1: `enable.auto.commit` may not be set: an offset is committed only once every effect of its record is acknowledged; the daemon does it",
            "triaged.toml:8:1: there is no setting `alert` in `[topics]`; did you mean `alerts`?",
            "triaged.toml:10:9: `loud` is none of error, warn, info, debug, trace",
        ]
    );
}

#[test]
fn an_admin_address_beyond_this_machine_needs_a_token_and_tls_in_front() {
    let with =
        |text: &str| load_text(&format!("[admin]\n{text}")).map_err(|mistakes| mistakes[0].to_string());
    assert_eq!(with("listen = '127.0.0.1:9464'").unwrap().admin.address(), Ok("127.0.0.1:9464".parse().ok()));
    assert_eq!(with("").unwrap().admin.address(), Ok(None));
    for open in [
        "listen = '0.0.0.0:9464'",
        "listen = '10.0.0.7:9464'\ntoken_file = '/run/token'",
        "listen = '[::]:9464'\nbehind_tls = true",
    ] {
        assert!(with(open).unwrap_err().contains("is not loopback: it needs `token_file`"), "{open}");
    }
    let guarded = "listen = '0.0.0.0:9464'\ntoken_file = '/run/token'\nbehind_tls = true\nhosts = 'a.example, b.example:8443'";
    assert_eq!(with(guarded).unwrap().admin.host_names(), ["a.example", "b.example:8443"]);
    assert!(with("listen = 'localhost'").unwrap_err().contains("no address such as 127.0.0.1:9464"));
    assert!(with("hosts = 'a.example, http://b'").unwrap_err().contains("`http://b` is no name"));
}

#[test]
fn a_wrong_override_is_told_by_its_own_name() {
    let environment = [
        ("TRIAGED__KAFKA__BOOTSTRP".to_owned(), "x:1".to_owned()),
        ("TRIAGED__TRIAGE__LANES".to_owned(), "many".to_owned()),
    ];
    let told: Vec<String> =
        load("triaged.toml", "", environment, "h").unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "TRIAGED__KAFKA__BOOTSTRP: there is no setting `kafka.bootstrp`; did you mean `kafka.bootstrap`?",
            "TRIAGED__TRIAGE__LANES: `triage.lanes`: expected a whole number, found the text \"many\"",
        ]
    );
}

#[test]
fn a_password_in_the_wrong_place_is_refused_and_not_repeated() {
    let environment =
        [("TRIAGED__KAFKA__CLIENT", "sasl.password=hunter2"), ("TRIAGED__KAFKA__SASL_PASSWORD", "hunter2")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let text = "[kafka]\nclient = { 'sasl.password' = 'hunter2', 'ssl.key.password' = 'hunter2' }\npassword = 'hunter2'\n";
    for told in [load("f", text, [], "h").unwrap_err(), load("f", "", environment, "h").unwrap_err()] {
        assert!(told.len() >= 2, "{told:?}");
        assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
    }
}

#[test]
fn what_is_out_of_range_or_contradicts_itself_is_refused() {
    for text in [
        "[limits]\nbuffer_mib = 1",
        "[limits]\nbuffer_mib = 0",
        "[limits]\nbuffer_mib = -1",
        "[desk]\ntick_interval = '0s'",
        "[input]\npreset = 'custom'",
        "[input.fields]\ntext = 'body'",
        "[topics]\nalerts = 'mentions'",
        "[topics]\nalerts = 'a b'",
        "instance = 'a/b'",
        "kafka = 7",
        "[kafka]\nbootstrap = 'nowhere'",
        "[kafka]\nclient = { 'sasl.password' = 'x' }",
        "[kafka.consumer]\n'topic.acks' = 1",
        "[kafka]\nsasl_password_file = '/etc/triaged/password'",
        "[kafka]\nsasl_password_file = '${CREDENTIALS_DIRECTORY}/password'\n\
            [kafka.client]\n'security.protocol' = 'sasl_ssl'\n'sasl.mechanism' = 'PLAIN'\n'sasl.username' = 'a'",
        "[kafka\nbootstrap = 'a:1'",
    ] {
        assert!(!mistakes(text).is_empty(), "{text}");
    }
}

fn check_fresh(file: &str, made: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, made).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == made, "{} is stale: run this test with UPDATE_DOCS=1", file.display());
}

#[test]
fn the_manual_and_the_sample_say_what_the_types_say() {
    check_fresh("docs/configuration.md", &manual());
    check_fresh("config/triaged.toml", &sample());
}

#[test]
fn the_sample_is_the_defaults_also_when_its_lines_are_taken_in() {
    assert_eq!(load_text(&sample()), load_text(""));
    // A commented setting has ` = ` after its name or is a table's head; docs are sentences.
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.starts_with('[')
            || (line.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let taken_in: String = sample()
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line).to_owned() + "\n")
        .collect();
    assert!(taken_in.matches(" = ").count() > 25);
    assert_eq!(load_text(&taken_in), load_text(""));
}

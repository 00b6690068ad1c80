//! Proof that settings are read as written, and that every mistake is told at once, at its place.
//!
//! Owns the freshness of the two documents made of the settings; `UPDATE_DOCS=1` writes them anew.

use super::*;
use serde_json::{Value, json};
use std::time::Duration;

fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Vec<Diagnostic>> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = load("triaged.toml", text, environment, "host-1");
    if loaded.mistakes.is_empty() { Ok(loaded.settings) } else { Err(loaded.mistakes) }
}

fn load_text(text: &str) -> Result<Settings, Vec<Diagnostic>> {
    load_with(text, &[])
}

/// Each mistake on one line, with its hint in parentheses.
fn told(mistakes: &[Diagnostic]) -> Vec<String> {
    let line = |told: &Diagnostic| {
        let place = if told.line == 0 { String::new() } else { format!(":{}:{}", told.line, told.column) };
        let hint = if told.hint.is_empty() { String::new() } else { format!(" ({})", told.hint) };
        format!("{}{place}: {}{hint}", told.file, told.what)
    };
    mistakes.iter().map(line).collect()
}

fn mistakes(text: &str) -> Vec<String> {
    told(&load_text(text).unwrap_err())
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
        [("TRIAGED__LIMITS__BUFFER_MIB", "256"), ("TRIAGED__INSTANCE", "b-7"), ("HOME", "/nowhere")];
    let settings = load_with(text, &environment).unwrap();
    assert_eq!(settings.host.instance, "b-7");
    assert_eq!(settings.kafka.bootstrap, "k1:9092,k2:9092");
    assert_eq!(settings.kafka.session_timeout, Duration::from_secs(30));
    assert_eq!(settings.kafka.producer["linger.ms"], "5");
    assert_eq!(settings.limits.buffer_mib, 256);
    assert_eq!(load_text(text).unwrap().limits.buffer_mib, 1024);
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_a_guess() {
    let text = "instnce = 'a'\n[kafka]\nbootstrap = 9092\nsession_timeout = '10 s'\n[topics]\nalert = 'x'\n\
        [log]\nlevel = 'loud'\n";
    assert_eq!(
        mistakes(text),
        [
            "triaged.toml:1:1: there is no setting `instnce` (did you mean `instance`?)",
            "triaged.toml:3:13: `kafka.bootstrap`: expected text in quotes, found the number 9092 (write \"localhost:9092\", if the broker is on this machine)",
            "triaged.toml:4:19: `kafka.session_timeout`: expected a duration such as \"10s\" (ms, s, m, h, d), found the text \"10 s\" (did you mean \"10s\"?)",
            "triaged.toml:6:1: there is no setting `alert` in `[topics]` (did you mean `alerts`?)",
            "triaged.toml:8:9: `log.level`: `loud` is not known: expected error, warn, info, debug, trace",
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
        assert!(with(open).unwrap_err().contains("is not loopback"), "{open}");
    }
    assert!(with("token_file = '${CREDENTIALS_DIRECTORY}/token'").unwrap_err().contains("is not set"));
    let guarded = "listen = '0.0.0.0:9464'\ntoken_file = '/run/token'\nbehind_tls = true\nhosts = 'a.example, b.example:8443'";
    assert_eq!(with(guarded).unwrap().admin.host_names(), ["a.example", "b.example:8443"]);
    assert!(with("listen = 'localhost'").unwrap_err().contains("`localhost` is no address"));
    assert!(with("hosts = 'a.example, http://b'").unwrap_err().contains("`http://b` is no name"));
}

#[test]
fn a_wrong_override_is_told_by_its_own_name() {
    let environment = [
        ("TRIAGED__KAFKA__BOOTSTRP", "x:1"),
        ("TRIAGED__TRIAGE__LANES", "many"),
        ("TRIAGED_LOG_LEVEL", "debug"),
        ("TRIAGED_SERVICE_HOST", "10.0.0.7"),
    ];
    assert_eq!(
        told(&load_with("", &environment).unwrap_err()),
        [
            "TRIAGED_LOG_LEVEL: `TRIAGED_LOG_LEVEL` is not read: two underscores stand before the name and between its parts (write `TRIAGED__LOG__LEVEL`)",
            "TRIAGED__KAFKA__BOOTSTRP: there is no setting `kafka.bootstrp` (did you mean `kafka.bootstrap`?)",
            "TRIAGED__TRIAGE__LANES: `triage.lanes`: expected a whole number, found the text \"many\"",
        ]
    );
}

#[test]
fn properties_with_dots_need_no_quotes() {
    let text = "[kafka.client]\nsecurity.protocol = 'ssl'\nssl.ca.location = '/ca.pem'\n'ssl.key.location' = '/key.pem'\n\
        [kafka.producer]\nlinger.ms = 5\nsocket.nagle.disable = false\n";
    let settings = load_text(text).unwrap();
    let client: Vec<(&str, &str)> =
        settings.kafka.client.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        client,
        [("security.protocol", "ssl"), ("ssl.ca.location", "/ca.pem"), ("ssl.key.location", "/key.pem")]
    );
    assert_eq!(settings.kafka.producer["linger.ms"], "5");
    assert_eq!(settings.kafka.producer["socket.nagle.disable"], "false");
}

#[test]
fn a_value_in_another_spelling_is_told_how_to_write_it() {
    for (text, hint) in [
        ("[kafka]\nsession_timeout = 10", "with its unit: \"10s\" for seconds"),
        ("[kafka]\nsession_timeout = '30 sec'", "did you mean \"30s\"?"),
        ("[kafka]\nsession_timeout = '5 Minutes'", "did you mean \"5m\"?"),
        ("[kafka]\nsession_timeout = '9000 millis'", "did you mean \"9000ms\"?"),
        ("[limits]\nbuffer_mib = '512'", "write 512, without quotes"),
        ("[limits]\nbuffer_mib = '512 MiB'", "write the number alone: its unit is in the setting's name"),
        ("[limits]\nbuffer_mib = '1e3'", "write 1000"),
        ("[limits]\nbuffer_mib = 1e3", "write 1000"),
        ("[desk]\ntick_interval = '1m30s'", "did you mean \"90s\"?"),
        ("[kafka]\nsession_timeout = '1m 30 s'", ""),
        ("[topics]\nmentions = ['a', 'b']", "write one text, not a list"),
        ("[topics]\nmentions = '^mentions.*'", ""),
        ("[admin]\nlisten = 9464", "write \"127.0.0.1:9464\""),
        ("[kafka]\nbootstrap = '::1:9092'", "write `[::1]:9092`"),
        ("[kafka]\nbootstrap = 'fe80::1'", "write `[fe80::1]:9092`"),
        ("[kafka]\nbootstrap = ['k1:9092', 'k2:9092']", "write \"k1:9092,k2:9092\""),
        ("[kafka]\nbootstrap = 'localhost'", "write `localhost:9092`, if it is the usual one"),
        (
            "[kafka]\nbootstrap = 'SASL_SSL://k1:9092'",
            "write bootstrap = \"k1:9092\"; TLS and SASL are set by security.protocol in [kafka.client]",
        ),
        ("[kafka]\nbootstrap = 'k1:9092; k2:9092'", "write bootstrap = \"k1:9092,k2:9092\""),
        ("[topics]\nmentions = 'brand mentions'", "did you mean `brand-mentions`?"),
        ("bootstrap = 'k1:9092'", "`bootstrap` belongs in `[kafka]`"),
        ("[log]\ninstance = 'a'", "`instance` belongs at the top of the file, above the first section"),
        ("[kafka.topics]\nmentions = 'm'", "`topics` is a section of its own: write `[topics]`"),
        (
            "[kafka]\nsecurity.protocol = 'ssl'",
            "properties of librdkafka belong in `[kafka.client]`, `[kafka.consumer]` or `[kafka.producer]`",
        ),
        ("[kafak]\nbootstrap = 'k1:9092'", "did you mean `kafka`?"),
    ] {
        let mistakes = load_text(text).expect_err(text);
        let hints: Vec<&str> = mistakes.iter().map(|mistake| mistake.hint.as_str()).collect();
        assert_eq!(hints, [hint], "{text}");
    }
}

#[test]
fn a_property_and_a_field_are_overridden_by_variables_that_any_shell_can_set() {
    let text = "[kafka.client]\nsecurity.protocol = 'plaintext'\nclient.rack = 'a'\n";
    let environment = [
        ("TRIAGED__KAFKA__CLIENT__SECURITY_PROTOCOL", "ssl"),
        ("TRIAGED__KAFKA__CLIENT__SSL.CA.LOCATION", "/ca.pem"),
        ("TRIAGED__KAFKA__CLIENT__LOG_LEVEL", "6"),
        ("TRIAGED__KAFKA__PRODUCER__LINGER_MS", "5"),
        ("TRIAGED__INPUT__PRESET", "custom"),
        ("TRIAGED__INPUT__FIELDS__AUTHOR_ID", "user.id"),
    ];
    let settings = load_with(text, &environment).unwrap();
    let client: Vec<(&str, &str)> =
        settings.kafka.client.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        client,
        [
            ("client.rack", "a"),
            ("log_level", "6"),
            ("security.protocol", "ssl"),
            ("ssl.ca.location", "/ca.pem")
        ]
    );
    assert_eq!(settings.kafka.producer["linger.ms"], "5");
    assert_eq!(settings.input.fields["author_id"], "user.id");
}

#[test]
fn what_a_file_may_not_set_a_variable_may_not_and_each_is_told_by_its_name() {
    let environment = [
        ("TRIAGED__INPUT__FIELDS__TEXT", "body"),
        ("TRIAGED__KAFKA__CLIENT", "{ acks = 1 }"),
        ("TRIAGED__KAFKA__CLIENT__SASL_PASSWORD", "hunter2"),
        ("TRIAGED__KAFKA__CONSUMER__ENABLE_AUTO_COMMIT", "true"),
    ];
    let told = told(&load_with("[kafka]\n[kafka.consumer]\n", &environment).unwrap_err()).join("\n");
    for part in [
        "TRIAGED__INPUT__FIELDS__TEXT: `input.fields`: fields go with the preset `custom`",
        "TRIAGED__KAFKA__CLIENT: `kafka.client` is a table: a variable sets one of its entries (such as `TRIAGED__KAFKA__CLIENT__SECURITY_PROTOCOL=ssl`)",
        "TRIAGED__KAFKA__CLIENT__SASL_PASSWORD: `sasl.password` may not be set (name a file",
        "TRIAGED__KAFKA__CONSUMER__ENABLE_AUTO_COMMIT: `enable.auto.commit` may not be set (",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("hunter2") && !told.contains("acks"), "{told}");
}

#[test]
fn variables_that_would_not_be_expanded_are_refused_with_what_to_write() {
    assert_eq!(
        mistakes("[kafka]\nbootstrap = '${KAFKA}:9092'"),
        [
            "triaged.toml:2:14: `kafka.bootstrap`: `${KAFKA}`: environment variables are not expanded here (set the whole by a variable: TRIAGED__KAFKA__BOOTSTRAP=\"${KAFKA}:9092\")"
        ]
    );
    for text in [
        "state_dir = '$HOME/state'",
        "[topics]\nmentions = '${BRAND}-mentions'",
        "[policy]\nfolder = '${CREDENTIALS_DIRECTORY}/policy'",
        "[kafka.client]\nsecurity.protocol = 'ssl'\nssl.ca.location = '/etc/${NAME}.pem'",
        "[kafka.producer]\nclient.rack = '${RACK}'",
    ] {
        assert!(mistakes(text)[0].contains("environment variable"), "{text}: {:?}", mistakes(text));
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
        "[kafka]\nbootstrap = 'a:0'",
        "[kafka]\nbootstrap = '::1'",
        "[kafka]\nbootstrap = 'a:1,,b:1'",
        "state_dir = ''",
        "[kafka]\nclient = { 'sasl.password' = 'x' }",
        "[kafka.consumer]\n'topic.acks' = 1",
        "[kafka]\nsasl_password_file = '/etc/triaged/password'",
        "[kafka]\nsasl_password_file = '${CREDENTIALS_DIRECTORY}/password'\n\
            [kafka.client]\n'security.protocol' = 'sasl_ssl'\n'sasl.mechanism' = 'PLAIN'\n'sasl.username' = 'a'",
        "instance = ''\n[group]\nname = '.'",
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
    assert_eq!(load_text(&sample()).unwrap(), load_text("").unwrap());
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
    assert_eq!(load_text(&taken_in).unwrap(), load_text("").unwrap());
}

/// A JSON Schema's verdict, as far as ours use it.
fn fits(schema: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        other => panic!("an unknown type {other}"),
    };
    let right_type = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        other => panic!("no type: {other}"),
    };
    let number = |key: &str, holds: fn(f64, f64) -> bool| match (schema[key].as_f64(), value.as_f64()) {
        (Some(limit), Some(value)) => holds(value, limit),
        _ => true,
    };
    let duration = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && ["ms", "s", "m", "h", "d"].contains(&&text[digits..])
    };
    let pattern = match schema["pattern"].as_str() {
        Some("^[0-9]+(ms|s|m|h|d)$") => value.as_str().is_some_and(duration),
        Some(other) => panic!("an unknown pattern {other}"),
        None => true,
    };
    let listed = schema["enum"].as_array().is_none_or(|names| names.contains(value));
    let parts = value.as_object().is_none_or(|object| {
        object.iter().all(|(key, value)| {
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Null, Value::Object(_)) => fits(&schema["additionalProperties"], value),
                (Value::Null, more) => more != &json!(false),
                (known, _) => fits(known, value),
            }
        })
    });
    let refused = schema["propertyNames"]["not"]["enum"].as_array();
    let named = value.as_object().is_none_or(|object| {
        object.keys().all(|key| refused.is_none_or(|refused| !refused.contains(&json!(key))))
    });
    right_type
        && named
        && number("minimum", |v, l| v >= l)
        && number("maximum", |v, l| v <= l)
        && pattern
        && listed
        && parts
}

fn as_json(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn the_schema_accepts_what_is_accepted_and_refuses_what_is_refused() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for text in [
        "",
        "instance = 'a'\n[kafka]\nbootstrap = 'k:1'\nsession_timeout = '30s'",
        "[kafka.client]\nsecurity.protocol = 'ssl'\n'linger.ms' = 5\n[input]\npreset = 'custom'\n[input.fields]\nmention_id = 'a'\nauthor_id = 'b'\ntext = 'c'",
        "[limits]\nbuffer_mib = 64\n[triage]\nlanes = 1024\n[log]\nlevel = 'trace'",
    ] {
        load_text(text).unwrap();
        assert!(fits(&schema, &as_json(text)), "{text}");
    }
    for text in [
        "instnce = 'a'",
        "[kafak]\nbootstrap = 'k:1'",
        "[kafka]\nbootstap = 'k:1'",
        "[kafka]\nbootstrap = 9092",
        "[kafka]\nsession_timeout = 10",
        "[kafka]\nsession_timeout = '10 s'",
        "[kafka]\nclient = 'x'",
        "[kafka.client]\n'linger.ms' = [1]",
        "[kafka.client]\n'sasl.password' = 'x'",
        "[input]\npreset = 'twitter'",
        "[log]\nlevel = 'loud'",
        "[limits]\nbuffer_mib = 1",
        "[limits]\nbuffer_mib = 2000000",
        "[triage]\nlanes = '4'",
        "[triage]\nworkers = -1",
        "kafka = 7",
    ] {
        assert!(load_text(text).is_err(), "{text}");
        assert!(!fits(&schema, &as_json(text)), "{text}");
    }
}

#[test]
fn the_schema_knows_every_setting_with_its_default() {
    let schema = schema();
    for entry in Settings::entries() {
        let section = if entry.section.is_empty() { &schema } else { &schema["properties"][entry.section] };
        let known = &section["properties"][entry.key];
        assert_eq!(known["description"], entry.doc, "{}", entry.key);
        let default = known.get("default");
        assert_eq!(default.is_some(), !entry.default.is_empty(), "{}", entry.key);
        assert!(default.is_none_or(|default| fits(known, default)), "{}: {default:?}", entry.key);
    }
}

#[test]
fn a_password_in_the_wrong_place_is_refused_and_not_repeated() {
    let environment =
        [("TRIAGED__KAFKA__CLIENT", "sasl.password=hunter2"), ("TRIAGED__KAFKA__SASL_PASSWORD", "hunter2")];
    let text = "[kafka]\nclient = { 'sasl.password' = 'hunter2', 'ssl.key.password' = 'hunter2' }\npassword = 'hunter2'\n";
    for told in [load_text(text).unwrap_err(), load_with("", &environment).unwrap_err()] {
        assert!(told.len() >= 2, "{told:?}");
        assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
    }
}

#[test]
fn the_folders_that_systemd_made_are_used_unless_others_are_named() {
    let given =
        [("STATE_DIRECTORY", "/var/lib/triaged-eu:/var/lib/more"), ("RUNTIME_DIRECTORY", "/run/triaged-eu")];
    let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = load("triaged.toml", "", given.clone(), "host-1").settings;
    assert_eq!(settings.host.state_dir.to_str(), Some("/var/lib/triaged-eu"));
    assert_eq!(settings.admin.socket.to_str(), Some("/run/triaged-eu/admin.sock"));
    // What is written holds, also where it is the default.
    let text = "state_dir = '/var/lib/triaged'\n[admin]\nsocket = '/run/x.sock'\n";
    let settings = load("triaged.toml", text, given, "host-1").settings;
    assert_eq!(settings.host.state_dir.to_str(), Some("/var/lib/triaged"));
    assert_eq!(settings.admin.socket.to_str(), Some("/run/x.sock"));
}

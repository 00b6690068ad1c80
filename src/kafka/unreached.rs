//! Why a cluster cannot be reached, in a sentence for people, and what to do about it.
//!
//! Owns the reading of the client library's messages about connections, TLS and SASL: they say what failed, not what is
//! likely to be wrong. Pure. Called by `live`; the messages in the tests are those of a real broker.

use super::KafkaSettings;
use super::ffi::Code;
use std::fmt;

/// What kind of trouble it is, which decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Nobody answers.
    Away,
    /// Both sides speak, but not the same: encryption, certificates, mechanism.
    Configuration,
    /// The broker does not take the name or the password.
    Login,
}

/// Why a cluster was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// What kind of trouble.
    pub trouble: Trouble,
    /// What is wrong, as far as it can be known.
    pub what: String,
    /// What to do about it.
    pub hint: String,
    /// What the client library said.
    pub said: String,
    /// Whether what was said points to a cause, rather than to the mere lack of an answer.
    telling: bool,
}

/// Parts of a message, all of which must be in it, and what they mean.
struct Meaning {
    parts: &'static [&'static str],
    trouble: Trouble,
    what: &'static str,
    hint: &'static str,
}

/// What the library says of every certificate that it does not take.
const BAD_CERTIFICATE: &str = "certificate verify failed";

/// The first that fits is taken: what is certain stands before what is likely.
const MEANINGS: &[Meaning] = &[
    Meaning {
        parts: &[BAD_CERTIFICATE],
        trouble: Trouble::Configuration,
        what: "the broker's certificate has expired, or is from an authority that is not trusted here",
        hint: "name the authority's certificate (PEM) in `ssl.ca.location` of `[kafka.client]`",
    },
    Meaning {
        parts: &["certificate required"],
        trouble: Trouble::Configuration,
        what: "the broker wants a certificate of the client",
        hint: "set `ssl.certificate.location` and `ssl.key.location` in `[kafka.client]`",
    },
    Meaning {
        parts: &["SSL", "wrong version number"],
        trouble: Trouble::Configuration,
        what: "the broker's port does not speak TLS",
        hint: "take the port of its SSL or SASL_SSL listener, or set `security.protocol` to \"plaintext\" or \
               \"sasl_plaintext\" if that is meant",
    },
    Meaning {
        parts: &["connecting to a PLAINTEXT broker listener"],
        trouble: Trouble::Configuration,
        what: "the broker hangs up on TLS: its port is likely a plaintext one",
        hint: "take the port of its SSL or SASL_SSL listener, or set `security.protocol` to \"plaintext\" or \
               \"sasl_plaintext\" if that is meant",
    },
    Meaning {
        parts: &["Disconnected", "in state APIVERSION_QUERY"],
        trouble: Trouble::Configuration,
        what: "the broker hangs up on plaintext: its port is likely a TLS one",
        hint: "set `security.protocol` in `[kafka.client]` to \"ssl\", or to \"sasl_ssl\" with a name and a password",
    },
    Meaning {
        parts: &["Disconnected", "in state UP"],
        trouble: Trouble::Configuration,
        what: "the broker hangs up on a client that does not say who it is",
        hint: "set `security.protocol` to \"sasl_ssl\", with `sasl.mechanism`, `sasl.username` and a password file",
    },
    Meaning {
        parts: &["Unsupported SASL mechanism"],
        trouble: Trouble::Configuration,
        what: "the broker does not offer this `sasl.mechanism`",
        hint: "ask whoever runs the broker which it offers (its `sasl.enabled.mechanisms`)",
    },
    Meaning {
        parts: &["uthentication failed"],
        trouble: Trouble::Login,
        what: "the broker does not take the user's name or password",
        hint: "check `sasl.username` and what `kafka.sasl_password_file` holds; with SCRAM the user must have been made for \
               this very mechanism (`kafka-configs --entity-type users --describe`)",
    },
    Meaning {
        parts: &["Failed to resolve"],
        trouble: Trouble::Away,
        what: "the broker's name is not known here",
        hint: "check the names in `kafka.bootstrap`",
    },
    Meaning {
        parts: &["Connection refused"],
        trouble: Trouble::Away,
        what: "nobody listens there",
        hint: "is the broker running, and is `kafka.bootstrap` right?",
    },
];

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}); {}", self.what, self.said, self.hint)
    }
}

/// Troubles that may pass while a broker starts, or that another broker of the list may not have.
const PASSING: [Trouble; 1] = [Trouble::Away];

impl Unreached {
    /// What a message of the client library means under these settings.
    pub(super) fn of(said: &str, code: Code, settings: &KafkaSettings) -> Unreached {
        let fits = |meaning: &&Meaning| meaning.parts.iter().all(|part| said.contains(part));
        if let Some(meaning) = MEANINGS.iter().find(fits) {
            return Unreached {
                trouble: meaning.trouble,
                what: meaning.what.to_owned(),
                hint: meaning.hint.to_owned(),
                said: said.to_owned(),
                telling: true,
            };
        }
        if code == Code::InvalidArgument {
            return Unreached {
                trouble: Trouble::Configuration,
                what: "the client library does not take the settings".to_owned(),
                hint: "check `[kafka.client]`, and that the files that it names are there and are PEM"
                    .to_owned(),
                said: said.to_owned(),
                telling: true,
            };
        }
        let (trouble, what) = match code {
            Code::SSL => (Trouble::Configuration, "TLS with the broker fails"),
            Code::Authentication | Code::SaslAuthenticationFailed => {
                (Trouble::Login, "the broker refuses the login")
            }
            Code::InvalidArgument => {
                (Trouble::Configuration, "the client library does not take the settings")
            }
            _ => (Trouble::Away, "no broker answers"),
        };
        Unreached {
            trouble,
            what: what.to_owned(),
            hint: format!("is the broker running, and is `kafka.bootstrap` `{}` right?", settings.bootstrap),
            said: if said.is_empty() { code.to_string() } else { said.to_owned() },
            telling: trouble != Trouble::Away,
        }
    }

    /// What a line of the library's log means. Most are about other things, or about what the library does next: only one
    /// that points to a cause counts.
    pub(super) fn of_log_line(line: &str, settings: &KafkaSettings) -> Option<Unreached> {
        Some(Unreached::of(line, Code::BrokerTransportFailure, settings)).filter(|found| found.telling)
    }

    pub(super) fn is_about_a_certificate(&self) -> bool {
        self.said.contains(BAD_CERTIFICATE)
    }

    /// The certificate is trusted, but is not made out to the broker as it is asked.
    pub(super) fn of_another_name(mut self) -> Unreached {
        "the broker's certificate is not made out to the name or address by which it is asked"
            .clone_into(&mut self.what);
        "ask by a name in its certificate (`openssl s_client -connect HOST:PORT` shows it), in `kafka.bootstrap` and in \
         the broker's `advertised.listeners`"
            .clone_into(&mut self.hint);
        self
    }

    /// Whether another try would end in the same way.
    pub(super) fn is_final(&self) -> bool {
        self.telling && !PASSING.contains(&self.trouble)
    }

    /// Whether this is worth more than what was said before it.
    pub(super) fn says_more_than(&self, before: Option<&Unreached>) -> bool {
        before.is_none_or(|before| (self.telling, self.trouble) > (before.telling, before.trouble))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(said: &str, code: Code) -> (Trouble, bool, String) {
        let why = Unreached::of(said, code, &KafkaSettings::new("broker:9093"));
        assert!(!why.hint.is_empty() && why.to_string().contains(said), "{why:?}");
        (why.trouble, why.is_final(), why.what)
    }

    #[test]
    fn what_the_client_says_of_a_connection_is_told_as_what_is_likely_wrong() {
        use Trouble::{Away, Configuration, Login};
        for (said, kind, means) in [
            (
                "SASL authentication error: Authentication failed during authentication due to invalid credentials with \
                 SASL mechanism SCRAM-SHA-512 (after 318ms in state AUTH_REQ)",
                Login,
                "user's name or password",
            ),
            (
                "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could \
                 not be verified",
                Configuration,
                "an authority that is not trusted",
            ),
            (
                "Disconnected: connection closed by peer: receive 0 after POLLIN (after 1ms in state APIVERSION_QUERY)",
                Configuration,
                "likely a TLS one",
            ),
            (
                "SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to a PLAINTEXT broker \
                 listener? (after 1ms in state SSL_HANDSHAKE)",
                Configuration,
                "likely a plaintext one",
            ),
            (
                "Disconnected: SSL connection closed by peer (after 3ms in state UP)",
                Configuration,
                "does not say who it is",
            ),
            (
                "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported \
                 mechanisms: SCRAM-SHA-512",
                Configuration,
                "does not offer this `sasl.mechanism`",
            ),
            (
                "Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
                Away,
                "nobody listens",
            ),
            ("Failed to resolve 'nowhere.invalid:1': Name or service not known", Away, "name is not known"),
        ] {
            let (trouble, is_final, what) = trouble(said, Code::BrokerTransportFailure);
            assert_eq!(trouble, kind, "{said}");
            assert_eq!(is_final, kind != Away, "another try may help only while nobody answers: {said}");
            assert!(what.contains(means), "{what}: {said}");
        }
    }

    #[test]
    fn a_log_line_of_another_matter_is_never_taken_for_the_reason() {
        let settings = KafkaSettings::new("broker:9093");
        let of_topics = "broker:9093/bootstrap: allow.auto.create.topics=false not supported by broker: requires broker \
                         version >= 0.11.0.0: requested topic(s) may be auto created depending on broker \
                         auto.create.topics.enable configuration";
        assert_eq!(Unreached::of_log_line(of_topics, &settings), None);
        let refused = "broker:9093/bootstrap: Connect to ipv4#10.0.0.7:9093 failed: Connection refused";
        let found = Unreached::of_log_line(refused, &settings).map(|found| found.what);
        assert_eq!(found.as_deref(), Some("nobody listens there"));
    }

    #[test]
    fn an_unknown_message_is_told_as_it_is_and_the_most_telling_one_is_kept() {
        let settings = KafkaSettings::new("broker:9093");
        let down = Unreached::of("1/1 brokers are down", Code::AllBrokersDown, &settings);
        assert_eq!((down.trouble, down.is_final()), (Trouble::Away, false));
        assert!(
            down.to_string().contains("1/1 brokers are down") && down.hint.contains("broker:9093"),
            "{down}"
        );
        let refused = Unreached::of("Connection refused", Code::BrokerTransportFailure, &settings);
        assert!(refused.says_more_than(Some(&down)) && !down.says_more_than(Some(&refused)));
        assert!(down.says_more_than(None));
    }
}

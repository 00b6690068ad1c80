//! Apache Kafka behind the traits of `log`, on librdkafka.
//!
//! Owns the clients, their settings and the meaning of their answers. May not decide what is read, committed or
//! produced: that is the shards' and lanes' business. Membership changes are values that the lane answers when it is
//! ready, never callbacks. Called by the pipeline, which makes one `KafkaLogs`.

mod answers;
mod brokers;
mod cluster;
mod fetch;
mod ffi;
mod live;
mod member;
mod producer;
mod reader;
mod secret;
mod settings;
mod stir;
mod unreached;

pub use cluster::KafkaLogs;
pub use live::{GroupSeen, Operation, TopicSeen};
pub use secret::Secret;
pub use settings::{KafkaSettings, Refused, WrongProperty};
pub use unreached::{Trouble, Unreached};

use crate::clock::{Clock, SystemClock};
use ffi::Client;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// How long the broker may take over a question before it counts as away.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// How long closing a client may take before it is left to itself. Closing has been seen to hang for ever when the
/// broker went away in the middle of it.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// A moment up to which something may take. Clients wait for real brokers, so this is the machine's time always.
#[derive(Debug)]
struct Deadline {
    clock: SystemClock,
    wait: Duration,
}

impl Deadline {
    /// The moment `wait` from now.
    fn after(wait: Duration) -> Deadline {
        Deadline { clock: SystemClock::new(), wait }
    }

    /// How long there is left; nothing once it has passed.
    fn left(&self) -> Duration {
        let gone = u64::try_from(self.clock.monotonic_ms()).unwrap_or(0);
        self.wait.saturating_sub(Duration::from_millis(gone))
    }

    fn has_passed(&self) -> bool {
        self.left().is_zero()
    }
}

/// Runs `close`, which gives up every handle of a client, beside us and waits for it a while.
fn close_beside(what: &str, close: impl FnOnce() + Send + 'static) {
    let (done, closed) = mpsc::channel();
    let helper = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || {
        close();
        let _ = done.send(());
    });
    if helper.is_err() || closed.recv_timeout(CLOSE_WAIT).is_err() {
        tracing::warn!("{what} did not close within {CLOSE_WAIT:?} and is left to itself");
    }
}

/// Leaves the group and destroys the client with all that was made from it.
fn close_consumer<P: Send + 'static>(what: &str, client: Arc<Client>, parts: P) {
    close_beside(what, move || {
        if let Err(error) = client.close_consumer() {
            tracing::debug!("closing a consumer: {}", error.text);
        }
        // Queues and batches first: the client is destroyed with its last handle.
        drop(parts);
        drop(client);
    });
}

//! Brokers that clients have lost sight of.
//!
//! Owns the one thread that asks every long-lived client, now and then, whether it sees a broker, and names the brokers
//! of the configuration again to one that does not. May not touch anything else of a client. Called by whatever makes a
//! client that lives long.
//!
//! A broker that stood still longer than its controller waits for it answers, for a moment after it goes on, that its
//! cluster has no brokers. The library then forgets the brokers that it knew. It begins anew with those of the
//! configuration only when it happens to notice that none is left, which is a race (confluentinc/librdkafka#5301): a
//! client that loses it is silent for good, and says of every topic that it does not exist.

use super::ffi::Client;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::time::Duration;

/// Between two rounds of questions.
const ROUND_EVERY: Duration = Duration::from_secs(5);

/// How long a client may take to see a broker; one that does, answers within a few milliseconds.
const SIGHT_WAIT: Duration = Duration::from_secs(2);

/// A client that is looked after.
#[derive(Clone)]
struct Charge {
    client: Weak<Client>,
    /// The brokers to begin with.
    bootstrap: String,
    /// What it is asked for.
    topic: String,
}

static CLIENTS: Mutex<Vec<Charge>> = Mutex::new(Vec::new());
static THREAD: Once = Once::new();

/// Looks after this client for as long as it lives. `topic` is one that it knows: it is asked for that.
pub(super) fn look_after(client: &Arc<Client>, bootstrap: &str, topic: &str) {
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
    clients.push(Charge { client: Arc::downgrade(client), bootstrap, topic });
    THREAD.call_once(|| {
        let thread = std::thread::Builder::new().name("kafka-brokers".to_owned()).spawn(|| {
            loop {
                std::thread::sleep(ROUND_EVERY);
                round();
            }
        });
        if let Err(error) = thread {
            tracing::warn!("nobody looks after clients that lose sight of their brokers: no thread: {error}");
        }
    });
}

fn round() {
    let clients = {
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|charge| charge.client.strong_count() > 0);
        clients.clone()
    };
    for Charge { client, bootstrap, topic } in clients {
        let Some(client) = client.upgrade() else { continue };
        // Whatever a broker answers, it is seen. The question of the admin interface leaves what the library knows as it is,
        // and makes no topic; that for the cluster's brokers aborts the process when there are none (librdkafka 2.12.1).
        if let Err(error) = client.describe_topics(&[&topic], false, SIGHT_WAIT) {
            // Where they are known this changes nothing.
            tracing::debug!("a client sees no broker ({}): it is told of {bootstrap} again", error.text);
            client.name_brokers(&bootstrap);
        }
    }
}

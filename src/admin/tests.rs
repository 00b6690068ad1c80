//! The admin server over its real socket, asked by a client of a few lines: what each route answers.
//!
//! Owns a `Control` whose answers the tests set. What hostile clients get is tests/admin_threats.rs.

use super::*;
use crate::error::Error;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use triage_engine::model::Millis;

#[derive(Default)]
struct Daemon {
    ready: AtomicBool,
    stuck: AtomicBool,
    policy_is_right: AtomicBool,
    /// A reload ends only when somebody takes this lock's place.
    reload_ends: tokio::sync::Mutex<()>,
    draining: AtomicBool,
}

impl Control for Daemon {
    fn status(&self) -> Value {
        json!({ "instance": "one", "shards": [{ "partition": 3, "state": "live" }] })
    }

    fn ready(&self) -> Result<String, String> {
        if self.ready.load(Ordering::SeqCst) {
            Ok("ok".to_owned())
        } else {
            Err("waits for topic `mentions`".to_owned())
        }
    }

    fn live(&self) -> Result<(), String> {
        if self.stuck.load(Ordering::SeqCst) { Err("triage lane 0 has not moved".to_owned()) } else { Ok(()) }
    }

    fn reload(&self) -> Result<Value, Refusal> {
        let _ends = self.reload_ends.blocking_lock();
        if self.policy_is_right.load(Ordering::SeqCst) {
            Ok(json!({ "generation": "sha256:new" }))
        } else {
            let mistakes = json!([{ "file": "rules/tv.toml", "line": 3, "what": "unknown key `qeury`" }]);
            Err(Refusal { why: Why::Wrong, answer: json!({ "mistakes": mistakes }) })
        }
    }

    fn pause(&self, partitions: &[u32]) -> Result<Value, Refusal> {
        if partitions.contains(&77) {
            return Err(Refusal::new(Why::Wrong, "`mentions` has 4 partitions, 0 to 3: no partition 77"));
        }
        Ok(json!({ "paused": partitions }))
    }

    fn resume(&self) -> Value {
        json!({ "paused": false })
    }

    fn log_level(&self, level: &str) -> Result<Value, Value> {
        if level == "debug" {
            Ok(json!({ "level": level }))
        } else {
            Err(json!({ "error": "no such level" }))
        }
    }

    fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }
}

struct Server {
    folder: tempfile::TempDir,
    daemon: Arc<Daemon>,
    stop: watch::Sender<bool>,
    served: JoinHandle<Result<(), Error>>,
}

impl Server {
    async fn start() -> Server {
        Server::within(Limits::default()).await
    }

    async fn within(limits: Limits) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = Settings { limits, ..settings(&folder.path().join("admin.sock")) };
        let bound = Bound::bind(&settings).await.expect("the socket is free");
        let daemon = Arc::new(Daemon::default());
        let (stop, stopped) = watch::channel(false);
        let names = ["mentions", "helpdesk.events", "triaged.desks", "triaged.control"].map(str::to_owned);
        let [mentions, helpdesk, desks, control] = names;
        let exporter = Arc::new(Exporter::new(InputNames { mentions, helpdesk, desks, control }, Millis(0)));
        let served = tokio::spawn(bound.serve(Arc::clone(&daemon) as Arc<dyn Control>, exporter, stopped));
        Server { folder, daemon, stop, served }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("admin.sock")
    }

    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let stream = UnixStream::connect(self.socket()).await.expect("the server listens");
        exchange(
            stream,
            &format!("{method} {path} HTTP/1.1\r\nhost: triaged\r\ncontent-type: application/json\r\n\r\n"),
        )
        .await
    }
}

fn settings(socket: &Path) -> Settings {
    let (socket, limits) = (socket.to_owned(), Limits::default());
    Settings { socket, tcp: None, token_file: None, behind_tls: false, hosts: Vec::new(), limits }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the answer is text");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[tokio::test]
async fn readiness_says_why_not_until_records_flow() {
    let server = Server::start().await;
    assert_eq!(server.ask("GET", "/readyz").await, (503, "waits for topic `mentions`\n".to_owned()));
    server.daemon.ready.store(true, Ordering::SeqCst);
    assert_eq!(server.ask("GET", "/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(server.ask("GET", "/livez").await.0, 200);
    server.daemon.stuck.store(true, Ordering::SeqCst);
    assert_eq!(server.ask("GET", "/livez").await, (503, "triage lane 0 has not moved\n".to_owned()));
}

#[tokio::test]
async fn a_refused_reload_answers_with_every_mistake() {
    let server = Server::start().await;
    let (status, body) = server.ask("POST", "/v1/policy/reload").await;
    assert_eq!(status, 422);
    assert!(body.contains("unknown key `qeury`"), "{body}");
    server.daemon.policy_is_right.store(true, Ordering::SeqCst);
    assert_eq!(
        server.ask("POST", "/v1/policy/reload").await,
        (200, r#"{"generation":"sha256:new"}"#.to_owned())
    );
    assert_eq!(server.ask("GET", "/v1/policy/reload").await.0, 405, "reading must not change anything");
}

#[tokio::test]
async fn a_reload_that_takes_too_long_is_said_to_go_on_and_is_not_taken_for_a_failure() {
    let server = Server::within(Limits { answer_time: Duration::from_millis(50), ..Limits::default() }).await;
    let daemon = Arc::clone(&server.daemon);
    let goes_on = daemon.reload_ends.lock().await;
    let (status, body) = server.ask("POST", "/v1/policy/reload").await;
    drop(goes_on);
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &answer["refused"]), (504, &json!("late")), "{body}");
    let told = answer["error"].as_str().expect("a sentence");
    assert!(told.starts_with("the reload still goes on") && told.contains("status"), "{told}");
}

#[tokio::test]
async fn a_pause_of_a_partition_that_the_input_does_not_have_is_refused() {
    let server = Server::start().await;
    let body = r#"{"partitions":[77]}"#;
    let request = format!(
        "POST /v1/pause HTTP/1.1\r\nhost: triaged\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let stream = UnixStream::connect(server.socket()).await.expect("the server listens");
    let (status, body) = exchange(stream, &request).await;
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &answer["refused"]), (422, &json!("wrong")), "{body}");
    assert_eq!(answer["error"], "`mentions` has 4 partitions, 0 to 3: no partition 77");
}

#[test]
fn every_kind_of_refusal_has_a_status_of_its_own() {
    let kinds = Why::ALL.map(|why| (why.name(), why.status().as_u16()));
    assert_eq!(kinds, [("wrong", 422), ("busy", 409), ("away", 503), ("denied", 502), ("late", 504)]);
}

#[tokio::test]
async fn status_metrics_and_drain_answer_on_the_socket() {
    let server = Server::start().await;
    let (status, body) = server.ask("GET", "/v1/status").await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON")["instance"], "one");
    let (status, body) = server.ask("GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains("# TYPE triaged_settled_records_total counter"), "{body}");
    assert!(body.contains("\ntriaged_ready 0\n"), "as /readyz says: {body}");
    server.daemon.ready.store(true, Ordering::SeqCst);
    let (_, body) = server.ask("GET", "/metrics").await;
    assert!(body.contains("\ntriaged_ready 1\n"), "as /readyz says: {body}");
    assert!(!server.daemon.draining.load(Ordering::SeqCst));
    assert_eq!(server.ask("POST", "/v1/drain").await.0, 202);
    assert!(server.daemon.draining.load(Ordering::SeqCst));
    assert_eq!(server.ask("GET", "/v1/nothing").await.0, 404);
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_goes_with_the_server() {
    let server = Server::start().await;
    let mode = std::fs::metadata(server.socket()).expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    server.stop.send(true).expect("the server waits for it");
    let socket = server.socket();
    server.served.await.expect("it ends").expect("without an error");
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("admin.sock");
    let settings = settings(&socket);
    let dead = UnixListener::bind(&socket).expect("free");
    drop(dead);
    assert!(socket.exists(), "a listener that ends leaves its file");
    let living = Bound::bind(&settings).await.expect("the stale socket is replaced");
    let error = Bound::bind(&settings).await.expect_err("somebody answers");
    assert_eq!(error.exit_code(), 75);
    drop(living);
    std::fs::remove_file(&socket).expect("removed");
    std::fs::write(&socket, "precious").expect("written");
    assert_eq!(Bound::bind(&settings).await.expect_err("no socket").exit_code(), 78);
    assert_eq!(read(&socket), "precious");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it can be read")
}

//! What hostile, slow and broken clients get from the admin server, each threat against a real server over real
//! sockets.
//!
//! Owns a `Control` that notes what it was made to do, and clients that misbehave. Limits are made short where a test
//! would otherwise wait for them; no test depends on how long anything takes.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use triage_engine::model::Millis;
use triaged::admin::{BODY_BYTES_MAX, Bound, Control, Exporter, InputNames, Limits, Refusal, Settings};

const TOKEN: &str = "a-token-of-some-length";
const ROUTES: [&str; 9] = [
    "/metrics",
    "/livez",
    "/readyz",
    "/v1/status",
    "/v1/policy/reload",
    "/v1/pause",
    "/v1/resume",
    "/v1/log",
    "/v1/drain",
];
/// Far beyond what any answer takes on a busy machine: a client that waits so long has found a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it was made to change something.
#[derive(Default)]
struct Daemon {
    changes: AtomicU32,
    status_bytes: usize,
}

impl Control for Daemon {
    fn status(&self) -> Value {
        json!({ "long": "x".repeat(self.status_bytes) })
    }

    fn ready(&self) -> Result<String, String> {
        Err("not yet".to_owned())
    }

    fn live(&self) -> Result<(), String> {
        Ok(())
    }

    fn reload(&self) -> Result<Value, Refusal> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(json!({}))
    }

    fn pause(&self, _: &[u32]) -> Result<Value, Refusal> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(json!({}))
    }

    fn resume(&self) -> Value {
        self.changes.fetch_add(1, Ordering::SeqCst);
        json!({})
    }

    fn log_level(&self, _: &str) -> Result<Value, Value> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(json!({}))
    }

    fn drain(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

struct Server {
    folder: tempfile::TempDir,
    daemon: Arc<Daemon>,
    exporter: Arc<Exporter>,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

fn settings(folder: &tempfile::TempDir, address: &str, limits: Limits) -> Settings {
    Settings {
        socket: folder.path().join("admin.sock"),
        tcp: Some(address.parse().unwrap()),
        token_file: None,
        behind_tls: false,
        hosts: Vec::new(),
        limits,
    }
}

fn token_file(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

impl Server {
    async fn start(limits: Limits) -> Server {
        Server::start_with(limits, false, Daemon::default()).await
    }

    async fn start_with(limits: Limits, with_token: bool, daemon: Daemon) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, "127.0.0.1:0", limits);
        settings.token_file = with_token.then(|| token_file(&folder));
        let bound = Bound::bind(&settings).await.unwrap();
        let address = bound.tcp_address().unwrap();
        let daemon = Arc::new(daemon);
        let names = ["mentions", "helpdesk.events", "triaged.desks", "triaged.control"].map(str::to_owned);
        let [mentions, helpdesk, desks, control] = names;
        let exporter = Arc::new(Exporter::new(InputNames { mentions, helpdesk, desks, control }, Millis(0)));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(bound.serve(Arc::clone(&daemon) as Arc<dyn Control>, Arc::clone(&exporter), stopped));
        Server { folder, daemon, exporter, address, _stop: stop }
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn unix(&self) -> UnixStream {
        UnixStream::connect(self.folder.path().join("admin.sock")).await.unwrap()
    }

    /// A request over TCP under the right name.
    fn request(&self, method: &str, path: &str, headers: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", self.address)
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        exchange(self.tcp().await, self.request(method, path, headers).as_bytes()).await
    }

    async fn is_alive(&self) {
        assert_eq!(self.ask("GET", "/livez", "").await.status, 200);
        let over_unix = exchange(self.unix().await, b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(over_unix.status, 200);
    }

    fn changes(&self) -> u32 {
        self.daemon.changes.load(Ordering::SeqCst)
    }

    fn refused(&self, reason: &str) -> u64 {
        let text = self.exporter.render(true);
        let series = format!("triaged_admin_refused_requests_total{{reason=\"{reason}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
    }
}

/// An answer; status 0 when the server closed without one.
#[derive(Debug)]
struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    fn has(&self, header: &str) -> bool {
        self.text.lines().take_while(|line| !line.is_empty()).any(|line| line == header)
    }
}

/// Sends bytes and reads all that comes, as far as the server lets us.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Answer {
    let whole = async {
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    let answer = tokio::time::timeout(PATIENCE, whole).await;
    let answer = answer.unwrap_or_else(|_| {
        panic!(
            "the server answers or closes: {:?}",
            String::from_utf8_lossy(&request[..request.len().min(2_000)])
        )
    });
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { status, text }
}

/// Short where a test waits for a limit to be reached.
fn short() -> Limits {
    let short = Duration::from_millis(200);
    Limits { connections_max: 4, head_time: short, body_time: short, stall: short, ..Limits::default() }
}

#[tokio::test]
async fn a_name_that_a_stranger_points_at_this_machine_reaches_no_route() {
    let server = Server::start(Limits::default()).await;
    for path in ROUTES.into_iter().chain(["/", "/nothing"]) {
        for method in ["GET", "POST", "OPTIONS", "HEAD"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: evil.example\r\n\r\n");
            let answer = exchange(server.tcp().await, request.as_bytes()).await;
            assert_eq!(answer.status, 421, "{method} {path}: {answer:?}");
        }
    }
    let right = server.request("GET", "http://evil.example/livez", "");
    assert_eq!(exchange(server.tcp().await, right.as_bytes()).await.status, 421, "the target names another");
    assert_eq!((server.refused("host"), server.changes()), (45, 0));
    server.is_alive().await;
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_and_reads_nothing() {
    let server = Server::start_with(Limits::default(), true, Daemon::default()).await;
    let json = format!("content-type: application/json\r\nauthorization: Bearer {TOKEN}\r\n");
    for path in ["/v1/policy/reload", "/v1/pause", "/v1/resume", "/v1/log", "/v1/drain"] {
        for foreign in ["origin: https://evil.example", "origin: null", "sec-fetch-site: cross-site"] {
            let answer = server.ask("POST", path, &format!("{json}{foreign}\r\n")).await;
            assert_eq!(answer.status, 403, "{path} {foreign}");
        }
        for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let headers = format!("authorization: Bearer {TOKEN}\r\ncontent-type: {form}\r\n");
            assert_eq!(server.ask("POST", path, &headers).await.status, 415, "{path} {form}");
        }
    }
    let cors = "origin: https://evil.example\r\naccess-control-request-method: POST\r\n";
    for (method, path) in [("OPTIONS", "/v1/drain"), ("GET", "/metrics"), ("GET", "/v1/status")] {
        let answer = server.ask(method, path, cors).await;
        assert!(!answer.text.to_ascii_lowercase().contains("access-control"), "{method} {path}: {answer:?}");
        assert!(answer.has("cross-origin-resource-policy: same-origin"), "{answer:?}");
    }
    assert_eq!((server.refused("cross_site"), server.refused("content_type"), server.changes()), (15, 15, 0));
}

#[tokio::test]
async fn a_change_over_tcp_needs_the_token_and_over_the_socket_its_mode() {
    let json = "content-type: application/json\r\n";
    let server = Server::start_with(Limits::default(), true, Daemon::default()).await;
    for wrong in [
        "",
        "authorization: Bearer\r\n",
        "authorization: Bearer a-token-of-some-lengtH\r\n",
        "authorization: Basic Zm9v\r\n",
    ] {
        let answer = server.ask("POST", "/v1/drain", &format!("{json}{wrong}")).await;
        assert_eq!((answer.status, server.changes()), (401, 0), "{wrong:?}");
    }
    let argument = format!("/v1/drain?token={TOKEN}");
    assert_eq!(server.ask("POST", &argument, json).await.status, 401, "a token has no place in a target");
    let right = format!("{json}authorization: Bearer {TOKEN}\r\n");
    assert_eq!((server.ask("POST", "/v1/drain", &right).await.status, server.changes()), (202, 1));
    for path in ["/metrics", "/livez", "/v1/status"] {
        assert_eq!(server.ask("GET", path, "").await.status, 200, "reading needs none: {path}");
    }
    let over_unix = format!("POST /v1/drain HTTP/1.1\r\nhost: a\r\n{json}\r\n");
    assert_eq!(exchange(server.unix().await, over_unix.as_bytes()).await.status, 202);
    assert_eq!(server.changes(), 2);

    let read_only = Server::start(Limits::default()).await;
    assert_eq!(read_only.ask("POST", "/v1/drain", &right).await.status, 403, "no token, no change");
    assert_eq!(read_only.changes(), 0);
}

#[tokio::test]
async fn an_address_beyond_this_machine_needs_a_token_and_tls_in_front() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = settings(&folder, "0.0.0.0:0", Limits::default());
    for (token, tls) in [(false, false), (true, false), (false, true)] {
        (open.token_file, open.behind_tls) = (token.then(|| token_file(&folder)), tls);
        let error = Bound::bind(&open).await.expect_err("not loopback");
        assert_eq!(error.exit_code(), 78);
        assert!(error.to_string().contains("is not loopback"), "{error}");
    }
    assert!(!open.socket.exists(), "nothing was bound");
    open.token_file = Some(token_file(&folder));
    assert!(Bound::bind(&open).await.is_ok());
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o600)).unwrap();
    let unusable = Settings { token_file: Some(empty), socket: folder.path().join("other.sock"), ..open };
    assert_eq!(Bound::bind(&unusable).await.expect_err("no token in it").exit_code(), 78);
}

#[tokio::test]
async fn every_answer_forbids_storing_sniffing_framing_and_scripts_and_ends_the_connection() {
    let server = Server::start(Limits::default()).await;
    let answers = [
        (200, server.ask("GET", "/metrics", "").await),
        (503, server.ask("GET", "/readyz", "").await),
        (404, server.ask("GET", "/nothing", "").await),
        (405, server.ask("GET", "/v1/drain", "").await),
        (403, server.ask("POST", "/v1/drain", "content-type: application/json\r\n").await),
        (421, exchange(server.tcp().await, b"GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n").await),
        (200, exchange(server.unix().await, b"GET /v1/status HTTP/1.1\r\nhost: a\r\n\r\n").await),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{answer:?}");
        for header in [
            "connection: close",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "referrer-policy: no-referrer",
            "x-frame-options: DENY",
            "cross-origin-opener-policy: same-origin",
        ] {
            assert!(answer.has(header), "{header}: {answer:?}");
        }
        assert!(!answer.text.contains("server:"), "{answer:?}");
    }
}

#[tokio::test]
async fn who_asked_for_a_change_is_in_the_log() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            std::io::Write::write(&mut *self.0.lock().unwrap(), bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // With a single subscriber, what is logged first on another thread is taken for what nobody listens to, here too.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _here = tracing::subscriber::set_default(log);
    let server = Server::start_with(Limits::default(), true, Daemon::default()).await;
    let json = "content-type: application/json\r\n";
    let over_unix = format!("POST /v1/policy/reload?a=%0aFAKE HTTP/1.1\r\nhost: a\r\n{json}\r\n");
    assert_eq!(exchange(server.unix().await, over_unix.as_bytes()).await.status, 200);
    server.ask("POST", "/v1/drain", &format!("{json}authorization: Bearer wrong-token-but-long\r\n")).await;
    let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let uid = rustix::process::getuid().as_raw();
    let me = format!("peer=uid {uid} gid {} pid {}", rustix::process::getgid().as_raw(), std::process::id());
    let line = told
        .lines()
        .find(|line| line.contains("admin request method") || line.contains("admin request peer"));
    let line = line.unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains(&me) && line.contains("path=\"/v1/policy/reload\""), "{line}");
    assert!(told.contains("refusal=\"token\"") && told.contains("peer=127.0.0.1:"), "{told}");
    assert!(
        !told.contains("wrong-token") && !told.contains(TOKEN),
        "no secret and no guess is logged: {told}"
    );
}

#[tokio::test]
async fn heads_that_trickle_in_lose_their_places_to_whoever_asks_properly() {
    let server = Arc::new(Server::start(short()).await);
    let mut slow = Vec::new();
    for n in 0..24 {
        let mut stream = server.tcp().await;
        slow.push(tokio::spawn(async move {
            let begin: &[u8] = if n % 2 == 0 { b"GET /livez HTTP/1.1\r\nx-a: " } else { b"\n\r\n\r\n" };
            let _ = stream.write_all(begin).await;
            let mut sent = 0_u32;
            // One byte at a time, for as long as the server takes them.
            while stream.write_all(b"a").await.is_ok() {
                sent += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            sent
        }));
    }
    // Six rounds of four places stand before us; they all run out.
    server.is_alive().await;
    for stream in slow {
        let sent = tokio::time::timeout(PATIENCE, stream).await.expect("none is kept for ever").unwrap();
        assert!(sent < 6_000);
    }
    server.is_alive().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::start(short()).await;
    let token = "content-type: application/json\r\ncontent-length: 100\r\n";
    for head in [
        server.request("GET", "/livez", token),
        server.request("GET", "/livez", "transfer-encoding: chunked\r\n"),
    ] {
        let answer = exchange(server.tcp().await, format!("{head}ab").as_bytes()).await;
        assert!(matches!(answer.status, 408 | 413), "{answer:?}");
    }
    assert_eq!(server.refused("body"), 2);
    server.is_alive().await;
}

#[tokio::test]
async fn clients_that_do_not_read_lose_their_places() {
    let daemon = Daemon { status_bytes: 8 << 20, ..Daemon::default() };
    let server = Server::start_with(short(), false, daemon).await;
    let mut deaf = Vec::new();
    for _ in 0..12 {
        let mut stream = server.unix().await;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        deaf.push(stream);
    }
    // It stands behind them in the same queue, so when it is served at most the three beside it are still at it.
    server.is_alive().await;
    let mut cut_off = 0;
    for mut stream in deaf {
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it was closed");
        cut_off += u32::from(answer.len() < 8 << 20);
    }
    assert!(cut_off >= 9, "{cut_off} of 12 were cut off");
}

#[tokio::test]
async fn more_clients_than_places_are_all_served_one_after_the_other() {
    let server = Arc::new(Server::start(Limits { connections_max: 2, ..Limits::default() }).await);
    let ask =
        |server: Arc<Server>| tokio::spawn(async move { server.ask("GET", "/metrics", "").await.status });
    let asked: Vec<_> = (0..100).map(|_| ask(Arc::clone(&server))).collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_taken_for_a_whole_one() {
    let server = Server::start(Limits { life: PATIENCE * 10, ..short() }).await;
    for end in ["\r\r\n\r", "\r\r\n", "\r", ""] {
        exchange(server.tcp().await, format!("GET /livez HTTP/1.1\r\nhost: a\r\n{end}").as_bytes()).await;
    }
    // How a connection of HTTP/2 begins holds an empty line, and goes on after it.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for length in 1..=preface.len() {
        exchange(server.tcp().await, &preface[..length]).await;
    }
    server.is_alive().await;
}

#[tokio::test]
async fn heads_targets_and_bodies_beyond_their_limits_are_refused() {
    let server = Server::start_with(Limits::default(), true, Daemon::default()).await;
    let right = format!("content-type: application/json\r\nauthorization: Bearer {TOKEN}\r\n");
    let huge = "a".repeat(1 << 20);
    let many: String = (0..2_000).map(|n| format!("x-{n}: 1\r\n")).collect();
    let length = BODY_BYTES_MAX + 1;
    let requests = [
        server.request("GET", &format!("/{huge}"), ""),
        server.request("GET", "/livez", &format!("x-a: {huge}\r\n")),
        server.request("GET", "/livez", &many),
        server.request("GET", "/livez", &huge),
        huge.clone(),
        format!(
            "{}{}",
            server.request("POST", "/v1/drain", &format!("{right}content-length: {length}\r\n")),
            &huge[..length]
        ),
        format!(
            "{}10ffff\r\n{huge}",
            server.request("POST", "/v1/drain", &format!("{right}transfer-encoding: chunked\r\n"))
        ),
        server.request("POST", "/v1/drain", &format!("{right}content-length: 99999999999999999999\r\n")),
        server.request("POST", "/v1/drain", &format!("{right}content-length: 1\r\ncontent-length: 2\r\n")),
        server.request("POST", "/v1/drain", &format!("{right}content-length: -1\r\n")),
    ];
    for request in &requests {
        let answer = exchange(server.tcp().await, request.as_bytes()).await;
        let shown: String = request.chars().take(100).collect();
        assert!(answer.status == 0 || (400..500).contains(&answer.status), "{shown}: {answer:?}");
    }
    assert_eq!(server.changes(), 0);
    server.is_alive().await;
}

#[tokio::test]
async fn a_connection_serves_one_request_so_nothing_can_be_smuggled_behind_it() {
    let server = Server::start(Limits::default()).await;
    let change = "POST /v1/drain HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\r\n";
    for tail in
        [change.to_owned(), format!("\r\n{change}"), "\0\u{1}garbage\r\n\r\n".repeat(50), change.repeat(100)]
    {
        let request = format!("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n{tail}");
        let answer = exchange(server.unix().await, request.as_bytes()).await;
        assert_eq!(answer.text.matches("HTTP/1.1").count(), 1, "{answer:?}");
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
    }
    // A body that hides a request, its length told in two ways.
    let two_ways = format!(
        "POST /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{change}"
    );
    exchange(server.unix().await, two_ways.as_bytes()).await;
    assert_eq!(server.changes(), 0);
    server.is_alive().await;
}

/// Marsaglia's xorshift: enough for noise.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A request that was right once, with bytes changed, taken out, doubled, put in, or noise from the start.
    fn request(&mut self, host: &str) -> Vec<u8> {
        const PIECES: [&str; 16] = [
            "\r\n",
            "\n",
            "\r\n\r\n",
            ": ",
            "HTTP/1.1",
            "HTTP/2.0",
            "transfer-encoding: chunked\r\n",
            "content-length: 7\r\n",
            "content-type: application/json\r\n",
            "ffffffffffffffff\r\n",
            "\0",
            "\u{fffd}",
            "expect: 100-continue\r\n",
            "upgrade: h2c\r\nconnection: upgrade\r\n",
            "authorization: Bearer \r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ];
        if self.below(8) == 0 {
            let length = self.below(600);
            return (0..length).map(|_| self.next() as u8).collect();
        }
        let method = ["GET", "POST", "PUT", "OPTIONS", "HEAD", "CONNECT", "TRACE", "G\u{1}T"][self.below(8)];
        let path = ROUTES[self.below(ROUTES.len())];
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        let mut bytes = head.into_bytes();
        for _ in 0..self.below(6) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes[at] = self.next() as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.truncate(at.max(1)),
                3 => {
                    let again = bytes[at..].to_vec();
                    bytes.extend(again);
                }
                _ => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].bytes())),
            }
        }
        bytes
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// `ADMIN_FUZZ_SEED` runs one again; `ADMIN_FUZZ_REQUESTS` runs more of them.
#[tokio::test]
async fn whatever_bytes_come_the_server_refuses_or_closes_lives_on_and_does_not_grow() {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = given("ADMIN_FUZZ_SEED").unwrap_or(time);
    let requests = given("ADMIN_FUZZ_REQUESTS").unwrap_or(3_000);
    println!("ADMIN_FUZZ_SEED={seed} ({requests} requests on each socket)");
    let mut noise = Noise(seed | 1);
    let quick =
        Limits { head_time: Duration::from_millis(10), body_time: Duration::from_millis(10), ..short() };
    let server = Server::start(Limits { connections_max: 8, ..quick }).await;
    let host = server.address.to_string();
    let mut answers = std::collections::BTreeMap::<u16, u32>::new();
    let mut resident = 0;
    for n in 0..requests {
        let request = noise.request(&host);
        for answer in
            [exchange(server.tcp().await, &request).await, exchange(server.unix().await, &request).await]
        {
            *answers.entry(answer.status).or_default() += 1;
            let right =
                matches!(answer.status, 0 | 100 | 200 | 202 | 503) || (400..500).contains(&answer.status);
            assert!(right, "request {n} of seed {seed}: {:?}\n{answer:?}", String::from_utf8_lossy(&request));
        }
        if n == requests / 4 {
            resident = resident_kib();
        }
    }
    println!("answers by status (0: closed without one): {answers:?}");
    server.is_alive().await;
    // Over TCP there is no token, so nothing can have changed; over the unix socket a right POST may come out of it.
    let over_tcp = Server::start(quick).await;
    let host = over_tcp.address.to_string();
    for _ in 0..requests / 4 {
        exchange(over_tcp.tcp().await, &noise.request(&host)).await;
    }
    assert_eq!(over_tcp.changes(), 0, "seed {seed}");
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown < 64 * 1024, "seed {seed}: grew by {grown} KiB");
}

#[test]
fn without_descriptors_the_server_rests_between_tries_and_is_back_when_there_are_some() {
    // In a process of its own: the limit would starve the other tests.
    let done = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "a_server_in_a_process_without_descriptors", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && said.contains("it answers again"), "{said}");
}

#[tokio::test]
#[ignore = "the other half of `without_descriptors_...`, which starts it"]
async fn a_server_in_a_process_without_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let server = Server::start(Limits { connections_max: 1_000, ..Limits::default() }).await;
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
    let socket = server.folder.path().join("admin.sock");
    // Without a pause, so that the server has taken none of them when the last descriptor is gone.
    let mut clients = Vec::new();
    while let Ok(client) = std::os::unix::net::UnixStream::connect(&socket) {
        clients.push(client);
    }
    assert!(clients.len() > 10, "{} clients", clients.len());
    let begun = Instant::now();
    while server.refused("accept") < 4 {
        assert!(begun.elapsed() < PATIENCE, "the server does not notice");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Rests of 50, 100 and 200 ms lie between four tries: a loop without rest would have made thousands.
    assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
    drop(clients);
    server.is_alive().await;
    println!("it answers again");
}

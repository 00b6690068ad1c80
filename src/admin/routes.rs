//! What each path of the admin server answers.
//!
//! Owns paths, status codes, bodies and the headers of every answer. Handlers call `Control` on threads of their own, because it may block;
//! none may see a mention. Served by `socket`.

use super::connection::Caller;
use super::guard::Door;
use super::{BODY_BYTES_MAX, Control, Exporter, Limits, Refusal, Why};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// What handlers work with.
#[derive(Clone)]
pub(super) struct Shared {
    /// The daemon.
    pub(super) control: Arc<dyn Control>,
    /// The metrics.
    pub(super) exporter: Arc<Exporter>,
}

/// What every answer says, whoever asked: it is no page, is not kept, and the connection ends with it.
const HEADERS: [(HeaderName, &str); 9] = [
    (header::CONNECTION, "close"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
];

const RELOAD: &str = "/v1/policy/reload";

/// The routes as they are served behind `door`.
pub(super) fn router(shared: Shared, door: Door, limits: Limits) -> Router {
    let gate = Arc::new(Gate { door, body_time: limits.body_time, exporter: Arc::clone(&shared.exporter) });
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/v1/status", get(status))
        .route(RELOAD, post(reload))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/log", post(log_level))
        .route("/v1/drain", post(drain))
        .fallback(async || problem(StatusCode::NOT_FOUND, "no such path"))
        .with_state(shared)
        .layer(middleware::from_fn_with_state(limits.answer_time, in_time))
        .layer(middleware::from_fn_with_state(gate, guarded))
        .layer(middleware::map_response(with_headers))
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What stands before every route.
struct Gate {
    door: Door,
    body_time: Duration,
    exporter: Arc<Exporter>,
}

/// Lets through what the door lets through, with its body read: a handler never waits for a client.
async fn guarded(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    caller.arrived();
    let peer = caller.peer;
    let (head, body) = request.into_parts();
    if let Err(refusal) = gate.door.check(&head.method, &head.uri, &head.headers) {
        gate.exporter.refused(refusal.name());
        let (status, what) = refusal.answer();
        tracing::warn!(%peer, method = %head.method, refusal = refusal.name(), "admin request refused");
        return problem(status, what);
    }
    let body = match timeout(gate.body_time, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            gate.exporter.refused("body");
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 64 KiB, or is broken");
        }
        Err(_) => {
            gate.exporter.refused("body");
            return problem(StatusCode::REQUEST_TIMEOUT, "the body does not come");
        }
    };
    if !head.method.is_safe() {
        tracing::info!(%peer, method = %head.method, path = head.uri.path(), "admin request");
    }
    next.run(Request::from_parts(head, Body::from(body))).await
}

/// What a handler has begun goes on when nobody waits for its answer any more.
async fn in_time(State(answer_time): State<Duration>, request: Request, next: Next) -> Response {
    let is_reload = request.uri().path() == RELOAD;
    match timeout(answer_time, next.run(request)).await {
        Ok(response) => response,
        Err(_) if is_reload => {
            let seconds = answer_time.as_secs();
            let what = format!("the reload still goes on after {seconds} s; the status tells how it ends");
            refused(Refusal::new(Why::Late, what))
        }
        Err(_) => problem(StatusCode::GATEWAY_TIMEOUT, "no answer in time; what was asked may still happen"),
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let text = off_the_runtime(move || shared.exporter.render(shared.control.ready().is_ok())).await;
    respond(text, |text| {
        const FORMAT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
        ([FORMAT], text).into_response()
    })
}

async fn live(State(shared): State<Shared>) -> Response {
    respond(off_the_runtime(move || shared.control.live().map(|()| "ok".to_owned())).await, health)
}

async fn ready(State(shared): State<Shared>) -> Response {
    respond(off_the_runtime(move || shared.control.ready()).await, health)
}

fn health(state: Result<String, String>) -> Response {
    match state {
        Ok(word) => (StatusCode::OK, format!("{word}\n")).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn status(State(shared): State<Shared>) -> Response {
    respond(off_the_runtime(move || shared.control.status()).await, |status| Json(status).into_response())
}

async fn reload(State(shared): State<Shared>) -> Response {
    respond(off_the_runtime(move || shared.control.reload()).await, |reloaded| match reloaded {
        Ok(in_force) => Json(in_force).into_response(),
        Err(refusal) => refused(refusal),
    })
}

fn refused(refusal: Refusal) -> Response {
    (refusal.why.status(), Json(refusal.into_json())).into_response()
}

/// What `pause` may say; nothing said means everything.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    #[serde(default)]
    partitions: Vec<u32>,
}

async fn pause(State(shared): State<Shared>, body: Bytes) -> Response {
    let asked = if body.is_empty() { Ok(PauseBody::default()) } else { serde_json::from_slice(&body) };
    match asked {
        Ok(asked) => {
            let PauseBody { partitions } = asked;
            respond(off_the_runtime(move || shared.control.pause(&partitions)).await, |paused| match paused {
                Ok(paused) => Json(paused).into_response(),
                Err(refusal) => refused(refusal),
            })
        }
        Err(error) => problem(
            StatusCode::BAD_REQUEST,
            &format!("expected `{{\"partitions\":[0,1]}}` or nothing: {error}"),
        ),
    }
}

async fn resume(State(shared): State<Shared>, _body: Bytes) -> Response {
    respond(off_the_runtime(move || shared.control.resume()).await, |paused| Json(paused).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogBody {
    level: String,
}

async fn log_level(State(shared): State<Shared>, body: Bytes) -> Response {
    let asked: LogBody = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            return problem(StatusCode::BAD_REQUEST, &format!("expected `{{\"level\":\"info\"}}`: {error}"));
        }
    };
    respond(off_the_runtime(move || shared.control.log_level(&asked.level)).await, |changed| match changed {
        Ok(changed) => Json(changed).into_response(),
        Err(wrong) => (StatusCode::BAD_REQUEST, Json(wrong)).into_response(),
    })
}

async fn drain(State(shared): State<Shared>, _body: Bytes) -> Response {
    respond(off_the_runtime(move || shared.control.drain()).await, |()| {
        (StatusCode::ACCEPTED, Json(json!({ "draining": true }))).into_response()
    })
}

/// Runs what may block where it stops nobody. `None` when it panicked.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    spawn_blocking(work).await.ok()
}

fn respond<T>(result: Option<T>, response: impl FnOnce(T) -> Response) -> Response {
    match result {
        Some(value) => response(value),
        None => problem(StatusCode::INTERNAL_SERVER_ERROR, "the handler failed; the log says more"),
    }
}

fn problem(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({ "error": what }))).into_response()
}

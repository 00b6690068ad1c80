//! Why the daemon does not do what the admin server asked of it.
//!
//! Owns the closed list of reasons with their names in JSON, so that a script can tell a mistake from a broker that is
//! away. May not choose an exit code: `triaged ctl` does. Made by the control plane, answered by `routes`.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// What was asked for is wrong; asking again does not help.
    Wrong,
    /// Not now: the daemon starts, drains, or is at it already.
    Busy,
    /// No broker answers.
    Away,
    /// The broker refuses a right.
    Denied,
    /// It was begun, and is not done in time; it goes on, and the status tells how it ends.
    Late,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 5] = [Why::Wrong, Why::Busy, Why::Away, Why::Denied, Why::Late];

    /// The name, `refused` in the JSON of the answer.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Why::Wrong => "wrong",
            Why::Busy => "busy",
            Why::Away => "away",
            Why::Denied => "denied",
            Why::Late => "late",
        }
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Why::Wrong => StatusCode::UNPROCESSABLE_ENTITY,
            Why::Busy => StatusCode::CONFLICT,
            Why::Away => StatusCode::SERVICE_UNAVAILABLE,
            Why::Denied => StatusCode::BAD_GATEWAY,
            Why::Late => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// A refusal with what there is to say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The kind.
    pub why: Why,
    /// The body of the answer, a JSON object; `error` is the sentence.
    pub answer: Value,
}

impl Refusal {
    /// A refusal that is told by a sentence.
    #[must_use]
    pub fn new(why: Why, error: impl Into<String>) -> Refusal {
        Refusal { why, answer: json!({ "error": error.into(), "mistakes": [] }) }
    }

    /// The body with the kind in it.
    #[must_use]
    pub fn into_json(self) -> Value {
        let mut answer = self.answer;
        answer["refused"] = json!(self.why.name());
        answer
    }
}

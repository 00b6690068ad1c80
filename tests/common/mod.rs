//! What the tests share. Owns no test.

#[allow(dead_code, reason = "each test file takes what it needs")]
pub mod kafka;
pub mod program;

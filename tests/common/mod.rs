//! What the tests share. Owns no test.

pub mod kafka;

//! What the fault tests share, as one module. Owns no test and no code.
#![allow(dead_code, reason = "each test file takes what it needs")]

#[path = "broker.rs"]
pub mod broker;
#[path = "daemon.rs"]
pub mod daemon;
#[path = "kafka.rs"]
pub mod kafka;
#[path = "load.rs"]
pub mod load;
#[path = "mentions.rs"]
pub mod mentions;
#[path = "oracle.rs"]
pub mod oracle;
#[path = "poison.rs"]
pub mod poison;

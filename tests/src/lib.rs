//! Tiers, servers and applications that several tests use.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "test code: a failure here fails the test"
)]

pub mod attack;
pub mod instrumented;
pub mod memory;
pub mod proxy;
pub mod services;

//! Tiers, servers and applications that several tests use.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "test code: a failure here fails the test"
)]

pub mod attack;
pub mod attack_owners;
pub mod http;
pub mod instrumented;
pub mod memory;
pub mod proxy;
pub mod records;
pub mod services;
pub mod visits;

/// The blocks of the crates' READMEs, compiled.
#[cfg(doctest)]
mod readmes {
    #[doc = include_str!("../../session-macros/README.md")]
    struct Macros;
    #[doc = include_str!("../../session-runtime/README.md")]
    struct Runtime;
}

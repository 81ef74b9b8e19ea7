//! What the tests share.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "it is all test code: what goes wrong here fails the test"
)]

pub mod attack;
pub mod memory;
pub mod pair;
pub mod proxy;
pub mod services;
pub mod watched;

/// The blocks of the crates' READMEs, compiled.
#[cfg(doctest)]
mod readmes {
    #[doc = include_str!("../../session-macros/README.md")]
    struct Macros;
    #[doc = include_str!("../../session-runtime/README.md")]
    struct Runtime;
}

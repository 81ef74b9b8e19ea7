//! What the tests share.
// The allowances of clippy.toml for tests do not reach the library that tests are made of.
#![allow(clippy::expect_used, clippy::print_stderr, clippy::unwrap_used)]

pub mod services;

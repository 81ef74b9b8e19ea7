//! What applications need of their sessions, each with the code for it.
//!
//! Every block runs as a test of this crate. What is left out of sight, and shown by a click, is the test. Blocks take
//! the store as an argument: `CascadeStore::from_env().await?` makes one in `main`.
// One page: rustdoc names this file, and counts the lines of all parts together, where a block fails.
#![doc = include_str!("guard.md")]
#![doc = include_str!("sign_in.md")]
#![doc = include_str!("devices.md")]
#![doc = include_str!("remember_me.md")]
#![doc = include_str!("several.md")]
#![doc = include_str!("header.md")]
#![doc = include_str!("csrf.md")]
#![doc = include_str!("tests.md")]
#![doc = include_str!("metrics.md")]
#![doc = include_str!("health.md")]
#![doc = include_str!("proxy.md")]
#![doc = include_str!("deploy.md")]
#![doc = include_str!("streams.md")]
#![doc = include_str!("shutdown.md")]

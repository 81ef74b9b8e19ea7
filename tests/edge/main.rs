//! Tests of the edge: requests go through a router with the session layer, in process, on instrumented tiers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test"
)]

mod calls;
mod cancel;
mod clocks;
mod cookies;
mod csrf;
mod destroy;
mod detached;
mod dropped_commits;
mod embedded;
mod events;
mod expiry;
mod explicit_commits;
mod extractors;
mod failures;
mod header_carrier;
mod health;
mod hostile;
mod leaks;
mod lifetimes;
mod memcached;
mod nested_settings;
mod nodes;
mod old_keys;
mod owners;
mod persistence;
mod plain_tower;
mod promises;
mod request;
mod rolling;
mod rotation;
mod sealed;
mod security;
mod several_tokens;
mod site;
mod spans;
mod testing;
mod tiers;

//! Tests of the edge: requests go through a router with the session layer, in process, on instrumented tiers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test"
)]

mod calls;
mod cancel;
mod cookies;
mod detached;
mod embedded;
mod expiry;
mod explicit_commits;
mod failures;
mod hostile;
mod leaks;
mod memcached;
mod nodes;
mod plain_tower;
mod promises;
mod request;
mod rotation;
mod security;
mod site;
mod testing;
mod tiers;

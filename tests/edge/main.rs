//! Tests of the edge: requests go through a router with the session layer, in process, on instrumented tiers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test"
)]

mod attack_destroy;
mod attack_dropped;
mod attack_lifetimes;
mod attack_more;
mod attack_settings;
mod calls;
mod cancel;
mod cookies;
mod csrf;
mod detached;
mod embedded;
mod events;
mod expiry;
mod explicit_commits;
mod extractors;
mod failures;
mod header_carrier;
mod hostile;
mod leaks;
mod lifetimes;
mod memcached;
mod nodes;
mod old_keys;
mod plain_tower;
mod promises;
mod request;
mod rotation;
mod security;
mod site;
mod testing;
mod tiers;

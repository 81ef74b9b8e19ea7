//! The embedded tiers.
// The helpers of tests are tests as well, which the lint cannot see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod broken;
mod cache;
mod crash;
mod file;
mod full_disk;

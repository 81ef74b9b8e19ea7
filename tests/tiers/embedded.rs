//! The embedded tiers.
// clippy.toml allows these in functions marked `#[test]`, not in the functions that they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod broken;
mod cache;
mod crash;
mod file;
mod full_disk;

//! Tests of the cascade.
#![allow(clippy::unwrap_used, reason = "the functions that tests share fail as tests do")]

mod attack;
mod fences;
mod hot;
mod processes;
mod round_trips;
mod taken_keys;
mod topology;

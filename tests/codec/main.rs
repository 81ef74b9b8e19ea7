//! Tests of the codec: published vectors, round trips with ciborium as the oracle, hostile bytes, merging.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions that tests share fail as tests do"
)]

mod deterministic;
mod errors;
mod hostile;
mod merge;
mod meta;
mod patch;
mod properties;
mod record;
mod samples;
mod shapes;
mod touched;
mod vectors;

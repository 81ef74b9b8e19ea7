//! Tests of the CBOR codec, records, changes and merging: published vectors, round trips with ciborium as the oracle,
//! hostile bytes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "functions shared by tests panic as tests do"
)]

mod deterministic;
mod errors;
mod hostile;
mod merge;
mod meta;
mod patch;
mod privileged;
mod properties;
mod record;
mod samples;
mod shapes;
mod touched;
mod vectors;

//! Tests of the codec: published vectors, round trips with ciborium as the oracle, hostile bytes.

mod deterministic;
mod errors;
mod hostile;
mod properties;
mod samples;
mod vectors;

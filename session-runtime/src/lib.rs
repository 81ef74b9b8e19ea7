//! Typed web sessions for axum.
#![forbid(unsafe_code)]

pub mod clock;
pub mod conformance;
pub mod tier;

//! Typed web sessions for axum.
#![forbid(unsafe_code)]

pub mod clock;
pub mod tier;

//! Typed web sessions for axum.
#![forbid(unsafe_code)]

pub mod clock;
pub mod codec;
pub mod tier;

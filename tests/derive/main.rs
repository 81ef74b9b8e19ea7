//! Tests of the derive.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accessors;
mod evolution;
mod strict;
mod ui;

//! Tests of the derive.

mod accessors;
mod evolution;
mod ui;

//! Tests of the derive.

mod accessors;
mod ui;

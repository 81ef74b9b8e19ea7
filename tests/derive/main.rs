//! Tests of the derive.

mod accessors;

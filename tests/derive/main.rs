//! Tests of the derive.

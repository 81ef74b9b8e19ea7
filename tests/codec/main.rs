//! Tests of the codec.

mod merge;

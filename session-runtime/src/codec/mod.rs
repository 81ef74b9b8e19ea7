//! From a value to its bytes and back.

pub mod cbor;

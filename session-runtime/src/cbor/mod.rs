//! CBOR (RFC 8949) of single values, through serde.
//!
//! serde's data model is represented as in ciborium, so that each reads what the other writes. The output is
//! deterministic in addition (RFC 8949, section 4.2.1): shortest heads and floats, definite lengths, the entries of
//! every map and struct in the order of their encoded keys. A `HashMap` therefore has one encoding. A `HashSet` has not,
//! because serde serializes it as a sequence, whose order is kept: two equal sets may differ in their bytes. A
//! `BTreeSet` has one encoding.
//!
//! The input may come from any writer: indefinite lengths, long heads and half floats are read, tags around a value are
//! skipped. Arrays, maps and tags nest at most [`MAX_DEPTH`] deep, in input and output.

use serde::Serialize;
use serde::de::Deserialize;

mod de;
mod error;
mod float;
pub mod head;
mod reader;
mod ser;

pub use error::{DecodeError, EncodeError};
pub use reader::Reader;

/// How deep arrays, maps and tags may nest. ciborium reads twice that, so that it reads all that is written here.
pub const MAX_DEPTH: u16 = 128;

/// How many `Some` and newtype layers, which take no bytes, may enclose a value. Without a bound, reading a type like
/// `struct L(Option<Box<L>>)` from a single byte would not end.
const MAX_WRAPPERS: u16 = 4 * MAX_DEPTH;

/// The names that ciborium's `Value`, `Captured` and `Required` use to pass tags through serde.
const TAG_ENUM: &str = "@@TAG@@";
const TAGGED: &str = "@@TAGGED@@";
const UNTAGGED: &str = "@@UNTAGGED@@";

/// Encodes a value.
///
/// # Errors
/// When the value nests deeper than [`MAX_DEPTH`], when it has one key of a map twice, or when its `Serialize` fails.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(64);
    append(value, &mut out)?;
    Ok(out)
}

/// Appends an encoded value to `out`; leaves `out` unchanged on error.
///
/// # Errors
/// As [`to_vec`].
pub fn append<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let before = out.len();
    let mut serializer = ser::Serializer::new(out);
    let result = value.serialize(&mut serializer).and_then(|()| serializer.end());
    if result.is_err() {
        out.truncate(before);
    }
    result
}

/// Decodes a value that takes up all of `bytes`.
///
/// # Errors
/// When the bytes are not well-formed CBOR, are not what `T` expects, nest deeper than [`MAX_DEPTH`], or continue after
/// the value.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    let mut deserializer = de::Deserializer::new(bytes);
    let value = T::deserialize(&mut deserializer).map_err(|error| error.at(0))?;
    deserializer.end()?;
    Ok(value)
}

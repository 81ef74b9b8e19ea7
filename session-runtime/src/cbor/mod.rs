//! CBOR (RFC 8949) of one value, through serde.
//!
//! The representation of serde's data model is ciborium's, so that either reads what the other writes. What is written
//! here is deterministic besides (RFC 8949, section 4.2.1): shortest heads and floats, definite lengths, the entries of
//! every map and struct in the order of their encoded keys. A `HashMap` therefore has one encoding; a `HashSet` has not,
//! because serde shows it as a sequence like any other: whoever compares by bytes sees a change where there is none,
//! which costs a write, and under `last_write` puts back what another request has changed meanwhile. A `BTreeSet`, or
//! `merge = union`, avoids it.
//!
//! What is read may come from any writer: indefinite lengths, long heads and half floats are understood, tags around a
//! value are passed over. Arrays, maps and tags nest at most [`MAX_DEPTH`] deep, in both directions.

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

/// How deep arrays, maps and tags may nest. Half of what ciborium reads, so that it reads all that is written here.
pub const MAX_DEPTH: u16 = 128;

/// How many `Some` and newtype layers, which leave no byte, may enclose a value: without a bound a type like
/// `struct L(Option<Box<L>>)` would be read forever from a single byte.
const MAX_WRAPPERS: u16 = 4 * MAX_DEPTH;

/// The names by which ciborium's `Value`, `Captured` and `Required` show a tag to serde.
const TAG_ENUM: &str = "@@TAG@@";
const TAGGED: &str = "@@TAGGED@@";
const UNTAGGED: &str = "@@UNTAGGED@@";

/// Encodes a value.
///
/// # Errors
/// When the value nests deeper than [`MAX_DEPTH`], writes one key of a map twice, or its `Serialize` fails.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(64);
    append(value, &mut out)?;
    Ok(out)
}

/// Encodes a value behind what `out` holds; after an error `out` is as it was.
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

/// Decodes the one value that `bytes` are, to the last byte.
///
/// # Errors
/// When the bytes are no well-formed CBOR, are not what `T` expects, nest deeper than [`MAX_DEPTH`] or go on after the
/// value.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    let mut deserializer = de::Deserializer::new(bytes);
    let value = T::deserialize(&mut deserializer).map_err(|error| error.at(0))?;
    deserializer.end()?;
    Ok(value)
}

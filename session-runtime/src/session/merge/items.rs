//! Lists and maps, split into encoded items. Items are compared by their bytes, so that they need neither `Eq` nor `Hash`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MergeError, ThreeWay};
use crate::cbor::{self, DecodeError, Reader, head};

/// The three values in deterministic encoding, in which equal values have equal bytes. What is stored may come from a
/// writer that encodes otherwise.
pub(super) struct Canonical {
    pub(super) base: Vec<u8>,
    pub(super) theirs: Vec<u8>,
    pub(super) ours: Vec<u8>,
}

impl Canonical {
    pub(super) fn new<T: Serialize + DeserializeOwned>(values: &ThreeWay<'_>) -> Result<Self, MergeError> {
        Ok(Self {
            base: canonicalize::<T>(values.base)?,
            theirs: canonicalize::<T>(values.theirs)?,
            ours: canonicalize::<T>(values.ours)?,
        })
    }
}

fn canonicalize<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Vec<u8>, MergeError> {
    Ok(cbor::to_vec(&cbor::from_slice::<T>(bytes)?)?)
}

/// The items of a list.
pub(super) fn list(bytes: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = reader.array()?;
    (0..count).map(|_| reader.skip()).collect()
}

/// Encoded keys with their encoded values.
pub(super) type Entries<'a> = BTreeMap<&'a [u8], &'a [u8]>;

/// The entries of a map.
pub(super) fn map(bytes: &[u8]) -> Result<Entries<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = reader.map()?;
    (0..count).map(|_| Ok((reader.skip()?, reader.skip()?))).collect()
}

/// The list of these items. It is decoded as a `T` and encoded again, so that nothing is stored that is not a `T`.
pub(super) fn from_list<T: Serialize + DeserializeOwned>(items: &[&[u8]]) -> Result<Vec<u8>, MergeError> {
    let mut out = Vec::new();
    head::push_array(&mut out, items.len());
    for item in items {
        out.extend_from_slice(item);
    }
    canonicalize::<T>(&out)
}

/// The map of these entries, decoded and encoded as in [`from_list`].
pub(super) fn from_map<T: Serialize + DeserializeOwned>(
    entries: &[(&[u8], impl AsRef<[u8]>)],
) -> Result<Vec<u8>, MergeError> {
    let mut out = Vec::new();
    head::push_map(&mut out, entries.len());
    for (key, value) in entries {
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_ref());
    }
    canonicalize::<T>(&out)
}

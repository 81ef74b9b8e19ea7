//! Lists and maps as their encoded parts. Parts are compared by their bytes, so that an element needs neither `Eq` nor
//! `Hash`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MergeError, ThreeWay};
use crate::cbor::{self, DecodeError, Reader, head};

/// The three values, written anew: only of deterministic encodings are the bytes equal where the values are, and what
/// was stored may come from another writer.
pub(super) struct Canonical {
    pub(super) base: Vec<u8>,
    pub(super) theirs: Vec<u8>,
    pub(super) ours: Vec<u8>,
}

impl Canonical {
    pub(super) fn new<T: Serialize + DeserializeOwned>(three: &ThreeWay<'_>) -> Result<Self, MergeError> {
        Ok(Self {
            base: rewrite::<T>(three.base)?,
            theirs: rewrite::<T>(three.theirs)?,
            ours: rewrite::<T>(three.ours)?,
        })
    }
}

fn rewrite<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Vec<u8>, MergeError> {
    Ok(cbor::to_vec(&cbor::from_slice::<T>(bytes)?)?)
}

/// The items of a list.
pub(super) fn list(bytes: &[u8]) -> Result<Vec<&[u8]>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = reader.array()?;
    (0..count).map(|_| reader.skip()).collect()
}

/// Encoded keys and their encoded values.
pub(super) type Entries<'a> = BTreeMap<&'a [u8], &'a [u8]>;

/// The entries of a map.
pub(super) fn map(bytes: &[u8]) -> Result<Entries<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = reader.map()?;
    (0..count).map(|_| Ok((reader.skip()?, reader.skip()?))).collect()
}

/// The list of these items, as a `T` is written: what is stored is known to be readable.
pub(super) fn from_list<T: Serialize + DeserializeOwned>(items: &[&[u8]]) -> Result<Vec<u8>, MergeError> {
    let mut out = Vec::new();
    head::push_array(&mut out, items.len());
    for item in items {
        out.extend_from_slice(item);
    }
    rewrite::<T>(&out)
}

/// The map of these entries, as a `T` is written.
pub(super) fn from_map<T: Serialize + DeserializeOwned>(
    entries: &[(&[u8], impl AsRef<[u8]>)],
) -> Result<Vec<u8>, MergeError> {
    let mut out = Vec::new();
    head::push_map(&mut out, entries.len());
    for (key, value) in entries {
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_ref());
    }
    rewrite::<T>(&out)
}

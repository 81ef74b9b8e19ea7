//! Lists and maps as their encoded parts. Parts are compared by their bytes, so that an element needs neither `Eq` nor
//! `Hash`; the maps within a part are sorted first, since a `HashMap` is written in any order.

use bytes::Bytes;
use ciborium::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Kind, MergeError};
use crate::codec::cbor;

/// One encoded item.
pub(super) type Item = Vec<u8>;

/// The items of a list.
pub(super) fn list(bytes: &[u8]) -> Result<Vec<Item>, MergeError> {
    match cbor::from_slice(bytes)? {
        Value::Array(items) => items.into_iter().map(encode).collect(),
        _ => Err(MergeError(Kind::Shape("list"))),
    }
}

/// The keys and values of a map.
pub(super) fn map(bytes: &[u8]) -> Result<Vec<(Item, Item)>, MergeError> {
    match cbor::from_slice(bytes)? {
        Value::Map(entries) => entries
            .into_iter()
            .map(|(key, value)| Ok((encode(key)?, encode(value)?)))
            .collect(),
        _ => Err(MergeError(Kind::Shape("map"))),
    }
}

/// The list of these items, as a `T` is written: what is stored is known to be readable.
pub(super) fn from_list<T>(items: &[&[u8]]) -> Result<Bytes, MergeError>
where
    T: Serialize + DeserializeOwned,
{
    let items = items.iter().map(|item| cbor::from_slice(item));
    as_written::<T>(&Value::Array(items.collect::<Result<_, _>>()?))
}

/// The map of these entries, as a `T` is written.
pub(super) fn from_map<T>(entries: &[(&[u8], impl AsRef<[u8]>)]) -> Result<Bytes, MergeError>
where
    T: Serialize + DeserializeOwned,
{
    let entries = entries
        .iter()
        .map(|(key, value)| Ok((cbor::from_slice(key)?, cbor::from_slice(value.as_ref())?)));
    as_written::<T>(&Value::Map(entries.collect::<Result<_, MergeError>>()?))
}

fn as_written<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Bytes, MergeError> {
    let typed: T = cbor::from_slice(&cbor::to_vec(value)?)?;
    Ok(cbor::to_vec(&typed)?.into())
}

fn encode(mut value: Value) -> Result<Item, MergeError> {
    sort(&mut value)?;
    Ok(cbor::to_vec(&value)?)
}

/// Sorts every map by its encoded keys (RFC 8949, section 4.2.1). Decoding has bounded the depth.
fn sort(value: &mut Value) -> Result<(), MergeError> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(sort),
        Value::Tag(_, inner) => sort(inner),
        Value::Map(entries) => {
            let mut keyed = Vec::with_capacity(entries.len());
            for (mut key, mut value) in entries.drain(..) {
                sort(&mut key)?;
                sort(&mut value)?;
                keyed.push((cbor::to_vec(&key)?, (key, value)));
            }
            keyed.sort_by(|(left, _), (right, _)| left.cmp(right));
            entries.extend(keyed.into_iter().map(|(_, entry)| entry));
            Ok(())
        }
        _ => Ok(()),
    }
}

//! The encoding of tower-sessions 0.15: JSON values by key, stored as `MessagePack`; without its locks and futures.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cart::Cart;

/// `tower_sessions_core::session::Record`.
#[derive(Serialize, Deserialize)]
struct Record {
    id: i128,
    data: HashMap<String, Value>,
    /// A `time::OffsetDateTime` in a binary format.
    expiry_date: (i32, u16, u8, u8, u8, u32, i8, i8, i8),
}

fn stored(data: HashMap<String, Value>) -> Vec<u8> {
    let record = Record {
        id: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        data,
        expiry_date: (2026, 200, 10, 11, 12, 0, 0, 0, 0),
    };
    rmp_serde::to_vec(&record).unwrap()
}

/// A session with a key for each field of the cart.
pub(crate) fn ten_keys(cart: &Cart) -> Vec<u8> {
    let Value::Object(fields) = serde_json::to_value(cart).unwrap() else {
        unreachable!("a struct is an object")
    };
    stored(fields.into_iter().collect())
}

/// A session with the cart under one key.
pub(crate) fn one_key(cart: &Cart) -> Vec<u8> {
    stored(HashMap::from([(
        "cart".to_owned(),
        serde_json::to_value(cart).unwrap(),
    )]))
}

/// `Session::get` of a session that is loaded for it.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8], key: &str) -> T {
    get(&rmp_serde::from_slice(bytes).unwrap(), key)
}

/// `Session::get`, then `Session::insert`, of a session that is loaded before and saved after.
pub(crate) fn change_one<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    key: &str,
    change: impl FnOnce(&mut T),
) -> Vec<u8> {
    let mut record: Record = rmp_serde::from_slice(bytes).unwrap();
    let mut value: T = get(&record, key);
    change(&mut value);
    let value = serde_json::to_value(&value).unwrap();
    if record.data.get(key) != Some(&value) {
        record.data.insert(key.to_string(), value);
    }
    rmp_serde::to_vec(&record).unwrap()
}

fn get<T: DeserializeOwned>(record: &Record, key: &str) -> T {
    serde_json::from_value(record.data.get(key).cloned().unwrap()).unwrap()
}

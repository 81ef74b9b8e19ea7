//! Any bytes, decoded as types of every shape: no panic; what was decoded can be encoded and decoded again; ciborium
//! decodes the same.
#![no_main]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use ciborium::Value;
use libfuzzer_sys::fuzz_target;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use session_runtime::__private::cbor::{self, Reader};

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(Box<Option<Shape>>),
    Tuple(i128, u128, char),
    Struct {
        list: Vec<Shape>,
        map: HashMap<String, f32>,
        keys: BTreeMap<(i8, bool), ()>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    A { x: i64, y: Option<Vec<u8>> },
    B(BTreeMap<String, u64>),
    C,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Untagged>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Flattened {
    id: u32,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Borrowing<'a> {
    text: &'a str,
    #[serde(borrow)]
    either: Cow<'a, str>,
}

/// A decoded value has one encoding, which decodes to a value with the same encoding.
fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    let Ok(value) = cbor::from_slice::<T>(bytes) else {
        return;
    };
    // A dynamic value keeps a duplicate key, and then has no encoding.
    let Ok(written) = cbor::to_vec(&value) else { return };
    let again = cbor::from_slice::<T>(&written).expect("an encoded value decodes");
    assert_eq!(cbor::to_vec(&again).expect("it was encoded before"), written);
    ciborium::from_reader::<T, _>(&written[..]).expect("ciborium decodes what was encoded");
}

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    let well_formed = reader.skip().is_ok() && reader.end().is_ok();
    assert_eq!(cbor::from_slice::<IgnoredAny>(bytes).is_ok(), well_formed);

    let ours = cbor::from_slice::<Value>(bytes);
    let mut rest = bytes;
    let theirs = ciborium::from_reader::<Value, _>(&mut rest)
        .ok()
        .filter(|_| rest.is_empty());
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(format!("{ours:?}"), format!("{theirs:?}")),
        (Err(error), Some(_)) => assert!(!well_formed, "{error}"),
        (Ok(_), None) => assert!(well_formed),
        (Err(_), None) => {}
    }

    // As in ciborium, a dynamic value keeps an integer in a tagged byte string of several chunks as it is. Encoded, it is
    // a string of one chunk, and from then on an integer.
    if let Some(written) = cbor::from_slice::<Value>(bytes)
        .ok()
        .and_then(|value| cbor::to_vec(&value).ok())
    {
        read::<Value>(&written[..]);
    }
    read::<Shape>(bytes);
    read::<Internal>(bytes);
    read::<Untagged>(bytes);
    read::<Flattened>(bytes);
    read::<(u8, i16, u32, i64, String, [bool; 2])>(bytes);
    let _ = cbor::from_slice::<Borrowing<'_>>(bytes);
});

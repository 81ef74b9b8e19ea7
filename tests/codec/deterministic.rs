//! One value, one encoding (RFC 8949, section 4.2.1).

use std::collections::{BTreeMap, HashMap};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use session_runtime::__private::cbor::Reader;
use session_runtime::__private::cbor::head::{self, Major};
use session_runtime::__private::cbor::{self, append};

use crate::vectors::hex;

/// Panics unless the bytes are one item in deterministic encoding.
pub(crate) fn assert_deterministic(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    walk(&mut reader, bytes);
    reader.end().unwrap();
}

fn walk(reader: &mut Reader<'_>, bytes: &[u8]) {
    let start = reader.position();
    let before = *reader;
    let head = reader.read_head().unwrap();
    assert!(
        !head.is_indefinite(),
        "an indefinite length at byte {start} of {}",
        hex(bytes)
    );
    if let Some(float) = head.float() {
        let mut shortest = Vec::new();
        ciborium::into_writer(&float, &mut shortest).unwrap();
        assert_eq!(&bytes[start..reader.position()], shortest);
        return;
    }
    let mut shortest = Vec::new();
    head::push_head(&mut shortest, head.major, head.argument);
    assert_eq!(
        &bytes[start..reader.position()],
        shortest,
        "a long head at byte {start}"
    );
    match head.major {
        Major::Unsigned | Major::Negative | Major::Simple => {}
        Major::Bytes | Major::Text => {
            *reader = before;
            reader.skip().unwrap();
        }
        Major::Tag => walk(reader, bytes),
        Major::Array => (0..head.argument).for_each(|_| walk(reader, bytes)),
        Major::Map => {
            let mut previous: Option<&[u8]> = None;
            for _ in 0..head.argument {
                let at = reader.position();
                walk(reader, bytes);
                let key = &bytes[at..reader.position()];
                assert!(
                    previous.is_none_or(|previous| previous < key),
                    "a key out of order at byte {at}"
                );
                previous = Some(key);
                walk(reader, bytes);
            }
        }
    }
}

#[test]
fn a_hash_map_has_one_encoding() {
    let names: Vec<String> = (0..300).map(|n| format!("key {n}")).collect();
    let forward: HashMap<&str, usize> = names.iter().enumerate().map(|(n, name)| (name.as_str(), n)).collect();
    let backward: HashMap<&str, usize> = names
        .iter()
        .enumerate()
        .rev()
        .map(|(n, name)| (name.as_str(), n))
        .collect();
    let sorted: BTreeMap<&str, usize> = forward.iter().map(|(name, n)| (*name, *n)).collect();
    let bytes = cbor::to_vec(&forward).unwrap();
    assert_eq!(cbor::to_vec(&backward).unwrap(), bytes);
    assert_eq!(cbor::to_vec(&sorted).unwrap(), bytes);
    assert_deterministic(&bytes);
}

#[test]
fn the_order_of_fields_in_the_source_does_not_matter() {
    #[derive(Serialize)]
    struct One {
        quantity: u8,
        sku: &'static str,
    }
    #[derive(Serialize)]
    struct Other {
        sku: &'static str,
        quantity: u8,
    }
    let bytes = cbor::to_vec(&One { quantity: 2, sku: "x" }).unwrap();
    assert_eq!(cbor::to_vec(&Other { sku: "x", quantity: 2 }).unwrap(), bytes);
    assert_eq!(bytes, [b"\xa2\x63sku\x61x\x68quantity" as &[u8], &[2]].concat());
}

/// Announces no length, or a wrong one.
struct Entries(Option<usize>, usize);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(self.0)?;
        for n in (0..self.1).rev() {
            map.serialize_entry(&n, &Items(self.0, n))?;
        }
        map.end()
    }
}

struct Items(Option<usize>, usize);

impl Serialize for Items {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(self.0)?;
        for n in 0..self.1 {
            sequence.serialize_element(&n)?;
        }
        sequence.end()
    }
}

#[test]
fn lengths_that_are_not_announced_are_counted() {
    let expected: BTreeMap<usize, Vec<usize>> = (0..40).map(|n| (n, (0..n).collect())).collect();
    let bytes = cbor::to_vec(&expected).unwrap();
    assert_deterministic(&bytes);
    for announced in [None, Some(0), Some(23), Some(24), Some(40), Some(70_000)] {
        assert_eq!(cbor::to_vec(&Entries(announced, 40)).unwrap(), bytes, "{announced:?}");
    }
}

#[test]
fn a_duplicate_key_has_no_encoding() {
    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("b", &1)?;
            map.serialize_entry("a", &1)?;
            map.serialize_entry("b", &2)?;
            map.end()
        }
    }
    #[derive(Serialize)]
    struct Renamed {
        #[serde(rename = "a")]
        first: [u8; 8],
        #[serde(rename = "a")]
        second: [u8; 9],
    }
    let errors = [
        cbor::to_vec(&Twice).unwrap_err(),
        cbor::to_vec(&Renamed {
            first: [1; 8],
            second: [2; 9],
        })
        .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "a map has two entries with the same key");
    }
}

#[test]
fn a_failed_value_leaves_the_buffer_unchanged() {
    #[derive(Serialize)]
    struct Fails {
        first: u8,
        #[serde(serialize_with = "refuse")]
        second: [u8; 16],
    }
    fn refuse<S: Serializer>(_: &[u8; 16], _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
    let mut out = vec![1, 2, 3];
    let error = append(
        &Fails {
            first: 1,
            second: [0; 16],
        },
        &mut out,
    )
    .unwrap_err();
    assert_eq!((error.to_string().as_str(), &out[..]), ("not today", &[1, 2, 3][..]));
    append(&7_u8, &mut out).unwrap();
    assert_eq!(out, [1, 2, 3, 7]);
}

#[test]
fn half_an_entry_has_no_encoding() {
    struct Half(bool);
    impl Serialize for Half {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(1))?;
            if self.0 {
                map.serialize_key("key")?;
            } else {
                map.serialize_value("value")?;
            }
            map.end()
        }
    }
    assert!(cbor::to_vec(&Half(true)).is_err());
    assert!(cbor::to_vec(&Half(false)).is_err());
}

/// serde does not tell sets from lists. This is documented; the test is to notice if it changes.
#[test]
fn a_sequence_keeps_its_order() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Seen(Vec<u8>);
    assert_eq!(cbor::to_vec(&Seen(vec![3, 1, 2])).unwrap(), [0x83, 3, 1, 2]);
}

//! The texts, positions and sources of errors, and that they contain no values.

use std::collections::BTreeMap;
use std::error::Error;

use bytes::Bytes;
use serde::ser::{Error as _, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use session_runtime::__private::cbor::Reader;
use session_runtime::__private::cbor::{self, DecodeError};
use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;
use session_runtime::merge::{self, ThreeWay};

use crate::record::{self, Till};
use crate::samples::{Address, Shape, Suit};

fn message<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> String {
    match cbor::from_slice::<T>(bytes) {
        Ok(_) => panic!("{bytes:02x?} was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_error_names_what_was_expected_what_was_found_and_where() {
    assert_eq!(
        message::<bool>(&[0x01]),
        "expected a boolean, found an unsigned integer, at byte 0"
    );
    assert_eq!(
        message::<Vec<bool>>(&[0x83, 0xf4, 0xf5, 0x61, 0x78]),
        "expected a boolean, found a text string, at byte 3"
    );
    assert_eq!(
        message::<Vec<u8>>(&[0x82, 0x01, 0x19, 0x01, 0x00]),
        "expected u8, found another integer, at byte 2"
    );
    assert_eq!(
        message::<String>(&[0x62, 0x61, 0xff]),
        "expected a text string, found one that is not UTF-8, at byte 2"
    );
    assert_eq!(message::<u8>(&[]), "the input ends inside an item, at byte 0");
    assert_eq!(
        message::<u8>(&[0x1c]),
        "0x1c does not begin a well-formed item here, at byte 0"
    );
    assert_eq!(
        message::<u64>(&[0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        "expected an integer, found one that is out of range, at byte 0"
    );
    assert_eq!(
        message::<f64>(&[0x01]),
        "expected a float, found an unsigned integer, at byte 0"
    );
    assert_eq!(message::<Address>(b"\xa0"), "missing field `street`, at byte 0");
    assert_eq!(
        message::<Suit>(b"\x66Spades"),
        "unknown variant, expected `Clubs`, `Diamonds`, `Hearts`, at byte 0"
    );
    assert_eq!(
        message::<Vec<Shape>>(b"\x81\xa2"),
        "expected a variant's name or a map of one entry, found a map, at byte 1"
    );
}

#[test]
fn a_reader_points_at_the_head_that_does_not_fit() {
    let bytes = [0x83, 0x01, 0x61, 0x78, 0x40];
    let mut reader = Reader::new(&bytes);
    let mut count = reader;
    assert_eq!(
        count.expect_array(2).unwrap_err().to_string(),
        "expected an array of 2, found one of 3, at byte 0"
    );
    reader.expect_array(3).unwrap();
    assert_eq!(reader.uint().unwrap(), 1);
    let mut wrong = reader;
    assert_eq!(
        wrong.tag().unwrap_err().to_string(),
        "expected a tag, found a text string, at byte 2"
    );
    assert_eq!(reader.text().unwrap(), "x");
    assert_eq!((reader.position(), reader.remaining()), (4, 1));
    assert_eq!(reader.end().unwrap_err().position(), 4);
    assert_eq!(reader.bytes().unwrap(), b"");
    reader.end().unwrap();
    assert!(Reader::new(&[0x9f, 0xff]).array().is_err());
    assert!(
        Reader::new(&[0xa1, 0x00]).map().is_err(),
        "an entry takes two bytes at least"
    );
}

#[test]
fn a_custom_message_is_kept() {
    #[derive(Debug)]
    struct Even;
    impl<'de> Deserialize<'de> for Even {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match u8::deserialize(deserializer)? % 2 {
                0 => Ok(Self),
                _ => Err(serde::de::Error::custom("that is odd")),
            }
        }
    }
    assert_eq!(message::<Vec<Even>>(&[0x83, 2, 4, 5]), "that is odd, at byte 3");
    assert_eq!(message::<Even>(&[1]), "that is odd, at byte 0");
}

#[test]
fn no_error_contains_a_value() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[expect(dead_code, reason = "only its name matters")]
        known: u8,
    }
    let secret = b"\x67hunter2";
    let map = [b"\xa1", &secret[..], b"\x01"].concat();
    let errors: [DecodeError; 5] = [
        cbor::from_slice::<u32>(secret).unwrap_err(),
        cbor::from_slice::<Suit>(secret).unwrap_err(),
        cbor::from_slice::<char>(secret).unwrap_err(),
        cbor::from_slice::<std::net::IpAddr>(&[&b"\xa1"[..], secret, b"\xf6"].concat()).unwrap_err(),
        cbor::from_slice::<Strict>(&map).unwrap_err(),
    ];
    for error in errors {
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

/// Fails when half of it is written.
struct Half;

impl Serialize for Half {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Never;
        impl Serialize for Never {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(S::Error::custom("never"))
            }
        }
        BTreeMap::from([(0, "written"), (1, "")])
            .into_iter()
            .map(|(at, text)| (at, (text, Never)))
            .collect::<BTreeMap<_, _>>()
            .serialize(serializer)
    }
}

/// A struct whose fields are out of order, and which ignores the error of one of them.
struct Careless(&'static [&'static str]);

impl Serialize for Careless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Careless", self.0.len())?;
        for name in self.0 {
            if *name == "b" {
                let _ = fields.serialize_field("b", &Half);
            } else {
                fields.serialize_field(name, &1)?;
            }
        }
        fields.end()
    }
}

struct CarelessList;

impl Serialize for CarelessList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(2))?;
        let _ = items.serialize_element(&Half);
        items.serialize_element(&1)?;
        items.end()
    }
}

#[test]
fn an_ignored_error_of_a_part_fails_the_whole() {
    let mut before = vec![7; 40];
    for names in [&["c", "b", "a"], &["b", "a", "c"], &["a", "b", "c"]] {
        let error = cbor::append(&Careless(names), &mut before).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a part of the value failed, and its `Serialize` ignored the error"
        );
    }
    cbor::append(&CarelessList, &mut before).unwrap_err();
    assert_eq!(before, [7; 40]);
}

/// The version after [`Till`], of which two writers conflict.
#[derive(Session)]
#[session(name = "till", version = 4)]
#[cascade(datastore)]
struct Later {
    #[session(upgrade(3, halve), merge = reject)]
    visits: u64,
}

fn halve(visits: u64) -> Result<u64, String> {
    if visits.is_multiple_of(2) {
        Ok(visits / 2)
    } else {
        Err("an odd number has no half".into())
    }
}

/// Fails to be written.
#[derive(Deserialize)]
struct Unwritable(u8);

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(format_args!("{} is not written", self.0)))
    }
}

/// A record of `small()` with these bytes for the field of [`Till`].
fn with_visits(visits: &'static [u8]) -> Record {
    let small = record::small();
    let mut draft = small.draft();
    draft.set("visits", visits);
    draft.finish()
}

/// One of each kind of error of values, records and sessions.
fn every_error() -> Vec<Box<dyn Error>> {
    let small = record::small();
    let corrupted = |corrupt: &dyn Fn(&mut Vec<ciborium::Value>)| {
        let mut items = record::items(&small);
        corrupt(&mut items);
        Record::decode(&record::of_items(items)).unwrap_err()
    };
    let decode = || cbor::from_slice::<bool>(&[0]).unwrap_err();
    let three_way = |bytes| ThreeWay {
        base: bytes,
        theirs: bytes,
        ours: bytes,
    };
    let changed = |record: &Record| {
        let mut fields = Later::open(record).unwrap();
        fields.set_visits(9);
        Changes::collect::<Later>(&fields).unwrap()
    };
    let conflict = changed(&with_visits(&[2])).apply(Later::SCHEMA, &mut with_visits(&[4]).draft());
    vec![
        Box::new(decode()),
        Box::new(cbor::to_vec(&Half).unwrap_err()),
        Box::new(Record::decode(&Bytes::from_static(b"not a record")).unwrap_err()),
        Box::new(Record::decode(&small.bytes().slice(..30)).unwrap_err()),
        Box::new(corrupted(&|items| items[0] = 2.into())),
        Box::new(corrupted(&|items| items[2] = u64::MAX.into())),
        Box::new(corrupted(&|items| items[5].as_map_mut().unwrap().reverse())),
        Box::new(Till::open(&with_visits(b"\xf6")).map(drop).unwrap_err()),
        Box::new(Later::open(&with_visits(b"\xf6")).map(drop).unwrap_err()),
        Box::new(Later::open(&with_visits(&[3])).map(drop).unwrap_err()),
        Box::new(Till::open(&edited_version(&small, 9)).map(drop).unwrap_err()),
        Box::new(Till::open(&renamed(&small, "cart")).map(drop).unwrap_err()),
        Box::new(merge::reject(&three_way(&[0])).unwrap_err()),
        Box::new(merge::add::<u64>(&three_way(b"\xf6")).unwrap_err()),
        Box::new(merge::with::<Unwritable>(&three_way(&[7]), |_, _, ours| ours).unwrap_err()),
        Box::new(conflict.unwrap_err().source),
    ]
}

fn renamed(record: &Record, name: &str) -> Record {
    let mut draft = record.draft();
    draft.name = name;
    draft.finish()
}

fn edited_version(record: &Record, version: u32) -> Record {
    let mut draft = record.draft();
    draft.version = version;
    draft.finish()
}

/// An error is printed with its sources, so that none may repeat the text of another.
#[test]
fn no_error_repeats_its_source() {
    let mut longest = 0;
    for error in every_error() {
        let mut chain = vec![error.to_string()];
        let mut next = error.source();
        while let Some(source) = next {
            chain.push(source.to_string());
            next = source.source();
        }
        for (at, text) in chain.iter().enumerate() {
            for other in chain.iter().skip(at + 1) {
                assert!(
                    !text.contains(other.as_str()) && !other.contains(text.as_str()),
                    "{chain:#?}"
                );
            }
        }
        longest = longest.max(chain.len());
    }
    assert_eq!(longest, 2, "a chain was cut");
}

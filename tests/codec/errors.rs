//! What an error says, where it points, and what it keeps to itself.

use std::collections::BTreeMap;

use serde::ser::{Error as _, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use session_runtime::__private::cbor::Reader;
use session_runtime::__private::cbor::{self, DecodeError};

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
        "0x1c begins no well-formed item here, at byte 0"
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
fn a_type_s_own_words_are_kept() {
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
fn no_error_repeats_what_the_session_holds() {
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

/// Writes half of itself, and fails.
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

/// A struct whose fields are out of order, and one of them fails and is passed over.
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
fn a_part_that_fails_and_is_passed_over_fails_the_whole() {
    let mut before = vec![7; 40];
    for names in [&["c", "b", "a"], &["b", "a", "c"], &["a", "b", "c"]] {
        let error = cbor::append(&Careless(names), &mut before).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a part of it could not be written, and its `Serialize` went on"
        );
    }
    cbor::append(&CarelessList, &mut before).unwrap_err();
    assert_eq!(before, [7; 40]);
}

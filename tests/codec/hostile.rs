//! Hostile bytes: an error, never a panic, and no more memory than the length of the input justifies.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use ciborium::Value;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use session_runtime::__private::cbor::Reader;
use session_runtime::__private::cbor::{self, MAX_DEPTH};

use crate::samples::{Adjacent, Collections, Flattened, Internal, Scalars, Shape, Suit, Untagged};
use crate::vectors::hex;

/// Decodes the bytes as every type there is; the results do not matter.
fn read_as_everything(bytes: &[u8]) {
    fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
        if let Ok(value) = cbor::from_slice::<T>(bytes) {
            // A decoded value can be encoded, unless it has a duplicate key.
            let _ = cbor::to_vec(&value);
        }
    }
    read::<Scalars>(bytes);
    read::<Collections>(bytes);
    read::<Shape>(bytes);
    read::<Internal>(bytes);
    read::<Adjacent>(bytes);
    read::<Untagged>(bytes);
    read::<Flattened>(bytes);
    read::<Vec<String>>(bytes);
    read::<HashMap<String, u64>>(bytes);
    read::<BTreeMap<Suit, Option<i128>>>(bytes);
    read::<(char, f32, ())>(bytes);
    let _ = cbor::from_slice::<IgnoredAny>(bytes);
    compare_with_ciborium(bytes);
}

/// Checks that both codecs decode the same, and that this one decodes all well-formed input that ciborium decodes.
pub(crate) fn compare_with_ciborium(bytes: &[u8]) {
    let ours = cbor::from_slice::<Value>(bytes);
    let mut rest = bytes;
    let theirs = ciborium::from_reader::<Value, _>(&mut rest)
        .ok()
        .filter(|_| rest.is_empty());
    let mut reader = Reader::new(bytes);
    let well_formed = reader.skip().is_ok() && reader.end().is_ok();
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{}", hex(bytes)),
        (Err(error), Some(_)) => assert!(!well_formed, "{error}: {}", hex(bytes)),
        (Ok(_), None) => assert!(well_formed, "{}", hex(bytes)),
        (Err(_), None) => {}
    }
}

/// A few values that use every kind of head, encoded here and by a writer that uses indefinite lengths.
fn seeds() -> Vec<Vec<u8>> {
    let shape = Shape::Group(vec![
        Shape::Point,
        Shape::Framed {
            inner: Box::new(Shape::Rectangle {
                width: Some(3),
                height: 1 << 40,
                name: "ü".repeat(13),
            }),
        },
        Shape::Segment(-70_000, i64::MIN),
        Shape::Maybe(Some(Box::new(Shape::Circle(1.1)))),
    ]);
    let dynamic = Value::Array(vec![
        Value::Tag(24, Box::new(Value::Bytes(vec![7; 30]))),
        Value::from(u64::MAX),
        Value::Map(vec![
            (Value::from(-1), Value::Float(1e300)),
            (Value::Null, Value::Bool(true)),
        ]),
    ]);
    let flattened = Flattened {
        id: 7,
        address: crate::samples::Address {
            street: "s".into(),
            zip: Some(70_000),
        },
        nick: Some("n".into()),
        rest: BTreeMap::from([("x".into(), 300)]),
    };
    let open =
        b"\xbf\x64kind\x65login\x62at\x20\x64user\x19\x01\x00\x61l\x9f\x5f\x42\x01\x02\x40\xff\x7f\x61a\xff\xff\xff";
    vec![
        cbor::to_vec(&shape).unwrap(),
        cbor::to_vec(&dynamic).unwrap(),
        cbor::to_vec(&flattened).unwrap(),
        cbor::to_vec(&(i128::MIN, u128::MAX, 'x', 0.5_f32, 3.4e38_f32)).unwrap(),
        open.to_vec(),
    ]
}

#[test]
fn the_seeds_decode() {
    for seed in seeds() {
        cbor::from_slice::<Value>(&seed).unwrap();
    }
    let login: Internal = cbor::from_slice(&seeds()[4]).unwrap();
    assert_eq!(login, Internal::Login { user: 256, at: -1 });
}

#[test]
fn a_truncated_value_is_an_error() {
    for seed in seeds() {
        for end in 0..seed.len() {
            let cut = &seed[..end];
            let error = cbor::from_slice::<Value>(cut).unwrap_err();
            assert!(error.position() <= end, "{error}");
            assert!(Reader::new(cut).skip().is_err());
            read_as_everything(cut);
        }
    }
}

#[test]
fn a_changed_byte_is_never_a_panic() {
    for seed in seeds() {
        for at in 0..seed.len() {
            let mut changed = seed.clone();
            for byte in 0..=u8::MAX {
                changed[at] = byte;
                read_as_everything(&changed);
            }
        }
    }
}

#[test]
fn a_trailing_byte_is_an_error() {
    for mut seed in seeds() {
        let whole = seed.len();
        seed.push(0xf6);
        let error = cbor::from_slice::<Value>(&seed).unwrap_err();
        assert_eq!(error.position(), whole);
        assert_eq!(
            error.to_string(),
            format!("expected the end of the input, found 1 more bytes, at byte {whole}")
        );
    }
}

#[test]
fn a_length_beyond_the_end_of_the_input_is_refused_at_once() {
    for major in [0x40, 0x60, 0x80, 0xa0] {
        for argument in [
            &[24, 5][..],
            &[25, 1, 0],
            &[26, 255, 255, 255, 255],
            &[27, 255, 255, 255, 255, 255, 255, 255, 255],
        ] {
            let mut bytes = vec![major | argument[0]];
            bytes.extend_from_slice(&argument[1..]);
            bytes.extend_from_slice(&[0, 0, 0]);
            let error = cbor::from_slice::<Value>(&bytes).unwrap_err().to_string();
            assert!(error.contains("does not fit in the 3 bytes that remain"), "{error}");
            assert!(Reader::new(&bytes).skip().is_err());
            assert!(cbor::from_slice::<Vec<[u64; 32]>>(&bytes).is_err());
            assert!(cbor::from_slice::<String>(&bytes).is_err());
        }
    }
}

/// Collections allocate for as many items as this hint says before they read the first one.
#[test]
fn no_hint_exceeds_the_bytes_that_remain() {
    struct Hint(Option<usize>);
    impl<'de> Deserialize<'de> for Hint {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Look;
            impl<'de> Visitor<'de> for Look {
                type Value = Hint;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an array")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Hint, A::Error> {
                    let hint = items.size_hint();
                    while items.next_element::<IgnoredAny>()?.is_some() {}
                    Ok(Hint(hint))
                }
            }
            deserializer.deserialize_seq(Look)
        }
    }
    assert_eq!(cbor::from_slice::<Hint>(&[0x83, 1, 2, 3]).unwrap().0, Some(3));
    assert_eq!(cbor::from_slice::<Hint>(&[0x9f, 1, 2, 3, 0xff]).unwrap().0, None);
    assert!(cbor::from_slice::<Hint>(&[0x84, 1, 2, 3]).is_err());
}

/// `levels` heads, then what closes them.
fn nested(open: &[u8], levels: u16, inside: &[u8], close: &[u8]) -> Vec<u8> {
    let levels = usize::from(levels);
    [open.repeat(levels), inside.to_vec(), close.repeat(levels)].concat()
}

#[test]
fn nesting_is_bounded_for_every_kind_of_item() {
    let kinds: [(&[u8], &[u8]); 5] = [
        (&[0x81], &[]),
        (&[0xa1, 0x00], &[]),
        (&[0x9f], &[0xff]),
        (&[0xbf, 0x00], &[0xff]),
        (&[0xd8, 0x40], &[]),
    ];
    for (open, close) in kinds {
        let deepest = nested(open, MAX_DEPTH, &[0x00], close);
        cbor::from_slice::<Value>(&deepest).unwrap();
        cbor::from_slice::<IgnoredAny>(&deepest).unwrap();
        Reader::new(&deepest).skip().unwrap();
        for levels in [MAX_DEPTH + 1, 60_000] {
            let deeper = nested(open, levels, &[0x00], close);
            for error in [
                cbor::from_slice::<Value>(&deeper).unwrap_err(),
                cbor::from_slice::<IgnoredAny>(&deeper).unwrap_err(),
                Reader::new(&deeper).skip().unwrap_err(),
            ] {
                assert!(error.to_string().starts_with("nested more than 128 deep"), "{error}");
            }
        }
        // Truncated.
        assert!(cbor::from_slice::<Value>(&open.repeat(60_000)).is_err());
    }
}

#[test]
fn the_deepest_value_is_written_and_read_and_none_deeper_is_written() {
    let mut value = Value::Null;
    for level in 1..=MAX_DEPTH + 1 {
        value = match level % 3 {
            0 => Value::Array(vec![value]),
            1 => Value::Map(vec![(Value::Null, value)]),
            _ => Value::Tag(64, Box::new(value)),
        };
        match cbor::to_vec(&value) {
            Ok(bytes) => assert_eq!(cbor::from_slice::<Value>(&bytes).unwrap(), value),
            Err(error) => {
                assert_eq!(level, MAX_DEPTH + 1);
                assert_eq!(error.to_string(), "the value nests more than 128 deep");
            }
        }
    }

    let mut shape = Shape::Point;
    let mut levels = 0;
    while let Ok(bytes) = cbor::to_vec(&shape) {
        assert_eq!(cbor::from_slice::<Shape>(&bytes).unwrap(), shape);
        shape = Shape::Framed { inner: Box::new(shape) };
        levels += 1;
    }
    assert_eq!(
        levels,
        usize::from(MAX_DEPTH) / 2 + 1,
        "a variant with fields takes two levels"
    );
}

/// A worker's stack is 2 MiB, as a test's is, and an unoptimised build is the worst case.
#[test]
fn the_deepest_value_of_the_hungriest_types_fits_a_worker_s_stack() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Layered(Option<Vec<Layered>>);

    let arrays = nested(&[0x81], MAX_DEPTH, &[], &[]);
    let untagged: Untagged = cbor::from_slice(&[&arrays[..], &[0x00]].concat()).unwrap();
    assert_eq!(cbor::to_vec(&untagged).unwrap().len(), arrays.len() + 1);
    let layered: Layered = cbor::from_slice(&[&arrays[..], &[0xf6]].concat()).unwrap();
    assert_eq!(cbor::to_vec(&layered).unwrap().len(), arrays.len() + 1);
    let groups = nested(b"\xa1\x65Group\x81", MAX_DEPTH / 2, b"\x65Point", &[]);
    let shape: Shape = cbor::from_slice(&groups).unwrap();
    assert_eq!(cbor::to_vec(&shape).unwrap(), groups);
}

#[test]
fn a_recursive_type_that_takes_no_bytes_ends() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Onion(Option<Box<Onion>>);

    let error = cbor::from_slice::<Onion>(&[0x00]).unwrap_err().to_string();
    assert!(error.starts_with("nested more than"), "{error}");
    cbor::from_slice::<Onion>(&[0xf6]).unwrap();
}

#[test]
fn an_item_that_the_type_leaves_unread_is_an_error() {
    assert_eq!(cbor::from_slice::<(u8, u8)>(&[0x82, 1, 2]).unwrap(), (1, 2));
    let unread: [&[u8]; 3] = [&[0x83, 1, 2, 3], &[0x9f, 1, 2, 3, 0xff], &[0x43, 1, 2, 3]];
    for bytes in unread {
        assert!(cbor::from_slice::<(u8, u8)>(bytes).is_err(), "{}", hex(bytes));
    }
    // If the inner array's end were not checked, its third item would be read as the outer one's second.
    let shifted: [&[u8]; 2] = [&[0x82, 0x83, 1, 2, 3], &[0x82, 0x9f, 1, 2, 3]];
    for bytes in shifted {
        let error = cbor::from_slice::<((u8, u8), u8)>(bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected the end of the array, found more items, at byte 4"
        );
    }
    // The type of a variant tells whether it has content.
    assert!(cbor::from_slice::<Shape>(b"\x66Circle").is_err());
    assert!(cbor::from_slice::<Vec<Shape>>(b"\x82\x66Circle\xf9\x3c\x00").is_err());
    assert!(cbor::from_slice::<Shape>(b"\xa1\x65Point\x01").is_err());
    assert_eq!(cbor::from_slice::<Shape>(b"\xa1\x65Point\xf6").unwrap(), Shape::Point);
    assert_eq!(
        cbor::from_slice::<Shape>(b"\xbf\x66Circle\xf9\x3c\x00\xff").unwrap(),
        Shape::Circle(1.0)
    );
    assert!(cbor::from_slice::<Shape>(b"\xbf\x66Circle\xf9\x3c\x00\x00\x00\xff").is_err());
}

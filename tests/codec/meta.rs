//! The `meta` array of a record: what older binaries wrote, and the entries that newer ones may append.

use bytes::Bytes;
use ciborium::Value;
use proptest::prelude::*;
use session_runtime::__private::cbor;
use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::meta::{Nonce, SecretHash};
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use crate::record::{Till, items, meta, of_items, small};
use crate::samples;

/// Where `meta` is in the array of a record.
const META: usize = 4;
/// How many entries of it are known.
const KNOWN: usize = 7;

/// `small()` with these entries appended to its `meta`, byte by byte.
fn with_tail(tail: &[&[u8]]) -> Bytes {
    let record = small();
    let known = cbor::to_vec(&items(&record)[META]).unwrap();
    let mut grown = cbor::to_vec(&vec![0; KNOWN + tail.len()]).unwrap();
    grown.truncate(grown.len() - KNOWN - tail.len());
    grown.extend_from_slice(&known[1..]);
    grown.extend(tail.concat());
    let bytes = record.bytes();
    let start = bytes.windows(known.len()).position(|window| window == known).unwrap();
    [&bytes[..start], &grown, &bytes[start + known.len()..]].concat().into()
}

/// Written by the version that knew exactly seven entries: with a previous secret, and with nonces.
#[test]
fn a_record_from_before_meta_could_grow_is_read_and_written_unchanged() {
    let stored = Bytes::from_static(include_bytes!("records/rotated.cbor"));
    let record = Record::decode(&stored).unwrap();
    assert_eq!((record.name(), record.version(), record.meta()), ("till", 3, &meta()));
    assert_eq!(record.unknown_meta(), b"");
    assert_eq!(record.draft().finish().bytes(), &stored);
    assert_eq!(small().bytes(), &stored);
}

#[test]
fn unknown_entries_survive_a_commit() {
    // A text, and an array with a longer head than it needs.
    let tail: [&[u8]; 2] = [b"\x65later", b"\x98\x01\xf6"];
    let record = Record::decode(&with_tail(&tail)).unwrap();
    assert_eq!((record.meta(), record.unknown_meta()), (&meta(), &tail.concat()[..]));
    let mut fields = Till::open(&record).unwrap();
    fields.set_visits(9);
    let changes = Changes::collect::<Till>(&fields).unwrap();
    let mut draft = record.draft();
    changes.apply(Till::SCHEMA, &mut draft).unwrap();
    draft.meta.push(Nonce(1));
    draft.meta.secret = SecretHash([1; 32]);
    draft.meta.previous = None;
    let expected = draft.meta.clone();
    let written = draft.finish();

    for record in [&written, &Record::decode(written.bytes()).unwrap()] {
        assert_eq!(record.meta(), &expected);
        assert_eq!(record.unknown_meta(), tail.concat());
        assert_eq!(Till::open(record).unwrap().visits(), &9);
    }
    let meta = items(&written)[META].clone().into_array().unwrap();
    assert_eq!(meta[KNOWN..], [Value::from("later"), Value::Array(vec![Value::Null])]);
}

#[test]
fn meta_that_is_too_short_or_not_all_there_is_refused() {
    let decode = |bytes: Bytes| Record::decode(&bytes).map(drop);
    let mut short = items(&small());
    short[META].as_array_mut().unwrap().pop();
    let error = decode(of_items(short)).unwrap_err().to_string();
    assert!(
        error.contains("the number of its meta entries is out of range"),
        "{error}"
    );

    let stored = with_tail(&[b"\xf6"]);
    let head = stored.iter().position(|byte| *byte == 0x88).unwrap();
    decode(stored.clone()).unwrap();
    for claimed in [
        &b"\x89"[..],
        b"\x98\xff",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x9f",
    ] {
        let bytes = [&stored[..head], claimed, &stored[head + 1..]].concat();
        decode(bytes.into()).unwrap_err();
    }
    let deep = vec![0x81; 60_000];
    let hostile: [&[u8]; 7] = [
        b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", // a string longer than the record
        b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", // an array longer than the record
        b"\xff",                                 // a break
        b"\x1c",                                 // a reserved head
        b"\xf8\x00",                             // a simple value in the wrong form
        b"\x82\x00",                             // an array that takes in what follows
        &deep,
    ];
    for tail in hostile {
        decode(with_tail(&[tail])).unwrap_err();
    }
    for end in 0..stored.len() {
        decode(stored.slice(..end)).unwrap_err();
    }
}

proptest! {
    #[test]
    fn any_entries_are_carried_through_any_number_of_drafts(
        tail in proptest::collection::vec(samples::value().prop_map(|value| cbor::to_vec(&value).unwrap()), 0..30),
        values in proptest::collection::vec(proptest::option::of(any::<u8>()), 0..4),
    ) {
        let tail: Vec<&[u8]> = tail.iter().map(|item| &item[..]).collect();
        let stored = with_tail(&tail);
        let mut record = Record::decode(&stored).unwrap();
        let unchanged = record.draft().finish();
        prop_assert_eq!(unchanged.bytes(), &stored);
        for (nonce, value) in (0..).zip(&values) {
            let mut draft = record.draft();
            draft.meta.push(Nonce(nonce));
            match value {
                Some(value) => draft.set("a", vec![*value; 30]),
                None => draft.remove("a"),
            }
            let written = draft.finish();
            record = Record::decode(written.bytes()).unwrap();
            prop_assert_eq!(record.unknown_meta(), written.unknown_meta());
        }
        prop_assert_eq!(record.unknown_meta(), tail.concat());
        prop_assert_eq!(record.meta().commits, meta().commits + values.len() as u64);
    }
}

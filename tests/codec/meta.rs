//! The `meta` array of a record: what older binaries wrote, and the entries that newer ones may append.

use std::time::Duration;

use bytes::Bytes;
use ciborium::Value;
use proptest::prelude::*;
use session_runtime::__private::cbor;
use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::meta::{Meta, Millis, Nonce, OwnerHash, OwnerMark, SecretHash};
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use crate::record::{Till, items, meta, of_items, small};
use crate::samples;

/// Where `meta` is in the array of a record.
const META: usize = 4;
/// How many entries every record has.
const ALWAYS: usize = 7;
/// How many more are known.
const OPTIONAL: usize = 3;

/// `small()` with these entries appended to its `meta`, byte by byte.
fn with_entries(entries: &[&[u8]]) -> Bytes {
    let record = small();
    let known = cbor::to_vec(&items(&record)[META]).unwrap();
    let mut grown = cbor::to_vec(&vec![0; ALWAYS + entries.len()]).unwrap();
    grown.truncate(grown.len() - ALWAYS - entries.len());
    grown.extend_from_slice(&known[1..]);
    grown.extend(entries.concat());
    let bytes = record.bytes();
    let start = bytes.windows(known.len()).position(|window| window == known).unwrap();
    [&bytes[..start], &grown, &bytes[start + known.len()..]].concat().into()
}

/// The same with entries that are not known.
fn with_tail(tail: &[&[u8]]) -> Bytes {
    let known: &[&[u8]] = if tail.is_empty() {
        &[]
    } else {
        &[&b"\xf6"[..]; OPTIONAL]
    };
    with_entries(&[known, tail].concat())
}

fn with_optional(idle: Option<Duration>, persistent: Option<bool>) -> Record {
    let record = small();
    let mut draft = record.draft();
    (draft.meta.idle, draft.meta.persistent) = (idle, persistent);
    draft.finish()
}

/// The entries that not every record has, by ciborium.
fn optional(record: &Record) -> Vec<Value> {
    items(record)[META].clone().into_array().unwrap().split_off(ALWAYS)
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
    let later = [Value::from("later"), Value::Array(vec![Value::Null])];
    assert_eq!(
        optional(&written),
        [&[const { Value::Null }; OPTIONAL][..], &later].concat()
    );
}

/// Written by the version that knew exactly nine entries.
#[test]
fn a_record_with_an_idle_time_and_a_cookie_that_persists_is_read_and_written_unchanged() {
    let stored = Bytes::from_static(include_bytes!("records/remembered.cbor"));
    let record = Record::decode(&stored).unwrap();
    let expected = Meta {
        idle: Some(Duration::from_secs(30 * 24 * 60 * 60)),
        persistent: Some(true),
        ..meta()
    };
    assert_eq!((record.meta(), record.unknown_meta()), (&expected, &b""[..]));
    assert_eq!(record.draft().finish().bytes(), &stored);
    assert_eq!(with_optional(expected.idle, expected.persistent).bytes(), &stored);
}

#[test]
fn optional_entries_are_written_up_to_the_last_that_is_not_null() {
    let minute = Some(Duration::from_secs(60));
    let cases = [
        (None, None, vec![]),
        (minute, None, vec![Value::from(60_000)]),
        (None, Some(false), vec![Value::Null, Value::from(false)]),
        (minute, Some(true), vec![Value::from(60_000), Value::from(true)]),
    ];
    for (idle, persistent, expected) in cases {
        assert_eq!(optional(&with_optional(idle, persistent)), expected);
    }
    let nulls: [&[u8]; OPTIONAL] = [b"\xf6"; OPTIONAL];
    for count in 1..=OPTIONAL {
        let record = Record::decode(&with_entries(&nulls[..count])).unwrap();
        assert_eq!(record.meta(), &meta());
        assert_eq!(record.draft().finish(), small());
    }
}

/// What a newer program notes of a session's owner, older ones carry along.
#[test]
fn an_owner_is_written_behind_the_other_optional_entries() {
    for has_left in [false, true] {
        let mark = OwnerMark {
            owner: OwnerHash([5; 32]),
            entry: Nonce(u64::MAX),
            has_left,
        };
        let record = small();
        let mut draft = record.draft();
        draft.meta.owner = Some(mark);
        let written = draft.finish();
        let entry = Value::Array(vec![Value::Bytes(vec![5; 32]), u64::MAX.into(), has_left.into()]);
        assert_eq!(optional(&written), [Value::Null, Value::Null, entry]);
        let read = Record::decode(written.bytes()).unwrap();
        assert_eq!(read.meta().owner, Some(mark));
        assert_eq!(read.draft().finish().bytes(), written.bytes());
    }
}

#[test]
fn an_optional_entry_of_another_type_is_refused() {
    let short: &[u8] = &[&b"\x83\x58\x1f"[..], &[5; 31], b"\x01\xf4"].concat();
    let no_bool: &[u8] = &[&b"\x83\x58\x20"[..], &[5; 32], b"\x01\x01"].concat();
    let pair: &[u8] = &[&b"\x82\x58\x20"[..], &[5; 32], b"\x01"].concat();
    let entries: [&[&[u8]]; 10] = [
        &[b"\xf6", b"\xf6", b"\x01"],
        &[b"\xf6", b"\xf6", short],
        &[b"\xf6", b"\xf6", no_bool],
        &[b"\xf6", b"\xf6", pair],
        &[b"\xf5"],
        &[b"\x20"],
        &[b"\x65later"],
        &[b"\xf6", b"\x01"],
        &[b"\xf6", b"\xf7"],
        &[b"\xf6", b"\xf8\x15"],
    ];
    for entries in entries {
        Record::decode(&with_entries(entries)).map(drop).unwrap_err();
    }
}

#[test]
fn a_session_ends_after_its_own_idle_time_and_never_after_its_deadline() {
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    let renewed = Millis(1_000);
    let ends = |idle, default_idle| {
        let meta = Meta {
            renewed,
            deadline: renewed.after(hours(5)),
            idle,
            ..meta()
        };
        meta.expires_at(default_idle).since(renewed)
    };
    assert_eq!(ends(None, hours(1)), hours(1));
    assert_eq!(ends(Some(hours(2)), hours(1)), hours(2));
    assert_eq!(ends(Some(hours(1)), hours(2)), hours(1));
    assert_eq!(ends(Some(hours(6)), hours(1)), hours(5));
    assert_eq!(ends(None, Duration::MAX), hours(5));
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

    let stored = with_entries(&[b"\xf6"]);
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
        decode(with_entries(&[tail])).unwrap_err();
        decode(with_tail(&[tail])).unwrap_err();
    }
    for end in 0..stored.len() {
        decode(stored.slice(..end)).unwrap_err();
    }
}

fn optional_values() -> impl Strategy<Value = (Option<Duration>, Option<bool>)> {
    let idle = prop_oneof![0..1_000_u64, any::<u64>()].prop_map(Duration::from_millis);
    (proptest::option::of(idle), any::<Option<bool>>())
}

proptest! {
    #[test]
    fn any_entries_are_carried_through_any_number_of_drafts(
        tail in proptest::collection::vec(samples::value().prop_map(|value| cbor::to_vec(&value).unwrap()), 0..30),
        values in proptest::collection::vec(proptest::option::of(any::<u8>()), 0..4),
        (idle, persistent) in optional_values(),
    ) {
        let tail: Vec<&[u8]> = tail.iter().map(|item| &item[..]).collect();
        let set = {
            let record = Record::decode(&with_tail(&tail)).unwrap();
            let mut draft = record.draft();
            (draft.meta.idle, draft.meta.persistent) = (idle, persistent);
            draft.finish()
        };
        let stored = set.bytes().clone();
        let mut record = Record::decode(&stored).unwrap();
        prop_assert_eq!(record.meta(), set.meta());
        prop_assert_eq!((record.meta().idle, record.meta().persistent), (idle, persistent));
        if tail.is_empty() {
            let written = optional(&record);
            prop_assert_ne!(written.last(), Some(&Value::Null));
        }
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
        prop_assert_eq!((record.meta().idle, record.meta().persistent), (idle, persistent));
        prop_assert_eq!(record.meta().commits, meta().commits + values.len() as u64);
    }
}

//! Records: what a draft writes, with a map as the oracle; records that another tool wrote; bytes that are no record.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ciborium::Value;
use proptest::prelude::*;
use session_runtime::__private::session::meta::{Meta, Millis, Nonce, Nonces, SecretHash};
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use crate::deterministic::assert_deterministic;

#[derive(Session)]
#[session(name = "till", version = 3)]
#[cascade(datastore)]
pub(crate) struct Till {
    pub(crate) visits: u64,
}

pub(crate) fn meta() -> Meta {
    let mut nonces = Nonces::default();
    nonces.push(Nonce(7));
    nonces.push(Nonce(u64::MAX));
    Meta {
        created: Millis(0),
        renewed: Millis(23),
        deadline: Millis(u64::from(u32::MAX) + 1),
        secret: SecretHash([7; 32]),
        previous: Some((SecretHash([9; 32]), Millis(256))),
        commits: 65_536,
        nonces,
        idle: None,
        persistent: None,
        owner: None,
    }
}

fn empty() -> Record {
    Record::new(Till::SCHEMA, &meta())
}

/// A field's new value; `None` removes it.
type Edit = (String, Option<Vec<u8>>);

fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    // Few names, so that edits meet; some longer than a one-byte head can tell; some not ASCII.
    let name = prop_oneof!["[a-d]{0,3}", "[ab]{22,26}", "[äß]{1,2}"];
    let value = prop_oneof![
        Just(None),
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(Some),
        Just(Some(vec![1; 300])),
    ];
    proptest::collection::vec((name, value), 0..most)
}

/// The oracle: fields in the order of their encoded names.
fn edit(model: &mut BTreeMap<(usize, String), Vec<u8>>, (name, value): &Edit) {
    let key = (name.len(), name.clone());
    match value {
        Some(value) => model.insert(key, value.clone()),
        None => model.remove(&key),
    };
}

proptest! {
    #[test]
    fn drafts_write_what_was_set_and_leave_the_rest(drafts in proptest::collection::vec(edits(12), 0..5)) {
        let (mut record, mut model) = (empty(), BTreeMap::new());
        for edits in &drafts {
            let mut draft = record.draft();
            for (name, value) in edits {
                match value {
                    Some(value) => draft.set(name.as_str(), value.as_slice()),
                    None => draft.remove(name.as_str()),
                }
            }
            record = draft.finish();
            for each in edits {
                edit(&mut model, each);
            }
            let fields: Vec<_> = record.fields().map(|(name, value)| (name, value.to_vec())).collect();
            let expected: Vec<_> = model.iter().map(|((_, name), value)| (name.as_str(), value.clone())).collect();
            prop_assert_eq!(fields, expected);
        }
        assert_deterministic(record.bytes());
        let read = Record::decode(record.bytes()).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert!(read.fields().eq(record.fields()));
        prop_assert_eq!((read.name(), read.version(), read.meta()), ("till", 3, &meta()));
        for ((_, name), value) in &model {
            prop_assert_eq!(record.field(name), Some(&value[..]));
        }
        prop_assert_eq!(record.field("never set"), None);
    }

    #[test]
    fn any_meta_is_read_as_it_was_written(
        times: [u64; 3],
        previous: Option<([u8; 32], u64)>,
        idle in proptest::option::of(any::<u64>().prop_map(Duration::from_millis)),
        persistent: Option<bool>,
    ) {
        let [created, renewed, deadline] = times.map(Millis);
        let previous = previous.map(|(secret, until)| (SecretHash(secret), Millis(until)));
        let meta = Meta { created, renewed, deadline, previous, idle, persistent, ..meta() };
        let record = Record::new(Till::SCHEMA, &meta);
        assert_deterministic(record.bytes());
        let read = Record::decode(record.bytes()).unwrap();
        prop_assert_eq!(read.meta(), &meta);
    }

    #[test]
    fn a_truncated_record_is_refused(edits in edits(6), cut in any::<prop::sample::Index>()) {
        let empty = empty();
        let mut draft = empty.draft();
        for (name, value) in edits {
            draft.set(name, value.unwrap_or_default());
        }
        let record = draft.finish();
        let bytes = record.bytes();
        prop_assert!(Record::decode(&bytes.slice(..cut.index(bytes.len()))).is_err());
    }
}

/// The items of the record, by ciborium.
pub(crate) fn items(record: &Record) -> Vec<Value> {
    match ciborium::from_reader(&record.bytes()[..]).unwrap() {
        Value::Tag(55799, content) => content.into_array().unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn of_items(items: Vec<Value>) -> Bytes {
    let mut bytes = Vec::new();
    ciborium::into_writer(&Value::Tag(55799, Box::new(Value::Array(items))), &mut bytes).unwrap();
    bytes.into()
}

pub(crate) fn small() -> Record {
    let empty = empty();
    let mut draft = empty.draft();
    draft.set("a", &[1][..]);
    draft.set("b", &[2][..]);
    draft.finish()
}

#[test]
fn another_tool_writes_the_same_record() {
    assert_eq!(of_items(items(&small())), small().bytes());
}

#[test]
fn fields_with_long_heads_are_read_and_written_shortest() {
    let short = small();
    let at = short.bytes().len() - 2 * b"\x61a\xd8\x18\x41\x01".len();
    let mut bytes = short.bytes()[..at].to_vec();
    // The same two fields, the heads of name, tag and value longer than needed.
    bytes.extend_from_slice(b"\x78\x01a\xd9\x00\x18\x58\x01\x01");
    bytes.extend_from_slice(b"\x61b\xd8\x18\x59\x00\x01\x02");
    let read = Record::decode(&bytes.into()).unwrap();
    assert!(read.fields().eq(short.fields()));
    let mut draft = read.draft();
    draft.set("b", &[3][..]);
    assert_deterministic(draft.finish().bytes());
    let mut draft = short.draft();
    draft.set("b", &[3][..]);
    let expected = draft.finish();
    let mut draft = read.draft();
    draft.set("b", &[3][..]);
    assert_eq!(draft.finish(), expected);
}

#[test]
fn what_is_wrong_with_a_record_is_named() {
    type Fields = Vec<(Value, Value)>;
    let corrupted = |corrupt: &dyn Fn(&mut Vec<Value>)| {
        let mut items = items(&small());
        corrupt(&mut items);
        Record::decode(&of_items(items)).unwrap_err().to_string()
    };
    let fields = |items: &mut Vec<Value>, change: &dyn Fn(&mut Fields)| {
        change(items.last_mut().unwrap().as_map_mut().unwrap());
    };
    let cases = [
        (
            corrupted(&|items| items[0] = 2.into()),
            "the record has format 2, written by a newer binary",
        ),
        (
            corrupted(&|items| items[2] = (1_u64 << 32).into()),
            "its version is out of range",
        ),
        (
            corrupted(&|items| _ = items.pop()),
            "its CBOR is malformed or not that of one",
        ),
        (
            corrupted(&|items| fields(items, &|map| map.reverse())),
            "its fields are out of order, or one is duplicated",
        ),
        (
            corrupted(&|items| fields(items, &|map| map[1].0 = map[0].0.clone())),
            "its fields are out of order, or one is duplicated",
        ),
        (
            corrupted(&|items| fields(items, &|map| map[0].1 = Value::Tag(25, Box::new(Value::Bytes(vec![1]))))),
            "the tag of a field is out of range",
        ),
        (
            corrupted(&|items| fields(items, &|map| map[0].1 = Value::Bytes(vec![1]))),
            "its CBOR is malformed or not that of one",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}");
    }
}

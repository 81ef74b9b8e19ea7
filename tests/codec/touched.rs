//! Counts that a lazy field is decoded only on access, and a field encoded only if it is touched.

use std::cell::Cell;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use crate::record::meta;

thread_local! {
    static DECODED: Cell<u32> = const { Cell::new(0) };
    static ENCODED: Cell<u32> = const { Cell::new(0) };
}

/// Counts, for each thread, how often one was decoded and encoded.
#[derive(Default)]
struct Counted(u8);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED.set(ENCODED.get() + 1);
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.set(DECODED.get() + 1);
        u8::deserialize(deserializer).map(Self)
    }
}

/// How often one was decoded and encoded since the last call.
fn counts() -> (u32, u32) {
    (DECODED.take(), ENCODED.take())
}

#[derive(Session)]
#[session(name = "lazy", version = 1)]
#[cascade(datastore)]
struct Lazy {
    #[session(lazy)]
    one: Counted,
    #[session(lazy)]
    other: Counted,
}

#[derive(Session)]
#[session(name = "eager", version = 1)]
#[cascade(datastore)]
struct Eager {
    one: Counted,
    other: Counted,
}

fn stored<T: Session>() -> Record {
    let empty = Record::new(T::SCHEMA, &meta());
    let mut draft = empty.draft();
    draft.set("one", &[1][..]);
    draft.set("other", &[2][..]);
    draft.finish()
}

fn changed<T: Session>(fields: &T::Fields) -> usize {
    Changes::collect::<T>(fields).unwrap().len()
}

#[test]
fn an_unchanged_session_encodes_nothing() {
    let fields = Eager::open(&stored::<Eager>()).unwrap();
    assert_eq!(fields.one().0, 1);
    assert_eq!(changed::<Eager>(&fields), 0);
    assert_eq!(counts(), (2, 0));
}

#[test]
fn a_lazy_field_is_decoded_once_on_first_access() {
    let fields = Lazy::open(&stored::<Lazy>()).unwrap();
    assert_eq!(changed::<Lazy>(&fields), 0);
    assert_eq!(counts(), (0, 0));
    for _ in 0..2 {
        assert_eq!(fields.other().unwrap().0, 2);
    }
    assert_eq!(changed::<Lazy>(&fields), 0);
    assert_eq!(counts(), (1, 0));
}

#[test]
fn only_the_field_that_is_touched_is_encoded() {
    let record = stored::<Lazy>();
    let mut fields = Lazy::open(&record).unwrap();
    fields.other_mut().unwrap().0 += 1;
    let changes = Changes::collect::<Lazy>(&fields).unwrap();
    let mut draft = record.draft();
    changes.apply(Lazy::SCHEMA, &mut draft).unwrap();
    let written = draft.finish();
    assert_eq!(counts(), (1, 1));
    assert_eq!(written.field("one"), Some(&[1][..]));
    assert_eq!(written.field("other"), Some(&[3][..]));
}

#[test]
fn a_lazy_field_that_is_replaced_is_not_decoded() {
    let mut fields = Lazy::open(&stored::<Lazy>()).unwrap();
    fields.set_other(Counted(9));
    assert_eq!(changed::<Lazy>(&fields), 1);
    assert_eq!(counts(), (0, 1));
}

#[test]
fn a_touched_field_with_its_old_value_is_no_change() {
    let mut fields = Eager::open(&stored::<Eager>()).unwrap();
    fields.one_mut().0 = 1;
    assert_eq!(changed::<Eager>(&fields), 0);
    assert_eq!(counts(), (2, 1));
}

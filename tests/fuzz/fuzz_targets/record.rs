//! Any bytes, decoded as a record and opened as a session: no panic; what was decoded is written back unchanged, and can
//! be opened again after a migration.
#![no_main]

use std::num::ParseIntError;

use libfuzzer_sys::fuzz_target;
use session_runtime::Session;
use session_runtime::__private::cascade::envelope;
use session_runtime::__private::session::{changes::Changes, migrate::migrate};
use session_runtime::__private::session::record::Record;

#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(datastore)]
struct ShopV1 {
    #[session(on_invalid = default)]
    visits: u8,
    comment: Option<String>,
    price: String,
}

#[derive(Session)]
#[session(name = "shop", version = 2, previous = ShopV1)]
#[cascade(datastore)]
struct ShopV2 {
    #[session(merge = add, on_invalid = default)]
    visits: u64,
    #[session(lazy, on_invalid = default)]
    comment: Option<String>,
    #[session(flash)]
    notices: Vec<String>,
}

impl From<ShopV1> for ShopV2 {
    fn from(old: ShopV1) -> Self {
        Self {
            visits: old.visits.into(),
            comment: old.comment,
            notices: vec![old.price],
        }
    }
}

#[derive(Session)]
#[session(name = "shop", version = 3, removed("notices"))]
#[cascade(datastore)]
struct ShopV3 {
    #[session(on_invalid = default)]
    visits: u64,
    #[session(was("note", "comment"))]
    remark: Option<String>,
    #[session(upgrade(1, parse))]
    price: u32,
}

fn parse(old: String) -> Result<u32, ParseIntError> {
    old.parse()
}

/// A record that opens can be migrated, opened again, and written to.
fn open<T: Session>(record: &Record, write: impl FnOnce(&mut T::Fields)) {
    let Ok(mut fields) = T::open(record) else { return };
    let Ok(migrated) = migrate::<T>(record) else { return };
    assert_eq!(
        (migrated.version(), migrated.fingerprint()),
        (T::SCHEMA.version, T::SCHEMA.fingerprint)
    );
    T::open(&migrated)
        .map(drop)
        .expect("a migrated record opens");
    write(&mut fields);
    let Ok(changes) = Changes::collect::<T>(&fields) else {
        return;
    };
    let mut draft = migrated.draft();
    if changes.apply(T::SCHEMA, &mut draft).is_ok() {
        let written = draft.finish();
        assert_eq!(Record::decode(written.bytes()).expect("a written record decodes"), written);
        T::open(&written).map(drop).expect("a written record opens");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let _ = envelope::payload(bytes);
    let Ok(record) = Record::decode(&bytes.to_vec().into()) else {
        return;
    };
    assert_eq!(Record::decode(record.bytes()).expect("a decoded record decodes again"), record);
    // Writing a record changes nothing in it, and writing it again not even its bytes.
    let written = record.draft().finish();
    assert!(written.fields().eq(record.fields()));
    assert_eq!((written.name(), written.meta()), (record.name(), record.meta()));
    assert_eq!(written.unknown_meta(), record.unknown_meta());
    assert_eq!(written.draft().finish(), written);
    open::<ShopV1>(&record, |shop| shop.set_visits(1));
    open::<ShopV2>(&record, |shop| {
        shop.push_notices("new".into());
        shop.set_comment(None);
    });
    open::<ShopV3>(&record, |shop| *shop.visits_mut() ^= 1);
});

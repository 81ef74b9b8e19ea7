//! Records that one version of a program wrote and another one reads: the rows of the derive's table of versions
//! (`table`, `previous`), two binaries that write in turn (`rolling`), and arguments combined on one field
//! (`combined`).
//!
//! The records are files, as the old structs below wrote them. `RECORDS=overwrite` writes them anew. If that changes a
//! file, sessions that are stored today can no longer be read.

mod combined;
mod lazy;
mod previous;
mod rolling;
mod table;
mod tolerant;

use std::path::Path;

use bytes::Bytes;
use session_runtime::__private::session::meta::{Meta, Millis, Nonces, SecretHash};
use session_runtime::__private::session::record::{Draft, Record};
use session_runtime::__private::session::{changes::Changes, migrate::migrate};
use session_runtime::Session;

fn meta() -> Meta {
    Meta {
        created: Millis(1),
        renewed: Millis(2),
        deadline: Millis(3),
        secret: SecretHash([7; 32]),
        previous: None,
        commits: 0,
        nonces: Nonces::default(),
        idle: None,
        persistent: None,
        owner: None,
    }
}

/// The record that stores these fields.
fn written<T: Session>(fields: &T::Fields) -> Record {
    let opened = T::record(fields);
    edited(&Record::new(T::SCHEMA, &meta()), |draft| {
        for (index, spec) in T::SCHEMA.fields.iter().enumerate() {
            let mut value = Vec::new();
            T::slot(fields, index).unwrap().append(opened, &mut value).unwrap();
            draft.set(spec.name, value);
        }
    })
}

/// The record with an edit.
fn edited(record: &Record, edit: impl FnOnce(&mut Draft<'_>)) -> Record {
    let mut draft = record.draft();
    edit(&mut draft);
    draft.finish()
}

/// The record with other bytes for a field.
fn with(record: &Record, field: &str, value: Vec<u8>) -> Record {
    edited(record, |draft| draft.set(field.to_owned(), value))
}

/// The record in the file, which must equal what the struct writes `today`.
fn stored(name: &str, today: &Record) -> Record {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("derive/records/{name}.cbor"));
    if std::env::var_os("RECORDS").is_some_and(|value| value == "overwrite") {
        std::fs::write(&path, today.bytes()).unwrap();
    }
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    assert_eq!(today.bytes(), &bytes, "{name}");
    Record::decode(&bytes).unwrap()
}

/// Opens, changes and writes.
fn change<T: Session>(record: &Record, change: impl FnOnce(&mut T::Fields)) -> Record {
    let mut fields = T::open(record).unwrap();
    change(&mut fields);
    let changes = Changes::collect::<T>(&fields).unwrap();
    let record = migrate::<T>(record).unwrap();
    let mut draft = record.draft();
    changes.apply(T::SCHEMA, &mut draft).unwrap();
    draft.finish()
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn names(record: &Record) -> Vec<&str> {
    record.fields().map(|(name, _)| name).collect()
}

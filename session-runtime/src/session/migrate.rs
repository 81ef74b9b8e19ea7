//! Migrates records and fields of earlier versions to the current one.

use std::borrow::Cow;
use std::error::Error;

use serde::de::DeserializeOwned;

use super::error::{OpenError, UpgradeError};
use super::record::Record;
use super::schema::Schema;
use super::{Migrate, Session};
use crate::cbor;

/// The record as the current version of the session writes it.
pub fn migrate<T: Session>(record: &Record) -> Result<Cow<'_, Record>, OpenError> {
    if record.has_name(T::SCHEMA.name) && is_current::<T>(record) {
        return Ok(Cow::Borrowed(record));
    }
    record.check_schema(T::SCHEMA)?;
    migrate_any_name::<T>(record)
}

/// Whether a struct just like this one wrote the record, so that there is nothing to migrate.
fn is_current<T: Session>(record: &Record) -> bool {
    let schema = T::SCHEMA;
    record.is_written_by(schema) && !schema.fields.iter().any(|spec| spec.default_on_invalid)
}

/// As [`migrate`], whatever the record's name: it may be that of a later version's struct.
fn migrate_any_name<T: Session>(record: &Record) -> Result<Cow<'_, Record>, OpenError> {
    let schema = T::SCHEMA;
    if is_current::<T>(record) {
        return Ok(Cow::Borrowed(record));
    }
    // By way of each earlier struct, so that a field that one of them has to quarantine is kept.
    let before = match T::MIGRATE_TO_PREVIOUS {
        Some(migrate) if record.version() < schema.version => migrate(record)?,
        _ => Cow::Borrowed(record),
    };
    let fields = T::decode_fields(&before)?;
    let opened = T::record(&fields);
    let mut draft = before.draft();
    for (index, spec) in schema.fields.iter().enumerate() {
        let Some(slot) = T::slot(&fields, index) else { continue };
        match slot.base(opened) {
            _ if slot.is_stored(opened) => {}
            Some(base) => draft.set(spec.name, base),
            // It did not decode; its bytes are quarantined below.
            None => draft.remove(spec.name),
        }
        match slot.quarantined(opened) {
            Some((name, Some(bytes))) => draft.set(name, bytes),
            Some((name, None)) => draft.remove(name),
            None => {}
        }
    }
    if record.version() < schema.version {
        schema.obsolete_names().for_each(|name| draft.remove(name));
    }
    schema.removed.iter().for_each(|name| draft.remove(*name));
    (draft.name, draft.version, draft.fingerprint) = (schema.name, schema.version, schema.fingerprint);
    Ok(Cow::Owned(draft.finish()))
}

/// The version before this one, as named by `previous = ...`.
pub struct Previous<T> {
    schema: &'static Schema,
    migrate: Migrate,
    open: fn(&Record) -> Result<T, OpenError>,
}

impl<T> Previous<T> {
    /// `P`, whose version must be the one just before `version`.
    ///
    /// # Panics
    /// Where it is not. The derive calls this in a static, so that it is a compile error.
    #[must_use]
    #[track_caller] // The compile error then points at the attribute alone.
    pub const fn of<P>(version: u32) -> Self
    where
        P: Session,
        T: From<P>,
    {
        assert!(
            P::SCHEMA.version == version.saturating_sub(1),
            "a version is missing: `previous` must name the session of the version just before this one"
        );
        Self {
            schema: P::SCHEMA,
            migrate: migrate_any_name::<P>,
            open: |record| Ok(T::from(P::into_value(P::decode_fields(record)?)?)),
        }
    }

    /// The schema of that version.
    pub const fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Migrates an older record to that version.
    pub const fn migrate(&self) -> Migrate {
        self.migrate
    }

    /// Opens a record of that version, or an older one, and converts it into the current struct.
    pub fn open(&self, record: &Record) -> Result<T, OpenError> {
        (self.open)(record)
    }
}

/// The first step of a field's upgrade: decodes the bytes that the old version wrote, and converts the value.
pub fn upgrade_first<A, B, E>(bytes: &[u8], step: impl FnOnce(A) -> Result<B, E>) -> Result<B, UpgradeError>
where
    A: DeserializeOwned,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let old = cbor::from_slice(bytes).map_err(|error| UpgradeError::new("decode", error));
    upgrade_then(old, step)
}

/// A further step of a field's upgrade.
pub fn upgrade_then<A, B, E>(
    old: Result<A, UpgradeError>,
    step: impl FnOnce(A) -> Result<B, E>,
) -> Result<B, UpgradeError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    step(old?).map_err(|error| UpgradeError::new("upgrade", error))
}

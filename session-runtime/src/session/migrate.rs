//! Brings records of earlier versions up to the present one.

use std::borrow::Cow;

use super::record::Record;
use super::{OpenError, Session};

/// The record as the present program writes it.
pub fn migrate<T: Session>(record: &Record) -> Result<Cow<'_, Record>, OpenError> {
    let schema = T::SCHEMA;
    let same = (record.version(), record.fingerprint()) == (schema.version, schema.fingerprint);
    if same && !schema.fields.iter().any(|spec| spec.default_on_invalid) {
        return Ok(Cow::Borrowed(record));
    }
    // As each struct before this one would have written it: what one of them had to quarantine is kept.
    let before = match schema.migrate_to_previous {
        Some(migrate) if record.version() < schema.version => migrate(record)?,
        _ => Cow::Borrowed(record),
    };
    let fields = T::open(&before)?;
    let opened = T::record(&fields);
    let mut draft = before.draft();
    for (index, spec) in schema.fields.iter().enumerate() {
        let Some(slot) = T::slot(&fields, index) else { continue };
        match slot.base(opened) {
            _ if slot.is_stored(opened) => {}
            Some(base) => draft.set(spec.name, base),
            // It did not decode, and is quarantined.
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
    (draft.version, draft.fingerprint) = (schema.version, schema.fingerprint);
    Ok(Cow::Owned(draft.finish()))
}

use std::error::Error;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Slot;
use super::base::Base;
use super::cursor::FieldCursor;
use super::quarantine::QuarantinedField;
use crate::cbor::{self, DecodeError, EncodeError};
use crate::session::error::{FieldError, UpgradeError};
use crate::session::record::Record;
use crate::session::schema::{FieldSpec, Schema};

/// A field's type that has a default.
#[diagnostic::on_unimplemented(
    message = "a session's field needs a default, and `{Self}` has none",
    label = "no default",
    note = "put `#[session(default = ...)]` on the field, or implement `Default` for `{Self}`"
)]
pub trait FieldDefault: Sized {
    /// The value in a new session.
    fn field_default() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> FieldDefault for T {
    fn field_default() -> Self {
        Self::default()
    }
}

/// A field's type that can be stored.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored in a session: serde does not know how to write and read it",
    label = "cannot be stored",
    note = "put `#[derive(serde::Serialize, serde::Deserialize)]` on the type, and on those that it is made of"
)]
pub trait FieldValue: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> FieldValue for T {}

/// A field's type that the threads of a server can share.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be in a session: it is not `Send` and `Sync`, and a request may go from thread to thread",
    label = "not for several threads",
    note = "take the value itself in place of a `Cell` or a `RefCell`, and `Arc` in place of `Rc`"
)]
pub trait FieldShared: Send + Sync {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync> FieldShared for T {}

type Boxed = Box<dyn Error + Send + Sync>;

/// Upgrades the bytes in a record of that version to the current value; `None` where no step is needed.
type UpgradeFn<T> = fn(u32, &[u8]) -> Option<Result<T, UpgradeError>>;

/// A value, and its encoding where that is not what is stored.
type Read<T> = (T, Option<Box<[u8]>>);

/// How a field of type `T` is decoded and encoded. The derive makes a static for each field.
///
/// Only [`field`] has serde's traits as bounds, so that rustc reports a type without them once.
pub struct Field<T: 'static> {
    schema: &'static Schema,
    pub(super) spec: &'static FieldSpec,
    default: fn() -> T,
    decode: fn(&[u8]) -> Result<T, DecodeError>,
    append: fn(&T, &mut Vec<u8>) -> Result<(), EncodeError>,
    upgrade: Option<UpgradeFn<T>>,
}

/// The field at `index` of the schema.
pub const fn field<T: FieldValue + FieldShared>(schema: &'static Schema, index: usize, default: fn() -> T) -> Field<T> {
    Field {
        schema,
        spec: &schema.fields[index],
        default,
        decode: |bytes| cbor::from_slice(bytes),
        append: |value, out| cbor::append(value, out),
        upgrade: None,
    }
}

impl<T> Field<T> {
    /// With the steps of `upgrade(...)`.
    #[must_use]
    pub const fn upgrade(self, upgrade: UpgradeFn<T>) -> Self {
        Self {
            upgrade: Some(upgrade),
            ..self
        }
    }

    /// Appends the encoded default to `out`; leaves `out` unchanged on error.
    pub fn append_default(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.append(&self.default_value(), out)
    }

    pub(super) fn default_value(&self) -> T {
        (self.default)()
    }

    pub(super) fn append(&self, value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        (self.append)(value, out)
    }

    pub(super) fn encode(&self, value: &T) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.append(value, &mut out)?;
        Ok(out)
    }

    pub(super) fn decode_present(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        (self.decode)(bytes)
    }

    pub(super) fn version(&self) -> u32 {
        self.schema.version
    }

    pub(super) fn defaults_on_invalid(&self) -> bool {
        self.spec.default_on_invalid
    }

    pub(super) fn error(&self, doing: &'static str, source: impl Into<Boxed>) -> FieldError {
        FieldError::new(self.schema.name, self.name(), doing, source)
    }

    fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Decodes the field of a record; the default where the record has none.
    pub fn open(&'static self, cursor: &mut FieldCursor<'_>) -> Result<Slot<T>, FieldError> {
        let record = cursor.record;
        let Some((version, bytes, quarantined)) = self.quarantined(record) else {
            return self.open_stored(cursor);
        };
        let (slot, quarantined) = match (cursor.find(self.spec), self.read(version, bytes)) {
            // A binary that does not know of quarantined fields has written the field since, and its value wins. In a
            // record of another version it need not be a write: it may be the value that a conversion from the struct
            // before this one gave it. The quarantined bytes are then kept.
            (Some((range, is_stored)), _) => {
                let slot = self.open_at(record.version(), record.bytes(), range, is_stored)?;
                let is_written = version == record.version() && slot.quarantined.is_none();
                let quarantined = if is_written {
                    quarantined.released()
                } else {
                    quarantined
                };
                (slot, quarantined)
            }
            // This binary can decode what another one had to quarantine, and restores it.
            (None, Ok((value, upgraded))) => {
                let base = Base::Own(upgraded.unwrap_or_else(|| bytes.into()));
                (self.slot(value, base, false), quarantined.released())
            }
            (None, Err(_)) => (Slot::with_default(self), quarantined),
        };
        Ok(Slot {
            quarantined: slot.quarantined.or(Some(Box::new(quarantined))),
            ..slot
        })
    }

    fn open_stored(&'static self, cursor: &mut FieldCursor<'_>) -> Result<Slot<T>, FieldError> {
        let found = cursor.find(self.spec);
        self.open_found(cursor.record, found)
    }

    pub(super) fn open_found(
        &'static self,
        record: &Record,
        found: Option<(Range<usize>, bool)>,
    ) -> Result<Slot<T>, FieldError> {
        match found {
            Some((range, is_stored)) => self.open_at(record.version(), record.bytes(), range, is_stored),
            None => Ok(Slot::with_default(self)),
        }
    }

    pub(super) fn quarantined<'a>(&self, record: &'a Record) -> Option<(u32, &'a [u8], QuarantinedField)> {
        self.spec
            .default_on_invalid
            .then(|| QuarantinedField::find(record, self.name()))
            .flatten()
    }

    /// A slot from the bytes in a record of `version`. Where they do not decode and the field is `on_invalid = default`,
    /// they are quarantined and the slot has the default.
    pub(super) fn open_at(
        &'static self,
        version: u32,
        record: &[u8],
        range: Range<usize>,
        is_stored: bool,
    ) -> Result<Slot<T>, FieldError> {
        match self.read_at(version, record, range.clone(), is_stored) {
            Err(_) if self.spec.default_on_invalid => {
                let bytes = record.get(range).unwrap_or_default();
                Ok(Slot {
                    stored: false,
                    quarantined: Some(Box::new(QuarantinedField::new(version, self.name(), bytes))),
                    ..Slot::with_default(self)
                })
            }
            read => read,
        }
    }

    fn read_at(
        &'static self,
        version: u32,
        record: &[u8],
        range: Range<usize>,
        is_stored: bool,
    ) -> Result<Slot<T>, FieldError> {
        let read = self.read(version, record.get(range.clone()).unwrap_or_default())?;
        Ok(match read {
            (value, None) => self.slot(value, Base::Stored(range), is_stored),
            (value, Some(upgraded)) => self.slot(value, Base::Own(upgraded), false),
        })
    }

    fn slot(&'static self, value: T, base: Base, stored: bool) -> Slot<T> {
        Slot {
            base,
            stored,
            ..Slot::new(self, value)
        }
    }

    /// The value of the bytes in a record of `version`; where it needed an upgrade, with its current encoding.
    fn read(&self, version: u32, bytes: &[u8]) -> Result<Read<T>, FieldError> {
        match self.upgrade.and_then(|upgrade| upgrade(version, bytes)) {
            Some(Ok(value)) => {
                let bytes = self.encode(&value).map_err(|error| self.error("encode", error))?;
                Ok((value, Some(bytes.into())))
            }
            Some(Err(error)) => Err(error.in_field(self.schema.name, self.name())),
            None => match (self.decode)(bytes) {
                Ok(value) => Ok((value, None)),
                Err(error) => Err(self.error("decode", error)),
            },
        }
    }
}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema.name, self.name())
    }
}

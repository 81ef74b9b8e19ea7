//! One field of an open session: its value, the bytes that it was decoded from, and whether it was touched.

mod autoref;
mod base;
mod cursor;
mod field;
mod lazy;
mod quarantine;

use std::fmt;

use super::error::FieldError;
use crate::cbor::EncodeError;
pub use autoref::{Copier, DebugProbe, Redacted, ViaClone, ViaCodec, ViaDebug, ViaPlaceholder};
use base::Base;
pub use cursor::FieldCursor;
pub use field::{Field, FieldDefault, field};
pub use lazy::LazySlot;
use quarantine::QuarantinedField;
pub(crate) use quarantine::drop_quarantined;

/// A field of any type, as a commit needs it. `record` is the bytes of the record that the session was opened from.
pub trait AnySlot {
    /// Whether the value may differ from [`base`](Self::base), because it was borrowed mutably, set, or taken.
    fn is_touched(&self) -> bool;

    /// Whether the value was replaced as a whole: that is a write even where the new value is the old one.
    fn is_set(&self) -> bool;

    /// The bytes of the value when the record was opened, as the current version encodes it; `None` where the record had
    /// no such field, or one that does not decode.
    fn base<'a>(&'a self, record: &'a [u8]) -> Option<&'a [u8]>;

    /// Whether the record has [`base`](Self::base) under the field's current name. It has not after an upgrade, after a
    /// rename, or where the field's bytes were quarantined.
    fn is_stored(&self, record: &[u8]) -> bool;

    /// Appends the encoded value to `out`; leaves `out` unchanged on error.
    fn append(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// The name under which the record keeps quarantined bytes of the field, and these bytes; `None` for the bytes where
    /// the record is to drop them. No field can have such a name, as it is not an identifier.
    fn quarantined(&self, record: &[u8]) -> Option<(&str, Option<&[u8]>)>;
}

/// A field that is decoded when the record is opened.
pub struct Slot<T: 'static> {
    field: &'static Field<T>,
    value: T,
    base: Base,
    stored: bool,
    touched: bool,
    set: bool,
    quarantined: Option<Box<QuarantinedField>>,
}

impl<T> Slot<T> {
    /// A field that is in no record yet.
    pub fn with_default(field: &'static Field<T>) -> Self {
        Self::new(field, field.default_value())
    }

    /// A field of a value that was converted from an earlier version's struct.
    pub fn migrated(field: &'static Field<T>, value: T) -> Result<Self, FieldError> {
        let base = field.encode(&value).map_err(|error| field.error("encode", error))?;
        Ok(Self {
            base: Base::Own(base.into()),
            stored: false,
            ..Self::new(field, value)
        })
    }

    fn new(field: &'static Field<T>, value: T) -> Self {
        Self {
            field,
            value,
            base: Base::None,
            stored: true,
            touched: false,
            set: false,
            quarantined: None,
        }
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The value, to be changed.
    pub fn get_mut(&mut self) -> &mut T {
        self.touched = true;
        &mut self.value
    }

    /// Replaces the value.
    pub fn set(&mut self, value: T) {
        self.touched = true;
        self.set = true;
        self.value = value;
    }

    /// Consumes the slot for its value.
    pub fn into_value(self) -> T {
        self.value
    }

    /// Copies the value, whether or not its type is `Clone`.
    pub fn copier<'a>(&'a self, record: &'a [u8]) -> Copier<'a, T> {
        Copier::new(self, record)
    }
}

/// How many messages a `flash` field keeps: more than a page shows, and few enough that those of a visitor who reads none
/// do not fill the record, whose every write would then be refused.
const MAX_MESSAGES: usize = 32;

impl<T> Slot<Vec<T>> {
    /// Appends a message, in place of the oldest where there are as many as are kept.
    pub fn push(&mut self, message: T) {
        self.touched = true;
        // Merged with what others added, there may be more.
        let surplus = (self.value.len() + 1).saturating_sub(MAX_MESSAGES);
        self.value.drain(..surplus);
        self.value.push(message);
    }

    /// Takes all messages. The field counts as touched if there were any.
    pub fn take(&mut self) -> Vec<T> {
        self.touched |= !self.value.is_empty();
        std::mem::take(&mut self.value)
    }
}

/// Shows the session, the field and its state, but not the value, which may be secret.
impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("field", self.field)
            .field("stored", &self.stored)
            .field("touched", &self.touched)
            .finish_non_exhaustive()
    }
}

impl<T> AnySlot for Slot<T> {
    fn is_touched(&self) -> bool {
        self.touched
    }

    fn is_set(&self) -> bool {
        self.set
    }

    fn base<'a>(&'a self, record: &'a [u8]) -> Option<&'a [u8]> {
        self.base.bytes(record)
    }

    fn is_stored(&self, _: &[u8]) -> bool {
        self.stored
    }

    fn append(&self, _: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.field.append(&self.value, out)
    }

    fn quarantined(&self, _: &[u8]) -> Option<(&str, Option<&[u8]>)> {
        self.quarantined.as_ref().map(|quarantined| quarantined.entry())
    }
}

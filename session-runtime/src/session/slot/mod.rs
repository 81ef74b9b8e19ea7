//! One field of an open session: its value, the bytes it came from, and whether it was touched.

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

/// A field, whatever its type, as a commit sees it.
///
/// `record` is always the bytes of the record that the session was opened from.
pub trait AnySlot {
    /// Whether the value may differ from [`base`](Self::base): it was borrowed mutably, set, or taken.
    fn is_touched(&self) -> bool;

    /// The bytes that the value had when the record was opened, as the present version would write them; `None` where
    /// the record had no such field, or none that decodes.
    fn base<'a>(&'a self, record: &'a [u8]) -> Option<&'a [u8]>;

    /// Whether [`base`](Self::base) is what the record holds under the field's present name. It is not after an
    /// upgrade or a rename, nor where `on_invalid = default` stepped in.
    fn is_stored(&self, record: &[u8]) -> bool;

    /// Encodes the value behind what `out` holds; after an error `out` is as it was.
    fn append(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// What the record should hold beside the field when it is written: under this name, these bytes, or nothing.
    ///
    /// `on_invalid = default` keeps the bytes that did not decode here. No field can have such a name: it is no
    /// identifier.
    fn quarantined(&self, record: &[u8]) -> Option<(&str, Option<&[u8]>)>;
}

/// A field that is decoded when the record is opened.
pub struct Slot<T: 'static> {
    field: &'static Field<T>,
    value: T,
    base: Base,
    stored: bool,
    touched: bool,
    quarantined: Option<Box<QuarantinedField>>,
}

impl<T> Slot<T> {
    /// A field that no record holds yet.
    pub fn with_default(field: &'static Field<T>) -> Self {
        Self::new(field, field.default_value())
    }

    /// A field that an earlier version's struct was turned into.
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
        self.value = value;
    }

    /// The value alone.
    pub fn into_value(self) -> T {
        self.value
    }

    /// To copy the value, whether or not its type is `Clone`.
    pub fn copier<'a>(&'a self, record: &'a [u8]) -> Copier<'a, T> {
        Copier::new(self, record)
    }
}

impl<T> Slot<Vec<T>> {
    /// Adds one.
    pub fn push(&mut self, item: T) {
        self.touched = true;
        self.value.push(item);
    }

    /// Takes all that there are; touches nothing where there are none.
    pub fn take(&mut self) -> Vec<T> {
        self.touched |= !self.value.is_empty();
        std::mem::take(&mut self.value)
    }
}

/// The session, the field and its state. Never the value, which may be a secret.
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

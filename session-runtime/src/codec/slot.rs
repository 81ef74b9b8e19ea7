//! One field of an open session: its value, the bytes it came from, and whether it was touched.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::Record;
use super::{EncodeError, FieldError, cbor};
use crate::session::{FieldSpec, Schema};

/// A field, whatever its type, as a commit sees it.
pub trait AnySlot {
    /// Whether the value may differ from [`base`](Self::base): it was borrowed mutably, set, or taken.
    fn is_touched(&self) -> bool;

    /// The bytes that the value had when the record was opened, as the present version would write them; `None` where
    /// the record had no such field.
    fn base(&self) -> Option<&Bytes>;

    /// Whether [`base`](Self::base) is what the record holds under the field's present name. It is not after an
    /// upgrade or a rename.
    fn is_stored(&self) -> bool;

    /// The value's bytes.
    fn encode(&self) -> Result<Bytes, EncodeError>;
}

/// A field that is decoded when the record is opened.
#[derive(Debug)]
pub struct Slot<T> {
    value: T,
    base: Option<Bytes>,
    stored: bool,
    touched: bool,
}

impl<T> Slot<T> {
    /// A field that no record holds yet.
    pub fn fresh(value: T) -> Self {
        Self {
            value,
            base: None,
            stored: true,
            touched: false,
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
}

impl<T: DeserializeOwned> Slot<T> {
    /// Decodes the field out of `record`; `default` where the record has none.
    pub fn open(
        record: &Record,
        schema: &'static Schema,
        spec: &'static FieldSpec,
        default: impl FnOnce() -> T,
    ) -> Result<Self, FieldError> {
        let (bytes, stored) = match record.field(spec.name) {
            Some(bytes) => (bytes, true),
            None => match spec.was.iter().find_map(|name| record.field(name)) {
                Some(bytes) => (bytes, false),
                None => return Ok(Self::fresh(default())),
            },
        };
        let value =
            cbor::from_slice(bytes).map_err(|error| FieldError::new(schema.name, spec.name, "decode", error))?;
        Ok(Self {
            value,
            base: Some(bytes.clone()),
            stored,
            touched: false,
        })
    }
}

impl<T: Serialize> AnySlot for Slot<T> {
    fn is_touched(&self) -> bool {
        self.touched
    }

    fn base(&self) -> Option<&Bytes> {
        self.base.as_ref()
    }

    fn is_stored(&self) -> bool {
        self.stored
    }

    fn encode(&self) -> Result<Bytes, EncodeError> {
        cbor::to_vec(&self.value).map(Bytes::from)
    }
}

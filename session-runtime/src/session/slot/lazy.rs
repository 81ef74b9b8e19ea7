use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use super::base::Base;
use super::cursor::FieldCursor;
use super::{AnySlot, Copier, Field, Slot};
use crate::cbor::EncodeError;
use crate::session::error::FieldError;

/// The cause of an error that cannot occur: a slot is decoded before its value is taken.
const VALUE_MISSING: &str = "the decoded value is missing; this is a bug in session-runtime";

/// A field that is decoded on first access.
///
/// Only bytes that a struct just like this one wrote are left undecoded. Older ones are upgraded when the record is
/// opened, so that errors in them are found then.
pub struct LazySlot<T: 'static> {
    field: &'static Field<T>,
    /// Where its bytes are in the record, if the current version wrote them.
    range: Option<Range<usize>>,
    /// Boxed, so that a session whose lazy fields are not accessed stays small.
    slot: OnceLock<Box<Slot<T>>>,
}

impl<T> LazySlot<T> {
    /// A field that is in no record yet.
    pub fn with_default(field: &'static Field<T>) -> Self {
        Self {
            field,
            range: None,
            slot: OnceLock::new(),
        }
    }

    /// A field of a value that was converted from an earlier version's struct.
    pub fn migrated(field: &'static Field<T>, value: T) -> Result<Self, FieldError> {
        Slot::migrated(field, value).map(Self::from)
    }

    pub(super) fn undecoded(field: &'static Field<T>, range: Range<usize>) -> Self {
        Self {
            field,
            range: Some(range),
            slot: OnceLock::new(),
        }
    }

    fn decoded(&self, record: &[u8]) -> Result<&Slot<T>, FieldError> {
        if let Some(slot) = self.slot.get() {
            return Ok(slot);
        }
        let slot = match &self.range {
            Some(range) => self.field.open_at(self.field.version(), record, range.clone(), true)?,
            None => Slot::with_default(self.field),
        };
        Ok(self.slot.get_or_init(|| Box::new(slot)))
    }

    /// The slot, if the field has been decoded. One with `on_invalid = default` is decoded here: only that tells whether
    /// its bytes are to be quarantined.
    fn slot_if_known(&self, record: &[u8]) -> Option<&Slot<T>> {
        if self.field.defaults_on_invalid() {
            return self.decoded(record).ok();
        }
        self.slot.get().map(|slot| &**slot)
    }

    /// The value.
    pub fn get(&self, record: &[u8]) -> Result<&T, FieldError> {
        self.decoded(record).map(Slot::get)
    }

    /// The value, to be changed.
    pub fn get_mut(&mut self, record: &[u8]) -> Result<&mut T, FieldError> {
        let field = self.field;
        self.decoded(record)?;
        let slot = self.slot.get_mut();
        slot.map(|slot| slot.get_mut())
            .ok_or_else(|| field.error("decode", VALUE_MISSING))
    }

    /// Replaces the value. The old one is not decoded for that, unless its bytes may have to be quarantined.
    pub fn set(&mut self, record: &[u8], value: T) {
        self.slot_if_known(record);
        if let Some(slot) = self.slot.get_mut() {
            slot.set(value);
            return;
        }
        self.slot = OnceLock::from(Box::new(Slot {
            base: self.range.take().map_or(Base::None, Base::Stored),
            touched: true,
            set: true,
            ..Slot::new(self.field, value)
        }));
    }

    /// Consumes the slot for its value.
    pub fn into_value(self, record: &[u8]) -> Result<T, FieldError> {
        self.decoded(record)?;
        let field = self.field;
        let slot = self.slot.into_inner();
        slot.map(|slot| slot.into_value())
            .ok_or_else(|| field.error("decode", VALUE_MISSING))
    }

    /// Copies the value, whether or not its type is `Clone`.
    pub fn copier<'a>(&'a self, record: &'a [u8]) -> Result<Copier<'a, T>, FieldError> {
        self.decoded(record).map(|slot| slot.copier(record))
    }
}

impl<T> Field<T> {
    /// As [`open`](Self::open), but without decoding the field where a struct just like this one wrote the record.
    pub fn open_lazy(&'static self, cursor: &mut FieldCursor<'_>) -> Result<LazySlot<T>, FieldError> {
        if cursor.is_same
            && !self.spec.default_on_invalid
            && let Some(range) = cursor.find_next(self.spec)
        {
            return Ok(LazySlot::undecoded(self, range));
        }
        self.open_searched(cursor)
    }

    #[inline(never)]
    fn open_searched(&'static self, cursor: &mut FieldCursor<'_>) -> Result<LazySlot<T>, FieldError> {
        if !cursor.is_same || self.quarantined(cursor.record).is_some() {
            return self.open(cursor).map(LazySlot::from);
        }
        match cursor.find(self.spec) {
            Some((range, true)) => Ok(LazySlot::undecoded(self, range)),
            None => Ok(LazySlot::with_default(self)),
            renamed => self.open_found(cursor.record, renamed).map(LazySlot::from),
        }
    }
}

impl<T> From<Slot<T>> for LazySlot<T> {
    fn from(slot: Slot<T>) -> Self {
        Self {
            field: slot.field,
            range: None,
            slot: Box::new(slot).into(),
        }
    }
}

/// Shows the session, the field and its state, but not the value, which may be secret.
impl<T> fmt::Debug for LazySlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazySlot")
            .field("field", self.field)
            .field("decoded", &self.slot.get().is_some())
            .finish_non_exhaustive()
    }
}

impl<T> AnySlot for LazySlot<T> {
    fn is_touched(&self) -> bool {
        self.slot.get().is_some_and(|slot| slot.is_touched())
    }

    fn is_set(&self) -> bool {
        self.slot.get().is_some_and(|slot| slot.is_set())
    }

    fn base<'a>(&'a self, record: &'a [u8]) -> Option<&'a [u8]> {
        match self.slot_if_known(record) {
            Some(slot) => slot.base(record),
            None => record.get(self.range.clone()?),
        }
    }

    fn is_stored(&self, record: &[u8]) -> bool {
        self.slot_if_known(record).is_none_or(|slot| slot.is_stored(record))
    }

    fn append(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match (self.slot.get(), self.base(record)) {
            (Some(slot), _) => slot.append(record, out),
            (None, Some(bytes)) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            (None, None) => self.field.append_default(out),
        }
    }

    fn quarantined(&self, record: &[u8]) -> Option<(&str, Option<&[u8]>)> {
        self.slot_if_known(record).and_then(|slot| slot.quarantined(record))
    }
}

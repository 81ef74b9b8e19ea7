//! What a field's type can do where it can, and a way round where it cannot.
//!
//! The derive calls a method on a reference to one of these structs; the compiler takes the trait that is implemented
//! for the struct itself where the bound holds, and the one for its reference where it does not.

use std::fmt;

use super::{Field, Slot};

/// A value to be copied.
pub struct Copier<'a, T: 'static> {
    field: &'static Field<T>,
    value: &'a T,
    base: Option<&'a [u8]>,
}

impl<'a, T> Copier<'a, T> {
    pub(super) fn new(slot: &'a Slot<T>, record: &'a [u8]) -> Self {
        Self {
            field: slot.field,
            value: &slot.value,
            base: slot.base.bytes(record),
        }
    }
}

/// Copies what is `Clone`.
pub trait ViaClone<T> {
    /// The copy.
    fn copy(&self) -> T;
}

impl<T: Clone> ViaClone<T> for Copier<'_, T> {
    fn copy(&self) -> T {
        self.value.clone()
    }
}

/// Copies what is not `Clone`, by its encoding.
pub trait ViaCodec<T> {
    /// The copy. A value that does not survive its own encoding cannot be committed either; the value that was loaded,
    /// or the default, stands in for it, and the mistake is logged.
    fn copy(&self) -> T;
}

impl<T> ViaCodec<T> for &Copier<'_, T> {
    fn copy(&self) -> T {
        let field = self.field;
        let copy = match field.encode(self.value) {
            Ok(bytes) => field
                .decode_present(&bytes)
                .map_err(|error| field.error("decode", error)),
            Err(error) => Err(field.error("encode", error)),
        };
        copy.unwrap_or_else(|error| {
            let cause: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error = cause, "a snapshot shows a field as it was loaded");
            self.base
                .and_then(|bytes| field.decode_present(bytes).ok())
                .unwrap_or_else(|| field.default_value())
        })
    }
}

/// A value to be shown by `Debug`.
pub struct DebugProbe<'a, T>(pub &'a T);

/// Shows what is `Debug`.
pub trait ViaDebug {
    /// What to print.
    fn debug_value(&self) -> &dyn fmt::Debug;
}

impl<T: fmt::Debug> ViaDebug for DebugProbe<'_, T> {
    fn debug_value(&self) -> &dyn fmt::Debug {
        self.0
    }
}

/// Shows what is not `Debug` as `..`.
pub trait ViaPlaceholder {
    /// What to print.
    fn debug_value(&self) -> &dyn fmt::Debug;
}

impl<T> ViaPlaceholder for &DebugProbe<'_, T> {
    fn debug_value(&self) -> &dyn fmt::Debug {
        &Redacted("..")
    }
}

/// Stands for a value that is not printed.
pub struct Redacted(pub &'static str);

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

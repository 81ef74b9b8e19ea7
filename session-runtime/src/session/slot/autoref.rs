//! Uses `Clone` and `Debug` of a field's type where it has them, and a fallback where it does not ("autoref
//! specialization").
//!
//! The derive calls a method on a reference to a [`Copier`] or a [`DebugProbe`]. The compiler prefers the trait that is
//! implemented for the struct itself, whose bound is `Clone` or `Debug`, and falls back to the one for its reference.

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

/// Copies a value that is `Clone`.
pub trait ViaClone<T> {
    /// The copy.
    fn copy(&self) -> T;
}

impl<T: Clone> ViaClone<T> for Copier<'_, T> {
    fn copy(&self) -> T {
        self.value.clone()
    }
}

/// Copies a value that is not `Clone`, by encoding and decoding it.
pub trait ViaCodec<T> {
    /// The copy. A value that cannot be encoded and decoded cannot be committed either: the error is logged, and the
    /// copy is of the value that was loaded, or the default.
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
            tracing::error!(
                error = cause,
                "a snapshot has a field's stored value: the current one cannot be copied"
            );
            self.base
                .and_then(|bytes| field.decode_present(bytes).ok())
                .unwrap_or_else(|| field.default_value())
        })
    }
}

/// A value to be printed by `Debug`.
pub struct DebugProbe<'a, T>(pub &'a T);

/// Prints a value that is `Debug`.
pub trait ViaDebug {
    /// What to print.
    fn debug_value(&self) -> &dyn fmt::Debug;
}

impl<T: fmt::Debug> ViaDebug for DebugProbe<'_, T> {
    fn debug_value(&self) -> &dyn fmt::Debug {
        self.0
    }
}

/// Prints `..` for a value that is not `Debug`.
pub trait ViaPlaceholder {
    /// What to print.
    fn debug_value(&self) -> &dyn fmt::Debug;
}

impl<T> ViaPlaceholder for &DebugProbe<'_, T> {
    fn debug_value(&self) -> &dyn fmt::Debug {
        &Redacted("..")
    }
}

/// Printed in place of a value.
pub struct Redacted(pub &'static str);

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

//! The bytes: a record and its fields as deterministic CBOR, what changed in them, and how two changes are merged.

pub mod cbor;
pub mod envelope;
mod error;
pub mod merge;
pub mod meta;
pub mod patch;
pub mod record;
pub mod slot;

pub use cbor::{DecodeError, EncodeError};
pub use error::{FieldError, OpenError};

#![doc = include_str!("merge.md")]

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cbor::{self, DecodeError, EncodeError};

mod add;
mod entries;
mod items;
mod order;
mod union;

pub use add::{MergeAdd, add};
pub use entries::{MergeEntries, MergeEntriesAdd, entries, entries_add};
pub use order::{MergeOrd, max, min};
pub use union::{MergeUnion, union};

/// The three values of a field that two writers changed, as the current version encodes them.
#[derive(Clone, Copy)]
pub struct ThreeWay<'a> {
    /// The value that both writers started from.
    pub base: &'a [u8],
    /// The value that the other writer has stored.
    pub theirs: &'a [u8],
    /// The value that this writer is about to store.
    pub ours: &'a [u8],
}

/// Shows their lengths, but not the values, which may be secret.
impl fmt::Debug for ThreeWay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreeWay")
            .field("base", &self.base.len())
            .field("theirs", &self.theirs.len())
            .field("ours", &self.ours.len())
            .finish()
    }
}

/// Reconciles two writers of one field.
pub type MergeFn = fn(&ThreeWay<'_>) -> Result<Vec<u8>, MergeError>;

/// Why two writers of one field could not be reconciled.
#[derive(Debug)]
pub struct MergeError(Kind);

#[derive(Debug)]
enum Kind {
    Rejected,
    Decode(DecodeError),
    Encode(EncodeError),
}

impl MergeError {
    /// Whether the field's strategy is `reject`, so that this is the conflict that the strategy asks for.
    pub fn is_rejected(&self) -> bool {
        matches!(self.0, Kind::Rejected)
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Rejected => "another request wrote this field first, and its strategy is `merge = reject`: load the session again and decide anew",
            Kind::Decode(_) => "a value to be merged does not decode",
            Kind::Encode(_) => "the merged value does not encode",
        })
    }
}

impl Error for MergeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Rejected => None,
            Kind::Decode(error) => Some(error),
            Kind::Encode(error) => Some(error),
        }
    }
}

impl From<DecodeError> for MergeError {
    fn from(error: DecodeError) -> Self {
        Self(Kind::Decode(error))
    }
}

impl From<EncodeError> for MergeError {
    fn from(error: EncodeError) -> Self {
        Self(Kind::Encode(error))
    }
}

/// `last_write`, the default: ours.
pub fn last_write(values: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    Ok(values.ours.to_vec())
}

/// `reject`: the later writer gets an error.
pub fn reject(_: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    Err(MergeError(Kind::Rejected))
}

/// `path::to::fn`: the value that a function of the application returns.
///
/// It is called once for each attempt of a commit, so its result must depend on its arguments alone.
pub fn with<T: Serialize + DeserializeOwned>(
    values: &ThreeWay<'_>,
    merge: fn(&T, T, T) -> T,
) -> Result<Vec<u8>, MergeError> {
    let merged = merge(
        &cbor::from_slice(values.base)?,
        cbor::from_slice(values.theirs)?,
        cbor::from_slice(values.ours)?,
    );
    Ok(cbor::to_vec(&merged)?)
}

//! Who a session belongs to: the field that says so, and what is kept of it beside the session.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Session;
use super::meta::OwnerHash;
use super::record::Record;
use super::schema::Schema;
use crate::cbor::head::{push_array, push_bytes, push_text};
use crate::cbor::{self, EncodeError};

/// A value that names an owner: a user's number, a login name, an identifier.
///
/// Equal values must always have the same encoding, in every version of the program, since what is known of an owner is
/// found by it. So neither floats nor sets of arbitrary order are owners. For a type of one's own that keeps the rule, the
/// impl is empty:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// use session_runtime::OwnerId;
///
/// #[derive(Clone, PartialEq, Serialize, Deserialize)]
/// struct UserId(u64);
///
/// impl OwnerId for UserId {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot name the owner of a session",
    label = "it is not known that equal values of this type always have the same encoding",
    note = "an owner is an integer, a `String`, an array of bytes, or an `Option` of one of these",
    note = "for a type of your own whose encoding never changes: `impl session_runtime::OwnerId for {Self} {{}}`"
)]
pub trait OwnerId: Serialize + DeserializeOwned + Send + Sync + 'static {}

macro_rules! owner_ids {
    ($($ty:ty)*) => { $(impl OwnerId for $ty {})* };
}

owner_ids!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 String Box<str> [u8; 12] [u8; 16] [u8; 20] [u8; 32]);

/// The type of an owner's field. `None`, or the default of a type that is no `Option`, stands for nobody.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot name the owner of a session",
    label = "it is not known that equal values of this type always have the same encoding",
    note = "an owner is an integer, a `String`, an array of bytes, or an `Option` of one of these",
    note = "for a type of your own whose encoding never changes: `impl session_runtime::OwnerId for {Self} {{}}`"
)]
pub trait OwnerField {
    /// What names the owner: an [`OwnerId`].
    type Id;
}

impl<T: OwnerId> OwnerField for T {
    type Id = T;
}

impl<T> OwnerField for Option<T> {
    type Id = T;
}

/// A session that belongs to somebody while it is signed in: one field has `#[session(owner)]`.
#[diagnostic::on_unimplemented(
    message = "the sessions of type `{Self}` have no owner",
    label = "this session has no field that names its owner",
    note = "put `#[session(owner)]` on the field of `{Self}` that says who is signed in"
)]
pub trait OwnedSession: Session {
    /// What names an owner.
    type OwnerId: OwnerId;
}

/// What an owner is looked up by: a value of the field's type, or a `str` for a `String`.
#[diagnostic::on_unimplemented(
    message = "an owner is named by `{Id}` here, not by `{Self}`",
    label = "this names no owner of this session",
    note = "give a reference to a value of the type of the field that has `#[session(owner)]`, or of what is in its `Option`"
)]
pub trait OwnerRef<Id> {
    /// Appends the encoding that the field has.
    #[doc(hidden)]
    fn append(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

impl<Id: OwnerId> OwnerRef<Id> for Id {
    fn append(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        cbor::append(self, out)
    }
}

impl OwnerRef<String> for str {
    fn append(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        cbor::append(self, out)
    }
}

impl OwnerHash {
    /// Of the owner whose encoding this is.
    pub fn new(schema: &Schema, owner: &[u8]) -> Self {
        // The earliest name, so that a struct that was renamed by `previous` finds the same owners.
        let name = schema.earlier().last().map_or(schema.name, |first| first.name);
        let mut bytes = Vec::with_capacity(name.len() + owner.len() + 20);
        push_array(&mut bytes, 2);
        push_text(&mut bytes, name);
        push_bytes(&mut bytes, owner);
        Self(Sha256::digest(&bytes).into())
    }
}

impl Schema {
    /// The owner that an encoded value of the owner's field names; `None` where it is the default, which names nobody.
    pub fn owner_named_by(&self, value: &[u8]) -> Result<Option<OwnerHash>, EncodeError> {
        let Some(spec) = self.owner_field() else {
            return Ok(None);
        };
        let mut nobody = Vec::new();
        (spec.default)(&mut nobody)?;
        Ok((value != nobody).then(|| OwnerHash::new(self, value)))
    }

    /// Who is signed in to the session of this record.
    pub fn owner_of(&self, record: &Record) -> Result<Option<OwnerHash>, EncodeError> {
        let value = self.owner.and_then(|field| record.field(field));
        value.map_or(Ok(None), |value| self.owner_named_by(value))
    }
}

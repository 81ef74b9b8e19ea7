//! A session as a value: the trait that the derive implements, the schema, the stored record, the fields of an open
//! session, the changes to them, how concurrent changes are merged, and how old records are migrated.
//!
//! Imports go one way: error, meta, merge, schema, record, slot, the trait below, then owner, migrate and changes.

pub mod changes;
mod error;
pub mod merge;
pub mod meta;
pub mod migrate;
pub mod owner;
pub mod record;
mod schema;
pub(crate) mod served_by;
pub mod slot;

use std::borrow::Cow;
use std::ops::Deref;

use crate::tier::Tiers;
use record::Record;
use slot::AnySlot;

pub use error::{FieldError, OpenError};
pub use schema::{CookieSpec, FieldSpec, SameSite, Schema};
pub use served_by::{HasDatastore, HasMemcache, ServedBy};

/// Migrates a record that an older version of the program wrote to the current version.
pub type Migrate = for<'a> fn(&'a Record) -> Result<Cow<'a, Record>, OpenError>;

/// A struct that can be kept as a session: `#[derive(Session)]`.
///
/// The derive generates a companion struct, named after the session plus `Fields`, that holds the fields and has an
/// accessor for each; a `TypedSession<T>` dereferences to it. A second one, named after the session plus `Detached`, is
/// what a `Detached<T>` dereferences to: it reads every field, and changes those that are not privileged.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session",
    label = "this is not a session",
    note = "put `#[derive(Session)]` and `#[cascade(...)]` on `{Self}`"
)]
pub trait Session: Sized + 'static {
    /// The tiers named in `#[cascade(...)]`.
    const TIERS: Tiers;

    /// Name, version and fields.
    const SCHEMA: &'static Schema;

    /// Migrates an older record to the version before this one, where `previous` names it.
    #[doc(hidden)]
    const MIGRATE_TO_PREVIOUS: Option<Migrate> = None;

    /// The fields with their accessors.
    type Fields: Send + Sync + 'static;

    /// The fields where there is no response to carry a new secret: privileged ones are read-only.
    type Detached: Deref<Target = Self::Fields> + Send + Sync + 'static;

    /// The fields of a new session.
    #[doc(hidden)]
    fn with_defaults() -> Self::Fields;

    /// The fields of a stored record, each upgraded to the current version.
    #[doc(hidden)]
    fn open(record: &Record) -> Result<Self::Fields, OpenError> {
        record.check_schema(Self::SCHEMA)?;
        Self::decode_fields(record)
    }

    /// As [`open`](Self::open), whatever the record's name: it may be that of a later version's struct, which names this
    /// one as `previous`.
    #[doc(hidden)]
    fn decode_fields(record: &Record) -> Result<Self::Fields, OpenError>;

    /// The fields of a value that was converted from an earlier version's struct.
    #[doc(hidden)]
    fn from_value(value: Self) -> Result<Self::Fields, FieldError>;

    /// The fields' values.
    #[doc(hidden)]
    fn into_value(fields: Self::Fields) -> Result<Self, FieldError>;

    /// The fields, with privileged ones read-only.
    #[doc(hidden)]
    fn into_detached(fields: Self::Fields) -> Self::Detached;

    /// All fields, to be committed or replaced.
    #[doc(hidden)]
    fn detached_fields(detached: &mut Self::Detached) -> &mut Self::Fields;

    /// The bytes of the record that the fields were opened from; empty for a new session.
    #[doc(hidden)]
    fn record(fields: &Self::Fields) -> &[u8];

    /// The slot of the field at `index` of the schema.
    #[doc(hidden)]
    fn slot(fields: &Self::Fields, index: usize) -> Option<&dyn AnySlot>;
}

/// Implemented by nothing, so that a call of a method with this bound is an error with these words.
#[diagnostic::on_unimplemented(
    message = "privileged fields are read-only in a detached session: there is no response to carry the new secret",
    label = "a privileged field cannot be changed here",
    note = "change it in a handler, through `TypedSession`, before `into_detached`"
)]
#[doc(hidden)]
pub trait CarriesSecret {}

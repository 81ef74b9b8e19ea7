//! A session as a value: the trait that the derive implements, its schema, its stored record, its fields, what changed in
//! them, and how two changes are merged.

pub mod changes;
mod error;
pub mod merge;
pub mod meta;
pub mod migrate;
pub mod record;
mod schema;
mod served_by;
pub mod slot;

use std::borrow::Cow;

use crate::tier::Tiers;
use record::Record;
use slot::AnySlot;

pub use error::{FieldError, OpenError};
pub use schema::{FieldSpec, Schema};
pub use served_by::{HasDatastore, HasMemcache, ServedBy};

/// Brings a record that another version of the program wrote up to the present one.
pub type Migrate = for<'a> fn(&'a Record) -> Result<Cow<'a, Record>, OpenError>;

/// A struct that can be kept as a session: `#[derive(Session)]`.
///
/// The derive writes a companion struct, named after the session with `Fields` behind it, that holds the fields and
/// has an accessor for each; a `TypedSession<T>` dereferences to it.
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

    /// Brings an older record up to the version before this one, where `previous` names it.
    #[doc(hidden)]
    const MIGRATE_TO_PREVIOUS: Option<Migrate> = None;

    /// The fields with their accessors.
    type Fields: Send + Sync + 'static;

    /// Fields that all have their defaults.
    #[doc(hidden)]
    fn with_defaults() -> Self::Fields;

    /// The fields of a stored record, each brought up to the present version.
    #[doc(hidden)]
    fn open(record: &Record) -> Result<Self::Fields, OpenError>;

    /// The fields of a value that an earlier version's struct was turned into.
    #[doc(hidden)]
    fn from_value(value: Self) -> Result<Self::Fields, FieldError>;

    /// The fields' values.
    #[doc(hidden)]
    fn into_value(fields: Self::Fields) -> Result<Self, FieldError>;

    /// The bytes of the record that the fields were opened from; none where there was none.
    #[doc(hidden)]
    fn record(fields: &Self::Fields) -> &[u8];

    /// The slot of the field at `index` of the schema.
    #[doc(hidden)]
    fn slot(fields: &Self::Fields, index: usize) -> Option<&dyn AnySlot>;
}

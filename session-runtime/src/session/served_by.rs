//! Which stores have the tiers that a session names, as bounds that the compiler checks.

use super::Session;

/// A store that has the memcache tier; `T` is the session that asks for it.
#[diagnostic::on_unimplemented(
    message = "session `{T}` lives in the `memcache` tier, which the store of this router does not have",
    label = "this store has no `memcache` tier",
    note = "give the builder a `.memcache(...)`, or take `memcache` out of `#[cascade(...)]` on `{T}`"
)]
pub trait HasMemcache<T> {}

/// A store that has the datastore tier; `T` is the session that asks for it.
#[diagnostic::on_unimplemented(
    message = "session `{T}` lives in the `datastore` tier, which the store of this router does not have",
    label = "this store has no `datastore` tier",
    note = "give the builder a `.datastore(...)`, or take `datastore` out of `#[cascade(...)]` on `{T}`"
)]
pub trait HasDatastore<T> {}

/// A session whose tiers are all in the store `S`. The derive implements it.
pub trait ServedBy<S>: Session {}

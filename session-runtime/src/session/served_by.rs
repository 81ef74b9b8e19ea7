//! Bounds by which the compiler checks that a store has the tiers of a session.

use super::Session;

/// A store with a memcache tier. `T` is the session that needs it.
#[diagnostic::on_unimplemented(
    message = "session `{T}` lives in the `memcache` tier, which the store of this router does not have",
    label = "this store has no `memcache` tier",
    note = "give the builder a `.memcache(...)`, or take `memcache` out of `#[cascade(...)]` on `{T}`"
)]
pub trait HasMemcache<T> {}

/// A store with a datastore tier. `T` is the session that needs it.
#[diagnostic::on_unimplemented(
    message = "session `{T}` lives in the `datastore` tier, which the store of this router does not have",
    label = "this store has no `datastore` tier",
    note = "give the builder a `.datastore(...)`, or take `datastore` out of `#[cascade(...)]` on `{T}`"
)]
pub trait HasDatastore<T> {}

/// A session whose tiers the store `S` has. The derive implements it.
pub trait ServedBy<S>: Session {}

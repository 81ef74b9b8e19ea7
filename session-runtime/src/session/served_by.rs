//! Bounds by which the compiler checks that a store has the tiers of a session.
//!
//! axum marks its `Handler` impls `do_not_recommend`: where a bound below one fails, the compiler says no more than that
//! the `Handler` is not implemented. It starts anew where it checks that a type of a `where` clause is well-formed, and
//! there reports the failed bound itself, with its message. So a bound that has something to say is three items: the
//! bound; a `...Check` struct, well-formed where the bound holds; and a `...Deferred` trait, which implies the bound
//! one step deeper. The `where` clause names the last two, in this order: the same failure is reported once, as it was
//! met first. A compiler that goes another way says what axum wants it to; it does not accept more.

use std::marker::PhantomData;

use super::Session;

/// A session whose tiers the store `S` has. The derive implements it.
pub trait ServedBy<S>: Session {}

/// A store with a memcache tier. `T` is the session that needs it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of sessions",
    note = "the `Store` of a `SessionState` is a `CascadeStore`"
)]
pub trait HasMemcache<T> {}

/// A store with a datastore tier. `T` is the session that needs it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of sessions",
    note = "the `Store` of a `SessionState` is a `CascadeStore`"
)]
pub trait HasDatastore<T> {}

/// What a store's type says about its memcache tier, where session `T` needs that it has one.
#[diagnostic::on_unimplemented(
    message = "session `{T}` lives in the `memcache` (or `cache`) tier, which the store of this router does not have",
    label = "the store has no `memcache` tier",
    note = "give the store's builder a `.memcache(...)`, or `.without_cache()` where the session lives in `datastore` too, or \
            take the tier out of `#[cascade(...)]` on `{T}`"
)]
pub trait MemcacheFor<T> {}

/// See the module.
#[derive(Debug)]
pub struct MemcacheCheck<M: MemcacheFor<T>, T>(PhantomData<(M, T)>);

/// See the module.
pub trait MemcacheDeferred<T>: MemcacheFor<T> {}

impl<M: MemcacheFor<T>, T> MemcacheDeferred<T> for M {}

/// What a store's type says about its datastore tier, where session `T` needs that it has one.
#[diagnostic::on_unimplemented(
    message = "session `{T}` lives in the `datastore` (or `durable`) tier, which the store of this router does not have",
    label = "the store has no `datastore` tier",
    note = "give the store's builder a `.datastore(...)`, or take the tier out of `#[cascade(...)]` on `{T}`"
)]
pub trait DatastoreFor<T> {}

/// See the module.
#[derive(Debug)]
pub struct DatastoreCheck<D: DatastoreFor<T>, T>(PhantomData<(D, T)>);

/// See the module.
pub trait DatastoreDeferred<T>: DatastoreFor<T> {}

impl<D: DatastoreFor<T>, T> DatastoreDeferred<T> for D {}

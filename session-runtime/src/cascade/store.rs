//! The store, as its users have it in hand.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::backend::Backend;
use super::health::Health;
use super::inner::StoreInner;
use super::rejected::RejectedTokens;
use crate::session::served_by::{
    DatastoreCheck, DatastoreDeferred, DatastoreFor, HasDatastore, HasMemcache, MemcacheCheck, MemcacheDeferred,
    MemcacheFor,
};
use crate::tier::TierError;

/// Says of a [`CascadeStore`] that it has the memcache tier.
#[derive(Clone, Copy, Debug)]
pub enum WithMemcache {}
/// Says of a [`CascadeStore`] that it has no memcache tier.
#[derive(Clone, Copy, Debug)]
pub enum NoMemcache {}
/// Says of a [`CascadeStore`] that it has the datastore tier.
#[derive(Clone, Copy, Debug)]
pub enum WithDatastore {}
/// Says of a [`CascadeStore`] that it has no datastore tier.
#[derive(Clone, Copy, Debug)]
pub enum NoDatastore {}

/// Keeps sessions in its tiers. Clones share everything.
///
/// Its type says which tiers it has, so that a session that names another is a compile error.
pub struct CascadeStore<M = WithMemcache, D = WithDatastore> {
    pub(crate) inner: Arc<StoreInner>,
    tiers: PhantomData<fn() -> (M, D)>,
}

// One impl for all stores, that asks the marker: while the store is not yet known, the compiler waits for it. An impl
// for `WithMemcache` alone it would take for a promise about the store.
impl<T, M, D> HasMemcache<T> for CascadeStore<M, D>
where
    MemcacheCheck<M, T>:,
    M: MemcacheDeferred<T>,
{
}

impl<T, M, D> HasDatastore<T> for CascadeStore<M, D>
where
    DatastoreCheck<D, T>:,
    D: DatastoreDeferred<T>,
{
}

impl<T> MemcacheFor<T> for WithMemcache {}
impl<T> DatastoreFor<T> for WithDatastore {}

impl<M, D> Clone for CascadeStore<M, D> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            tiers: PhantomData,
        }
    }
}

impl<M, D> fmt::Debug for CascadeStore<M, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backend { cache, durable, .. } = &self.inner.backend;
        f.debug_struct("CascadeStore")
            .field("memcache", &cache.as_ref().map(|tier| tier.name()))
            .field("datastore", &durable.as_ref().map(|tier| tier.name()))
            .finish_non_exhaustive()
    }
}

impl<M, D> CascadeStore<M, D> {
    pub(super) fn new(backend: Backend, purge_every: Option<Duration>) -> Self {
        let inner = Arc::new(StoreInner {
            backend,
            queues: Arc::default(),
            cold: Arc::default(),
            tasks: TaskTracker::new(),
            closing: watch::Sender::new(false),
            invalidations: Arc::new(AtomicUsize::new(0)),
            rejected: RejectedTokens::default(),
            types: RwLock::default(),
        });
        if let Some(every) = purge_every {
            inner.spawn_purge(every);
        }
        Self::from_inner(inner)
    }

    pub(crate) fn from_inner(inner: Arc<StoreInner>) -> Self {
        Self {
            inner,
            tiers: PhantomData,
        }
    }

    /// Deletes at most `limit` expired sessions from the durable tier; tells how many.
    ///
    /// Postgres and an embedded file are swept without being asked. Google Cloud Datastore deletes them itself where a TTL
    /// policy is set on `ExpiresAt`, and refuses this unless that is indexed.
    pub async fn purge_expired(&self, limit: usize) -> Result<usize, TierError> {
        self.inner.purge_expired(limit).await
    }

    /// Asks each tier for a sign of life, both at once, and writes nothing: for a health route and for alarms. Answers
    /// within two seconds.
    ///
    /// Each call asks each tier. memcached is asked past its circuit breaker, which an answer closes, and which does not count
    /// what goes unanswered. The [recipes](crate::recipes) have a health route.
    pub async fn check(&self) -> Health {
        self.inner.check().await
    }

    /// How many sessions wait for their old value to be removed from a cache that could not be reached.
    pub fn pending_invalidations(&self) -> usize {
        self.inner.invalidations.load(Ordering::Relaxed)
    }

    /// How much an older key than the newest has signed of what this store has met: session tokens that clients
    /// presented, and values that it read from its tiers.
    ///
    /// Once it grows on no node any more, for as long as a session may live ([`max_age`](crate::Builder::max_age)), the
    /// older keys can be dropped. With the feature `metrics` it is counted as `session_old_key_uses_total` too.
    pub fn old_key_uses(&self) -> u64 {
        self.inner.backend.old_key_uses.load(Ordering::Relaxed)
    }

    /// Finishes what is in flight: commits, cache fills, and a last try at pending invalidations. Call it at shutdown,
    /// after the server has stopped.
    pub async fn drain(&self) {
        self.inner.closing.send_replace(true);
        self.inner.wait_idle().await;
        self.inner.closing.send_replace(false);
    }
}

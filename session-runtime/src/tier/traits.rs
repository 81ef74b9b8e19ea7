//! The two traits that a tier implements, and their value types.

use std::future::Future;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::error::TierError;

/// The key that a ping asks for. Shorter than any storage key, so that it is none.
pub(super) const PING_KEY: &str = "session-ping";

/// Identifies one stored value of a cache, so that a later [`CacheTier::swap`] can tell whether it is still there.
///
/// Opaque: a token is valid only for the tier and the key that it came from. It must change with every write, even when a
/// value is replaced by an equal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// The version of a record in a durable tier: it grows with every write of that key that changes anything, and is never
/// used again for that key. A write of the same bytes may leave it unchanged, as Google Cloud Datastore does; the cascade
/// never writes the same bytes, since every commit puts a new nonce into the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

/// A value found in a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The bytes as they were stored.
    pub value: Bytes,
    /// Identifies this value, to replace exactly it.
    pub token: Token,
}

/// A record found in a durable tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The bytes as they were stored.
    pub value: Bytes,
    /// Identifies this version of the record, to replace exactly it.
    pub version: Version,
}

/// How a conditional change of a cached value ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Swap {
    /// Done: the value was the one that the token identifies.
    Done,
    /// Nothing was changed: the key has another value.
    Changed,
    /// Nothing was changed: the key has no value.
    Missing,
}

/// How a conditional change of a durable record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// Done; the record now has this version. After a delete: the version that was deleted, or a later one.
    Done(Version),
    /// Nothing was changed: the record has another version, or, for an insert, exists.
    Conflict,
    /// Nothing was changed: there is no such record.
    Missing,
}

/// Which processes see what a tier stores.
///
/// Both tiers of a store must have the same scope: a cache of this process does not see what others write to a shared
/// durable tier, and others find a value in a shared cache whose record, in a file of this process, they cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This one: a map in memory, or a file that one process has open.
    Process,
    /// Every process with the same configuration: servers.
    Shared,
}

/// A tier that may forget, such as memcached.
///
/// Keys are at most 250 bytes of printable ASCII without spaces (memcached's limit). Every call must end within a bounded
/// time, which the tier chooses. Dropping a future at any point must not affect later calls.
///
/// # Errors
/// An error of kind [`Unknown`](crate::tier::TierErrorKind::Unknown) means that a write may have been applied, or may yet be;
/// every other kind means that it was not and will not be.
pub trait CacheTier: Send + Sync + 'static {
    /// The name of this tier in `Server-Timing`, spans and errors, such as `memcache`.
    fn name(&self) -> &'static str;

    /// The product behind it, as spans have it in OpenTelemetry's `db.system.name`, such as `memcached`. Default: its
    /// [`name`](Self::name).
    fn product(&self) -> &'static str {
        self.name()
    }

    /// Which processes see what is stored here.
    fn scope(&self) -> Scope;

    /// Whether values stay in this process's memory, where nobody else can write: they are then stored without a MAC.
    /// Default: no.
    fn is_private_memory(&self) -> bool {
        false
    }

    /// The largest value that may be stored, in bytes.
    fn max_value_len(&self) -> usize {
        usize::MAX
    }

    /// Checks the tier's configuration; called once, when a store is built. Default: nothing.
    ///
    /// # Errors
    /// A configuration with which the tier would break its promises. A server that is down is no error: a store works
    /// without its cache.
    fn check(&self) -> impl Future<Output = Result<(), TierError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Makes a round trip for a [health check](crate::CascadeStore::check), and writes nothing. Returns the parts that did not
    /// answer though others did, such as servers, by name. Default: a [`get`](Self::get) of a key that no session has.
    ///
    /// # Errors
    /// Nothing answered.
    fn ping(&self) -> impl Future<Output = Result<Vec<String>, TierError>> + Send {
        async { self.get(PING_KEY).await.map(|_| Vec::new()) }
    }

    /// The value of `key`, with its token; `None` if there is none or it has outlived its `ttl`.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Cached>, TierError>> + Send;

    /// Stores `value` if `key` has no value; returns whether it did.
    fn add(&self, key: &str, value: Bytes, ttl: Duration) -> impl Future<Output = Result<bool, TierError>> + Send;

    /// Stores `value`, replacing any value of `key`. `Ok` means that no later [`get`](Self::get) returns an older value; the
    /// new value itself may be forgotten at once.
    fn set(&self, key: &str, value: Bytes, ttl: Duration) -> impl Future<Output = Result<(), TierError>> + Send;

    /// Stores `value` if `key` still has exactly the value that `token` identifies.
    fn swap(
        &self,
        key: &str,
        token: Token,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<Swap, TierError>> + Send;

    /// Removes the value of `key` if it is still exactly the one that `token` identifies.
    fn remove(&self, key: &str, token: Token) -> impl Future<Output = Result<Swap, TierError>> + Send;
}

/// A tier that does not forget, such as Google Cloud Datastore: the authority that orders the writers of a record.
///
/// `expires_at` allows the tier to delete a record some time after that moment, never before it; the caller checks a
/// record's own deadlines. Every call must end within a bounded time, which the tier chooses, and a write must not be
/// applied later than [`max_write_delay`](Self::max_write_delay) after the call.
///
/// # Errors
/// As for [`CacheTier`]: only [`Unknown`](crate::tier::TierErrorKind::Unknown) leaves it open whether a write was applied.
pub trait DurableTier: Send + Sync + 'static {
    /// The name of this tier in `Server-Timing`, spans and errors, such as `datastore`.
    fn name(&self) -> &'static str;

    /// The product behind it, as spans have it in OpenTelemetry's `db.system.name`, such as `gcp.datastore`. Default: its
    /// [`name`](Self::name).
    fn product(&self) -> &'static str {
        self.name()
    }

    /// Which processes see what is stored here.
    fn scope(&self) -> Scope;

    /// The largest value that may be stored, in bytes.
    fn max_value_len(&self) -> usize {
        usize::MAX
    }

    /// The longest time between a call and the moment at which its write is applied, even if the caller got no answer. The
    /// lifetime of a fence in the cache is longer than this. Default: 60 seconds.
    fn max_write_delay(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Makes a round trip for a [health check](crate::CascadeStore::check), and writes nothing. Returns the parts that did not
    /// answer though others did, such as servers, by name. Default: a [`read`](Self::read) of a key that no session has.
    ///
    /// # Errors
    /// Nothing answered.
    fn ping(&self) -> impl Future<Output = Result<Vec<String>, TierError>> + Send {
        async { self.read(PING_KEY).await.map(|_| Vec::new()) }
    }

    /// The record under `key`, as of the latest write that was acknowledged to anyone (a strongly consistent read).
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<Stored>, TierError>> + Send;

    /// Creates the record; [`Write::Conflict`] if one exists, even an expired one.
    fn insert(
        &self,
        key: &str,
        value: Bytes,
        expires_at: SystemTime,
    ) -> impl Future<Output = Result<Write, TierError>> + Send;

    /// Replaces the record if it still has the version `base`.
    fn update(
        &self,
        key: &str,
        base: Version,
        value: Bytes,
        expires_at: SystemTime,
    ) -> impl Future<Output = Result<Write, TierError>> + Send;

    /// Deletes the record if it still has the version `base`.
    fn delete(&self, key: &str, base: Version) -> impl Future<Output = Result<Write, TierError>> + Send;

    /// How often a store should call [`purge_expired`](Self::purge_expired) unless its builder says otherwise; `None`
    /// (the default) for a tier that deletes expired records by itself.
    fn purge_interval(&self) -> Option<Duration> {
        None
    }

    /// Deletes at most `limit` records whose `expires_at` has passed at `now`; returns how many.
    ///
    /// # Errors
    /// [`Refused`](crate::tier::TierErrorKind::Refused) by a tier that is configured to delete them by itself, and cannot
    /// find them.
    fn purge_expired(&self, now: SystemTime, limit: usize) -> impl Future<Output = Result<usize, TierError>> + Send;
}

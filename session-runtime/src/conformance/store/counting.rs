//! A tier that counts its calls, and that can be made to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::tier::{
    CacheTier, Cached, DurableTier, Scope, Stored, Swap, TierError, TierErrorKind, Token, Version, Write,
};

/// The tier under test, shared by the nodes of a rule.
pub(super) struct Counting<T> {
    tier: Arc<T>,
    log: Arc<CallLog>,
}

/// The number of a tier's calls, and whether they fail.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    calls: AtomicUsize,
    is_down: AtomicBool,
}

impl CallLog {
    /// The number of calls so far.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Sets whether calls fail from now on, before they reach the tier.
    pub(super) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn call(&self, tier: &'static str, doing: &'static str) -> Result<(), TierError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(TierError::new(tier, doing, TierErrorKind::Unavailable));
        }
        Ok(())
    }
}

impl<T> Counting<T> {
    pub(super) fn new(tier: &Arc<T>, log: &Arc<CallLog>) -> Self {
        Self {
            tier: Arc::clone(tier),
            log: Arc::clone(log),
        }
    }
}

impl<T: CacheTier> CacheTier for Counting<T> {
    fn name(&self) -> &'static str {
        self.tier.name()
    }

    fn scope(&self) -> Scope {
        self.tier.scope()
    }

    fn max_value_len(&self) -> usize {
        self.tier.max_value_len()
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        self.log.call(self.name(), "get")?;
        self.tier.get(key).await
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        self.log.call(self.name(), "add")?;
        self.tier.add(key, value, ttl).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.log.call(self.name(), "set")?;
        self.tier.set(key, value, ttl).await
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.log.call(self.name(), "swap")?;
        self.tier.swap(key, token, value, ttl).await
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        self.log.call(self.name(), "remove")?;
        self.tier.remove(key, token).await
    }
}

impl<T: DurableTier> DurableTier for Counting<T> {
    fn name(&self) -> &'static str {
        self.tier.name()
    }

    fn scope(&self) -> Scope {
        self.tier.scope()
    }

    fn max_value_len(&self) -> usize {
        self.tier.max_value_len()
    }

    fn max_write_delay(&self) -> Duration {
        self.tier.max_write_delay()
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        self.log.call(self.name(), "read")?;
        self.tier.read(key).await
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        self.log.call(self.name(), "insert")?;
        self.tier.insert(key, value, expires_at).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        self.log.call(self.name(), "update")?;
        self.tier.update(key, base, value, expires_at).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        self.log.call(self.name(), "delete")?;
        self.tier.delete(key, base).await
    }

    fn purge_interval(&self) -> Option<Duration> {
        self.tier.purge_interval()
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        self.log.call(self.name(), "purge")?;
        self.tier.purge_expired(now, limit).await
    }
}

//! A cache in the memory of this process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::clock::{Clock, SystemClock};
use crate::tier::{CacheTier, Cached, Scope, Swap, TierError, TierErrorKind, Token};

/// The name of the tier.
const NAME: &str = "local-cache";

/// The default capacity, in bytes: 64 MiB, memcached's own (`-m 64`).
const DEFAULT_CAPACITY: u64 = 64 << 20;

/// The default limit of a value, in bytes: 1 MiB, memcached's own (`-I 1m`).
const DEFAULT_MAX_VALUE_LEN: usize = 1 << 20;

/// The longest key, in bytes (documented at [`CacheTier`]).
const MAX_KEY_LEN: usize = 250;

/// The memory of an entry besides its key and value, in bytes: the map's node, the reference counts of key and value, the
/// links of the recency list. Estimated from the sizes of these parts in moka 0.12, and rounded up.
const ENTRY_OVERHEAD: usize = 256;

/// A cache in the memory of this process, of limited size, in place of memcached.
///
/// Clones share the contents. When it is full, the least recently used values are evicted first.
#[derive(Clone)]
pub struct LocalCache {
    entries: Cache<String, Entry>,
    tokens: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    max_value_len: usize,
}

#[derive(Clone)]
struct Entry {
    value: Bytes,
    token: Token,
    /// `None` if it is later than a [`SystemTime`] can represent.
    expires_at: Option<SystemTime>,
}

impl LocalCache {
    /// An empty cache of 64 MiB, for values of at most 1 MiB, on the machine's clock.
    pub fn new() -> Self {
        Self {
            entries: build_cache(DEFAULT_CAPACITY),
            tokens: Arc::default(),
            clock: Arc::new(SystemClock),
            max_value_len: DEFAULT_MAX_VALUE_LEN,
        }
    }

    /// Limits the size of the contents, including keys and overhead, to about `bytes`. The cache becomes empty.
    #[must_use]
    pub fn with_capacity(self, bytes: u64) -> Self {
        Self {
            entries: build_cache(bytes),
            ..self
        }
    }

    /// Limits the size of a value to `bytes`.
    #[must_use]
    pub fn with_max_value_len(self, bytes: usize) -> Self {
        Self {
            max_value_len: bytes,
            ..self
        }
    }

    /// Measures times to live by `clock`.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// An entry with a token that no other entry of this cache has or had. The value is copied, since a small slice of a
    /// large buffer would keep the whole buffer in memory, which the capacity does not count.
    fn new_entry(&self, value: &Bytes, ttl: Duration) -> Entry {
        Entry {
            value: Bytes::copy_from_slice(value),
            token: Token(self.tokens.fetch_add(1, Ordering::Relaxed)),
            expires_at: self.clock.now().checked_add(ttl),
        }
    }

    fn check_len(&self, operation: &'static str, value: &Bytes) -> Result<(), TierError> {
        let (size, limit) = (value.len(), CacheTier::max_value_len(self));
        if size > limit {
            return Err(TierError::new(NAME, operation, TierErrorKind::TooLarge { size, limit }));
        }
        Ok(())
    }

    /// Applies `op` to the entry of `key` if it has not expired and has `token`, atomically for this key.
    fn compute_if_current(&self, key: &str, token: Token, op: Op<Entry>) -> Swap {
        let now = self.clock.now();
        let mut outcome = Swap::Missing;
        self.entries.entry_by_ref(key).and_compute_with(|found| {
            match found.map(moka::Entry::into_value) {
                Some(found) if found.is_expired(now) => outcome = Swap::Missing,
                None => outcome = Swap::Missing,
                Some(found) if found.token != token => outcome = Swap::Changed,
                Some(_) => {
                    outcome = Swap::Done;
                    return op;
                }
            }
            Op::Nop
        });
        outcome
    }
}

/// Evicts the least recently used first, as memcached does. moka's default policy may reject a new entry instead, but a
/// session that has just begun must be kept.
fn build_cache(capacity: u64) -> Cache<String, Entry> {
    Cache::builder()
        .max_capacity(capacity)
        .weigher(|key: &String, entry: &Entry| {
            u32::try_from(key.len() + entry.value.len() + ENTRY_OVERHEAD).unwrap_or(u32::MAX)
        })
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

impl Entry {
    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

impl Default for LocalCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCache")
            .field("entries", &self.entries.entry_count())
            .field("capacity", &self.entries.policy().max_capacity())
            .finish_non_exhaustive()
    }
}

impl CacheTier for LocalCache {
    fn name(&self) -> &'static str {
        NAME
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn is_private_memory(&self) -> bool {
        true
    }

    /// At most what fits into the capacity together with its key.
    fn max_value_len(&self) -> usize {
        let capacity = self.entries.policy().max_capacity().unwrap_or(u64::MAX);
        let room = usize::try_from(capacity).unwrap_or(usize::MAX);
        self.max_value_len
            .min(room.saturating_sub(ENTRY_OVERHEAD + MAX_KEY_LEN))
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        let now = self.clock.now();
        let found = self.entries.get(key).filter(|entry| !entry.is_expired(now));
        Ok(found.map(|Entry { value, token, .. }| Cached { value, token }))
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        self.check_len("add", &value)?;
        let (now, entry) = (self.clock.now(), self.new_entry(&value, ttl));
        let mut added = false;
        self.entries.entry_by_ref(key).and_compute_with(|found| {
            added = found.is_none_or(|found| found.value().is_expired(now));
            if added { Op::Put(entry) } else { Op::Nop }
        });
        Ok(added)
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.check_len("set", &value)?;
        let entry = self.new_entry(&value, ttl);
        // A plain insert would not be atomic with a concurrent swap, which reads and then writes.
        self.entries.entry_by_ref(key).and_upsert_with(|_| entry);
        Ok(())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.check_len("swap", &value)?;
        Ok(self.compute_if_current(key, token, Op::Put(self.new_entry(&value, ttl))))
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        Ok(self.compute_if_current(key, token, Op::Remove))
    }
}

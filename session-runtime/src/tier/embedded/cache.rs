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
use crate::tier::{CacheTier, Cached, Swap, TierError, TierErrorKind, Token};

const NAME: &str = "local-cache";

/// What the cache may hold unless told otherwise, in bytes: 64 MiB, memcached's own default (`-m 64`).
const DEFAULT_CAPACITY: u64 = 64 << 20;

/// The largest value unless told otherwise, in bytes: 1 MiB, memcached's own default (`-I 1m`).
const DEFAULT_MAX_VALUE_LEN: usize = 1 << 20;

/// The longest key that the trait allows, in bytes.
const MAX_KEY_LEN: usize = 250;

/// What an entry costs beside its key and value, in bytes: the map's node, the key's and the value's counters, the
/// links of the recency list. Estimated from the sizes of those parts, and rounded up.
const ENTRY_OVERHEAD: usize = 256;

/// A cache inside this process, bounded in bytes, that stands in for memcached.
///
/// Clones share the contents. When it is full, the values that were not used for the longest time go first.
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
    /// `None` where the deadline is further away than a [`SystemTime`] can say.
    deadline: Option<SystemTime>,
}

impl LocalCache {
    /// An empty cache of 64 MiB, for values of at most 1 MiB, on the machine's clock.
    pub fn new() -> Self {
        Self {
            entries: entries(DEFAULT_CAPACITY),
            tokens: Arc::default(),
            clock: Arc::new(SystemClock),
            max_value_len: DEFAULT_MAX_VALUE_LEN,
        }
    }

    /// Bounds what is held, keys and bookkeeping included, to about `bytes`. The cache starts anew, empty.
    #[must_use]
    pub fn with_capacity(self, bytes: u64) -> Self {
        Self {
            entries: entries(bytes),
            ..self
        }
    }

    /// Refuses values of more than `bytes`.
    #[must_use]
    pub fn with_max_value_len(self, bytes: usize) -> Self {
        Self {
            max_value_len: bytes,
            ..self
        }
    }

    /// Measures deadlines with `clock`.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// An entry with a token that no other entry of this cache has or had. The value is copied, so that a small slice
    /// of a large buffer does not keep the whole buffer, which the bound does not see.
    fn entry(&self, value: &Bytes, ttl: Duration) -> Entry {
        Entry {
            value: Bytes::copy_from_slice(value),
            token: Token(self.tokens.fetch_add(1, Ordering::Relaxed)),
            deadline: self.clock.now().checked_add(ttl),
        }
    }

    fn check_len(&self, doing: &'static str, value: &Bytes) -> Result<(), TierError> {
        let (size, limit) = (value.len(), CacheTier::max_value_len(self));
        if size > limit {
            return Err(TierError::new(NAME, doing, TierErrorKind::TooLarge { size, limit }));
        }
        Ok(())
    }

    /// Changes the entry of `key` if it is in date and has `token`, in one step that no other change of the key divides.
    fn change(&self, key: &str, token: Token, op: Op<Entry>) -> Swap {
        let now = self.clock.now();
        let mut outcome = Swap::Missing;
        self.entries.entry_by_ref(key).and_compute_with(|found| {
            match found.map(moka::Entry::into_value) {
                Some(found) if !found.is_in_date(now) => outcome = Swap::Missing,
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

/// Least recently used first, as memcached has it. The cache's usual policy would rather turn away a newcomer, and the
/// session that has just begun is the one that its user will miss.
fn entries(capacity: u64) -> Cache<String, Entry> {
    Cache::builder()
        .max_capacity(capacity)
        .weigher(|key: &String, entry: &Entry| {
            u32::try_from(key.len() + entry.value.len() + ENTRY_OVERHEAD).unwrap_or(u32::MAX)
        })
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

impl Entry {
    fn is_in_date(&self, now: SystemTime) -> bool {
        self.deadline.is_none_or(|deadline| now < deadline)
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

    /// Never more than the whole cache could hold.
    fn max_value_len(&self) -> usize {
        let capacity = self.entries.policy().max_capacity().unwrap_or(u64::MAX);
        let room = usize::try_from(capacity).unwrap_or(usize::MAX);
        self.max_value_len
            .min(room.saturating_sub(ENTRY_OVERHEAD + MAX_KEY_LEN))
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        let now = self.clock.now();
        let found = self.entries.get(key).filter(|entry| entry.is_in_date(now));
        Ok(found.map(|Entry { value, token, .. }| Cached { value, token }))
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        self.check_len("add", &value)?;
        let (now, entry) = (self.clock.now(), self.entry(&value, ttl));
        let mut added = false;
        self.entries.entry_by_ref(key).and_compute_with(|found| {
            added = !found.is_some_and(|found| found.value().is_in_date(now));
            if added { Op::Put(entry) } else { Op::Nop }
        });
        Ok(added)
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.check_len("set", &value)?;
        let entry = self.entry(&value, ttl);
        // Not a plain insert: that would slip between the look and the put of a swap that is under way.
        self.entries.entry_by_ref(key).and_upsert_with(|_| entry);
        Ok(())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.check_len("swap", &value)?;
        Ok(self.change(key, token, Op::Put(self.entry(&value, ttl))))
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        Ok(self.change(key, token, Op::Remove))
    }
}

//! A cache in the memory of this process.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hashlink::{DefaultHashBuilder, LruCache};

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

/// The memory of an entry besides its key and value, in bytes: the list's node, the map's slot, and what the allocator adds
/// to node, key and value. Estimated from the sizes of these parts in hashlink 0.12, and rounded up.
const ENTRY_OVERHEAD: usize = 192;

/// The least capacity of a shard, in bytes: several of the largest values.
const MIN_SHARD_CAPACITY: u64 = 8 << 20;

/// The most shards: far more threads than usually wait for each other.
const MAX_SHARDS: u64 = 16;

/// A cache in the memory of this process, of limited size, in place of memcached.
///
/// Clones share the contents. When it is full, the least recently used values are evicted first.
#[derive(Clone)]
pub struct LocalCache {
    shards: Arc<[Mutex<Shard>]>,
    hasher: DefaultHashBuilder,
    capacity: u64,
    tokens: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    max_value_len: usize,
}

/// A part of the keys, with a lock of its own.
struct Shard {
    entries: LruCache<Box<str>, Entry>,
    /// In bytes.
    size: u64,
    capacity: u64,
}

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
            shards: shards(DEFAULT_CAPACITY),
            hasher: DefaultHashBuilder::default(),
            capacity: DEFAULT_CAPACITY,
            tokens: Arc::default(),
            clock: Arc::new(SystemClock),
            max_value_len: DEFAULT_MAX_VALUE_LEN,
        }
    }

    /// Limits the size of the contents, including keys and overhead, to about `bytes`. The cache becomes empty.
    #[must_use]
    pub fn with_capacity(self, bytes: u64) -> Self {
        Self {
            shards: shards(bytes),
            capacity: bytes,
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

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let place = self.hasher.hash_one(key) % self.shards.len() as u64;
        let place = usize::try_from(place).unwrap_or_default();
        // A panic would leave a wrong size behind at worst.
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the entry of `key` by `new`, or by none, if it has not expired and has `token`.
    fn replace(&self, key: &str, token: Token, new: Option<Entry>) -> Swap {
        let now = self.clock.now();
        let mut shard = self.shard(key);
        match (shard.get(key, now), new) {
            (None, _) => Swap::Missing,
            (Some(found), _) if found.token != token => Swap::Changed,
            (Some(found), Some(new)) => {
                let grown = (found.value.len(), new.value.len());
                *found = new;
                shard.resize(grown);
                Swap::Done
            }
            (Some(_), None) => {
                shard.remove(key);
                Swap::Done
            }
        }
    }
}

fn shards(capacity: u64) -> Arc<[Mutex<Shard>]> {
    let shards = (capacity / MIN_SHARD_CAPACITY).clamp(1, MAX_SHARDS);
    let shard = |_| {
        Mutex::new(Shard {
            entries: LruCache::new_unbounded(),
            size: 0,
            capacity: capacity / shards,
        })
    };
    (0..shards).map(shard).collect()
}

fn size(key: &str, entry: &Entry) -> u64 {
    (key.len() + entry.value.len() + ENTRY_OVERHEAD) as u64
}

impl Shard {
    /// The entry of `key`, which is now the one used last. One that has expired is removed.
    fn get(&mut self, key: &str, now: SystemTime) -> Option<&mut Entry> {
        let is_expired = |entry: &Entry| entry.expires_at.is_some_and(|expires_at| expires_at <= now);
        if self.entries.peek(key).is_some_and(is_expired) {
            self.remove(key);
        }
        self.entries.get_mut(key)
    }

    fn insert(&mut self, key: &str, entry: Entry) {
        self.remove(key);
        self.size += size(key, &entry);
        self.entries.insert(key.into(), entry);
        self.evict();
    }

    /// After the value of an entry was replaced: its lengths before and now.
    fn resize(&mut self, (old, new): (usize, usize)) {
        self.size = self.size - old as u64 + new as u64;
        self.evict();
    }

    /// Evicts the least recently used as long as there is no room.
    fn evict(&mut self) {
        while self.size > self.capacity
            && let Some((key, entry)) = self.entries.remove_lru()
        {
            self.size -= size(&key, &entry);
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.size -= size(key, &entry);
        }
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
            .field("capacity", &self.capacity)
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

    /// At most what fits into a shard together with its key.
    fn max_value_len(&self) -> usize {
        let capacity = self.capacity / self.shards.len() as u64;
        let room = usize::try_from(capacity).unwrap_or(usize::MAX);
        self.max_value_len
            .min(room.saturating_sub(ENTRY_OVERHEAD + MAX_KEY_LEN))
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        let now = self.clock.now();
        Ok(self.shard(key).get(key, now).map(|entry| Cached {
            value: entry.value.clone(),
            token: entry.token,
        }))
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        self.check_len("add", &value)?;
        let (now, entry) = (self.clock.now(), self.new_entry(&value, ttl));
        let mut shard = self.shard(key);
        let is_absent = shard.get(key, now).is_none();
        if is_absent {
            shard.insert(key, entry);
        }
        Ok(is_absent)
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.check_len("set", &value)?;
        let entry = self.new_entry(&value, ttl);
        self.shard(key).insert(key, entry);
        Ok(())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.check_len("swap", &value)?;
        Ok(self.replace(key, token, Some(self.new_entry(&value, ttl))))
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        Ok(self.replace(key, token, None))
    }
}

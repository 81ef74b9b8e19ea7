//! Tiers in plain maps: the least that keeps the rules, for tests under paused time, and to be broken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::{
    CacheTier, Cached, DurableTier, Scope, Stored, Swap, TierError, TierErrorKind, Token, Version, Write,
};
use tokio::time::Instant;

const MAX_LEN: usize = 1 << 20;

/// A cache that evicts nothing.
#[derive(Debug, Default)]
pub struct MemoryCache {
    items: Mutex<BTreeMap<String, (Cached, Instant)>>,
    tokens: AtomicU64,
}

impl MemoryCache {
    fn items(&self) -> MutexGuard<'_, BTreeMap<String, (Cached, Instant)>> {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        items.retain(|_, (_, deadline)| now < *deadline);
        items
    }

    fn cached(&self, value: Bytes, ttl: Duration) -> (Cached, Instant) {
        let token = Token(self.tokens.fetch_add(1, Ordering::SeqCst));
        (Cached { value, token }, Instant::now() + ttl)
    }
}

impl CacheTier for MemoryCache {
    fn name(&self) -> &'static str {
        "memory-cache"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        Ok(self.items().get(key).map(|(cached, _)| cached.clone()))
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        let mut items = self.items();
        let is_free = !items.contains_key(key);
        if is_free {
            items.insert(key.to_owned(), self.cached(value, ttl));
        }
        Ok(is_free)
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.items().insert(key.to_owned(), self.cached(value, ttl));
        Ok(())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        Ok(match self.items().get_mut(key) {
            None => Swap::Missing,
            Some((cached, _)) if cached.token != token => Swap::Changed,
            Some(item) => {
                *item = self.cached(value, ttl);
                Swap::Done
            }
        })
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        let mut items = self.items();
        Ok(match items.get(key) {
            None => Swap::Missing,
            Some((cached, _)) if cached.token != token => Swap::Changed,
            Some(_) => {
                items.remove(key);
                Swap::Done
            }
        })
    }
}

/// A durable tier. Clones share its records.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    by_key: BTreeMap<String, (Stored, SystemTime)>,
    last: u64,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys of all records, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.lock().by_key.keys().cloned().collect()
    }

    /// The value stored under `key`.
    pub fn value(&self, key: &str) -> Option<Bytes> {
        self.lock().by_key.get(key).map(|(stored, _)| stored.value.clone())
    }

    /// Replaces the value under `key` behind the store's back.
    ///
    /// # Panics
    /// Where there is no record.
    pub fn overwrite(&self, key: &str, value: impl Into<Bytes>) {
        let mut records = self.lock();
        let version = records.next();
        let (stored, _) = records.by_key.get_mut(key).expect("there is a record");
        *stored = Stored {
            value: value.into(),
            version,
        };
    }
}

impl Records {
    fn next(&mut self) -> Version {
        self.last += 1;
        Version(self.last)
    }

    fn put(&mut self, key: &str, value: &Bytes, expires_at: SystemTime) -> Write {
        let version = self.next();
        let value = Bytes::copy_from_slice(value);
        self.by_key
            .insert(key.to_owned(), (Stored { value, version }, expires_at));
        Write::Done(version)
    }
}

fn check(doing: &'static str, value: &Bytes) -> Result<(), TierError> {
    let (size, limit) = (value.len(), MAX_LEN);
    if size > limit {
        return Err(TierError::new(
            "memory-store",
            doing,
            TierErrorKind::TooLarge { size, limit },
        ));
    }
    Ok(())
}

impl DurableTier for MemoryStore {
    fn name(&self) -> &'static str {
        "memory-store"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn max_value_len(&self) -> usize {
        MAX_LEN
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        Ok(self.lock().by_key.get(key).map(|(stored, _)| stored.clone()))
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        check("insert", &value)?;
        let mut records = self.lock();
        if records.by_key.contains_key(key) {
            return Ok(Write::Conflict);
        }
        Ok(records.put(key, &value, expires_at))
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        check("update", &value)?;
        let mut records = self.lock();
        Ok(match records.by_key.get(key) {
            None => Write::Missing,
            Some((stored, _)) if stored.version != base => Write::Conflict,
            Some(_) => records.put(key, &value, expires_at),
        })
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        let mut records = self.lock();
        Ok(match records.by_key.get(key) {
            None => Write::Missing,
            Some((stored, _)) if stored.version != base => Write::Conflict,
            Some(_) => {
                records.by_key.remove(key);
                Write::Done(base)
            }
        })
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        let mut records = self.lock();
        let expired = records.by_key.iter().filter(|(_, (_, at))| *at <= now);
        let expired: Vec<_> = expired.map(|(key, _)| key.clone()).take(limit).collect();
        for key in &expired {
            records.by_key.remove(key);
        }
        Ok(expired.len())
    }
}

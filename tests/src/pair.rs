//! Tiers in plain maps, to show how little it takes, and to break.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::{CacheTier, Cached, DurableTier, Stored, Swap, TierError, Token, Version, Write};
use tokio::time::Instant;

/// A cache that forgets nothing before its time.
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

/// A durable tier that lasts as long as it does.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Mutex<BTreeMap<String, (Stored, SystemTime)>>,
    versions: AtomicU64,
}

impl MemoryStore {
    fn records(&self) -> MutexGuard<'_, BTreeMap<String, (Stored, SystemTime)>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Version {
        Version(self.versions.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

impl DurableTier for MemoryStore {
    fn name(&self) -> &'static str {
        "memory-store"
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        Ok(self.records().get(key).map(|(stored, _)| stored.clone()))
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let mut records = self.records();
        if records.contains_key(key) {
            return Ok(Write::Conflict);
        }
        let version = self.next();
        records.insert(key.to_owned(), (Stored { value, version }, expires_at));
        Ok(Write::Done(version))
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        Ok(match self.records().get_mut(key) {
            None => Write::Missing,
            Some((stored, _)) if stored.version != base => Write::Conflict,
            Some(record) => {
                let version = self.next();
                *record = (Stored { value, version }, expires_at);
                Write::Done(version)
            }
        })
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        let mut records = self.records();
        Ok(match records.get(key) {
            None => Write::Missing,
            Some((stored, _)) if stored.version != base => Write::Conflict,
            Some(_) => {
                records.remove(key);
                Write::Done(base)
            }
        })
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        let mut records = self.records();
        let expired = records.iter().filter(|(_, (_, expires_at))| *expires_at < now);
        let keys: Vec<String> = expired.map(|(key, _)| key.clone()).take(limit).collect();
        for key in &keys {
            records.remove(key);
        }
        Ok(keys.len())
    }
}

//! A durable tier in memory, for tests under paused time, where threads that do I/O have no place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use session_runtime::tier::{DurableTier, Stored, TierError, TierErrorKind, Version, Write};

const MAX_LEN: usize = 1 << 20;

/// Records in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    by_key: HashMap<String, (Stored, SystemTime)>,
    last: u64,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All keys, in order.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.lock().by_key.keys().cloned().collect();
        keys.sort();
        keys
    }

    /// What is stored under `key`.
    pub fn value(&self, key: &str) -> Option<Bytes> {
        self.lock().by_key.get(key).map(|(stored, _)| stored.value.clone())
    }

    /// Replaces what is stored under `key`, as no cascade would.
    ///
    /// # Panics
    /// Where nothing is.
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
        return Err(TierError::new("memory", doing, TierErrorKind::TooLarge { size, limit }));
    }
    Ok(())
}

impl DurableTier for Memory {
    fn name(&self) -> &'static str {
        "memory"
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

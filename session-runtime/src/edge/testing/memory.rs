//! A durable tier in a map.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use crate::tier::{DurableTier, Scope, Stored, TierError, TierErrorKind, Version, Write};

/// A durable tier in the memory of this process, for tests: it ends with the process. Clones share its records.
#[derive(Clone, Debug, Default)]
pub struct MemoryTier(Arc<Mutex<Records>>);

#[derive(Debug, Default)]
struct Records {
    /// With the time at which each may be deleted.
    by_key: BTreeMap<String, (Stored, SystemTime)>,
    /// The version that was given last, whatever the key: none is used again.
    last: u64,
    is_down: bool,
}

impl MemoryTier {
    /// An empty tier.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records there are, including those that have expired and were not deleted yet.
    pub fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes every call fail, as where the tier cannot be reached, or lets them succeed again: for tests of what an
    /// application answers in an outage. What a cache tier holds is served until it is older than
    /// [`max_staleness`](crate::Builder::max_staleness); a session that was created and not read yet is not there.
    pub fn set_down(&self, is_down: bool) {
        self.lock().is_down = is_down;
    }

    fn reach(&self, operation: &'static str) -> Result<MutexGuard<'_, Records>, TierError> {
        let records = self.lock();
        if records.is_down {
            return Err(TierError::new(self.name(), operation, TierErrorKind::Unavailable));
        }
        Ok(records)
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn put(&mut self, key: &str, value: Bytes, expires_at: SystemTime) -> Write {
        self.last += 1;
        let version = Version(self.last);
        self.by_key
            .insert(key.to_owned(), (Stored { value, version }, expires_at));
        Write::Done(version)
    }

    /// Why the record cannot be replaced; `None` where it has the version `base`.
    fn mismatch(&self, key: &str, base: Version) -> Option<Write> {
        match self.by_key.get(key) {
            None => Some(Write::Missing),
            Some((stored, _)) if stored.version != base => Some(Write::Conflict),
            Some(_) => None,
        }
    }
}

impl DurableTier for MemoryTier {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        Ok(self.reach("read")?.by_key.get(key).map(|(stored, _)| stored.clone()))
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let mut records = self.reach("insert")?;
        if records.by_key.contains_key(key) {
            return Ok(Write::Conflict);
        }
        Ok(records.put(key, value, expires_at))
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let mut records = self.reach("update")?;
        let mismatch = records.mismatch(key, base);
        Ok(mismatch.unwrap_or_else(|| records.put(key, value, expires_at)))
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        let mut records = self.reach("delete")?;
        Ok(records.mismatch(key, base).unwrap_or_else(|| {
            records.by_key.remove(key);
            Write::Done(base)
        }))
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        let mut records = self.reach("purge_expired")?;
        let expired = records.by_key.iter().filter(|(_, (_, at))| *at <= now);
        let expired: Vec<_> = expired.map(|(key, _)| key.clone()).take(limit).collect();
        for key in &expired {
            records.by_key.remove(key);
        }
        Ok(expired.len())
    }
}

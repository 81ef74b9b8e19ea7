//! The rules for stores can fail: tiers with one fault each, and the rule that detects it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::conformance::{self, Options, Violation};
use session_runtime::tier::{CacheTier, Cached, DurableTier, Scope, Stored, Swap, TierError, Token, Version, Write};
use session_tests::memory::{MemoryCache, MemoryStore};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A cache returns the value from before the last write, as a lagging replica does.
    CacheLags,
    CacheIgnoresTokens,
    CacheForgetsAtOnce,
    UpdateIgnoresTheBase,
    UpdateInserts,
    DeleteDoesNothing,
}

struct BrokenCache {
    fault: Fault,
    tier: MemoryCache,
    before: Mutex<BTreeMap<String, Option<Cached>>>,
}

impl BrokenCache {
    async fn remember(&self, key: &str) -> Result<(), TierError> {
        let now = self.tier.get(key).await?;
        self.before.lock().unwrap().insert(key.to_owned(), now);
        Ok(())
    }

    async fn token(&self, key: &str, token: Token) -> Result<Token, TierError> {
        if self.fault != Fault::CacheIgnoresTokens {
            return Ok(token);
        }
        Ok(self.tier.get(key).await?.map_or(token, |cached| cached.token))
    }

    fn ttl(&self, ttl: Duration) -> Duration {
        if self.fault == Fault::CacheForgetsAtOnce {
            Duration::ZERO
        } else {
            ttl
        }
    }
}

impl CacheTier for BrokenCache {
    fn name(&self) -> &'static str {
        "broken-cache"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        if self.fault == Fault::CacheLags {
            let before = self.before.lock().unwrap().remove(key);
            if let Some(before) = before {
                return Ok(before);
            }
        }
        self.tier.get(key).await
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        self.tier.add(key, value, self.ttl(ttl)).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.tier.set(key, value, self.ttl(ttl)).await
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.remember(key).await?;
        let token = self.token(key, token).await?;
        self.tier.swap(key, token, value, self.ttl(ttl)).await
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        self.tier.remove(key, self.token(key, token).await?).await
    }
}

struct BrokenStore {
    fault: Fault,
    tier: MemoryStore,
}

impl BrokenStore {
    /// The base version, or the current one if the given one is ignored.
    async fn base(&self, key: &str, base: Version, is_ignored: bool) -> Result<Version, TierError> {
        let found = self.tier.read(key).await?;
        Ok(found.filter(|_| is_ignored).map_or(base, |stored| stored.version))
    }
}

impl DurableTier for BrokenStore {
    fn name(&self) -> &'static str {
        "broken-store"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        self.tier.read(key).await
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        self.tier.insert(key, value, expires_at).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let base = self.base(key, base, self.fault == Fault::UpdateIgnoresTheBase).await?;
        match self.tier.update(key, base, value.clone(), expires_at).await? {
            Write::Missing if self.fault == Fault::UpdateInserts => self.tier.insert(key, value, expires_at).await,
            write => Ok(write),
        }
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        if self.fault == Fault::DeleteDoesNothing {
            return Ok(Write::Done(base));
        }
        self.tier.delete(key, base).await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        self.tier.purge_expired(now, limit).await
    }
}

async fn check(fault: Fault) -> Result<(), Violation> {
    let cache = Arc::new(BrokenCache {
        fault,
        tier: MemoryCache::default(),
        before: Mutex::default(),
    });
    let durable = Arc::new(BrokenStore {
        fault,
        tier: MemoryStore::default(),
    });
    conformance::store(&cache, &durable, &Options::new()).await
}

#[tokio::test]
async fn every_fault_is_detected_by_its_rule_and_reported_with_its_tiers() {
    check(Fault::None).await.unwrap();
    for (fault, set, rule) in [
        (
            Fault::CacheLags,
            "memcache",
            "a committed change is visible to every node at once",
        ),
        (
            Fault::CacheIgnoresTokens,
            "memcache",
            "concurrent changes from several nodes are merged field by field",
        ),
        (
            Fault::CacheForgetsAtOnce,
            "memcache",
            "a created session is found by every node, with its values",
        ),
        (
            Fault::UpdateIgnoresTheBase,
            "datastore",
            "concurrent changes from several nodes are merged field by field",
        ),
        (
            Fault::UpdateInserts,
            "datastore",
            "a destroyed session is gone for every node, and stays gone",
        ),
        (
            Fault::DeleteDoesNothing,
            "datastore",
            "a destroyed session is gone for every node, and stays gone",
        ),
    ] {
        let violation = check(fault).await.expect_err(&format!("{fault:?} was not detected"));
        assert_eq!(violation.rule(), rule, "{fault:?}: {violation}");
        let tier = format!("{set} on broken-cache and broken-store");
        assert_eq!(violation.tier(), tier, "{fault:?}: {violation}");
    }
}

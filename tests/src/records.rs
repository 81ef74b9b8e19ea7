//! A durable tier that processes share without an emulator.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::Memcache;
use session_runtime::tier::memcache::ConfigError;
use session_runtime::tier::{CacheTier, Cached, DurableTier, Scope, Stored, Swap, TierError, Token, Version, Write};

/// Longer than any test, shorter than memcached's 30 days.
const TTL: Duration = Duration::from_hours(24);
const VERSION_LEN: usize = size_of::<u64>();

/// Records in a memcached that is started with `-M`, so that it evicts nothing. A value begins with its version.
#[derive(Debug)]
pub struct Records(Memcache);

impl Records {
    /// Records in the memcached at this address.
    ///
    /// # Errors
    /// An address that cannot be parsed.
    pub fn connect(address: &str) -> Result<Self, ConfigError> {
        Memcache::connect([address]).map(|memcache| Self(memcache.with_timeout(Duration::from_secs(5))))
    }

    async fn find(&self, key: &str) -> Result<Option<(Stored, Token)>, TierError> {
        let Some(Cached { mut value, token }) = self.0.get(key).await? else {
            return Ok(None);
        };
        let record = value.split_off(VERSION_LEN);
        let version = Version(value.iter().fold(0, |version, byte| version << 8 | u64::from(*byte)));
        let stored = Stored { value: record, version };
        Ok(Some((stored, token)))
    }
}

fn with_version(Version(version): Version, value: &[u8]) -> Bytes {
    [&version.to_be_bytes(), value].concat().into()
}

fn written(swap: Swap, version: Version) -> Write {
    match swap {
        Swap::Done => Write::Done(version),
        Swap::Changed => Write::Conflict,
        Swap::Missing => Write::Missing,
    }
}

impl DurableTier for Records {
    fn name(&self) -> &'static str {
        "records"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        Ok(self.find(key).await?.map(|(stored, _)| stored))
    }

    async fn insert(&self, key: &str, value: Bytes, _: SystemTime) -> Result<Write, TierError> {
        let first = Version(1);
        let is_added = self.0.add(key, with_version(first, &value), TTL).await?;
        Ok(if is_added { Write::Done(first) } else { Write::Conflict })
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, _: SystemTime) -> Result<Write, TierError> {
        let Some((stored, token)) = self.find(key).await? else {
            return Ok(Write::Missing);
        };
        if stored.version != base {
            return Ok(Write::Conflict);
        }
        let next = Version(base.0 + 1);
        let swap = self.0.swap(key, token, with_version(next, &value), TTL).await?;
        Ok(written(swap, next))
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        match self.find(key).await? {
            None => Ok(Write::Missing),
            Some((stored, _)) if stored.version != base => Ok(Write::Conflict),
            Some((_, token)) => Ok(written(self.0.remove(key, token).await?, base)),
        }
    }

    async fn purge_expired(&self, _: SystemTime, _: usize) -> Result<usize, TierError> {
        Ok(0)
    }
}

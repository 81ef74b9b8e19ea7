use std::time::Duration;

/// How long things live, and how much they may take: the options of a store.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) key_prefix: String,
    pub(crate) idle: Duration,
    pub(crate) max_age: Duration,
    pub(crate) max_len: usize,
    pub(crate) max_staleness: Duration,
    pub(crate) rotation_grace: Duration,
    pub(crate) commit_timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            key_prefix: "session.".to_owned(),
            idle: Duration::from_mins(20),
            max_age: Duration::from_hours(30 * 24),
            max_len: 4096,
            max_staleness: Duration::from_mins(5),
            rotation_grace: Duration::from_secs(30),
            commit_timeout: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// How long before a used session is written only to note that it was used: a tenth of the idle time.
    pub(crate) fn renew_after(&self) -> Duration {
        self.idle / 10
    }
}

/// How long a reader's lease lies in the cache: longer than a read of the durable tier.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(10);
/// How long a tombstone lies in the cache. It saves reads of the durable tier; safety does not depend on it, since storage keys
/// are never used twice.
pub(super) const TOMBSTONE_TTL: Duration = Duration::from_mins(1);
/// How much longer than the last durable write that can still land a fence lies in the cache.
pub(super) const FENCE_MARGIN: Duration = Duration::from_secs(15);

use std::time::Duration;

/// The options of a store: lifetimes, timeouts and sizes.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) key_prefix: String,
    pub(crate) idle: Duration,
    pub(crate) max_age: Duration,
    pub(crate) max_len: usize,
    pub(crate) max_staleness: Duration,
    pub(crate) rotation_grace: Duration,
    pub(crate) rotate_every: Option<Duration>,
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
            rotate_every: None,
            commit_timeout: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// How long after its last renewal a session that is only read is written to renew it: a tenth of the idle time.
    pub(crate) fn renew_after(&self) -> Duration {
        self.idle / 10
    }
}

/// The TTL of a reader's lease: longer than a read of the durable tier takes.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(10);
/// The TTL of a tombstone. It saves reads of the durable tier; correctness does not depend on it, since storage keys are
/// never used twice.
pub(super) const TOMBSTONE_TTL: Duration = Duration::from_mins(1);
/// How much longer a fence is kept than a durable write may be delayed.
pub(super) const FENCE_MARGIN: Duration = Duration::from_secs(15);

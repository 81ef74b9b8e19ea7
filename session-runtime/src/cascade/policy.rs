use std::time::Duration;

use super::owner::amendments::BeyondMax;
use crate::session::Schema;
use crate::session::meta::Meta;

/// The options of a store: lifetimes, timeouts and sizes.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) key_prefix: String,
    pub(crate) idle: Duration,
    /// The share of the idle time after which a session that was only used is written again.
    pub(crate) renew_after: f64,
    pub(crate) max_age: Duration,
    pub(crate) anonymous_idle: Option<Duration>,
    pub(crate) max_len: usize,
    pub(crate) max_staleness: Duration,
    pub(crate) rotation_grace: Duration,
    pub(crate) rotate_every: Option<Duration>,
    pub(crate) commit_timeout: Duration,
    /// How many sessions an owner may have, and what becomes of a sign-in beyond that.
    pub(crate) max_sessions: (usize, BeyondMax),
    /// Whether owners' records that no key of the ring has signed are forgotten.
    pub(crate) forgets_owners: bool,
    /// Whether what is stored is encrypted.
    #[cfg(feature = "seal")]
    pub(crate) seals: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            key_prefix: "session.".to_owned(),
            idle: Duration::from_mins(20),
            renew_after: 0.1,
            max_age: Duration::from_hours(30 * 24),
            anonymous_idle: None,
            max_len: 4096,
            max_staleness: Duration::from_mins(5),
            rotation_grace: Duration::from_secs(30),
            rotate_every: None,
            commit_timeout: Duration::from_secs(30),
            max_sessions: (32, BeyondMax::default()),
            forgets_owners: false,
            #[cfg(feature = "seal")]
            seals: false,
        }
    }
}

impl Policy {
    /// How long after its last renewal a session is written again only because it is used.
    pub(crate) fn renew_after(&self, meta: &Meta) -> Duration {
        meta.idle.unwrap_or(self.idle).mul_f64(self.renew_after)
    }

    /// The idle time of sessions of this type.
    pub(crate) fn idle_of(&self, schema: &Schema) -> Duration {
        schema.idle.unwrap_or(self.idle)
    }

    /// The same, while nothing privileged is in one.
    pub(crate) fn new_idle_of(&self, schema: &Schema) -> Duration {
        let idle = self.idle_of(schema);
        self.anonymous_idle.map_or(idle, |anonymous| anonymous.min(idle))
    }

    /// The greatest age of sessions of this type.
    pub(crate) fn max_age_of(&self, schema: &Schema) -> Duration {
        schema.max_age.unwrap_or(self.max_age)
    }
}

/// The TTL of a reader's lease: longer than a read of the durable tier takes.
pub(super) const LEASE_TTL: Duration = Duration::from_secs(10);
/// The TTL of a tombstone. It saves reads of the durable tier; correctness does not depend on it, since storage keys are
/// never used twice.
pub(super) const TOMBSTONE_TTL: Duration = Duration::from_mins(1);
/// How much longer a fence is kept than a durable write may be delayed.
pub(super) const FENCE_MARGIN: Duration = Duration::from_secs(15);

//! Whether the tiers of a store answer.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::inner::StoreInner;
use crate::tier::{TierError, TierErrorKind};

/// How long a tier may take. Many times what a healthy one takes, and less than most balancers wait for a health route (5 s).
const TIMEOUT: Duration = Duration::from_secs(2);

/// What [`CascadeStore::check`](crate::CascadeStore::check) has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// The cache; `None` where the store has none.
    pub cache: Option<TierHealth>,
    /// The durable tier; `None` where the store has none.
    pub durable: Option<TierHealth>,
    /// Whether sessions that name both tiers are served from the durable one alone
    /// ([`without_cache`](crate::Builder::without_cache)).
    pub is_without_cache: bool,
    /// How many sessions wait for their old value to be removed from a cache that could not be reached.
    pub pending_invalidations: usize,
}

/// What was found of one tier.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TierHealth {
    /// The tier's [name](crate::tier::CacheTier::name), as errors and `Server-Timing` have it.
    pub name: &'static str,
    /// The [product](crate::tier::CacheTier::product) behind it, as spans have it.
    pub product: &'static str,
    /// How long it took to answer, or to fail.
    pub took: Duration,
    /// Why it did not answer.
    pub error: Option<Arc<TierError>>,
    /// The parts of it that did not answer though others did, such as servers, by name.
    pub silent: Vec<String>,
}

impl TierHealth {
    /// Whether it answered, or a part of it.
    pub fn is_reachable(&self) -> bool {
        self.error.is_none()
    }
}

/// What does not work as it should. Its `Display` is a line for whoever runs the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Degraded {
    /// A tier did not answer.
    Unreachable {
        /// The tier's name.
        tier: &'static str,
    },
    /// A part of a tier did not answer: sessions whose values lie there are served as without that tier.
    Silent {
        /// The tier's name.
        tier: &'static str,
        /// The name of the part, such as a server's address.
        part: String,
    },
    /// Old values wait to be removed from a cache that could not be reached.
    PendingInvalidations {
        /// Of how many sessions.
        sessions: usize,
    },
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { tier } => write!(f, "{tier} does not answer"),
            Self::Silent { tier, part } => write!(f, "{part} of {tier} does not answer"),
            Self::PendingInvalidations { sessions } => {
                write!(
                    f,
                    "the old values of {sessions} sessions wait to be removed from the cache"
                )
            }
        }
    }
}

impl Health {
    /// Whether the store can do its work: the tier answers that orders writers, which is the durable one, or the cache
    /// where it is the only tier. A cache that fails makes requests slower, and none fail.
    pub fn is_serving(&self) -> bool {
        let authority = self.durable.as_ref().or(self.cache.as_ref());
        authority.is_none_or(TierHealth::is_reachable)
    }

    /// What does not work as it should; nothing where all is well.
    pub fn degraded(&self) -> Vec<Degraded> {
        let mut degraded = Vec::new();
        for health in self.cache.iter().chain(&self.durable) {
            let tier = health.name;
            if !health.is_reachable() {
                degraded.push(Degraded::Unreachable { tier });
            }
            let silent = health.silent.iter().cloned();
            degraded.extend(silent.map(|part| Degraded::Silent { tier, part }));
        }
        if self.pending_invalidations > 0 {
            degraded.push(Degraded::PendingInvalidations {
                sessions: self.pending_invalidations,
            });
        }
        degraded
    }
}

impl StoreInner {
    pub(super) async fn check(&self) -> Health {
        let cache = async {
            let tier = self.backend.cache.as_ref()?;
            Some(ping(tier.name(), tier.product(), tier.ping()).await)
        };
        let durable = async {
            let tier = self.backend.durable.as_ref()?;
            Some(ping(tier.name(), tier.product(), tier.ping()).await)
        };
        let (cache, durable) = tokio::join!(cache, durable);
        Health {
            cache,
            durable,
            is_without_cache: self.backend.is_without_cache,
            pending_invalidations: self.invalidations.load(Ordering::Relaxed),
        }
    }
}

async fn ping(
    name: &'static str,
    product: &'static str,
    ping: impl Future<Output = Result<Vec<String>, TierError>>,
) -> TierHealth {
    let started = Instant::now();
    let outcome = timeout(TIMEOUT, ping).await;
    let outcome = outcome
        .unwrap_or_else(|elapsed| Err(TierError::new(name, "ping", TierErrorKind::Unavailable).with_source(elapsed)));
    let (error, silent) = match outcome {
        Ok(silent) => (None, silent),
        Err(error) => (Some(Arc::new(error)), Vec::new()),
    };
    TierHealth {
        name,
        product,
        took: started.elapsed(),
        error,
        silent,
    }
}

//! The builder of a store.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::backend::Backend;
use super::build_error::BuildError;
use super::event::{Events, SessionEvent};
use super::metrics;
use super::options;
use super::owner::amendments::BeyondMax;
use super::policy::Policy;
use super::store::{CascadeStore, NoDatastore, NoMemcache, WithDatastore, WithMemcache};
use crate::clock::{Clock, SystemClock};
use crate::keys::KeyRing;
use crate::tier::erased::{AnyCache, AnyDurable};
use crate::tier::{CacheTier, DurableTier, Scope};

/// Builds a [`CascadeStore`] from its keys, its tiers and its options.
///
/// As with the store, the type says which tiers it has.
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder<M = NoMemcache, D = NoDatastore> {
    keys: KeyRing,
    cache: Option<Arc<dyn AnyCache>>,
    durable: Option<Arc<dyn AnyDurable>>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    purge_every: Option<Duration>,
    events: Events,
    is_single_process: bool,
    is_without_cache: bool,
    tiers: PhantomData<fn() -> (M, D)>,
}

impl CascadeStore {
    /// A builder of a store with these keys. Add the tiers that its sessions name.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # async fn build() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use session_runtime::{CascadeStore, KeyRing, LocalCache, LocalFile};
    ///
    /// let store = CascadeStore::builder(KeyRing::from_env("SESSION_KEYS")?)
    ///     .cache(LocalCache::new())
    ///     .durable(LocalFile::open("sessions.redb")?)
    ///     .idle(Duration::from_secs(60 * 60))
    ///     .build()
    ///     .await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(keys: KeyRing) -> Builder {
        Builder {
            keys,
            cache: None,
            durable: None,
            clock: Arc::new(SystemClock),
            policy: Policy::default(),
            purge_every: None,
            events: Events::default(),
            is_single_process: false,
            is_without_cache: false,
            tiers: PhantomData,
        }
    }
}

impl<M, D> Builder<M, D> {
    /// Sets the tier that sessions name `memcache`: [`Memcache`](crate::tier::memcache::Memcache),
    /// [`LocalCache`](crate::tier::embedded::LocalCache), or one of your own.
    pub fn memcache(self, tier: impl CacheTier) -> Builder<WithMemcache, D> {
        Builder {
            cache: Some(Arc::new(tier)),
            is_without_cache: false,
            ..self.retyped()
        }
    }

    /// As [`memcache`](Self::memcache): the tier that sessions call `cache`.
    pub fn cache(self, tier: impl CacheTier) -> Builder<WithMemcache, D> {
        self.memcache(tier)
    }

    /// Serves sessions that name both tiers from the durable one alone: a request that takes one costs a durable read.
    ///
    /// For many processes that share a durable tier and no cache. A session that lives in the cache alone is refused when
    /// it is first taken.
    pub fn without_cache(self) -> Builder<WithMemcache, D> {
        Builder {
            cache: None,
            is_without_cache: true,
            ..self.retyped()
        }
    }

    /// As [`datastore`](Self::datastore): the tier that sessions call `durable`.
    pub fn durable(self, tier: impl DurableTier) -> Builder<M, WithDatastore> {
        self.datastore(tier)
    }

    /// Sets the tier that sessions name `datastore`: [`LocalFile`](crate::tier::embedded::LocalFile), Postgres, Google Cloud
    /// Datastore, or one of your own.
    pub fn datastore(self, tier: impl DurableTier) -> Builder<M, WithDatastore> {
        Builder {
            durable: Some(Arc::new(tier)),
            ..self.retyped()
        }
    }

    fn retyped<M2, D2>(self) -> Builder<M2, D2> {
        let Self {
            keys,
            cache,
            durable,
            clock,
            policy,
            purge_every,
            events,
            is_single_process,
            is_without_cache,
            tiers: _,
        } = self;
        Builder {
            keys,
            cache,
            durable,
            clock,
            policy,
            purge_every,
            events,
            is_single_process,
            is_without_cache,
            tiers: PhantomData,
        }
    }

    /// Promises that no other process serves these sessions, so that one of the tiers may belong to this process and the
    /// other be shared. Where another does all the same, sessions are lost, and come back after a logout.
    pub fn single_process(mut self) -> Self {
        self.is_single_process = true;
        self
    }

    /// Sets how long a session lives without a request (default: 20 minutes). To renew it, a session that is only read is
    /// written again after a share of this time ([`renew_after`](Self::renew_after)).
    pub fn idle(mut self, idle: Duration) -> Self {
        self.policy.idle = idle;
        self
    }

    /// Sets the share of the idle time after which a session that was only used is written again (default: 0.1; from 0.01
    /// to 0.5).
    ///
    /// A greater share costs fewer writes: twice the share, half the renewals. In return a session may end sooner after its
    /// last request: one that is used just before it would be renewed has only the rest of the idle time left, with 0.5 half
    /// of it.
    pub fn renew_after(mut self, share: f64) -> Self {
        self.policy.renew_after = share;
        self
    }

    /// Sets how long a session lives without being used while nothing privileged is in it (default: as any other). Crawlers
    /// and visitors who never come back make most of those.
    pub fn anonymous_idle(mut self, idle: Duration) -> Self {
        self.policy.anonymous_idle = Some(idle);
        self
    }

    /// Sets the greatest age of a session and of its cookie, however often it is used (default: 30 days).
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.policy.max_age = max_age;
        self
    }

    /// Sets the largest size of a record, in bytes (default: 4096). A commit that would exceed it fails, and the stored
    /// record stays as it was.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.policy.max_len = bytes;
        self
    }

    /// Sets the prefix of storage keys (default: `session.`): at most 200 bytes of printable ASCII without spaces.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.policy.key_prefix = prefix.into();
        self
    }

    /// Sets how old a cached record may be before the durable tier is read again (default: 5 minutes). After a commit
    /// that could not reach the cache, other nodes may read the old value for this long; and after an ordinary change, neither
    /// privileged nor a destroy, whose process died before it was answered. Each active session costs one durable read per
    /// such time.
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.policy.max_staleness = max_staleness;
        self
    }

    /// Sets how long the previous secret is accepted after a rotation that no privileged write caused, so that the
    /// parallel requests of a page survive it (default: 30 seconds).
    pub fn rotation_grace(mut self, grace: Duration) -> Self {
        self.policy.rotation_grace = grace;
        self
    }

    /// Gives a session a new secret this often, with the first request after that time (default: never). The secret before
    /// is accepted for the [`rotation_grace`](Self::rotation_grace).
    pub fn rotate_every(mut self, every: Duration) -> Self {
        self.policy.rotate_every = Some(every);
        self
    }

    /// Sets how long a commit may take, retries included (default: 30 seconds).
    pub fn commit_timeout(mut self, timeout: Duration) -> Self {
        self.policy.commit_timeout = timeout;
        self
    }

    /// Sets how many sessions an [owner](CascadeStore::owner) may be signed in to (default: 32; from 1 to 1000), and what
    /// becomes of a sign-in beyond that. Sessions that have ended by themselves do not count.
    pub fn max_sessions(mut self, max: usize, beyond: BeyondMax) -> Self {
        self.policy.max_sessions = (max, beyond);
        self
    }

    /// Encrypts what is stored outside of this process (AES-256-GCM, with a key for each value that is made from the store's),
    /// so that whoever reads a tier reads no session. What is stored in the clear is read all the same, and what is sealed is
    /// read by every store that is built with this feature: it can be switched on and off while nodes are replaced one by one.
    ///
    /// Keys, sizes and times of expiry stay readable. A cache in this process's memory is not sealed.
    #[cfg(feature = "seal")]
    pub fn seal(mut self) -> Self {
        self.policy.seals = true;
        self
    }

    /// Forgets which sessions an owner has where no key of this store has signed that, rather than refuse the owner's sign-ins.
    ///
    /// For the case that a key had to be dropped at once, before the sessions of its time had ended: their cookies are void,
    /// and their owners could not sign in until the list of their sessions expires. Not while nodes with other keys serve the
    /// same sessions: what those list would be forgotten too.
    pub fn forget_owners_of_unknown_keys(mut self) -> Self {
        self.policy.forgets_owners = true;
        self
    }

    /// Deletes expired sessions from the durable tier this often, in the background (default: what the tier asks for,
    /// every 10 minutes for Postgres and for an embedded file; Google Cloud Datastore has TTL policies, and asks for
    /// nothing).
    pub fn purge_every(mut self, every: Duration) -> Self {
        self.purge_every = Some(every);
        self
    }

    /// Tells `listener` what happens to sessions, for audits and alarms. It is called on the way of the request: it must
    /// be quick and not block, so hand longer work to a channel. A panic in it is logged, and changes nothing.
    ///
    /// The same is told as `tracing` events under the target `session_runtime::event` at level debug, with the fields
    /// `event`, `session`, and `key`: a hash of the storage key (8 hex digits of SHA-256), by which the events of one
    /// session are found.
    ///
    /// ```
    /// # use session_runtime::{Builder, SessionEvent};
    /// # fn with_alarm<M, D>(builder: Builder<M, D>) -> Builder<M, D> {
    /// builder.on_event(|event| match event {
    ///     SessionEvent::ForgedToken { session } => eprintln!("a forged token for {session}"),
    ///     event => println!("{}: {}", event.session(), event.label()),
    /// })
    /// # }
    /// ```
    pub fn on_event(mut self, listener: impl Fn(&SessionEvent) + Send + Sync + 'static) -> Self {
        self.events = Events::new(listener);
        self
    }

    /// Sets the clock for the deadlines of sessions, for tests (default: the system's).
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the store. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// An option with an invalid value; tiers of which one belongs to this process and the other to others too, unless
    /// this is the only one ([`single_process`](Self::single_process)); a tier that refuses its configuration.
    pub async fn build(self) -> Result<CascadeStore<M, D>, BuildError> {
        let Self {
            keys,
            cache,
            durable,
            clock,
            policy,
            purge_every,
            events,
            is_single_process,
            is_without_cache,
            tiers: _,
        } = self;
        options::check(&policy)?;
        if let (Some(cache), Some(durable), false) = (&cache, &durable, is_single_process) {
            options::check_scopes((cache.name(), cache.scope()), (durable.name(), durable.scope()))?;
        }
        if let Some(every) = purge_every {
            options::check_duration("purge_every", every)?;
        }
        if let Some(cache) = &cache {
            let checked = cache.check().await;
            checked.map_err(|error| BuildError::Tier {
                tier: cache.name(),
                source: error.into(),
            })?;
        }
        let purge_every = purge_every.or_else(|| durable.as_ref()?.purge_interval());
        metrics::describe();
        let scopes = [
            cache.as_ref().map(|tier| tier.scope()),
            durable.as_ref().map(|tier| tier.scope()),
        ];
        let is_shared = !is_single_process && scopes.contains(&Some(Scope::Shared));
        tracing::info!(
            cache = cache.as_ref().map_or("none", |tier| tier.name()),
            durable = durable.as_ref().map_or("none", |tier| tier.name()),
            shared_by = if is_shared {
                "all processes"
            } else {
                "this process alone"
            },
            "the store of the sessions was built"
        );
        Ok(CascadeStore::new(
            Backend {
                cache,
                is_without_cache,
                durable,
                keys,
                clock,
                policy,
                old_key_uses: AtomicU64::new(0),
                events,
            },
            purge_every,
        ))
    }
}

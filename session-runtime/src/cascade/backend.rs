//! The tiers of a store, and the driver that runs the protocol's machines against them: it encodes, authenticates, calls a
//! tier, and hands its answer back to the machine.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::diagnostics::{Diagnostics, UnreadableRecord};
use super::event::Events;
use super::item;
use super::policy::{FENCE_MARGIN, LEASE_TTL, Policy, TOMBSTONE_TTL};
use super::protocol::{Action, Event, Item, Machine, Source, Step};
use super::stored::StoredRecord;
use crate::cascade::envelope;
use crate::clock::Clock;
use crate::keys::{KeyRing, SignedBy, Use};
use crate::session::meta::{Meta, Millis, Nonce};
use crate::tier::erased::{AnyCache, AnyDurable};
use crate::tier::{Swap, TierError, TierErrorKind, Tiers, Version};

/// The tiers of a store, with the keys, the clock and the limits that it takes to use them.
pub(crate) struct Backend {
    pub(crate) cache: Option<Arc<dyn AnyCache>>,
    /// Whether sessions that name both tiers are served from the durable one alone.
    pub(super) is_without_cache: bool,
    pub(crate) durable: Option<Arc<dyn AnyDurable>>,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: Policy,
    /// How much was verified that an older key than the newest has signed.
    pub(super) old_key_uses: AtomicU64,
    pub(crate) events: Events,
}

impl Backend {
    pub(crate) fn now(&self) -> Millis {
        self.clock.now().into()
    }

    /// The tiers in which a session that names these lives here.
    pub(crate) fn tiers_for(&self, named: Tiers) -> Tiers {
        if self.is_without_cache && named.contains(Tiers::DATASTORE) {
            named - Tiers::MEMCACHE
        } else {
            named
        }
    }

    /// The distributed tiers that there are.
    pub(crate) fn tiers(&self) -> Tiers {
        let has = |tier: Tiers, is: bool| if is { tier } else { Tiers::empty() };
        has(Tiers::MEMCACHE, self.cache.is_some()) | has(Tiers::DATASTORE, self.durable.is_some())
    }

    /// What the tier that answered calls itself.
    pub(crate) fn tier_name(&self, source: Source) -> &'static str {
        match source {
            Source::Cache => self.cache.as_ref().map_or("memcache", |tier| tier.name()),
            Source::Durable => self.durable.as_ref().map_or("datastore", |tier| tier.name()),
        }
    }

    /// When a session ends if it is not used again.
    pub(crate) fn expires_at(&self, meta: &Meta) -> Millis {
        meta.expires_at(self.policy.idle)
    }

    /// Counts what was verified, where an older key has signed it.
    pub(crate) fn count_old_key(&self, role: Use, signed_by: SignedBy) {
        if signed_by == SignedBy::Older {
            self.old_key_uses.fetch_add(1, Ordering::Relaxed);
            super::metrics::count_old_key(role.label());
        }
    }

    /// The payload of what lies in a tier, if it is authentic.
    fn unwrap(&self, key: &str, envelope: &Bytes) -> Option<Bytes> {
        let (payload, signed_by) = envelope::unwrap(&self.keys, key, envelope)?;
        self.count_old_key(Use::Record, signed_by);
        Some(payload)
    }

    /// Runs a machine to its end.
    pub(crate) async fn run<R: StoredRecord, M: Machine<R>>(&self, key: &str, mut machine: M) -> (M::End, Diagnostics) {
        let mut diagnostics = Diagnostics::default();
        let mut step = machine.begin(self.now());
        loop {
            match step {
                Step::End(end) => return (end, diagnostics),
                step_on => step = self.step(key, &mut machine, step_on, &mut diagnostics).await,
            }
        }
    }

    /// Takes a step that is not the last: calls a tier, and hands its answer to the machine.
    pub(super) async fn step<R: StoredRecord, M: Machine<R>>(
        &self,
        key: &str,
        machine: &mut M,
        step: Step<R, M::End>,
        diagnostics: &mut Diagnostics,
    ) -> Step<R, M::End> {
        let action = match step {
            Step::Do(action) => action,
            Step::Retry(attempt, action) => {
                tokio::time::sleep(pause(attempt)).await;
                action
            }
            Step::End(end) => return Step::End(end),
        };
        let event = match self.perform(key, action, M::IS_CACHE_ONLY, diagnostics).await {
            Ok(event) => event,
            Err(failed) => failed.into_event(diagnostics),
        };
        machine.on(event, self.now())
    }

    async fn perform<R: StoredRecord>(
        &self,
        key: &str,
        action: Action<R>,
        is_cache_only: bool,
        diagnostics: &mut Diagnostics,
    ) -> Result<Event<R>, ActionError> {
        match action {
            Action::Get => self.get(key).await,
            Action::Add(item) => {
                let (value, ttl) = self.item(key, &item, is_cache_only)?;
                Ok(Event::Added(
                    self.cache()?.add(key, value, ttl).await.map_err(ActionError::Cache)?,
                ))
            }
            Action::Set(item) => {
                let (value, ttl) = self.item(key, &item, is_cache_only)?;
                self.cache()?.set(key, value, ttl).await.map_err(ActionError::Cache)?;
                Ok(Event::WasSet)
            }
            Action::Swap(token, item) => {
                let (value, ttl) = self.item(key, &item, is_cache_only)?;
                Ok(Event::Swapped(
                    self.cache()?
                        .swap(key, token, value, ttl)
                        .await
                        .map_err(ActionError::Cache)?,
                ))
            }
            Action::Remove(token) => Ok(Event::Swapped(
                self.cache()?.remove(key, token).await.map_err(ActionError::Cache)?,
            )),
            Action::Read => Ok(Event::Found(self.read(key, diagnostics).await?)),
            Action::Insert(record) => {
                let (value, expires_at) = self.record(key, &record)?;
                Ok(Event::Wrote(
                    self.durable()?
                        .insert(key, value, expires_at)
                        .await
                        .map_err(ActionError::Durable)?,
                ))
            }
            Action::Update(base, record) => {
                let (value, expires_at) = self.record(key, &record)?;
                Ok(Event::Wrote(
                    self.durable()?
                        .update(key, base, value, expires_at)
                        .await
                        .map_err(ActionError::Durable)?,
                ))
            }
            Action::Delete(base) => Ok(Event::Wrote(
                self.durable()?.delete(key, base).await.map_err(ActionError::Durable)?,
            )),
        }
    }

    async fn get<R: StoredRecord>(&self, key: &str) -> Result<Event<R>, ActionError> {
        let cache = self.cache()?;
        let Some(cached) = cache.get(key).await.map_err(ActionError::Cache)? else {
            return Ok(Event::Got(None));
        };
        let payload = if cache.is_private_memory() {
            Some(cached.value.clone())
        } else {
            self.unwrap(key, &cached.value)
        };
        let item = payload.and_then(|payload| item::decode(&payload));
        if let Some(item) = item {
            return Ok(Event::Got(Some((item, cached.token))));
        }
        if let Some(record) = self.in_place_of(&cached.value) {
            let (version, asked_at) = (Version(0), self.now());
            let item = Item::Value {
                version,
                asked_at,
                record,
            };
            return Ok(Event::Got(Some((item, cached.token))));
        }
        if envelope::is_of_unknown_key(&self.keys, &cached.value) {
            // Written by a node that has a newer key, or by another application: left to it, as another's lease is.
            tracing::debug!(
                tier = cache.name(),
                "an item in the cache is signed with a key that is not in the ring"
            );
            return Ok(Event::Got(Some((Item::Lease(nonce()), cached.token))));
        }
        // Out of the way first, or it would keep the place from being filled; then it counts as a miss.
        super::metrics::count_not_authentic();
        tracing::warn!(
            tier = cache.name(),
            "an item in the cache is not authentic: it was removed"
        );
        match cache.remove(key, cached.token).await.map_err(ActionError::Cache)? {
            Swap::Done | Swap::Missing => Ok(Event::Got(None)),
            // What lies there now has not been looked at, and may be anything.
            Swap::Changed => Err(ActionError::Cache(TierError::new(
                cache.name(),
                "remove what is not authentic",
                TierErrorKind::Unavailable,
            ))),
        }
    }

    async fn read<R: StoredRecord>(
        &self,
        key: &str,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<(Version, R)>, ActionError> {
        let Some(stored) = self.durable()?.read(key).await.map_err(ActionError::Durable)? else {
            return Ok(None);
        };
        let Some(payload) = self.unwrap(key, &stored.value) else {
            if let Some(record) = self.in_place_of(&stored.value) {
                return Ok(Some((stored.version, record)));
            }
            diagnostics.unreadable = Some(UnreadableRecord::NotAuthentic);
            return Err(ActionError::Unreadable);
        };
        match R::decode(&payload) {
            Ok(record) => Ok(Some((stored.version, record))),
            Err(error) => {
                diagnostics.unreadable = Some(UnreadableRecord::Malformed(Arc::new(error)));
                Err(ActionError::Unreadable)
            }
        }
    }

    /// The record to go on with where what is stored was signed by a key that is not in the ring.
    fn in_place_of<R: StoredRecord>(&self, envelope: &Bytes) -> Option<R> {
        if !envelope::is_of_unknown_key(&self.keys, envelope) {
            return None;
        }
        // Nothing of one that is sealed.
        let unverified = envelope::payload(envelope).map(|payload| envelope.slice_ref(payload));
        let unverified = unverified.unwrap_or_default();
        // In a cache it is an item.
        let unverified = item::value_bytes(&unverified).unwrap_or(unverified);
        R::in_place_of(&unverified, self.now(), self.policy.forgets_owners)
    }

    /// What is stored of a payload: the `len` bytes that `write` appends.
    #[cfg_attr(
        not(feature = "seal"),
        expect(clippy::unnecessary_wraps, reason = "to seal can fail")
    )]
    fn wrap(&self, key: &str, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Option<Bytes> {
        #[cfg(feature = "seal")]
        if self.policy.seals {
            return super::seal::seal(&self.keys, key, len, write);
        }
        Some(envelope::wrap(&self.keys, key, len, write))
    }

    fn item<R: StoredRecord>(
        &self,
        key: &str,
        item: &Item<R>,
        is_cache_only: bool,
    ) -> Result<(Bytes, Duration), ActionError> {
        let now = self.now();
        let ttl = match item {
            Item::Value { record, asked_at, .. } => {
                let until_expiry = record.expires_at(self.policy.idle).since(now);
                let ttl = if is_cache_only || R::IS_NEVER_A_COPY {
                    until_expiry
                } else {
                    // By the cache's own clock, so that the bound holds also for a reader whose clock is wrong.
                    let age = now.since(*asked_at);
                    until_expiry.min(self.policy.max_staleness.saturating_sub(age))
                };
                ttl.max(Duration::from_secs(1))
            }
            Item::Lease(_) => LEASE_TTL,
            Item::Fence { .. } => self.durable.as_ref().map_or(LEASE_TTL, |tier| tier.max_write_delay()) + FENCE_MARGIN,
            Item::Tombstone => TOMBSTONE_TTL,
        };
        let (len, append) = (item::encoded_len(item), |out: &mut Vec<u8>| item::append(item, out));
        let is_private = self.cache.as_ref().is_some_and(|cache| cache.is_private_memory());
        let value = if is_private {
            let mut out = Vec::with_capacity(len);
            append(&mut out);
            out.into()
        } else {
            let tier = || self.cache.as_ref().map_or("memcache", |cache| cache.name());
            let value = self.wrap(key, len, append);
            value.ok_or_else(|| ActionError::Cache(no_random(tier())))?
        };
        Ok((value, ttl))
    }

    fn record<R: StoredRecord>(&self, key: &str, record: &R) -> Result<(Bytes, SystemTime), ActionError> {
        let tier = || self.durable.as_ref().map_or("datastore", |durable| durable.name());
        let value = self.wrap(key, record.bytes().len(), |out| out.extend_from_slice(record.bytes()));
        let value = value.ok_or_else(|| ActionError::Durable(no_random(tier())))?;
        Ok((value, record.expires_at(self.policy.idle).into()))
    }

    fn cache(&self) -> Result<&dyn AnyCache, ActionError> {
        self.cache
            .as_deref()
            .ok_or_else(|| ActionError::Cache(absent("memcache")))
    }

    fn durable(&self) -> Result<&dyn AnyDurable, ActionError> {
        self.durable
            .as_deref()
            .ok_or_else(|| ActionError::Durable(absent("datastore")))
    }
}

/// A random number that names a commit, a fence or a lease. Whoever could guess it could do nothing with it: what it is in
/// is signed.
pub(crate) fn nonce() -> Nonce {
    thread_local! {
        /// Seeded by the system. A request takes up to three numbers, and a system call for each would cost more than it.
        static RANDOM: RefCell<fastrand::Rng> =
            RefCell::new(getrandom::u64().map_or_else(|_| fastrand::Rng::new(), fastrand::Rng::with_seed));
    }
    // The time tells apart what a machine that was copied while it ran would draw twice.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nonce(
        RANDOM.with_borrow_mut(|random| random.u64(..))
            ^ u64::from(time.subsec_nanos()).rotate_left(32)
            ^ time.as_secs(),
    )
}

/// Cannot happen to a store whose type says which tiers it has.
fn absent(tier: &'static str) -> TierError {
    TierError::new(tier, "find the tier", TierErrorKind::Refused)
}

/// A value cannot be sealed without randomness; nothing was sent.
fn no_random(tier: &'static str) -> TierError {
    TierError::new(tier, "seal a value", TierErrorKind::Unavailable)
}

/// Why an action has no answer of the tier's.
enum ActionError {
    Cache(TierError),
    Durable(TierError),
    Unreadable,
}

impl ActionError {
    fn into_event<R>(self, diagnostics: &mut Diagnostics) -> Event<R> {
        let (event, error) = match self {
            Self::Unreadable => return Event::DurableFailed,
            Self::Cache(error) => match error.kind() {
                TierErrorKind::TooLarge { size, limit } => {
                    diagnostics.too_large = Some((size, limit));
                    (Event::CacheFull, error)
                }
                TierErrorKind::Unknown => (Event::CacheUnknown, error),
                TierErrorKind::Unavailable | TierErrorKind::Refused => (Event::CacheFailed, error),
            },
            Self::Durable(error) => match error.kind() {
                TierErrorKind::TooLarge { size, limit } => {
                    diagnostics.too_large = Some((size, limit));
                    (Event::DurableFull, error)
                }
                TierErrorKind::Unknown => (Event::DurableUnknown, error),
                TierErrorKind::Unavailable | TierErrorKind::Refused => (Event::DurableFailed, error),
            },
        };
        tracing::debug!(error = &error as &dyn std::error::Error, "a tier failed");
        diagnostics.tier = Some(Arc::new(error));
        event
    }
}

/// A random while, up to 8 ms the first time and 64 ms in the end (full jitter). No longer, since one who waits long is
/// overtaken by the queue of another process again and again.
fn pause(attempt: u32) -> Duration {
    Duration::from_millis(fastrand::u64(0..=4 << attempt.min(4)))
}

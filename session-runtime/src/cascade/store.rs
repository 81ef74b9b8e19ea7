//! The store: loads, creates and commits sessions.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::driver::{Rooms, Stored, Trouble};
use super::locks::Locks;
use super::metrics;
use super::outcome::{Commit, CommitError, LoadError, LoadReport};
use super::protocol::{
    self, CacheCommit, CacheCreate, CacheLoad, Change, Committed, Create, Created, Failure, Found, Goal, Load, Loaded,
    Place, Settle, Source,
};
use crate::codec::meta::{Meta, Millis, Nonce};
use crate::codec::patch::{Patch, Refusal};
use crate::codec::record::Record;
use crate::session::{HasDatastore, HasMemcache};
use crate::tier::{TierError, Tiers, Version};

/// Says of a [`CascadeStore`] that it has the memcache tier.
#[derive(Clone, Copy, Debug)]
pub enum WithMemcache {}
/// Says of a [`CascadeStore`] that it has no memcache tier.
#[derive(Clone, Copy, Debug)]
pub enum NoMemcache {}
/// Says of a [`CascadeStore`] that it has the datastore tier.
#[derive(Clone, Copy, Debug)]
pub enum WithDatastore {}
/// Says of a [`CascadeStore`] that it has no datastore tier.
#[derive(Clone, Copy, Debug)]
pub enum NoDatastore {}

/// Keeps sessions in its tiers. Clones share everything.
///
/// Its type says which tiers it has, so that a session that names another is a compile error.
pub struct CascadeStore<M = WithMemcache, D = WithDatastore> {
    pub(crate) shared: Arc<Shared>,
    tiers: PhantomData<fn() -> (M, D)>,
}

impl<T, D> HasMemcache<T> for CascadeStore<WithMemcache, D> {}
impl<T, M> HasDatastore<T> for CascadeStore<M, WithDatastore> {}

/// Nothing is one of these. With one impl alone, the compiler would take a handler's session for a promise about the
/// store, and blame the store where it is handed over; with a second, it waits for the store, and then names the
/// handler, its session, and the tier that is missing.
pub trait Never {}

impl<T, D: Never> HasMemcache<T> for CascadeStore<NoMemcache, D> {}
impl<T, M: Never> HasDatastore<T> for CascadeStore<M, NoDatastore> {}

impl<M, D> Clone for CascadeStore<M, D> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            tiers: PhantomData,
        }
    }
}

impl<M, D> fmt::Debug for CascadeStore<M, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rooms { cache, durable, .. } = &self.shared.rooms;
        f.debug_struct("CascadeStore")
            .field("memcache", &cache.as_ref().map(|tier| tier.name()))
            .field("datastore", &durable.as_ref().map(|tier| tier.name()))
            .finish_non_exhaustive()
    }
}

impl<M, D> CascadeStore<M, D> {
    pub(super) fn new(rooms: Rooms, purge: bool) -> Self {
        let shared = Arc::new(Shared {
            rooms,
            locks: Locks::default(),
            tasks: TaskTracker::new(),
            closing: watch::Sender::new(false),
            invalidations: Arc::new(AtomicUsize::new(0)),
        });
        if purge {
            shared.purge_from_time_to_time();
        }
        Self::from_shared(shared)
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            tiers: PhantomData,
        }
    }

    /// Deletes at most `limit` expired sessions from the durable tier; tells how many. Google Cloud Datastore does it
    /// by itself where a TTL policy is set on `ExpiresAt`; an embedded file is swept without being asked.
    pub async fn purge_expired(&self, limit: usize) -> Result<usize, TierError> {
        self.shared.purge_expired(limit).await
    }

    /// How many sessions wait for their old value to be removed from a cache that could not be reached.
    pub fn pending_invalidations(&self) -> usize {
        self.shared.invalidations.load(Ordering::Relaxed)
    }

    /// Finishes what is in flight: commits, cache fills, and a last try at pending invalidations. Call it at shutdown,
    /// after the server has stopped.
    pub async fn drain(&self) {
        self.shared.closing.send_replace(true);
        self.shared.settled().await;
        self.shared.closing.send_replace(false);
    }
}

/// A record with the place that it was found in.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) version: Version,
    /// Where it lay in the cache, if it was found there.
    pub(crate) place: Option<Place>,
    pub(crate) record: Record,
}

pub(crate) struct Shared {
    pub(crate) rooms: Rooms,
    locks: Locks,
    tasks: TaskTracker,
    /// Whether pending invalidations get a last try.
    closing: watch::Sender<bool>,
    invalidations: Arc<AtomicUsize>,
}

/// How many pending invalidations are kept; beyond it the bound on staleness has to do.
const MAX_INVALIDATIONS: usize = 4096;

/// A commit that was done.
pub(crate) struct Done {
    pub(crate) commit: Commit,
    /// The record as it is now; none after a destroy.
    pub(crate) known: Option<Known>,
}

impl Shared {
    /// Waits for what goes on beside the requests. A pending invalidation takes as long as its cache is down.
    pub(crate) async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    pub(crate) fn key(&self, sid: &str) -> String {
        format!("{}{sid}", self.rooms.policy.key_prefix)
    }

    /// Looks a session up in its tiers. What the cache says to the visitor's disadvantage, that the session has expired
    /// or, as `counts` has it, that the visitor's secret does not count, may be out of date: the durable tier decides.
    /// A session of the request's memory alone is not to be found anywhere.
    pub(crate) async fn load(
        self: &Arc<Self>,
        session: &'static str,
        tiers: Tiers,
        key: &str,
        counts: impl Fn(&Meta) -> bool + Send,
    ) -> Result<(Option<Known>, LoadReport), LoadError> {
        let started = Instant::now();
        if !tiers.intersects(Tiers::DISTRIBUTED) {
            return Ok((None, LoadReport::default()));
        }
        let (loaded, trouble) = self.look_up(tiers, key, counts).await;
        let Loaded::Known {
            found,
            source,
            degraded,
            fill,
        } = loaded
        else {
            metrics::loaded(session, None, false, started.elapsed());
            return Err(load_error(session, trouble));
        };
        let report = LoadReport {
            source: Some(source),
            tier: self.name_of(source),
            degraded,
            took: started.elapsed(),
        };
        let found = found.map(|Found { version, record, place }| Known { version, place, record });
        metrics::loaded(session, Some(source), degraded, report.took);
        if let Some(expired) = found.as_ref().filter(|known| self.has_expired(&known.record.meta)) {
            self.forget(tiers, key, expired.version);
            return Ok((None, report));
        }
        if let Some(fill) = fill {
            let (shared, key) = (Arc::clone(self), key.to_owned());
            self.tasks.spawn(async move { shared.rooms.run(&key, fill).await });
        }
        Ok((found, report))
    }

    async fn look_up(
        &self,
        tiers: Tiers,
        key: &str,
        counts: impl Fn(&Meta) -> bool + Send,
    ) -> (Loaded<Record>, Trouble) {
        if !tiers.contains(Tiers::DATASTORE) {
            return self.rooms.run(key, CacheLoad).await;
        }
        let cache = tiers.contains(Tiers::MEMCACHE);
        // Replaces what the cache has, unless that is as new as can be told.
        let tries = [(cache, self.rooms.policy.max_staleness), (cache, Duration::ZERO)];
        for (cache, max_staleness) in tries {
            let (loaded, trouble) = self.rooms.run(key, Load::new(cache, nonce(), max_staleness)).await;
            match &loaded {
                Loaded::Known {
                    found: Some(found),
                    source: Source::Cache,
                    ..
                } if self.has_expired(&found.record.meta) || !counts(&found.record.meta) => {}
                _ => return (loaded, trouble),
            }
        }
        self.rooms.run(key, Load::new(false, nonce(), Duration::ZERO)).await
    }

    /// Creates a session under the keys that `next` gives, the first one that nothing speaks against.
    pub(crate) async fn create(
        &self,
        tiers: Tiers,
        patch: Patch,
        meta: Meta,
        mut next: impl FnMut() -> Option<String> + Send,
    ) -> Result<Done, CommitError> {
        const TRIES: u32 = 3;
        let session = patch.schema.name;
        let record = patch.create(meta).map_err(|refusal| refused(session, refusal))?;
        if !tiers.intersects(Tiers::DISTRIBUTED) {
            return Ok(Done {
                commit: Commit::Clean,
                known: None,
            });
        }
        let mut source = None;
        for _ in 0..TRIES {
            let Some(key) = next() else { break };
            let (created, trouble) = if tiers.contains(Tiers::DATASTORE) {
                self.rooms.run(&key, Create::new(record.clone(), patch.clone())).await
            } else {
                self.rooms
                    .run(&key, CacheCreate::new(record.clone(), patch.clone()))
                    .await
            };
            match created {
                Created::Done(version) => {
                    return Ok(Done {
                        commit: Commit::Coherent,
                        known: Some(Known {
                            version,
                            place: None,
                            record,
                        }),
                    });
                }
                Created::Unavailable => {
                    return Err(CommitError::Unavailable {
                        session,
                        source: trouble.tier,
                    });
                }
                Created::TooLarge => return Err(too_large(session, &trouble)),
                Created::StartOver => source = trouble.tier,
            }
        }
        Err(CommitError::Unknown { session, source })
    }

    /// Commits a patch to a session, or destroys it. To be run [in a task of its own](Self::in_own_task).
    pub(crate) async fn commit(
        self: &Arc<Self>,
        tiers: Tiers,
        goal: Goal,
        key: &str,
        mut known: Known,
        mut patch: Patch,
    ) -> Result<Done, CommitError> {
        let session = patch.schema.name;
        let mut turn = self.locks.turn(key).await;
        if let Some(latest) = turn.latest().filter(|latest| latest.version > known.version) {
            known = latest.clone();
            patch.base_commits = known.record.meta.commits;
            // Of the parallel requests of a page, the first to get here has noted the use of all.
            if goal == Goal::Change && patch.only_renews() && !self.is_due_for_renewal(&known.record.meta) {
                turn.leave(Some(known.clone()));
                let (commit, known) = (Commit::Clean, Some(known));
                return Ok(Done { commit, known });
            }
        }
        let Known {
            version,
            place,
            record: loaded,
        } = known;
        let record = match goal {
            Goal::Change => patch.apply(&loaded).map_err(|refusal| refused(session, refusal))?,
            Goal::Destroy if !patch.may_destroy(&loaded) => return Err(CommitError::Gone { session }),
            Goal::Destroy => loaded.clone(),
        };
        let fence = nonce();
        let (committed, trouble) = if tiers.contains(Tiers::DATASTORE) {
            let cache = tiers.contains(Tiers::MEMCACHE);
            let mut commit = protocol::Commit::new(goal, patch, version, record, cache, fence);
            if let Some(place) = place.filter(|_| cache) {
                commit = commit.over(place, loaded);
            }
            self.rooms.run(key, commit).await
        } else {
            let token = place.map(|place| place.token);
            self.rooms.run(key, CacheCommit::new(goal, patch, record, token)).await
        };
        let now = self.rooms.now();
        match committed {
            Committed::Changed {
                version,
                record,
                settled,
                ..
            } => {
                let known = Known {
                    version,
                    place: None,
                    record,
                };
                turn.leave(tiers.contains(Tiers::DATASTORE).then(|| known.clone()));
                let commit = self.outcome(key, settled, || Settle::hide(fence), now);
                Ok(Done {
                    commit,
                    known: Some(known),
                })
            }
            Committed::Destroyed { settled, .. } => {
                turn.leave(None);
                let commit = self.outcome(key, settled, Settle::bury, now);
                Ok(Done { commit, known: None })
            }
            Committed::Failed(failure) => {
                turn.leave(None);
                Err(failed(session, failure, trouble))
            }
        }
    }

    /// What to say of a commit that was done, given how the cache fared.
    fn outcome(
        self: &Arc<Self>,
        key: &str,
        settled: bool,
        settle: impl FnOnce() -> Settle<Record>,
        now: Millis,
    ) -> Commit {
        if settled {
            return Commit::Coherent;
        }
        // Even where the fence went up: it may have been evicted, and a reader have filled the place with what was
        // there before the write.
        let until = now.after(self.rooms.policy.max_staleness);
        self.invalidate_later(key.to_owned(), settle(), until);
        Commit::Unfenced { until: until.into() }
    }

    /// Goes on trying to settle the cache until it is done, or no reader believes the old value any more.
    fn invalidate_later(self: &Arc<Self>, key: String, settle: Settle<Record>, until: Millis) {
        const PAUSE: Duration = Duration::from_millis(100);
        const MAX_PAUSE: Duration = Duration::from_secs(5);
        if self.invalidations.fetch_add(1, Ordering::Relaxed) >= MAX_INVALIDATIONS {
            self.invalidations.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("too many invalidations are pending: one is left to the bound on staleness");
            return;
        }
        metrics::invalidations(self.invalidations.load(Ordering::Relaxed));
        let pending = Pending(Arc::clone(&self.invalidations));
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            let _pending = pending;
            let mut closing = shared.closing.subscribe();
            let mut pause = PAUSE;
            let mut last = false;
            while shared.rooms.now() < until {
                let (fenced, _) = shared.rooms.run(&key, settle.clone()).await;
                if fenced == super::protocol::Fenced::Settled || last {
                    return;
                }
                tokio::select! {
                    _ = closing.wait_for(|closing| *closing) => last = true,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                }
            }
        });
    }

    /// Deletes an expired session beside the request that met it.
    fn forget(self: &Arc<Self>, tiers: Tiers, key: &str, version: Version) {
        if !tiers.contains(Tiers::DATASTORE) {
            return;
        }
        let (shared, key) = (Arc::clone(self), key.to_owned());
        self.tasks.spawn(async move {
            let Some(durable) = &shared.rooms.durable else { return };
            if let Err(error) = durable.delete(&key, version).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "an expired session was not deleted"
                );
            }
        });
    }

    /// Runs a commit where no client that hangs up can cut it short. It has begun when this returns; an error is that
    /// the runtime is shutting down.
    pub(crate) fn in_own_task<W>(&self, work: W) -> JoinHandle<W::Output>
    where
        W: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(work)
    }

    /// Runs a commit within its time.
    pub(crate) async fn in_time(
        &self,
        session: &'static str,
        work: impl Future<Output = Result<Commit, CommitError>>,
    ) -> Result<Commit, CommitError> {
        let done = tokio::time::timeout(self.rooms.policy.commit_timeout, work).await;
        done.unwrap_or(Err(CommitError::Unknown { session, source: None }))
    }

    pub(crate) fn has_expired(&self, meta: &Meta) -> bool {
        self.rooms.expires_at(meta) <= self.rooms.now()
    }

    /// Whether a session that was used, but not changed, is to be written for that alone.
    pub(crate) fn is_due_for_renewal(&self, meta: &Meta) -> bool {
        let next = meta.renewed.after(self.rooms.policy.renew_after());
        let is_useful = meta.renewed.after(self.rooms.policy.idle) < meta.deadline;
        is_useful && next <= self.rooms.now()
    }

    fn name_of(&self, source: Source) -> &'static str {
        let Rooms { cache, durable, .. } = &self.rooms;
        match source {
            Source::Cache => cache.as_ref().map_or("memcache", |tier| tier.name()),
            Source::Durable => durable.as_ref().map_or("datastore", |tier| tier.name()),
        }
    }

    async fn purge_expired(&self, limit: usize) -> Result<usize, TierError> {
        match &self.rooms.durable {
            Some(durable) => durable.purge_expired(self.rooms.clock.now(), limit).await,
            None => Ok(0),
        }
    }

    fn purge_from_time_to_time(self: &Arc<Self>) {
        const BATCH: usize = 500;
        let every = self.rooms.policy.purge_every;
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(shared) = weak.upgrade() else { return };
                // An error ends this round, not the sweeping.
                loop {
                    match shared.purge_expired(BATCH).await {
                        Ok(BATCH) => {}
                        Ok(_) => break,
                        Err(error) => {
                            tracing::warn!(
                                error = &error as &dyn std::error::Error,
                                "expired sessions were not purged"
                            );
                            break;
                        }
                    }
                }
            }
        });
    }
}

/// Counts one pending invalidation for as long as it lives.
struct Pending(Arc<AtomicUsize>);

impl Drop for Pending {
    fn drop(&mut self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        metrics::invalidations(before.saturating_sub(1));
    }
}

pub(crate) fn nonce() -> Nonce {
    Nonce(getrandom::u64().unwrap_or_else(|_| fastrand::u64(..)))
}

fn load_error(session: &'static str, trouble: Trouble) -> LoadError {
    match trouble.stored {
        Some(Stored::NotAuthentic) => LoadError::NotAuthentic { session },
        Some(Stored::NoRecord(error)) => LoadError::Record {
            session,
            source: Arc::new(error),
        },
        None => LoadError::Unavailable {
            session,
            source: trouble.tier,
        },
    }
}

fn failed(session: &'static str, failure: Failure<Refusal>, trouble: Trouble) -> CommitError {
    match failure {
        Failure::Gone => CommitError::Gone { session },
        Failure::Refused(refusal) => refused(session, refusal),
        Failure::Contended => CommitError::Conflict {
            session,
            field: None,
            source: None,
        },
        Failure::Unavailable => CommitError::Unavailable {
            session,
            source: trouble.tier,
        },
        Failure::Unknown => CommitError::Unknown {
            session,
            source: trouble.tier,
        },
        Failure::TooLarge => too_large(session, &trouble),
    }
}

pub(crate) fn refused(session: &'static str, refusal: Refusal) -> CommitError {
    match refusal {
        Refusal::Superseded => CommitError::Gone { session },
        Refusal::TooLarge { size, limit } => CommitError::TooLarge { session, size, limit },
        Refusal::Open(source) => CommitError::Open { session, source },
        Refusal::Field(source, true) => CommitError::Conflict {
            session,
            field: Some(source.field()),
            source: Some(source),
        },
        Refusal::Field(source, false) => CommitError::Field { session, source },
    }
}

fn too_large(session: &'static str, trouble: &Trouble) -> CommitError {
    let (size, limit) = trouble.too_large.unwrap_or_default();
    CommitError::TooLarge { session, size, limit }
}

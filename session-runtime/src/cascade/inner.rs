//! What the clones of a store share: loads, creates and commits sessions.

use std::any::TypeId;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::backend::Backend;
use super::diagnostics::Diagnostics;
use super::event::SessionEvent;
use super::lock::WriteLocks;
use super::metrics;
use super::outcome::{Commit, CommitError, LoadError, LoadReport, failed, load_error, refused, too_large};
use super::patch::Patch;
use super::protocol::{
    CacheCommit, CacheCreate, CacheLoad, Change, CommitEnd, Create, CreateEnd, DurableCommit, Goal, Load, LoadEnd,
    Settle, Source, VersionedRecord,
};
use super::rejected::{RejectedTokens, Rejection};
use crate::session::Session;
use crate::session::meta::{Meta, Millis, Nonce, SecretHash, SecretStatus};
use crate::session::record::Record;
use crate::tier::Tiers;

/// What the clones of a store share.
pub struct StoreInner {
    pub(crate) backend: Backend,
    pub(super) locks: WriteLocks,
    pub(super) tasks: TaskTracker,
    /// Whether pending invalidations get a last try.
    pub(super) closing: watch::Sender<bool>,
    pub(super) invalidations: Arc<AtomicUsize>,
    pub(super) rejected: RejectedTokens,
    /// The types that have used the store: few, and each is added once.
    pub(super) types: RwLock<Vec<SessionType>>,
}

/// A type of session that has used the store.
pub(super) struct SessionType {
    id: TypeId,
    name: &'static str,
    cookie: &'static str,
    type_name: &'static str,
}

/// What a token finds.
#[expect(clippy::large_enum_variant, reason = "most tokens that are looked up are valid")]
pub(crate) enum Lookup {
    /// A session, to which its secret belongs.
    Valid(VersionedRecord<Record>),
    /// A session that has got another secret a moment ago.
    Superseded,
    /// No session, or one that has had another secret for long.
    NoSession,
}

impl From<Rejection> for Lookup {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Superseded => Self::Superseded,
            Rejection::NoSession => Self::NoSession,
        }
    }
}

/// A commit that was done.
pub(crate) struct Committed {
    pub(crate) commit: Commit,
    /// The record as it is now; `None` after a destroy.
    pub(crate) stored: Option<VersionedRecord<Record>>,
}

impl StoreInner {
    /// Waits for the work beside the requests. A pending invalidation takes as long as its cache is down.
    pub(crate) async fn wait_idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// Notes that sessions of type `T` use the store.
    ///
    /// # Errors
    /// The name of another type whose sessions have the same name: they would share cookie and record.
    pub(crate) fn register<T: Session>(&self) -> Result<(), &'static str> {
        let (id, name) = (TypeId::of::<T>(), T::SCHEMA.name);
        let cookie = T::SCHEMA.cookie.name.unwrap_or(name);
        let check = |types: &[SessionType]| {
            let same = types
                .iter()
                .find(|known| known.id == id || known.name == name || known.cookie == cookie);
            same.map(|known| if known.id == id { Ok(()) } else { Err(known.type_name) })
        };
        if let Some(outcome) = check(&self.types.read().unwrap_or_else(PoisonError::into_inner)) {
            return outcome;
        }
        let mut types = self.types.write().unwrap_or_else(PoisonError::into_inner);
        check(&types).unwrap_or_else(|| {
            let type_name = std::any::type_name::<T>();
            types.push(SessionType {
                id,
                name,
                cookie,
                type_name,
            });
            Ok(())
        })
    }

    pub(crate) fn key(&self, sid: &str) -> String {
        format!("{}{sid}", self.backend.policy.key_prefix)
    }

    /// Looks up the session that a token names, by its storage key and the hash of its secret.
    ///
    /// What the cache says to the client's disadvantage (the session has expired, or has another secret) may be out of
    /// date, so the durable tier decides it, once for each token and interval. A session that lives in the request's
    /// memory alone is never found.
    pub(crate) async fn load(
        self: &Arc<Self>,
        session: &'static str,
        tiers: Tiers,
        key: &str,
        secret: &SecretHash,
    ) -> Result<(Lookup, LoadReport), LoadError> {
        let started = Instant::now();
        if !tiers.intersects(Tiers::DISTRIBUTED) {
            return Ok((Lookup::NoSession, LoadReport::default()));
        }
        if let Some(rejection) = self.rejected.get(secret, self.backend.now()) {
            return Ok((rejection.into(), LoadReport::default()));
        }
        let (end, diagnostics) = self.run_load(tiers, key, secret).await;
        let LoadEnd::Known {
            found,
            source,
            degraded,
            fill,
        } = end
        else {
            metrics::record_load(session, None, false, started.elapsed());
            return Err(load_error(session, diagnostics));
        };
        let report = LoadReport {
            tier: Some(self.backend.tier_name(source)),
            degraded,
            took: started.elapsed(),
        };
        metrics::record_load(session, report.tier, degraded, report.took);
        if degraded {
            let event = SessionEvent::Degraded { session };
            self.backend.events.emit(event, || Some(key.to_owned()));
        }
        if let Some(expired) = found.as_ref().filter(|found| self.has_expired(found.record.meta())) {
            self.spawn_delete_expired(tiers, key, expired.version);
        } else if let Some(fill) = fill {
            let (inner, key) = (Arc::clone(self), key.to_owned());
            self.tasks.spawn(async move { inner.backend.run(&key, fill).await });
        }
        Ok((self.judge(tiers, found, secret), report))
    }

    async fn run_load(&self, tiers: Tiers, key: &str, secret: &SecretHash) -> (LoadEnd<Record>, Diagnostics) {
        if !tiers.contains(Tiers::DATASTORE) {
            return self.backend.run(key, CacheLoad).await;
        }
        let max_staleness = self.backend.policy.max_staleness;
        let load = |cache, max_staleness| self.backend.run(key, Load::new(cache, nonce(), max_staleness));
        if !tiers.contains(Tiers::MEMCACHE) {
            return load(false, max_staleness).await;
        }
        let cached = load(true, max_staleness).await;
        if !self.is_denied_by_cache(&cached.0, secret) {
            return cached;
        }
        // Past the cache, so that whoever presents a token that is no longer valid does not displace the owner's value.
        let durable = load(false, max_staleness).await;
        let LoadEnd::Known { found: Some(found), .. } = &durable.0 else {
            return durable;
        };
        if !self.is_valid(found.record.meta(), secret) {
            return durable;
        }
        // The cache was out of date: have what it holds replaced.
        let renewed = load(true, Duration::ZERO).await;
        if self.is_denied_by_cache(&renewed.0, secret) {
            durable
        } else {
            renewed
        }
    }

    /// Whether the cache answered, and with a record that denies the client its session.
    fn is_denied_by_cache(&self, end: &LoadEnd<Record>, secret: &SecretHash) -> bool {
        matches!(end, LoadEnd::Known { found: Some(found), source: Source::Cache, .. }
            if !self.is_valid(found.record.meta(), secret))
    }

    fn is_valid(&self, meta: &Meta, secret: &SecretHash) -> bool {
        !self.has_expired(meta) && meta.secret_status(secret, self.backend.now()).is_valid()
    }

    /// What a token finds, where this is the record under its key; a token that finds nothing is remembered.
    fn judge(&self, tiers: Tiers, found: Option<VersionedRecord<Record>>, secret: &SecretHash) -> Lookup {
        let now = self.backend.now();
        let found = found.filter(|found| !self.has_expired(found.record.meta()));
        let status = found
            .as_ref()
            .map(|found| found.record.meta().secret_status(secret, now));
        let superseded_until = match (status, found) {
            (Some(SecretStatus::Current | SecretStatus::Previous), Some(found)) => return Lookup::Valid(found),
            (Some(SecretStatus::Superseded(until)), _) => Some(until),
            _ => None,
        };
        // A session of the cache alone costs no durable read.
        if tiers.contains(Tiers::DATASTORE) {
            self.rejected.insert(*secret, superseded_until, now);
        }
        superseded_until.map_or(Lookup::NoSession, |_| Lookup::Superseded)
    }

    /// Creates a session under the keys that `next` gives, the first one that nothing speaks against.
    pub(crate) async fn create(
        &self,
        tiers: Tiers,
        patch: Patch,
        meta: Meta,
        mut next: impl FnMut() -> Option<String> + Send,
    ) -> Result<Committed, CommitError> {
        const TRIES: u32 = 3;
        let session = patch.schema.name;
        let record = patch.create(&meta).map_err(|error| refused(session, error))?;
        if !tiers.intersects(Tiers::DISTRIBUTED) {
            return Ok(Committed {
                commit: Commit::Clean,
                stored: None,
            });
        }
        let mut source = None;
        for _ in 0..TRIES {
            let Some(key) = next() else { break };
            let (end, diagnostics) = if tiers.contains(Tiers::DATASTORE) {
                self.backend.run(&key, Create::new(record.clone(), patch.clone())).await
            } else {
                self.backend
                    .run(&key, CacheCreate::new(record.clone(), patch.clone()))
                    .await
            };
            match end {
                CreateEnd::Done(version) => {
                    return Ok(Committed {
                        commit: Commit::Coherent,
                        stored: Some(VersionedRecord {
                            version,
                            cached: None,
                            record,
                        }),
                    });
                }
                CreateEnd::Unavailable => {
                    return Err(CommitError::Unavailable {
                        session,
                        source: diagnostics.tier,
                    });
                }
                CreateEnd::TooLarge => return Err(too_large(session, &diagnostics)),
                CreateEnd::StartOver => source = diagnostics.tier,
            }
        }
        Err(CommitError::Unknown { session, source })
    }

    /// Commits a patch to a session, or destroys it. To be run [in a task of its own](Self::spawn_commit).
    pub(crate) async fn commit(
        self: &Arc<Self>,
        tiers: Tiers,
        goal: Goal,
        key: &str,
        mut loaded: VersionedRecord<Record>,
        mut patch: Patch,
    ) -> Result<Committed, CommitError> {
        let session = patch.schema.name;
        let mut guard = self.locks.lock(key).await;
        if let Some(latest) = guard.latest().filter(|latest| latest.version > loaded.version) {
            loaded = latest.clone();
            patch.base_commits = loaded.record.meta().commits;
            // Of the parallel requests of a page, the first to get here has renewed the session for all.
            if goal == Goal::Change && patch.only_renews() && !self.is_due_for_renewal(loaded.record.meta()) {
                let (commit, stored) = (Commit::Clean, Some(loaded));
                return Ok(Committed { commit, stored });
            }
        }
        let VersionedRecord {
            version,
            cached,
            record: base,
        } = loaded;
        let record = match goal {
            Goal::Change => patch.apply(&base).map_err(|error| refused(session, error))?,
            Goal::Destroy => {
                patch
                    .check_secret(base.meta())
                    .map_err(|error| refused(session, error))?;
                base.clone()
            }
        };
        let fence = nonce();
        let (end, diagnostics) = if tiers.contains(Tiers::DATASTORE) {
            let cache = tiers.contains(Tiers::MEMCACHE);
            let mut commit = DurableCommit::new(goal, patch, version, record, cache, fence);
            if let Some(cached) = cached.filter(|_| cache) {
                commit = commit.replacing(cached, base);
            }
            self.backend.run(key, commit).await
        } else {
            let token = cached.map(|cached| cached.token);
            self.backend
                .run(key, CacheCommit::new(goal, patch, record, token))
                .await
        };
        let now = self.backend.now();
        match end {
            CommitEnd::Changed {
                version,
                record,
                fenced,
                settled,
            } => {
                let stored = Some(VersionedRecord {
                    version,
                    cached: None,
                    record,
                });
                guard.hand_over(stored.clone());
                let commit = self.outcome((session, key), (fenced, settled), || Settle::hide(fence), now);
                Ok(Committed { commit, stored })
            }
            CommitEnd::Destroyed { fenced, settled } => {
                guard.hand_over(None);
                let commit = self.outcome((session, key), (fenced, settled), Settle::tombstone, now);
                Ok(Committed { commit, stored: None })
            }
            CommitEnd::Failed(failure) => {
                guard.hand_over(None);
                Err(failed(session, failure, diagnostics))
            }
        }
    }

    /// The outcome of a commit that was done, from what became of the cache.
    fn outcome(
        self: &Arc<Self>,
        (session, key): (&'static str, &str),
        (fenced, settled): (bool, bool),
        settle: impl FnOnce() -> Settle<Record>,
        now: Millis,
    ) -> Commit {
        if fenced && settled {
            return Commit::Coherent;
        }
        let event = SessionEvent::Degraded { session };
        self.backend.events.emit(event, || Some(key.to_owned()));
        if settled {
            return Commit::Degraded;
        }
        // Even where the fence went up: it may have been evicted since, and a reader may have put back what was there
        // before the write.
        let until = now.after(self.backend.policy.max_staleness);
        self.invalidate_later(session, key.to_owned(), settle(), until);
        Commit::Unfenced { until: until.into() }
    }

    /// Runs a commit in a task of its own, which a client that hangs up cannot cancel. It has begun when this returns; an
    /// error means that the runtime is shutting down.
    pub(crate) fn spawn_commit<W>(&self, work: W) -> JoinHandle<W::Output>
    where
        W: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(work)
    }

    /// Runs a commit within its time.
    pub(crate) async fn with_commit_timeout(
        &self,
        session: &'static str,
        work: impl Future<Output = Result<Commit, CommitError>>,
    ) -> Result<Commit, CommitError> {
        let done = tokio::time::timeout(self.backend.policy.commit_timeout, work).await;
        done.unwrap_or(Err(CommitError::Unknown { session, source: None }))
    }

    pub(crate) fn has_expired(&self, meta: &Meta) -> bool {
        self.backend.expires_at(meta) <= self.backend.now()
    }

    /// Whether the session has had its secret for as long as it may.
    pub(crate) fn is_due_for_rotation(&self, meta: &Meta) -> bool {
        let policy = &self.backend.policy;
        policy.rotate_every.is_some_and(|every| {
            // The grace of the latest rotation tells when that was.
            let rotated = meta
                .previous
                .map_or(meta.created, |(_, until)| until.before(policy.rotation_grace));
            rotated.after(every) <= self.backend.now()
        })
    }

    /// Whether a session that was used, but not changed, is to be written for that alone.
    pub(crate) fn is_due_for_renewal(&self, meta: &Meta) -> bool {
        let next = meta.renewed.after(self.backend.policy.renew_after(meta));
        let is_useful = self.backend.expires_at(meta) < meta.deadline;
        is_useful && next <= self.backend.now()
    }
}

pub(crate) fn nonce() -> Nonce {
    Nonce(getrandom::u64().unwrap_or_else(|_| fastrand::u64(..)))
}

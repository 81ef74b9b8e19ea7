//! What the clones of a store share: loads, creates and commits sessions.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::backend::Backend;
use super::diagnostics::Diagnostics;
use super::lock::WriteLocks;
use super::metrics;
use super::outcome::{Commit, CommitError, LoadError, LoadReport, failed, load_error, refused, too_large};
use super::patch::Patch;
use super::protocol::{
    CacheCommit, CacheCreate, CacheLoad, Change, CommitEnd, Create, CreateEnd, DurableCommit, Goal, Load, LoadEnd,
    Settle, Source, VersionedRecord,
};
use crate::session::meta::{Meta, Millis, Nonce};
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

    pub(crate) fn key(&self, sid: &str) -> String {
        format!("{}{sid}", self.backend.policy.key_prefix)
    }

    /// Looks a session up in its tiers. What the cache says to the visitor's disadvantage (the session has expired, or
    /// `is_secret_valid` denies the visitor's secret) may be out of date, so the durable tier decides it. A session that
    /// lives in the request's memory alone is never found.
    pub(crate) async fn load(
        self: &Arc<Self>,
        session: &'static str,
        tiers: Tiers,
        key: &str,
        is_secret_valid: impl Fn(&Meta) -> bool + Send,
    ) -> Result<(Option<VersionedRecord<Record>>, LoadReport), LoadError> {
        let started = Instant::now();
        if !tiers.intersects(Tiers::DISTRIBUTED) {
            return Ok((None, LoadReport::default()));
        }
        let (end, diagnostics) = self.run_load(tiers, key, is_secret_valid).await;
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
        if let Some(expired) = found.as_ref().filter(|found| self.has_expired(found.record.meta())) {
            self.spawn_delete_expired(tiers, key, expired.version);
            return Ok((None, report));
        }
        if let Some(fill) = fill {
            let (inner, key) = (Arc::clone(self), key.to_owned());
            self.tasks.spawn(async move { inner.backend.run(&key, fill).await });
        }
        Ok((found, report))
    }

    async fn run_load(
        &self,
        tiers: Tiers,
        key: &str,
        is_secret_valid: impl Fn(&Meta) -> bool + Send,
    ) -> (LoadEnd<Record>, Diagnostics) {
        if !tiers.contains(Tiers::DATASTORE) {
            return self.backend.run(key, CacheLoad).await;
        }
        let cache = tiers.contains(Tiers::MEMCACHE);
        // The second attempt replaces what the cache has, unless that is as new as can be told.
        let attempts = [(cache, self.backend.policy.max_staleness), (cache, Duration::ZERO)];
        for (cache, max_staleness) in attempts {
            let (end, diagnostics) = self.backend.run(key, Load::new(cache, nonce(), max_staleness)).await;
            match &end {
                LoadEnd::Known {
                    found: Some(found),
                    source: Source::Cache,
                    ..
                } if self.has_expired(found.record.meta()) || !is_secret_valid(found.record.meta()) => {}
                _ => return (end, diagnostics),
            }
        }
        self.backend.run(key, Load::new(false, nonce(), Duration::ZERO)).await
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
            Goal::Destroy if !patch.may_destroy(&base) => return Err(CommitError::Gone { session }),
            Goal::Destroy => base.clone(),
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
                let commit = self.outcome(key, (fenced, settled), || Settle::hide(fence), now);
                Ok(Committed { commit, stored })
            }
            CommitEnd::Destroyed { fenced, settled } => {
                guard.hand_over(None);
                let commit = self.outcome(key, (fenced, settled), Settle::tombstone, now);
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
        key: &str,
        (fenced, settled): (bool, bool),
        settle: impl FnOnce() -> Settle<Record>,
        now: Millis,
    ) -> Commit {
        match (fenced, settled) {
            (true, true) => return Commit::Coherent,
            (false, true) => return Commit::Degraded,
            (_, false) => {}
        }
        // Even where the fence went up: it may have been evicted since, and a reader may have put back what was there
        // before the write.
        let until = now.after(self.backend.policy.max_staleness);
        self.invalidate_later(key.to_owned(), settle(), until);
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

    /// Whether a session that was used, but not changed, is to be written for that alone.
    pub(crate) fn is_due_for_renewal(&self, meta: &Meta) -> bool {
        let next = meta.renewed.after(self.backend.policy.renew_after());
        let is_useful = meta.renewed.after(self.backend.policy.idle) < meta.deadline;
        is_useful && next <= self.backend.now()
    }
}

pub(crate) fn nonce() -> Nonce {
    Nonce(getrandom::u64().unwrap_or_else(|_| fastrand::u64(..)))
}

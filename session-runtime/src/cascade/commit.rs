//! Writes of sessions that exist: each waits for its turn, and may be written together with those behind it.

use std::sync::Arc;

use tokio::runtime::Handle;
use tracing::Instrument;

use super::backend::nonce;
use super::batch::Batch;
use super::event::SessionEvent;
use super::inner::StoreInner;
use super::outcome::{Commit, CommitError, Committed, contended, failed, refused};
use super::patch::Patch;
use super::protocol::{CacheCommit, Change, CommitEnd, DurableCommit, Goal, Settle, VersionedRecord};
use super::queue::{Follower, Turn, WriteGuard};
use crate::session::record::Record;
use crate::tier::Tiers;

/// How many patches are written with the first one: to merge so many takes a few milliseconds at most.
const MAX_FOLLOWERS: usize = 255;

/// One write of a session, which is the turn of whoever holds the guard.
struct SessionWrite {
    tiers: Tiers,
    goal: Goal,
    loaded: VersionedRecord<Record>,
    batch: Batch,
    followers: Vec<Follower>,
    guard: WriteGuard,
    /// Whether `loaded` is what the writer before has stored.
    begins_with_latest: bool,
}

/// A commit that may be dropped before its end, when its time runs out. What it leaves unsettled is settled in the
/// background.
struct RunningCommit<'a> {
    inner: &'a Arc<StoreInner>,
    session: &'static str,
    key: &'a str,
    commit: DurableCommit<Record, &'a mut Batch>,
    has_ended: bool,
}

impl Drop for RunningCommit<'_> {
    fn drop(&mut self) {
        // Without a runtime the process is about to end.
        if !self.has_ended
            && Handle::try_current().is_ok()
            && let Some(settle) = self.commit.unsettled()
        {
            self.inner.invalidate_later(self.session, self.key.to_owned(), settle);
        }
    }
}

impl StoreInner {
    /// Commits a patch to a session, or destroys it. To be run so that [nobody cancels it](Self::spawn_commit).
    pub(crate) async fn commit(
        self: &Arc<Self>,
        tiers: Tiers,
        goal: Goal,
        key: &str,
        loaded: VersionedRecord<Record>,
        patch: Box<Patch>,
    ) -> Result<Committed, CommitError> {
        let session = patch.schema.name;
        // The other half is for the write itself: who has only waited is never told that the outcome is unknown.
        let patience = self.backend.policy.commit_timeout / 2;
        let may_share = goal == Goal::Change && patch.rotation.is_none();
        let turn = self.queues.enter(key, patch, loaded, may_share, patience).await;
        let (mut guard, patch, mut loaded) = match turn {
            Some(Turn::Write(guard, patch, loaded)) => (guard, patch, loaded),
            Some(Turn::Written(outcome)) => return outcome,
            None => return Err(contended(session)),
        };
        if let Some(latest) = guard.latest().filter(|latest| latest.version > loaded.version) {
            loaded = latest.clone();
            // Of the parallel requests of a page, the first to get here has renewed the session for all.
            if goal == Goal::Change && patch.only_renews() && !self.is_due_for_renewal(loaded.record.meta()) {
                let (commit, stored) = (Commit::Clean, Some(loaded));
                return Ok(Committed { commit, stored });
            }
        }
        guard.yield_to_rivals().await;
        let (patches, followers) = if may_share {
            guard.take_followers(patch.schema, MAX_FOLLOWERS)
        } else {
            (Vec::new(), Vec::new())
        };
        // None is refused by an older record than its own, which may not know its secret.
        for follower in &followers {
            if follower.loaded.version > loaded.version {
                loaded = follower.loaded.clone();
            }
        }
        let begins_with_latest = guard.begins_with_latest(loaded.version);
        let write = SessionWrite {
            tiers,
            goal,
            loaded,
            batch: Batch::new(patch, patches),
            followers,
            guard,
            begins_with_latest,
        };
        if write.followers.is_empty() {
            return self.write(write).await;
        }
        // In a task and a time of its own: the caller of the first may have little time left.
        let inner = Arc::clone(self);
        let work = async move { inner.with_commit_timeout(session, Box::pin(inner.write(write))).await };
        let written = self.tasks.spawn(work.in_current_span());
        written
            .await
            .unwrap_or(Err(CommitError::Unknown { session, source: None }))
    }

    /// Writes, and tells the followers how that ended.
    async fn write(self: &Arc<Self>, mut write: SessionWrite) -> Result<Committed, CommitError> {
        let session = write.batch.session();
        let loaded = &write.loaded.record;
        let applied = match write.goal {
            Goal::Change => write.batch.apply(loaded),
            Goal::Destroy => write.batch.check_secret(loaded).map(|()| loaded.clone()),
        };
        let written = match applied {
            Ok(record) => self.run_commit(&mut write, record).await,
            Err(error) => Err(refused(session, error)),
        };
        let SessionWrite {
            batch,
            followers,
            mut guard,
            begins_with_latest,
            ..
        } = write;
        let stored = written.as_ref().ok().and_then(|done| done.stored.clone());
        // What it has loaded by itself may have been replaced in this process, before its turn. Nothing is during its turn.
        let by_this_process = u32::from(!begins_with_latest);
        guard.hand_over(stored, batch.rebases() > by_this_process);
        // However the write ended: who is refused by the last attempt was in no attempt that was applied, or still may be.
        let outcome = |place| match batch.refusal(place) {
            Some(error) => Err(refused(session, error.clone())),
            None => written.clone(),
        };
        for (place, follower) in followers.into_iter().enumerate() {
            follower.end(outcome(place + 1));
        }
        outcome(0)
    }

    async fn run_commit(self: &Arc<Self>, write: &mut SessionWrite, record: Record) -> Result<Committed, CommitError> {
        let (tiers, goal, key, batch) = (write.tiers, write.goal, write.guard.key(), &mut write.batch);
        let session = batch.session();
        let VersionedRecord { version, cached, .. } = write.loaded;
        // What must not be shown any more once it is written: a destroyed session, a superseded secret.
        let must_fence = goal == Goal::Destroy || batch.rotates();
        let (end, diagnostics) = if tiers.contains(Tiers::DATASTORE) {
            let cache = tiers.contains(Tiers::MEMCACHE);
            let mut commit = DurableCommit::new(goal, batch, version, record, cache, nonce());
            if let Some(cached) = cached.filter(|_| cache) {
                commit = if must_fence {
                    commit.replacing(cached, write.loaded.record.clone())
                } else {
                    commit.without_fence(cached.token)
                };
            }
            let mut running = RunningCommit {
                inner: self,
                session,
                key,
                commit,
                has_ended: false,
            };
            let end = self.backend.run(key, &mut running.commit).await;
            running.has_ended = true;
            end
        } else {
            let token = cached.map(|cached| cached.token);
            self.backend
                .run(key, CacheCommit::new(goal, batch, record, token))
                .await
        };
        match end {
            CommitEnd::Changed {
                version,
                record,
                fenced,
                unsettled,
            } => {
                let stored = Some(VersionedRecord {
                    version,
                    cached: None,
                    record,
                });
                let commit = self.outcome(session, key, fenced, unsettled);
                Ok(Committed { commit, stored })
            }
            CommitEnd::Destroyed { fenced, unsettled } => {
                let commit = self.outcome(session, key, fenced, unsettled);
                Ok(Committed { commit, stored: None })
            }
            CommitEnd::Failed { failure, unsettled } => {
                if let Some(settle) = unsettled {
                    self.invalidate_later(session, key.to_owned(), settle);
                }
                Err(failed(session, failure, diagnostics))
            }
        }
    }

    /// The outcome of a commit that was done, from what became of the cache.
    fn outcome(
        self: &Arc<Self>,
        session: &'static str,
        key: &str,
        fenced: bool,
        unsettled: Option<Settle<Record>>,
    ) -> Commit {
        if fenced && unsettled.is_none() {
            return Commit::Coherent;
        }
        let event = SessionEvent::Degraded { session };
        self.backend.events.emit(event, || Some(key.to_owned()));
        let Some(settle) = unsettled else {
            return Commit::Degraded;
        };
        // Even where the fence went up: it may have been evicted since, and a reader may have put back what was there
        // before the write.
        let until = self.invalidate_later(session, key.to_owned(), settle);
        Commit::Unfenced { until: until.into() }
    }
}

//! What the clones of a store share: loads, creates and commits sessions.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::driver::{Rooms, Trouble};
use super::lock::Locks;
use super::metrics;
use super::outcome::{Commit, CommitError, LoadError, LoadReport, failed, load_error, refused, too_large};
use super::protocol::{
    self, CacheCommit, CacheCreate, CacheLoad, Change, Committed, Create, Created, Found, Goal, Load, Loaded, Place,
    Settle, Source,
};
use crate::cascade::patch::Patch;
use crate::session::meta::{Meta, Millis, Nonce};
use crate::session::record::Record;
use crate::tier::{Tiers, Version};

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
    pub(super) locks: Locks,
    pub(super) tasks: TaskTracker,
    /// Whether pending invalidations get a last try.
    pub(super) closing: watch::Sender<bool>,
    pub(super) invalidations: Arc<AtomicUsize>,
}

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
        if let Some(expired) = found.as_ref().filter(|known| self.has_expired(known.record.meta())) {
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
                } if self.has_expired(found.record.meta()) || !counts(found.record.meta()) => {}
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
        let record = patch.create(&meta).map_err(|refusal| refused(session, refusal))?;
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
            patch.base_commits = known.record.meta().commits;
            // Of the parallel requests of a page, the first to get here has noted the use of all.
            if goal == Goal::Change && patch.only_renews() && !self.is_due_for_renewal(known.record.meta()) {
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
                fenced,
                settled,
            } => {
                let known = Known {
                    version,
                    place: None,
                    record,
                };
                turn.leave(Some(known.clone()));
                let commit = self.outcome(key, (fenced, settled), || Settle::hide(fence), now);
                Ok(Done {
                    commit,
                    known: Some(known),
                })
            }
            Committed::Destroyed { fenced, settled } => {
                turn.leave(None);
                let commit = self.outcome(key, (fenced, settled), Settle::bury, now);
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
        (fenced, settled): (bool, bool),
        settle: impl FnOnce() -> Settle<Record>,
        now: Millis,
    ) -> Commit {
        match (fenced, settled) {
            (true, true) => return Commit::Coherent,
            (false, true) => return Commit::Degraded,
            (_, false) => {}
        }
        // Even where the fence went up: it may have been evicted, and a reader have filled the place with what was
        // there before the write.
        let until = now.after(self.rooms.policy.max_staleness);
        self.invalidate_later(key.to_owned(), settle(), until);
        Commit::Unfenced { until: until.into() }
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
}

pub(crate) fn nonce() -> Nonce {
    Nonce(getrandom::u64().unwrap_or_else(|_| fastrand::u64(..)))
}

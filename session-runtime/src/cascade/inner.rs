//! What the clones of a store share; it creates and commits sessions.

use std::any::TypeId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::backend::Backend;
use super::batch::Batch;
use super::cold::ColdLoads;
use super::event::SessionEvent;
use super::outcome::{Commit, CommitError, Committed, refused, too_large};
use super::patch::Patch;
use super::protocol::{CacheCreate, Create, CreateEnd, VersionedRecord};
use super::queue::WriteQueues;
use super::rejected::RejectedTokens;
use crate::session::Session;
use crate::session::meta::{Meta, Millis};
use crate::tier::{TierError, Tiers};

/// What the clones of a store share.
pub struct StoreInner {
    pub(crate) backend: Backend,
    pub(super) queues: Arc<WriteQueues>,
    pub(super) cold: Arc<ColdLoads>,
    pub(super) tasks: TaskTracker,
    /// Whether pending invalidations get a last try.
    pub(super) closing: watch::Sender<bool>,
    pub(super) invalidations: Arc<AtomicUsize>,
    pub(super) rejected: RejectedTokens,
    /// The types that have used the store: few, and each is added once.
    pub(super) types: RwLock<Vec<KnownType>>,
}

/// What an attempt to create a session has come to.
pub(crate) enum Created {
    Done(Committed),
    /// Under another key, perhaps without the cache: this one may be in use.
    StartOver {
        cache: bool,
        source: Option<Arc<TierError>>,
    },
}

/// A type of session that has used the store.
pub(super) struct KnownType {
    id: TypeId,
    name: &'static str,
    cookie: &'static str,
    type_name: &'static str,
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
        let check = |types: &[KnownType]| {
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
            types.push(KnownType {
                id,
                name,
                cookie,
                type_name,
            });
            Ok(())
        })
    }

    /// Creates a session under a key, in the cache too if `cache` is true.
    pub(crate) async fn create(
        self: &Arc<Self>,
        tiers: Tiers,
        patch: Box<Patch>,
        meta: &Meta,
        key: String,
        cache: bool,
    ) -> Result<Created, CommitError> {
        let session = patch.schema.name;
        let record = patch.create(meta).map_err(|error| refused(session, error))?;
        let batch = Batch::new(patch, Vec::new());
        let (end, diagnostics) = if tiers.contains(Tiers::DATASTORE) {
            self.backend.run(&key, Create::new(record.clone(), batch, cache)).await
        } else {
            self.backend.run(&key, CacheCreate::new(record.clone(), batch)).await
        };
        match end {
            CreateEnd::Done { version, degraded } => {
                let is_degraded = degraded || cache != tiers.contains(Tiers::MEMCACHE);
                if is_degraded {
                    let event = SessionEvent::Degraded { session };
                    self.backend.events.emit(event, || Some(key));
                }
                let commit = if is_degraded {
                    Commit::Degraded
                } else {
                    Commit::Coherent
                };
                let stored = VersionedRecord {
                    version,
                    cached: None,
                    record,
                };
                Ok(Created::Done(Committed {
                    commit,
                    stored: Some(stored),
                }))
            }
            CreateEnd::Unavailable => Err(CommitError::Unavailable {
                session,
                source: diagnostics.tier,
            }),
            CreateEnd::TooLarge => Err(too_large(session, &diagnostics)),
            CreateEnd::StartOver { stored } => {
                if let Some(version) = stored {
                    self.spawn_delete(tiers, &key, version);
                }
                Ok(Created::StartOver {
                    // A cache that has not answered once is left alone: each such key costs another insert.
                    cache: cache && stored.is_none(),
                    source: diagnostics.tier,
                })
            }
        }
    }

    /// Runs a commit that a client which hangs up cannot cancel: as far as it gets without waiting now, and the rest in a
    /// task of its own. `None` means that it has panicked, or that the runtime is shutting down.
    pub(crate) fn spawn_commit<W>(&self, work: W) -> impl Future<Output = Option<W::Output>> + Send + use<W>
    where
        W: Future<Output: Send> + Send + 'static,
    {
        let mut work = Box::pin(self.tasks.track_future(work));
        // No wake-up is lost: the task polls it again.
        let mut context = Context::from_waker(Waker::noop());
        let begun = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)));
        let task = match begun {
            Ok(Poll::Pending) => Err(tokio::spawn(work)),
            Ok(Poll::Ready(done)) => Ok(Some(done)),
            Err(_panic) => Ok(None),
        };
        async move {
            match task {
                Ok(done) => done,
                Err(task) => task.await.ok(),
            }
        }
    }

    /// Runs a commit within its time.
    pub(crate) async fn with_commit_timeout<T>(
        &self,
        session: &'static str,
        work: impl Future<Output = Result<T, CommitError>>,
    ) -> Result<T, CommitError> {
        let done = tokio::time::timeout(self.backend.policy.commit_timeout, work).await;
        done.unwrap_or(Err(CommitError::Unknown { session, source: None }))
    }

    pub(super) fn has_expired(&self, meta: &Meta, now: Millis) -> bool {
        self.backend.expires_at(meta) <= now
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

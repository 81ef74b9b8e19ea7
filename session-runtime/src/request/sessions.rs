//! The sessions of one unit of work.

use std::any::TypeId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::commit::{CommitJob, gravest};
use super::session::RequestSession;
use super::state::Disposition;
use super::token::Presented;
use crate::cascade::inner::StoreInner;
use crate::cascade::{Commit, CommitError, SessionEvent};
use crate::keys::{KeyRing, SignedBy, Use};
use crate::session::Session;
use crate::tier::Tiers;

/// The sessions of one unit of work, each loaded when it is first asked for. What is left in it when it is dropped is
/// not committed.
pub struct RequestSessions {
    store: Arc<StoreInner>,
    sessions: Mutex<Vec<(TypeId, Arc<RequestSession>)>>,
}

impl RequestSessions {
    /// No sessions yet, of this store.
    pub fn new(store: Arc<StoreInner>) -> Self {
        Self {
            store,
            sessions: Mutex::default(),
        }
    }

    /// Whether they are of this store.
    pub fn is_of_store(&self, store: &Arc<StoreInner>) -> bool {
        Arc::ptr_eq(&self.store, store)
    }

    /// The distributed tiers that session `T` names and the store does not have.
    pub fn missing_tiers<T: Session>(&self) -> Tiers {
        T::TIERS & Tiers::DISTRIBUTED & !self.store.backend.tiers()
    }

    /// Session `T`, of which there is one for each unit of work. At the first call `presented` finds the client's token
    /// by its name, `token_name`.
    ///
    /// # Errors
    /// The type's name, where another type with the same session name has used the store before.
    pub fn session<T: Session>(
        &self,
        token_name: impl FnOnce() -> String,
        presented: impl FnOnce(&KeyRing, &str) -> Presented,
    ) -> Result<Arc<RequestSession>, &'static str> {
        let mut sessions = self.lock();
        let id = TypeId::of::<T>();
        if let Some((_, session)) = sessions.iter().find(|(other, _)| *other == id) {
            return Ok(Arc::clone(session));
        }
        self.store.register::<T>()?;
        let name = token_name();
        let presented = presented(&self.store.backend.keys, &name);
        for _ in 0..presented.old_keys {
            self.store.backend.count_old_key(Use::Token, SignedBy::Older);
        }
        let is_forged = presented.is_forged;
        let session = Arc::new(RequestSession::new::<T>(Arc::clone(&self.store), name, presented));
        sessions.push((id, Arc::clone(&session)));
        drop(sessions);
        if is_forged {
            let session = T::SCHEMA.name;
            self.store
                .backend
                .events
                .emit(SessionEvent::ForgedToken { session }, || None);
        }
        Ok(session)
    }

    /// Takes all sessions out, in the order in which they were first asked for.
    pub fn take(&self) -> Vec<Arc<RequestSession>> {
        self.lock().drain(..).map(|(_, session)| session).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Arc<RequestSession>)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sessions are left where the client hung up before the handler had answered: without a response there is nothing to
/// commit.
impl Drop for RequestSessions {
    fn drop(&mut self) {
        for session in self.take() {
            session.abandon();
        }
    }
}

/// Why the sessions of a unit of work were not all committed.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(.committed, .not_begun))]
pub struct CommitFailure {
    /// The gravest of the errors.
    #[source]
    pub error: CommitError,
    /// The names of the sessions whose changes were committed all the same.
    pub committed: Vec<&'static str>,
    /// The names of the sessions whose changes were not begun, since those of another had failed.
    pub not_begun: Vec<&'static str>,
}

fn describe(committed: &[&str], not_begun: &[&str]) -> String {
    let mut out = "the sessions of a request could not be committed".to_owned();
    for (what, names) in [("committed", committed), ("not begun", not_begun)] {
        if !names.is_empty() {
            out.push_str("; ");
            out.push_str(what);
            out.push_str(": ");
            out.push_str(&names.join(", "));
        }
    }
    out
}

/// Ends a unit of work, and commits its sessions for the last time: first what is to be destroyed, then the changes, in
/// the order in which the sessions were first asked for. After the first change that fails the rest are not begun.
///
/// It has begun when this returns, and goes on to its end whether or not the caller waits for it.
pub fn finish(
    sessions: &[Arc<RequestSession>],
    disposition: Disposition,
) -> impl Future<Output = Result<(), CommitFailure>> + Send + use<> {
    let mut jobs = Vec::with_capacity(sessions.len());
    for session in sessions {
        session.close(disposition);
        jobs.push(session.try_begin(true).ok_or_else(|| Arc::clone(session)));
    }
    let is_clean = |job: &Result<CommitJob, _>| job.as_ref().is_ok_and(CommitJob::is_clean);
    // Most requests have nothing to commit, and pay for no task.
    let task = match sessions.first() {
        Some(first) if !jobs.iter().all(is_clean) => Some(first.spawn(run(jobs))),
        _ => None,
    };
    let session = sessions.first().map_or("", |session| session.name());
    async move {
        let Some(task) = task else { return Ok(()) };
        task.await.unwrap_or_else(|_| {
            Err(CommitFailure {
                error: CommitError::Unknown { session, source: None },
                committed: Vec::new(),
                not_begun: Vec::new(),
            })
        })
    }
}

async fn run(jobs: Vec<Result<CommitJob, Arc<RequestSession>>>) -> Result<(), CommitFailure> {
    let mut begun = Vec::with_capacity(jobs.len());
    for job in jobs {
        begun.push(match job {
            Ok(job) => (job, Ok(Commit::Clean)),
            // A commit of the handler's is under way.
            Err(session) => (session.begin(true).await, Ok(Commit::Clean)),
        });
    }
    begun.retain(|(job, _)| !job.is_clean());
    for (job, outcome) in &mut begun {
        *outcome = job.destroy().await;
    }
    let (mut committed, mut not_begun) = (Vec::new(), Vec::new());
    let mut errors: Vec<CommitError> = begun.iter().filter_map(|(_, outcome)| outcome.clone().err()).collect();
    for (mut job, destroyed) in begun {
        let writes = job.writes();
        let outcome = match destroyed {
            Ok(destroyed) if errors.is_empty() || !writes => {
                job.change().await.map(|changed| gravest(destroyed, changed))
            }
            Ok(destroyed) => {
                not_begun.push(job.session_name());
                Ok(destroyed)
            }
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(_) if errors.is_empty() && writes => committed.push(job.session_name()),
            Err(error) if errors.is_empty() => errors.push(error.clone()),
            _ => {}
        }
        job.end(outcome);
    }
    match errors.into_iter().max_by_key(CommitError::severity) {
        None => Ok(()),
        Some(error) => Err(CommitFailure {
            error,
            committed,
            not_begun,
        }),
    }
}

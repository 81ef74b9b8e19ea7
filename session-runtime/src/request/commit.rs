//! How what was staged becomes a commit.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tracing::Span;

use super::plan::Plan;
use super::session::RequestSession;
use super::state::{LastFailure, PendingActions, Phase, Staged, State, TokenAction};
use crate::cascade::outcome::{gravest, refused};
use crate::cascade::{Commit, CommitError, CommitReport, metrics, spans};
use crate::session::Schema;
use crate::session::changes::Changes;

/// One commit of one session, with what it took out of the state.
pub(super) struct CommitJob {
    session: Arc<RequestSession>,
    /// The next commit of the session begins after this one.
    _lock: OwnedMutexGuard<()>,
    staged: Staged,
    /// Which of the session's generations it is of. A later one was destroyed while it went on.
    generation: u32,
    plan: Result<Plan, CommitError>,
    /// Whether it is the unit of work's last one.
    is_last: bool,
    started: Instant,
    span: Span,
}

impl RequestSession {
    /// Commits what is staged. It has begun when this returns, goes on to its end whether or not the caller waits for
    /// it, and the next commit waits for that end.
    pub fn commit(self: &Arc<Self>) -> impl Future<Output = Result<Commit, CommitError>> + Send + use<> {
        let session = self.schema.name;
        let is_late = {
            let state = self.lock();
            state.phase != Phase::Open && state.is_late
        };
        // Most commits find nothing to do, and pay for no task.
        let ready = if is_late { None } else { self.try_begin(false) };
        let is_clean = ready.as_ref().is_some_and(CommitJob::is_clean);
        let task = (!is_late && !is_clean).then(|| {
            let session = Arc::clone(self);
            self.store.spawn_commit(async move {
                let job = match ready {
                    Some(job) => job,
                    None => session.begin(false).await,
                };
                job.run().await
            })
        });
        async move {
            match task {
                Some(task) => task
                    .await
                    .unwrap_or(Err(CommitError::Unknown { session, source: None })),
                None if is_late => Err(CommitError::TooLate { session }),
                None => Ok(Commit::Clean),
            }
        }
    }

    /// Whether a commit would find nothing to do, and none is under way.
    pub(super) fn is_clean(&self) -> bool {
        // Held meanwhile, or a commit could begin in between.
        self.commit_lock.try_lock().is_ok_and(|_lock| self.plans_nothing())
    }

    /// Begins a commit, unless another one is under way.
    pub(super) fn try_begin(self: &Arc<Self>, is_last: bool) -> Option<CommitJob> {
        let lock = Arc::clone(&self.commit_lock).try_lock_owned().ok()?;
        Some(CommitJob::new(self, lock, is_last))
    }

    /// Begins a commit once the one that is under way has ended.
    pub(super) async fn begin(self: &Arc<Self>, is_last: bool) -> CommitJob {
        let lock = Arc::clone(&self.commit_lock).lock_owned().await;
        CommitJob::new(self, lock, is_last)
    }
}

impl CommitJob {
    fn new(session: &Arc<RequestSession>, lock: OwnedMutexGuard<()>, is_last: bool) -> Self {
        let (staged, generation, plan) = session.take_plan();
        let mut job = Self {
            session: Arc::clone(session),
            _lock: lock,
            staged,
            generation,
            plan,
            is_last,
            started: Instant::now(),
            span: Span::none(),
        };
        if !job.is_clean() {
            job.span = spans::commit(job.session_name());
        }
        job
    }

    pub(super) fn session_name(&self) -> &'static str {
        self.session.schema.name
    }

    /// Whether it writes to a tier, the destroys apart.
    pub(super) fn writes(&self) -> bool {
        !matches!(self.plan, Ok(Plan::Nothing | Plan::RemoveToken))
    }

    /// Whether there is nothing to do.
    pub(super) fn is_clean(&self) -> bool {
        self.staged.destroys.is_empty() && matches!(self.plan, Ok(Plan::Nothing))
    }

    async fn run(mut self) -> Result<Commit, CommitError> {
        let outcome = match self.destroy().await {
            Ok(destroyed) => self.change().await.map(|changed| gravest(destroyed, changed)),
            Err(error) => Err(error),
        };
        self.end(outcome.clone());
        outcome
    }

    /// Deletes the sessions that are to be deleted: all of them are tried.
    pub(super) async fn destroy(&mut self) -> Result<Commit, CommitError> {
        let mut outcome = Ok(Commit::Clean);
        let mut left = Vec::new();
        let signs_in = matches!(self.plan, Ok(Plan::Create)) && self.staged.changes.privileged().is_some();
        for destroy in std::mem::take(&mut self.staged.destroys) {
            // On the heap, as the work of `change` is.
            let work = spans::within(&self.span, self.session.destroy_one(destroy.clone()));
            let done = self.session.store.with_commit_timeout(self.session_name(), work).await;
            if let Err(CommitError::Superseded { .. } | CommitError::Gone { .. }) = &done
                && signs_in
            {
                // Another request has signed in meanwhile. This one's session is its own as well, and joins nobody's.
                continue;
            }
            if done.is_err() {
                left.push(destroy);
            }
            outcome = match (outcome, done) {
                (Ok(before), Ok(done)) => Ok(gravest(before, done)),
                (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            };
        }
        self.staged.destroys.extend(left);
        outcome
    }

    /// Makes the changes, once the destroys are done.
    pub(super) async fn change(&mut self) -> Result<Commit, CommitError> {
        let plan = std::mem::replace(&mut self.plan, Ok(Plan::Nothing))?;
        let changes = self.staged.changes.clone();
        let (session, generation) = (&self.session, self.generation);
        let is_asked = !matches!(plan, Plan::Write { is_asked: false, .. });
        let work = async {
            match plan {
                Plan::Nothing => Ok(Commit::Clean),
                Plan::RemoveToken => {
                    session.lock().token_action = Some(TokenAction::Remove);
                    Ok(Commit::Clean)
                }
                Plan::Create => session.create(changes, generation).await,
                Plan::Write {
                    loaded,
                    presented,
                    rotation,
                    ..
                } => session.write(changes, loaded, presented, rotation, generation).await,
            }
        };
        // On the heap: the layer's future holds it, in every request.
        let name = session.schema.name;
        let work = spans::within(&self.span, work);
        let outcome = session.store.with_commit_timeout(name, work).await;
        match outcome {
            Err(error) if !is_asked => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(session = name, error, "a session was not renewed");
                Ok(Commit::Clean)
            }
            outcome => outcome,
        }
    }

    /// Records how it ended.
    pub(super) fn end(mut self, outcome: Result<Commit, CommitError>) {
        let report = CommitReport {
            outcome,
            took: self.started.elapsed(),
        };
        spans::end(&self.span, report.label(), report.outcome.is_err());
        metrics::record_commit(self.session_name(), report.label(), report.took);
        let staged = std::mem::take(&mut self.staged);
        let mut state = self.session.lock();
        state.commits += 1;
        if let (Err(error), false) = (&report.outcome, self.is_last) {
            state.put_back(self.session.schema, staged, self.generation, error);
        }
        state.commit = Some(report);
    }
}

/// However the commit ended: those who wait for the unit of work's end wait no longer.
impl Drop for CommitJob {
    fn drop(&mut self) {
        if self.is_last {
            self.session.end();
        }
    }
}

impl RequestSession {
    /// Notes that the handler has been told of a failed commit, and may have told its user: it is not tried again unless
    /// the handler commits again, or changes something more.
    pub(super) fn mark_error_reported(&self) {
        let mut state = self.lock();
        state.deferred_error = None;
        if state.last_failure == LastFailure::Unreported {
            state.last_failure = LastFailure::Reported;
        }
    }
}

impl State {
    /// After a commit that failed before the response: puts back what can still be committed. Where nobody waited for the
    /// outcome, the next commit tries again, or fails for the same reason.
    fn put_back(&mut self, schema: &'static Schema, mut staged: Staged, generation: u32, error: &CommitError) {
        // Destroying a session twice is harmless.
        self.staged.destroys.extend(std::mem::take(&mut staged.destroys));
        if self.generation != generation {
            // The session was destroyed meanwhile, and the rest with it.
            self.staged.actions |= staged.actions & PendingActions::REMOVE_TOKEN;
            return;
        }
        if self.is_discarded {
            staged.changes = Changes::default();
            staged.actions -= PendingActions::KEEP | PendingActions::TOUCH;
        }
        let was_nothing_written = matches!(
            error,
            CommitError::Unavailable { .. } | CommitError::TooLarge { .. } | CommitError::Conflict { field: None, .. }
        );
        if was_nothing_written {
            let later = std::mem::replace(&mut self.staged.changes, staged.changes);
            if later.is_empty() && (self.staged.actions - PendingActions::KEEP).is_empty() {
                self.last_failure = LastFailure::Unreported;
            }
            self.staged.actions |= staged.actions;
            if let Err(error) = self.staged.changes.stage(schema, later) {
                self.deferred_error = Some(refused(schema.name, error.into()));
            }
        } else {
            self.deferred_error = Some(error.clone());
            self.staged.actions |= staged.actions & PendingActions::REMOVE_TOKEN;
        }
    }
}

//! How what was staged becomes a commit.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::session::RequestSession;
use super::state::{Disposition, LoadState, PendingActions, State, TokenAction};
use super::token::SessionToken;
use crate::cascade::inner::{Committed, nonce};
use crate::cascade::outcome::refused;
use crate::cascade::patch::{Patch, Rotation};
use crate::cascade::protocol::{Goal, VersionedRecord};
use crate::cascade::{Commit, CommitError, CommitReport, metrics};
use crate::session::Session;
use crate::session::changes::Changes;
use crate::session::meta::SecretHash;
use crate::session::record::Record;
use crate::tier::Tiers;

#[expect(clippy::large_enum_variant, reason = "it lives for one commit, and never in a list")]
enum Plan {
    Nothing,
    /// There is no session, and the client is to forget its token.
    Forget,
    Create(Patch),
    Write {
        goal: Goal,
        key: String,
        loaded: VersionedRecord<Record>,
        patch: Patch,
        /// What the client presents afterwards.
        token: SessionToken,
    },
}

/// What a plan took out of the state, to be put back where nothing was written.
struct StagedWork {
    changes: Changes,
    actions: PendingActions,
}

impl RequestSession {
    /// Commits what there is to commit. It has begun when this returns, goes on to its end whether or not the caller
    /// waits for it, and the next commit waits for that end.
    pub fn commit(self: &Arc<Self>) -> impl Future<Output = Result<Commit, CommitError>> + Send + use<> {
        self.begin(None)
    }

    /// Ends the handler's part, and commits for the last time, as [`commit`](Self::commit) does.
    pub fn finish(
        self: &Arc<Self>,
        disposition: Disposition,
    ) -> impl Future<Output = Result<Commit, CommitError>> + Send + use<> {
        self.close(disposition);
        self.begin(Some(EndGuard(Arc::clone(self))))
    }

    /// Notes that the handler has been told of a failed commit, and may have told its user: it is not tried again unless
    /// the handler commits again, or changes something more.
    fn mark_error_reported(&self) {
        let mut state = self.lock();
        state.deferred_error = None;
        state.is_error_reported = state.has_failed;
    }

    fn begin(
        self: &Arc<Self>,
        end_guard: Option<EndGuard>,
    ) -> impl Future<Output = Result<Commit, CommitError>> + Send + use<> {
        let guard = Arc::clone(&self.commit_lock).try_lock_owned().ok();
        // Most requests have nothing to commit, and pay for no task.
        let planned = guard.map(|guard| (guard, self.plan()));
        let is_clean = matches!(planned, Some((_, (Ok(Plan::Nothing), _))));
        let work = (!is_clean).then(|| {
            let session = Arc::clone(self);
            self.store.spawn_commit(async move {
                let (guard, (plan, staged)) = if let Some(planned) = planned {
                    planned
                } else {
                    let guard = Arc::clone(&session.commit_lock).lock_owned().await;
                    (guard, session.plan())
                };
                let outcome = Box::pin(session.run(plan, staged, end_guard.is_none())).await;
                drop(guard);
                drop(end_guard);
                outcome
            })
        });
        let session = self.schema.name;
        async move {
            match work {
                Some(work) => work
                    .await
                    .unwrap_or(Err(CommitError::Unknown { session, source: None })),
                None => Ok(Commit::Clean),
            }
        }
    }

    /// Executes a plan within the commit timeout, and records how it went.
    async fn run(
        &self,
        plan: Result<Plan, CommitError>,
        staged: StagedWork,
        may_be_tried_again: bool,
    ) -> Result<Commit, CommitError> {
        let started = Instant::now();
        let outcome = match plan {
            Ok(plan) => {
                self.store
                    .with_commit_timeout(self.schema.name, Box::pin(self.execute(plan)))
                    .await
            }
            Err(error) => Err(error),
        };
        let report = CommitReport {
            outcome: outcome.clone(),
            took: started.elapsed(),
        };
        metrics::record_commit(self.schema.name, report.label(), report.took);
        let mut state = self.lock();
        state.commits += 1;
        if let (Err(error), true) = (&outcome, may_be_tried_again) {
            state.put_back(self, staged, error);
        }
        state.commit = Some(report);
        outcome
    }

    async fn execute(&self, plan: Plan) -> Result<Commit, CommitError> {
        match plan {
            Plan::Nothing => Ok(Commit::Clean),
            Plan::Forget => {
                self.lock().token_action = Some(TokenAction::Remove);
                Ok(Commit::Clean)
            }
            Plan::Create(patch) => self.create(patch).await,
            Plan::Write {
                goal,
                key,
                loaded,
                patch,
                token,
            } => {
                let only_renews = goal == Goal::Change && patch.only_renews();
                let rotated = patch.rotation.map(|rotation| rotation.secret);
                match self.store.commit(self.schema.tiers, goal, &key, loaded, patch).await {
                    Ok(done) => Ok(self.apply_outcome(done, goal, rotated, token)),
                    Err(error) if only_renews => {
                        let (session, error) = (self.schema.name, &error as &dyn std::error::Error);
                        tracing::debug!(session, error, "a session was not renewed");
                        Ok(Commit::Clean)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// What is to be done, and what it takes out of the state.
    fn plan(&self) -> (Result<Plan, CommitError>, StagedWork) {
        let mut state = self.lock();
        let mut staged = StagedWork {
            changes: Changes::default(),
            actions: PendingActions::empty(),
        };
        if !self.schema.tiers.intersects(Tiers::DISTRIBUTED) {
            // The changes stay: the request's memory is the only tier, and the next extraction finds them there.
            if state.actions.contains(PendingActions::DESTROY) {
                state.changes = Changes::default();
            }
            state.actions = PendingActions::empty();
            return (Ok(Plan::Nothing), staged);
        }
        staged.changes = std::mem::take(&mut state.changes);
        staged.actions = state.actions;
        state.actions &= PendingActions::KEEP;
        let plan = match state.deferred_error.take() {
            Some(deferred_error) if !staged.actions.contains(PendingActions::DESTROY) => Err(deferred_error),
            _ => self.plan_for(&state, &staged),
        };
        (plan, staged)
    }

    fn plan_for(&self, state: &State, staged: &StagedWork) -> Result<Plan, CommitError> {
        let session = self.schema.name;
        let StagedWork { changes, actions } = staged;
        let (rotate, destroy) = (
            actions.contains(PendingActions::ROTATE),
            actions.contains(PendingActions::DESTROY),
        );
        let is_dirty = !changes.is_empty() || rotate || destroy;
        let (known, token) = match (&state.loaded, state.token) {
            (Some(LoadState::Known(known)), Some(token)) => (known, token),
            (Some(LoadState::Superseded), _) if is_dirty => return Err(CommitError::Gone { session }),
            (Some(LoadState::Superseded) | None, _) => return Ok(Plan::Nothing),
            (Some(_), _) if destroy => {
                return Ok(if self.presented.any {
                    Plan::Forget
                } else {
                    Plan::Nothing
                });
            }
            (Some(LoadState::Gone), _) if is_dirty => return Err(CommitError::Gone { session }),
            (Some(LoadState::New | LoadState::Known(_)), _)
                if !changes.is_empty() || actions.contains(PendingActions::KEEP) =>
            {
                return Ok(Plan::Create(self.patch(changes.clone(), 0, None, None)));
            }
            (Some(_), _) => return Ok(Plan::Nothing),
        };
        if !is_dirty && (state.is_unreadable || !self.store.is_due_for_renewal(known.record.meta())) {
            return Ok(Plan::Nothing);
        }
        let rotates = !destroy && (rotate || changes.privileged().is_some());
        let grace = changes
            .privileged()
            .is_none()
            .then_some(self.store.backend.policy.rotation_grace);
        let next = if rotates {
            Some(token.with_new_secret().map_err(|_| no_random(session))?)
        } else {
            None
        };
        let rotation = next.map(|next| Rotation {
            secret: next.hash(),
            grace,
        });
        let commits = known.record.meta().commits;
        Ok(Plan::Write {
            goal: if destroy { Goal::Destroy } else { Goal::Change },
            key: self.store.key(&token.sid()),
            loaded: known.clone(),
            patch: self.patch(changes.clone(), commits, Some(token.hash()), rotation),
            token: next.unwrap_or(token),
        })
    }

    fn patch(
        &self,
        changes: Changes,
        base_commits: u64,
        presented: Option<SecretHash>,
        rotation: Option<Rotation>,
    ) -> Patch {
        Patch {
            schema: self.schema,
            migrate: self.migrate,
            changes,
            presented: presented.unwrap_or(SecretHash([0; 32])),
            rotation,
            nonce: nonce(),
            base_commits,
            now: self.store.backend.now(),
            max_len: self.store.backend.policy.max_len,
        }
    }

    async fn create(&self, patch: Patch) -> Result<Commit, CommitError> {
        let session = self.schema.name;
        // One secret, as the record holds its hash, and a sid for each try.
        let first = SessionToken::random().map_err(|_| no_random(session))?;
        let tried = Arc::new(Mutex::new(None));
        let (last, store) = (Arc::clone(&tried), Arc::clone(&self.store));
        let next = move || {
            let token = first.with_new_sid().ok()?;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
            Some(store.key(&token.sid()))
        };
        let meta = self.new_meta(Some(first.hash()));
        let done = self.store.create(self.schema.tiers, patch, meta, next).await?;
        let token = *tried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        state.token = token;
        if let (Some(token), Some(known)) = (token, &done.stored) {
            state.token_action = Some(TokenAction::Set(token, known.record.meta().deadline.into()));
        }
        state.loaded = done.stored.map(LoadState::Known);
        Ok(done.commit)
    }

    fn apply_outcome(&self, done: Committed, goal: Goal, rotated: Option<SecretHash>, token: SessionToken) -> Commit {
        let mut state = self.lock();
        if let (Goal::Change, Some(known)) = (goal, done.stored) {
            // Where another request has rotated first, its response carries the valid secret.
            if rotated == Some(known.record.meta().secret) {
                state.token = Some(token);
                state.token_action = Some(TokenAction::Set(token, known.record.meta().deadline.into()));
            }
            state.loaded = Some(LoadState::Known(known));
        } else {
            state.token = None;
            state.token_action = Some(TokenAction::Remove);
            state.loaded = Some(LoadState::New);
        }
        done.commit
    }
}

/// Commits the changes in `fields`, and opens them anew.
pub(super) async fn commit_fields<T: Session>(
    fields: &mut T::Fields,
    session: &Arc<RequestSession>,
) -> Result<Commit, CommitError> {
    let unreadable = |source| CommitError::Open {
        session: T::SCHEMA.name,
        source: Arc::new(source),
    };
    // Before the wait: should the future be dropped, what was staged is not staged again.
    session.stage_and_reopen::<T>(fields).map_err(unreadable)?;
    let outcome = session.commit().await;
    if outcome.is_err() {
        session.mark_error_reported();
    }
    // What is stored now opens, since it was just written or loaded; and the outcome says more than an error here could.
    if let Ok(opened) = session.open::<T>() {
        *fields = opened;
    }
    outcome
}

impl State {
    /// After a commit that failed before the response: puts back what can still be committed. Where nobody waited for the
    /// outcome, the next commit tries again, or fails for the same reason.
    fn put_back(&mut self, session: &RequestSession, staged: StagedWork, error: &CommitError) {
        let nothing_was_written = matches!(
            error,
            CommitError::Unavailable { .. } | CommitError::TooLarge { .. } | CommitError::Conflict { field: None, .. }
        );
        if nothing_was_written {
            let later = std::mem::replace(&mut self.changes, staged.changes);
            self.has_failed = later.is_empty() && self.actions.is_empty();
            self.actions |= staged.actions;
            if let Err(error) = self.changes.stage(session.schema, later) {
                self.deferred_error = Some(refused(session.schema.name, error.into()));
            }
            return;
        }
        self.deferred_error = Some(error.clone());
        if matches!(error, CommitError::Unknown { .. }) {
            // Destroying a session twice is harmless.
            self.actions |= staged.actions & PendingActions::DESTROY;
        }
    }
}

/// Marks the unit of work as ended, however its commit ended.
struct EndGuard(Arc<RequestSession>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn no_random(session: &'static str) -> CommitError {
    CommitError::Unavailable { session, source: None }
}

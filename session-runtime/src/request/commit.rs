//! How what was staged becomes a commit.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::session::RequestSession;
use super::state::{Destroy, LastFailure, LoadState, PendingActions, Phase, Staged, State, TokenAction};
use super::token::SessionToken;
use crate::cascade::inner::{Committed, Lookup, nonce};
use crate::cascade::outcome::refused;
use crate::cascade::patch::{Patch, Rotation};
use crate::cascade::protocol::{Goal, VersionedRecord};
use crate::cascade::{Commit, CommitError, CommitReport, SessionEvent, metrics};
use crate::session::Session;
use crate::session::changes::Changes;
use crate::session::meta::SecretHash;
use crate::session::record::Record;
use crate::tier::Tiers;

/// One commit of one session, with what it took out of the state.
pub(super) struct CommitJob {
    session: Arc<RequestSession>,
    /// The next commit of the session begins after this one.
    _lock: OwnedMutexGuard<()>,
    staged: Staged,
    plan: Result<Plan, CommitError>,
    /// Whether it is the unit of work's last one.
    is_last: bool,
    started: Instant,
}

/// What is to become of the session once the destroys are done.
#[expect(clippy::large_enum_variant, reason = "it lives for one commit, and never in a list")]
enum Plan {
    Nothing,
    /// There is no session, and the client is to forget its token.
    RemoveToken,
    Create,
    Write {
        loaded: VersionedRecord<Record>,
        presented: SessionToken,
        rotation: Option<NewSecret>,
    },
}

/// A secret that the session is to get.
#[derive(Clone, Copy)]
struct NewSecret {
    token: SessionToken,
    ends_at_once: bool,
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
                Box::pin(job.run()).await
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

    /// Takes out of the state what is staged, and decides what to do with it.
    fn take_plan(&self) -> (Staged, Result<Plan, CommitError>) {
        let mut state = self.lock();
        if !self.schema.tiers.intersects(Tiers::DISTRIBUTED) {
            // The changes stay: the request's memory is the only tier, and the next extraction finds them there.
            state.staged.actions = PendingActions::empty();
            state.staged.destroys.clear();
            return (Staged::default(), Ok(Plan::Nothing));
        }
        let staged = std::mem::take(&mut state.staged);
        state.staged.actions = staged.actions & PendingActions::KEEP;
        let plan = match state.deferred_error.take() {
            Some(error) => Err(error),
            None => self.plan(&state, &staged),
        };
        (staged, plan)
    }

    fn plan(&self, state: &State, staged: &Staged) -> Result<Plan, CommitError> {
        let session = self.schema.name;
        let Staged { changes, actions, .. } = staged;
        let rotates = actions.intersects(PendingActions::ROTATE | PendingActions::ROTATE_NOW);
        let is_dirty = !changes.is_empty() || rotates;
        let without = if actions.contains(PendingActions::REMOVE_TOKEN) {
            Plan::RemoveToken
        } else {
            Plan::Nothing
        };
        match (&state.loaded, state.token) {
            (None, _) => Ok(Plan::Nothing),
            (Some(LoadState::Known(known)), Some(token)) => self.plan_write(state, staged, known, token),
            // Whoever signs in gets a session of its own. It never joins the one that has another secret now, so that
            // nobody who planted the secret gets there.
            (Some(LoadState::Superseded), _) if changes.privileged().is_some() => Ok(Plan::Create),
            (Some(LoadState::Superseded), _) if is_dirty => Err(CommitError::Superseded { session }),
            (Some(LoadState::Gone), _) if is_dirty => Err(CommitError::Gone { session }),
            (Some(LoadState::New | LoadState::Known(_)), _)
                if !changes.is_empty() || actions.contains(PendingActions::KEEP) =>
            {
                Ok(Plan::Create)
            }
            (Some(_), _) => Ok(without),
        }
    }

    fn plan_write(
        &self,
        state: &State,
        Staged { changes, actions, .. }: &Staged,
        known: &VersionedRecord<Record>,
        presented: SessionToken,
    ) -> Result<Plan, CommitError> {
        let is_privileged = changes.privileged().is_some();
        let is_asked = actions.intersects(PendingActions::ROTATE | PendingActions::ROTATE_NOW);
        // A detached session has no response to carry a new secret.
        let is_due = || !self.is_detached && self.store.is_due_for_rotation(known.record.meta());
        let rotates = is_privileged || is_asked || (!state.is_unreadable && is_due());
        let is_touched = actions.contains(PendingActions::TOUCH);
        let renews = || !state.is_unreadable && self.store.is_due_for_renewal(known.record.meta());
        if changes.is_empty() && !rotates && !is_touched && state.persistent.is_none() && !renews() {
            return Ok(Plan::Nothing);
        }
        let new_secret = || -> Result<NewSecret, CommitError> {
            Ok(NewSecret {
                token: presented.with_new_secret().map_err(|_| self.no_random())?,
                ends_at_once: is_privileged || actions.contains(PendingActions::ROTATE_NOW),
            })
        };
        Ok(Plan::Write {
            loaded: known.clone(),
            presented,
            rotation: rotates.then(new_secret).transpose()?,
        })
    }

    fn patch(&self, changes: Changes, base_commits: u64, presented: SecretHash, rotation: Option<Rotation>) -> Patch {
        let policy = &self.store.backend.policy;
        Patch {
            schema: self.schema,
            migrate: self.migrate,
            changes,
            presented,
            rotation,
            nonce: nonce(),
            base_commits,
            now: self.store.backend.now(),
            persistent: self.lock().persistent,
            default_idle: policy.idle,
            idle: policy.idle_of(self.schema),
            anonymous_idle: policy.anonymous_idle,
            max_len: policy.max_len,
        }
    }

    async fn create(&self, changes: Changes) -> Result<Commit, CommitError> {
        // One secret, as the record holds its hash, and a sid for each attempt.
        let planned = self.lock().planned;
        let first = planned
            .map_or_else(SessionToken::random, Ok)
            .map_err(|_| self.no_random())?;
        let tried = Arc::new(Mutex::new(None));
        let (last, store) = (Arc::clone(&tried), Arc::clone(&self.store));
        let next_key = move || {
            let token = first.with_new_sid().ok()?;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
            Some(store.key(&token.sid()))
        };
        let is_privileged = changes.privileged().is_some();
        let patch = self.patch(changes, 0, SecretHash::NONE, None);
        let meta = self.new_meta(first.hash());
        let done = self.store.create(self.schema.tiers, patch, meta, next_key).await?;
        let token = *tried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        state.token = token;
        if let (Some(token), Some(stored)) = (token, &done.stored) {
            state.token_action = Some(TokenAction::set(token, stored.record.meta()));
        }
        let created = token.filter(|_| done.stored.is_some());
        (state.planned, state.persistent) = (None, None);
        state.loaded = done.stored.map(LoadState::Known);
        drop(state);
        if let Some(token) = created {
            let session = self.schema.name;
            self.emit(SessionEvent::Created { session }, &token);
            if is_privileged {
                self.emit(SessionEvent::SignedIn { session }, &token);
            }
        }
        Ok(done.commit)
    }

    async fn write(
        &self,
        changes: Changes,
        loaded: VersionedRecord<Record>,
        presented: SessionToken,
        new_secret: Option<NewSecret>,
    ) -> Result<Commit, CommitError> {
        let is_privileged = changes.privileged().is_some();
        let rotation = new_secret.map(|new| Rotation {
            secret: new.token.hash(),
            grace: self.store.backend.policy.rotation_grace,
            ends_at_once: new.ends_at_once,
        });
        let again = if is_privileged {
            changes.clone()
        } else {
            Changes::default()
        };
        let patch = self.patch(changes, loaded.record.meta().commits, presented.hash(), rotation);
        let only_renews = patch.only_renews();
        let key = self.store.key(&presented.sid());
        let (tiers, session) = (self.schema.tiers, self.schema.name);
        match self.store.commit(tiers, Goal::Change, &key, loaded, patch).await {
            Ok(done) => {
                let (commit, is_rotated) = self.accept(done, presented, new_secret);
                if is_privileged {
                    self.emit(SessionEvent::SignedIn { session }, &presented);
                } else if is_rotated {
                    self.emit(SessionEvent::Rotated { session }, &presented);
                }
                Ok(commit)
            }
            Err(CommitError::Superseded { .. }) if is_privileged => {
                self.emit(SessionEvent::SupersededToken { session }, &presented);
                self.create(again).await
            }
            Err(error) => {
                if matches!(error, CommitError::Superseded { .. }) {
                    self.emit(SessionEvent::SupersededToken { session }, &presented);
                    self.lock().loaded = Some(LoadState::Superseded);
                }
                if only_renews {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(session, error, "a session was not renewed");
                    return Ok(Commit::Clean);
                }
                Err(error)
            }
        }
    }

    /// Takes over what is stored now. Whether the session has got the new secret follows.
    fn accept(&self, done: Committed, presented: SessionToken, new_secret: Option<NewSecret>) -> (Commit, bool) {
        let mut is_rotated = false;
        let mut state = self.lock();
        if let Some(stored) = done.stored {
            let meta = stored.record.meta();
            // Where another request has rotated first, its response carries the valid secret.
            let rotated = new_secret.filter(|new| new.token.hash() == meta.secret);
            is_rotated = rotated.is_some();
            if let Some(NewSecret { token, .. }) = rotated {
                state.token = Some(token);
                state.token_action = Some(TokenAction::set(token, meta));
            } else if state.persistent.is_some() {
                // The same cookie again, with another lifetime.
                state.token_action = Some(TokenAction::set(presented, meta));
            }
            state.persistent = None;
            let now = self.store.backend.now();
            // A commit that had nothing to write may have met what another request wrote with another secret.
            let is_valid = rotated.is_some() || meta.secret_status(&presented.hash(), now).is_valid();
            state.loaded = Some(if is_valid {
                LoadState::Known(stored)
            } else {
                LoadState::Superseded
            });
        }
        (done.commit, is_rotated)
    }

    async fn destroy_one(&self, destroy: Destroy) -> Result<Commit, CommitError> {
        let Destroy { token, loaded } = destroy;
        let (tiers, name, key) = (self.schema.tiers, self.schema.name, self.store.key(&token.sid()));
        let loaded = if let Some(loaded) = loaded {
            loaded
        } else {
            let lookup = self.store.load(name, tiers, &key, &token.hash()).await;
            match lookup {
                Ok((Lookup::Valid(found), _)) => found,
                Ok((Lookup::Superseded | Lookup::NoSession, _)) => return Ok(Commit::Clean),
                Err(_) => {
                    let session = self.schema.name;
                    return Err(CommitError::Unavailable { session, source: None });
                }
            }
        };
        let patch = self.patch(Changes::default(), loaded.record.meta().commits, token.hash(), None);
        let done = self.store.commit(tiers, Goal::Destroy, &key, loaded, patch).await?;
        self.emit(SessionEvent::Destroyed { session: name }, &token);
        Ok(done.commit)
    }

    pub(super) fn no_random(&self) -> CommitError {
        let session = self.schema.name;
        CommitError::Unavailable { session, source: None }
    }
}

impl CommitJob {
    fn new(session: &Arc<RequestSession>, lock: OwnedMutexGuard<()>, is_last: bool) -> Self {
        let (staged, plan) = session.take_plan();
        Self {
            session: Arc::clone(session),
            _lock: lock,
            staged,
            plan,
            is_last,
            started: Instant::now(),
        }
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
        for destroy in std::mem::take(&mut self.staged.destroys) {
            let work = Box::pin(self.session.destroy_one(destroy.clone()));
            let done = self.session.store.with_commit_timeout(self.session_name(), work).await;
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
        let session = &self.session;
        let work = async {
            match plan {
                Plan::Nothing => Ok(Commit::Clean),
                Plan::RemoveToken => {
                    session.lock().token_action = Some(TokenAction::Remove);
                    Ok(Commit::Clean)
                }
                Plan::Create => session.create(changes).await,
                Plan::Write {
                    loaded,
                    presented,
                    rotation,
                } => session.write(changes, loaded, presented, rotation).await,
            }
        };
        // On the heap: the layer's future holds it, in every request.
        session
            .store
            .with_commit_timeout(session.schema.name, Box::pin(work))
            .await
    }

    /// Records how it ended.
    pub(super) fn end(mut self, outcome: Result<Commit, CommitError>) {
        let report = CommitReport {
            outcome,
            took: self.started.elapsed(),
        };
        metrics::record_commit(self.session_name(), report.label(), report.took);
        let staged = std::mem::take(&mut self.staged);
        let mut state = self.session.lock();
        state.commits += 1;
        if let (Err(error), false) = (&report.outcome, self.is_last) {
            state.put_back(self.session.schema, staged, error);
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

/// Of two commits that were done, what is to be told of both.
pub(super) fn gravest(one: Commit, other: Commit) -> Commit {
    let rank = |commit: &Commit| match commit {
        Commit::Clean => 0,
        Commit::Coherent => 1,
        Commit::Degraded => 2,
        Commit::Unfenced { .. } => 3,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

/// Commits the changes in `fields`, and opens them anew. The generation that they belong to follows.
pub(super) async fn commit_fields<T: Session>(
    fields: &mut T::Fields,
    generation: &mut u32,
    session: &Arc<RequestSession>,
) -> Result<Commit, CommitError> {
    let unreadable = |source| CommitError::Open {
        session: T::SCHEMA.name,
        source: Arc::new(source),
    };
    // Before the wait: should the future be dropped, what was staged is not staged again.
    stage_and_reopen::<T>(fields, generation, session).map_err(unreadable)?;
    let outcome = session.commit().await;
    if outcome.is_err() {
        session.mark_error_reported();
    }
    // What is stored now opens, since it was just written or loaded; and the outcome says more than an error here could.
    if let Ok(opened) = session.open::<T>() {
        (*fields, *generation) = opened;
    }
    outcome
}

/// Stages what was changed in `fields`, and opens them anew, so that it is not staged again.
pub(super) fn stage_and_reopen<T: Session>(
    fields: &mut T::Fields,
    generation: &mut u32,
    session: &RequestSession,
) -> Result<(), crate::session::OpenError> {
    session.stage::<T>(fields, *generation);
    *fields = T::with_defaults();
    (*fields, *generation) = session.open::<T>()?;
    Ok(())
}

impl RequestSession {
    /// Notes that the handler has been told of a failed commit, and may have told its user: it is not tried again unless
    /// the handler commits again, or changes something more.
    fn mark_error_reported(&self) {
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
    fn put_back(&mut self, schema: &'static crate::session::Schema, staged: Staged, error: &CommitError) {
        // Destroying a session twice is harmless.
        self.staged.destroys.extend(staged.destroys);
        let was_nothing_written = matches!(
            error,
            CommitError::Unavailable { .. } | CommitError::TooLarge { .. } | CommitError::Conflict { field: None, .. }
        );
        if was_nothing_written {
            let later = std::mem::replace(&mut self.staged.changes, staged.changes);
            if later.is_empty() && self.staged.actions.is_empty() {
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

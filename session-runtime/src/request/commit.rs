//! How what a request changed in a session becomes a commit.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::session::{Entry, Fate, Gift, Loaded, State, Wish};
use crate::cascade::inner::{Done, Known, nonce};
use crate::cascade::patch::{Patch, Rotation};
use crate::cascade::{Commit, CommitError, CommitReport, metrics, protocol::Goal};
use crate::edge::cookie::Ticket;
use crate::session::changes::Changes;
use crate::session::meta::SecretHash;
use crate::tier::Tiers;

#[expect(clippy::large_enum_variant, reason = "it lives for one commit, and never in a list")]
enum Plan {
    Nothing,
    /// There is no session, and the browser is to forget that there was one.
    Forget,
    Create(Patch),
    Write {
        goal: Goal,
        key: String,
        known: Known,
        patch: Patch,
        /// What the browser shows afterwards.
        ticket: Ticket,
    },
}

/// What a plan took, to be put back where nothing came of it.
struct Taken {
    changes: Changes,
    wish: Wish,
}

impl Entry {
    /// Commits what there is to commit. It has begun when this returns, goes on to its end whether or not the caller
    /// waits for it, and the next commit waits for that end.
    pub(crate) fn commit(self: &Arc<Self>) -> impl Future<Output = Result<Commit, CommitError>> + Send + use<> {
        self.begin(None)
    }

    /// Ends the request's part, and commits for the last time, as [`commit`](Self::commit) does.
    pub(crate) fn finish(
        self: &Arc<Self>,
        fate: Fate,
    ) -> impl Future<Output = Result<Commit, CommitError>> + Send + use<> {
        self.close(fate);
        self.begin(Some(Ending(Arc::clone(self))))
    }

    /// The handler has been told that its commit failed, and may have told its user: nothing of it is tried again
    /// unless it commits again, or changes something more.
    pub(crate) fn told(&self) {
        let mut state = self.lock();
        state.trouble = None;
        state.is_told = state.has_failed;
    }

    fn begin(
        self: &Arc<Self>,
        ending: Option<Ending>,
    ) -> impl Future<Output = Result<Commit, CommitError>> + Send + use<> {
        let turn = Arc::clone(&self.turn).try_lock_owned().ok();
        // Most requests have nothing to commit, and pay for no task.
        let planned = turn.map(|turn| (turn, self.plan()));
        let is_clean = matches!(planned, Some((_, (Ok(Plan::Nothing), _))));
        let work = (!is_clean).then(|| {
            let entry = Arc::clone(self);
            self.store.in_own_task(async move {
                let (turn, (plan, taken)) = if let Some(planned) = planned {
                    planned
                } else {
                    let turn = Arc::clone(&entry.turn).lock_owned().await;
                    (turn, entry.plan())
                };
                let outcome = Box::pin(entry.run(plan, taken, ending.is_none())).await;
                drop(turn);
                drop(ending);
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

    /// Carries a plan out, within its time, and takes down how it went.
    async fn run(
        &self,
        plan: Result<Plan, CommitError>,
        taken: Taken,
        may_be_tried_again: bool,
    ) -> Result<Commit, CommitError> {
        let started = Instant::now();
        let outcome = match plan {
            Ok(plan) => self.store.in_time(self.schema.name, self.carry_out(plan)).await,
            Err(error) => Err(error),
        };
        metrics::committed(self.schema.name, &outcome, started.elapsed());
        let mut state = self.lock();
        state.commits += 1;
        if let (Err(error), true) = (&outcome, may_be_tried_again) {
            state.put_back(self, taken, error);
        }
        state.commit = Some(CommitReport {
            outcome: outcome.clone(),
            took: started.elapsed(),
        });
        outcome
    }

    async fn carry_out(&self, plan: Plan) -> Result<Commit, CommitError> {
        match plan {
            Plan::Nothing => Ok(Commit::Clean),
            Plan::Forget => {
                self.lock().gift = Some(Gift::Removal);
                Ok(Commit::Clean)
            }
            Plan::Create(patch) => self.create(patch).await,
            Plan::Write {
                goal,
                key,
                known,
                patch,
                ticket,
            } => {
                let only_renews = goal == Goal::Change && patch.only_renews();
                let rotated = patch.rotation.map(|rotation| rotation.secret);
                match self.store.commit(self.schema.tiers, goal, &key, known, patch).await {
                    Ok(done) => Ok(self.after(done, goal, rotated, ticket)),
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
    fn plan(&self) -> (Result<Plan, CommitError>, Taken) {
        let mut state = self.lock();
        let mut taken = Taken {
            changes: Changes::default(),
            wish: Wish::empty(),
        };
        if !self.schema.tiers.intersects(Tiers::DISTRIBUTED) {
            // The request's memory is all that there is, and the next look is to find them there.
            if state.wish.contains(Wish::DESTROY) {
                state.changes = Changes::default();
            }
            state.wish = Wish::empty();
            return (Ok(Plan::Nothing), taken);
        }
        taken.changes = std::mem::take(&mut state.changes);
        taken.wish = state.wish;
        state.wish &= Wish::KEEP;
        let plan = match state.trouble.take() {
            Some(trouble) if !taken.wish.contains(Wish::DESTROY) => Err(trouble),
            _ => self.plan_for(&state, &taken),
        };
        (plan, taken)
    }

    fn plan_for(&self, state: &State, taken: &Taken) -> Result<Plan, CommitError> {
        let session = self.schema.name;
        let Taken { changes, wish } = taken;
        let (rotate, destroy) = (wish.contains(Wish::ROTATE), wish.contains(Wish::DESTROY));
        let is_dirty = !changes.is_empty() || rotate || destroy;
        let (known, ticket) = match (&state.loaded, state.ticket) {
            (Some(Loaded::Known(known)), Some(ticket)) => (known, ticket),
            (Some(Loaded::Superseded), _) if is_dirty => return Err(CommitError::Gone { session }),
            (Some(Loaded::Superseded) | None, _) => return Ok(Plan::Nothing),
            (Some(_), _) if destroy => {
                return Ok(if self.presented.any {
                    Plan::Forget
                } else {
                    Plan::Nothing
                });
            }
            (Some(Loaded::Gone), _) if is_dirty => return Err(CommitError::Gone { session }),
            (Some(Loaded::New | Loaded::Known(_)), _) if !changes.is_empty() || wish.contains(Wish::KEEP) => {
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
            .then_some(self.store.rooms.policy.rotation_grace);
        let next = if rotates {
            Some(ticket.with_new_secret().map_err(|_| no_random(session))?)
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
            key: self.store.key(&ticket.sid()),
            known: known.clone(),
            patch: self.patch(changes.clone(), commits, Some(ticket.hash()), rotation),
            ticket: next.unwrap_or(ticket),
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
            now: self.store.rooms.now(),
            max_len: self.store.rooms.policy.max_len,
        }
    }

    async fn create(&self, patch: Patch) -> Result<Commit, CommitError> {
        let session = self.schema.name;
        // One secret, as the record holds its hash, and a sid for each try.
        let first = Ticket::random().map_err(|_| no_random(session))?;
        let tried = Arc::new(Mutex::new(None));
        let (last, store) = (Arc::clone(&tried), Arc::clone(&self.store));
        let next = move || {
            let ticket = first.with_new_sid().ok()?;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket);
            Some(store.key(&ticket.sid()))
        };
        let meta = self.new_meta(Some(first.hash()));
        let done = self.store.create(self.schema.tiers, patch, meta, next).await?;
        let ticket = *tried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        state.ticket = ticket;
        if let (Some(ticket), Some(known)) = (ticket, &done.known) {
            state.gift = Some(Gift::Ticket(ticket, known.record.meta().deadline.into()));
        }
        state.loaded = done.known.map(Loaded::Known);
        Ok(done.commit)
    }

    fn after(&self, done: Done, goal: Goal, rotated: Option<SecretHash>, ticket: Ticket) -> Commit {
        let mut state = self.lock();
        if let (Goal::Change, Some(known)) = (goal, done.known) {
            // Where another request rotated first, its answer carries the secret that counts.
            if rotated == Some(known.record.meta().secret) {
                state.ticket = Some(ticket);
                state.gift = Some(Gift::Ticket(ticket, known.record.meta().deadline.into()));
            }
            state.loaded = Some(Loaded::Known(known));
        } else {
            state.ticket = None;
            state.gift = Some(Gift::Removal);
            state.loaded = Some(Loaded::New);
        }
        done.commit
    }
}

impl State {
    /// Puts back what can be committed yet, after a commit that failed before the response. Should nobody have waited to
    /// be told of it, the next commit tries again, or fails for the same reason.
    fn put_back(&mut self, entry: &Entry, taken: Taken, error: &CommitError) {
        let nothing_was_written = matches!(
            error,
            CommitError::Unavailable { .. } | CommitError::TooLarge { .. } | CommitError::Conflict { field: None, .. }
        );
        if nothing_was_written {
            let later = std::mem::replace(&mut self.changes, taken.changes);
            self.has_failed = later.is_empty() && self.wish.is_empty();
            self.wish |= taken.wish;
            if let Err(refusal) = self.changes.stage(entry.schema, later) {
                self.trouble = Some(crate::cascade::outcome::refused(entry.schema.name, refusal.into()));
            }
            return;
        }
        self.trouble = Some(error.clone());
        if matches!(error, CommitError::Unknown { .. }) {
            // To destroy a session twice does no harm.
            self.wish |= taken.wish & Wish::DESTROY;
        }
    }
}

/// Says that the request's part has ended, however its commit did.
struct Ending(Arc<Entry>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn no_random(session: &'static str) -> CommitError {
    CommitError::Unavailable { session, source: None }
}

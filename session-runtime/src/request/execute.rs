//! Carries out what a commit is to do: creates, writes and deletes sessions, and takes over what is stored then.

use super::epoch::SignInOptions;
use super::plan::NewSecret;
use super::session::RequestSession;
use super::state::{Destroy, LoadState, TokenAction};
use super::token::SessionToken;
use crate::cascade::backend::nonce;
use crate::cascade::inner::Created;
use crate::cascade::lookup::Lookup;
use crate::cascade::outcome::Committed;
use crate::cascade::owner::SignIn;
use crate::cascade::patch::{Claim, Patch, Rotation};
use crate::cascade::protocol::{Goal, VersionedRecord};
use crate::cascade::{Commit, CommitError, LoadError, SessionEvent};
use crate::session::changes::Changes;
use crate::session::meta::{SecretHash, SecretStatus};
use crate::session::record::Record;
use crate::tier::Tiers;

impl RequestSession {
    pub(super) fn patch(&self, changes: Changes, presented: SecretHash, rotation: Option<Rotation>) -> Box<Patch> {
        let policy = &self.store.backend.policy;
        // On the heap: it goes through many hands, and futures.
        Box::new(Patch {
            schema: self.schema,
            migrate: self.migrate,
            changes,
            claim: Claim::Secret(presented),
            owner: None,
            rotation,
            nonce: nonce(),
            now: self.store.backend.now(),
            persistent: self.lock().persistent,
            default_idle: policy.idle,
            idle: policy.idle_of(self.schema),
            anonymous_idle: policy.anonymous_idle,
            max_len: policy.max_len,
        })
    }

    pub(super) async fn create(&self, changes: Changes, generation: u32) -> Result<Commit, CommitError> {
        const TRIES: u32 = 3;
        let session = self.schema.name;
        // One secret, as the record holds its hash, and a sid for each attempt.
        let planned = self.lock().planned;
        let first = planned
            .map_or_else(SessionToken::random, Ok)
            .map_err(|_| self.no_random())?;
        let is_privileged = changes.privileged().is_some();
        let entering = self.owner_to_enter(&changes, None)?;
        let meta = self.new_meta(first.hash());
        let patch = self.patch(changes, SecretHash::NONE, None);
        let (mut cache, mut source) = (self.tiers.contains(Tiers::MEMCACHE), None);
        for _ in 0..TRIES {
            let Ok(token) = first.with_new_sid() else { break };
            let key = self.storage_key(&token);
            let sign_in = match entering {
                Some(entering) => Some(self.enter(entering, &key, &meta).await?),
                None => None,
            };
            let mut patch = patch.clone();
            patch.owner = sign_in.as_ref().map(SignIn::mark);
            let created = self.store.create(self.tiers, patch, &meta, key, cache).await;
            match created {
                Ok(Created::Done(done)) => {
                    if let (Some(sign_in), Some(stored)) = (sign_in, &done.stored) {
                        self.check_sign_in(sign_in, token, stored).await?;
                    }
                    return Ok(self.created(token, done, generation, is_privileged));
                }
                Ok(Created::StartOver {
                    cache: again,
                    source: error,
                }) => (cache, source) = (again, error),
                Err(error) => {
                    self.undo(sign_in).await;
                    return Err(error);
                }
            }
            // Before the next one is entered, or it would take up a place.
            self.undo(sign_in).await;
        }
        Err(CommitError::Unknown { session, source })
    }

    /// Takes over a session that was created.
    fn created(&self, token: SessionToken, done: Committed, generation: u32, is_privileged: bool) -> Commit {
        let mut state = self.lock();
        if state.generation == generation {
            state.token = Some(token);
            if let Some(stored) = &done.stored {
                let meta = stored.record.meta();
                state.token_action = Some(TokenAction::set(token, meta));
                if meta.owner.is_some() {
                    state.sign_in = SignInOptions::default();
                }
            }
            (state.planned, state.persistent) = (None, None);
            state.loaded = done.stored.map(LoadState::Known);
        } else {
            // Destroyed while it was created.
            let loaded = done.stored;
            state.staged.destroys.push(Destroy { token, loaded });
        }
        drop(state);
        let session = self.schema.name;
        self.emit(SessionEvent::Created { session }, &token);
        if is_privileged {
            self.emit(SessionEvent::SignedIn { session }, &token);
        }
        done.commit
    }

    pub(super) async fn write(
        &self,
        changes: Changes,
        loaded: VersionedRecord<Record>,
        presented: SessionToken,
        new_secret: Option<NewSecret>,
        generation: u32,
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
        let key = self.storage_key(&presented);
        let sign_in = match self.owner_to_enter(&changes, Some(&loaded.record))? {
            None => None,
            Some(entering) => match self.enter(entering, &key, loaded.record.meta()).await {
                Ok(sign_in) => Some(sign_in),
                Err(CommitError::SignInEnded { session }) if entering.is_late => {
                    let loaded = Some(loaded);
                    let token = presented;
                    self.destroy_one(Destroy { token, loaded }).await?;
                    return Err(CommitError::Gone { session });
                }
                // It stays unlisted for now, as it was.
                Err(_) if entering.is_late => None,
                Err(error) => return Err(error),
            },
        };
        let sign_out = self.mark_of_sign_out(&changes, &loaded.record);
        let mut patch = self.patch(changes, presented.hash(), rotation);
        patch.owner = sign_in.as_ref().map(SignIn::mark).or(sign_out);
        let was_persistent = loaded.record.meta().persistent;
        let (tiers, session) = (self.tiers, self.schema.name);
        let done = self.store.commit(tiers, Goal::Change, &key, loaded, patch).await;
        if let Err(error) = &done
            && !matches!(error, CommitError::Unknown { .. })
        {
            self.undo(sign_in.clone()).await;
        }
        match done {
            Ok(done) => {
                let may_leave = sign_out.is_some() && !done.commit.is_unfenced();
                if let Some(stored) = done.stored.as_ref().filter(|_| may_leave) {
                    self.leave_if_signed_out(key, &stored.record);
                }
                let (commit, is_rotated) = self.accept(done, (presented, was_persistent), new_secret, generation);
                if sign_in.is_some() {
                    self.lock().sign_in = SignInOptions::default();
                }
                if is_privileged {
                    self.emit(SessionEvent::SignedIn { session }, &presented);
                } else if is_rotated {
                    self.emit(SessionEvent::Rotated { session }, &presented);
                }
                Ok(commit)
            }
            Err(CommitError::Superseded { .. }) if is_privileged => {
                self.emit(SessionEvent::SupersededToken { session }, &presented);
                self.create(again, generation).await
            }
            Err(error) => {
                if matches!(error, CommitError::Superseded { .. }) {
                    self.emit(SessionEvent::SupersededToken { session }, &presented);
                    let mut state = self.lock();
                    if state.generation == generation {
                        state.loaded = Some(LoadState::Superseded);
                    }
                }
                Err(error)
            }
        }
    }

    /// Takes over what is stored now. Whether the session has got the new secret follows.
    fn accept(
        &self,
        done: Committed,
        (presented, was_persistent): (SessionToken, Option<bool>),
        new_secret: Option<NewSecret>,
        generation: u32,
    ) -> (Commit, bool) {
        let mut is_rotated = false;
        let mut state = self.lock();
        if let Some(stored) = done.stored {
            let meta = stored.record.meta();
            // Where another request has rotated first, its response carries the valid secret.
            let rotated = new_secret.filter(|new| new.token.hash() == meta.secret);
            is_rotated = rotated.is_some();
            if state.generation != generation {
                // Destroyed while it was written: by the secret that it has now.
                if let Some(NewSecret { token, .. }) = rotated {
                    state.staged.destroys.retain(|destroy| destroy.token != presented);
                    let loaded = Some(stored);
                    state.staged.destroys.push(Destroy { token, loaded });
                }
                return (done.commit, is_rotated);
            }
            if let Some(NewSecret { token, .. }) = rotated {
                state.token = Some(token);
                state.token_action = Some(TokenAction::set(token, meta));
            }
            let status = meta.secret_status(&presented.hash(), self.store.backend.now());
            let persistent = state.persistent.take();
            let is_changed = persistent.is_some() && persistent != was_persistent;
            if is_changed && rotated.is_none() && status == SecretStatus::Current {
                // The same cookie again, with another lifetime. Not the one before it, which would replace the client's.
                state.token_action = Some(TokenAction::set(presented, meta));
            }
            // A commit that had nothing to write may have met what another request wrote with another secret.
            let is_valid = rotated.is_some() || status.is_valid();
            state.loaded = Some(if is_valid {
                LoadState::Known(stored)
            } else {
                LoadState::Superseded
            });
        }
        (done.commit, is_rotated)
    }

    pub(super) async fn destroy_one(&self, destroy: Destroy) -> Result<Commit, CommitError> {
        let Destroy { token, loaded } = destroy;
        let (tiers, name, key) = (self.tiers, self.schema.name, self.storage_key(&token));
        let loaded = if let Some(loaded) = loaded {
            loaded
        } else {
            let lookup = self.store.load(name, tiers, &key, &token.hash()).await;
            match lookup {
                Ok((Lookup::Valid(found), _)) => found,
                Err(LoadError::Unavailable { session, source }) => {
                    return Err(CommitError::Unavailable { session, source });
                }
                // There is nothing to end; and what cannot be read is left to the operator, as where it is replaced.
                Ok((Lookup::Superseded | Lookup::NoSession, _)) | Err(_) => return Ok(Commit::Clean),
            }
        };
        let patch = self.patch(Changes::default(), token.hash(), None);
        let mark = loaded.record.meta().owner;
        let done = self.store.commit(tiers, Goal::Destroy, &key, loaded, patch).await?;
        // What a cache may still show stays listed: who ends all of the owner's sessions has it hidden too.
        if let Some(mark) = mark.filter(|_| !done.commit.is_unfenced()) {
            self.store.take_out_later(self.session_type(), mark.owner, key);
        }
        let mut state = self.lock();
        // It began in this unit of work, and the client need not know of it.
        if matches!(&state.token_action, Some(TokenAction::Set { token: set, .. }) if set.has_same_sid(&token)) {
            state.token_action = None;
        }
        drop(state);
        self.emit(SessionEvent::Destroyed { session: name }, &token);
        Ok(done.commit)
    }

    pub(super) fn no_random(&self) -> CommitError {
        let session = self.schema.name;
        CommitError::Unavailable { session, source: None }
    }
}

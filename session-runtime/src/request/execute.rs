//! Carries out what a commit is to do: creates, writes and deletes sessions, and takes over what is stored then.

use std::sync::{Arc, Mutex, PoisonError};

use super::plan::NewSecret;
use super::session::RequestSession;
use super::state::{Destroy, LoadState, TokenAction};
use super::token::SessionToken;
use crate::cascade::backend::nonce;
use crate::cascade::lookup::Lookup;
use crate::cascade::outcome::Committed;
use crate::cascade::patch::{Patch, Rotation};
use crate::cascade::protocol::{Goal, VersionedRecord};
use crate::cascade::{Commit, CommitError, LoadError, SessionEvent};
use crate::session::changes::Changes;
use crate::session::meta::{SecretHash, SecretStatus};
use crate::session::record::Record;

impl RequestSession {
    fn patch(&self, changes: Changes, presented: SecretHash, rotation: Option<Rotation>) -> Patch {
        let policy = &self.store.backend.policy;
        Patch {
            schema: self.schema,
            migrate: self.migrate,
            changes,
            presented,
            rotation,
            nonce: nonce(),
            now: self.store.backend.now(),
            persistent: self.lock().persistent,
            default_idle: policy.idle,
            idle: policy.idle_of(self.schema),
            anonymous_idle: policy.anonymous_idle,
            max_len: policy.max_len,
        }
    }

    pub(super) async fn create(&self, changes: Changes, generation: u32) -> Result<Commit, CommitError> {
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
            Some(token.storage_key(&store.backend.policy.key_prefix))
        };
        let is_privileged = changes.privileged().is_some();
        let patch = self.patch(changes, SecretHash::NONE, None);
        let meta = self.new_meta(first.hash());
        let done = self.store.create(self.tiers, patch, meta, next_key).await?;
        let token = *tried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        let created = token.filter(|_| done.stored.is_some());
        if state.generation == generation {
            state.token = token;
            if let (Some(token), Some(stored)) = (token, &done.stored) {
                state.token_action = Some(TokenAction::set(token, stored.record.meta()));
            }
            (state.planned, state.persistent) = (None, None);
            state.loaded = done.stored.map(LoadState::Known);
        } else {
            // Destroyed while it was created.
            let loaded = done.stored;
            state
                .staged
                .destroys
                .extend(created.map(|token| Destroy { token, loaded }));
        }
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
        let patch = self.patch(changes, presented.hash(), rotation);
        let was_persistent = loaded.record.meta().persistent;
        let key = self.storage_key(&presented);
        let (tiers, session) = (self.tiers, self.schema.name);
        match self.store.commit(tiers, Goal::Change, &key, loaded, patch).await {
            Ok(done) => {
                let (commit, is_rotated) = self.accept(done, (presented, was_persistent), new_secret, generation);
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
        let done = self.store.commit(tiers, Goal::Destroy, &key, loaded, patch).await?;
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

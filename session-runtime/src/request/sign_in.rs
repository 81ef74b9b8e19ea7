//! Signing in to a session that has an owner: the session is entered into its owner's record first.

use std::sync::Arc;

use super::epoch::SignInOptions;
use super::session::RequestSession;
use super::token::SessionToken;
use crate::cascade::CommitError;
use crate::cascade::owner::record::Entry;
use crate::cascade::owner::{OwnerError, SessionType, SignIn, entry_nonce};
use crate::cascade::protocol::{Goal, VersionedRecord};
use crate::cbor::EncodeError;
use crate::session::changes::Changes;
use crate::session::meta::{Meta, OwnerHash, OwnerMark};
use crate::session::record::Record;

/// A session that is to be entered into its owner's record.
#[derive(Clone, Copy)]
pub(super) struct Entering {
    pub(super) owner: OwnerHash,
    /// Whether it was signed in to before, by an earlier program.
    pub(super) is_late: bool,
}

impl RequestSession {
    pub(super) fn session_type(&self) -> SessionType {
        SessionType {
            schema: self.schema,
            migrate: self.migrate,
            tiers: self.tiers,
        }
    }

    /// The owner in whose record the session is to be entered before these changes are committed.
    pub(super) fn owner_to_enter(
        &self,
        changes: &Changes,
        loaded: Option<&Record>,
    ) -> Result<Option<Entering>, CommitError> {
        let Some(field) = self.schema.owner else {
            return Ok(None);
        };
        if let Some(value) = changes.value_of(field) {
            let owner = self
                .schema
                .owner_named_by(value)
                .map_err(|error| self.cannot_encode(error))?;
            return Ok(owner.map(|owner| Entering { owner, is_late: false }));
        }
        let late = loaded.and_then(|record| self.owner_to_enter_late(record));
        Ok(late.map(|owner| Entering { owner, is_late: true }))
    }

    /// The owner that an earlier program has signed in, which entered nothing.
    pub(super) fn owner_to_enter_late(&self, record: &Record) -> Option<OwnerHash> {
        self.schema.owner?;
        if record.meta().owner.is_some_and(|mark| !mark.has_left) {
            return None;
        }
        // As this program reads it: the field may have had another name.
        let record = (self.migrate)(record).ok()?;
        self.schema.owner_of(&record).ok().flatten()
    }

    fn cannot_encode(&self, error: EncodeError) -> CommitError {
        let (session, source) = (self.schema.name, Arc::new(error));
        OwnerError::Encode { session, source }.into()
    }

    /// Whether the changes name another owner than the one that the session has or had.
    pub(super) fn names_another_owner(&self, changes: &Changes, record: &Record) -> bool {
        let named = self.schema.owner.and_then(|field| changes.value_of(field));
        let named = named.and_then(|value| self.schema.owner_named_by(value).ok().flatten());
        named.is_some_and(|owner| !record.meta().may_belong_to(owner))
    }

    /// Enters the session under this key.
    pub(super) async fn enter(&self, entering: Entering, key: &str, meta: &Meta) -> Result<SignIn, CommitError> {
        let session = self.schema.name;
        let Entering { owner, is_late } = entering;
        let SignInOptions { label, epoch } = if is_late {
            SignInOptions::default()
        } else {
            self.lock().sign_in.clone()
        };
        let now = self.store.backend.now();
        let epoch = match epoch.map(|epoch| epoch.number_for(owner, now)) {
            // It was signed in to before any end that the record knows of.
            None if is_late => Some(0),
            None => None,
            Some(Some(number)) => Some(number),
            Some(None) => return Err(CommitError::SignInEnded { session }),
        };
        let entry = Entry {
            key: key.to_owned(),
            nonce: entry_nonce(),
            created: meta.created.0,
            signed_in: now.0,
            ends: meta.deadline.0,
            label,
        };
        self.store.enter(self.session_type(), owner, entry, epoch).await
    }

    /// Takes an entry back where its sign-in was certainly not committed.
    pub(super) async fn undo(&self, sign_in: Option<SignIn>) {
        if let Some(sign_in) = sign_in {
            self.store.undo(self.session_type(), sign_in).await;
        }
    }

    /// Looks whether a session that was just created still stands in its owner's record. Destroys it where it does not, or
    /// where that cannot be told: nobody has its secret yet.
    pub(super) async fn check_sign_in(
        &self,
        sign_in: SignIn,
        token: SessionToken,
        stored: &VersionedRecord<Record>,
    ) -> Result<(), CommitError> {
        let session = self.schema.name;
        let error = match self.store.still_stands(self.session_type(), &sign_in).await {
            Ok(true) => return Ok(()),
            Ok(false) => CommitError::SignInEnded { session },
            Err(error) => error.into(),
        };
        let patch = self.patch(Changes::default(), token.hash(), None);
        let (tiers, key) = (self.tiers, self.storage_key(&token));
        let destroyed = self
            .store
            .commit(tiers, Goal::Destroy, &key, stored.clone(), patch)
            .await;
        match destroyed {
            Ok(_) => self.undo(Some(sign_in)).await,
            // It is listed, where it still is, until it ends.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(session, error, "a session that nobody has got was left behind");
            }
        }
        Err(error)
    }

    /// What the record is to note of its owner where these changes sign out.
    pub(super) fn mark_of_sign_out(&self, changes: &Changes, record: &Record) -> Option<OwnerMark> {
        let value = changes.value_of(self.schema.owner?)?;
        let is_sign_out = matches!(self.schema.owner_named_by(value), Ok(None));
        let mark = record.meta().owner.filter(|_| is_sign_out)?;
        Some(OwnerMark { has_left: true, ..mark })
    }

    /// Takes the session out of its owner's record where it shows no owner any more.
    pub(super) fn leave_if_signed_out(&self, key: String, record: &Record) {
        if let (Some(mark), Ok(None)) = (record.meta().owner, self.schema.owner_of(record)) {
            self.store.leave_later(self.session_type(), key, mark);
        }
    }
}

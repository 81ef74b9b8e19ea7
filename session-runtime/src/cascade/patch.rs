//! Everything that one commit does to a record.

use std::sync::Arc;
use std::time::Duration;

use crate::session::changes::{ChangeError, Changes};
use crate::session::meta::{Meta, Millis, Nonce, OwnerHash, OwnerMark, SecretHash, SecretStatus};
use crate::session::record::{Draft, Record};
use crate::session::{FieldError, Migrate, OpenError, Schema};

/// A new secret, and what becomes of the one before.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// The hash of the new secret.
    pub secret: SecretHash,
    /// How long requests that present the secret before are still expected.
    pub grace: Duration,
    /// Whether the secret before is not accepted for the grace either, as after a privileged write.
    pub ends_at_once: bool,
}

/// By what right a record is written.
#[derive(Clone, Copy, Debug)]
pub enum Claim {
    /// The client presented the session's secret.
    Secret(SecretHash),
    /// The session is this owner's, who ends it.
    Owner(OwnerHash),
}

/// Everything that one commit does to a record.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The session's schema.
    pub schema: &'static Schema,
    /// Brings the record up to that schema.
    pub migrate: Migrate,
    /// The changed fields.
    pub changes: Changes,
    /// By what right.
    pub claim: Claim,
    /// The owner that the session gets, and the entry in that one's record; after a sign-out, the owner that it had.
    pub owner: Option<OwnerMark>,
    /// The new secret, if there is to be one.
    pub rotation: Option<Rotation>,
    /// Names this commit.
    pub nonce: Nonce,
    /// The time of the commit.
    pub now: Millis,
    /// Whether the client is to keep its token beyond the browser's session; `None` where that stays as it was.
    pub persistent: Option<bool>,
    /// The idle time of records that name none.
    pub default_idle: Duration,
    /// The idle time that the record is to have.
    pub idle: Duration,
    /// The same, while nothing privileged is in it.
    pub anonymous_idle: Option<Duration>,
    /// The largest record, in bytes.
    pub max_len: usize,
}

/// Why a patch cannot be applied.
#[derive(Clone, Debug)]
pub enum PatchError {
    /// The session has got another secret a moment ago.
    Superseded,
    /// The session has expired, or has had another secret for long.
    Ended,
    /// The record, as another request has written it, cannot be opened.
    Open(Arc<OpenError>),
    /// Two writers of a field are not to be reconciled, or cannot be.
    Change(ChangeError),
    /// The record would be too large. Sizes in bytes.
    TooLarge {
        /// The size that it would have.
        size: usize,
        /// The largest size.
        limit: usize,
    },
}

impl From<ChangeError> for PatchError {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}

impl Patch {
    /// Whether all that it does is to note that the session was used.
    pub fn only_renews(&self) -> bool {
        let asks_more = self.rotation.is_some() || self.persistent.is_some() || self.owner.is_some();
        self.changes.is_empty() && !asks_more
    }

    /// A record that has never been stored, with the patch made.
    pub fn create(&self, meta: &Meta) -> Result<Record, PatchError> {
        let empty = Record::new(self.schema, meta);
        let mut draft = empty.draft();
        self.changes.apply(self.schema, &mut draft)?;
        self.finish(&mut draft, Some(self.nonce))
    }

    /// The record with the patch made, and counted as a commit where a nonce is given.
    pub fn make(&self, to: &Record, nonce: Option<Nonce>) -> Result<Record, PatchError> {
        let status = self.check_secret(to.meta())?;
        // A session never gets a second owner: whoever ends the first one's sessions would end it.
        if self.owner.is_some_and(|mark| !to.meta().may_belong_to(mark.owner)) {
            return Err(PatchError::Superseded);
        }
        if to.meta().expires_at(self.default_idle) <= self.now {
            return Err(PatchError::Ended);
        }
        let record = (self.migrate)(to).map_err(|error| PatchError::Open(Arc::new(error)))?;
        let mut draft = record.draft();
        self.changes.apply(self.schema, &mut draft)?;
        self.rotate(&mut draft.meta, status);
        self.finish(&mut draft, nonce)
    }

    /// Replaces the secret, unless another request has done so first: a client that gets both responses then ends with a
    /// valid secret, whichever comes last.
    fn rotate(&self, meta: &mut Meta, status: SecretStatus) {
        if let Some(rotation) = self.rotation
            && (rotation.ends_at_once || status == SecretStatus::Current)
        {
            meta.rotate(rotation.secret, self.now.after(rotation.grace), rotation.ends_at_once);
        }
    }

    /// The status of the presented secret, where it is valid.
    pub(super) fn check_secret(&self, meta: &Meta) -> Result<SecretStatus, PatchError> {
        let presented = match &self.claim {
            Claim::Secret(presented) => presented,
            Claim::Owner(owner) if meta.may_belong_to(*owner) => return Ok(SecretStatus::Current),
            Claim::Owner(_) => return Err(PatchError::Ended),
        };
        match meta.secret_status(presented, self.now) {
            SecretStatus::Superseded(_) => Err(PatchError::Superseded),
            SecretStatus::Unknown => Err(PatchError::Ended),
            status => Ok(status),
        }
    }

    fn idle_to_write(&self, idle: Duration) -> Option<Duration> {
        (idle != self.default_idle).then_some(idle)
    }

    /// Whether a privileged field has another value than its default.
    fn has_privileged_value(&self, record: &Record) -> Result<bool, PatchError> {
        for spec in self.schema.fields.iter().filter(|spec| spec.privileged) {
            let Some(value) = record.field(spec.name) else { continue };
            let mut default = Vec::new();
            let encoded = (spec.default)(&mut default);
            encoded.map_err(|error| {
                let error = FieldError::new(self.schema.name, spec.name, "encode", error);
                PatchError::Change(error.into())
            })?;
            if value != default {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn finish(&self, draft: &mut Draft<'_>, nonce: Option<Nonce>) -> Result<Record, PatchError> {
        if let Some(nonce) = nonce {
            draft.meta.push(nonce);
        }
        draft.meta.renewed = draft.meta.renewed.max(self.now);
        draft.meta.persistent = self.persistent.or(draft.meta.persistent);
        draft.meta.owner = self.owner.or(draft.meta.owner);
        draft.meta.idle = self.idle_to_write(self.idle);
        let mut record = draft.write();
        if let Some(anonymous_idle) = self.anonymous_idle
            && !self.has_privileged_value(&record)?
        {
            draft.meta.idle = self.idle_to_write(anonymous_idle.min(self.idle));
            record = draft.write();
        }
        let (size, limit) = (record.bytes().len(), self.max_len);
        if size > limit {
            return Err(PatchError::TooLarge { size, limit });
        }
        Ok(record)
    }
}

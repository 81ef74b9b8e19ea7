//! Enters a session into its owner's record before it is signed in to, and looks whether it still stands.

use std::convert::Infallible;
use std::sync::Arc;

use super::OwnerError;
use super::amendments::{BeyondMax, Enter, EnterError, Look, TakeOut, Undo};
use super::record::{Entry, OwnerList, OwnerRecord};
use crate::cascade::backend::nonce;
use crate::cascade::diagnostics::UnreadableRecord;
use crate::cascade::event::SessionEvent;
use crate::cascade::inner::StoreInner;
use crate::cascade::outcome::CommitError;
use crate::cascade::protocol::{Amend, AmendEnd, Amendment};
use crate::session::meta::{Nonce, OwnerHash, OwnerMark};
use crate::session::{Migrate, Schema};
use crate::tier::Tiers;

/// What the store has to know of a type of session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionType {
    pub(crate) schema: &'static Schema,
    pub(crate) migrate: Migrate,
    /// The tiers in which it lives in this store.
    pub(crate) tiers: Tiers,
}

/// A sign-in that was entered and is yet to be committed.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    owner: OwnerHash,
    entry: Entry,
    previous: Option<Entry>,
}

impl SignIn {
    /// What the session's record is to note.
    pub(crate) fn mark(&self) -> OwnerMark {
        OwnerMark {
            owner: self.owner,
            entry: Nonce(self.entry.nonce),
            has_left: false,
        }
    }
}

/// Why an amendment was not made.
pub(super) enum AmendError<E> {
    Refused(E),
    Owner(OwnerError),
}

impl From<AmendError<Infallible>> for OwnerError {
    fn from(error: AmendError<Infallible>) -> Self {
        match error {
            AmendError::Owner(error) => error,
            AmendError::Refused(never) => match never {},
        }
    }
}

impl StoreInner {
    /// The key of an owner's record. No session's key has a dot after the prefix.
    fn owner_key(&self, owner: OwnerHash) -> String {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;

        let mut key = format!("{}owner.", self.backend.policy.key_prefix);
        URL_SAFE_NO_PAD.encode_string(owner.0, &mut key);
        key
    }

    /// Makes an amendment to an owner's record.
    pub(super) async fn amend<A: Amendment<OwnerRecord>>(
        &self,
        kind: SessionType,
        owner: OwnerHash,
        amendment: &mut A,
    ) -> Result<(), AmendError<A::Error>> {
        let session = kind.schema.name;
        let is_cache_only = !kind.tiers.contains(Tiers::DATASTORE);
        let key = self.owner_key(owner);
        let (end, diagnostics) = self.backend.run(&key, Amend::new(amendment, is_cache_only)).await;
        let source = diagnostics.tier;
        let error = match (end, diagnostics.unreadable) {
            (AmendEnd::Done, _) => return Ok(()),
            (AmendEnd::Refused(error), _) => return Err(AmendError::Refused(error)),
            (_, Some(UnreadableRecord::NotAuthentic)) => OwnerError::NotAuthentic { session },
            (_, Some(UnreadableRecord::Malformed(source))) => OwnerError::Unreadable { session, source },
            (AmendEnd::Contended, _) => OwnerError::Contended { session },
            (AmendEnd::Unavailable, _) => OwnerError::Unavailable { session, source },
            (AmendEnd::Unknown, _) => OwnerError::Unknown { session, source },
            (AmendEnd::TooLarge, _) => {
                let (size, limit) = diagnostics.too_large.unwrap_or_default();
                OwnerError::TooLarge { session, size, limit }
            }
        };
        Err(AmendError::Owner(error))
    }

    /// What an owner's record lists.
    pub(crate) async fn look(&self, kind: SessionType, owner: OwnerHash) -> Result<OwnerList, OwnerError> {
        let mut look = Look::default();
        self.amend(kind, owner, &mut look).await?;
        Ok(look.found)
    }

    /// Enters a session that is about to be signed in to. `epoch` is the one that the sign-in began in, where that is known.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        kind: SessionType,
        owner: OwnerHash,
        entry: Entry,
        epoch: Option<u64>,
    ) -> Result<SignIn, CommitError> {
        let session = kind.schema.name;
        let limit = self.backend.policy.max_sessions;
        let mut enter = Enter::new(entry, epoch, limit, self.backend.now());
        let entered = match self.amend(kind, owner, &mut enter).await {
            Err(AmendError::Refused(EnterError::LookUp(entries))) => {
                let (looked_up, failure) = self.find_ended(kind, owner, entries).await;
                if let (BeyondMax::RefuseNewest, Some(error)) = (limit.1, failure) {
                    // Not refused for sessions that may have ended.
                    return Err(error);
                }
                enter.looked_up = Some(looked_up);
                self.amend(kind, owner, &mut enter).await
            }
            entered => entered,
        };
        match entered {
            Ok(()) => {}
            Err(AmendError::Owner(error)) => return Err(error.into()),
            Err(AmendError::Refused(EnterError::Ended)) => {
                self.finish_later(kind, owner, enter.ending);
                return Err(CommitError::SignInEnded { session });
            }
            Err(AmendError::Refused(EnterError::LookUp(_) | EnterError::TooMany)) => {
                let event = SessionEvent::SignInRefused { session };
                self.backend.events.emit(event, || Some(enter.entry.key.clone()));
                let (limit, _) = limit;
                return Err(CommitError::TooManySessions { session, limit });
            }
        }
        // What had to make room, and what others have left. It stays listed where it cannot be ended now.
        if let Err(error) = self.finish(kind, owner, enter.ending).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                session,
                error,
                "sessions that were to make room, or to end, are left for the next sign-in"
            );
        }
        Ok(SignIn {
            owner,
            entry: enter.entry,
            previous: enter.previous,
        })
    }

    /// Whether the session that was entered and then created may be told to its client: nobody has ended it meanwhile, when
    /// there was nothing yet to be destroyed.
    pub(crate) async fn still_stands(&self, kind: SessionType, sign_in: &SignIn) -> Result<bool, OwnerError> {
        let list = self.look(kind, sign_in.owner).await?;
        let Entry { key, nonce, .. } = &sign_in.entry;
        Ok(list.is_live(key, Nonce(*nonce)))
    }

    /// Takes an entry back where its sign-in was certainly not committed.
    pub(crate) async fn undo(&self, kind: SessionType, sign_in: SignIn) {
        let SignIn { owner, entry, previous } = sign_in;
        if let Err(error) = self.amend(kind, owner, &mut Undo { entry, previous }).await {
            let error = OwnerError::from(error);
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "the entry of a sign-in that failed stays");
        }
    }

    /// Takes a session out of its owner's record, beside the request, once it belongs to nobody.
    pub(crate) fn leave_later(self: &Arc<Self>, kind: SessionType, key: String, mark: OwnerMark) {
        let left = Some((key, mark.entry));
        let take_out = TakeOut {
            left,
            ..TakeOut::default()
        };
        self.amend_later(kind, mark.owner, take_out);
    }

    /// Takes a session that was destroyed out of its owner's record, beside the request.
    pub(crate) fn take_out_later(self: &Arc<Self>, kind: SessionType, owner: OwnerHash, key: String) {
        let take_out = TakeOut {
            destroyed: vec![key],
            ..TakeOut::default()
        };
        self.amend_later(kind, owner, take_out);
    }

    /// An entry that stays where this fails is one of a session that is looked up, and found to have ended, later.
    pub(super) fn amend_later<A>(self: &Arc<Self>, kind: SessionType, owner: OwnerHash, mut amendment: A)
    where
        A: Amendment<OwnerRecord, Error = Infallible> + Send + 'static,
    {
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = inner.amend(kind, owner, &mut amendment).await {
                let error = OwnerError::from(error);
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "an owner's record was not tidied up");
            }
        });
    }
}

/// A number that names an entry.
pub(crate) fn entry_nonce() -> u64 {
    nonce().0
}

//! How loads and commits end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::diagnostics::{Diagnostics, UnreadableRecord};
use super::owner::OwnerError;
use super::patch::PatchError;
use super::protocol::{Failure, VersionedRecord};
use crate::session::changes::ChangeError;
use crate::session::record::{Record, RecordError};
use crate::session::{FieldError, OpenError};
use crate::tier::TierError;

/// How a commit ended well. The change is in the authority in every case but the first; they differ in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Commit {
    /// Nothing had changed; no tier was asked.
    Clean,
    /// Every reader from now on sees it.
    Coherent,
    /// Every reader from now on sees it, though not from the cache at first: the cache failed on the way, and was only
    /// then made to forget the old value.
    Degraded,
    /// The cache could not be reached to hide the old value. Should it hold one, and should other nodes reach it, they
    /// may see that value until this moment. The store goes on trying to remove it.
    Unfenced {
        /// When the old value stops being believed, at the latest.
        until: SystemTime,
    },
}

impl Commit {
    /// Whether a cache may show the value from before to some for a while.
    pub(crate) fn is_unfenced(self) -> bool {
        matches!(self, Self::Unfenced { .. })
    }
}

/// Of two commits that were done, what is to be told of both.
pub(crate) fn gravest(one: Commit, other: Commit) -> Commit {
    let rank = |commit: &Commit| match commit {
        Commit::Clean => 0,
        Commit::Coherent => 1,
        Commit::Degraded => 2,
        Commit::Unfenced { .. } => 3,
    };
    if rank(&other) > rank(&one) { other } else { one }
}

/// A commit that was done.
#[derive(Clone)]
pub(crate) struct Committed {
    pub(crate) commit: Commit,
    /// The record as it is now; `None` after a destroy.
    pub(crate) stored: Option<VersionedRecord<Record>>,
}

/// Why a commit did not happen.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The session has ended meanwhile: it was destroyed, or it expired. It stays dead.
    #[error("the session `{session}` has ended: it was destroyed, or it expired")]
    Gone {
        /// The session's name.
        session: &'static str,
    },
    /// Another request has given the session a new secret a moment ago, which the client of this one has yet to get.
    /// Nothing was written.
    #[error("the session `{session}` got a new secret from another request")]
    Superseded {
        /// The session's name.
        session: &'static str,
    },
    /// The commit came after the response's, and what it should have written was dropped.
    #[error(
        "changes of the session `{session}` came after its response: commit before, or use `into_detached` for a task \
         that outlives the request"
    )]
    TooLate {
        /// The session's name.
        session: &'static str,
    },
    /// Another request wrote the session first, and the two are not to be merged. Load it again and decide anew.
    #[error("another request wrote the session `{session}` first")]
    Conflict {
        /// The session's name.
        session: &'static str,
        /// The field whose strategy is `reject`; `None` where the session was merely written too often at once.
        field: Option<&'static str>,
        /// More about the field.
        #[source]
        source: Option<Arc<FieldError>>,
    },
    /// The authority could not be reached. Nothing was written; try again later.
    #[error("the session `{session}` could not be written")]
    Unavailable {
        /// The session's name.
        session: &'static str,
        /// What the tier said.
        #[source]
        source: Option<Arc<TierError>>,
    },
    /// The authority did not answer: the change may have been written, or may yet be.
    #[error("it is unknown whether the session `{session}` was written")]
    Unknown {
        /// The session's name.
        session: &'static str,
        /// What the tier said.
        #[source]
        source: Option<Arc<TierError>>,
    },
    /// The session has grown too large. Nothing was written; the record that was there stays. Sizes in bytes.
    #[error("the session `{session}` has grown to {size} bytes, at most {limit} are kept (`max_len` raises that)")]
    TooLarge {
        /// The session's name.
        session: &'static str,
        /// The size of the record.
        size: usize,
        /// The largest size that is kept.
        limit: usize,
    },
    /// All sessions of the owner were ended while the client signed in. Nothing was written, or it was destroyed.
    #[error("the sign-in to the session `{session}` has ended: meanwhile all sessions of its owner were")]
    SignInEnded {
        /// The session's name.
        session: &'static str,
    },
    /// The owner has as many sessions as it may have, and the newest is refused. Nothing was written.
    #[error("the owner of the session `{session}` is signed in {limit} times already")]
    TooManySessions {
        /// The session's name.
        session: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The owner's record, which lists its sessions, cannot be used. Nothing was written.
    #[error("the session `{session}` could not be listed with those of its owner")]
    Owner {
        /// The session's name.
        session: &'static str,
        /// Why.
        #[source]
        source: Arc<OwnerError>,
    },
    /// What another request has stored meanwhile does not decode, or a newer binary wrote it. It was not touched.
    #[error("the session `{session}` could not be written over what is stored")]
    Open {
        /// The session's name.
        session: &'static str,
        /// What is wrong with the record.
        #[source]
        source: Arc<OpenError>,
    },
    /// A field could not be encoded, upgraded or merged. Nothing was written.
    #[error("the session `{session}` could not be written")]
    Field {
        /// The session's name.
        session: &'static str,
        /// Which field, and why.
        #[source]
        source: Arc<FieldError>,
    },
}

impl CommitError {
    /// Of several errors of one request, the one with the greatest severity is answered: what may have been written,
    /// then what others have to mend, then what the client can.
    pub(crate) fn severity(&self) -> u8 {
        match self {
            Self::Unknown { .. } => 5,
            Self::Unavailable { .. } => 4,
            Self::Open { .. } | Self::Field { .. } | Self::Owner { .. } => 3,
            Self::TooLarge { .. } => 2,
            Self::Conflict { .. }
            | Self::Superseded { .. }
            | Self::Gone { .. }
            | Self::SignInEnded { .. }
            | Self::TooManySessions { .. } => 1,
            Self::TooLate { .. } => 0,
        }
    }
}

/// Of a sign-in whose session was not written.
impl From<OwnerError> for CommitError {
    fn from(error: OwnerError) -> Self {
        match error {
            OwnerError::Unavailable { session, source } | OwnerError::Unknown { session, source } => {
                Self::Unavailable { session, source }
            }
            OwnerError::Contended { session } => Self::Conflict {
                session,
                field: None,
                source: None,
            },
            OwnerError::TooLarge { session, size, limit } => Self::TooLarge { session, size, limit },
            OwnerError::NotAuthentic { session }
            | OwnerError::Unreadable { session, .. }
            | OwnerError::Unfinished { session, .. }
            | OwnerError::Encode { session, .. } => Self::Owner {
                session,
                source: Arc::new(error),
            },
        }
    }
}

/// Why a session could not be loaded. A session that there is not is no error, but a new one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No tier could tell. It is not known whether there is such a session.
    #[error("the session `{session}` could not be read")]
    Unavailable {
        /// The session's name.
        session: &'static str,
        /// What the tier said.
        #[source]
        source: Option<Arc<TierError>>,
    },
    /// What is stored is no record. It was not touched.
    #[error("what is stored of the session `{session}` is no record")]
    Record {
        /// The session's name.
        session: &'static str,
        /// What is wrong with it.
        #[source]
        source: Arc<RecordError>,
    },
    /// What is stored was not written under a key of this store's key ring. It was not touched.
    #[error("what is stored of the session `{session}` was written under none of the keys of this store")]
    NotAuthentic {
        /// The session's name.
        session: &'static str,
    },
    /// A field does not decode, or a newer binary wrote the record. What is stored was not touched.
    #[error("the session `{session}` cannot be opened")]
    Open {
        /// The session's name.
        session: &'static str,
        /// Which field, and why.
        #[source]
        source: Arc<OpenError>,
    },
}

impl LoadError {
    /// Whether another try may help: it is not known whether there is such a session.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The error in one word, for metrics and spans.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::NotAuthentic { .. } => "not-authentic",
            Self::Record { .. } | Self::Open { .. } => "unreadable",
        }
    }
}

/// Which tier answered a load, and what it took.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LoadReport {
    /// The name of the tier that answered; `None` where no tier was asked: there was no cookie, or a forged one.
    pub tier: Option<&'static str>,
    /// Whether the cache failed on the way.
    pub degraded: bool,
    /// How long it took.
    pub took: Duration,
}

impl LoadReport {
    /// The outcome in one word, for metrics and spans.
    pub(super) fn label(&self) -> &'static str {
        if self.degraded { "degraded" } else { "ok" }
    }
}

/// How a commit went, and what it took.
#[derive(Clone, Debug)]
pub struct CommitReport {
    /// How it ended.
    pub outcome: Result<Commit, CommitError>,
    /// How long it took.
    pub took: Duration,
}

impl CommitReport {
    /// The outcome in one word, for metrics, spans and `Server-Timing`.
    pub fn label(&self) -> &'static str {
        match &self.outcome {
            Ok(Commit::Clean) => "clean",
            Ok(Commit::Coherent) => "coherent",
            Ok(Commit::Degraded) => "degraded",
            Ok(Commit::Unfenced { .. }) => "unfenced",
            Err(CommitError::Gone { .. }) => "gone",
            Err(CommitError::Superseded { .. }) => "superseded",
            Err(CommitError::TooLate { .. }) => "too-late",
            Err(CommitError::Conflict { .. }) => "conflict",
            Err(CommitError::Unavailable { .. }) => "unavailable",
            Err(CommitError::Unknown { .. }) => "unknown",
            Err(CommitError::TooLarge { .. }) => "too-large",
            Err(CommitError::SignInEnded { .. }) => "sign-in-ended",
            Err(CommitError::TooManySessions { .. }) => "too-many-sessions",
            Err(CommitError::Field { .. } | CommitError::Open { .. } | CommitError::Owner { .. }) => "refused",
        }
    }
}

pub(super) fn load_error(session: &'static str, diagnostics: Diagnostics) -> LoadError {
    match diagnostics.unreadable {
        Some(UnreadableRecord::NotAuthentic) => LoadError::NotAuthentic { session },
        Some(UnreadableRecord::Malformed(source)) => LoadError::Record { session, source },
        None => LoadError::Unavailable {
            session,
            source: diagnostics.tier,
        },
    }
}

pub(super) fn failed(session: &'static str, failure: Failure<PatchError>, diagnostics: Diagnostics) -> CommitError {
    match failure {
        Failure::Gone => CommitError::Gone { session },
        Failure::Refused(error) => refused(session, error),
        Failure::Contended => contended(session),
        Failure::Unavailable => CommitError::Unavailable {
            session,
            source: diagnostics.tier,
        },
        Failure::Unknown => CommitError::Unknown {
            session,
            source: diagnostics.tier,
        },
        Failure::TooLarge => too_large(session, &diagnostics),
    }
}

/// Others wrote the session too often; nothing was written.
pub(super) fn contended(session: &'static str) -> CommitError {
    CommitError::Conflict {
        session,
        field: None,
        source: None,
    }
}

pub(crate) fn refused(session: &'static str, error: PatchError) -> CommitError {
    match error {
        PatchError::Superseded => CommitError::Superseded { session },
        PatchError::Ended => CommitError::Gone { session },
        PatchError::TooLarge { size, limit } => CommitError::TooLarge { session, size, limit },
        PatchError::Open(source) => CommitError::Open { session, source },
        PatchError::Change(ChangeError {
            source,
            is_rejected: true,
        }) => CommitError::Conflict {
            session,
            field: Some(source.field()),
            source: Some(source),
        },
        PatchError::Change(ChangeError { source, .. }) => CommitError::Field { session, source },
    }
}

pub(super) fn too_large(session: &'static str, diagnostics: &Diagnostics) -> CommitError {
    let (size, limit) = diagnostics.too_large.unwrap_or_default();
    CommitError::TooLarge { session, size, limit }
}

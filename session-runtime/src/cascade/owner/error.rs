use std::sync::Arc;

use crate::cbor::EncodeError;
use crate::session::record::RecordError;
use crate::tier::TierError;

/// Why an owner's sessions could not be listed or ended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// The tier that orders writers could not be reached. Nothing was written.
    #[error("the sessions `{session}` of an owner could not be looked up")]
    Unavailable {
        /// The sessions' name.
        session: &'static str,
        /// What the tier said.
        #[source]
        source: Option<Arc<TierError>>,
    },
    /// The tier did not answer: what was asked for may have happened in part. To ask for it again is safe.
    #[error("it is not known whether the sessions `{session}` of an owner were changed: try again")]
    Unknown {
        /// The sessions' name.
        session: &'static str,
        /// What the tier said.
        #[source]
        source: Option<Arc<TierError>>,
    },
    /// Others changed the owner's record in every attempt. Nothing was written.
    #[error("the sessions `{session}` of an owner are changed by too many at once: try again")]
    Contended {
        /// The sessions' name.
        session: &'static str,
    },
    /// The owner's record would be too large. Sizes in bytes.
    #[error("the list of an owner's sessions `{session}` would have {size} bytes, and the tier takes {limit}")]
    TooLarge {
        /// The sessions' name.
        session: &'static str,
        /// The size that it would have.
        size: usize,
        /// The largest size.
        limit: usize,
    },
    /// What is stored was not written under a key of this store's key ring.
    #[error(
        "the list of an owner's sessions `{session}` was written under none of the keys of this store: put the key \
         back until the sessions that it signed have ended, or, where it had to be dropped at once, forget such lists with \
         `Builder::forget_owners_of_unknown_keys`"
    )]
    NotAuthentic {
        /// The sessions' name.
        session: &'static str,
    },
    /// What is stored is no list of sessions, or that of a newer binary.
    #[error("the list of an owner's sessions `{session}` cannot be read")]
    Unreadable {
        /// The sessions' name.
        session: &'static str,
        /// What is wrong with it.
        #[source]
        source: Arc<RecordError>,
    },
    /// Not all sessions could be ended. They stay listed as such: ask again, or the next sign-in of the owner ends them.
    #[error("{left} of an owner's sessions `{session}` could not be ended: try again")]
    Unfinished {
        /// The sessions' name.
        session: &'static str,
        /// How many are left.
        left: usize,
        /// What the tier said of the first of them.
        #[source]
        source: Option<Arc<TierError>>,
    },
    /// What names the owner cannot be encoded.
    #[error("what names the owner of a session `{session}` cannot be encoded")]
    Encode {
        /// The sessions' name.
        session: &'static str,
        /// Why.
        #[source]
        source: Arc<EncodeError>,
    },
}

impl OwnerError {
    /// Whether another try may help.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Unknown { .. } | Self::Contended { .. } | Self::Unfinished { .. }
        )
    }
}

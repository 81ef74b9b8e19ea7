use super::Settle;
use crate::tier::Version;

/// How a [`DurableCommit`](super::DurableCommit) or [`CacheCommit`](super::CacheCommit) ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommitEnd<R, E> {
    /// The record contains the change.
    Changed {
        /// The record's version.
        version: Version,
        /// The record.
        record: R,
        /// Whether every fence was stored.
        fenced: bool,
        /// What has yet to be done to the cache, where it may show an older record.
        unsettled: Option<Settle<R>>,
    },
    /// The record was deleted.
    Destroyed {
        /// Whether every fence was stored.
        fenced: bool,
        /// What has yet to be done to the cache, where it may show the record.
        unsettled: Option<Settle<R>>,
    },
    /// The commit failed.
    Failed {
        /// Why.
        failure: Failure<E>,
        /// What has yet to be done to the cache, where it may show an older record, should the change be applied after all.
        unsettled: Option<Settle<R>>,
    },
}

/// Why a commit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure<E> {
    /// The session was destroyed, or no longer accepts this request's secret.
    Gone,
    /// The change cannot be merged with what others wrote.
    Refused(E),
    /// Other requests wrote first, in every attempt.
    Contended,
    /// The tier could not be reached; nothing was written.
    Unavailable,
    /// The change may have been written, or may still be.
    Unknown,
    /// The record is too large for the tier; nothing was written.
    TooLarge,
}

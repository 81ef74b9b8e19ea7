//! The error of every tier.

use std::error::Error;
use std::fmt;

/// Why a tier could not do what it was asked to.
///
/// Names the tier, says what was being done, and keeps the cause as its [`source`](Error::source).
#[derive(Debug)]
pub struct TierError {
    tier: &'static str,
    doing: &'static str,
    kind: TierErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is known after a [`TierError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TierErrorKind {
    /// The tier could not be asked, or refused for now; nothing was applied, nor will be. Trying again may help.
    Unavailable,
    /// No answer to a write: it may have been applied, or may yet be.
    Unknown,
    /// The value is larger than the tier takes; nothing was applied. Sizes in bytes.
    TooLarge {
        /// The size of the value.
        size: usize,
        /// The largest size that the tier takes.
        limit: usize,
    },
    /// The tier said no, and will say no again: bad credentials, a missing database, a malformed answer.
    Refused,
}

impl TierError {
    /// An error of `tier` (its [`name`](crate::tier::CacheTier::name)) while `doing` something, such as `"get"`.
    pub fn new(tier: &'static str, doing: &'static str, kind: TierErrorKind) -> Self {
        Self {
            tier,
            doing,
            kind,
            source: None,
        }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The tier's name.
    pub fn tier(&self) -> &'static str {
        self.tier
    }

    /// What is known about the operation that failed.
    pub fn kind(&self) -> TierErrorKind {
        self.kind
    }
}

impl fmt::Display for TierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tier, doing, kind, .. } = self;
        match kind {
            TierErrorKind::Unavailable => write!(f, "{tier} is unavailable ({doing})"),
            TierErrorKind::Unknown => write!(f, "{tier} did not answer ({doing}): the outcome is unknown"),
            TierErrorKind::TooLarge { size, limit } => {
                write!(f, "{tier} takes at most {limit} bytes, the value has {size} ({doing})")
            }
            TierErrorKind::Refused => write!(f, "{tier} refused ({doing})"),
        }
    }
}

impl Error for TierError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

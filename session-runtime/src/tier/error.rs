//! The error of every tier.

use std::error::Error;
use std::fmt;

/// Why a tier could not carry out an operation.
///
/// Names the tier and the operation, and keeps the cause as its [`source`](Error::source).
#[derive(Debug)]
pub struct TierError {
    tier: &'static str,
    operation: &'static str,
    kind: TierErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is known after a [`TierError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TierErrorKind {
    /// The tier could not be reached, or refused for now; nothing was applied, nor will be. A retry may succeed.
    Unavailable,
    /// A write without an answer: it may have been applied, or may yet be.
    Unknown,
    /// The value is larger than the tier accepts; nothing was applied. Sizes in bytes.
    TooLarge {
        /// The size of the value.
        size: usize,
        /// The largest size that the tier accepts.
        limit: usize,
    },
    /// The tier refused, and will refuse again: bad credentials, a missing database, a malformed answer.
    Refused,
}

impl TierErrorKind {
    /// The kind in a word or two, as spans have it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::TooLarge { .. } => "too-large",
            Self::Refused => "refused",
        }
    }
}

impl TierError {
    /// An error of `tier` (its [`name`](crate::tier::CacheTier::name)) in `operation`, such as `"get"`.
    pub fn new(tier: &'static str, operation: &'static str, kind: TierErrorKind) -> Self {
        Self {
            tier,
            operation,
            kind,
            source: None,
        }
    }

    /// Adds the cause.
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
        let Self {
            tier, operation, kind, ..
        } = self;
        match kind {
            TierErrorKind::Unavailable => write!(f, "{tier} is unavailable ({operation})"),
            TierErrorKind::Unknown => write!(f, "{tier} did not answer ({operation}): the outcome is unknown"),
            TierErrorKind::TooLarge { size, limit } => {
                write!(
                    f,
                    "{tier} accepts at most {limit} bytes, the value has {size} ({operation})"
                )
            }
            TierErrorKind::Refused => write!(f, "{tier} refused ({operation})"),
        }
    }
}

impl Error for TierError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

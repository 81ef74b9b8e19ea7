//! What went wrong while a machine ran, kept for the error that its end may become.

use std::sync::Arc;

use crate::session::record::RecordError;
use crate::tier::TierError;

#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnostics {
    /// The latest error of a tier.
    pub(crate) tier: Option<Arc<TierError>>,
    /// Why the durable record could not be read.
    pub(crate) unreadable: Option<UnreadableRecord>,
    /// Size and limit, in bytes, of the value that a tier refused.
    pub(crate) too_large: Option<(usize, usize)>,
}

/// Why a durable record could not be read.
#[derive(Clone, Debug)]
pub(crate) enum UnreadableRecord {
    /// No key of the ring has signed it.
    NotAuthentic,
    /// It is authentic, and no record.
    Malformed(Arc<RecordError>),
}

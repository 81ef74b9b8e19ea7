//! Counters and histograms through the `metrics` facade; nothing without the feature `metrics`.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `session_load_seconds` | histogram | `session`, `tier` (`memcache`, `datastore`, `unavailable`), `degraded` |
//! | `session_commit_seconds` | histogram | `session`, `outcome` (as in `Server-Timing`) |
//! | `session_invalidations_pending` | gauge | |
//! | `session_items_not_authentic_total` | counter | |

use std::time::Duration;

use super::outcome::{Commit, CommitError};
use super::protocol::Source;

/// The word for how a commit ended, in metrics and in `Server-Timing`.
pub(crate) fn label(outcome: &Result<Commit, CommitError>) -> &'static str {
    match outcome {
        Ok(Commit::Clean) => "clean",
        Ok(Commit::Coherent) => "coherent",
        Ok(Commit::Degraded) => "degraded",
        Ok(Commit::Unfenced { .. }) => "unfenced",
        Err(CommitError::Gone { .. }) => "gone",
        Err(CommitError::Conflict { .. }) => "conflict",
        Err(CommitError::Unavailable { .. }) => "unavailable",
        Err(CommitError::Unknown { .. }) => "unknown",
        Err(CommitError::TooLarge { .. }) => "too-large",
        Err(CommitError::Field { .. } | CommitError::Open { .. }) => "refused",
    }
}

/// The word for the tier that answered.
pub(crate) fn tier(source: Source) -> &'static str {
    match source {
        Source::Cache => "memcache",
        Source::Durable => "datastore",
    }
}

#[cfg(feature = "metrics")]
mod facade {
    use super::{Commit, CommitError, Duration, Source, label, tier};

    pub(crate) fn loaded(session: &'static str, source: Option<Source>, degraded: bool, took: Duration) {
        let degraded = if degraded { "true" } else { "false" };
        let tier = source.map_or("unavailable", tier);
        metrics::histogram!("session_load_seconds", "session" => session, "tier" => tier, "degraded" => degraded)
            .record(took);
    }

    pub(crate) fn committed(session: &'static str, outcome: &Result<Commit, CommitError>, took: Duration) {
        metrics::histogram!("session_commit_seconds", "session" => session, "outcome" => label(outcome)).record(took);
    }

    pub(crate) fn invalidations(pending: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and this one is small")]
        metrics::gauge!("session_invalidations_pending").set(pending as f64);
    }

    pub(crate) fn not_authentic() {
        metrics::counter!("session_items_not_authentic_total").increment(1);
    }
}

#[cfg(not(feature = "metrics"))]
mod facade {
    use super::{Commit, CommitError, Duration, Source};

    pub(crate) fn loaded(_: &'static str, _: Option<Source>, _: bool, _: Duration) {}
    pub(crate) fn committed(_: &'static str, _: &Result<Commit, CommitError>, _: Duration) {}
    pub(crate) fn invalidations(_: usize) {}
    pub(crate) fn not_authentic() {}
}

pub(crate) use facade::{committed, invalidations, loaded, not_authentic};

//! The `Server-Timing` header (W3C Server Timing).

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cascade::{Commit, CommitError, CommitReport, LoadReport, protocol::Source};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds the metrics of one session.
pub(super) fn describe(metrics: &mut Vec<String>, load: Option<&LoadReport>, commit: Option<&CommitReport>) {
    let tier = match load.and_then(|load| load.source) {
        Some(Source::Cache) => "memcache",
        Some(Source::Durable) => "datastore",
        None => "none",
    };
    metrics.push(metric("load", tier, load.map_or(Duration::ZERO, |load| load.took)));
    if load.is_some_and(|load| load.degraded) {
        metrics.push("cache;desc=\"degraded\"".to_owned());
    }
    if let Some(CommitReport { outcome, took }) = commit {
        metrics.push(metric("commit", word(outcome), *took));
    }
}

fn word(outcome: &Result<Commit, CommitError>) -> &'static str {
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

fn metric(name: &str, desc: &str, took: Duration) -> String {
    let mut out = String::with_capacity(48);
    // Writing to a string does not fail.
    let _ = write!(out, "{name};desc=\"{desc}\";dur={:.3}", took.as_secs_f64() * 1e3);
    out
}

/// Adds the header, beside those that others have set.
pub(super) fn append(headers: &mut HeaderMap, metrics: &[String]) {
    if metrics.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(metrics.join(", ")) {
        headers.append(SERVER_TIMING, value);
    }
}

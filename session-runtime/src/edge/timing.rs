//! The `Server-Timing` header (W3C Server Timing).

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cascade::{CommitReport, LoadReport, metrics};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds the metrics of one session.
pub(super) fn describe(out: &mut Vec<String>, load: Option<&LoadReport>, commit: Option<&CommitReport>) {
    let tier = load.and_then(|load| load.source).map_or("none", metrics::tier);
    out.push(metric("load", tier, load.map_or(Duration::ZERO, |load| load.took)));
    if load.is_some_and(|load| load.degraded) {
        out.push("cache;desc=\"degraded\"".to_owned());
    }
    // Without a report there was nothing to commit.
    let (word, took) = commit.map_or(("clean", Duration::ZERO), |commit| {
        (metrics::label(&commit.outcome), commit.took)
    });
    out.push(metric("commit", word, took));
}

fn metric(name: &str, desc: &str, took: Duration) -> String {
    let mut out = String::with_capacity(48);
    // Writing to a string does not fail.
    let _ = write!(out, "{name};desc=\"{desc}\";dur={:.3}", took.as_secs_f64() * 1e3);
    out
}

/// Adds the header, beside those that others have set.
pub(super) fn append(headers: &mut HeaderMap, described: &[String]) {
    if described.is_empty() {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(described.join(", ")) {
        headers.append(SERVER_TIMING, value);
    }
}

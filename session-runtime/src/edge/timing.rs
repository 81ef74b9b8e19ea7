//! The `Server-Timing` header (W3C Server Timing).

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::request::ResponseState;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds the metrics of one session.
pub(super) fn describe(out: &mut Vec<String>, state: &ResponseState) {
    let load = state.load.unwrap_or_default();
    out.push(metric("load", load.tier.unwrap_or("none"), load.took));
    if load.degraded {
        out.push("cache;desc=\"degraded\"".to_owned());
    }
    // Without a report there was nothing to commit.
    let (label, took) = match &state.commit {
        Some(commit) => (commit.label(), commit.took),
        None => ("clean", Duration::ZERO),
    };
    out.push(metric("commit", label, took));
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

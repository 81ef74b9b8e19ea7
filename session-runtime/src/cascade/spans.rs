//! The spans of loads and commits. Those of tier calls are in `tier/call.rs`; `recipes/metrics.md` lists all.

use std::future::Future;
use std::pin::Pin;

use tracing::field::Empty;
use tracing::{Instrument, Span};

/// Of a load that asks a tier.
pub(super) fn load(session: &'static str) -> Span {
    tracing::debug_span!(
        target: "session_runtime::span",
        "session.load",
        session,
        tier = Empty,
        outcome = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

/// Of a commit that has something to do.
pub(crate) fn commit(session: &'static str) -> Span {
    tracing::debug_span!(
        target: "session_runtime::span",
        "session.commit",
        session,
        outcome = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

/// The work, on the heap, within the span if there is one.
#[inline]
pub(crate) fn within<'a, T>(
    span: &Span,
    work: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    if span.is_disabled() {
        Box::pin(work)
    } else {
        Box::pin(work.instrument(span.clone()))
    }
}

/// Notes in a span how it ended.
pub(crate) fn end(span: &Span, outcome: &'static str, is_error: bool) {
    // Even of a span that is disabled the fields would be looked for.
    if span.is_disabled() {
        return;
    }
    span.record("outcome", outcome);
    if is_error {
        span.record("error.type", outcome);
        span.record("otel.status_code", "ERROR");
    }
}

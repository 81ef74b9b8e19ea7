//! The span of a call of a tier, with OpenTelemetry's names for what calls a database (semantic conventions, *database client
//! spans*).

use std::future::Future;
use std::pin::Pin;

use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Level};

use super::{CacheTier, DurableTier, Scope, TierError};

pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, TierError>> + Send + 'a>>;

/// What a span tells of a tier.
pub(super) struct Called {
    tier: &'static str,
    product: &'static str,
    scope: Scope,
}

impl Called {
    pub(super) fn cache(tier: &impl CacheTier) -> Self {
        Self {
            tier: tier.name(),
            product: tier.product(),
            scope: tier.scope(),
        }
    }

    pub(super) fn durable(tier: &impl DurableTier) -> Self {
        Self {
            tier: tier.name(),
            product: tier.product(),
            scope: tier.scope(),
        }
    }

    /// The call, within a span where anybody listens. The span has nothing of what is read or written: neither key nor value.
    #[inline]
    pub(super) fn span<'a, T: 'a, F>(self, operation: &'static str, call: impl FnOnce() -> F) -> BoxFuture<'a, T>
    where
        F: Future<Output = Result<T, TierError>> + Send + 'a,
    {
        // Next to nothing where nobody listens: the call is made where it is to lie.
        if LevelFilter::current() < Level::DEBUG {
            return Box::pin(call());
        }
        let Self { tier, product, scope } = self;
        let span = tracing::debug_span!(
            target: "session_runtime::span",
            "session.tier",
            tier,
            "db.system.name" = product,
            "db.operation.name" = operation,
            "error.type" = Empty,
            "otel.name" = operation,
            "otel.kind" = if scope == Scope::Shared { "client" } else { "internal" },
            "otel.status_code" = Empty,
        );
        let call = call();
        if span.is_disabled() {
            return Box::pin(call);
        }
        Box::pin(async move {
            let outcome = call.instrument(span.clone()).await;
            if let Err(error) = &outcome {
                span.record("error.type", error.kind().label());
                span.record("otel.status_code", "ERROR");
            }
            outcome
        })
    }
}

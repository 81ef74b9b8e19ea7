//! `GET /health`, for a balancer: whether this node can serve, and what of its tiers does not answer.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use session_runtime::{CascadeStore, TierHealth};

pub(crate) fn routes(store: &CascadeStore) -> Router {
    Router::new().route("/health", get(health)).with_state(store.clone())
}

/// 503 only where no session can be served: a balancer that takes every node away for a dead cache makes an outage of it.
async fn health(State(store): State<CascadeStore>) -> impl IntoResponse {
    let health = store.check().await;
    let status = if health.is_serving() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let degraded: Vec<_> = health.degraded().iter().map(ToString::to_string).collect();
    let body = json!({
        "is_serving": health.is_serving(),
        "degraded": degraded,
        "pending_invalidations": health.pending_invalidations,
        "cache": health.cache.as_ref().map(tier),
        "durable": health.durable.as_ref().map(tier),
    });
    (status, [(CACHE_CONTROL, "no-store")], Json(body))
}

/// The error without its causes, which tell of the inside.
fn tier(health: &TierHealth) -> Value {
    json!({
        "name": health.name,
        "product": health.product,
        "is_reachable": health.is_reachable(),
        "ms": health.took.as_secs_f64() * 1000.0,
        "error": health.error.as_ref().map(ToString::to_string),
    })
}

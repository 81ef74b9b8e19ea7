//! Middleware that drops a handler and then answers with a success cannot be told from a handler that returned: a limit
//! that `SessionLayer::with_commit_if` documents. What the middleware answers decides.

use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::site::{ShopSession, Site};

/// Drops the handler after a while, and answers with this status.
async fn give_up(status: StatusCode, request: Request, next: Next) -> Response {
    tokio::select! {
        response = next.run(request) => response,
        () = tokio::time::sleep(Duration::from_secs(5)) => status.into_response(),
    }
}

/// The visits after a handler that adds 100 to the one before was dropped behind this status.
async fn visits_after(status: StatusCode) -> u64 {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 100;
        pending::<()>().await;
    };
    let give_up = move |request: Request, next: Next| give_up(status, request, next);
    let dropping = site.serving(Router::new().route("/", post(handler)).layer(from_fn(give_up)));
    let mut browser = site.visitor().await;
    let reply = dropping.post(&mut browser.clone(), "/").await;
    assert_eq!(reply.status, status);
    site.get(&mut browser, "/read").await.visits()
}

#[tokio::test(start_paused = true)]
async fn behind_a_success_the_changes_of_a_dropped_handler_are_committed() {
    assert_eq!(visits_after(StatusCode::OK).await, 101);
}

#[tokio::test(start_paused = true)]
async fn behind_a_timeout_or_a_server_error_they_are_discarded() {
    for status in [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::GATEWAY_TIMEOUT,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        assert_eq!(visits_after(status).await, 1, "{status}");
    }
}

//! Middleware that cancels a handler and then answers as if nothing had been.

use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::site::{Here, Site};

async fn give_up(request: Request, next: Next) -> Response {
    tokio::select! {
        response = next.run(request) => response,
        () = tokio::time::sleep(Duration::from_secs(5)) => "we are busy, have a picture".into_response(),
    }
}

async fn assert_unchanged(handler: Router<session_runtime::CascadeStore>) {
    let site = Site::new().await;
    let dropping = site.serving(handler.layer(from_fn(give_up)));
    let mut browser = site.visitor().await;
    let reply = dropping.post(&mut browser.clone(), "/").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        site.get(&mut browser, "/read").await.visits(),
        1,
        "what a handler left half done is saved"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_that_was_dropped_had_changed_is_not_saved() {
    let handler = |mut shop: Here| async move {
        *shop.visits_mut() += 100;
        pending::<()>().await;
    };
    assert_unchanged(Router::new().route("/", post(handler))).await;
}

#[tokio::test(start_paused = true)]
async fn nor_is_what_it_had_staged_before_it_was_dropped() {
    let handler = |mut shop: Here| async move {
        *shop.visits_mut() += 100;
        drop(shop);
        pending::<()>().await;
    };
    assert_unchanged(Router::new().route("/", post(handler))).await;
}

//! Handlers that do not run to their end, though a response goes out.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;

use crate::site::{Browser, ShopSession, Site};

/// Cancels a handler that takes too long, as a timeout layer does.
async fn time_out(request: Request, next: Next) -> Response {
    let response = tokio::time::timeout(Duration::from_secs(5), next.run(request)).await;
    response.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

/// Catches a panic, and answers as if there had been none.
async fn catch(request: Request, next: Next) -> Response {
    let mut response = Box::pin(next.run(request));
    poll_fn(move |context| {
        let polled = catch_unwind(AssertUnwindSafe(|| response.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready("something to look at instead".into_response()))
    })
    .await
}

/// Nothing of what the handler changed is there: the note, the hundred visits, the login.
async fn assert_unchanged(site: &Site, browser: &mut Browser) {
    site.settle().await;
    let shown = site.get(browser, "/read").await.json();
    let expected = json!({ "is_new": false, "visits": 1, "note": null, "user": null });
    assert_eq!(shown, expected, "what a handler left half done is saved");
}

fn half_login(shop: &mut ShopSession) {
    *shop.visits_mut() += 100;
    shop.set_user(Some(666));
}

#[tokio::test(start_paused = true)]
async fn what_a_timeout_cut_short_is_not_saved() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 100;
        pending::<()>().await;
    };
    let slow = site.serving(Router::new().route("/", post(handler)).layer(from_fn(time_out)));
    let mut browser = site.visitor().await;
    let reply = slow.post(&mut browser, "/").await;
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
    assert_unchanged(&site, &mut browser).await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_a_timeout_cut_short_sets_no_cookie() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        half_login(&mut shop);
        pending::<()>().await;
    };
    let slow = site.serving(Router::new().route("/", post(handler)).layer(from_fn(time_out)));
    let mut browser = site.visitor().await;
    let reply = slow.post(&mut browser.clone(), "/").await;
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
    reply.assert_no_cookie();
    assert_unchanged(&site, &mut browser).await;
    // Nor is a session made for a visitor.
    let records = site.records.keys();
    let reply = slow.post(&mut Browser::default(), "/").await;
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
    reply.assert_no_cookie();
    assert_eq!(site.records.keys(), records, "a record was made");
}

/// The session was let go of before the handler was cut short: the status has to tell.
#[tokio::test(start_paused = true)]
async fn nor_is_what_was_staged_before_the_timeout() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        half_login(&mut shop);
        drop(shop);
        pending::<()>().await;
    };
    let slow = site.serving(Router::new().route("/", post(handler)).layer(from_fn(time_out)));
    let mut browser = site.visitor().await;
    let reply = slow.post(&mut browser.clone(), "/").await;
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
    reply.assert_no_cookie();
    assert_unchanged(&site, &mut browser).await;
}

/// A handler may answer 408 by itself: by default it counts as one that failed.
#[tokio::test]
async fn a_handler_that_answers_408_changes_nothing() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        half_login(&mut shop);
        StatusCode::REQUEST_TIMEOUT
    };
    let slow = site.serving(Router::new().route("/", post(handler)));
    let mut browser = site.visitor().await;
    slow.post(&mut browser.clone(), "/").await.assert_no_cookie();
    assert_unchanged(&site, &mut browser).await;
}

/// The handler panics where it is told to.
async fn panicking(mut shop: ShopSession) {
    half_login(&mut shop);
    tokio::task::yield_now().await;
    assert!(shop.visits() < &100, "a panic of the test's own");
}

#[tokio::test]
async fn what_a_panic_unwound_is_not_saved_whatever_the_response_says() {
    let site = Site::new().await;
    let caught = site.serving(Router::new().route("/", post(panicking)).layer(from_fn(catch)));
    let mut browser = site.visitor().await;
    let reply = caught.post(&mut browser.clone(), "/").await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.assert_no_cookie();
    assert_unchanged(&site, &mut browser).await;
    let records = site.records.keys();
    caught.post(&mut Browser::default(), "/").await.assert_no_cookie();
    assert_eq!(site.records.keys(), records, "a record was made");
}

//! A commit whose future the handler drops goes on, and ends after the handler has decided otherwise.

use std::future::Future;
use std::task::{Context, Waker};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use session_runtime::tier::TierErrorKind;
use session_tests::instrumented::Gate;

use crate::site::{Browser, ShopSession, Site};

/// Begins a commit, and drops its future.
fn begin_and_drop(shop: &mut ShopSession) {
    let mut commit = Box::pin(shop.commit());
    let _ = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

async fn until_it_waits() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A request whose handler begins a commit behind another writer's, drops it, does `then`, and answers `status`; the
/// dropped commit fails, and the tier is up again afterwards.
async fn dropped_and_failed(
    site: &Site,
    browser: &Browser,
    what: fn(&mut ShopSession),
    then: fn(&mut ShopSession),
    status: StatusCode,
) -> crate::site::Reply {
    let gate = site.durable.block("update");
    let writer = site.spawn_post(browser, "/visit");
    gate.reached().await;
    let handler = move |mut shop: ShopSession| async move {
        what(&mut shop);
        begin_and_drop(&mut shop);
        then(&mut shop);
        status
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let request = own.spawn_post(browser, "/");
    until_it_waits().await;
    site.durable.fail_once("update", TierErrorKind::Unavailable, false);
    gate.release();
    assert_eq!(writer.await.unwrap().status, StatusCode::OK);
    request.await.unwrap()
}

#[tokio::test]
async fn what_it_failed_to_write_is_not_committed_by_a_response_that_commits_nothing() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let what: fn(&mut ShopSession) = |shop| *shop.visits_mut() += 100;
    let reply = dropped_and_failed(&site, &browser, what, |_| {}, StatusCode::REQUEST_TIMEOUT).await;
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(
        site.get(&mut browser, "/read").await.visits(),
        2,
        "a 408 commits nothing"
    );
}

#[tokio::test]
async fn what_it_failed_to_write_is_not_in_the_session_after_a_destroy() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let what: fn(&mut ShopSession) = |shop| shop.set_user(Some(7));
    let reply = dropped_and_failed(&site, &browser, what, ShopSession::destroy, StatusCode::OK).await;
    browser.take(&reply);
    let user = site.get(&mut browser, "/read").await.json()["user"].as_u64();
    assert_eq!(user, None, "signed in, and signed out: {reply:?}");
}

/// As above, but the commit that was begun before the destroy succeeds.
async fn dropped_and_done(site: &Site, browser: &Browser, call: &'static str) -> crate::site::Reply {
    let (gate, begun) = (site.durable.block(call), Gate::new());
    let handler = {
        let begun = begun.clone();
        move |mut shop: ShopSession| async move {
            shop.set_user(Some(7));
            begin_and_drop(&mut shop);
            begun.pass().await;
            shop.destroy();
        }
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let request = own.spawn_post(browser, "/");
    gate.reached().await;
    begun.reached().await;
    begun.release();
    until_it_waits().await;
    gate.release();
    request.await.unwrap()
}

#[tokio::test]
async fn a_session_that_it_creates_is_destroyed_all_the_same() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    let reply = dropped_and_done(&site, &browser, "insert").await;
    browser.take(&reply);
    let user = site.get(&mut browser, "/read").await.json()["user"].as_u64();
    assert_eq!((user, site.records.keys().len()), (None, 0), "{reply:?}");
}

#[tokio::test]
async fn a_session_that_it_rotates_is_destroyed_all_the_same() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let reply = dropped_and_done(&site, &browser, "update").await;
    browser.take(&reply);
    let user = site.get(&mut browser, "/read").await.json()["user"].as_u64();
    assert_eq!((user, site.records.keys().len()), (None, 0), "{reply:?}");
}

/// What is taken out of a request's parts that outlived it.
#[tokio::test]
async fn a_commit_of_a_session_that_is_first_taken_after_the_response_says_so() {
    use axum::extract::{FromRequestParts, Request};
    let site = Site::new().await;
    let browser = site.visitor().await;
    let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
    let handler = {
        let kept = kept.clone();
        move |request: Request| async move { *kept.lock().unwrap() = Some(request.into_parts().0) }
    };
    let look = |_: ShopSession| async {};
    let own = site.serving(Router::new().route("/", post(handler)).route("/look", post(look)));
    own.send(axum::http::Method::POST, "/", browser.cookie.as_deref()).await;
    let mut parts = kept.lock().unwrap().take().unwrap();
    let mut shop = ShopSession::from_request_parts(&mut parts, &site.store).await.unwrap();
    shop.set_user(Some(7));
    let outcome = shop.commit().await;
    assert!(outcome.is_err(), "the new secret reaches nobody: {outcome:?}");
}

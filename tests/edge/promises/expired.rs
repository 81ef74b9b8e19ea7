//! A commit checks expiry as a load does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use session_runtime::{Commit, CommitError, Detached};
use session_tests::instrumented::Gate;

use super::begin;
use crate::site::{Browser, Shop, ShopSession, Site};

const MINUTE: Duration = Duration::from_secs(60);

/// The session of this browser, for one who outlives the request.
async fn detached(site: &Site, browser: &mut Browser) -> Detached<Shop> {
    let lent = Arc::new(Mutex::new(None));
    let handler = {
        let lent = lent.clone();
        move |shop: ShopSession| async move { *lent.lock().unwrap() = Some(shop.into_detached()) }
    };
    let lending = site.serving(Router::new().route("/", post(handler)));
    assert_eq!(lending.post(browser, "/").await.status, StatusCode::OK);
    lent.lock().unwrap().take().unwrap()
}

#[track_caller]
fn assert_gone(outcome: &Result<Commit, CommitError>) {
    assert!(
        matches!(outcome, Err(CommitError::Gone { .. })),
        "an expired session is gone: {outcome:?}"
    );
}

#[tokio::test]
async fn a_detached_session_that_is_held_over_its_idle_end_is_gone() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut detached = detached(&site, &mut browser).await;
    site.clock.advance(20 * MINUTE);
    *detached.visits_mut() += 1;
    assert_gone(&detached.commit().await);
    assert!(
        site.get(&mut browser, "/read").await.is_new(),
        "and is not brought back to life"
    );
}

#[tokio::test]
async fn a_detached_session_that_is_held_over_its_absolute_end_is_gone() {
    let site = Site::with(|builder| builder.idle(60 * MINUTE).max_age(90 * MINUTE)).await;
    let mut browser = site.visitor().await;
    let mut detached = detached(&site, &mut browser).await;
    site.clock.advance(50 * MINUTE);
    *detached.visits_mut() += 1;
    assert_eq!(detached.commit().await.unwrap(), Commit::Coherent);
    site.clock.advance(40 * MINUTE);
    *detached.visits_mut() += 1;
    assert_gone(&detached.commit().await);
    assert!(site.get(&mut browser, "/read").await.is_new());
}

/// It is due for its use to be noted, which would be enough to bring it back.
#[tokio::test]
async fn a_clean_commit_brings_no_expired_session_back_to_life() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut detached = detached(&site, &mut browser).await;
    site.clock.advance(20 * MINUTE);
    let outcome = detached.commit().await;
    assert!(
        site.get(&mut browser, "/read").await.is_new(),
        "a clean commit brought it back: {outcome:?}"
    );
}

#[tokio::test]
async fn a_session_that_ends_while_its_handler_runs_is_gone() {
    let whats: [fn(&mut ShopSession); 3] = [
        |shop| *shop.visits_mut() += 1,
        |shop| shop.set_user(Some(7)),
        |shop| shop.rotate(),
    ];
    for what in whats {
        let site = Site::new().await;
        let mut browser = site.visitor().await;
        let gate = Gate::new();
        let handler = {
            let gate = gate.clone();
            move |mut shop: ShopSession| async move {
                gate.pass().await;
                what(&mut shop);
            }
        };
        let slow = site.serving(Router::new().route("/", post(handler)));
        let request = begin(&slow, &browser, "/");
        gate.reached().await;
        site.clock.advance(20 * MINUTE);
        gate.release();
        let reply = request.await.unwrap();
        assert_eq!(
            reply.status,
            StatusCode::CONFLICT,
            "an expired session is gone: {reply:?}"
        );
        reply.assert_no_cookie();
        assert!(site.get(&mut browser, "/read").await.is_new());
    }
}

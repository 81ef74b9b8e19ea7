//! Sessions that outlive their request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use session_runtime::{Commit, CommitError, Detached};

use crate::site::{Browser, Shop, ShopSession, Site};

/// A site whose handler counts a visit and stores its detached session in the slot.
fn detaching(site: &Site) -> (Site, Arc<Mutex<Option<Detached<Shop>>>>) {
    let slot = Arc::new(Mutex::new(None));
    let handler = {
        let slot = slot.clone();
        move |mut shop: ShopSession| async move {
            *shop.visits_mut() += 1;
            *slot.lock().unwrap() = Some(shop.into_detached());
        }
    };
    (site.serving(Router::new().route("/", post(handler))), slot)
}

async fn detach(site: &Site, browser: &mut Browser) -> Detached<Shop> {
    let (app, slot) = detaching(site);
    assert_eq!(app.post(browser, "/").await.status, StatusCode::OK);
    slot.lock().unwrap().take().unwrap()
}

fn is_gone(outcome: &Result<Commit, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Gone { .. }))
}

#[tokio::test]
async fn a_new_session_is_created_once_with_the_response() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    let mut detached = detach(&site, &mut browser).await;
    assert_eq!(*detached.visits(), 1);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    assert_eq!(detached.commit().await.unwrap(), Commit::Clean);
    *detached.visits_mut() += 1;
    assert_eq!(detached.commit().await.unwrap(), Commit::Coherent);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn its_commits_merge_and_a_reload_shows_what_others_wrote() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut detached = detach(&site, &mut browser).await;
    site.post(&mut browser, "/visit").await;
    *detached.visits_mut() += 1;
    assert_eq!(*detached.visits(), 3);
    detached.reload().await.unwrap();
    assert_eq!(*detached.visits(), 4);
    detached.commit().await.unwrap();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 4);
}

#[tokio::test]
async fn a_failed_reload_applies_no_change_twice() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut detached = detach(&site, &mut browser).await;
    *detached.visits_mut() += 1;
    site.cache.down();
    site.durable.down();
    assert!(detached.reload().await.is_err());
    assert!(detached.reload().await.is_err());
    site.cache.up();
    site.durable.up();
    assert_eq!(*detached.visits(), 3);
    detached.commit().await.unwrap();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 3);
}

#[tokio::test]
async fn a_failed_commit_is_retried_by_the_next_one() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut detached = detach(&site, &mut browser).await;
    *detached.visits_mut() += 1;
    site.durable.down();
    assert!(matches!(detached.commit().await, Err(CommitError::Unavailable { .. })));
    assert!(matches!(detached.commit().await, Err(CommitError::Unavailable { .. })));
    site.durable.up();
    *detached.visits_mut() += 1;
    assert_eq!(detached.commit().await.unwrap(), Commit::Coherent);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 4);
}

#[tokio::test]
async fn it_is_gone_when_its_session_or_its_secret_is() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    for (path, grace) in [("/rotate", 30), ("/login/7", 0), ("/logout", 0)] {
        let mut detached = detach(&site, &mut browser).await;
        site.post(&mut browser, path).await;
        if grace > 0 {
            *detached.visits_mut() += 1;
            assert_eq!(detached.commit().await.unwrap(), Commit::Coherent);
            site.clock.advance(Duration::from_secs(grace));
        }
        *detached.visits_mut() += 1;
        let outcome = detached.commit().await;
        let is_superseded = matches!(outcome, Err(CommitError::Superseded { .. }));
        assert!(
            is_superseded == (path == "/login/7") && (is_superseded || is_gone(&outcome)),
            "{path}: {outcome:?}"
        );
        detached.reload().await.unwrap();
        assert!(detached.is_new());
    }
}

/// A task that the handler spawned commits while the commit of the response runs.
#[tokio::test]
async fn a_commit_before_the_response_waits_for_it() {
    let site = Site::new().await;
    let (app, slot) = detaching(&site);
    let gate = site.durable.block("insert");
    let mut browser = Browser::default();
    let request = app.spawn_post(&browser, "/");
    gate.reached().await;
    let mut detached = slot.lock().unwrap().take().unwrap();
    let early = tokio::spawn(async move {
        *detached.visits_mut() += 1;
        detached.commit().await
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    gate.release();
    assert_eq!(early.await.unwrap().unwrap(), Commit::Coherent);
    browser.take(&request.await.unwrap());
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn it_is_gone_if_its_creation_failed() {
    let site = Site::new().await;
    let (app, slot) = detaching(&site);
    site.durable.down();
    let reply = app.post(&mut Browser::default(), "/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    site.durable.up();
    let mut detached = slot.lock().unwrap().take().unwrap();
    *detached.visits_mut() += 1;
    assert!(is_gone(&detached.commit().await));
}

/// There is no response that could set the new cookie.
#[tokio::test]
async fn it_rotates_nothing_if_its_request_was_cancelled() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let slot = Arc::new(Mutex::new(None));
    let handler = {
        let slot = slot.clone();
        move |mut shop: ShopSession| async move {
            shop.rotate();
            *slot.lock().unwrap() = Some(shop.into_detached());
            std::future::pending::<()>().await;
        }
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    let request = app.spawn_post(&browser, "/");
    while slot.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    let mut detached = slot.lock().unwrap().take().unwrap();
    *detached.visits_mut() += 1;
    assert_eq!(detached.commit().await.unwrap(), Commit::Coherent);
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(
        site.get(&mut browser, "/read").await.visits(),
        2,
        "its cookie is still accepted"
    );
}

//! Sessions that outlive their request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use session_runtime::{Commit, CommitError, Detached};

use crate::site::{Browser, Here, Shop, Site};

/// A site whose handler counts a visit and hands its session out, and where that goes.
fn lending(site: &Site) -> (Site, Arc<Mutex<Option<Detached<Shop>>>>) {
    let lent = Arc::new(Mutex::new(None));
    let handler = {
        let lent = lent.clone();
        move |mut shop: Here| async move {
            *shop.visits_mut() += 1;
            *lent.lock().unwrap() = Some(shop.into_detached());
        }
    };
    (site.serving(Router::new().route("/", post(handler))), lent)
}

async fn lend(site: &Site, browser: &mut Browser) -> Detached<Shop> {
    let (app, lent) = lending(site);
    assert_eq!(app.post(browser, "/").await.status, StatusCode::OK);
    lent.lock().unwrap().take().unwrap()
}

fn is_gone(outcome: &Result<Commit, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Gone { .. }))
}

#[tokio::test]
async fn a_new_session_is_created_with_the_response_and_counts_once() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    let mut detached = lend(&site, &mut browser).await;
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
    let mut detached = lend(&site, &mut browser).await;
    site.post(&mut browser, "/visit").await;
    *detached.visits_mut() += 1;
    assert_eq!(*detached.visits(), 3);
    detached.reload().await.unwrap();
    assert_eq!(*detached.visits(), 4);
    detached.commit().await.unwrap();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 4);
}

#[tokio::test]
async fn a_reload_that_fails_counts_nothing_twice() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut detached = lend(&site, &mut browser).await;
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
async fn a_commit_that_failed_is_tried_again_by_the_next() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut detached = lend(&site, &mut browser).await;
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
async fn it_ends_with_its_session_and_with_its_secret() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    for (path, grace) in [("/rotate", 30), ("/login/7", 0), ("/logout", 0)] {
        let mut detached = lend(&site, &mut browser).await;
        site.post(&mut browser, path).await;
        if grace > 0 {
            *detached.visits_mut() += 1;
            assert_eq!(detached.commit().await.unwrap(), Commit::Coherent);
            site.clock.advance(Duration::from_secs(grace));
        }
        *detached.visits_mut() += 1;
        assert!(is_gone(&detached.commit().await), "{path}");
        detached.reload().await.unwrap();
        assert!(detached.is_new());
    }
}

/// A task that was spawned by the handler commits while the response's own commit is under way.
#[tokio::test]
async fn one_that_commits_too_early_waits_for_the_response() {
    let site = Site::new().await;
    let (app, lent) = lending(&site);
    let gate = site.durable.block("insert");
    let request = tokio::spawn(async move {
        let mut browser = Browser::default();
        app.post(&mut browser, "/").await;
        browser
    });
    gate.reached().await;
    let mut detached = lent.lock().unwrap().take().unwrap();
    let early = tokio::spawn(async move {
        *detached.visits_mut() += 1;
        detached.commit().await
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    gate.release();
    assert_eq!(early.await.unwrap().unwrap(), Commit::Coherent);
    let mut browser = request.await.unwrap();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn of_a_request_that_got_no_response_it_is_gone() {
    let site = Site::new().await;
    let (app, lent) = lending(&site);
    site.durable.down();
    let reply = app.post(&mut Browser::default(), "/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    site.durable.up();
    let mut detached = lent.lock().unwrap().take().unwrap();
    *detached.visits_mut() += 1;
    assert!(is_gone(&detached.commit().await));
}

/// What the handler asked for would come with a response that there is not.
#[tokio::test]
async fn of_a_request_that_was_hung_up_it_rotates_nothing() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let lent = Arc::new(Mutex::new(None));
    let handler = {
        let lent = lent.clone();
        move |mut shop: Here| async move {
            shop.rotate();
            *lent.lock().unwrap() = Some(shop.into_detached());
            std::future::pending::<()>().await;
        }
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    let cookie = browser.cookie.clone();
    let request = tokio::spawn(async move { app.send(axum::http::Method::POST, "/", cookie.as_deref()).await });
    while lent.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    let mut detached = lent.lock().unwrap().take().unwrap();
    *detached.visits_mut() += 1;
    assert_eq!(detached.commit().await.unwrap(), Commit::Coherent);
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(
        site.get(&mut browser, "/read").await.visits(),
        2,
        "its cookie still counts"
    );
}

//! Clients that disconnect, and handlers that do not await their commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use session_runtime::testing::MemoryTier;
use session_runtime::tier::embedded::LocalCache;
use session_runtime::{CascadeStore, Clock, Commit, CommitError, RouterExt, TypedSession};
use session_tests::instrumented::{Control, Gate};
use tower::ServiceExt;

use crate::site::{Browser, Other, ShopSession, Site, keys, request, routes};

#[tokio::test]
async fn the_commit_ends_before_the_first_byte_of_the_response() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let streaming = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        Body::from("streamed").into_response()
    };
    let app = site.serving(Router::new().route("/", post(streaming)));
    let gate = site.durable.block("update");
    let response = app
        .app
        .clone()
        .oneshot(request(Method::POST, "/", browser.cookie.as_deref()));
    let mut response = std::pin::pin!(response);
    tokio::select! {
        biased;
        _ = &mut response => panic!("the response came before its commit"),
        () = gate.reached() => {}
    }
    gate.release();
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    assert_eq!(site.get(&mut browser.clone(), "/read").await.visits(), 2);
}

/// Sends a request, and disconnects when the gate is reached.
async fn disconnect_at(site: &Site, path: &str, browser: &Browser, gate: &Gate) {
    let response = site
        .app
        .clone()
        .oneshot(request(Method::POST, path, browser.cookie.as_deref()));
    tokio::select! {
        biased;
        _ = response => panic!("nothing was blocked"),
        () = gate.reached() => {}
    }
}

#[tokio::test]
async fn a_disconnect_does_not_cancel_a_commit() {
    for is_applied in [false, true] {
        let site = Site::new().await;
        let mut browser = site.visitor().await;
        let block = if is_applied {
            Control::block_after
        } else {
            Control::block
        };
        let gate = block(&site.cache, "swap");
        disconnect_at(&site, "/visit", &browser, &gate).await;
        gate.release();
        site.settle().await;
        site.reset_calls();
        assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
        assert_eq!(site.durable.take_calls(), [], "the cache was settled too");
    }
    for call in ["update", "delete"] {
        let site = Site::new().await;
        let mut browser = site.visitor().await;
        let gate = site.durable.block(call);
        let path = if call == "update" { "/visit" } else { "/logout" };
        disconnect_at(&site, path, &browser, &gate).await;
        gate.release();
        site.settle().await;
        let reply = site.get(&mut browser, "/read").await;
        assert_eq!(reply.visits(), if call == "update" { 2 } else { 0 });
    }
}

#[tokio::test]
async fn a_disconnect_does_not_cancel_the_commit_of_a_second_session() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession, mut other: TypedSession<Other>| async move {
        *shop.visits_mut() += 1;
        *other.visits_mut() += 1;
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    let gate = site.durable.block("insert");
    disconnect_at(&app, "/", &Browser::default(), &gate).await;
    gate.release();
    site.settle().await;
    assert_eq!(site.records.keys().len(), 2);
}

#[tokio::test]
async fn a_disconnect_during_the_handler_changes_nothing() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let gate = Gate::new();
    let handler = {
        let gate = gate.clone();
        move |mut shop: ShopSession| async move {
            *shop.visits_mut() += 1;
            shop.destroy();
            gate.pass().await;
        }
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    disconnect_at(&app, "/", &browser, &gate).await;
    site.settle().await;
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

/// Begins a commit, and stops awaiting it when its durable write is blocked.
async fn begin_commit(shop: &mut ShopSession, durable: &Control) -> Gate {
    let gate = durable.block("update");
    tokio::select! {
        biased;
        _ = shop.commit() => panic!("the commit was not blocked"),
        () = gate.reached() => {}
    }
    gate
}

#[tokio::test]
async fn a_commit_that_the_handler_does_not_await_is_applied_once() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let durable = site.durable.clone();
    let handler = move |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        let gate = begin_commit(&mut shop, &durable).await;
        *shop.visits_mut() += 1;
        gate.release();
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    assert_eq!(app.post(&mut browser, "/").await.status, StatusCode::OK);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 3);
}

#[tokio::test]
async fn a_failure_that_the_handler_does_not_await_is_reported_by_the_response() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let (logged_out, durable) = (site.clone(), site.durable.clone());
    let cookie = browser.clone();
    let other = site.node(|builder| builder).await;
    let handler = move |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        let gate = begin_commit(&mut shop, &durable).await;
        other.post(&mut cookie.clone(), "/logout").await.cookie();
        gate.release();
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    let reply = app.post(&mut browser, "/").await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    reply.assert_no_cookie();
    assert_eq!(logged_out.records.keys(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_commit_times_out_and_does_not_block_the_next_one() {
    let site = Site::with(|builder| builder.commit_timeout(Duration::from_secs(5))).await;
    let mut browser = site.visitor().await;
    let gate = site.durable.block("update");
    let started = tokio::time::Instant::now();
    let reply = site.post(&mut browser, "/visit").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    drop(gate);
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 2);
}

#[tokio::test]
async fn a_session_kept_after_the_response_changes_nothing() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = std::sync::Arc::new(std::sync::Mutex::new(Some(sender)));
    let handler = move |shop: ShopSession| async move {
        let sender = sender.lock().unwrap().take().unwrap();
        assert!(sender.send(shop).is_ok());
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    app.post(&mut browser, "/").await;
    let mut late = receiver.await.unwrap();
    late.set_user(Some(7));
    late.rotate();
    late.destroy();
    let outcome: Result<Commit, CommitError> = late.commit().await;
    assert!(matches!(outcome, Err(CommitError::TooLate { .. })), "{outcome:?}");
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!((reply.visits(), reply.json()["user"].as_u64()), (1, None));
}

/// A clock of a tier that panics when it is armed.
#[derive(Clone, Debug, Default)]
struct Fuse(Arc<AtomicBool>);

impl Clock for Fuse {
    fn now(&self) -> SystemTime {
        assert!(!self.0.load(Ordering::Relaxed), "the fuse has blown");
        SystemTime::now()
    }
}

#[tokio::test]
async fn a_commit_that_panics_fails_alone() {
    let fuse = Fuse::default();
    let builder = CascadeStore::builder(keys(&[1])).memcache(LocalCache::new().with_clock(fuse.clone()));
    let store = builder.datastore(MemoryTier::new()).build().await.unwrap();
    let arm = fuse.clone();
    let handler = move |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        arm.0.store(true, Ordering::Relaxed);
    };
    let app: Router = routes().route("/", post(handler)).sessions(store);
    let mut browser = Browser::default();
    browser.send(&app, Method::POST, "/visit").await;
    let reply = browser.send(&app, Method::POST, "/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    fuse.0.store(false, Ordering::Relaxed);
    assert_eq!(browser.send(&app, Method::POST, "/visit").await.status, StatusCode::OK);
}

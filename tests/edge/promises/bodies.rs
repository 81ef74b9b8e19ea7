//! What visitors read where a session fails: nothing of the inside. The log says what it was.

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use session_runtime::{CascadeStore, Session, SessionState, TypedSession};

use super::log::Log;
use super::{begin, until_it_waits};
use crate::site::{Browser, Reply, ShopSession, Site, keys, send};

/// The body is short and says nothing of names, sizes, tiers or routers; the log names the session.
#[track_caller]
fn assert_neutral(reply: &Reply, status: StatusCode, log: &Log) {
    assert_eq!(reply.status, status, "{reply:?}");
    let body = reply.body.to_lowercase();
    let words = [
        "shop", "layer", "router", "store", "tier", "memcache", "field", "secret", "bytes", "max_len", "`", "::",
    ];
    for word in words {
        assert!(!body.contains(word), "the body tells `{word}`: {}", reply.body);
    }
    assert!(
        !body.contains(|letter: char| letter.is_ascii_digit()),
        "the body tells sizes: {}",
        reply.body
    );
    assert!(body.len() <= 60, "the body is long: {}", reply.body);
    assert!(
        log.text().contains("shop"),
        "the log does not say which session:\n{}",
        log.text()
    );
}

#[tokio::test]
async fn of_an_outage() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let log = Log::capture();
    site.durable.down();
    let reply = site.post(&mut browser, "/visit").await;
    assert_neutral(&reply, StatusCode::SERVICE_UNAVAILABLE, &log);
    site.cache.down();
    let log = Log::capture();
    let reply = site.get(&mut browser, "/read").await;
    assert_neutral(&reply, StatusCode::SERVICE_UNAVAILABLE, &log);
}

#[tokio::test]
async fn of_a_session_that_has_ended() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let old = browser.clone();
    site.post(&mut browser, "/login/7").await.cookie();
    let log = Log::capture();
    let reply = site.post(&mut old.clone(), "/visit").await;
    assert_neutral(&reply, StatusCode::CONFLICT, &log);
}

#[tokio::test]
async fn of_a_conflict() {
    let site = Site::new().await;
    let other = site.node(|builder| builder).await;
    let browser = site.visitor().await;
    let log = Log::capture();
    let gate = site.durable.block("update");
    let one = begin(&site, &browser, "/step/3");
    gate.reached().await;
    until_it_waits().await;
    other.post(&mut browser.clone(), "/step/4").await;
    gate.release();
    assert_neutral(&one.await.unwrap(), StatusCode::CONFLICT, &log);
}

#[tokio::test]
async fn of_a_session_that_is_too_large() {
    let site = Site::new().await;
    let log = Log::capture();
    let path = format!("/note/{}", "x".repeat(5000));
    let reply = site.post(&mut Browser::default(), &path).await;
    assert_neutral(&reply, StatusCode::PAYLOAD_TOO_LARGE, &log);
}

mod changed {
    use super::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 1)]
    #[cascade(memcache, datastore)]
    pub(super) struct Shop {
        pub(super) visits: String,
    }
}

#[tokio::test]
async fn of_a_record_that_does_not_decode() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    // The next release, in a process of its own.
    let next = site.node(|builder| builder).await;
    let read = |shop: TypedSession<changed::Shop>| async move { shop.visits().clone() };
    let next = next.serving(Router::new().route("/", get(read)));
    let log = Log::capture();
    let reply = next.get(&mut browser, "/").await;
    assert_neutral(&reply, StatusCode::INTERNAL_SERVER_ERROR, &log);
    assert!(
        log.text().contains("visits"),
        "the log names the field:\n{}",
        log.text()
    );
}

#[derive(Clone)]
struct AppState;

impl SessionState for AppState {
    type Store = CascadeStore;
}

#[tokio::test]
async fn of_a_router_without_a_layer_or_with_the_wrong_one() {
    let routes = || Router::new().route("/", post(|_: ShopSession| async {}));
    let log = Log::capture();
    let app = routes().with_state(AppState);
    let reply = send(&app, Method::POST, "/", None).await;
    assert_neutral(&reply, StatusCode::INTERNAL_SERVER_ERROR, &log);
    assert!(
        log.text().contains("session_layer"),
        "the log has the remedy:\n{}",
        log.text()
    );
    let log = Log::capture();
    let site = Site::new().await;
    let durable = CascadeStore::builder(keys(&[1])).datastore(site.records.clone());
    let durable = durable.build().await.unwrap();
    let app = routes().layer(durable.layer()).with_state(AppState);
    let reply = send(&app, Method::POST, "/", None).await;
    assert_neutral(&reply, StatusCode::INTERNAL_SERVER_ERROR, &log);
}

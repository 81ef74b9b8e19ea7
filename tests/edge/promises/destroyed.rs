//! What a request does after it has destroyed its session.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use serde_json::json;

use super::sid;
use crate::site::{Browser, ShopSession, Site};

/// A browser that has logged in, with a note.
async fn logged_in(site: &Site) -> Browser {
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/note/private").await;
    site.post(&mut browser, "/login/7").await.cookie();
    site.warm(&mut browser).await;
    browser
}

fn view(shop: &ShopSession) -> String {
    format!(
        "{} {} {:?} {:?}",
        shop.is_new(),
        shop.visits(),
        shop.note(),
        shop.user()
    )
}

#[tokio::test]
async fn what_is_written_after_a_destroy_begins_a_new_session() {
    let site = Site::new().await;
    let mut browser = logged_in(&site).await;
    let old = browser.clone();
    let handler = |mut shop: ShopSession| async move {
        shop.push_notices("lost with the old one".to_owned());
        shop.destroy();
        shop.set_note(Some("signed out".to_owned()));
    };
    let leaving = site.serving(Router::new().route("/", post(handler)));
    let reply = leaving.post(&mut browser, "/").await;
    assert_eq!(reply.status, StatusCode::OK);
    let cookie = reply.cookie();
    assert!(
        !cookie.contains("Max-Age=0"),
        "no new session has begun: the cookie is taken back"
    );
    assert_ne!(sid(&browser), sid(&old), "the new session is another record");
    let shown = site.get(&mut browser, "/read").await.json();
    let expected = json!({ "is_new": false, "visits": 0, "note": "signed out", "user": null });
    assert_eq!(shown, expected, "only what was written after the destroy is in it");
    let notices = |mut shop: ShopSession| async move { shop.take_notices().join(" ") };
    let reading = site.serving(Router::new().route("/", post(notices)));
    assert_eq!(reading.post(&mut browser, "/").await.body, "");
    assert!(site.get(&mut old.clone(), "/read").await.is_new());
    assert_eq!(site.records.keys().len(), 1, "and the old record is gone");
}

#[tokio::test]
async fn after_a_destroy_one_can_log_in_as_another() {
    let site = Site::new().await;
    let mut browser = logged_in(&site).await;
    let old = browser.clone();
    let handler = |mut shop: ShopSession| async move {
        shop.destroy();
        shop.set_user(Some(8));
    };
    let switching = site.serving(Router::new().route("/", post(handler)));
    let reply = switching.post(&mut browser, "/").await;
    assert!(!reply.cookie().contains("Max-Age=0"), "no new session has begun");
    assert_ne!(sid(&browser), sid(&old));
    let shown = site.get(&mut browser, "/read").await.json();
    assert_eq!(shown, json!({ "is_new": false, "visits": 0, "note": null, "user": 8 }));
}

#[tokio::test]
async fn accessors_read_the_fresh_state_at_once() {
    let site = Site::new().await;
    let mut browser = logged_in(&site).await;
    let handler = |mut shop: ShopSession| async move {
        shop.destroy();
        let at_once = view(&shop);
        *shop.visits_mut() += 1;
        format!("{at_once}, {}", view(&shop))
    };
    let leaving = site.serving(Router::new().route("/", post(handler)));
    let reply = leaving.post(&mut browser, "/").await;
    assert_eq!(reply.body, "true 0 None None, true 1 None None");
}

async fn destroy_first(mut shop: ShopSession, request: Request, next: Next) -> Response {
    shop.destroy();
    drop(shop);
    next.run(request).await
}

#[tokio::test]
async fn later_extractions_read_the_fresh_state_and_write_to_it() {
    let site = Site::new().await;
    let mut browser = logged_in(&site).await;
    let old = browser.clone();
    let handler = |mut shop: ShopSession| async move {
        let seen = view(&shop);
        shop.set_note(Some("signed out".to_owned()));
        seen
    };
    let layer = from_fn_with_state(site.store.clone(), destroy_first);
    let leaving = site.serving(Router::new().route("/", post(handler)).layer(layer));
    let reply = leaving.post(&mut browser, "/").await;
    assert_eq!(
        reply.body, "true 0 None None",
        "a later look sees the destroyed session"
    );
    assert!(!reply.cookie().contains("Max-Age=0"), "no new session has begun");
    assert_ne!(sid(&browser), sid(&old));
    let shown = site.get(&mut browser, "/read").await.json();
    let expected = json!({ "is_new": false, "visits": 0, "note": "signed out", "user": null });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn nothing_begins_before_the_destroy_is_certain() {
    let site = Site::new().await;
    let mut browser = logged_in(&site).await;
    let handler = |mut shop: ShopSession| async move {
        shop.destroy();
        shop.set_note(Some("signed out".to_owned()));
    };
    let leaving = site.serving(Router::new().route("/", post(handler)));
    let gate = site.durable.block("delete");
    let request = super::begin(&leaving, &browser, "/");
    gate.reached().await;
    super::until_it_waits().await;
    assert_eq!(site.durable.take_calls(), [("delete", 1)], "nothing is begun yet");
    gate.release();
    let reply = request.await.unwrap();
    browser.take(&reply);
    assert_eq!(
        site.durable.take_calls(),
        [("insert", 1)],
        "and then the new session is made"
    );
    // Where the destroy fails there is none.
    let mut browser = logged_in(&site).await;
    let before = site.records.keys();
    site.durable.down();
    let reply = leaving.post(&mut browser, "/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    reply.assert_no_cookie();
    assert_eq!(site.records.keys(), before);
}

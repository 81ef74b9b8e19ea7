//! A destroy with a superseded secret, of a session that is to be kept, and with an earlier error.

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use session_runtime::{Csrf, TypedSession};

use crate::site::{Browser, Shop, ShopSession, Site};

/// A browser whose secret a sign-in has superseded.
async fn superseded(site: &Site) -> (Browser, Browser) {
    let mut owner = site.visitor().await;
    let old = owner.clone();
    site.post(&mut owner, "/login/7").await.cookie();
    (old, owner)
}

#[tokio::test]
async fn one_that_was_refused_takes_no_cookie_back() {
    let site = Site::new().await;
    let (old, mut owner) = superseded(&site).await;
    let handler = |mut shop: ShopSession| async move {
        shop.destroy();
        shop.commit().await.is_err().to_string()
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let reply = own.send(Method::POST, "/", old.cookie.as_deref()).await;
    assert_eq!(reply.body, "true");
    assert!(!site.get(&mut owner, "/read").await.is_new());
    reply.assert_no_cookie();
}

#[tokio::test]
async fn nor_does_one_whose_handler_failed() {
    let site = Site::new().await;
    let (old, _) = superseded(&site).await;
    let handler = |mut shop: ShopSession| async move {
        shop.destroy();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    own.send(Method::POST, "/", old.cookie.as_deref())
        .await
        .assert_no_cookie();
}

/// A sign-in that ends the visitor's session first.
#[tokio::test]
async fn a_login_that_destroys_first_is_not_locked_out() {
    let site = Site::new().await;
    let (old, _) = superseded(&site).await;
    let handler = |mut shop: ShopSession| async move {
        shop.destroy();
        shop.set_user(Some(7));
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let reply = own.send(Method::POST, "/", old.cookie.as_deref()).await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.cookie();
}

#[tokio::test]
async fn a_session_that_was_to_be_kept_is_not_begun_again_after_it() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let handler = |mut shop: ShopSession, one: TypedSession<Shop>| async move {
        drop(one.into_detached());
        shop.destroy();
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let reply = own.send(Method::POST, "/", browser.cookie.as_deref()).await;
    assert!(reply.cookie().contains("Max-Age=0"), "{reply:?}");
    assert_eq!(site.records.keys(), Vec::<String>::new());
}

/// Two extractions that cannot be merged, and then a destroy of both.
#[tokio::test]
async fn an_earlier_conflict_does_not_outlive_it() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let handler = |mut shop: ShopSession, mut one: ShopSession, mut two: ShopSession| async move {
        one.set_step(1);
        two.set_step(2);
        drop((one, two));
        shop.destroy();
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let reply = own.send(Method::POST, "/", browser.cookie.as_deref()).await;
    assert_eq!(site.records.keys(), Vec::<String>::new());
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.cookie().contains("Max-Age=0"));
}

#[tokio::test]
async fn a_session_that_was_created_and_destroyed_in_one_request_sets_no_cookie() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        shop.set_user(Some(7));
        shop.commit().await.unwrap();
        shop.destroy();
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let reply = own.post(&mut Browser::default(), "/").await;
    assert_eq!(site.records.keys(), Vec::<String>::new());
    reply.assert_no_cookie();
}

/// The layer does not try again what the handler was told of.
#[tokio::test]
async fn a_failed_explicit_commit_is_not_retried_beside_a_csrf_token() {
    let site = Site::new().await;
    let durable = site.durable.clone();
    let handler = move |csrf: Csrf<Shop>, mut shop: ShopSession| async move {
        _ = csrf.token();
        shop.set_note(Some("order".into()));
        durable.down();
        let failed = shop.commit().await.is_err();
        durable.up();
        failed.to_string()
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let mut browser = Browser::default();
    assert_eq!(own.post(&mut browser, "/").await.body, "true");
    let shown = site.get(&mut browser, "/read").await.json();
    assert!(shown["note"].is_null(), "{shown}");
}

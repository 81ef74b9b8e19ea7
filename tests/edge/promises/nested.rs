//! Layers within layers.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use session_runtime::{CookieOptions, RouterExt, SameSite};
use tracing::Level;

use super::log::Log;
use crate::site::{Browser, ShopSession, Site, routes, visit};

/// A router of the inner store's, under a layer of the outer store.
fn nested(inner: &Site, outer: &Site) -> Router {
    routes().sessions(inner.store.clone()).layer(outer.store.layer())
}

#[tokio::test]
async fn a_handler_under_two_stores_is_refused_with_the_remedy() {
    let (inner, outer) = (Site::new().await, Site::new().await);
    let app = nested(&inner, &outer);
    let mut browser = outer.visitor().await;
    let before = browser.cookie.clone();
    for (method, path) in [
        (Method::GET, "/read"),
        (Method::POST, "/visit"),
        (Method::POST, "/login/7"),
    ] {
        let log = Log::capture();
        let reply = browser.send(&app, method, path).await;
        assert_eq!(
            reply.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{path} is served an empty session from the wrong store: {reply:?}"
        );
        reply.assert_no_cookie();
        let errors = log.of(Level::ERROR);
        assert!(errors.contains("layer"), "the remedy is logged: {errors}");
    }
    assert_eq!(browser.cookie, before, "the outer store's cookie is overwritten");
    assert_eq!(inner.records.keys(), Vec::<String>::new());
    assert_eq!(outer.get(&mut browser, "/read").await.visits(), 1);
}

async fn count(mut shop: ShopSession, request: Request, next: Next) -> Response {
    *shop.visits_mut() += 1;
    drop(shop);
    next.run(request).await
}

#[tokio::test]
async fn nor_is_one_whose_middleware_took_the_outer_stores_session() {
    let (inner, outer) = (Site::new().await, Site::new().await);
    let app: Router = routes()
        .sessions(inner.store.clone())
        .layer(from_fn_with_state(outer.store.clone(), count))
        .layer(outer.store.layer());
    let reply = Browser::default().send(&app, Method::POST, "/visit").await;
    assert_eq!(
        reply.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "two stores serve one session: {} cookies, {} records in the inner store, {} in the outer",
        reply.cookies().len(),
        inner.records.keys().len(),
        outer.records.keys().len()
    );
    reply.assert_no_cookie();
}

#[tokio::test]
async fn of_two_layers_of_one_store_the_inner_ones_server_timing_counts() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let app: Router = routes()
        .sessions(site.store.layer().with_server_timing(true))
        .layer(site.store.layer());
    let reply = browser.send(&app, Method::GET, "/read").await;
    assert_eq!(reply.visits(), 1);
    assert!(
        reply.headers.contains_key("server-timing"),
        "the inner layer's option is lost: {reply:?}"
    );
}

#[tokio::test]
async fn of_two_layers_of_one_store_the_inner_ones_error_response_counts() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let layer = site
        .store
        .layer()
        .with_error_response(|_| StatusCode::IM_A_TEAPOT.into_response());
    let app: Router = routes().sessions(layer).layer(site.store.layer());
    site.durable.down();
    let reply = browser.send(&app, Method::POST, "/visit").await;
    assert_eq!(
        reply.status,
        StatusCode::IM_A_TEAPOT,
        "the inner layer's option is lost: {reply:?}"
    );
}

/// Both see one session: were each to answer with its own, one of the two cookies would be lost.
#[tokio::test]
async fn of_two_layers_of_one_store_with_other_attributes_one_answers() {
    let site = Site::new().await;
    let strict = CookieOptions::new().with_same_site(SameSite::Strict);
    let app: Router = Router::new()
        .route("/visit", post(visit))
        .sessions(site.store.layer().with_cookies(strict).unwrap())
        .layer(from_fn_with_state(site.store.clone(), count))
        .layer(site.store.layer());
    let reply = Browser::default().send(&app, Method::POST, "/visit").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        (reply.cookies().len(), site.records.keys().len()),
        (1, 1),
        "cookies and records of one session: {:?}",
        reply.cookies()
    );
}

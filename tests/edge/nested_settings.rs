//! Layers within a layer of the same store, whose carriers or cookies differ, after middleware took the session.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use session_runtime::{CookieOptions, HeaderCarrier, RouterExt};

use crate::site::{Browser, ShopSession, Site, routes, visit};

async fn look(shop: ShopSession, request: Request, next: Next) -> Response {
    drop(shop);
    next.run(request).await
}

/// A browser adds its cookie to a request of another site; the header's promise is that this is of no use.
#[tokio::test]
async fn a_cookie_is_of_no_use_where_the_inner_layer_carries_headers() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let app: Router = routes()
        .sessions(site.store.layer().with_header(HeaderCarrier::authorization()))
        .layer(from_fn_with_state(site.store.clone(), look))
        .layer(site.store.layer());
    browser.send(&app, Method::POST, "/note/forged").await;
    let note = site.get(&mut browser, "/read").await.json()["note"].clone();
    assert!(note.is_null(), "a cookie alone has written: {note}");
}

#[tokio::test]
async fn a_cookie_with_the_host_prefix_has_no_path() {
    let site = Site::new().await;
    let app: Router = Router::new()
        .route("/visit", post(visit))
        .sessions(
            site.store
                .layer()
                .with_cookies(CookieOptions::new().with_path("/app"))
                .unwrap(),
        )
        .layer(from_fn_with_state(site.store.clone(), look))
        .layer(site.store.layer());
    let reply = Browser::default().send(&app, Method::POST, "/visit").await;
    if reply.status == StatusCode::OK {
        let line = reply.cookie();
        assert!(
            !line.starts_with("__Host-") || line.contains("Path=/;"),
            "browsers refuse {line}"
        );
    }
}

/// As the docs of `HeaderCarrier` say: a token is signed for its carrier.
#[tokio::test]
async fn a_token_of_a_cookie_without_prefix_counts_in_no_header() {
    let site = Site::new().await;
    let cookies = CookieOptions::new().without_secure();
    let pages: Router = routes().sessions(site.store.layer().with_cookies(cookies).unwrap());
    let mut browser = Browser::default();
    browser.send(&pages, Method::POST, "/visit").await.cookie();
    let api: Router = routes().sessions(
        site.store
            .layer()
            .with_header(HeaderCarrier::named("x-session").unwrap()),
    );
    let request = axum::http::Request::builder()
        .uri("/read")
        .header("x-session", browser.value());
    let response = tower::ServiceExt::oneshot(api, request.body(axum::body::Body::empty()).unwrap()).await;
    assert!(crate::site::Reply::of(response.unwrap()).await.is_new());
}

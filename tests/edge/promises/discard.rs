//! Which responses commit, and how a handler takes its changes back.

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use session_runtime::RouterExt;

use crate::site::{Browser, ShopSession, Site};

#[tokio::test]
async fn what_is_discarded_is_not_saved_under_any_status() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let handler = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 100;
        shop.set_user(Some(666));
        shop.discard();
        shop.visits().to_string()
    };
    let discarding = site.serving(Router::new().route("/", post(handler)));
    let reply = discarding.post(&mut browser, "/").await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "1"));
    reply.assert_no_cookie();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    discarding.post(&mut Browser::default(), "/").await.assert_no_cookie();
}

#[tokio::test]
async fn the_rule_of_which_responses_commit_can_be_replaced() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let answering = |status: StatusCode| {
        post(move |mut shop: ShopSession| async move {
            *shop.visits_mut() += 1;
            status
        })
    };
    let routes = Router::new()
        .route("/400", answering(StatusCode::BAD_REQUEST))
        .route("/500", answering(StatusCode::INTERNAL_SERVER_ERROR))
        .route("/200", answering(StatusCode::OK));
    let layer = site
        .store
        .layer()
        .with_commit_if(|response: &Response| response.status().is_success());
    let app = routes.sessions(layer);
    for path in ["/400", "/500", "/200"] {
        browser.send(&app, axum::http::Method::POST, path).await;
    }
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2, "the 200 alone");
}

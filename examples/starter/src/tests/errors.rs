use std::future::pending;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Request, StatusCode};
use axum::middleware::from_fn;
use axum::routing::get;
use session_runtime::testing::{MemoryTier, TestStore};
use session_runtime::{CascadeStore, KeyRing};
use tower::ServiceExt;

use super::{Page, Site};
use crate::app;

#[track_caller]
fn assert_page(page: &Page, status: StatusCode, text: &str) {
    assert_eq!(
        (page.status, page.header(CONTENT_TYPE)),
        (status, "text/html; charset=utf-8")
    );
    assert!(page.header(CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
    page.assert_shows(text);
}

#[tokio::test]
async fn every_answer_is_a_page_with_its_security_headers() {
    let site = Site::new().await;
    let mut visitor = site.browser();
    assert_page(&visitor.get("/").await, StatusCode::OK, "<h1>Shop</h1>");
    assert_page(
        &visitor.get("/nowhere").await,
        StatusCode::NOT_FOUND,
        "There is no such page",
    );
    assert_page(
        &visitor.get("/sign-out").await,
        StatusCode::METHOD_NOT_ALLOWED,
        "That did not work",
    );
    assert_page(
        &visitor.get("/sign-in?next=1&next=2").await,
        StatusCode::OK,
        "<h1>Sign in</h1>",
    );
    let incomplete = visitor.post("/sign-in", &[("name", "ann")]).await;
    assert_page(&incomplete, StatusCode::BAD_REQUEST, "That did not work");
    let too_large = visitor.post("/sign-in", &[("name", &"a".repeat(1 << 20))]).await;
    assert_page(&too_large, StatusCode::PAYLOAD_TOO_LARGE, "That did not work");
    let style = visitor.get("/style.css").await;
    assert_eq!(
        (style.status, style.header(CACHE_CONTROL)),
        (StatusCode::OK, "max-age=300")
    );
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_changes_nothing() {
    let site = Site::new().await;
    let mut ann = site.signed_in(&site.user("ann").await).await;
    ann.get("/").await;
    let mut stranger = site.browser();
    stranger.get("/").await;
    for token in ["", &stranger.token] {
        token.clone_into(&mut ann.token);
        for path in [
            "/cart/add",
            "/cart/remove",
            "/order",
            "/sign-up",
            "/sign-in",
            "/sign-out",
        ] {
            let page = ann
                .post(path, &[("sku", "tea"), ("name", "eve"), ("password", "some password")])
                .await;
            assert_page(&page, StatusCode::FORBIDDEN, "This form has expired");
        }
    }
    let session = site.session(&ann).await.unwrap();
    assert!(session.cart.is_empty() && session.user.is_some());
}

#[tokio::test]
async fn where_the_sessions_are_out_of_reach_a_page_says_so_and_nobody_is_signed_out() {
    let durable = MemoryTier::new();
    let builder = CascadeStore::builder(KeyRing::random().unwrap())
        .datastore(durable.clone())
        .without_cache();
    let site = Site::with(TestStore::on(builder).await.unwrap(), 2);
    let mut ann = site.signed_in(&site.user("ann").await).await;
    durable.set_down(true);
    let written = site.browser().get("/").await; // a new session, for the forms
    let read = ann.get("/account").await;
    for page in [written, read] {
        assert_page(&page, StatusCode::SERVICE_UNAVAILABLE, "We are busy");
        assert_eq!(page.header(RETRY_AFTER), "2");
    }
    durable.set_down(false);
    assert_page(
        &ann.get("/account").await,
        StatusCode::OK,
        "signed in as <strong>ann</strong>",
    );
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_given_up() {
    let router = Router::new()
        .route("/", get(pending::<()>))
        .layer(from_fn(app::in_time));
    let response = router.oneshot(Request::get("/").body(Body::empty()).unwrap());
    let response = tokio::time::timeout(app::LONGEST_REQUEST * 2, response).await;
    assert_eq!(response.unwrap().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}

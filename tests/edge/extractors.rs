//! What a handler can take beside `TypedSession`: a reference, an `Option`, and what the application answers instead.

use axum::Router;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use session_runtime::{LoadReport, RejectionKind, RouterExt, SessionRef, SessionRejection, TypedSession};

use crate::site::{Browser, ShopSession, Site};

type ShopRef = SessionRef<crate::site::Shop>;

#[tokio::test]
async fn a_reference_reads_the_session_and_writes_nothing() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let read = |shop: ShopRef| async move { format!("{} {}", shop.is_new(), shop.visits()) };
    let app = site.serving(Router::new().route("/", get(read)));
    site.settle().await;
    site.reset_calls();
    let reply = app.get(&mut browser, "/").await;
    assert_eq!(reply.body, "false 1");
    reply.assert_no_cookie();
    let reply = app.get(&mut Browser::default(), "/").await;
    assert_eq!(reply.body, "true 0");
    reply.assert_no_cookie();
    let calls = site.durable.take_calls();
    assert!(calls.iter().all(|(call, _)| *call == "read"), "{calls:?}");
}

#[tokio::test]
async fn a_reference_shows_what_the_request_has_staged() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let handler = |mut shop: ShopSession, request: axum::extract::Request| async move {
        *shop.visits_mut() += 1;
        drop(shop);
        let (mut parts, _) = request.into_parts();
        let store = parts.extensions.get::<session_runtime::CascadeStore>().unwrap().clone();
        let shop = axum::RequestPartsExt::extract_with_state::<ShopRef, _>(&mut parts, &store)
            .await
            .unwrap();
        shop.visits().to_string()
    };
    let app = Router::new()
        .route("/", post(handler))
        .layer(axum::Extension(site.store.clone()));
    assert_eq!(site.serving(app).post(&mut browser, "/").await.body, "2");
}

#[tokio::test]
async fn the_load_report_names_the_tier_that_answered() {
    fn told(report: LoadReport) -> String {
        let took = if report.took.is_zero() { "at once" } else { "in time" };
        format!("{:?} {} {took}", report.tier, report.degraded)
    }
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let both = |shop: ShopSession, reference: ShopRef| async move {
        format!("{}, {}", told(shop.load_report()), told(reference.load_report()))
    };
    let app = site.serving(Router::new().route("/", get(both)));
    site.settle().await;
    let by_cache = "Some(\"local-cache\") false in time";
    assert_eq!(app.get(&mut browser, "/").await.body, format!("{by_cache}, {by_cache}"));
    site.cache.down();
    let without_cache = "Some(\"memory-store\") true in time";
    assert_eq!(
        app.get(&mut browser, "/").await.body,
        format!("{without_cache}, {without_cache}")
    );
    site.cache.up();
    let unasked = "None false at once";
    assert_eq!(
        app.get(&mut Browser::default(), "/").await.body,
        format!("{unasked}, {unasked}")
    );
}

#[tokio::test]
async fn an_option_is_none_for_a_visitor_and_rejects_an_outage() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let typed = |shop: Option<ShopSession>| async move { format!("{:?}", shop.map(|shop| *shop.visits())) };
    let reference = |shop: Option<ShopRef>| async move { format!("{:?}", shop.map(|shop| *shop.visits())) };
    let app = site.serving(
        Router::new()
            .route("/typed", get(typed))
            .route("/reference", get(reference)),
    );
    for path in ["/typed", "/reference"] {
        assert_eq!(app.get(&mut browser, path).await.body, "Some(1)");
        let reply = app.get(&mut Browser::default(), path).await;
        assert_eq!(reply.body, "None");
        reply.assert_no_cookie();
    }
    site.cache.down();
    site.durable.down();
    for path in ["/typed", "/reference"] {
        let reply = app.get(&mut browser, path).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn the_application_answers_a_rejection_with_the_requests_context() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let word = "later".to_owned();
    let answer = move |rejection: &SessionRejection, parts: &Parts| -> Response {
        assert!(matches!(rejection.kind(), RejectionKind::Load(_)));
        (StatusCode::IM_A_TEAPOT, format!("{word}: {}", parts.uri.path())).into_response()
    };
    let read = |shop: TypedSession<crate::site::Shop>| async move { shop.visits().to_string() };
    let app = Router::new()
        .route("/somewhere", get(read))
        .sessions(site.store.layer().with_rejection_response(answer));
    site.cache.down();
    site.durable.down();
    let reply = browser.send(&app, Method::GET, "/somewhere").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (StatusCode::IM_A_TEAPOT, "later: /somewhere")
    );
}

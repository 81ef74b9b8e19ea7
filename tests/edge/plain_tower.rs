//! Sessions in a plain tower stack: services of `http` types, without axum's router.

use std::convert::Infallible;
use std::io;

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, SET_COOKIE, VARY};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use session_runtime::tier::TierErrorKind;
use session_runtime::{RejectionKind, SessionLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::site::{Reply, ShopSession, Site};

type Answer = axum::response::Response;

/// Counts visits; answers with their number in a header and the request's body.
fn counter(
    site: &Site,
) -> impl Service<Request<String>, Response = Answer, Error = Infallible, Future: Send> + Clone + Send + 'static {
    let store = site.store.clone();
    service_fn(move |request: Request<String>| {
        let store = store.clone();
        async move {
            let (mut parts, body) = request.into_parts();
            let mut shop = match ShopSession::from_request_parts(&mut parts, &store).await {
                Ok(shop) => shop,
                Err(rejection) => return Ok(rejection.into_response()),
            };
            *shop.visits_mut() += 1;
            let response = Response::builder().header("visits", *shop.visits());
            Ok(response.body(body).unwrap().into_response())
        }
    })
}

fn request(cookie: Option<&str>) -> Request<String> {
    let mut request = Request::new("hello".to_owned());
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_service_of_http_types_has_sessions() {
    let site = Site::new().await;
    let service = ServiceBuilder::new().layer(site.store.layer()).service(counter(&site));
    let first = service.clone().oneshot(request(None)).await.unwrap();
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-shop="), "{cookie}");
    let pair = cookie.split(';').next();
    let second = Reply::of(service.oneshot(request(pair)).await.unwrap()).await;
    assert_eq!(
        (second.headers["visits"].to_str().unwrap(), &*second.body),
        ("2", "hello")
    );
    assert_eq!(second.headers[VARY], "cookie");
    second.assert_no_cookie();
    assert_eq!(site.records.keys().len(), 1);
}

#[tokio::test]
async fn its_rejections_are_responses_like_any() {
    let site = Site::new().await;
    let response = counter(&site).oneshot(request(None)).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "it has no layer");
    let (mut parts, _) = request(None).into_parts();
    let rejection = ShopSession::from_request_parts(&mut parts, &site.store)
        .await
        .unwrap_err();
    assert!(
        matches!(rejection.kind(), RejectionKind::NoLayer { session: "shop" }),
        "{rejection}"
    );

    let browser = site.visitor().await;
    site.cache.down();
    site.durable.fail_once("read", TierErrorKind::Unavailable, false);
    let service = site.store.layer().layer(counter(&site));
    let response = service.oneshot(request(browser.cookie.as_deref())).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_service_that_fails_commits_nothing_but_a_destroy() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let failing = |destroys: bool| {
        let store = site.store.clone();
        let service = service_fn(move |request: Request<String>| {
            let store = store.clone();
            async move {
                let (mut parts, _) = request.into_parts();
                let mut shop = ShopSession::from_request_parts(&mut parts, &store).await.unwrap();
                *shop.visits_mut() += 100;
                if destroys {
                    shop.destroy();
                }
                Err::<Response<String>, _>(io::Error::other("the wire was cut"))
            }
        });
        SessionLayer::from(site.store.clone()).layer(service)
    };
    let sent = request(browser.cookie.as_deref());
    failing(false).oneshot(sent).await.unwrap_err();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    let sent = request(browser.cookie.as_deref());
    let error = failing(true).oneshot(sent).await.unwrap_err();
    assert_eq!(error.to_string(), "the wire was cut");
    assert!(site.get(&mut browser, "/read").await.is_new());
}

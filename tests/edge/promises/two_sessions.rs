//! Two sessions that are changed in one request, of which one cannot be committed.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use session_runtime::tier::TierErrorKind;
use session_runtime::{CommitFailure, RouterExt, TypedSession};

use super::{Other, begin, until_it_waits};
use crate::site::{Browser, ShopSession, Site};

type There = TypedSession<Other>;

/// More than a record may hold.
fn too_long() -> String {
    "x".repeat(5000)
}

/// A browser with a session of each type, in one header.
async fn both(site: &Site) -> Browser {
    let shop = site.visitor().await;
    let visit = |mut other: There| async move { *other.visits_mut() += 1 };
    let beside = site.serving(Router::new().route("/", post(visit)));
    let mut other = Browser::default();
    beside.post(&mut other, "/").await.cookie();
    site.reset_calls();
    Browser {
        cookie: Some(format!("{}; {}", shop.cookie.unwrap(), other.cookie.unwrap())),
    }
}

#[tokio::test]
async fn after_the_first_change_that_fails_the_rest_are_not_begun() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession, mut other: There| async move {
        shop.set_note(Some(too_long()));
        *other.visits_mut() += 1;
    };
    let changing = site.serving(Router::new().route("/", post(handler)));
    let reply = changing.post(&mut Browser::default(), "/").await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    reply.assert_no_cookie();
    assert_eq!(
        site.durable.take_calls(),
        [],
        "the second is begun though the first failed"
    );
    assert_eq!(site.records.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn nor_after_one_that_a_tier_failed() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession, mut other: There| async move {
        *shop.visits_mut() += 1;
        *other.visits_mut() += 1;
    };
    let changing = site.serving(Router::new().route("/", post(handler)));
    let browser = both(&site).await;
    site.durable.fail_once("update", TierErrorKind::Unavailable, false);
    let reply = changing.post(&mut browser.clone(), "/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    site.settle().await;
    let updates = site.durable.take_calls();
    assert!(
        updates.contains(&("update", 1)),
        "the second is begun though the first failed: {updates:?}"
    );
}

#[tokio::test]
async fn the_error_says_which_sessions_were_committed() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession, mut other: There| async move {
        *shop.visits_mut() += 1;
        *other.visits_mut() += 1;
    };
    let tell =
        |failure: CommitFailure| format!("{failure} {:?} {:?}", failure.committed, failure.not_begun).into_response();
    let app: Router = Router::new()
        .route("/", post(handler))
        .sessions(site.store.layer().with_error_response(tell));
    let browser = both(&site).await;
    site.durable.fail_once("update", TierErrorKind::Unavailable, false);
    let reply = crate::site::send(&app, Method::POST, "/", browser.cookie.as_deref()).await;
    assert!(
        reply.body.ends_with(r#"; not begun: other [] ["other"]"#),
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn changes_are_made_one_after_the_other() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession, mut other: There| async move {
        *shop.visits_mut() += 1;
        *other.visits_mut() += 1;
    };
    let changing = site.serving(Router::new().route("/", post(handler)));
    let browser = both(&site).await;
    let gate = site.durable.block("update");
    let request = begin(&changing, &browser, "/");
    gate.reached().await;
    until_it_waits().await;
    let calls = site.durable.take_calls();
    assert!(
        calls.contains(&("update", 1)),
        "the second is begun before the first has ended: {calls:?}"
    );
    gate.release();
    assert_eq!(request.await.unwrap().status, StatusCode::OK);
    assert_eq!(site.durable.take_calls(), [("update", 1)]);
}

#[tokio::test]
async fn destroys_come_first_whatever_the_order_of_the_looks() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession, mut other: There| async move {
        *shop.visits_mut() += 1;
        other.destroy();
    };
    let changing = site.serving(Router::new().route("/", post(handler)));
    let browser = both(&site).await;
    let gate = site.durable.block("delete");
    let request = begin(&changing, &browser, "/");
    gate.reached().await;
    until_it_waits().await;
    let calls = site.durable.take_calls();
    assert!(
        !calls.iter().any(|(call, _)| *call == "update"),
        "the change is begun before the destroy has ended: {calls:?}"
    );
    gate.release();
    assert_eq!(request.await.unwrap().status, StatusCode::OK);
    // A change that fails costs no destroy.
    let browser = both(&site).await;
    let records = site.records.keys().len();
    let handler = |mut shop: ShopSession, mut other: There| async move {
        shop.set_note(Some(too_long()));
        other.destroy();
    };
    let changing = site.serving(Router::new().route("/", post(handler)));
    let reply = changing.post(&mut browser.clone(), "/").await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(reply.cookie().starts_with("__Host-other=;"), "{reply:?}");
    assert_eq!(site.records.keys().len(), records - 1);
}

static ANSWERS: AtomicUsize = AtomicUsize::new(0);

fn count(failure: CommitFailure) -> Response {
    ANSWERS.fetch_add(1, Ordering::SeqCst);
    failure.into_response()
}

/// Both destroys fail: the one for good, the other because its tier is down.
#[tokio::test]
async fn one_error_is_answered_and_it_is_the_gravest() {
    let site = Site::new().await;
    for shop_first in [true, false] {
        let browser = both(&site).await;
        // The shop's secret is superseded by now.
        let mut shop = Browser {
            cookie: browser.cookie.clone(),
        };
        site.post(&mut shop, "/login/7").await.cookie();
        let routes = if shop_first {
            Router::new().route(
                "/",
                post(|mut shop: ShopSession, mut other: There| async move {
                    shop.destroy();
                    other.destroy();
                }),
            )
        } else {
            Router::new().route(
                "/",
                post(|mut other: There, mut shop: ShopSession| async move {
                    shop.destroy();
                    other.destroy();
                }),
            )
        };
        let app: Router = routes.sessions(site.store.layer().with_error_response(count));
        ANSWERS.store(0, Ordering::SeqCst);
        site.durable.fail("delete", TierErrorKind::Unavailable);
        let reply = crate::site::send(&app, Method::POST, "/", browser.cookie.as_deref()).await;
        site.durable.up();
        assert_eq!(ANSWERS.load(Ordering::SeqCst), 1, "one error response is made");
        assert_eq!(
            reply.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "an outage is graver than a conflict (shop first: {shop_first})"
        );
    }
}

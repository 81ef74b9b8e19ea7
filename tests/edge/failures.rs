//! The response to each failure of a tier, a record or a commit.

use std::error::Error;

use axum::Router;
use axum::http::header::RETRY_AFTER;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use session_runtime::testing::TestError;
use session_runtime::tier::TierErrorKind;
use session_runtime::tier::embedded::LocalCache;
use session_runtime::{
    BuildError, CascadeStore, CommitError, CommitFailure, CookieError, CsrfError, FieldError, HeaderCarrierError,
    KeyError, LoadError, OpenError, RejectionKind, RouterExt, SessionRejection, TypedSession,
};
use session_tests::instrumented::Instrumented;
use tracing::Level;

use crate::promises::log::Log;
use crate::site::{Browser, Reply, ShopSession, Site, keys, read, routes, visit};

/// What `?` needs to make an `anyhow::Error` of it.
#[test]
fn every_error_can_be_sent_and_shared() {
    fn check<E: Error + Send + Sync + 'static>() {}
    check::<BuildError>();
    check::<CommitError>();
    check::<CommitFailure>();
    check::<CookieError>();
    check::<CsrfError>();
    check::<FieldError>();
    check::<HeaderCarrierError>();
    check::<KeyError>();
    check::<LoadError>();
    check::<OpenError>();
    check::<RejectionKind>();
    check::<SessionRejection>();
    check::<TestError>();
}

fn assert_unavailable(reply: &Reply) {
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{reply:?}");
    assert!(reply.headers.contains_key(RETRY_AFTER));
    reply.assert_no_cookie();
}

#[tokio::test]
async fn with_the_cache_down_the_durable_tier_serves_and_the_outcome_reports_it() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.cache.down();
    let app = routes().sessions(site.store.layer().with_server_timing(true));
    let reply = browser.send(&app, Method::GET, "/read").await;
    assert_eq!(reply.visits(), 1);
    let timing = reply.headers["server-timing"].to_str().unwrap();
    assert!(
        timing.contains("load;desc=\"memory-store\"") && timing.contains("degraded"),
        "{timing}"
    );
    let reply = browser.send(&app, Method::POST, "/visit").await;
    assert_eq!(reply.visits(), 2);
    let timing = reply.headers["server-timing"].to_str().unwrap();
    assert!(timing.contains("commit;desc=\"unfenced\""), "{timing}");
    // A session can be created and destroyed without the cache.
    assert_eq!(Browser::default().send(&app, Method::POST, "/visit").await.visits(), 1);
    assert!(
        browser
            .send(&app, Method::POST, "/logout")
            .await
            .cookie()
            .contains("Max-Age=0")
    );
    site.cache.up();
    site.settle().await;
}

#[tokio::test]
async fn the_cache_is_filled_again_after_an_outage() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.cache.down();
    site.get(&mut browser, "/read").await;
    site.post(&mut browser, "/visit").await;
    site.cache.up();
    site.settle().await;
    // The late invalidation is a fence, and hides the record until it expires.
    site.clock.advance(std::time::Duration::from_secs(76));
    site.warm(&mut browser).await;
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
    assert_eq!(
        (site.cache.take_calls(), site.durable.take_calls()),
        (vec![("get", 1)], vec![])
    );
}

#[tokio::test]
async fn with_the_durable_tier_down_cached_reads_are_served_even_if_a_renewal_is_due() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.durable.down();
    for _ in 0..3 {
        let reply = site.get(&mut browser, "/read").await;
        assert_eq!((reply.status, reply.visits()), (StatusCode::OK, 1));
        site.clock.advance(std::time::Duration::from_secs(121));
    }
}

#[tokio::test]
async fn with_the_durable_tier_down_writes_fail_and_change_nothing() {
    let site = Site::new().await;
    for path in ["/visit", "/login/7", "/logout", "/rotate"] {
        let mut browser = site.visitor().await;
        site.durable.down();
        assert_unavailable(&site.post(&mut browser, path).await);
        site.durable.up();
        let reply = site.get(&mut browser, "/read").await;
        assert_eq!((reply.visits(), reply.json()["user"].as_u64()), (1, None), "{path}");
    }
    site.durable.down();
    assert_unavailable(&site.post(&mut Browser::default(), "/visit").await);
}

#[tokio::test]
async fn an_outage_never_looks_like_a_logout() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    site.post_uncached(&mut browser, "/visit").await;
    site.durable.down();
    for (method, path) in [
        (Method::GET, "/read"),
        (Method::POST, "/visit"),
        (Method::POST, "/logout"),
    ] {
        assert_unavailable(&browser.send(&site.app, method, path).await);
    }
    site.cache.down();
    assert_unavailable(&site.get(&mut browser, "/read").await);
    site.durable.up();
    site.cache.up();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

#[tokio::test]
async fn after_a_write_without_an_answer_the_record_is_read() {
    let site = Site::new().await;
    for is_applied in [true, false] {
        let mut browser = site.visitor().await;
        site.durable.fail_once("update", TierErrorKind::Unknown, is_applied);
        let reply = site.post(&mut browser, "/visit").await;
        assert_eq!((reply.status, reply.visits()), (StatusCode::OK, 2));
        assert_eq!(site.get(&mut browser, "/read").await.visits(), 2, "once, and not twice");
        site.durable.fail_once("delete", TierErrorKind::Unknown, is_applied);
        assert!(site.post(&mut browser, "/logout").await.cookie().contains("Max-Age=0"));
        assert!(site.get(&mut browser, "/read").await.is_new());
    }
}

#[tokio::test]
async fn a_creation_without_an_answer_results_in_one_session() {
    let site = Site::new().await;
    for is_applied in [true, false] {
        site.durable.fail_once("insert", TierErrorKind::Unknown, is_applied);
        let mut browser = Browser::default();
        site.post(&mut browser, "/visit").await.cookie();
        assert_eq!(site.post(&mut browser, "/visit").await.visits(), 2);
    }
    site.durable.fail("insert", TierErrorKind::Unknown);
    assert_unavailable(&site.post(&mut Browser::default(), "/visit").await);
}

mod old {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 1)]
    #[cascade(memcache, datastore)]
    pub(super) struct Shop {
        pub(super) visits: String,
    }
}

#[tokio::test]
async fn a_record_that_does_not_decode_is_rejected_with_its_field_and_not_overwritten() {
    let site = Site::new().await;
    let write = |mut shop: TypedSession<old::Shop>| async move { shop.set_visits("secret words".into()) };
    // The binary before has a struct of its own.
    let other = site.node(|builder| builder).await;
    let before = other.serving(Router::new().route("/", post(write)));
    let mut browser = Browser::default();
    before.post(&mut browser, "/").await.cookie();
    let key = site.records.keys().remove(0);
    let stored = site.records.value(&key);
    site.clock.advance(std::time::Duration::from_secs(180));
    for path in ["/visit", "/logout", "/rotate"] {
        let reply = site.post(&mut browser, path).await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(reply.body, "Internal Server Error");
        reply.assert_no_cookie();
        site.settle().await;
    }
    assert_eq!(site.records.value(&key), stored);
    let cause = |shop: Result<ShopSession, SessionRejection>| async move {
        shop.unwrap_err().source().map(ToString::to_string).unwrap_or_default()
    };
    let app = site.serving(Router::new().route("/", get(cause)));
    let cause = app.get(&mut browser, "/").await.body;
    assert!(cause.contains("visits") && !cause.contains("secret words"), "{cause}");
    // After a rollback the old binary reads it as it was.
    let read = |shop: TypedSession<old::Shop>| async move { shop.visits().clone() };
    let before = other.serving(Router::new().route("/", get(read)));
    assert_eq!(before.get(&mut browser, "/").await.body, "secret words");
}

/// Two structs with the same fingerprint, since a type alias hides the difference.
mod alike {
    macro_rules! shop {
        ($name:ident, $visits:ty) => {
            pub(super) mod $name {
                use session_runtime::Session;

                pub(crate) type Visits = $visits;

                #[derive(Session)]
                #[session(name = "shop", version = 1)]
                #[cascade(datastore)]
                pub(crate) struct Shop {
                    pub(crate) visits: Visits,
                }
            }
        };
    }
    shop!(text, String);
    shop!(number, u64);
}

#[tokio::test]
async fn a_record_that_does_not_decode_is_not_renewed() {
    let site = Site::new().await;
    let write = |mut shop: TypedSession<alike::text::Shop>| async move { shop.set_visits("many".into()) };
    let mut browser = Browser::default();
    let other = site.node(|builder| builder).await;
    other
        .serving(Router::new().route("/", post(write)))
        .post(&mut browser, "/")
        .await
        .cookie();
    site.clock.advance(std::time::Duration::from_secs(180));
    site.reset_calls();
    let read =
        |shop: Result<TypedSession<alike::number::Shop>, SessionRejection>| async move { shop.is_err().to_string() };
    let reply = site
        .serving(Router::new().route("/", get(read)))
        .get(&mut browser, "/")
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "true"));
    assert_eq!(site.durable.take_calls(), [("read", 1)]);
}

/// Sends two requests that have both loaded before either commits.
async fn race(site: &Site, other: &Site, browser: &Browser, first: &str, second: &str) -> (Reply, Reply) {
    let gate = site.durable.block("update");
    let one = site.spawn_post(browser, first);
    gate.reached().await;
    let two = other.send(Method::POST, second, browser.cookie.as_deref()).await;
    gate.release();
    (one.await.unwrap(), two)
}

#[tokio::test]
async fn concurrent_changes_are_merged_field_by_field() {
    let site = Site::new().await;
    let other = site.node(|builder| builder).await;
    let mut browser = site.visitor().await;
    let (one, two) = race(&site, &other, &browser, "/visit", "/visit").await;
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(
        site.get(&mut browser, "/read").await.visits(),
        3,
        "equal changes count twice"
    );
    let (one, two) = race(&site, &other, &browser, "/visit", "/note/hello").await;
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    let reply = other.get(&mut browser, "/read").await;
    assert_eq!((reply.visits(), reply.json()["note"].as_str()), (4, Some("hello")));
}

#[tokio::test]
async fn concurrent_changes_of_a_reject_field_are_a_conflict() {
    let site = Site::new().await;
    let other = site.node(|builder| builder).await;
    let browser = site.visitor().await;
    for second in ["/step/4", "/step/3"] {
        let (one, two) = race(&site, &other, &browser, "/step/3", second).await;
        assert_eq!((one.status, two.status), (StatusCode::CONFLICT, StatusCode::OK));
        one.assert_no_cookie();
    }
}

#[tokio::test]
async fn a_record_over_max_len_is_rejected_and_the_old_one_stays() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let long = format!("/note/{}", "x".repeat(5000));
    let reply = site.post(&mut browser, &long).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reply.body, "Payload Too Large");
    assert_eq!(
        site.get(&mut browser, "/read").await.json()["note"],
        serde_json::Value::Null
    );
    let reply = site.post(&mut Browser::default(), &long).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    reply.assert_no_cookie();
}

#[tokio::test]
async fn a_record_too_large_for_the_cache_is_served_by_the_durable_tier_and_the_old_one_is_hidden() {
    let site = Site::new().await;
    let (cache, control) = Instrumented::new(LocalCache::new().with_clock(site.clock.clone()).with_max_value_len(600));
    let builder = CascadeStore::builder(keys(&[1])).clock(site.clock.clone());
    let store = builder
        .memcache(cache)
        .datastore(site.tiers.1.clone())
        .build()
        .await
        .unwrap();
    let app = routes().sessions(store.clone());
    let mut browser = Browser::default();
    for path in ["/visit", "/visit"] {
        browser.send(&app, Method::POST, path).await;
    }
    browser.send(&app, Method::GET, "/read").await;
    store.drain().await;
    let long = "x".repeat(1000);
    let reply = browser.send(&app, Method::POST, &format!("/note/{long}")).await;
    assert_eq!(reply.status, StatusCode::OK);
    for _ in 0..3 {
        let reply = browser.send(&app, Method::GET, "/read").await;
        assert_eq!(reply.json()["note"], *long);
        store.drain().await;
    }
    // A record that is small again is cached.
    browser.send(&app, Method::POST, "/note/short").await;
    for _ in 0..2 {
        browser.send(&app, Method::GET, "/read").await;
        store.drain().await;
    }
    control.take_calls();
    site.durable.take_calls();
    assert_eq!(browser.send(&app, Method::GET, "/read").await.json()["note"], "short");
    assert_eq!(
        (control.take_calls(), site.durable.take_calls()),
        (vec![("get", 1)], vec![])
    );
}

#[tokio::test]
async fn the_error_response_can_be_replaced() {
    let site = Site::new().await;
    let layer = site
        .store
        .layer()
        .with_error_response(|error| (StatusCode::IM_A_TEAPOT, error.error.to_string()).into_response());
    let app: Router = Router::new()
        .route("/visit", post(visit))
        .route("/read", get(read))
        .sessions(layer);
    site.durable.down();
    let log = Log::capture();
    let reply = Browser::default().send(&app, Method::POST, "/visit").await;
    assert_eq!(reply.status, StatusCode::IM_A_TEAPOT);
    let warnings = log.of(Level::WARN);
    assert_eq!(
        warnings.matches("a session could not be written").count(),
        1,
        "what became of the session is logged whatever the response is: {warnings}"
    );
    assert!(warnings.contains("instrumented"), "with its cause: {warnings}");
}

/// What an application's own page is made from agrees with what it replaces.
#[tokio::test]
async fn a_failure_tells_the_status_that_it_would_be_answered_with() {
    let site = Site::new().await;
    let plain = site.store.layer();
    let told = plain
        .clone()
        .with_rejection_response(|rejection, _| rejection.status().into_response())
        .with_error_response(|failure| failure.error.status().into_response());
    let mut visitor = site.visitor().await;
    let mut late = Browser {
        cookie: visitor.cookie.clone(),
    };
    site.post(&mut visitor, "/login/7").await.cookie();
    for layer in [plain, told] {
        let app: Router = routes().sessions(layer);
        let superseded = late.send(&app, Method::POST, "/visit").await;
        assert_eq!(superseded.status, StatusCode::CONFLICT);
        site.durable.down();
        let written = Browser::default().send(&app, Method::POST, "/visit").await;
        assert_eq!(written.status, StatusCode::SERVICE_UNAVAILABLE);
        site.cache.down();
        let read = visitor.send(&app, Method::GET, "/read").await;
        assert_eq!(read.status, StatusCode::SERVICE_UNAVAILABLE);
        site.cache.up();
        site.durable.up();
    }
}

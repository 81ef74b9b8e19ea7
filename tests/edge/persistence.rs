//! Periodic rotation, touches, persistence and the idle time of visitors.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use session_runtime::{CommitError, Persistence, Session, TypedSession};
use session_tests::instrumented::Gate;

use crate::site::{Browser, ShopSession, Site};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_read_is_served_from_the_cache_though_a_rotation_is_due_and_the_durable_tier_down() {
    let site = Site::with(|builder| builder.rotate_every(MINUTE)).await;
    let mut browser = site.visitor().await;
    site.clock.advance(MINUTE);
    site.durable.down();
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!(reply.status, StatusCode::OK, "reads are served: {reply:?}");
}

#[tokio::test]
async fn a_read_beside_a_login_is_served_though_a_rotation_is_due() {
    let site = Site::with(|builder| builder.rotate_every(MINUTE)).await;
    let mut browser = site.visitor().await;
    let gate = Gate::new();
    let handler = {
        let gate = gate.clone();
        move |shop: ShopSession| async move {
            gate.pass().await;
            shop.visits().to_string()
        }
    };
    let slow = site.serving(Router::new().route("/", post(handler)));
    site.clock.advance(MINUTE);
    let request = slow.spawn_post(&browser, "/");
    gate.reached().await;
    site.post(&mut browser, "/login/7").await.cookie();
    gate.release();
    assert_eq!(request.await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_touch_of_a_session_that_has_expired_is_told() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let lent = Arc::new(Mutex::new(None));
    let handler = {
        let lent = lent.clone();
        move |shop: ShopSession| async move { *lent.lock().unwrap() = Some(shop.into_detached()) }
    };
    let lending = site.serving(Router::new().route("/", post(handler)));
    assert_eq!(lending.post(&mut browser, "/").await.status, StatusCode::OK);
    let mut detached = lent.lock().unwrap().take().unwrap();
    site.clock.advance(20 * MINUTE);
    detached.touch();
    let outcome = detached.commit().await;
    assert!(matches!(outcome, Err(CommitError::Gone { .. })), "{outcome:?}");
}

fn remembering(site: &Site, lasts: &'static [Persistence]) -> Site {
    let handler = move |mut shop: ShopSession| async move {
        shop.set_user(Some(7));
        for last in lasts {
            shop.set_persistence(*last);
        }
    };
    site.serving(Router::new().route("/", post(handler)))
}

#[tokio::test]
async fn the_last_word_on_persistence_counts() {
    const LASTS: &[Persistence] = &[Persistence::Remembered, Persistence::BrowserSession];
    let site = Site::new().await;
    let mut browser = Browser::default();
    remembering(&site, &[Persistence::BrowserSession])
        .post(&mut browser, "/")
        .await
        .cookie();
    let line = remembering(&site, LASTS).post(&mut browser, "/").await.cookie();
    assert!(!line.contains("Max-Age"), "{line}");
}

/// The record that the login knew said it too, and another login supersedes the secret meanwhile.
#[tokio::test]
async fn a_login_of_its_own_keeps_what_it_said_of_persistence() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    remembering(&site, &[Persistence::BrowserSession])
        .post(&mut browser, "/")
        .await
        .cookie();
    let gate = Gate::new();
    let handler = {
        let gate = gate.clone();
        move |mut shop: ShopSession| async move {
            gate.pass().await;
            shop.set_user(Some(7));
            shop.set_persistence(Persistence::BrowserSession);
        }
    };
    let slow = site.serving(Router::new().route("/", post(handler)));
    let request = slow.spawn_post(&browser, "/");
    gate.reached().await;
    site.post(&mut browser, "/login/7").await.cookie();
    gate.release();
    let line = request.await.unwrap().cookie();
    assert!(!line.contains("Max-Age"), "{line}");
}

/// As for changes: what the handler was told of is not tried again.
#[tokio::test]
async fn a_persistence_that_was_not_committed_is_not_retried_with_the_response() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let durable = site.durable.clone();
    let handler = move |mut shop: ShopSession| async move {
        shop.set_note(Some("order".into()));
        shop.set_persistence(Persistence::Remembered);
        durable.down();
        let failed = shop.commit().await.is_err();
        durable.up();
        failed.to_string()
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let reply = own.send(Method::POST, "/", browser.cookie.as_deref()).await;
    assert_eq!(reply.body, "true");
    reply.assert_no_cookie();
}

#[derive(Session)]
#[session(name = "desk", idle = "5m")]
#[cascade(datastore)]
struct Desk {
    visits: u64,
}

#[tokio::test]
async fn a_visitors_session_of_a_short_lived_type_lives_no_longer_than_the_type_says() {
    let site = Site::with(|builder| builder.anonymous_idle(10 * MINUTE)).await;
    let app = site.serving(
        Router::new()
            .route(
                "/",
                post(|mut desk: TypedSession<Desk>| async move { desk.set_visits(1) }),
            )
            .route(
                "/",
                get(|desk: TypedSession<Desk>| async move { desk.visits().to_string() }),
            ),
    );
    let mut browser = Browser::default();
    app.post(&mut browser, "/").await.cookie();
    site.clock.advance(5 * MINUTE);
    assert_eq!(app.get(&mut browser, "/").await.body, "0");
}

#[tokio::test]
async fn what_is_discarded_is_not_saved_by_a_commit_of_the_handlers_either() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let handler = |mut shop: ShopSession| async move {
        shop.discard();
        *shop.visits_mut() += 100;
        _ = shop.commit().await;
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    own.post(&mut browser, "/").await;
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

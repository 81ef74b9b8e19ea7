//! Rotation of the secret, and destruction of the session.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use session_tests::instrumented::Gate;

use crate::site::{Browser, ShopSession, Site};

#[tokio::test]
async fn a_privileged_write_rotates_the_secret_and_the_old_cookie_is_rejected_at_once() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let old = browser.clone();
    site.post(&mut browser, "/login/7").await.cookie();
    assert_ne!(old.cookie, browser.cookie);
    assert_eq!(old.value()[..20], browser.value()[..20], "the record is the same");
    assert_eq!(site.records.keys().len(), 1);

    let reply = site.get(&mut browser, "/read").await;
    assert_eq!(reply.json()["user"], 7);
    let reply = site.get(&mut old.clone(), "/read").await;
    assert!(reply.is_new());
    reply.assert_no_cookie();
    // A request with the old cookie cannot write, nor destroy the session.
    for path in ["/visit", "/logout", "/rotate"] {
        let reply = site.post(&mut old.clone(), path).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{path}");
        reply.assert_no_cookie();
    }
    assert_eq!(site.get(&mut browser, "/read").await.json()["user"], 7);
}

#[tokio::test]
async fn signing_in_again_as_the_same_user_rotates_the_secret() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/login/7").await.cookie();
    let old = browser.clone();
    site.post(&mut browser, "/login/7").await.cookie();
    assert!(site.get(&mut old.clone(), "/read").await.is_new());
    assert_eq!(site.get(&mut browser, "/read").await.json()["user"], 7);
}

/// A borrow is no sign-in.
#[tokio::test]
async fn borrowing_a_privileged_field_without_a_change_does_not_rotate() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        let user = shop.user_mut();
        let value = user.take();
        *user = value;
    };
    let borrowing = site.serving(Router::new().route("/", post(handler)));
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/login/7").await.cookie();
    site.reset_calls();
    borrowing.post(&mut browser, "/").await.assert_no_cookie();
    assert_eq!(site.durable.take_calls(), []);
}

#[tokio::test]
async fn an_explicit_rotation_accepts_the_old_secret_for_the_grace_period() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut old = browser.clone();
    site.post(&mut browser, "/rotate").await.cookie();
    assert_ne!(old.cookie, browser.cookie);
    // Parallel requests with the old secret can write, and do not replace the new cookie.
    let reply = site.post(&mut old, "/visit").await;
    assert_eq!(reply.visits(), 2);
    reply.assert_no_cookie();
    site.post(&mut old, "/rotate").await.assert_no_cookie();
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 3);
    site.clock.advance(Duration::from_secs(29));
    assert_eq!(site.get(&mut old, "/read").await.visits(), 3);
    site.clock.advance(Duration::from_secs(1));
    assert!(site.get(&mut old, "/read").await.is_new());
    // From then on it is like any dead one.
    site.post(&mut old, "/visit").await.cookie();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 3);
}

#[tokio::test]
async fn a_rotation_of_an_uncached_session_ends_the_old_secret() {
    let site = Site::with(|builder| builder.rotation_grace(Duration::ZERO)).await;
    let mut browser = Browser::default();
    // It is not cached before its first read.
    site.post(&mut browser, "/visit").await;
    let mut old = browser.clone();
    site.post(&mut browser, "/rotate").await.cookie();
    assert!(site.get(&mut old, "/read").await.is_new());
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

/// A handler that loads its session, waits at the gate, and then runs `action`.
fn slow(gate: &Gate, action: fn(&mut ShopSession)) -> axum::routing::MethodRouter<session_runtime::CascadeStore> {
    let gate = gate.clone();
    post(move |mut shop: ShopSession| async move {
        gate.pass().await;
        action(&mut shop);
    })
}

#[tokio::test]
async fn a_concurrent_login_rejects_every_write_with_the_old_secret() {
    let actions: [fn(&mut ShopSession); 3] = [
        |shop| *shop.visits_mut() += 1,
        |shop| shop.destroy(),
        |shop| shop.rotate(),
    ];
    for action in actions {
        let site = Site::new().await;
        let mut browser = site.visitor().await;
        let gate = Gate::new();
        let slow = site.serving(Router::new().route("/", slow(&gate, action)));
        let request = slow.spawn_post(&browser, "/");
        gate.reached().await;
        site.post(&mut browser, "/login/7").await.cookie();
        gate.release();
        let reply = request.await.unwrap();
        assert_eq!(reply.status, StatusCode::CONFLICT);
        reply.assert_no_cookie();
        let reply = site.get(&mut browser, "/read").await;
        assert_eq!((reply.visits(), reply.json()["user"].as_u64()), (1, Some(7)));
    }
}

/// The logout waits for the commit lock that the login holds.
#[tokio::test]
async fn a_logout_with_the_old_secret_that_waits_for_a_login_is_rejected() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let gate = site.durable.block("update");
    let login = site.spawn_post(&browser, "/login/7");
    gate.reached().await;
    let logout = site.spawn_post(&browser, "/logout");
    // Until the logout has loaded the session, and waits.
    while site.cache.take_calls().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    gate.release();
    let reply = login.await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    browser.take(&reply);
    let reply = logout.await.unwrap();
    assert_eq!(reply.status, StatusCode::CONFLICT);
    reply.assert_no_cookie();
    assert_eq!(site.get(&mut browser, "/read").await.json()["user"], 7);
}

#[tokio::test]
async fn a_late_commit_does_not_restore_a_destroyed_session() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let other = site.node(|builder| builder).await;
    for node in [&site, &other] {
        let mut browser = browser.clone();
        if node.get(&mut browser, "/read").await.is_new() {
            continue;
        }
        let gate = Gate::new();
        let slow = node.serving(Router::new().route("/", slow(&gate, |shop| *shop.visits_mut() += 1)));
        let request = slow.spawn_post(&browser, "/");
        gate.reached().await;
        let reply = site.post(&mut browser, "/logout").await;
        assert!(reply.cookie().contains("Max-Age=0"));
        gate.release();
        let reply = request.await.unwrap();
        assert_eq!(reply.status, StatusCode::CONFLICT);
        reply.assert_no_cookie();
    }
    site.settle().await;
    assert_eq!(site.records.keys(), Vec::<String>::new());
    for node in [&site, &other] {
        assert!(node.get(&mut browser, "/read").await.is_new());
    }
}

/// Another node destroys the session between the fence and the durable write of the commit.
#[tokio::test]
async fn a_destroy_wins_over_a_running_commit() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let other = site.node(|builder| builder).await;
    let gate = site.durable.block("update");
    let commit = site.spawn_post(&browser, "/visit");
    gate.reached().await;
    let reply = other.post(&mut browser.clone(), "/logout").await;
    assert_eq!(reply.status, StatusCode::OK);
    gate.release();
    assert_eq!(commit.await.unwrap().status, StatusCode::CONFLICT);
    site.settle().await;
    assert_eq!(site.records.keys(), Vec::<String>::new());
    assert!(site.get(&mut browser, "/read").await.is_new());
}

/// A commit of another node comes between the load and the delete of the destroy.
#[tokio::test]
async fn a_destroy_deletes_a_newer_record() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let other = site.node(|builder| builder).await;
    let gate = site.durable.block("delete");
    let logout = site.spawn_post(&browser, "/logout");
    gate.reached().await;
    assert_eq!(other.post(&mut browser.clone(), "/visit").await.visits(), 2);
    gate.release();
    assert!(logout.await.unwrap().cookie().contains("Max-Age=0"));
    assert_eq!(site.records.keys(), Vec::<String>::new());
    assert!(other.get(&mut browser, "/read").await.is_new());
}

#[tokio::test]
async fn a_server_error_discards_changes_but_not_a_destroy_or_a_rotation() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let reply = site.post(&mut browser, "/fail").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    reply.assert_no_cookie();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);

    let failing = |rotate: bool| {
        post(move |mut shop: ShopSession| async move {
            *shop.visits_mut() += 100;
            shop.set_user(Some(666));
            if rotate {
                shop.rotate();
            } else {
                shop.destroy();
            }
            StatusCode::BAD_GATEWAY
        })
    };
    let broken = site.serving(
        Router::new()
            .route("/rotate", failing(true))
            .route("/destroy", failing(false)),
    );
    let before = browser.clone();
    let reply = broken.post(&mut browser, "/rotate").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert_ne!(before.cookie, browser.cookie, "the browser has the new secret");
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!((reply.visits(), reply.json()["user"].as_u64()), (1, None));
    let reply = broken.post(&mut browser, "/destroy").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert!(reply.cookie().contains("Max-Age=0"));
    assert_eq!(site.records.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_error_creates_no_session() {
    let site = Site::new().await;
    site.post(&mut Browser::default(), "/fail").await.assert_no_cookie();
    site.assert_untouched();
}

#[tokio::test]
async fn destroying_a_missing_session_removes_its_cookie() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut again = browser.clone();
    site.post(&mut browser, "/logout").await.cookie();
    assert!(site.post(&mut again, "/logout").await.cookie().contains("Max-Age=0"));
    site.post(&mut Browser::default(), "/logout").await.assert_no_cookie();
}

#[tokio::test]
async fn a_session_gets_a_new_secret_as_often_as_the_builder_says() {
    let every = Duration::from_secs(600);
    let site = Site::with(|builder| builder.rotate_every(every)).await;
    let mut browser = site.visitor().await;
    let first = browser.clone();
    site.clock.advance(Duration::from_secs(599));
    site.get(&mut browser, "/read").await.assert_no_cookie();
    site.clock.advance(Duration::from_secs(1));
    site.get(&mut browser, "/read").await.cookie();
    assert_ne!(first.cookie, browser.cookie);
    // The secret before is accepted for the grace, and does not rotate again.
    let reply = site.get(&mut first.clone(), "/read").await;
    assert_eq!(reply.visits(), 1);
    reply.assert_no_cookie();
    site.clock.advance(Duration::from_secs(599));
    site.get(&mut browser, "/read").await.assert_no_cookie();
    site.clock.advance(Duration::from_secs(1));
    site.get(&mut browser, "/read").await.cookie();
}

#[tokio::test]
async fn rotate_now_ends_the_old_secret_at_once() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move { shop.rotate_now() };
    let rotating = site.serving(Router::new().route("/", post(handler)));
    let mut browser = site.visitor().await;
    let mut old = browser.clone();
    rotating.post(&mut browser, "/").await.cookie();
    assert!(site.get(&mut old, "/read").await.is_new());
    assert_eq!(site.post(&mut old, "/visit").await.status, StatusCode::CONFLICT);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

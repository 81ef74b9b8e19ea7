//! New secrets, what becomes of the old ones, and the end of a session.

use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use session_tests::instrumented::Gate;

use crate::site::{Browser, Here, Site};

#[tokio::test]
async fn a_privileged_write_gives_a_new_secret_and_the_old_cookie_is_dead_at_once() {
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
    // It can neither write nor log the browser out.
    for path in ["/visit", "/logout", "/rotate", "/login/8"] {
        let reply = site.post(&mut old.clone(), path).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{path}");
        reply.assert_no_cookie();
    }
    assert_eq!(site.get(&mut browser, "/read").await.json()["user"], 7);
}

#[tokio::test]
async fn writing_a_privileged_field_as_it_was_is_no_rotation() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/login/7").await.cookie();
    site.reset_calls();
    site.post(&mut browser, "/login/7").await.assert_no_cookie();
    assert_eq!(site.durable.take_calls(), []);
}

#[tokio::test]
async fn a_rotation_by_hand_honours_the_old_secret_for_its_grace() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut old = browser.clone();
    site.post(&mut browser, "/rotate").await.cookie();
    assert_ne!(old.cookie, browser.cookie);
    // Parallel requests of the page: they write, and leave the new cookie alone.
    let reply = site.post(&mut old, "/visit").await;
    assert_eq!(reply.visits(), 2);
    reply.assert_no_cookie();
    site.post(&mut old, "/rotate").await.assert_no_cookie();
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 3);
    site.clock.advance(Duration::from_secs(29));
    assert_eq!(site.get(&mut old, "/read").await.visits(), 3);
    site.clock.advance(Duration::from_secs(1));
    assert!(site.get(&mut old, "/read").await.is_new());
    assert_eq!(site.post(&mut old, "/visit").await.status, StatusCode::CONFLICT);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 3);
}

#[tokio::test]
async fn a_rotation_with_the_cached_record_evicted_still_ends_the_old_secret() {
    let site = Site::with(|builder| builder.rotation_grace(Duration::ZERO)).await;
    let mut browser = Browser::default();
    // Never read, so never cached.
    site.post(&mut browser, "/visit").await;
    let mut old = browser.clone();
    site.post(&mut browser, "/rotate").await.cookie();
    assert!(site.get(&mut old, "/read").await.is_new());
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

/// A handler that loads its session, waits, and then does `what`.
fn slow(gate: &Gate, what: fn(&mut Here)) -> axum::routing::MethodRouter<session_runtime::CascadeStore> {
    let gate = gate.clone();
    post(move |mut shop: Here| async move {
        gate.pass().await;
        what(&mut shop);
    })
}

/// A request to `/` of `site`, begun.
fn begin(site: &Site, browser: &Browser) -> tokio::task::JoinHandle<crate::site::Reply> {
    let (site, cookie) = (site.clone(), browser.cookie.clone());
    tokio::spawn(async move { site.send(Method::POST, "/", cookie.as_deref()).await })
}

#[tokio::test]
async fn a_login_under_way_elsewhere_stops_whoever_still_has_the_old_secret() {
    let whats: [fn(&mut Here); 4] = [
        |shop| *shop.visits_mut() += 1,
        |shop| shop.destroy(),
        |shop| shop.rotate(),
        |shop| shop.set_user(Some(666)),
    ];
    for what in whats {
        let site = Site::new().await;
        let mut browser = site.visitor().await;
        let gate = Gate::new();
        let slow = site.serving(Router::new().route("/", slow(&gate, what)));
        let request = begin(&slow, &browser);
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

/// The writer with the old secret waits in the process's queue, right behind the login.
#[tokio::test]
async fn who_queues_behind_a_login_cannot_destroy_what_it_left() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let gate = site.durable.block("update");
    let login = {
        let (site, mut browser) = (site.clone(), browser.clone());
        tokio::spawn(async move {
            let reply = site.post(&mut browser, "/login/7").await;
            (reply, browser)
        })
    };
    gate.reached().await;
    let old = browser.clone();
    let logout = {
        let (site, mut old) = (site.clone(), old.clone());
        tokio::spawn(async move { site.post(&mut old, "/logout").await })
    };
    // Behind the login's turn: it has loaded, and waits.
    while site.cache.take_calls().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    gate.release();
    let (reply, logged_in) = login.await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    browser = logged_in;
    let reply = logout.await.unwrap();
    assert_eq!(reply.status, StatusCode::CONFLICT);
    reply.assert_no_cookie();
    assert_eq!(site.get(&mut browser, "/read").await.json()["user"], 7);
}

#[tokio::test]
async fn what_is_destroyed_stays_dead_in_every_tier_whoever_commits_late() {
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
        let request = begin(&slow, &browser);
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

/// The commit is past its fence, and its durable write is still to come, when another node destroys the session.
#[tokio::test]
async fn a_destroy_wins_against_a_commit_that_is_half_way() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let other = site.node(|builder| builder).await;
    let gate = site.durable.block("update");
    let commit = {
        let (site, mut browser) = (site.clone(), browser.clone());
        tokio::spawn(async move { site.post(&mut browser, "/visit").await })
    };
    gate.reached().await;
    let reply = other.post(&mut browser.clone(), "/logout").await;
    assert_eq!(reply.status, StatusCode::OK);
    gate.release();
    assert_eq!(commit.await.unwrap().status, StatusCode::CONFLICT);
    site.settle().await;
    assert_eq!(site.records.keys(), Vec::<String>::new());
    assert!(site.get(&mut browser, "/read").await.is_new());
}

/// And the other way round: the destroy merges nothing and wins against a commit that came between.
#[tokio::test]
async fn a_destroy_that_meets_a_newer_record_destroys_that() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let other = site.node(|builder| builder).await;
    let gate = site.durable.block("delete");
    let logout = {
        let (site, mut browser) = (site.clone(), browser.clone());
        tokio::spawn(async move { site.post(&mut browser, "/logout").await })
    };
    gate.reached().await;
    assert_eq!(other.post(&mut browser.clone(), "/visit").await.visits(), 2);
    gate.release();
    assert!(logout.await.unwrap().cookie().contains("Max-Age=0"));
    assert_eq!(site.records.keys(), Vec::<String>::new());
    assert!(other.get(&mut browser, "/read").await.is_new());
}

#[tokio::test]
async fn a_failing_handler_loses_its_changes_but_not_its_destroy_or_its_rotation() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let reply = site.post(&mut browser, "/fail").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    reply.assert_no_cookie();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);

    let failing = |rotate: bool| {
        post(move |mut shop: Here| async move {
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
async fn a_failing_handler_creates_nothing() {
    let site = Site::new().await;
    site.post(&mut Browser::default(), "/fail").await.assert_no_cookie();
    site.assert_untouched();
}

#[tokio::test]
async fn to_destroy_what_is_not_there_removes_the_cookie_if_there_is_one() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let mut again = browser.clone();
    site.post(&mut browser, "/logout").await.cookie();
    assert!(site.post(&mut again, "/logout").await.cookie().contains("Max-Age=0"));
    site.post(&mut Browser::default(), "/logout").await.assert_no_cookie();
}

//! A secret that is replaced while a request that came with it is under way.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use session_runtime::CascadeStore;
use session_tests::instrumented::Gate;

use super::{begin, sid, until_it_waits};
use crate::site::{Browser, Reply, ShopSession, Site};

/// The browser that got this answer.
#[track_caller]
fn given(reply: &Reply) -> Browser {
    assert_eq!(reply.status, StatusCode::OK, "the login succeeds: {reply:?}");
    let mut browser = Browser::default();
    browser.take(reply);
    assert!(browser.cookie.is_some(), "it sets its cookie: {reply:?}");
    browser
}

async fn user(site: &Site, browser: &Browser) -> Value {
    site.get(&mut browser.clone(), "/read").await.json()["user"].take()
}

#[tokio::test]
async fn of_two_logins_at_once_in_one_process_both_succeed() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let gate = site.durable.block("update");
    let one = begin(&site, &browser, "/login/7");
    gate.reached().await;
    let two = begin(&site, &browser, "/login/8");
    until_it_waits().await;
    gate.release();
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    let (one, two) = (given(&one), given(&two));
    assert_ne!(sid(&one), sid(&two), "a session each");
    assert_eq!(user(&site, &one).await, 7);
    assert_eq!(user(&site, &two).await, 8);
    assert_eq!(site.records.keys().len(), 2);
}

#[tokio::test]
async fn of_two_logins_at_once_in_two_processes_both_succeed() {
    let site = Site::new().await;
    let other = site.node(|builder| builder).await;
    let browser = site.visitor().await;
    let gate = site.durable.block("update");
    let one = begin(&site, &browser, "/login/7");
    gate.reached().await;
    let two = begin(&other, &browser, "/login/7").await.unwrap();
    gate.release();
    let one = one.await.unwrap();
    let (one, two) = (given(&one), given(&two));
    assert_ne!(sid(&one), sid(&two), "a session each");
    for (site, browser) in [(&site, &one), (&other, &one), (&site, &two), (&other, &two)] {
        assert_eq!(user(site, browser).await, 7);
    }
}

/// A handler that loads its session, waits, and then logs in; with a commit of its own where `commits` says so.
fn slow_login(gate: &Gate, commits: bool) -> Router<CascadeStore> {
    let gate = gate.clone();
    let handler = move |mut shop: ShopSession| async move {
        gate.pass().await;
        shop.set_user(Some(8));
        if commits {
            let outcome = shop.commit().await;
            assert!(outcome.is_ok(), "{outcome:?}");
        }
    };
    Router::new().route("/", post(handler))
}

#[tokio::test]
async fn where_only_the_commit_finds_the_secret_superseded_a_login_gets_a_session_of_its_own() {
    for commits in [false, true] {
        let site = Site::new().await;
        let mut owner = site.visitor().await;
        site.post(&mut owner, "/note/hello").await;
        let gate = Gate::new();
        let slow = site.serving(slow_login(&gate, commits));
        let request = begin(&slow, &owner, "/");
        gate.reached().await;
        site.post(&mut owner, "/login/7").await.cookie();
        gate.release();
        let reply = request.await.expect("its own commit succeeds as well");
        let browser = given(&reply);
        assert_ne!(sid(&browser), sid(&owner), "it never joins the record that it knew");
        let reply = site.get(&mut browser.clone(), "/read").await.json();
        let expected = json!({ "is_new": false, "visits": 0, "note": null, "user": 8 });
        assert_eq!(reply, expected, "nothing of the record that it knew is in it");
        let reply = site.get(&mut owner, "/read").await.json();
        let expected = json!({ "is_new": false, "visits": 1, "note": "hello", "user": 7 });
        assert_eq!(reply, expected);
    }
}

/// A use that is to be noted queues behind the login, and finds the record that the login left.
#[tokio::test]
async fn a_clean_commit_that_queues_behind_a_login_shows_nothing_of_what_it_left() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    site.clock.advance(Duration::from_secs(180));
    let gate = site.durable.block("update");
    let login = begin(&site, &browser, "/login/7");
    gate.reached().await;
    let handler = |mut shop: ShopSession| async move {
        let before = *shop.user();
        let outcome = shop.commit().await;
        format!("{before:?} {:?} {}", shop.user(), outcome.is_ok())
    };
    let committing = site.serving(Router::new().route("/", post(handler)));
    let request = begin(&committing, &browser, "/");
    until_it_waits().await;
    gate.release();
    assert_eq!(login.await.unwrap().status, StatusCode::OK);
    let reply = request.await.unwrap();
    assert!(
        reply.body.starts_with("None None"),
        "a superseded secret is shown the new record: {}",
        reply.body
    );
    reply.assert_no_cookie();
}

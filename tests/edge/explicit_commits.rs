//! A handler that calls `commit`: the outcome it gets, and what happens to its later changes.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use session_runtime::{CascadeStore, Commit, CommitError};
use session_tests::instrumented::Gate;

use crate::site::{Browser, ShopSession, Site, read};

/// A handler that commits twice, and responds with both outcomes.
fn committing(gate: Gate, then: fn(&mut ShopSession)) -> Router<CascadeStore> {
    let handler = move |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        let first = shop.commit().await;
        gate.pass().await;
        let shown = *shop.visits();
        then(&mut shop);
        let second = shop.commit().await;
        let label = |outcome: &Result<Commit, CommitError>| match outcome {
            Ok(commit) => format!("{commit:?}"),
            Err(error) => format!("{error:?}").split(' ').next().unwrap().to_owned(),
        };
        format!("{} {shown} {}", label(&first), label(&second))
    };
    Router::new().route("/", post(handler)).route("/read", get(read))
}

#[tokio::test]
async fn a_failed_explicit_commit_can_be_retried_and_is_not_reported_as_clean() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let gate = Gate::new();
    let own = site.serving(committing(gate.clone(), |_| {}));
    site.durable.down();
    let request = own.spawn_post(&browser, "/");
    gate.reached().await;
    site.durable.up();
    gate.release();
    assert_eq!(request.await.unwrap().body, "Unavailable 2 Coherent");
    assert_eq!(own.get(&mut browser, "/read").await.visits(), 2, "once");
}

#[tokio::test]
async fn a_failed_explicit_commit_is_not_retried_with_the_response() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let handler = {
        let durable = site.durable.clone();
        move |mut shop: ShopSession| async move {
            *shop.visits_mut() += 1;
            durable.down();
            let outcome = shop.commit().await;
            durable.up();
            outcome.is_err().to_string()
        }
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let reply = own.post(&mut browser, "/").await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "true"));
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

#[tokio::test]
async fn a_session_that_is_too_large_can_be_made_smaller_and_committed() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let handler = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        shop.set_note(Some("x".repeat(5000)));
        assert!(matches!(shop.commit().await, Err(CommitError::TooLarge { .. })));
        shop.set_note(Some("short".into()));
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    assert_eq!(own.post(&mut browser, "/").await.status, StatusCode::OK);
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!((reply.visits(), reply.json()["note"].as_str()), (2, Some("short")));
}

#[tokio::test]
async fn changes_after_a_commit_are_committed_with_the_response() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        assert_eq!(shop.commit().await.unwrap(), Commit::Coherent);
        assert_eq!(shop.commit().await.unwrap(), Commit::Clean);
        *shop.visits_mut() += 1;
        shop.set_user(Some(7));
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    let mut browser = Browser::default();
    own.post(&mut browser, "/").await.cookie();
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!((reply.visits(), reply.json()["user"].as_u64()), (2, Some(7)));
    assert_eq!(site.records.keys().len(), 1);
}

#[tokio::test]
async fn after_an_explicitly_committed_destroy_the_request_can_create_a_session() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let old = browser.clone();
    let handler = |mut shop: ShopSession| async move {
        shop.destroy();
        shop.commit().await.unwrap();
        assert!(shop.is_new() && *shop.visits() == 0);
        shop.set_note(Some("bye".into()));
    };
    let own = site.serving(Router::new().route("/", post(handler)));
    own.post(&mut browser, "/").await.cookie();
    assert_ne!(old.value()[..20], browser.value()[..20]);
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!((reply.visits(), reply.json()["note"].as_str()), (0, Some("bye")));
    assert!(site.get(&mut old.clone(), "/read").await.is_new());
}

//! A secret that was replaced: what its bearer may do yet, within the grace of the latest rotation and after it.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::sid;
use crate::site::{Browser, Reply, Site};

const GRACE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);
/// A second short of the grace.
const NEARLY: Duration = Duration::from_secs(29);

/// A browser that has logged in, and what it showed before: the login's response may have been lost.
async fn logged_in() -> (Site, Browser, Browser) {
    let site = Site::new().await;
    let mut owner = site.visitor().await;
    site.post(&mut owner, "/note/hello").await;
    let old = owner.clone();
    site.post(&mut owner, "/login/7").await.cookie();
    (site, owner, old)
}

async fn shown(site: &Site, browser: &Browser) -> Value {
    let mut shown = site.get(&mut browser.clone(), "/read").await.json();
    shown.as_object_mut().unwrap().remove("is_new");
    shown
}

/// The session of the owner is as it was left.
async fn assert_untouched(site: &Site, owner: &Browser) {
    let expected = json!({ "visits": 1, "note": "hello", "user": 7 });
    assert_eq!(shown(site, owner).await, expected, "the owner's session is left alone");
}

#[track_caller]
fn assert_refused(reply: &Reply, why: &str) {
    assert_eq!(reply.status, StatusCode::CONFLICT, "{why}: {reply:?}");
    reply.assert_no_cookie();
}

#[tokio::test]
async fn a_privileged_write_with_a_superseded_secret_begins_a_session_of_its_own() {
    let (site, owner, mut old) = logged_in().await;
    let reply = site.post(&mut old, "/login/8").await;
    assert_eq!(
        reply.status,
        StatusCode::OK,
        "a privileged write begins a session of its own: {reply:?}"
    );
    reply.cookie();
    assert_ne!(sid(&old), sid(&owner), "it never joins the record that it knew");
    let expected = json!({ "visits": 0, "note": null, "user": 8 });
    assert_eq!(
        shown(&site, &old).await,
        expected,
        "nothing of the other record is in it"
    );
    assert_untouched(&site, &owner).await;
    assert_eq!(site.records.keys().len(), 2);
}

#[tokio::test]
async fn a_lost_login_response_locks_nobody_out_however_often_it_is_lost() {
    let (site, owner, old) = logged_in().await;
    for attempt in 1..=3 {
        let mut browser = old.clone();
        let reply = site.post(&mut browser, "/login/7").await;
        assert_eq!(
            reply.status,
            StatusCode::OK,
            "the login counts, attempt {attempt}: {reply:?}"
        );
        reply.cookie();
        assert_eq!(shown(&site, &browser).await["user"], 7);
        // And the browser is in: it can write.
        assert_eq!(site.post(&mut browser, "/visit").await.visits(), 1);
    }
    assert_untouched(&site, &owner).await;
}

#[tokio::test]
async fn after_the_grace_a_superseded_cookie_is_a_new_visitors() {
    for path in ["/visit", "/note/mine", "/login/8"] {
        let (site, owner, mut old) = logged_in().await;
        site.clock.advance(NEARLY);
        assert!(site.get(&mut old, "/read").await.is_new());
        assert_refused(&site.post(&mut old, "/visit").await, "within the grace");
        site.clock.advance(SECOND);
        let reply = site.get(&mut old, "/read").await;
        assert!(reply.is_new());
        reply.assert_no_cookie();
        let reply = site.post(&mut old, path).await;
        assert_eq!(
            reply.status,
            StatusCode::OK,
            "{path} after the grace makes a session: {reply:?}"
        );
        reply.cookie();
        assert_ne!(sid(&old), sid(&owner));
        assert!(!site.get(&mut old, "/read").await.is_new());
        assert_untouched(&site, &owner).await;
    }
}

#[tokio::test]
async fn after_the_grace_a_superseded_cookie_has_nothing_left_to_end_or_to_rotate() {
    for path in ["/logout", "/rotate"] {
        let (site, owner, mut old) = logged_in().await;
        site.clock.advance(GRACE);
        let reply = site.post(&mut old, path).await;
        assert_eq!(
            reply.status,
            StatusCode::OK,
            "{path} as with any dead cookie: {reply:?}"
        );
        assert_untouched(&site, &owner).await;
    }
}

/// The grace is that of the latest rotation: what the owner does in between neither ends it nor draws it out.
#[tokio::test]
async fn the_owners_writes_do_not_draw_the_grace_out() {
    let (site, mut owner, mut old) = logged_in().await;
    for _ in 0..29 {
        site.clock.advance(SECOND);
        site.post(&mut owner, "/visit").await;
        assert_refused(&site.post(&mut old, "/visit").await, "within the grace");
    }
    site.clock.advance(SECOND);
    site.post(&mut owner, "/visit").await;
    let reply = site.post(&mut old, "/visit").await;
    assert_eq!(
        reply.status,
        StatusCode::OK,
        "30 seconds after the rotation it is a new visitor: {reply:?}"
    );
    assert_eq!(reply.visits(), 1);
    assert_eq!(shown(&site, &owner).await["visits"], 31);
}

#[tokio::test]
async fn after_a_rotation_by_hand_and_its_grace_the_old_cookie_is_a_new_visitors_too() {
    let site = Site::new().await;
    let mut owner = site.visitor().await;
    let mut old = owner.clone();
    site.post(&mut owner, "/rotate").await.cookie();
    site.clock.advance(GRACE);
    let reply = site.post(&mut old, "/visit").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    reply.cookie();
    assert_ne!(sid(&old), sid(&owner));
    assert_eq!(site.get(&mut owner, "/read").await.visits(), 1);
}

#[tokio::test]
async fn any_secret_of_the_session_that_is_not_current_is_superseded_for_the_latest_grace() {
    let site = Site::new().await;
    let mut owner = site.visitor().await;
    let oldest = owner.clone();
    site.post(&mut owner, "/rotate").await.cookie();
    site.clock.advance(NEARLY);
    site.post(&mut owner, "/rotate").await.cookie();
    site.clock.advance(2 * SECOND);
    assert_refused(
        &site.post(&mut oldest.clone(), "/visit").await,
        "of the rotation before the latest, within the latest's grace",
    );
    let mut browser = oldest.clone();
    let reply = site.post(&mut browser, "/login/8").await;
    assert_eq!(reply.status, StatusCode::OK, "a session of its own: {reply:?}");
    assert_ne!(sid(&browser), sid(&owner));
    site.clock.advance(GRACE);
    let mut browser = oldest.clone();
    let reply = site.post(&mut browser, "/visit").await;
    assert_eq!(reply.status, StatusCode::OK, "a new visitor: {reply:?}");
    assert_ne!(sid(&browser), sid(&owner));
    assert_eq!(site.get(&mut owner, "/read").await.visits(), 1);
}

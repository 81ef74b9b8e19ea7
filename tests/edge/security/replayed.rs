//! Cookies that were valid once.

use std::time::Duration;

use axum::http::{Method, StatusCode};

use super::ids;
use crate::site::{Browser, Site};

/// Whoever sends the old cookie sees nothing of the session, and what is written begins another one.
async fn assert_dead(site: &Site, old: &Browser) {
    let reply = site.send(Method::GET, "/read", old.cookie.as_deref()).await;
    assert!(reply.is_new());
    assert_eq!((reply.visits(), reply.json()["note"].as_str()), (0, None));
    reply.assert_no_cookie();
    let mut browser = old.clone();
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 1);
    let ((old_sid, old_secret), (sid, secret)) = (ids(old), ids(&browser));
    assert!(sid != old_sid && secret != old_secret, "the old id was taken over");
}

async fn with_note(site: &Site) -> Browser {
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/note/hush-hush").await;
    browser
}

#[tokio::test]
async fn after_a_logout_a_replayed_cookie_is_a_visitors() {
    let site = Site::new().await;
    let browser = with_note(&site).await;
    let removal = site.post(&mut browser.clone(), "/logout").await.cookie();
    assert!(
        removal.starts_with("__Host-shop=;") && removal.contains("Max-Age=0"),
        "{removal}"
    );
    assert_eq!(site.records.keys().len(), 0);
    assert_dead(&site, &browser).await;
    let other_node = site.node(|builder| builder).await;
    assert_dead(&other_node, &browser).await;
}

#[tokio::test]
async fn after_a_rotation_a_replayed_cookie_is_a_visitors() {
    let site = Site::new().await;
    let mut browser = with_note(&site).await;
    let old = browser.clone();
    site.post(&mut browser, "/rotate").await.cookie();
    site.clock.advance(Duration::from_secs(30));
    assert_dead(&site, &old).await;
    assert_eq!(site.get(&mut browser, "/read").await.json()["note"], "hush-hush");
}

#[tokio::test]
async fn after_a_sign_in_a_replayed_cookie_reads_and_writes_nothing() {
    let site = Site::new().await;
    let mut browser = with_note(&site).await;
    let old = browser.clone();
    site.post(&mut browser, "/login/7").await.cookie();
    // At once, as long as the session lives on: neither its note nor its user, and no write.
    let reply = site.get(&mut old.clone(), "/read").await;
    assert_eq!(
        (
            reply.is_new(),
            reply.json()["note"].as_str(),
            reply.json()["user"].as_u64()
        ),
        (true, None, None)
    );
    for path in ["/visit", "/note/mine", "/logout"] {
        let reply = site.post(&mut old.clone(), path).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{path}");
        reply.assert_no_cookie();
    }
    assert_eq!(site.get(&mut browser, "/read").await.json()["note"], "hush-hush");
    site.clock.advance(Duration::from_secs(30));
    assert_dead(&site, &old).await;
}

#[tokio::test]
async fn after_its_idle_or_absolute_end_a_replayed_cookie_is_a_visitors() {
    let site = Site::new().await;
    let browser = with_note(&site).await;
    site.clock.advance(Duration::from_mins(20));
    assert_dead(&site, &browser).await;

    let site = Site::with(|builder| builder.max_age(Duration::from_mins(60))).await;
    let mut browser = with_note(&site).await;
    for _ in 0..5 {
        site.clock.advance(Duration::from_mins(11));
        assert!(
            !site.get(&mut browser, "/read").await.is_new(),
            "it is used, so it does not end yet"
        );
    }
    site.clock.advance(Duration::from_mins(5));
    assert_dead(&site, &browser).await;
}

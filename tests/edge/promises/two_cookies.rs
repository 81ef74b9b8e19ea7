//! More than one cookie of the session's name, each signed by this server: paths and domains can differ.

use axum::http::{Method, StatusCode};

use super::sid;
use crate::site::{Browser, Site};

/// One header with the cookies of these browsers, in this order.
fn together<'a>(browsers: impl IntoIterator<Item = &'a Browser>) -> String {
    let cookies: Vec<_> = browsers
        .into_iter()
        .map(|browser| browser.cookie.clone().unwrap())
        .collect();
    cookies.join("; ")
}

/// A browser with the cookie of a session that was destroyed.
async fn dead(site: &Site) -> Browser {
    let browser = site.visitor().await;
    site.post(&mut browser.clone(), "/logout").await.cookie();
    browser
}

async fn live(site: &Site) -> Browser {
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/note/live").await;
    browser
}

async fn note(site: &Site, header: &str) -> Option<String> {
    let reply = site.send(Method::GET, "/read", Some(header)).await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.json()["note"].as_str().map(ToOwned::to_owned)
}

#[tokio::test]
async fn behind_a_dead_one_the_live_one_is_found() {
    let site = Site::new().await;
    let (dead, live) = (dead(&site).await, live(&site).await);
    for header in [together([&live, &dead]), together([&dead, &live])] {
        assert_eq!(
            note(&site, &header).await.as_deref(),
            Some("live"),
            "the live one is not found"
        );
        let reply = site.send(Method::POST, "/visit", Some(&header)).await;
        assert_eq!(reply.status, StatusCode::OK);
        reply.assert_no_cookie();
    }
    assert_eq!(site.get(&mut live.clone(), "/read").await.visits(), 3);
}

#[tokio::test]
async fn behind_a_superseded_one_the_current_one_is_found() {
    let site = Site::new().await;
    let mut live = live(&site).await;
    let old = live.clone();
    site.post(&mut live, "/login/7").await.cookie();
    for header in [together([&live, &old]), together([&old, &live])] {
        assert_eq!(
            note(&site, &header).await.as_deref(),
            Some("live"),
            "the current one is not found"
        );
        let reply = site.send(Method::POST, "/visit", Some(&header)).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply.assert_no_cookie();
    }
    // A privileged write rotates the session that it belongs to, and begins none.
    let reply = site
        .send(Method::POST, "/login/7", Some(&together([&old, &live])))
        .await;
    reply.cookie();
    assert_eq!(site.records.keys().len(), 1);
}

#[tokio::test]
async fn four_are_looked_up_and_no_more() {
    let site = Site::new().await;
    let mut browsers = Vec::new();
    for _ in 0..3 {
        browsers.push(dead(&site).await);
    }
    browsers.push(live(&site).await);
    let header = together(&browsers);
    assert_eq!(
        note(&site, &header).await.as_deref(),
        Some("live"),
        "the fourth is not found"
    );
    let live = browsers.pop().unwrap();
    for _ in 0..4 {
        browsers.push(dead(&site).await);
    }
    browsers.push(live);
    let header = together(&browsers);
    // Each is in the cache, so that a lookup is one call.
    note(&site, &header).await;
    site.settle().await;
    site.reset_calls();
    note(&site, &header).await;
    let total = |calls: Vec<(&str, usize)>| calls.into_iter().map(|(_, count)| count).sum::<usize>();
    let (cache, durable) = (total(site.cache.take_calls()), total(site.durable.take_calls()));
    assert!(
        cache <= 4 && durable == 0,
        "of 8 cookies 4 are looked up, not {cache} and {durable}"
    );
}

#[tokio::test]
async fn a_destroy_ends_every_current_session_that_the_request_presented() {
    let site = Site::new().await;
    let (one, two) = (live(&site).await, live(&site).await);
    assert_ne!(sid(&one), sid(&two));
    let reply = site.send(Method::POST, "/logout", Some(&together([&one, &two]))).await;
    assert!(reply.cookie().contains("Max-Age=0"));
    assert_eq!(
        site.records.keys(),
        Vec::<String>::new(),
        "a session that was presented lives on"
    );
    for browser in [one, two] {
        assert!(site.get(&mut browser.clone(), "/read").await.is_new());
    }
}

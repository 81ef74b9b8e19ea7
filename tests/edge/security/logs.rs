//! What is logged, at every level, while sessions live, fail and are attacked.

use axum::http::{Method, StatusCode};
use session_runtime::tier::CacheTier;
use tracing::level_filters::LevelFilter;

use super::{cookie, ids};
use crate::leaks::assert_hides;
use crate::promises::log::Log;
use crate::site::{Browser, Site};
use crate::spans::Spans;

/// A life of a session in which everything happens that is logged; the browsers whose cookies were given.
async fn live(site: &Site) -> Vec<Browser> {
    let mut browser = site.visitor().await;
    let mut seen = vec![browser.clone()];
    site.post(&mut browser, "/note/hush-hush").await;
    site.post(&mut browser, "/login/7").await.cookie();
    seen.push(browser.clone());
    // Superseded, forged, replayed.
    let mut old = seen[0].clone();
    assert_eq!(
        site.post(&mut old, "/note/hush-hush").await.status,
        StatusCode::CONFLICT
    );
    let forged = cookie(&format!("{}{}", &browser.value()[..60], &seen[0].value()[60..]));
    assert!(site.send(Method::GET, "/read", Some(&forged)).await.is_new());
    // Outages, and what is left of them.
    site.cache.down();
    site.post(&mut browser, "/note/hush-hush-2").await;
    site.durable.down();
    for (method, path) in [
        (Method::GET, "/read"),
        (Method::POST, "/note/hush-hush"),
        (Method::POST, "/logout"),
    ] {
        let status = site.send(method, path, browser.cookie.as_deref()).await.status;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    site.cache.up();
    site.durable.up();
    site.settle().await;
    // Poison in the cache, and in the durable tier.
    let key = site.records.keys().remove(0);
    let poison = || bytes::Bytes::from_static(b"hush-hush");
    let ttl = std::time::Duration::from_mins(1);
    site.tiers.0.set(&key, poison(), ttl).await.unwrap();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    site.settle().await;
    let whole = site.records.value(&key).unwrap();
    site.records.overwrite(&key, poison());
    site.tiers.0.set(&key, poison(), ttl).await.unwrap();
    for (method, path) in [
        (Method::GET, "/read"),
        (Method::POST, "/visit"),
        (Method::POST, "/logout"),
    ] {
        let status = site.send(method, path, browser.cookie.as_deref()).await.status;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    site.records.overwrite(&key, whole);
    site.tiers.0.set(&key, poison(), ttl).await.unwrap();
    // Too large, a server error, and the end.
    let long = format!("/note/hush-hush{}", "x".repeat(5000));
    assert_eq!(
        site.post(&mut browser, &long).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    site.post(&mut browser, "/fail").await;
    site.post(&mut browser, "/rotate").await.cookie();
    seen.push(browser.clone());
    site.post(&mut browser.clone(), "/logout").await.cookie();
    assert!(site.get(&mut browser, "/read").await.is_new());
    site.settle().await;
    seen
}

#[tokio::test]
async fn no_level_of_the_log_shows_an_id_a_secret_a_cookie_a_key_or_a_field() {
    let site = Site::new().await;
    let log = Log::capture_all();
    let seen = live(&site).await;
    tracing::trace!("the end");
    let text = log.text();
    assert!(
        text.contains("the end") && text.contains("shop"),
        "nothing is captured: {text}"
    );
    assert_shows_nothing(&text, &seen);
}

#[tokio::test]
async fn no_span_shows_an_id_a_secret_a_cookie_a_key_or_a_field() {
    let site = Site::new().await;
    let spans = Spans::capture(LevelFilter::TRACE);
    let seen = live(&site).await;
    let text = spans.text();
    for name in ["session.load", "session.commit", "session.tier", "shop", "unavailable"] {
        assert!(text.contains(name), "{name} is not captured: {text}");
    }
    assert_shows_nothing(&text, &seen);
}

#[track_caller]
fn assert_shows_nothing(text: &str, seen: &[Browser]) {
    assert_hides(text, b"hush");
    assert_hides(text, &[1; 32]);
    for browser in seen {
        let (sid, secret) = ids(browser);
        for part in [&sid[..], &secret, browser.value().as_bytes()] {
            assert_hides(text, part);
        }
    }
}

//! What an application and `tracing` are told of sessions.

use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode};
use session_runtime::SessionEvent;
use tracing::Level;

use crate::promises::log::Log;
use crate::site::{Browser, FullBuilder, Site};

/// The events so far, as `label`s.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<SessionEvent>>>);

impl Heard {
    fn listening(&self) -> impl FnOnce(FullBuilder) -> FullBuilder + use<> {
        let heard = self.clone();
        move |builder| builder.on_event(move |event| heard.0.lock().unwrap().push(*event))
    }

    /// What was heard since the last call.
    fn take(&self) -> Vec<&'static str> {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        assert!(events.iter().all(|event| event.session() == "shop"), "{events:?}");
        events.iter().map(SessionEvent::label).collect()
    }
}

async fn site() -> (Site, Heard) {
    let heard = Heard::default();
    (Site::with(heard.listening()).await, heard)
}

#[tokio::test]
async fn the_life_of_a_session_is_told() {
    let (site, heard) = site().await;
    let mut browser = Browser::default();
    site.get(&mut browser, "/read").await;
    assert_eq!(heard.take(), [""; 0], "there is no session yet");
    site.post(&mut browser, "/visit").await;
    assert_eq!(heard.take(), ["created"]);
    site.post(&mut browser, "/visit").await;
    site.get(&mut browser, "/read").await;
    assert_eq!(heard.take(), [""; 0], "what is used and changed is no news");
    site.post(&mut browser, "/rotate").await;
    assert_eq!(heard.take(), ["rotated"]);
    site.post(&mut browser, "/login/7").await;
    assert_eq!(heard.take(), ["signed-in"], "the rotation goes without saying");
    site.post(&mut browser, "/logout").await;
    assert_eq!(heard.take(), ["destroyed"]);
}

#[tokio::test]
async fn a_visitor_that_signs_in_has_created_a_session_first() {
    let (site, heard) = site().await;
    site.post(&mut Browser::default(), "/login/7").await.cookie();
    assert_eq!(heard.take(), ["created", "signed-in"]);
}

#[tokio::test]
async fn what_was_not_done_is_not_told() {
    let (site, heard) = site().await;
    site.durable.down();
    let reply = site.post(&mut Browser::default(), "/visit").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(heard.take(), [""; 0]);
    site.durable.up();
    let mut browser = site.visitor().await;
    heard.take();
    site.durable.down();
    for path in ["/rotate", "/login/7", "/logout"] {
        let reply = site.post(&mut browser, path).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    assert_eq!(heard.take(), [""; 0]);
}

#[tokio::test]
async fn a_superseded_secret_is_told_once_for_each_request() {
    let (site, heard) = site().await;
    let mut browser = site.visitor().await;
    let mut old = browser.clone();
    site.post(&mut browser, "/login/7").await.cookie();
    heard.take();
    site.get(&mut old, "/read").await;
    assert_eq!(heard.take(), ["superseded-token"]);
    assert_eq!(site.post(&mut old, "/visit").await.status, StatusCode::CONFLICT);
    assert_eq!(heard.take(), ["superseded-token"]);
    site.post(&mut old, "/login/8").await.cookie();
    assert_eq!(heard.take(), ["superseded-token", "created", "signed-in"]);
}

#[tokio::test]
async fn so_is_one_that_only_the_commit_finds() {
    let (site, heard) = site().await;
    let mut browser = site.visitor().await;
    heard.take();
    let gate = site.durable.block("update");
    let first = site.spawn_post(&browser, "/login/7");
    gate.reached().await;
    let second = site.spawn_post(&browser, "/login/7");
    tokio::task::yield_now().await;
    gate.release();
    browser.take(&first.await.unwrap());
    second.await.unwrap().cookie();
    assert_eq!(heard.take(), ["signed-in", "superseded-token", "created", "signed-in"]);
}

#[tokio::test]
async fn a_forged_cookie_is_told_and_no_other_stranger() {
    let (site, heard) = site().await;
    let browser = site.visitor().await;
    heard.take();
    let mut flipped = browser.value().to_owned().into_bytes();
    flipped[40] = if flipped[40] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for (cookie, expected) in [
        (format!("__Host-shop={flipped}"), &["forged-token"][..]),
        ("__Host-shop=x".to_owned(), &["forged-token"]),
        (
            format!("__Host-shop=x; {}", browser.cookie.clone().unwrap()),
            &["forged-token"],
        ),
        ("__Host-shop=".to_owned(), &[]),
        ("__Host-cart=x; shop=y".to_owned(), &[]),
        (browser.cookie.clone().unwrap(), &[]),
    ] {
        site.send(Method::GET, "/read", Some(&cookie)).await;
        assert_eq!(heard.take(), expected, "{cookie}");
    }
}

#[tokio::test]
async fn an_outage_of_the_cache_is_told_and_its_repair() {
    let (site, heard) = site().await;
    let mut browser = site.visitor().await;
    heard.take();
    site.cache.down();
    site.get(&mut browser, "/read").await;
    assert_eq!(heard.take(), ["degraded"]);
    site.post(&mut browser, "/visit").await;
    assert_eq!(heard.take(), ["degraded", "degraded"], "the load, and the commit");
    assert_eq!(site.store.pending_invalidations(), 1);
    site.cache.up();
    site.settle().await;
    assert_eq!(site.store.pending_invalidations(), 0);
    assert_eq!(heard.take(), ["repaired"]);
}

#[tokio::test]
async fn a_listener_that_panics_changes_nothing() {
    let site = Site::with(|builder| builder.on_event(|event| panic!("{}", event.label()))).await;
    let log = Log::capture();
    let mut browser = Browser::default();
    let reply = site.post(&mut browser, "/visit").await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.cookie();
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 2);
    assert!(
        log.of(Level::ERROR).contains("on_event"),
        "it is logged: {}",
        log.text()
    );
}

#[tokio::test]
async fn tracing_is_told_the_same_with_a_hash_in_place_of_any_id() {
    let site = Site::new().await;
    let log = Log::capture();
    let mut browser = Browser::default();
    site.post(&mut browser, "/visit").await;
    let sid = browser.value()[..20].to_owned();
    site.post(&mut browser, "/login/7").await;
    site.send(Method::GET, "/read", Some("__Host-shop=forged")).await;
    site.post(&mut browser, "/logout").await;
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("session_runtime::event"));
    let lines: Vec<_> = lines.collect();
    let word = |line: &str, field: &str| {
        let at = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix(field)?.strip_prefix('='));
        at.map(|value| value.trim_matches('"').to_owned())
    };
    let events: Vec<_> = lines.iter().filter_map(|line| word(line, "event")).collect();
    assert_eq!(events, ["created", "signed-in", "forged-token", "destroyed"], "{text}");
    let hashes: Vec<_> = lines.iter().map(|line| word(line, "key")).collect();
    let hash = hashes[0].clone().unwrap();
    assert!(
        hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{hash}"
    );
    assert_eq!(hashes, [Some(hash.clone()), Some(hash.clone()), None, Some(hash)]);
    assert!(!text.contains(&sid), "{text}");
}

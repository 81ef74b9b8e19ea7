//! What a flood of cookies that count no more costs the tiers, and the owner.

use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use session_runtime::TypedSession;

use super::{Other, begin, until_it_waits};
use crate::site::{Browser, Site};

const FLOOD: usize = 20;

/// How often this call is among those.
fn count(calls: &[(&str, usize)], call: &str) -> usize {
    calls
        .iter()
        .find(|(name, _)| *name == call)
        .map_or(0, |(_, count)| *count)
}

/// A browser that has logged in, with its session in the cache, and what it showed before.
async fn logged_in() -> (Site, Browser, Browser) {
    let site = Site::new().await;
    let mut owner = site.visitor().await;
    let old = owner.clone();
    site.post(&mut owner, "/login/7").await.cookie();
    site.warm(&mut owner).await;
    (site, owner, old)
}

#[tokio::test]
async fn a_superseded_cookie_costs_one_durable_lookup_however_often_it_is_sent() {
    let (site, mut owner, mut old) = logged_in().await;
    for _ in 0..FLOOD {
        site.clock.advance(Duration::from_millis(1));
        assert!(site.get(&mut old, "/read").await.is_new());
        site.settle().await;
    }
    let (cache, durable) = (site.cache.take_calls(), site.durable.take_calls());
    assert!(
        count(&durable, "read") <= 1,
        "one durable lookup for {FLOOD} requests: {durable:?}"
    );
    assert_eq!(
        count(&cache, "swap") + count(&cache, "set") + count(&cache, "remove"),
        0,
        "the owner's cached value is left where it is: {cache:?}"
    );
    assert_eq!(site.get(&mut owner, "/read").await.json()["user"], 7);
    assert_eq!(
        (site.cache.take_calls(), site.durable.take_calls()),
        (vec![("get", 1)], vec![])
    );
}

#[tokio::test]
async fn while_a_superseded_cookie_is_looked_up_the_owner_is_served_from_the_cache() {
    let (site, mut owner, old) = logged_in().await;
    site.clock.advance(Duration::from_millis(1));
    let gate = site.durable.block("read");
    let (flooding, cookie) = (site.clone(), old.cookie.clone());
    let flood = tokio::spawn(async move { flooding.send(Method::GET, "/read", cookie.as_deref()).await });
    until_it_waits().await;
    site.reset_calls();
    let reply = site.get(&mut owner, "/read").await;
    assert_eq!(reply.json()["user"], 7);
    assert_eq!(
        (site.cache.take_calls(), site.durable.take_calls()),
        (vec![("get", 1)], vec![]),
        "the owner's cached value was unseated"
    );
    gate.release();
    assert!(flood.await.unwrap().is_new());
}

#[tokio::test]
async fn a_flood_of_superseded_writes_costs_one_durable_lookup_too() {
    let (site, _, old) = logged_in().await;
    let mut requests = Vec::new();
    for _ in 0..FLOOD {
        site.clock.advance(Duration::from_millis(1));
        requests.push(begin(&site, &old, "/visit"));
        until_it_waits().await;
    }
    for request in requests {
        assert_eq!(request.await.unwrap().status, StatusCode::CONFLICT);
    }
    site.settle().await;
    let durable = site.durable.take_calls();
    assert!(
        count(&durable, "read") <= 1,
        "one durable lookup for {FLOOD} requests: {durable:?}"
    );
}

/// Without a cache there is no tombstone that would answer in the place of the durable tier.
#[tokio::test]
async fn a_dead_cookie_costs_one_durable_lookup_without_a_cache_too() {
    let site = Site::new().await;
    let site = site.serving(
        Router::new()
            .route(
                "/visit",
                post(|mut other: TypedSession<Other>| async move { *other.visits_mut() += 1 }),
            )
            .route(
                "/logout",
                post(|mut other: TypedSession<Other>| async move { other.destroy() }),
            )
            .route(
                "/read",
                get(|other: TypedSession<Other>| async move { other.is_new().to_string() }),
            ),
    );
    let mut browser = Browser::default();
    site.post(&mut browser, "/visit").await.cookie();
    let mut dead = browser.clone();
    site.post(&mut browser, "/logout").await.cookie();
    site.reset_calls();
    for _ in 0..FLOOD {
        site.clock.advance(Duration::from_millis(1));
        assert_eq!(site.get(&mut dead, "/read").await.body, "true");
    }
    let durable = site.durable.take_calls();
    assert!(
        count(&durable, "read") <= 1,
        "one durable lookup for {FLOOD} requests: {durable:?}"
    );
}

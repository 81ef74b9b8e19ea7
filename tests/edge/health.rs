//! What `store.check()` finds out, and what it leaves as it was.

use std::error::Error;
use std::time::Duration;

use axum::http::StatusCode;
use session_runtime::tier::embedded::LocalCache;
use session_runtime::{CascadeStore, Degraded, TierHealth};
use session_tests::instrumented::Instrumented;
use session_tests::memory::MemoryStore;

use crate::site::{Site, keys};

#[tokio::test]
async fn each_tier_answers_one_read_and_nothing_is_written() {
    let site = Site::new().await;
    let health = site.store.check().await;
    assert_eq!(site.cache.take_calls(), [("get", 1)]);
    assert_eq!(site.durable.take_calls(), [("read", 1)]);
    assert!(site.records.keys().is_empty());
    let (cache, durable) = (health.cache.as_ref().unwrap(), health.durable.as_ref().unwrap());
    assert_eq!((cache.name, cache.product), ("local-cache", "local-cache"));
    assert!(cache.is_reachable() && durable.is_reachable() && health.is_serving());
    assert_eq!(health.degraded(), []);
    assert!(!health.is_without_cache);
}

#[tokio::test]
async fn a_tier_that_is_down_is_told_with_its_error_and_the_authority_decides() {
    let site = Site::new().await;
    site.cache.down();
    let health = site.store.check().await;
    assert!(health.is_serving(), "the durable tier answers");
    assert_eq!(health.degraded(), [Degraded::Unreachable { tier: "local-cache" }]);
    let error = health.cache.unwrap().error.unwrap();
    assert_eq!(error.to_string(), "instrumented is unavailable (get)");

    site.cache.up();
    site.durable.down();
    let health = site.store.check().await;
    assert!(!health.is_serving() && health.cache.as_ref().unwrap().is_reachable());
    let tier = health.durable.as_ref().unwrap().name;
    assert_eq!(health.degraded(), [Degraded::Unreachable { tier }]);
    assert_eq!(health.degraded()[0].to_string(), format!("{tier} does not answer"));

    site.durable.up();
    assert!(site.store.check().await.is_serving());
}

#[tokio::test]
async fn the_cache_decides_where_it_is_the_only_tier() {
    let (cache, control) = Instrumented::new(LocalCache::new());
    let store = CascadeStore::builder(keys(&[1])).memcache(cache).build().await.unwrap();
    let health = store.check().await;
    assert!(health.is_serving() && health.durable.is_none());
    control.down();
    assert!(!store.check().await.is_serving());
}

#[tokio::test]
async fn a_store_without_a_cache_is_told_from_one_whose_cache_fails() {
    let builder = CascadeStore::builder(keys(&[1])).without_cache();
    let store = builder.datastore(MemoryStore::default()).build().await.unwrap();
    let health = store.check().await;
    assert!(health.is_without_cache && health.cache.is_none() && health.is_serving());
    assert_eq!(health.degraded(), []);
}

/// Both at once, so that it takes as long as one.
#[tokio::test(start_paused = true)]
async fn tiers_that_hang_are_given_up_after_two_seconds() {
    let site = Site::new().await;
    let _gates = (site.cache.block("get"), site.durable.block("read"));
    let started = tokio::time::Instant::now();
    let health = site.store.check().await;
    let limit = Duration::from_secs(2)..Duration::from_millis(2010);
    assert!(limit.contains(&started.elapsed()), "{:?}", started.elapsed());
    assert!(!health.is_serving());
    let gave_up = |tier: Option<TierHealth>| {
        let tier = tier.unwrap();
        assert!(limit.contains(&tier.took), "{:?}", tier.took);
        let error = tier.error.unwrap();
        assert_eq!(error.to_string(), format!("{} is unavailable (ping)", tier.name));
        assert!(error.source().unwrap().is::<tokio::time::error::Elapsed>());
    };
    gave_up(health.cache);
    gave_up(health.durable);

    // One that hangs keeps the other from nothing, and what was given up is over.
    let gate = site.cache.block("get");
    let health = site.store.check().await;
    assert!(health.is_serving() && health.durable.unwrap().took < Duration::from_millis(10));
    gate.release();
    assert_eq!(site.store.check().await.degraded(), []);
}

#[tokio::test]
async fn pending_invalidations_are_told() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.cache.down();
    assert_eq!(site.post(&mut browser, "/note/new").await.status, StatusCode::OK);
    site.cache.up();
    // Nothing has let the background work run since.
    let health = site.store.check().await;
    assert_eq!(health.pending_invalidations, 1);
    assert_eq!(health.degraded(), [Degraded::PendingInvalidations { sessions: 1 }]);
    assert!(health.is_serving());
    site.settle().await;
    assert_eq!(site.store.check().await.degraded(), []);
}

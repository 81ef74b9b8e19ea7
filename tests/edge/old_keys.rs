//! The count of what an older key has signed, which tells when that key can be dropped.

use std::time::Duration;

use axum::http::Method;
use session_runtime::{CascadeStore, RouterExt};

use crate::site::{Browser, Site, keys, routes};

/// The same site with these keys, newest first.
async fn with_keys(site: &Site, numbers: &[u8]) -> Site {
    let (cache, durable) = site.tiers.clone();
    let builder = CascadeStore::builder(keys(numbers)).memcache(cache).datastore(durable);
    let builder = builder.max_staleness(Duration::from_mins(1)).clock(site.clock.clone());
    let store = builder.build().await.unwrap();
    Site {
        app: routes().sessions(store.clone()),
        store,
        ..site.clone()
    }
}

#[tokio::test]
async fn what_the_newest_key_has_signed_is_not_counted() {
    let site = with_keys(&Site::new().await, &[2, 1]).await;
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/rotate").await;
    site.get(&mut browser, "/read").await;
    assert_eq!(site.store.old_key_uses(), 0);
}

#[tokio::test]
async fn tokens_and_records_of_an_older_key_are_counted_until_they_are_signed_anew() {
    let old = Site::new().await;
    let mut browser = old.visitor().await;
    let site = with_keys(&old, &[2, 1]).await;
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    assert_eq!(site.store.old_key_uses(), 2, "the cookie, and what lay in the cache");
    assert_eq!(old.store.old_key_uses(), 0, "each store counts for itself");

    // The record is written anew, the cookie stays.
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 2);
    site.settle().await;
    let before = site.store.old_key_uses();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
    assert_eq!(site.store.old_key_uses(), before + 1, "the cookie alone");

    site.post(&mut browser, "/rotate").await.cookie();
    let before = site.store.old_key_uses();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
    assert_eq!(site.store.old_key_uses(), before, "nothing is left of the older key");
}

#[tokio::test]
async fn a_record_that_only_the_durable_tier_has_is_counted_too() {
    let old = Site::new().await;
    let mut browser = old.visitor().await;
    let site = with_keys(&old, &[2, 1]).await;
    site.cache.down();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    assert_eq!(site.store.old_key_uses(), 2);
}

#[tokio::test]
async fn what_no_key_has_signed_is_not_counted() {
    let old = Site::new().await;
    let browser = old.visitor().await;
    let site = with_keys(&old, &[2]).await;
    let reply = site.send(Method::GET, "/read", browser.cookie.as_deref()).await;
    assert!(reply.is_new());
    assert!(site.get(&mut Browser::default(), "/read").await.is_new());
    assert_eq!(site.store.old_key_uses(), 0);
}

/// Two nodes while a key is rolled out: one has the new key in front, the other has not got it yet.
#[tokio::test]
async fn a_node_that_lacks_the_newest_key_leaves_what_it_signed_in_the_cache() {
    let old = Site::new().await;
    let mut browser = old.visitor().await;
    let new = with_keys(&old, &[2, 1]).await;
    // Too old for the new node, which reads it again, and fills the cache under its key.
    old.clock.advance(Duration::from_secs(61));
    assert_eq!(new.get(&mut browser, "/read").await.visits(), 1);
    new.settle().await;
    old.durable.take_calls();
    assert_eq!(old.get(&mut browser, "/read").await.visits(), 1);
    old.settle().await;
    assert_eq!(old.durable.take_calls(), [("read", 1)], "the old node reads past it");
    assert_eq!(new.get(&mut browser, "/read").await.visits(), 1);
    assert_eq!(old.durable.take_calls(), [], "the new node still finds it");
    // What the old node writes is seen at once by the new one.
    assert_eq!(old.post(&mut browser, "/visit").await.visits(), 2);
    assert_eq!(new.get(&mut browser, "/read").await.visits(), 2);
}

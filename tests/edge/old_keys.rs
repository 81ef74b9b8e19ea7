//! The count of what an older key has signed, which tells when that key can be dropped.

use axum::http::Method;
use session_runtime::{CascadeStore, RouterExt};

use crate::site::{Browser, Site, keys, routes};

/// The same site with these keys, newest first.
async fn with_keys(site: &Site, numbers: &[u8]) -> Site {
    let (cache, durable) = site.tiers.clone();
    let builder = CascadeStore::builder(keys(numbers)).memcache(cache).datastore(durable);
    let store = builder.clock(site.clock.clone()).build().await.unwrap();
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

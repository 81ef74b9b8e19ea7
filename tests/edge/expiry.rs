//! Expiry, renewal and purging.

use std::time::Duration;

use axum::http::Method;
use session_runtime::{CascadeStore, LocalCache};

use crate::site::{Browser, Site, keys};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_unused_session_expires_after_its_idle_time_and_its_id_is_not_reused() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let old = browser.cookie.clone();
    site.clock.advance(20 * MINUTE);
    let reply = site.get(&mut browser, "/read").await;
    assert!(reply.is_new());
    reply.assert_no_cookie();
    site.settle().await;
    assert_eq!(site.records.keys(), Vec::<String>::new(), "the load has deleted it");
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 1);
    assert_ne!(old.unwrap()[..32], browser.cookie.unwrap()[..32], "under a fresh id");
}

#[tokio::test]
async fn a_session_is_renewed_at_most_once_per_tenth_of_the_idle_time() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.clock.advance(Duration::from_secs(119));
    site.get(&mut browser, "/read").await;
    assert_eq!(
        (site.cache.take_calls(), site.durable.take_calls()),
        (vec![("get", 1)], vec![])
    );
    site.clock.advance(Duration::from_secs(1));
    site.get(&mut browser, "/read").await.assert_no_cookie();
    assert!(site.durable.take_calls().contains(&("update", 1)));
    site.get(&mut browser, "/read").await;
    assert_eq!(site.durable.take_calls(), []);
    // Used more often than its idle time, it does not expire.
    for _ in 0..10 {
        site.clock.advance(19 * MINUTE);
        assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    }
}

#[tokio::test]
async fn the_share_of_the_idle_time_after_which_it_is_renewed_can_be_set() {
    let site = Site::with(|builder| builder.renew_after(0.5)).await;
    let mut browser = site.visitor().await;
    site.clock.advance(Duration::from_millis(10 * 60_000 - 1));
    site.get(&mut browser, "/read").await;
    assert!(!site.durable.take_calls().contains(&("update", 1)));
    site.clock.advance(Duration::from_millis(1));
    site.get(&mut browser, "/read").await;
    assert!(site.durable.take_calls().contains(&("update", 1)));
    // What it costs: one that is used just before it would be renewed lives on for the rest of the idle time only.
    site.clock.advance(Duration::from_millis(10 * 60_000 - 1));
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    site.clock.advance(10 * MINUTE + Duration::from_millis(1));
    assert!(site.get(&mut browser, "/read").await.is_new());
}

#[tokio::test]
async fn a_share_with_which_a_session_would_hardly_live_is_refused() {
    for share in [-1.0, 0.0, 0.009, 0.51, 1.0, f64::NAN, f64::INFINITY] {
        let builder = CascadeStore::builder(keys(&[1])).memcache(LocalCache::new());
        let error = builder.renew_after(share).build().await.unwrap_err();
        assert!(error.to_string().contains("from 0.01 to 0.5"), "{share}: {error}");
    }
    for share in [0.01, 0.5] {
        let builder = CascadeStore::builder(keys(&[1])).memcache(LocalCache::new());
        builder.renew_after(share).build().await.unwrap();
    }
}

#[tokio::test]
async fn parallel_requests_renew_a_session_once() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    site.clock.advance(3 * MINUTE);
    let gate = site.durable.block("update");
    let requests: Vec<_> = (0..8)
        .map(|_| {
            let (site, cookie) = (site.clone(), browser.cookie.clone());
            tokio::spawn(async move { site.send(Method::GET, "/read", cookie.as_deref()).await.visits() })
        })
        .collect();
    gate.reached().await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    gate.release();
    for request in requests {
        assert_eq!(request.await.unwrap(), 1);
    }
    let calls = site.durable.take_calls();
    assert!(calls.contains(&("update", 1)), "{calls:?}");
}

#[tokio::test]
async fn no_renewal_extends_a_session_beyond_its_maximum_age() {
    let site = Site::with(|builder| builder.max_age(60 * MINUTE)).await;
    let mut browser = Browser::default();
    let reply = site.post(&mut browser, "/visit").await;
    assert!(reply.cookie().contains("Max-Age=3600"));
    for _ in 0..5 {
        site.clock.advance(11 * MINUTE);
        assert!(!site.get(&mut browser, "/read").await.is_new());
    }
    // The cookie of a rotation expires with the session.
    let reply = site.post(&mut browser, "/rotate").await;
    assert!(reply.cookie().contains("Max-Age=300"), "{reply:?}");
    site.clock.advance(5 * MINUTE);
    assert!(site.get(&mut browser, "/read").await.is_new());
}

#[tokio::test]
async fn purging_deletes_expired_sessions_only() {
    let site = Site::new().await;
    site.visitor().await;
    site.clock.advance(19 * MINUTE);
    let mut browser = site.visitor().await;
    site.clock.advance(MINUTE);
    assert_eq!(site.store.purge_expired(10).await.unwrap(), 1);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_store_purges_and_continues_after_an_error() {
    let sites = [
        Site::with(|builder| builder.purge_every(MINUTE)).await,
        Site::with(|builder| builder.purge_every(MINUTE)).await,
    ];
    for site in &sites {
        site.visitor().await;
        site.clock.advance(30 * MINUTE);
        site.durable
            .fail_once("purge", session_runtime::tier::TierErrorKind::Unavailable, false);
    }
    tokio::time::sleep(MINUTE + Duration::from_secs(1)).await;
    for site in &sites {
        assert_eq!(site.durable.take_calls(), [("purge", 1)]);
        assert_eq!(site.records.keys().len(), 1);
    }
    tokio::time::sleep(MINUTE).await;
    for site in &sites {
        assert_eq!(site.records.keys(), Vec::<String>::new());
    }
}

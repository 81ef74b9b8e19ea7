//! An embedded file is swept without being asked, whichever way the store was built.

use std::time::Duration;

use axum::Router;
use axum::http::Method;
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use session_runtime::ManualClock;
use session_runtime::tier::DurableTier;
use session_runtime::tier::embedded::LocalCache;
use session_runtime::{CascadeStore, LocalFile, RouterExt};
use tempfile::TempDir;

use crate::site::{Browser, keys, routes};

const MINUTE: Duration = Duration::from_secs(60);

/// Makes a session, lets it expire, and tells whether its record is gone from the file an hour later.
async fn is_swept(file: &LocalFile, app: &Router, clock: &ManualClock) -> bool {
    let mut browser = Browser::default();
    browser.send(app, Method::POST, "/visit").await.cookie();
    let ticket = URL_SAFE_NO_PAD.decode(browser.value()).unwrap();
    let key = format!("session.{}", URL_SAFE_NO_PAD.encode(&ticket[..16]));
    assert!(file.read(&key).await.unwrap().is_some(), "the record is there at first");
    clock.advance(60 * MINUTE);
    tokio::time::pause();
    // In steps, so that whoever sleeps in between wakes in between.
    for _ in 0..60 {
        tokio::time::advance(MINUTE).await;
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    // The file has a thread of its own: this waits for it, and not for the time.
    for _ in 0..100 {
        if file.read(&key).await.unwrap().is_none() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_file_of_a_builders_store_is_swept_without_being_asked() {
    let dir = TempDir::new().unwrap();
    let file = LocalFile::open(dir.path().join("sessions.redb")).unwrap();
    let clock = ManualClock::default();
    let store = CascadeStore::builder(keys(&[1]))
        .memcache(LocalCache::new().with_clock(clock.clone()))
        .datastore(file.clone())
        .clock(clock.clone())
        .build()
        .await
        .unwrap();
    let app = routes().sessions(store);
    assert!(
        is_swept(&file, &app, &clock).await,
        "an expired record lies in the file an hour later"
    );
}

#[tokio::test]
async fn so_is_one_without_a_cache_beside_it() {
    let dir = TempDir::new().unwrap();
    let file = LocalFile::open(dir.path().join("sessions.redb")).unwrap();
    let clock = ManualClock::default();
    let store = CascadeStore::builder(keys(&[1]))
        .datastore(file.clone())
        .clock(clock.clone())
        .build()
        .await
        .unwrap();
    let handler = |mut other: session_runtime::TypedSession<super::Other>| async move { *other.visits_mut() += 1 };
    let app = Router::new().route("/visit", post(handler)).sessions(store);
    assert!(
        is_swept(&file, &app, &clock).await,
        "an expired record lies in the file an hour later"
    );
}

//! The embedded store: a cache in the process, and a file.

use axum::Router;
use axum::http::{Method, StatusCode};
use session_runtime::{CascadeStore, RouterExt};
use tempfile::TempDir;
use tracing::Level;

use crate::promises::log::Log;
use crate::site::{Browser, keys, post_concurrently, routes};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_visit_is_counted_and_survives_a_restart() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sessions.redb");
    let store = CascadeStore::embedded(&path, keys(&[1])).await.unwrap();
    let app: Router = routes().sessions(store.clone());
    let mut browser = Browser::default();
    browser.send(&app, Method::POST, "/visit").await;
    let statuses = post_concurrently(&[&app], "/visit", &browser, 64, 1).await;
    assert_eq!(statuses, [StatusCode::OK; 64]);
    store.drain().await;
    drop((app, store));
    let app: Router = routes().sessions(CascadeStore::embedded(&path, keys(&[1])).await.unwrap());
    assert_eq!(browser.send(&app, Method::GET, "/read").await.visits(), 65);
}

#[tokio::test]
async fn its_start_is_logged_with_what_it_is_made_of() {
    let dir = TempDir::new().unwrap();
    let log = Log::capture();
    CascadeStore::embedded(dir.path().join("sessions.redb"), keys(&[1]))
        .await
        .unwrap();
    let line = log.of(Level::INFO);
    assert!(
        line.contains("cache=\"local-cache\" durable=\"local-file\" shared_by=\"this process alone\""),
        "{line}"
    );
}

//! The edge on a real memcached.

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use session_runtime::tier::memcache::Memcache;
use session_runtime::{CascadeStore, RouterExt, Session, TypedSession};
use session_tests::memory::MemoryStore;
use session_tests::services::memcached::Memcached;

use crate::site::{Browser, acknowledged, keys, post_concurrently, routes};

fn tier(server: &Memcached) -> Memcache {
    Memcache::connect([server.address().to_string()]).unwrap()
}

async fn node(server: &Memcached, records: &MemoryStore) -> (CascadeStore, Router) {
    let builder = CascadeStore::builder(keys(&[1]))
        .single_process()
        .memcache(tier(server));
    let store = builder.datastore(records.clone()).build().await.unwrap();
    (store.clone(), routes().sessions(store))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_visit_on_two_nodes_is_counted() {
    let Some(server) = Memcached::start() else { return };
    let records = MemoryStore::default();
    let (one, two) = (node(&server, &records).await.1, node(&server, &records).await.1);
    let mut browser = Browser::default();
    browser.send(&one, Method::POST, "/visit").await;
    let statuses = post_concurrently(&[&one, &two], "/visit", &browser, 32, 1).await;
    let acknowledged = 1 + acknowledged(&statuses);
    for app in [&one, &two] {
        assert_eq!(browser.send(app, Method::GET, "/read").await.visits(), acknowledged);
    }
    browser.clone().send(&two, Method::POST, "/logout").await;
    assert!(browser.send(&one, Method::GET, "/read").await.is_new());
}

#[tokio::test]
async fn sessions_survive_a_restart_of_memcached() {
    let Some(mut server) = Memcached::start() else { return };
    let (store, app) = node(&server, &MemoryStore::default()).await;
    let mut browser = Browser::default();
    browser.send(&app, Method::POST, "/visit").await;
    browser.send(&app, Method::GET, "/read").await;
    store.drain().await;
    server.kill();
    assert_eq!(browser.send(&app, Method::GET, "/read").await.visits(), 1);
    assert_eq!(browser.send(&app, Method::POST, "/visit").await.visits(), 2);
    server.restart();
    for _ in 0..3 {
        assert_eq!(browser.send(&app, Method::GET, "/read").await.visits(), 2);
        store.drain().await;
    }
}

#[derive(Session)]
#[session(name = "cached", version = 1)]
#[cascade(memcache)]
struct Cached {
    #[session(merge = add)]
    visits: u64,
}

#[tokio::test]
async fn memcached_can_be_the_only_tier() {
    let Some(server) = Memcached::start() else { return };
    let store = CascadeStore::builder(keys(&[1]))
        .single_process()
        .memcache(tier(&server))
        .build()
        .await
        .unwrap();
    let visit = |mut cached: TypedSession<Cached>| async move {
        *cached.visits_mut() += 1;
        cached.commit().await.unwrap();
        *cached.visits_mut() += 1;
        cached.commit().await.unwrap();
        cached.visits().to_string()
    };
    let routes = Router::new().route("/visit", post(visit)).route(
        "/read",
        get(|cached: TypedSession<Cached>| async move { cached.visits().to_string() }),
    );
    let app: Router = routes.sessions(store);
    let mut browser = Browser::default();
    for expected in ["2", "4", "6"] {
        assert_eq!(browser.send(&app, Method::POST, "/visit").await.body, expected);
    }
    // A session that it evicts is lost, and the next one is new.
    server.flush();
    assert_eq!(browser.send(&app, Method::GET, "/read").await.body, "0");
}

//! The health route, with tiers that are down.

use reqwest::StatusCode;
use serde_json::{Value, json};
use session_runtime::testing::MemoryTier;
use session_runtime::tier::memcache::Memcache;
use session_runtime::{CascadeStore, KeyRing, LocalCache};
use session_tests::instrumented::Instrumented;
use session_tests::services::memcached::Memcached;

use super::{Shop, program};

/// The status and the body, without the times.
async fn health(address: &str) -> (StatusCode, Value) {
    let response = reqwest::get(format!("{address}/health")).await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(response.headers().get("set-cookie").is_none());
    let status = response.status();
    let mut body: Value = response.json().await.unwrap();
    for tier in ["cache", "durable"] {
        let took = body[tier].as_object_mut().unwrap().remove("ms").unwrap();
        assert!((0.0..2100.0).contains(&took.as_f64().unwrap()), "{took}");
    }
    (status, body)
}

async fn serve(store: &CascadeStore) -> String {
    format!("http://{}", crate::serve(program::app::app(store)).await)
}

fn well(name: &str, product: &str) -> Value {
    json!({ "name": name, "product": product, "is_reachable": true, "error": null })
}

#[tokio::test]
async fn a_shop_that_is_well_says_so() {
    let shop = Shop::open().await;
    let all = json!({
        "is_serving": true,
        "degraded": [],
        "pending_invalidations": 0,
        "cache": well("local-cache", "local-cache"),
        "durable": well("local-file", "redb"),
    });
    assert_eq!(health(&shop.address).await, (StatusCode::OK, all));
}

#[tokio::test]
async fn a_dead_cache_is_told_with_200_and_a_dead_authority_with_503() {
    let (cache, control) = Instrumented::new(LocalCache::new());
    let records = MemoryTier::new();
    let builder = CascadeStore::builder(KeyRing::new([[7; 32]]).unwrap());
    let builder = builder.memcache(cache).datastore(records.clone());
    let address = serve(&builder.build().await.unwrap()).await;
    control.down();
    let (status, body) = health(&address).await;
    assert_eq!((status, &body["is_serving"]), (StatusCode::OK, &json!(true)));
    assert_eq!(body["degraded"], json!(["local-cache does not answer"]));
    assert_eq!(body["cache"]["error"], "instrumented is unavailable (get)");
    assert_eq!(body["durable"], well("memory", "memory"));

    records.set_down(true);
    let (status, body) = health(&address).await;
    assert_eq!(
        (status, &body["is_serving"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(false))
    );
    assert_eq!(
        body["degraded"],
        json!(["local-cache does not answer", "memory does not answer"])
    );
    control.up();
    assert_eq!(
        health(&address).await.0,
        StatusCode::SERVICE_UNAVAILABLE,
        "the cache is no authority"
    );
    records.set_down(false);
    let (status, body) = health(&address).await;
    assert_eq!((status, &body["degraded"]), (StatusCode::OK, &json!([])));
}

#[tokio::test]
async fn a_memcached_that_is_killed_takes_no_node_away() {
    let Some(mut server) = Memcached::start() else { return };
    let cache = Memcache::connect([server.address().to_string()]).unwrap();
    let builder = CascadeStore::builder(KeyRing::new([[7; 32]]).unwrap()).single_process();
    let builder = builder.memcache(cache).datastore(MemoryTier::new());
    let address = serve(&builder.build().await.unwrap()).await;
    assert_eq!(health(&address).await.1["cache"], well("memcache", "memcached"));
    server.kill();
    for _ in 0..5 {
        let (status, body) = health(&address).await;
        assert_eq!(
            (status, &body["degraded"]),
            (StatusCode::OK, &json!(["memcache does not answer"]))
        );
        assert_eq!(body["cache"]["error"], "memcache is unavailable (get)", "no address");
        let visit = reqwest::Client::new().post(format!("{address}/api/visit")).send();
        assert_eq!(visit.await.unwrap().status(), StatusCode::OK, "it serves");
    }
    server.restart();
    let (status, body) = health(&address).await;
    assert_eq!(
        (status, &body["cache"]),
        (StatusCode::OK, &well("memcache", "memcached"))
    );
}

//! What no protocol can close: a writer that cannot reach the cache while readers can. It is bounded, and the bound
//! holds.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::{Router, response::Response};
use session_runtime::clock::ManualClock;
use session_runtime::tier::embedded::LocalFile;
use session_runtime::{CascadeStore, KeyRing, Memcache};
use session_tests::attack::{self, MAX_STALENESS, View};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;
use tower::ServiceExt;

async fn node(cache: &Proxy, file: &LocalFile, clock: &ManualClock) -> Router {
    let store = CascadeStore::builder(KeyRing::new([[7; 32]]).unwrap())
        .memcache(Memcache::connect([cache.address().to_string()]).unwrap())
        .datastore(file.clone());
    attack::app(attack::with_bounds(store).clock(clock.clone()).build().await.unwrap())
}

async fn send(node: &Router, method: &str, path: &str, cookie: &str) -> Response {
    let request = Request::builder().method(method).uri(path).header(COOKIE, cookie);
    let response = node
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response
}

fn timing(response: &Response) -> &str {
    response.headers()["server-timing"].to_str().unwrap()
}

async fn read(node: &Router, cookie: &str) -> (View, String) {
    let response = send(node, "GET", "/read", cookie).await;
    let timing = timing(&response).to_owned();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (serde_json::from_slice(&body).unwrap(), timing)
}

/// Reads until the cache answers: the fill runs beside the request.
async fn read_cached(node: &Router, cookie: &str) -> View {
    loop {
        let (view, timing) = read(node, cookie).await;
        if timing.contains("\"memcache\"") {
            return view;
        }
        tokio::task::yield_now().await;
    }
}

/// Two nodes with a file, a clock, and a session that both have in their cache; the first node is cut off from it.
struct Partition {
    writer: Router,
    reader: Router,
    cookie: String,
    clock: ManualClock,
    _standing: (Memcached, tempfile::TempDir, Proxy, Proxy),
}

impl Partition {
    async fn start() -> Option<Self> {
        let memcached = Memcached::start()?;
        let dir = tempfile::tempdir().unwrap();
        let file = LocalFile::open(dir.path().join("staleness.redb")).unwrap();
        let clock = ManualClock::default();
        let far = Proxy::start(memcached.address()).await;
        let near = Proxy::start(memcached.address()).await;
        let writer = node(&far, &file, &clock).await;
        let reader = node(&near, &file, &clock).await;
        let cookie = cookie_of(&send(&writer, "POST", "/create?number=1", "").await);
        assert!(read_cached(&reader, &cookie).await.adds.is_empty());
        // What the writer sends to the cache arrives nowhere, from here on.
        far.to_server().always(Fault::FreezeAfter(0));
        Some(Self {
            writer,
            reader,
            cookie,
            clock,
            _standing: (memcached, dir, far, near),
        })
    }
}

fn cookie_of(response: &Response) -> String {
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_way_partition_makes_readers_stale_no_longer_than_max_staleness() {
    let Some(partition) = Partition::start().await else {
        return;
    };
    let Partition {
        writer,
        reader,
        cookie,
        clock,
        ..
    } = &partition;
    let wrote = send(writer, "POST", "/add?number=2", cookie).await;
    assert!(timing(&wrote).contains("\"unfenced\""), "{}", timing(&wrote));

    // The hole: the reader's cache still has the old value, and the reader believes it to the last moment.
    assert!(read_cached(reader, cookie).await.adds.is_empty());
    clock.advance(MAX_STALENESS);
    assert!(read_cached(reader, cookie).await.adds.is_empty());

    // The bound.
    clock.advance(Duration::from_millis(1));
    assert!(read(reader, cookie).await.0.adds.contains(&2));
    assert!(read_cached(reader, cookie).await.adds.contains(&2));
}

/// A cache that has not heard of a rotation takes the new secret for one that counts no more. It is not believed: the
/// visitor would be given an empty session in place of a real one, though nothing was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_cache_turns_no_visitor_away_who_shows_a_newer_secret() {
    let Some(partition) = Partition::start().await else {
        return;
    };
    let rotated = send(&partition.writer, "POST", "/rotate", &partition.cookie).await;
    assert!(timing(&rotated).contains("\"unfenced\""), "{}", timing(&rotated));
    let (view, _) = read(&partition.reader, &cookie_of(&rotated)).await;
    assert!(!view.is_new, "the session is taken for a new one");
}

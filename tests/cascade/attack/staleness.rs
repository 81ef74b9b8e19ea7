//! A writer that cannot reach the cache while readers can: no protocol can prevent their stale reads. They end after
//! `max_staleness`.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::{Router, response::Response};
use session_runtime::ManualClock;
use session_runtime::tier::DurableTier;
use session_runtime::{CascadeStore, KeyRing, Memcache};
use session_tests::attack::{self, MAX_STALENESS, View};
use session_tests::instrumented::{Control, Instrumented};
use session_tests::memory::MemoryStore;
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;
use tower::ServiceExt;

async fn node(cache: &Proxy, durable: impl DurableTier, clock: &ManualClock) -> Router {
    let store = CascadeStore::builder(KeyRing::new([[7; 32]]).unwrap())
        .single_process()
        .memcache(Memcache::connect([cache.address().to_string()]).unwrap())
        .datastore(durable);
    attack::app(&attack::with_bounds(store).clock(clock.clone()).build().await.unwrap())
}

pub(super) async fn send(node: &Router, method: &str, path: &str, cookie: &str) -> Response {
    let request = Request::builder().method(method).uri(path).header(COOKIE, cookie);
    let response = node
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response
}

pub(super) fn timing(response: &Response) -> &str {
    response.headers()["server-timing"].to_str().unwrap()
}

pub(super) async fn read(node: &Router, cookie: &str) -> (View, String) {
    let response = send(node, "GET", "/read", cookie).await;
    let timing = timing(&response).to_owned();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (serde_json::from_slice(&body).unwrap(), timing)
}

/// Reads until the cache answers: it is filled in the background.
async fn read_cached(node: &Router, cookie: &str) -> View {
    loop {
        let (view, timing) = read(node, cookie).await;
        if timing.contains("\"memcache\"") {
            return view;
        }
        tokio::task::yield_now().await;
    }
}

/// Two nodes on the same tiers, and a session that is cached. The writer reaches the cache through a proxy of its own.
struct Partition {
    writer: Router,
    reader: Router,
    cookie: String,
    clock: ManualClock,
    memcached: Memcached,
    writer_cache: Proxy,
    writer_durable: Control,
    _reader_cache: Proxy,
}

impl Partition {
    async fn start() -> Option<Self> {
        let memcached = Memcached::start()?;
        let records = MemoryStore::default();
        let clock = ManualClock::default();
        let writer_cache = Proxy::start(memcached.address()).await;
        let reader_cache = Proxy::start(memcached.address()).await;
        let (durable, writer_durable) = Instrumented::new(records.clone());
        let writer = node(&writer_cache, durable, &clock).await;
        let reader = node(&reader_cache, records, &clock).await;
        let cookie = cookie_of(&send(&writer, "POST", "/create?number=1", "").await);
        assert!(read_cached(&reader, &cookie).await.adds.is_empty());
        Some(Self {
            writer,
            reader,
            cookie,
            clock,
            memcached,
            writer_cache,
            writer_durable,
            _reader_cache: reader_cache,
        })
    }

    /// Drops everything that the writer sends to the cache from now on.
    fn begin(&self) {
        self.writer_cache.to_server().always(Fault::FreezeAfter(0));
    }

    fn end(&self) {
        self.writer_cache.to_server().always(Fault::Pass);
    }
}

pub(super) fn cookie_of(response: &Response) -> String {
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_way_partition_makes_readers_stale_no_longer_than_max_staleness() {
    let Some(partition) = Partition::start().await else {
        return;
    };
    partition.begin();
    let Partition {
        writer,
        reader,
        cookie,
        clock,
        ..
    } = &partition;
    let wrote = send(writer, "POST", "/add?number=2", cookie).await;
    assert!(timing(&wrote).contains("\"unfenced\""), "{}", timing(&wrote));

    // The cache still has the old value, and readers use it until it is too old.
    assert!(read_cached(reader, cookie).await.adds.is_empty());
    clock.advance(MAX_STALENESS);
    assert!(read_cached(reader, cookie).await.adds.is_empty());

    // Then they do not.
    clock.advance(Duration::from_millis(1));
    assert!(read(reader, cookie).await.0.adds.contains(&2));
    assert!(read_cached(reader, cookie).await.adds.contains(&2));
}

/// By the cached record, which is older than the rotation, the new secret is not valid. The durable tier decides: an empty
/// session would look like a logout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_cached_record_does_not_reject_a_newer_secret() {
    let Some(partition) = Partition::start().await else {
        return;
    };
    partition.begin();
    let rotated = send(&partition.writer, "POST", "/rotate", &partition.cookie).await;
    assert!(timing(&rotated).contains("\"unfenced\""), "{}", timing(&rotated));
    let (view, _) = read(&partition.reader, &cookie_of(&rotated)).await;
    assert!(!view.is_new, "the session was not found");
}

/// A writer's fence was evicted, and a reader filled the cache with the old value. Then the write is applied, and the
/// writer cannot reach the cache to settle it: the commit must not be reported as coherent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_cannot_settle_the_cache_does_not_trust_its_fence() {
    let Some(partition) = Partition::start().await else {
        return;
    };
    let gate = partition.writer_durable.block("update");
    let (writer, cookie) = (partition.writer.clone(), partition.cookie.clone());
    let writing = tokio::spawn(async move { send(&writer, "POST", "/add?number=2", &cookie).await });
    gate.reached().await;
    partition.memcached.flush();
    let old = read_cached(&partition.reader, &partition.cookie).await;
    assert!(old.adds.is_empty());
    partition.begin();
    gate.release();
    let wrote = writing.await.unwrap();
    assert!(timing(&wrote).contains("\"unfenced\""), "{}", timing(&wrote));

    // The writer retries, and hides the old value as soon as it reaches the cache, before `max_staleness` is over.
    partition.end();
    let is_seen = async {
        while !read(&partition.reader, &partition.cookie).await.0.adds.contains(&2) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_seen)
        .await
        .expect("the old value was not hidden within 30 seconds");
}

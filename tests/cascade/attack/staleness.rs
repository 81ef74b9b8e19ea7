//! What no protocol can close: a writer that cannot reach the cache while readers can. It is bounded, and the bound
//! holds.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::{Router, response::Response};
use bytes::Bytes;
use session_runtime::ManualClock;
use session_runtime::tier::embedded::LocalFile;
use session_runtime::tier::{DurableTier, Stored, TierError, Version, Write};
use session_runtime::{CascadeStore, KeyRing, Memcache};
use session_tests::attack::{self, MAX_STALENESS, View};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;
use tokio::sync::Semaphore;
use tower::ServiceExt;

async fn node(cache: &Proxy, durable: impl DurableTier, clock: &ManualClock) -> Router {
    let store = CascadeStore::builder(KeyRing::new([[7; 32]]).unwrap())
        .memcache(Memcache::connect([cache.address().to_string()]).unwrap())
        .datastore(durable);
    attack::app(&attack::with_bounds(store).clock(clock.clone()).build().await.unwrap())
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

/// A durable file whose updates wait to be let through.
#[derive(Clone)]
struct Held {
    file: LocalFile,
    reached: Arc<Semaphore>,
    passed: Arc<Semaphore>,
}

impl Held {
    fn new(file: LocalFile) -> Self {
        let (reached, passed) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        Self { file, reached, passed }
    }
}

impl DurableTier for Held {
    fn name(&self) -> &'static str {
        "held"
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        self.file.read(key).await
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        self.file.insert(key, value, expires_at).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, at: SystemTime) -> Result<Write, TierError> {
        self.reached.add_permits(1);
        self.passed.acquire().await.unwrap().forget();
        self.file.update(key, base, value, at).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        self.file.delete(key, base).await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        self.file.purge_expired(now, limit).await
    }
}

/// Two nodes with a file, a clock, and a session that lies in their cache. The first node's updates are held, and what
/// it sends to the cache goes through `far`.
struct Partition {
    writer: Router,
    reader: Router,
    cookie: String,
    clock: ManualClock,
    memcached: Memcached,
    far: Proxy,
    held: Held,
    _standing: (tempfile::TempDir, Proxy),
}

impl Partition {
    async fn start() -> Option<Self> {
        let memcached = Memcached::start()?;
        let dir = tempfile::tempdir().unwrap();
        let file = LocalFile::open(dir.path().join("staleness.redb")).unwrap();
        let clock = ManualClock::default();
        let far = Proxy::start(memcached.address()).await;
        let near = Proxy::start(memcached.address()).await;
        let held = Held::new(file.clone());
        let writer = node(&far, held.clone(), &clock).await;
        let reader = node(&near, file, &clock).await;
        let cookie = cookie_of(&send(&writer, "POST", "/create?number=1", "").await);
        assert!(read_cached(&reader, &cookie).await.adds.is_empty());
        Some(Self {
            writer,
            reader,
            cookie,
            clock,
            memcached,
            far,
            held,
            _standing: (dir, near),
        })
    }

    /// From here on, what the writer sends to the cache arrives nowhere.
    fn cut_off(&self) {
        self.far.to_server().always(Fault::FreezeAfter(0));
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
    partition.cut_off();
    partition.held.passed.add_permits(1);
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
    partition.cut_off();
    partition.held.passed.add_permits(1);
    let rotated = send(&partition.writer, "POST", "/rotate", &partition.cookie).await;
    assert!(timing(&rotated).contains("\"unfenced\""), "{}", timing(&rotated));
    let (view, _) = read(&partition.reader, &cookie_of(&rotated)).await;
    assert!(!view.is_new, "the session is taken for a new one");
}

/// A writer's fence went up, and was evicted; a reader filled the cache with the old value; and then the writer, whose
/// write had landed, could not reach the cache any more to look after it. It must not say that all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_cannot_settle_the_cache_does_not_trust_its_fence() {
    let Some(partition) = Partition::start().await else {
        return;
    };
    let (writer, cookie) = (partition.writer.clone(), partition.cookie.clone());
    let writing = tokio::spawn(async move { send(&writer, "POST", "/add?number=2", &cookie).await });
    partition.held.reached.acquire().await.unwrap().forget();
    partition.memcached.flush();
    let old = read_cached(&partition.reader, &partition.cookie).await;
    assert!(old.adds.is_empty());
    partition.cut_off();
    partition.held.passed.add_permits(1);
    let wrote = writing.await.unwrap();
    assert!(timing(&wrote).contains("\"unfenced\""), "{}", timing(&wrote));

    // It goes on trying, and the old value goes as soon as the cache can be reached, not only at the bound.
    partition.far.to_server().always(Fault::Pass);
    let is_seen = async {
        while !read(&partition.reader, &partition.cookie).await.0.adds.contains(&2) {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, is_seen)
        .await
        .expect("the old value is removed");
}

//! What a request costs, counted on the wire to a real memcached and at the durable tier, through the whole edge.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use session_runtime::tier::embedded::LocalFile;
use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{DurableTier, Stored, TierError, Version, Write};
use session_runtime::{CascadeStore, KeyRing, RouterExt, Session, TypedSession};
use session_tests::proxy::Proxy;
use session_tests::services::memcached::Memcached;
use tempfile::TempDir;
use tower::ServiceExt;

/// Longer than a busy machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Session)]
#[session(name = "counted", version = 1)]
#[cascade(request, memcache, datastore)]
struct Counted {
    #[session(merge = add)]
    visits: u64,
    note: String,
    #[session(privileged)]
    user: Option<u64>,
}

/// The embedded file, with its calls counted.
#[derive(Clone)]
struct CountedFile {
    file: LocalFile,
    reads: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
}

impl CountedFile {
    fn counts(&self) -> (u64, u64) {
        (self.reads.load(Ordering::SeqCst), self.writes.load(Ordering::SeqCst))
    }
}

impl DurableTier for CountedFile {
    fn name(&self) -> &'static str {
        "counted-file"
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.file.read(key).await
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.file.insert(key, value, expires_at).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.file.update(key, base, value, expires_at).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.file.delete(key, base).await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        self.file.purge_expired(now, limit).await
    }
}

/// What something cost.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cost {
    /// Bursts of bytes to memcached, and from it: a round trip is one of each.
    cache: (u64, u64),
    durable_reads: u64,
    durable_writes: u64,
}

const NOTHING: Cost = cost(0, 0, 0);

const fn cost(round_trips: u64, durable_reads: u64, durable_writes: u64) -> Cost {
    Cost {
        cache: (round_trips, round_trips),
        durable_reads,
        durable_writes,
    }
}

impl fmt::Debug for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cache: (sent, received),
            durable_reads,
            durable_writes,
        } = self;
        write!(
            f,
            "memcached: {sent} sent, {received} received; durable: {durable_reads} reads, {durable_writes} writes"
        )
    }
}

/// A site of two nodes on one memcached and one durable tier, and one browser.
struct Site {
    nodes: [(Router, CascadeStore); 2],
    proxy: Proxy,
    durable: CountedFile,
    cookie: Option<String>,
    _server: Memcached,
    _dir: TempDir,
}

impl Site {
    /// None where there is no memcached.
    async fn open() -> Option<Self> {
        let server = Memcached::start()?;
        let proxy = Proxy::start(server.address()).await;
        let dir = TempDir::new().unwrap();
        let durable = CountedFile {
            file: LocalFile::open(dir.path().join("s.redb")).unwrap(),
            reads: Arc::default(),
            writes: Arc::default(),
        };
        let keys = KeyRing::random().unwrap();
        let node = async || {
            let cache = Memcache::connect([proxy.address().to_string()]).unwrap();
            let store = CascadeStore::builder(keys.clone())
                .memcache(cache.with_timeout(PATIENCE).with_connect_timeout(PATIENCE))
                .datastore(durable.clone())
                .build()
                .await
                .unwrap();
            (routes(&store), store)
        };
        let nodes = [node().await, node().await];
        Some(Self {
            nodes,
            proxy,
            durable,
            cookie: None,
            _server: server,
            _dir: dir,
        })
    }

    fn spent(&self) -> Cost {
        let (durable_reads, durable_writes) = self.durable.counts();
        let (sent, received) = (self.proxy.to_server().counts(), self.proxy.to_client().counts());
        Cost {
            cache: (sent.reads, received.reads),
            durable_reads,
            durable_writes,
        }
    }

    /// Sends a request to a node, and waits for what goes on beside it; what it cost, and whether it set a cookie.
    async fn send(&mut self, node: usize, method: &str, path: &str) -> (Cost, bool) {
        let (router, store) = &self.nodes[node];
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let before = self.spent();
        let response = router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
        store.drain().await;
        let after = self.spent();
        let given = cookie_of(&response);
        let is_given = given.is_some();
        self.cookie = given.or(self.cookie.take());
        let cost = Cost {
            cache: (after.cache.0 - before.cache.0, after.cache.1 - before.cache.1),
            durable_reads: after.durable_reads - before.durable_reads,
            durable_writes: after.durable_writes - before.durable_writes,
        };
        (cost, is_given)
    }

    /// A session that both nodes have seen, in the cache and in the durable tier.
    async fn warm(&mut self) {
        self.send(0, "POST", "/visit").await;
        self.send(0, "GET", "/").await;
        self.send(1, "GET", "/").await;
    }
}

fn routes(store: &CascadeStore) -> Router {
    Router::new()
        .route(
            "/",
            get(async |counted: TypedSession<Counted>| counted.visits().to_string()),
        )
        .route(
            "/twice",
            get(async |one: TypedSession<Counted>, two: TypedSession<Counted>| {
                (one.visits() + two.visits()).to_string()
            }),
        )
        .route(
            "/touch",
            post(async |mut counted: TypedSession<Counted>| {
                counted.note_mut().push('x');
                counted.note_mut().pop();
            }),
        )
        .route(
            "/visit",
            post(async |mut counted: TypedSession<Counted>| *counted.visits_mut() += 1),
        )
        .route(
            "/login",
            post(async |mut counted: TypedSession<Counted>| counted.set_user(Some(1))),
        )
        .route(
            "/logout",
            post(async |mut counted: TypedSession<Counted>| counted.destroy()),
        )
        .route("/untouched", get(async || "no session"))
        .sessions(store.clone())
}

fn cookie_of(response: &Response<Body>) -> Option<String> {
    let mut lines = response.headers().get_all(SET_COOKIE).iter();
    let line = lines.next()?.to_str().unwrap();
    assert!(lines.next().is_none(), "one Set-Cookie at the most");
    Some(line.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_read_that_hits_costs_one_round_trip_and_no_durable_call() {
    let Some(mut site) = Site::open().await else { return };
    site.warm().await;
    for node in [0, 1, 0] {
        assert_eq!(site.send(node, "GET", "/").await, (cost(1, 0, 0), false), "node {node}");
    }
    // The second look within one request is free.
    assert_eq!(site.send(0, "GET", "/twice").await, (cost(1, 0, 0), false));
    // A write leaves the cache full: the other node's next read hits.
    site.send(0, "POST", "/visit").await;
    assert_eq!(site.send(1, "GET", "/").await, (cost(1, 0, 0), false));
}

#[tokio::test]
async fn a_clean_request_writes_nothing() {
    let Some(mut site) = Site::open().await else { return };
    // Before there is a session at all.
    assert_eq!(site.send(0, "GET", "/untouched").await, (NOTHING, false));
    assert_eq!(site.send(0, "GET", "/").await, (NOTHING, false));
    assert_eq!(site.send(0, "POST", "/touch").await, (NOTHING, false));
    site.warm().await;
    assert_eq!(site.send(0, "GET", "/untouched").await, (NOTHING, false));
    // A borrow that leaves the bytes as they were is no change: only the load is paid for.
    assert_eq!(site.send(0, "POST", "/touch").await, (cost(1, 0, 0), false));
    assert_eq!(site.send(1, "GET", "/").await, (cost(1, 0, 0), false));
}

#[tokio::test]
async fn a_write_costs_one_durable_call_and_four_round_trips() {
    let Some(mut site) = Site::open().await else { return };
    site.warm().await;
    for node in [0, 1, 1, 0] {
        assert_eq!(
            site.send(node, "POST", "/visit").await,
            (cost(4, 0, 1), false),
            "node {node}"
        );
    }
    assert_eq!(site.send(0, "POST", "/login").await, (cost(4, 0, 1), true));
    assert_eq!(site.send(1, "POST", "/logout").await, (cost(3, 0, 1), true));
}

#[tokio::test]
async fn a_creation_costs_one_durable_call_and_the_first_read_fills_the_cache() {
    let Some(mut site) = Site::open().await else { return };
    assert_eq!(site.send(0, "POST", "/visit").await, (cost(0, 0, 1), true));
    // Look, lease, look again, fill.
    assert_eq!(site.send(1, "GET", "/").await, (cost(4, 1, 0), false));
    assert_eq!(site.send(0, "GET", "/").await, (cost(1, 0, 0), false));
}

#[tokio::test]
async fn a_forged_cookie_costs_nothing() {
    let Some(mut site) = Site::open().await else { return };
    site.warm().await;
    let cookie = site.cookie.take().unwrap();
    let (name, value) = cookie.split_once('=').unwrap();
    let swapped = if value.starts_with('A') { 'B' } else { 'A' };
    site.cookie = Some(format!("{name}={swapped}{}", &value[1..]));
    assert_eq!(site.send(0, "GET", "/").await, (NOTHING, false));
    site.cookie = Some(cookie);
    assert_eq!(site.send(0, "GET", "/").await, (cost(1, 0, 0), false));
}

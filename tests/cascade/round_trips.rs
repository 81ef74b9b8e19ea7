//! What a request costs: round trips to a real memcached, counted on the wire, and calls of the durable tier.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fmt;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use session_runtime::tier::CacheTier;
use session_runtime::tier::memcache::Memcache;
use session_runtime::{CascadeStore, KeyRing, ManualClock, RouterExt, Session, TypedSession};
use session_tests::instrumented::{Control, Instrumented};
use session_tests::memory::MemoryStore;
use session_tests::proxy::Proxy;
use session_tests::services::memcached::Memcached;
use tower::ServiceExt;

/// More than any call takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);

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

/// What a request cost.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cost {
    /// Bursts of bytes to memcached, and from it: a round trip is one of each.
    cache: (u64, u64),
    durable_reads: usize,
    durable_writes: usize,
}

const NOTHING: Cost = cost(0, 0, 0);

const fn cost(round_trips: u64, durable_reads: usize, durable_writes: usize) -> Cost {
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
    durable: Control,
    clock: ManualClock,
    cookie: Option<String>,
    server: Memcached,
}

impl Site {
    /// `None` where memcached is not installed.
    async fn open() -> Option<Self> {
        let server = Memcached::start()?;
        let proxy = Proxy::start(server.address()).await;
        let (tier, durable) = Instrumented::new(MemoryStore::default());
        let keys = KeyRing::random().unwrap();
        let clock = ManualClock::default();
        let node = async || {
            let cache = Memcache::connect([proxy.address().to_string()]).unwrap();
            let cache = cache.with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT);
            // The first hit over a connection costs another round trip, once.
            cache.set("a-hit", "".into(), TIMEOUT).await.unwrap();
            cache.get("a-hit").await.unwrap();
            let store = CascadeStore::builder(keys.clone())
                .single_process()
                .memcache(cache)
                .datastore(tier.clone())
                .clock(clock.clone())
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
            clock,
            cookie: None,
            server,
        })
    }

    fn bursts(&self) -> (u64, u64) {
        let (sent, received) = (self.proxy.to_server().counts(), self.proxy.to_client().counts());
        (sent.reads, received.reads)
    }

    /// Sends a request to a node, and waits for its background work: what both cost, and whether a cookie was set.
    async fn send(&mut self, node: usize, method: &str, path: &str) -> (Cost, bool) {
        let (router, store) = &self.nodes[node];
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        self.durable.take_calls();
        let before = self.bursts();
        let response = router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
        store.drain().await;
        let after = self.bursts();
        let (reads, writes): (Vec<_>, Vec<_>) = self
            .durable
            .take_calls()
            .into_iter()
            .partition(|(call, _)| *call == "read");
        let sum = |calls: Vec<(_, usize)>| calls.into_iter().map(|(_, count)| count).sum();
        let cost = Cost {
            cache: (after.0 - before.0, after.1 - before.1),
            durable_reads: sum(reads),
            durable_writes: sum(writes),
        };
        let cookie = cookie_of(&response);
        let is_set = cookie.is_some();
        self.cookie = cookie.or(self.cookie.take());
        (cost, is_set)
    }

    /// Creates a session that is in both tiers, and that both nodes have read.
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
    // A second load within one request is free.
    assert_eq!(site.send(0, "GET", "/twice").await, (cost(1, 0, 0), false));
    // A write fills the cache: the other node's next read hits.
    site.send(0, "POST", "/visit").await;
    assert_eq!(site.send(1, "GET", "/").await, (cost(1, 0, 0), false));
}

#[tokio::test]
async fn an_unchanged_session_is_not_written() {
    let Some(mut site) = Site::open().await else { return };
    // A new session.
    assert_eq!(site.send(0, "GET", "/untouched").await, (NOTHING, false));
    assert_eq!(site.send(0, "GET", "/").await, (NOTHING, false));
    assert_eq!(site.send(0, "POST", "/touch").await, (NOTHING, false));
    site.warm().await;
    assert_eq!(site.send(0, "GET", "/untouched").await, (NOTHING, false));
    // A field that is borrowed and left as it was is no change: the request costs its load.
    assert_eq!(site.send(0, "POST", "/touch").await, (cost(1, 0, 0), false));
    assert_eq!(site.send(1, "GET", "/").await, (cost(1, 0, 0), false));
}

#[tokio::test]
async fn a_write_costs_one_durable_call_and_two_round_trips() {
    let Some(mut site) = Site::open().await else { return };
    site.warm().await;
    for node in [0, 1, 1, 0] {
        assert_eq!(
            site.send(node, "POST", "/visit").await,
            (cost(2, 0, 1), false),
            "node {node}"
        );
    }
    assert_eq!(site.send(1, "GET", "/").await, (cost(1, 0, 0), false));
}

#[tokio::test]
async fn a_renewal_costs_what_a_write_does() {
    let Some(mut site) = Site::open().await else { return };
    site.warm().await;
    // Due after a tenth of the idle time, 20 minutes, while the value in the cache is not too old yet.
    site.clock.advance(Duration::from_secs(121));
    assert_eq!(site.send(1, "GET", "/").await, (cost(2, 0, 1), false));
    assert_eq!(site.send(0, "GET", "/").await, (cost(1, 0, 0), false));
}

#[tokio::test]
async fn a_write_with_a_fence_costs_two_round_trips_more() {
    let Some(mut site) = Site::open().await else { return };
    site.warm().await;
    assert_eq!(site.send(0, "POST", "/login").await, (cost(4, 0, 1), true));
    assert_eq!(site.send(1, "POST", "/logout").await, (cost(3, 0, 1), true));
}

#[tokio::test]
async fn a_creation_costs_one_durable_call_and_one_round_trip_and_the_first_read_hits() {
    let Some(mut site) = Site::open().await else { return };
    assert_eq!(site.send(0, "POST", "/visit").await, (cost(1, 0, 1), true));
    assert_eq!(site.send(1, "GET", "/").await, (cost(1, 0, 0), false));
    assert_eq!(site.send(1, "POST", "/visit").await, (cost(2, 0, 1), false));
}

#[tokio::test]
async fn a_read_that_misses_fills_the_cache() {
    let Some(mut site) = Site::open().await else { return };
    site.warm().await;
    site.server.flush();
    // Get, add a lease, get again, fill.
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

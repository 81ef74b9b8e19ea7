//! A session that many requests write at once, over a durable tier that takes its time. Time is virtual: it passes when
//! all tasks wait.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use session_runtime::tier::{
    CacheTier, Cached, DurableTier, Scope, Stored, Swap, TierError, TierErrorKind, Token, Version, Write,
};
use session_runtime::{CascadeStore, KeyRing, LocalCache, RouterExt, Session, TypedSession};
use session_tests::instrumented::{Control, Instrumented};
use session_tests::memory::MemoryStore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::ServiceExt;

/// A durable tier each of whose calls takes 20 to 30 ms, as those of Datastore do.
#[derive(Clone)]
struct Slow(MemoryStore);

impl Slow {
    async fn wait(&self) {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..=30))).await;
    }
}

impl DurableTier for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        self.wait().await;
        self.0.read(key).await
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        self.wait().await;
        self.0.insert(key, value, expires_at).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        self.wait().await;
        self.0.update(key, base, value, expires_at).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        self.wait().await;
        self.0.delete(key, base).await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        self.0.purge_expired(now, limit).await
    }
}

#[derive(Session)]
#[session(name = "hot", version = 1)]
#[cascade(memcache, datastore)]
struct Hot {
    #[session(merge = add)]
    visits: u64,
    #[session(merge = reject)]
    seat: Option<u32>,
    #[session(privileged)]
    user: Option<u32>,
}

#[derive(serde::Deserialize)]
struct Seat {
    number: u32,
}

fn routes() -> Router<CascadeStore> {
    Router::new()
        .route(
            "/",
            get(|hot: TypedSession<Hot>| async move { hot.visits().to_string() }),
        )
        .route(
            "/visit",
            post(|mut hot: TypedSession<Hot>| async move { *hot.visits_mut() += 1 }),
        )
        .route(
            "/seat",
            post(
                |Query(Seat { number }): Query<Seat>, mut hot: TypedSession<Hot>| async move {
                    hot.set_seat(Some(number));
                },
            ),
        )
        .route(
            "/sign-in",
            post(|mut hot: TypedSession<Hot>| async move { hot.set_user(Some(1)) }),
        )
}

/// Some nodes on the same tiers, and the cookie of a session of one visit, which is not in the cache yet.
struct Site {
    nodes: Vec<Router>,
    durable: Control,
    cookie: String,
}

impl Site {
    async fn new(nodes: usize) -> Self {
        let (durable, control) = Instrumented::new(Slow(MemoryStore::default()));
        let keys = KeyRing::random().unwrap();
        let node = async |cache: &LocalCache| {
            let store = CascadeStore::builder(keys.clone())
                .cache(cache.clone())
                .durable(durable.clone());
            routes().sessions(store.build().await.unwrap().layer().with_server_timing(true))
        };
        let cookie = new_cookie(&send(&node(&LocalCache::new()).await, "POST", "/visit", "").await);
        let cache = LocalCache::new();
        let mut routers = Vec::new();
        for _ in 0..nodes {
            routers.push(node(&cache).await);
        }
        control.take_calls();
        Self {
            nodes: routers,
            durable: control,
            cookie,
        }
    }

    async fn visits(&self) -> String {
        let response = send(&self.nodes[0], "GET", "/", &self.cookie).await;
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn durable_calls(&self, name: &str) -> usize {
        let calls = self.durable.take_calls();
        calls
            .iter()
            .find(|(call, _)| *call == name)
            .map_or(0, |(_, count)| *count)
    }
}

async fn send(node: &Router, method: &str, path: &str, cookie: &str) -> axum::response::Response {
    let request = Request::builder().method(method).uri(path).header(COOKIE, cookie);
    node.clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

fn new_cookie(response: &axum::response::Response) -> String {
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next();
    cookie.unwrap().to_owned()
}

/// The status, and how the commit ended.
fn outcome(response: &axum::response::Response) -> (StatusCode, String) {
    let timing = response.headers()["server-timing"].to_str().unwrap();
    let commit = timing.split("commit;desc=").nth(1).unwrap_or_default();
    let label = commit.split('"').nth(1).unwrap_or_default();
    (response.status(), label.to_owned())
}

/// Sends each path to a node, all at once: how many answers had which status.
async fn send_at_once(site: &Arc<Site>, paths: impl Iterator<Item = (usize, String)>) -> Vec<(StatusCode, usize)> {
    let mut requests = JoinSet::new();
    for (node, path) in paths {
        let site = Arc::clone(site);
        requests.spawn(async move { send(&site.nodes[node], "POST", &path, &site.cookie).await.status() });
    }
    let mut statuses: Vec<(StatusCode, usize)> = Vec::new();
    while let Some(status) = requests.join_next().await {
        let status = status.unwrap();
        match statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += 1,
            None => statuses.push((status, 1)),
        }
    }
    statuses
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_written_together() {
    let site = Arc::new(Site::new(1).await);
    let started = Instant::now();
    let statuses = send_at_once(&site, (0..1000).map(|_| (0, "/visit".to_owned()))).await;
    assert_eq!(statuses, [(StatusCode::OK, 1000)]);
    let took = started.elapsed();
    // Those who come first by themselves, and the others in groups of at most 256.
    let updates = site.durable_calls("update");
    assert!(updates <= 8, "{updates}");
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert_eq!(site.visits().await, "1001");
}

#[tokio::test(start_paused = true)]
async fn ten_nodes_refuse_few() {
    const WRITERS: usize = 1000;
    let site = Arc::new(Site::new(10).await);
    let started = Instant::now();
    let statuses = send_at_once(&site, (0..WRITERS).map(|writer| (writer % 10, "/visit".to_owned()))).await;
    let written = statuses
        .iter()
        .find(|(status, _)| *status == StatusCode::OK)
        .map_or(0, |(_, count)| *count);
    let took = started.elapsed();
    assert!(written * 100 >= WRITERS * 99, "{statuses:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(site.visits().await, (1 + written).to_string());
}

/// A cache each of whose calls takes a millisecond.
struct SlowCache(LocalCache);

impl SlowCache {
    async fn wait(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl CacheTier for SlowCache {
    fn name(&self) -> &'static str {
        "slow-cache"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        self.wait().await;
        self.0.get(key).await
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        self.wait().await;
        self.0.add(key, value, ttl).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.wait().await;
        self.0.set(key, value, ttl).await
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.wait().await;
        self.0.swap(key, token, value, ttl).await
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        self.wait().await;
        self.0.remove(key, token).await
    }
}

#[derive(Session)]
#[session(name = "hot", version = 1)]
#[cascade(memcache)]
struct Counter {
    #[session(merge = add)]
    visits: u64,
}

#[tokio::test(start_paused = true)]
async fn writers_of_one_process_do_not_pause_for_others() {
    const ROUNDS: u32 = 50;
    let cache = SlowCache(LocalCache::new());
    let store = CascadeStore::builder(KeyRing::random().unwrap()).memcache(cache);
    let visit = post(|mut counter: TypedSession<Counter>| async move { *counter.visits_mut() += 1 });
    let node = Router::new().route("/", visit).sessions(store.build().await.unwrap());
    let cookie = new_cookie(&send(&node, "POST", "/", "").await);
    let started = Instant::now();
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let (node, cookie) = (node.clone(), cookie.clone());
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                assert_eq!(send(&node, "POST", "/", &cookie).await.status(), StatusCode::OK);
            }
        });
    }
    writers.join_all().await;
    // A load, a look and a swap, and a wait for those of others.
    let each = started.elapsed() / ROUNDS;
    assert!(each < Duration::from_millis(6), "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn each_of_those_who_are_written_together_has_its_own_outcome() {
    let site = Arc::new(Site::new(1).await);
    let paths = (0..100).map(|at| {
        let path = if at % 2 == 0 {
            "/visit".to_owned()
        } else {
            format!("/seat?number={at}")
        };
        (0, path)
    });
    let mut statuses = send_at_once(&site, paths).await;
    statuses.sort_unstable();
    // Of fifty who want the seat, one gets it.
    assert_eq!(statuses, [(StatusCode::OK, 51), (StatusCode::CONFLICT, 49)]);
    assert_eq!(site.visits().await, "51");
}

#[tokio::test(start_paused = true)]
async fn who_has_only_waited_is_not_told_that_the_outcome_is_unknown() {
    let site = Arc::new(Site::new(1).await);
    let gate = site.durable.block("update");
    let first = tokio::spawn({
        let site = Arc::clone(&site);
        async move { send(&site.nodes[0], "POST", "/visit", &site.cookie).await }
    });
    gate.reached().await;
    let second = send(&site.nodes[0], "POST", "/visit", &site.cookie).await;
    assert_eq!(second.status(), StatusCode::CONFLICT);
    // The first was sent.
    assert_eq!(first.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    gate.release();
}

/// Has the first node write for a visitor while the second one signs that visitor in, and two more writers wait meanwhile
/// behind the first: one that had loaded the session before the sign-in, and one with this cookie. How they end.
async fn sign_in_while_others_wait(is_signed_in: bool, is_outage: bool) -> [(StatusCode, String); 2] {
    let site = Arc::new(Site::new(2).await);
    let visit = |cookie: &str| {
        let (site, cookie) = (Arc::clone(&site), cookie.to_owned());
        tokio::spawn(async move { outcome(&send(&site.nodes[0], "POST", "/visit", &cookie).await) })
    };
    // In virtual time: until each has nothing to do but wait.
    let settled = || tokio::time::sleep(Duration::from_secs(1));
    let gate = site.durable.block("update");
    let _first = visit(&site.cookie);
    gate.reached().await;
    let second = visit(&site.cookie);
    let third = (!is_signed_in).then(|| visit(&site.cookie));
    settled().await;
    let cookie = new_cookie(&send(&site.nodes[1], "POST", "/sign-in", &site.cookie).await);
    let third = third.unwrap_or_else(|| visit(&cookie));
    settled().await;
    if is_outage {
        site.durable.fail("update", TierErrorKind::Unavailable);
    }
    gate.release();
    [second.await.unwrap(), third.await.unwrap()]
}

/// The one in front has loaded an older record, which knows nothing of the other one's secret.
#[tokio::test(start_paused = true)]
async fn who_is_written_with_another_is_not_refused_by_an_older_record_than_its_own() {
    let superseded = (StatusCode::CONFLICT, "superseded".to_owned());
    let [second, third] = sign_in_while_others_wait(true, true).await;
    assert_eq!(third, (StatusCode::SERVICE_UNAVAILABLE, "unavailable".to_owned()));
    assert_eq!(second, superseded);
    let [second, third] = sign_in_while_others_wait(true, false).await;
    assert_eq!(third, (StatusCode::OK, "coherent".to_owned()));
    assert_eq!(second, superseded);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_together_with_another_is_told_why() {
    let [second, third] = sign_in_while_others_wait(false, false).await;
    assert_eq!(second, (StatusCode::CONFLICT, "superseded".to_owned()));
    assert_eq!(third, second);
}

#[tokio::test(start_paused = true)]
async fn a_herd_of_readers_reads_the_durable_tier_once() {
    let site = Arc::new(Site::new(1).await);
    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let site = Arc::clone(&site);
        requests.spawn(async move { site.visits().await });
    }
    while let Some(visits) = requests.join_next().await {
        assert_eq!(visits.unwrap(), "1");
    }
    assert_eq!(site.durable_calls("read"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_dropped_keeps_nobody_waiting() {
    let site = Arc::new(Site::new(1).await);
    let gate = site.durable.block("read");
    let visits = || {
        let site = Arc::clone(&site);
        tokio::spawn(async move { site.visits().await })
    };
    let first = visits();
    gate.reached().await;
    let others = [visits(), visits()];
    tokio::task::yield_now().await;
    first.abort();
    for other in others {
        assert_eq!(other.await.unwrap(), "1");
    }
    // The one that was dropped, and one for the two others.
    assert_eq!(site.durable_calls("read"), 2);
}

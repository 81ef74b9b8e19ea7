//! What writers leave in the cache that are refused, or that die.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use session_runtime::tier::TierErrorKind;
use session_runtime::tier::memcache::Memcache;
use session_runtime::{CascadeStore, KeyRing, ManualClock, RouterExt, Session, TypedSession};
use session_tests::instrumented::{Control, Gate, Instrumented};
use session_tests::memory::MemoryStore;
use session_tests::services::memcached::Memcached;
use tower::ServiceExt;

const MAX_STALENESS: Duration = Duration::from_mins(1);
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Session)]
#[session(name = "fenced", version = 1)]
#[cascade(request, memcache, datastore)]
struct Fenced {
    #[session(merge = add)]
    visits: u64,
    #[session(merge = reject)]
    plan: u64,
    #[session(privileged)]
    user: Option<u64>,
}

fn routes(store: &CascadeStore) -> Router {
    let read = async |session: TypedSession<Fenced>| session.visits().to_string();
    let visit = async |mut session: TypedSession<Fenced>| *session.visits_mut() += 1;
    let plan = async |mut session: TypedSession<Fenced>| *session.plan_mut() += 1;
    let login = async |mut session: TypedSession<Fenced>| session.set_user(Some(1));
    Router::new()
        .route("/", get(read))
        .route("/visit", post(visit))
        .route("/plan", post(plan))
        .route("/login", post(login))
        .sessions(store.clone())
}

/// Two nodes on one memcached and one durable tier, and a session that is cached.
struct Site {
    nodes: [(Router, CascadeStore); 2],
    /// The first node's.
    cache: Control,
    durable: Control,
    clock: ManualClock,
    cookie: String,
    memcached: Memcached,
}

impl Site {
    /// `None` where memcached is not installed.
    async fn open() -> Option<Self> {
        let memcached = Memcached::start()?;
        let (tier, durable) = Instrumented::new(MemoryStore::default());
        let keys = KeyRing::random().unwrap();
        let clock = ManualClock::default();
        let node = async || {
            let memcache = Memcache::connect([memcached.address().to_string()]).unwrap();
            let (memcache, control) = Instrumented::new(memcache);
            let store = CascadeStore::builder(keys.clone())
                .single_process()
                .memcache(memcache)
                .datastore(tier.clone())
                .max_staleness(MAX_STALENESS)
                .commit_timeout(COMMIT_TIMEOUT)
                .clock(clock.clone())
                .build()
                .await
                .unwrap();
            ((routes(&store), store), control)
        };
        let ((first, cache), (second, _)) = (node().await, node().await);
        let mut site = Self {
            nodes: [first, second],
            cache,
            durable,
            clock,
            cookie: String::new(),
            memcached,
        };
        let (status, cookie) = site.send(0, "POST", "/visit").await;
        assert_eq!(status, StatusCode::OK);
        site.cookie = cookie.unwrap();
        site.read(0).await;
        assert_eq!(site.read(1).await, 0);
        Some(site)
    }

    /// The status, and the cookie that was set.
    fn send(
        &self,
        node: usize,
        method: &str,
        path: &str,
    ) -> impl Future<Output = (StatusCode, Option<String>)> + Send + use<> {
        let router = self.nodes[node].0.clone();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(COOKIE, &self.cookie)
            .body(Body::empty())
            .unwrap();
        async move {
            let response = router.oneshot(request).await.unwrap();
            let cookie = response.headers().get(SET_COOKIE).map(|line| {
                let (cookie, _) = line.to_str().unwrap().split_once(';').unwrap();
                cookie.to_owned()
            });
            (response.status(), cookie)
        }
    }

    /// How many durable reads a request costs that reads the session.
    async fn read(&self, node: usize) -> usize {
        self.durable.take_calls();
        assert_eq!(self.send(node, "GET", "/").await.0, StatusCode::OK);
        self.nodes[node].1.drain().await;
        self.durable.take_calls().iter().map(|(_, count)| count).sum()
    }

    /// Has a write of the first node, which missed the cache and is about to fence it, overtaken by another of the second;
    /// returns its status.
    async fn overtake(&mut self, path: &str, by: &str) -> StatusCode {
        self.memcached.flush();
        let gate = self.cache.block("set");
        let overtaken = tokio::spawn(self.send(0, "POST", path));
        gate.reached().await;
        let (status, cookie) = self.send(1, "POST", by).await;
        assert_eq!(status, StatusCode::OK);
        self.cookie = cookie.unwrap_or(std::mem::take(&mut self.cookie));
        gate.release();
        overtaken.await.unwrap().0
    }

    /// Has a writer of the first node die once its write without a fence is applied.
    async fn write_and_die(&self, path: &str) -> tokio::task::JoinHandle<(StatusCode, Option<String>)> {
        let gate = self.durable.block_after("update");
        let writing = tokio::spawn(self.send(0, "POST", path));
        gate.reached().await;
        writing
    }

    /// The next read fills the cache, and the one after it hits.
    async fn assert_no_fence(&self) {
        assert!(self.read(0).await <= 1);
        assert_eq!(self.read(1).await, 0, "the cache was not filled");
    }
}

#[tokio::test]
async fn a_writer_whose_secret_was_superseded_leaves_no_fence() {
    let Some(mut site) = Site::open().await else { return };
    assert_eq!(site.overtake("/visit", "/login").await, StatusCode::CONFLICT);
    site.assert_no_fence().await;
}

#[tokio::test]
async fn a_writer_whose_field_rejects_a_merge_leaves_no_fence() {
    let Some(mut site) = Site::open().await else { return };
    assert_eq!(site.overtake("/plan", "/plan").await, StatusCode::CONFLICT);
    site.assert_no_fence().await;
}

#[tokio::test]
async fn a_writer_that_could_not_reach_the_durable_tier_leaves_no_fence() {
    let Some(site) = Site::open().await else { return };
    for is_cached in [true, false] {
        if !is_cached {
            site.memcached.flush();
        }
        site.durable.fail_once("update", TierErrorKind::Unavailable, false);
        let (status, _) = site.send(0, "POST", "/visit").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        site.assert_no_fence().await;
    }
}

#[tokio::test]
async fn a_writer_that_dies_before_it_settles_leaves_the_old_value_until_that_is_too_old() {
    let Some(site) = Site::open().await else { return };
    site.write_and_die("/visit").await;
    assert_eq!(site.read(1).await, 0, "the old value is there");
    site.clock.advance(MAX_STALENESS + Duration::from_millis(1));
    assert_eq!(site.read(1).await, 1);
    assert_eq!(site.read(1).await, 0);
}

#[tokio::test]
async fn a_writer_whose_time_runs_out_before_it_settles_leaves_no_old_value() {
    let Some(site) = Site::open().await else { return };
    let gates: [&dyn Fn() -> Gate; 3] = [
        &|| site.durable.block("update"),
        &|| site.durable.block_after("update"),
        &|| site.cache.block("swap"),
    ];
    for (step, block) in gates.into_iter().enumerate() {
        let gate = block();
        let writing = tokio::spawn(site.send(0, "POST", "/visit"));
        gate.reached().await;
        tokio::time::pause();
        tokio::time::advance(COMMIT_TIMEOUT).await;
        tokio::time::resume();
        let (status, _) = writing.await.unwrap();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        site.nodes[0].1.drain().await;
        assert_eq!(site.read(1).await, 1, "step {step}: the old value is shown");
        site.memcached.flush();
        site.read(1).await;
    }
}

#[tokio::test]
async fn a_writer_that_is_refused_removes_the_value_that_another_has_left() {
    let Some(site) = Site::open().await else { return };
    site.write_and_die("/plan").await;
    let write = || site.send(1, "POST", "/plan");
    assert_eq!(write().await.0, StatusCode::CONFLICT);
    assert_eq!(write().await.0, StatusCode::OK);
}

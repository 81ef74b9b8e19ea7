//! A small site with a session, and browsers.

use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use session_runtime::ManualClock;
use session_runtime::tier::embedded::LocalCache;
use session_runtime::{Builder, WithDatastore, WithMemcache};
use session_runtime::{CascadeStore, KeyRing, RouterExt, Session, TypedSession};
use session_tests::instrumented::{Control, Instrumented};
use session_tests::memory::MemoryStore;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(memcache, datastore)]
pub(crate) struct Shop {
    #[session(merge = add)]
    pub(crate) visits: u64,
    pub(crate) note: Option<String>,
    #[session(privileged)]
    pub(crate) user: Option<u64>,
    #[session(flash)]
    pub(crate) notices: Vec<String>,
    #[session(merge = reject)]
    pub(crate) step: u64,
}

/// A second session, for requests with several.
#[derive(Session)]
#[session(name = "other", version = 1)]
#[cascade(datastore)]
pub(crate) struct Other {
    pub(crate) visits: u64,
}

pub(crate) type ShopSession = TypedSession<Shop>;

/// A store on instrumented tiers, with a manual clock, and an application on it.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) store: CascadeStore,
    pub(crate) app: Router,
    pub(crate) clock: ManualClock,
    pub(crate) cache: Control,
    pub(crate) durable: Control,
    pub(crate) records: MemoryStore,
    pub(crate) tiers: (Instrumented<LocalCache>, Instrumented<MemoryStore>),
}

pub(crate) type FullBuilder = Builder<WithMemcache, WithDatastore>;

/// A key ring with a key for each number; the first one signs.
pub(crate) fn keys(numbers: &[u8]) -> KeyRing {
    KeyRing::new(numbers.iter().map(|number| [*number; 32])).unwrap()
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(options: impl FnOnce(FullBuilder) -> FullBuilder) -> Self {
        let clock = ManualClock::default();
        let (cache, cache_control) = Instrumented::new(LocalCache::new().with_clock(clock.clone()));
        let records = MemoryStore::default();
        let (durable, durable_control) = Instrumented::new(records.clone());
        let builder = CascadeStore::builder(keys(&[1]))
            .memcache(cache.clone())
            .datastore(durable.clone())
            .clock(clock.clone());
        let store = options(builder).build().await.unwrap();
        Self {
            app: routes().sessions(store.clone()),
            store,
            clock,
            cache: cache_control,
            durable: durable_control,
            records,
            tiers: (cache, durable),
        }
    }

    /// Another node on the same tiers.
    pub(crate) async fn node(&self, options: impl FnOnce(FullBuilder) -> FullBuilder) -> Self {
        let (cache, durable) = self.tiers.clone();
        let builder = CascadeStore::builder(keys(&[1])).memcache(cache).datastore(durable);
        let store = options(builder.clock(self.clock.clone())).build().await.unwrap();
        Self {
            app: routes().sessions(store.clone()),
            store,
            ..self.clone()
        }
    }

    /// The same site with other routes.
    pub(crate) fn serving(&self, routes: Router<CascadeStore>) -> Self {
        Self {
            app: routes.sessions(self.store.clone()),
            ..self.clone()
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, cookie: Option<&str>) -> Reply {
        send(&self.app, method, path, cookie).await
    }

    pub(crate) async fn get(&self, browser: &mut Browser, path: &str) -> Reply {
        browser.send(&self.app, Method::GET, path).await
    }

    pub(crate) async fn post(&self, browser: &mut Browser, path: &str) -> Reply {
        browser.send(&self.app, Method::POST, path).await
    }

    /// Sends a POST in a task, with the browser's cookie.
    pub(crate) fn spawn_post(&self, browser: &Browser, path: &str) -> JoinHandle<Reply> {
        let (site, cookie, path) = (self.clone(), browser.cookie.clone(), path.to_owned());
        tokio::spawn(async move { site.send(Method::POST, &path, cookie.as_deref()).await })
    }

    /// A browser with a session of one visit, which is in both tiers; resets the counts.
    pub(crate) async fn visitor(&self) -> Browser {
        let mut browser = Browser::default();
        assert_eq!(self.post(&mut browser, "/visit").await.status, StatusCode::OK);
        self.warm(&mut browser).await;
        browser
    }

    /// As [`post`](Self::post), with the cache down: a session that it creates is in the durable tier only.
    pub(crate) async fn post_uncached(&self, browser: &mut Browser, path: &str) -> Reply {
        self.cache.down();
        let reply = self.post(browser, path).await;
        self.cache.up();
        reply
    }

    /// Fills the cache with the browser's session; resets the counts.
    pub(crate) async fn warm(&self, browser: &mut Browser) {
        self.get(browser, "/read").await;
        self.settle().await;
        self.reset_calls();
    }

    /// Waits for background work.
    pub(crate) async fn settle(&self) {
        self.store.drain().await;
    }

    pub(crate) fn reset_calls(&self) {
        self.cache.take_calls();
        self.durable.take_calls();
    }

    /// No tier was called since the counts were reset.
    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        assert_eq!((self.cache.take_calls(), self.durable.take_calls()), (vec![], vec![]));
    }
}

/// The response of the test routes.
fn view(shop: &ShopSession) -> Json<Value> {
    Json(json!({
        "is_new": shop.is_new(),
        "visits": shop.visits(),
        "note": shop.note(),
        "user": shop.user(),
    }))
}

pub(crate) async fn read(shop: ShopSession) -> Json<Value> {
    view(&shop)
}

pub(crate) async fn visit(mut shop: ShopSession) -> Json<Value> {
    *shop.visits_mut() += 1;
    view(&shop)
}

pub(crate) async fn logout(mut shop: ShopSession) {
    shop.destroy();
}

pub(crate) fn routes() -> Router<CascadeStore> {
    Router::new()
        .route("/read", get(read))
        .route("/visit", post(visit))
        .route("/logout", post(logout))
        .route(
            "/note/{text}",
            post(|mut shop: ShopSession, Path(text): Path<String>| async move { shop.set_note(Some(text)) }),
        )
        .route(
            "/login/{user}",
            post(|mut shop: ShopSession, Path(user): Path<u64>| async move { shop.set_user(Some(user)) }),
        )
        .route("/rotate", post(|mut shop: ShopSession| async move { shop.rotate() }))
        .route(
            "/touch",
            post(|mut shop: ShopSession| async move {
                _ = shop.note_mut();
                *shop.visits_mut() += 0;
            }),
        )
        .route(
            "/step/{step}",
            post(|mut shop: ShopSession, Path(step): Path<u64>| async move { shop.set_step(step) }),
        )
        .route(
            "/fail",
            post(|mut shop: ShopSession| async move {
                *shop.visits_mut() += 100;
                StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
        .route("/nothing", get(|| async {}))
}

/// A response, with its whole body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) async fn of(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all(SET_COOKIE).iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    /// The value of the only `Set-Cookie` header.
    #[track_caller]
    pub(crate) fn cookie(&self) -> String {
        let mut cookies = self.cookies();
        assert_eq!(cookies.len(), 1, "{cookies:?} of {self:?}");
        cookies.remove(0)
    }

    /// No cookie is set.
    #[track_caller]
    pub(crate) fn assert_no_cookie(&self) {
        assert_eq!(self.cookies(), Vec::<String>::new(), "{self:?}");
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn visits(&self) -> u64 {
        self.json()["visits"].as_u64().unwrap()
    }

    pub(crate) fn is_new(&self) -> bool {
        self.json()["is_new"].as_bool().unwrap()
    }
}

pub(crate) fn request(method: Method, path: &str, cookie: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) async fn send(app: &Router, method: Method, path: &str, cookie: Option<&str>) -> Reply {
    let response = app.clone().oneshot(request(method, path, cookie)).await;
    Reply::of(response.unwrap()).await
}

/// Sends `path` from many clients with the browser's cookie, a few times each, to one application after another: how
/// each request ended.
pub(crate) async fn post_concurrently(
    apps: &[&Router],
    path: &'static str,
    browser: &Browser,
    clients: usize,
    times: usize,
) -> Vec<StatusCode> {
    let mut tasks = JoinSet::new();
    for app in apps.iter().cycle().take(clients) {
        let (app, cookie) = (Router::clone(app), browser.cookie.clone());
        tasks.spawn(async move {
            let mut statuses = Vec::new();
            for _ in 0..times {
                statuses.push(send(&app, Method::POST, path, cookie.as_deref()).await.status);
            }
            statuses
        });
    }
    tasks.join_all().await.concat()
}

/// How many of the requests succeeded.
pub(crate) fn acknowledged(statuses: &[StatusCode]) -> u64 {
    statuses.iter().map(|status| u64::from(*status == StatusCode::OK)).sum()
}

/// Stores the cookie that it gets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    /// `name=value`.
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) async fn send(&mut self, app: &Router, method: Method, path: &str) -> Reply {
        let reply = send(app, method, path, self.cookie.as_deref()).await;
        self.take(&reply);
        reply
    }

    pub(crate) fn take(&mut self, reply: &Reply) {
        for line in reply.cookies() {
            let gone = line.contains("Max-Age=0");
            let pair = line.split(';').next().unwrap().to_owned();
            self.cookie = (!gone).then_some(pair);
        }
    }

    /// The cookie's value.
    pub(crate) fn value(&self) -> &str {
        self.cookie.as_deref().unwrap().split_once('=').unwrap().1
    }
}

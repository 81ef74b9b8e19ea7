//! A session is never created over another: where a key is in use, the store takes another key.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::routing::{get, post};
use bytes::Bytes;
use session_runtime::tier::CacheTier;
use session_runtime::tier::embedded::LocalCache;
use session_runtime::{CascadeStore, KeyRing, RouterExt, Session, TypedSession};
use session_tests::instrumented::{Control, Instrumented, OCCUPANT};
use session_tests::memory::MemoryStore;
use tower::ServiceExt;

/// The number of keys that a commit tries.
const KEYS: usize = 3;

/// Declares a session, and a router that creates and reads it.
macro_rules! session {
    ($name:ident, $tier:ident, $routes:ident) => {
        #[derive(Session)]
        #[session(name = "taken", version = 1)]
        #[cascade($tier)]
        struct $name {
            visits: u64,
        }

        fn $routes() -> Router<CascadeStore> {
            let create = async |mut session: TypedSession<$name>| {
                session.set_visits(1);
                format!("{:?}", session.commit().await)
            };
            let read = async |session: TypedSession<$name>| session.visits().to_string();
            Router::new().route("/", post(create)).route("/", get(read))
        }
    };
}

session!(InCache, memcache, cache_routes);
session!(InDurable, datastore, durable_routes);

/// Tiers, and a control of the one that the session is in.
struct Site {
    app: Router,
    cache: LocalCache,
    records: MemoryStore,
    control: Control,
}

impl Site {
    async fn new(routes: Router<CascadeStore>, is_in_cache: bool) -> Self {
        let (cache, records) = (LocalCache::new(), MemoryStore::default());
        let (cache_tier, cache_control) = Instrumented::new(cache.clone());
        let (durable_tier, durable_control) = Instrumented::new(records.clone());
        let store = CascadeStore::builder(KeyRing::random().unwrap())
            .memcache(cache_tier)
            .datastore(durable_tier);
        Self {
            app: routes.sessions(store.build().await.unwrap()),
            cache,
            records,
            control: if is_in_cache { cache_control } else { durable_control },
        }
    }

    /// The body of the response, and the cookie that it sets.
    async fn send(&self, request: Request<Body>) -> (String, Option<String>) {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let cookie = response.headers().get(SET_COOKIE).map(|line| {
            let (cookie, _) = line.to_str().unwrap().split_once(';').unwrap();
            cookie.to_owned()
        });
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (String::from_utf8(body.to_vec()).unwrap(), cookie)
    }

    async fn create(&self) -> (String, Option<String>) {
        self.send(Request::post("/").body(Body::empty()).unwrap()).await
    }

    async fn value(&self, key: &str) -> Option<Bytes> {
        match self.records.value(key) {
            Some(value) => Some(value),
            None => self.cache.get(key).await.unwrap().map(|cached| cached.value),
        }
    }

    /// Asserts that so many different keys were in use, and that their values are as they were.
    async fn assert_occupied(&self, count: usize) {
        let mut keys = self.control.occupied();
        for key in &keys {
            assert_eq!(self.value(key).await, Some(OCCUPANT), "{key}");
        }
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}

async fn sites() -> [Site; 2] {
    [
        Site::new(cache_routes(), true).await,
        Site::new(durable_routes(), false).await,
    ]
}

#[tokio::test]
async fn a_taken_key_is_left_alone_and_the_session_is_created_under_another() {
    for site in sites().await {
        for count in 1..KEYS {
            site.control.occupy(count);
            let (outcome, cookie) = site.create().await;
            assert_eq!(outcome, "Ok(Coherent)");
            let request = Request::get("/").header(COOKIE, cookie.expect("the session has a cookie"));
            let (visits, _) = site.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(visits, "1");
        }
        site.assert_occupied((1..KEYS).sum()).await;
    }
}

#[tokio::test]
async fn a_creation_that_finds_every_key_taken_fails() {
    for site in sites().await {
        site.control.occupy(KEYS);
        let (outcome, cookie) = site.create().await;
        assert!(outcome.starts_with("Err(Unknown { session: \"taken\""), "{outcome}");
        assert_eq!(cookie, None);
        site.assert_occupied(KEYS).await;
    }
}

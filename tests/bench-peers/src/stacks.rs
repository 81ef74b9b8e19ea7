//! The same four routes on each stack: `/none`, `/seed`, `/read`, `/write`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use session_runtime::tier::embedded::LocalCache;
use session_runtime::{CascadeStore, KeyRing, Memcache, RouterExt, TypedSession};
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};

pub(crate) struct Stack {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What it needs beside it.
    pub(crate) service: &'static str,
    pub(crate) has_sessions: bool,
}

const fn stack(name: &'static str, title: &'static str, service: &'static str) -> Stack {
    Stack {
        name,
        title,
        service,
        has_sessions: true,
    }
}

pub(crate) const ALL: &[Stack] = &[
    Stack {
        has_sessions: false,
        ..stack("bare", "bare axum", "")
    },
    stack("tower-memory", "tower-sessions 0.15, MemoryStore", ""),
    stack("axum-session", "axum_session 0.22, in memory", ""),
    stack("tower-redis", "tower-sessions 0.14, Redis", "redis-server"),
    stack("tower-moka", "tower-sessions 0.14, moka over Redis", "redis-server"),
    stack("memory", "this, cache in memory", ""),
    stack("memcached", "this, memcached", "memcached"),
    stack(
        "embedded",
        "this, embedded: cache over a file (each write is synced)",
        "",
    ),
    stack(
        "both",
        "this, memcached over a file (each write is synced)",
        "memcached",
    ),
];

#[derive(Clone, Default, Serialize, Deserialize)]
struct Line {
    sku: String,
    name: String,
    quantity: u32,
    cents: u64,
}

macro_rules! cart {
    ($(#[$attribute:meta])* $name:ident $(, $add:meta)?) => {
        $(#[$attribute])*
        struct $name {
            lines: Vec<Line>,
            $(#[$add])?
            visits: u64,
            user: Option<u64>,
            email: String,
            currency: String,
            locale: String,
            coupon: Option<String>,
            seen: Vec<u64>,
            flags: BTreeMap<String, bool>,
            note: String,
        }
    };
}

cart!(
    #[derive(Clone, Default, Serialize, Deserialize)]
    Cart
);
cart!(
    #[derive(session_runtime::Session)]
    #[session(name = "cart", version = 1)]
    #[cascade(memcache)]
    Cached,
    session(merge = add)
);
cart!(
    #[derive(session_runtime::Session)]
    #[session(name = "cart", version = 1)]
    #[cascade(memcache, datastore)]
    Kept,
    session(merge = add)
);

fn cart() -> Cart {
    let line = |n: u64| Line {
        sku: format!("SKU-{n:06}"),
        name: format!("A thing of many uses, number {n}"),
        quantity: 2,
        cents: 1_999 * n,
    };
    Cart {
        lines: (1..=4).map(line).collect(),
        visits: 0,
        user: Some(4_242),
        email: "someone@example.org".to_owned(),
        currency: "EUR".to_owned(),
        locale: "de-DE".to_owned(),
        coupon: Some("WELCOME10".to_owned()),
        seen: (1_000..1_010).collect(),
        flags: BTreeMap::from([("newsletter".to_owned(), true), ("beta".to_owned(), false)]),
        note: "Please ring twice".to_owned(),
    }
}

async fn none() -> &'static str {
    "0"
}

fn bare() -> Router {
    let routes = Router::new().route("/none", get(none)).route("/seed", get(none));
    routes.route("/read", get(none)).route("/write", get(none))
}

/// The handlers of a stack whose sessions are maps of serde values.
macro_rules! of_maps {
    ($session:ty) => {
        Router::new()
            .route("/none", get(none))
            .route(
                "/seed",
                get(async |session: $session| {
                    session.insert("cart", cart()).await.unwrap();
                }),
            )
            .route(
                "/read",
                get(async |session: $session| {
                    let cart: Option<Cart> = session.get("cart").await.unwrap();
                    cart.unwrap_or_default().visits.to_string()
                }),
            )
            .route(
                "/write",
                get(async |session: $session| {
                    let mut cart: Cart = session.get("cart").await.unwrap().unwrap_or_default();
                    cart.visits += 1;
                    let visits = cart.visits.to_string();
                    session.insert("cart", cart).await.unwrap();
                    visits
                }),
            )
    };
}

fn axum_session_routes() -> Router<()> {
    use axum_session::{Session, SessionNullPool};

    Router::new()
        .route("/none", get(none))
        .route(
            "/seed",
            get(async |session: Session<SessionNullPool>| session.set("cart", cart())),
        )
        .route(
            "/read",
            get(async |session: Session<SessionNullPool>| {
                session.get::<Cart>("cart").unwrap_or_default().visits.to_string()
            }),
        )
        .route(
            "/write",
            get(async |session: Session<SessionNullPool>| {
                let mut cart: Cart = session.get("cart").unwrap_or_default();
                cart.visits += 1;
                let visits = cart.visits.to_string();
                session.set("cart", cart);
                visits
            }),
        )
}

macro_rules! ours {
    ($session:ident, $store:expr) => {
        Router::new()
            .route("/none", get(none))
            .route(
                "/seed",
                get(async |mut session: TypedSession<$session>| {
                    let cart = cart();
                    session.set_lines(cart.lines);
                    session.set_user(cart.user);
                    session.set_email(cart.email);
                    session.set_currency(cart.currency);
                    session.set_locale(cart.locale);
                    session.set_coupon(cart.coupon);
                    session.set_seen(cart.seen);
                    session.set_flags(cart.flags);
                    session.set_note(cart.note);
                }),
            )
            .route(
                "/read",
                get(async |session: TypedSession<$session>| session.visits().to_string()),
            )
            .route(
                "/write",
                get(async |mut session: TypedSession<$session>| {
                    *session.visits_mut() += 1;
                    session.visits().to_string()
                }),
            )
            .sessions($store)
    };
}

async fn redis(port: &str) -> Pool {
    let config = Config::from_url(&format!("redis://127.0.0.1:{port}")).unwrap();
    let pool = Pool::new(config, None, None, None, 6).unwrap();
    pool.connect();
    pool.wait_for_connect().await.unwrap();
    pool
}

async fn router(stack: &str, port: &str, folder: &std::path::Path) -> Router {
    let keys = KeyRing::random().unwrap();
    let memcache = || Memcache::connect([format!("127.0.0.1:{port}")]).unwrap();
    let file = || session_runtime::tier::embedded::LocalFile::open(folder.join("s.redb")).unwrap();
    match stack {
        "bare" => bare(),
        "tower-memory" => {
            use tower_sessions::{MemoryStore, Session, SessionManagerLayer};
            of_maps!(Session).layer(SessionManagerLayer::new(MemoryStore::default()))
        }
        "tower-redis" => {
            use tower_sessions_14::{Session, SessionManagerLayer};
            let store = tower_sessions_redis_store::RedisStore::new(redis(port).await);
            of_maps!(Session).layer(SessionManagerLayer::new(store))
        }
        "tower-moka" => {
            use tower_sessions_14::{CachingSessionStore, Session, SessionManagerLayer};
            let store = tower_sessions_redis_store::RedisStore::new(redis(port).await);
            let cache = tower_sessions_moka_store::MokaStore::new(None);
            of_maps!(Session).layer(SessionManagerLayer::new(CachingSessionStore::new(cache, store)))
        }
        "axum-session" => {
            use axum_session::{SessionConfig, SessionLayer, SessionNullPool, SessionStore};
            let store = SessionStore::<SessionNullPool>::new(None, SessionConfig::default())
                .await
                .unwrap();
            axum_session_routes().layer(SessionLayer::new(store))
        }
        "memory" => {
            let store = CascadeStore::builder(keys)
                .memcache(LocalCache::new())
                .build()
                .await
                .unwrap();
            ours!(Cached, store)
        }
        "memcached" => {
            let store = CascadeStore::builder(keys).memcache(memcache()).build().await.unwrap();
            ours!(Cached, store)
        }
        "embedded" => {
            let store = CascadeStore::builder(keys)
                .memcache(LocalCache::new())
                .datastore(file());
            ours!(Kept, store.build().await.unwrap())
        }
        "both" => {
            let store = CascadeStore::builder(keys).single_process().memcache(memcache()).datastore(file());
            ours!(Kept, store.build().await.unwrap())
        }
        other => panic!("no such stack: {other}"),
    }
}

/// Serves a stack on one thread until it is killed; says where on the first line of its output.
pub(crate) fn serve(stack: &str, port: &str) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = router(stack, port, folder.path()).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        io::stdout().flush()?;
        axum::serve(listener.tap_io(|stream| _ = stream.set_nodelay(true)), router).await
    })
}

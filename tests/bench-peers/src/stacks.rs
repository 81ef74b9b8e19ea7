//! The same four routes on each stack: `/none`, `/seed`, `/read`, `/write`.

use std::io;
use std::path::Path;

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use session_runtime::tier::embedded::{LocalCache, LocalFile};
use session_runtime::{CascadeStore, KeyRing, Memcache, RouterExt, TypedSession};
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_sqlx_store::{PostgresStore, SqliteStore, sqlx};

use crate::cart::{Cached, Cart, Kept, cart, fill};
use crate::process::Service;
use crate::{alloc, growth, raw};

pub(crate) struct Stack {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What it needs beside it.
    pub(crate) service: Service,
    pub(crate) has_sessions: bool,
}

const fn stack(name: &'static str, title: &'static str, service: Service) -> Stack {
    Stack {
        name,
        title,
        service,
        has_sessions: true,
    }
}

const fn floor(name: &'static str, title: &'static str, service: Service) -> Stack {
    Stack {
        has_sessions: false,
        ..stack(name, title, service)
    }
}

pub(crate) const ALL: &[Stack] = &[
    floor("bare", "bare axum", Service::None),
    floor("raw", "raw memcached (get; gets, cas)", Service::Memcached),
    stack("axum-session", "axum_session 0.22, in memory", Service::None),
    stack("tower-memory", "tower-sessions 0.15, MemoryStore", Service::None),
    stack("tower-redis", "tower-sessions 0.14, Redis", Service::Redis),
    stack(
        "tower-moka-redis",
        "tower-sessions 0.14, moka over Redis",
        Service::Redis,
    ),
    stack("tower-sqlite", "tower-sessions 0.14, SQLite (synced)", Service::None),
    stack(
        "tower-moka-sqlite",
        "tower-sessions 0.14, moka over SQLite (synced)",
        Service::None,
    ),
    stack(
        "tower-postgres",
        "tower-sessions 0.14, Postgres (synced)",
        Service::Postgres,
    ),
    stack("memory", "this, in memory", Service::None),
    stack("embedded", "this, embedded: memory over a file (synced)", Service::None),
    stack("memcached", "this, memcached", Service::Memcached),
    stack(
        "memcached-file",
        "this, memcached over a file (synced)",
        Service::Memcached,
    ),
];

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

/// On tower-sessions 0.14, whose stores these are.
macro_rules! tower {
    ($store:expr) => {
        of_maps!(tower_sessions_14::Session).layer(tower_sessions_14::SessionManagerLayer::new($store))
    };
}

macro_rules! moka_over {
    ($store:expr) => {{
        let cache = tower_sessions_moka_store::MokaStore::new(None);
        tower!(tower_sessions_14::CachingSessionStore::new(cache, $store))
    }};
}

async fn axum_session() -> Router {
    use axum_session::{Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};

    let store = SessionStore::<SessionNullPool>::new(None, SessionConfig::default());
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
        .layer(SessionLayer::new(store.await.unwrap()))
}

macro_rules! ours {
    ($session:ident, $store:expr) => {
        Router::new()
            .route("/none", get(none))
            .route("/seed", get(async |mut session: TypedSession<$session>| fill!(session)))
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
            .sessions($store.build().await.unwrap())
    };
}

/// A pool of six, as in the example of the store.
async fn redis(port: &str) -> tower_sessions_redis_store::RedisStore<Pool> {
    let config = Config::from_url(&format!("redis://127.0.0.1:{port}")).unwrap();
    let pool = Pool::new(config, None, None, None, 6).unwrap();
    pool.connect();
    pool.wait_for_connect().await.unwrap();
    tower_sessions_redis_store::RedisStore::new(pool)
}

/// Synced at each commit, as this project's file is.
async fn sqlite(folder: &Path) -> SqliteStore {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

    let options = SqliteConnectOptions::new()
        .filename(folder.join("s.sqlite"))
        .create_if_missing(true);
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let store = SqliteStore::new(sqlx::SqlitePool::connect_with(options).await.unwrap());
    store.migrate().await.unwrap();
    store
}

async fn postgres(port: &str) -> PostgresStore {
    let url = format!("postgres://bench@127.0.0.1:{port}/postgres?sslmode=disable");
    let store = PostgresStore::new(sqlx::PgPool::connect(&url).await.unwrap());
    store.migrate().await.unwrap();
    store
}

async fn router(stack: &str, port: &str, folder: &Path) -> Router {
    // Known, so that a server that is started again reads what it has stored.
    let store = || CascadeStore::builder(KeyRing::new([[7; 32]]).unwrap());
    let memcache = || Memcache::connect([format!("127.0.0.1:{port}")]).unwrap();
    let file = || LocalFile::open(folder.join("s.redb")).unwrap();
    match stack {
        "bare" => bare(),
        "raw" => raw::router(port),
        "axum-session" => axum_session().await,
        "tower-memory" => {
            use tower_sessions::{MemoryStore, Session, SessionManagerLayer};
            of_maps!(Session).layer(SessionManagerLayer::new(MemoryStore::default()))
        }
        "tower-redis" => tower!(redis(port).await),
        "tower-moka-redis" => moka_over!(redis(port).await),
        "tower-sqlite" => tower!(sqlite(folder).await),
        "tower-moka-sqlite" => moka_over!(sqlite(folder).await),
        "tower-postgres" => tower!(postgres(port).await),
        "memory" => ours!(Cached, store().memcache(LocalCache::new())),
        "embedded" => ours!(Kept, store().memcache(LocalCache::new()).datastore(file())),
        "memcached" => ours!(Cached, store().memcache(memcache())),
        "memcached-file" => ours!(Kept, store().single_process().memcache(memcache()).datastore(file())),
        growth::STACK => growth::router(store().memcache(LocalCache::new()).datastore(file())).await,
        other => panic!("no such stack: {other}"),
    }
}

/// Serves a stack on one thread until it is killed. `/usage` tells the CPU time of this process in nanoseconds, and its
/// allocations, of which none are counted without `counts`.
pub(crate) fn serve(stack: &str, port: u16, service: &str, folder: &Path, counts: bool) -> io::Result<()> {
    if counts {
        alloc::start();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let usage = get(async || {
            let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
            let nanos = i128::from(cpu.tv_sec) * 1_000_000_000 + i128::from(cpu.tv_nsec);
            format!("{nanos} {}", alloc::count())
        });
        let router = router(stack, service, folder).await.route("/usage", usage);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        axum::serve(listener.tap_io(|stream| _ = stream.set_nodelay(true)), router).await
    })
}

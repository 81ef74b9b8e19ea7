//! Which tiers go together, and what a store refuses when it is built.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::routing::post;
use session_runtime::tier::{DurableTier, Scope, Stored, TierError, Version, Write};
use session_runtime::{BuildError, CascadeStore, KeyRing, LocalCache, Memcache, RouterExt, Session, TypedSession};
use session_tests::instrumented::Instrumented;
use session_tests::memory::MemoryStore;
use session_tests::services::memcached::Memcached;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// A durable tier that other processes write to.
struct Shared(MemoryStore);

impl DurableTier for Shared {
    fn name(&self) -> &'static str {
        "shared"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        self.0.read(key).await
    }

    async fn insert(&self, key: &str, value: bytes::Bytes, until: std::time::SystemTime) -> Result<Write, TierError> {
        self.0.insert(key, value, until).await
    }

    async fn update(
        &self,
        key: &str,
        base: Version,
        value: bytes::Bytes,
        until: std::time::SystemTime,
    ) -> Result<Write, TierError> {
        self.0.update(key, base, value, until).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        self.0.delete(key, base).await
    }

    async fn purge_expired(&self, now: std::time::SystemTime, limit: usize) -> Result<usize, TierError> {
        self.0.purge_expired(now, limit).await
    }
}

fn keys() -> KeyRing {
    KeyRing::random().unwrap()
}

fn memcache(address: &str) -> Memcache {
    Memcache::connect([address]).unwrap()
}

/// An address at which nothing listens.
const NOBODY: &str = "127.0.0.1:1";
/// Base64 of 32 bytes.
const KEYS: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

#[tokio::test]
async fn a_cache_of_this_process_over_a_shared_tier_is_refused() {
    let builder = || {
        CascadeStore::builder(keys())
            .cache(LocalCache::new())
            .durable(Shared(MemoryStore::default()))
    };
    let error = builder().build().await.unwrap_err();
    assert!(matches!(error, BuildError::LocalCacheOverShared { .. }), "{error:?}");
    for remedy in [
        "MEMCACHE_SERVERS",
        "without_cache",
        "single_process",
        "SESSION_SINGLE_PROCESS=1",
    ] {
        assert!(error.to_string().contains(remedy), "{error}");
    }
    builder().single_process().build().await.unwrap();
}

#[tokio::test]
async fn a_shared_cache_over_a_tier_of_this_process_is_refused() {
    let builder = || {
        CascadeStore::builder(keys())
            .cache(memcache(NOBODY))
            .durable(MemoryStore::default())
    };
    let error = builder().build().await.unwrap_err();
    assert!(matches!(error, BuildError::SharedCacheOverLocal { .. }), "{error:?}");
    for remedy in [
        "DATASTORE_PROJECT_ID",
        "LocalCache",
        "single_process",
        "SESSION_SINGLE_PROCESS=1",
    ] {
        assert!(error.to_string().contains(remedy), "{error}");
    }
    builder().single_process().build().await.unwrap();
}

#[tokio::test]
async fn tiers_of_one_scope_go_together() {
    let store = CascadeStore::builder(keys()).cache(memcache(NOBODY));
    store.durable(Shared(MemoryStore::default())).build().await.unwrap();
    let store = CascadeStore::builder(keys()).cache(LocalCache::new());
    store.durable(MemoryStore::default()).build().await.unwrap();
}

#[derive(Session)]
#[session(name = "both", version = 1)]
#[cascade(request, memcache, datastore)]
struct Both {
    #[session(merge = add)]
    visits: u64,
}

#[derive(Session)]
#[session(name = "cached", version = 1)]
#[cascade(memcache)]
struct Cached {
    #[session(merge = add)]
    visits: u64,
}

#[tokio::test]
async fn without_a_cache_each_request_reads_the_durable_tier() {
    let (durable, control) = Instrumented::new(Shared(MemoryStore::default()));
    let store = CascadeStore::builder(keys()).without_cache().durable(durable);
    let visit = |mut both: TypedSession<Both>| async move {
        *both.visits_mut() += 1;
        both.visits().to_string()
    };
    let only_cached = |cached: TypedSession<Cached>| async move { cached.visits().to_string() };
    let app: Router = Router::new()
        .route("/visit", post(visit))
        .route("/cached", post(only_cached))
        .sessions(store.build().await.unwrap());
    let send = async |path: &str, cookie: &str| {
        let request = Request::post(path).header(COOKIE, cookie).body(Body::empty());
        app.clone().oneshot(request.unwrap()).await.unwrap()
    };
    let created = send("/visit", "").await;
    let cookie = created.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap();
    for visits in 2..5 {
        let response = send("/visit", cookie).await;
        let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(body, visits.to_string());
    }
    assert_eq!(control.take_calls(), [("insert", 1), ("read", 3), ("update", 3)]);
    // There is nothing that such a session could live in.
    assert_eq!(send("/cached", "").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

/// Hands its connections to the servers in turn, as a load balancer does.
async fn balancer(servers: Vec<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let server = servers[next.fetch_add(1, Ordering::Relaxed) % servers.len()];
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(server).await {
                    let _either_side_has_closed = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    address
}

async fn build(
    server: &str,
) -> Result<CascadeStore<session_runtime::WithMemcache, session_runtime::NoDatastore>, BuildError> {
    CascadeStore::builder(keys()).cache(memcache(server)).build().await
}

#[tokio::test]
async fn a_load_balancer_before_several_memcacheds_is_refused() {
    let (Some(one), Some(two)) = (Memcached::start(), Memcached::start()) else {
        return;
    };
    let error = build(&balancer(vec![one.address(), two.address()]).await.to_string())
        .await
        .unwrap_err();
    let BuildError::Tier { source, .. } = error else {
        panic!("{error:?}")
    };
    let cause = source.source().unwrap().to_string();
    assert!(cause.contains("leads to several memcacheds"), "{cause}");
    assert!(cause.contains("list each of them"), "{cause}");
    build(&balancer(vec![one.address()]).await.to_string()).await.unwrap();
    build(&one.address().to_string()).await.unwrap();
}

#[tokio::test]
async fn a_memcached_that_is_down_keeps_no_store_from_starting() {
    build(NOBODY).await.unwrap();
}

/// Starts a node of this environment: what it said, and whether it was refused.
fn start(variables: &[(&str, &str)]) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_attack-node"));
    for name in [
        "MEMCACHE_SERVERS",
        "VALKEY_URL",
        "REDIS_URL",
        "DATASTORE_EMULATOR_HOST",
        "DATASTORE_PROJECT_ID",
        "DATABASE_URL",
        "GOOGLE_CLOUD_PROJECT",
        "SESSION_STORE_PATH",
    ] {
        command.env_remove(name);
    }
    let mut child = command
        .current_dir(dir.path())
        .env("SESSION_KEYS", KEYS)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 9];
    let is_listening = child.stdout.take().unwrap().read_exact(&mut first).is_ok();
    let made_a_file = dir.path().join("sessions.redb").exists();
    let _has_ended_already = child.kill();
    child.wait().unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    if is_listening {
        Ok(errors)
    } else {
        assert!(!made_a_file, "a node that is refused leaves no file");
        Err(errors)
    }
}

#[test]
fn a_node_with_memcached_alone_is_refused() {
    for keys in ["", KEYS] {
        let error = start(&[("MEMCACHE_SERVERS", NOBODY), ("SESSION_KEYS", keys)]).unwrap_err();
        for remedy in ["DATASTORE_PROJECT_ID", "SESSION_SINGLE_PROCESS=1", "SESSION_KEYS"] {
            assert!(error.contains(remedy), "{error}");
        }
    }
    start(&[("MEMCACHE_SERVERS", NOBODY), ("SESSION_SINGLE_PROCESS", "1")]).unwrap();
    start(&[]).unwrap();
    let error = start(&[("SESSION_SINGLE_PROCESS", "yes")]).unwrap_err();
    assert!(error.contains("it must be 0 or 1"), "{error}");
}

/// The database of an application is often named so: where sessions are in a file, it is left alone.
#[test]
fn a_database_is_used_if_it_is_postgres_and_no_file_is_named() {
    start(&[("DATABASE_URL", "mysql://shop@localhost/shop")]).unwrap();
    let url = "postgres://shop:hunter2@127.0.0.1:1/shop";
    start(&[("DATABASE_URL", url), ("SESSION_STORE_PATH", "s.redb")]).unwrap();
    let error = start(&[("DATABASE_URL", url)]).unwrap_err();
    let remedy = if cfg!(feature = "postgres") {
        "cannot connect to Postgres: check that it runs"
    } else {
        "the feature `postgres` of session-runtime is not compiled in: enable it, or unset DATABASE_URL"
    };
    assert!(error.contains(remedy), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = start(&[("DATABASE_URL", url), ("SESSION_KEYS", "")]).unwrap_err();
    assert!(
        error.contains("DATABASE_URL names a tier that other processes share"),
        "{error}"
    );
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_node_runs_on_postgres_by_its_url_alone() {
    use session_tests::http::{Answer, exchange};
    use session_tests::services::postgres::PostgresServer;
    use session_tests::services::process::Process;

    let Some(server) = PostgresServer::start() else { return };
    let started = Process::start(env!("CARGO_BIN_EXE_attack-node"), |command| {
        command.env("SESSION_KEYS", KEYS).env("DATABASE_URL", server.url());
    });
    let (_process, address) = started.unwrap();
    let send = async |method: &str, path: &str, cookie: Option<&str>| {
        let stream = TcpStream::connect(address).await.unwrap();
        Answer::parse(exchange(stream, method, path, cookie).await.unwrap()).unwrap()
    };
    let created = send("POST", "/create?number=7", None).await;
    let read = send("GET", "/read", created.cookie.as_deref()).await;
    assert_eq!((read.status, read.load()), (200, Some("postgres")));
    assert_eq!(server.sql("SELECT count(*) FROM session_records"), "1");
}

/// As of memcached; and the application's own server is often named so.
#[test]
fn a_node_with_valkey_alone_is_refused_and_a_server_of_the_applications_left_to_it() {
    let url = "redis://shop:hunter2@127.0.0.1:1";
    for variable in ["VALKEY_URL", "REDIS_URL"] {
        let error = start(&[(variable, url)]).unwrap_err();
        assert!(error.contains("other processes share the cache `valkey`"), "{error}");
        let started = start(&[(variable, url), ("SESSION_SINGLE_PROCESS", "1")]);
        if cfg!(feature = "valkey") {
            started.unwrap();
        } else {
            let remedy =
                format!("the feature `valkey` of session-runtime is not compiled in: enable it, or unset {variable}");
            assert!(started.unwrap_err().contains(&remedy));
        }
        let error = start(&[(variable, url), ("MEMCACHE_SERVERS", NOBODY)]).unwrap_err();
        assert!(
            error.contains(&format!("MEMCACHE_SERVERS and {variable} are both set")),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
    start(&[("REDIS_URL", url), ("SESSION_STORE_PATH", "s.redb")]).unwrap();
    let error = start(&[
        ("VALKEY_URL", url),
        ("SESSION_SINGLE_PROCESS", "1"),
        ("SESSION_KEYS", ""),
    ])
    .unwrap_err();
    assert!(
        error.contains("VALKEY_URL names a tier that other processes share"),
        "{error}"
    );
    #[cfg(feature = "valkey")]
    {
        let variables = [
            ("VALKEY_URL", "shop:hunter2@127.0.0.1"),
            ("SESSION_SINGLE_PROCESS", "1"),
        ];
        let error = start(&variables).unwrap_err();
        assert!(error.contains("cannot be read"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

//! The whole conformance suite, on pairs of the project's tiers.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod broken;

use std::sync::Arc;
use std::time::Duration;

use session_runtime::conformance::{self, Options};
use session_runtime::tier::embedded::{LocalCache, LocalFile};
use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, DurableTier};
use session_tests::memory::{MemoryCache, MemoryStore};
use session_tests::services::memcached::Memcached;
use tempfile::TempDir;

/// Longer than a busy machine takes for anything here.
const TIMEOUT: Duration = Duration::from_secs(10);

async fn check_conformance<C: CacheTier, D: DurableTier>(cache: C, durable: D) {
    let (cache, durable) = (Arc::new(cache), Arc::new(durable));
    let options = Options::new();
    conformance::cache_tier(&cache, &options).await.unwrap();
    conformance::durable_tier(&durable, &options).await.unwrap();
    conformance::store(&cache, &durable, &options).await.unwrap();
}

/// With a limit above the tier's: memcached counts key and header too.
fn start() -> Option<Memcached> {
    Memcached::start_with(&["-I", "2m"])
}

fn memcached(server: &Memcached) -> Memcache {
    let tier = Memcache::connect([server.address().to_string()]).unwrap();
    tier.with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory() {
    check_conformance(MemoryCache::default(), MemoryStore::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded() {
    let dir = TempDir::new().unwrap();
    let file = LocalFile::open(dir.path().join("s.redb")).unwrap();
    check_conformance(LocalCache::new(), file).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_memcached() {
    let Some(server) = start() else { return };
    check_conformance(memcached(&server), MemoryStore::default()).await;
}

/// A runtime of one thread schedules differently, and many services use one.
#[tokio::test]
async fn on_one_thread() {
    check_conformance(MemoryCache::default(), MemoryStore::default()).await;
}

#[cfg(feature = "datastore")]
mod on_google {
    use super::*;
    use session_runtime::tier::datastore::Datastore;
    use session_tests::services::emulator::{self, Emulator, PROJECT};

    async fn run(emulator: Option<&Emulator>) {
        let (Some(emulator), Some(server)) = (emulator, start()) else {
            return;
        };
        let tier = Datastore::builder()
            .project(PROJECT)
            .namespace(format!("sets-{}", std::process::id()))
            .emulator(emulator.address())
            // For the rules on purging.
            .index_expires_at(true);
        Box::pin(check_conformance(memcached(&server), tier.connect().await.unwrap())).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn datastore() {
        Box::pin(run(emulator::datastore())).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn firestore_in_datastore_mode() {
        Box::pin(run(emulator::firestore())).await;
    }
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};

    use session_runtime::tier::postgres::Postgres;
    use session_runtime::{CascadeStore, KeyRing};
    use session_tests::attack::{self, View};
    use session_tests::http::{Answer, exchange};
    use session_tests::services::postgres;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;

    async fn tier() -> Option<Postgres> {
        let server = postgres::shared()?;
        let builder = Postgres::builder(server.url()).table(postgres::fresh_table());
        Some(builder.create_table().call_timeout(TIMEOUT).connect().await.unwrap())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn with_memcached() {
        let (Some(tier), Some(server)) = (tier().await, start()) else {
            return;
        };
        check_conformance(memcached(&server), tier).await;
    }

    /// As for the one process of a small service.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn with_a_cache_of_this_process() {
        let Some(tier) = tier().await else { return };
        check_conformance(LocalCache::new(), tier).await;
    }

    #[tokio::test]
    async fn on_one_thread() {
        let Some(tier) = tier().await else { return };
        check_conformance(MemoryCache::default(), tier).await;
    }

    /// A node that serves the sessions of the attack from Postgres alone.
    async fn node(tier: Postgres, keys: KeyRing) -> SocketAddr {
        let builder = CascadeStore::builder(keys).without_cache().durable(tier);
        let store = builder.build().await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, attack::app(&store)).await });
        address
    }

    async fn send(node: SocketAddr, method: &str, path: &str, cookie: Option<String>) -> Answer {
        let stream = TcpStream::connect(node).await.unwrap();
        let answer = exchange(stream, method, path, cookie.as_deref()).await.unwrap();
        Answer::parse(answer).unwrap()
    }

    /// For many processes that share Postgres and nothing else.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn with_no_cache_at_all() {
        let Some(tier) = tier().await else { return };
        let keys = KeyRing::random().unwrap();
        let nodes = [node(tier.clone(), keys.clone()).await, node(tier, keys).await];
        let [one, two] = nodes;
        let created = send(one, "POST", "/create?number=7", None).await;
        let cookie = created.cookie;
        let mut adds = JoinSet::new();
        for number in 1..=40 {
            let (node, cookie) = (nodes[number % 2], cookie.clone());
            adds.spawn(async move { send(node, "POST", &format!("/add?number={number}"), cookie).await });
        }
        for add in adds.join_all().await {
            assert_eq!(
                (add.status, add.load(), add.commit()),
                (200, Some("postgres"), Some("coherent"))
            );
        }
        for node in nodes {
            let read = send(node, "GET", "/read", cookie.clone()).await;
            let view: View = serde_json::from_str(&read.body).unwrap();
            assert_eq!((view.id, view.visits, view.adds.len()), (7, 40, 40));
        }
        let late = tokio::spawn(send(two, "POST", "/add?number=41&ms=300", cookie.clone()));
        // Loaded by then, and not committed; either order ends the session.
        tokio::task::yield_now().await;
        assert_eq!(send(one, "POST", "/destroy", cookie.clone()).await.status, 200);
        let late = late.await.unwrap();
        assert!([200, 409].contains(&late.status), "{}", late.status);
        for node in nodes {
            let read = send(node, "GET", "/read", cookie.clone()).await;
            let view: View = serde_json::from_str(&read.body).unwrap();
            assert!(view.is_new, "{view:?}");
        }
    }
}

#[cfg(feature = "valkey")]
mod on_valkey {
    use super::*;
    use session_runtime::tier::valkey::Valkey;
    use session_tests::services::valkey::ValkeyServer;

    fn tier(server: &ValkeyServer) -> Valkey {
        let tier = Valkey::connect(server.url()).unwrap();
        tier.with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn over_memory() {
        let Some(server) = ValkeyServer::start() else { return };
        check_conformance(tier(&server), MemoryStore::default()).await;
    }

    /// As for the one process of a small service.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn over_a_file() {
        let Some(server) = ValkeyServer::start() else { return };
        let dir = TempDir::new().unwrap();
        let file = LocalFile::open(dir.path().join("s.redb")).unwrap();
        check_conformance(tier(&server), file).await;
    }

    #[tokio::test]
    async fn on_one_thread() {
        let Some(server) = ValkeyServer::start() else { return };
        check_conformance(tier(&server), MemoryStore::default()).await;
    }

    #[cfg(feature = "postgres")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn over_postgres() {
        use session_runtime::tier::postgres::Postgres;
        use session_tests::services::postgres;

        let (Some(server), Some(database)) = (ValkeyServer::start(), postgres::shared()) else {
            return;
        };
        let builder = Postgres::builder(database.url()).table(postgres::fresh_table());
        let durable = builder.create_table().call_timeout(TIMEOUT).connect().await.unwrap();
        check_conformance(tier(&server), durable).await;
    }

    #[cfg(feature = "datastore")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn over_datastore() {
        use session_runtime::tier::datastore::Datastore;
        use session_tests::services::emulator::{self, PROJECT};

        let (Some(server), Some(emulator)) = (ValkeyServer::start(), emulator::datastore()) else {
            return;
        };
        let durable = Datastore::builder()
            .project(PROJECT)
            .namespace(format!("sets-valkey-{}", std::process::id()))
            .emulator(emulator.address())
            // For the rules on purging.
            .index_expires_at(true);
        Box::pin(check_conformance(tier(&server), durable.connect().await.unwrap())).await;
    }
}

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

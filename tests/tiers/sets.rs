//! The whole suite, on every pair of tiers that the project has.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod broken;

use std::sync::Arc;
use std::time::Duration;

use session_runtime::conformance::{self, Options};
use session_runtime::tier::embedded::{LocalCache, LocalFile};
use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, DurableTier};
use session_tests::pair::{MemoryCache, MemoryStore};
use session_tests::services::memcached::Memcached;
use tempfile::TempDir;

/// Longer than a busy machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(10);

async fn keeps_all_rules<C: CacheTier, D: DurableTier>(cache: C, durable: D) {
    let (cache, durable) = (Arc::new(cache), Arc::new(durable));
    let options = Options::new();
    conformance::cache_tier(&cache, &options).await.unwrap();
    conformance::durable_tier(&durable, &options).await.unwrap();
    conformance::store(&cache, &durable, &options).await.unwrap();
}

/// memcached counts key and header within its limit of 1 MiB, and the tier's limit is that of the value alone.
fn start() -> Option<Memcached> {
    Memcached::start_with(&["-I", "2m"])
}

fn memcached(server: &Memcached) -> Memcache {
    let tier = Memcache::connect([server.address().to_string()]).unwrap();
    tier.with_timeout(PATIENCE).with_connect_timeout(PATIENCE)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory() {
    keeps_all_rules(MemoryCache::default(), MemoryStore::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded() {
    let dir = TempDir::new().unwrap();
    let file = LocalFile::open(dir.path().join("s.redb")).unwrap();
    keeps_all_rules(LocalCache::new(), file).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_memcached() {
    let Some(server) = start() else { return };
    keeps_all_rules(memcached(&server), MemoryStore::default()).await;
}

/// One thread is a different schedule, and what many services run on.
#[tokio::test]
async fn on_one_thread() {
    keeps_all_rules(MemoryCache::default(), MemoryStore::default()).await;
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
            .emulator(emulator.address());
        Box::pin(keeps_all_rules(memcached(&server), tier.connect().await.unwrap())).await;
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

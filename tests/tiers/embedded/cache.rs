//! The cache in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use session_runtime::ManualClock;
use session_runtime::conformance::{self, Options};
use session_runtime::tier::embedded::LocalCache;
use session_runtime::tier::{CacheTier, TierErrorKind};

const TTL: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    let clock = ManualClock::default();
    let tier = Arc::new(LocalCache::new().with_clock(clock.clone()));
    let options = Options::new().with_passing_time(move |by| clock.advance(by));
    conformance::cache_tier(&tier, &options).await.unwrap();
}

#[tokio::test]
async fn stays_within_its_capacity_and_keeps_the_newest() {
    let tier = LocalCache::new().with_capacity(64 << 10);
    for n in 0..1000 {
        tier.set(&format!("k{n}"), Bytes::from(vec![0; 1024]), TTL)
            .await
            .unwrap();
    }
    let mut kept = Vec::new();
    for n in 0..1000 {
        kept.extend(tier.get(&format!("k{n}")).await.unwrap().map(|_| n));
    }
    // An entry takes more than its 1024 bytes, and evicted entries may remain for a moment.
    assert!(kept.len() < 250, "{} of 1000 are there", kept.len());
    assert!(kept.contains(&999), "the newest is gone: {kept:?}");
    assert!(!kept.contains(&0), "the oldest is there");
}

#[tokio::test]
async fn refuses_a_value_larger_than_the_capacity() {
    let tier = LocalCache::new().with_capacity(8 << 10);
    let limit = tier.max_value_len();
    assert!(limit < 8 << 10);
    tier.set("k", Bytes::from(vec![0; limit]), TTL).await.unwrap();
    assert!(tier.get("k").await.unwrap().is_some());
    let error = tier.set("k", Bytes::from(vec![0; limit + 1]), TTL).await.unwrap_err();
    let size = limit + 1;
    assert_eq!(error.kind(), TierErrorKind::TooLarge { size, limit });
}

#[tokio::test]
async fn clones_share_the_contents() {
    let tier = LocalCache::new();
    let clone = tier.clone();
    tier.set("k", Bytes::from_static(b"v"), TTL).await.unwrap();
    assert_eq!(clone.get("k").await.unwrap().unwrap().value, "v");
}

#[tokio::test]
async fn a_ttl_beyond_the_range_of_system_time_never_ends() {
    let tier = LocalCache::new();
    tier.set("k", Bytes::from_static(b"v"), Duration::MAX).await.unwrap();
    assert!(tier.get("k").await.unwrap().is_some());
}

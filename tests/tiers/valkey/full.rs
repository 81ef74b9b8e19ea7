//! A server whose memory is full.

use session_runtime::tier::valkey::Valkey;
use session_runtime::tier::{CacheTier, Swap, TierErrorKind};
use session_tests::services::valkey::ValkeyServer;

use super::{TTL, kind, tier, token, value};

const FULL: [&str; 4] = ["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"];
const EVICTING: [&str; 4] = ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"];

/// Stores large values until the server takes no more, or for twice its memory.
async fn fill(tier: &Valkey) {
    for number in 0..60 {
        if tier
            .add(&format!("large{number}"), vec![7; 100_000].into(), TTL)
            .await
            .is_err()
        {
            return;
        }
    }
}

/// It goes on serving what it has, so a fence that it refuses deletes what it was to hide.
#[tokio::test]
async fn a_refused_fence_hides_all_the_same() {
    let Some(server) = ValkeyServer::start_with(&FULL) else {
        return;
    };
    let tier = tier(server.address());
    tier.set("k", "old".into(), TTL).await.unwrap();
    let current = token(&tier, "k").await;
    fill(&tier).await;
    assert!(
        server.send(&["SET", "x", &"x".repeat(100_000)]).starts_with("OOM"),
        "it is not full"
    );
    // Conditional writes change nothing: they would store what is newer, and say so.
    let large = || vec![8; 100_000].into();
    assert_eq!(kind(tier.add("new", large(), TTL).await), TierErrorKind::Unavailable);
    assert_eq!(
        kind(tier.swap("k", current, large(), TTL).await),
        TierErrorKind::Unavailable
    );
    assert_eq!(value(&tier, "k").await.unwrap(), "old");
    assert_eq!(token(&tier, "k").await, current);

    tier.set("k", large(), TTL).await.unwrap();
    assert_eq!(tier.get("k").await.unwrap(), None);
    assert!(server.raw("k").is_empty());

    // Removing takes no memory.
    let token = token(&tier, "large0").await;
    assert_eq!(tier.remove("large0", token).await.unwrap(), Swap::Done);
}

#[tokio::test]
async fn one_that_evicts_forgets_and_goes_on() {
    let Some(server) = ValkeyServer::start_with(&EVICTING) else {
        return;
    };
    let tier = tier(server.address());
    tier.set("k", "old".into(), TTL).await.unwrap();
    fill(&tier).await;
    let evicted = server.send(&["INFO", "stats"]);
    assert!(!evicted.contains("evicted_keys:0"), "it has evicted nothing");
    tier.set("k", "new".into(), TTL).await.unwrap();
    let found = value(&tier, "k").await;
    assert!(found.is_none_or(|found| found == "new"));
    assert!(tier.add("another", "v".into(), TTL).await.unwrap());
}

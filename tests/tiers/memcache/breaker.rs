//! A server that does not answer is left alone by reads for a while, and never by writes.

use std::time::Duration;

use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, TierError, TierErrorKind};
use session_tests::proxy::{Counts, Fault, Proxy};
use session_tests::services::memcached::Memcached;
use tokio::time::{self, Instant};

use super::{PATIENCE, TTL, tier, token, value, whole_text};

/// How many operations in a row must fail, as the tier's documentation has it.
const FAILURES: usize = 3;
/// How long it then is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Moves tokio's clock by the pause, with nothing under way.
async fn pass_the_pause() {
    time::pause();
    time::advance(PAUSE).await;
    time::resume();
}

/// What the proxy has seen of the clients.
fn seen(proxy: &Proxy) -> (u64, Counts) {
    (proxy.connections(), proxy.to_server().counts())
}

/// Checks that a read fails, and that it was the breaker's doing.
async fn assert_is_skipped(tier: &Memcache, key: &str) {
    let error = tier.get(key).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    let text = whole_text(&error);
    assert!(text.contains("is not asked for now"), "{text}");
}

/// Fails as many reads as it takes: the connection is closed instead of a reply.
async fn trip(proxy: &Proxy, tier: &Memcache, key: &str) {
    proxy.to_client().always(Fault::CutAfter(0));
    for _ in 0..FAILURES {
        let before = seen(proxy);
        assert_eq!(tier.get(key).await.unwrap_err().kind(), TierErrorKind::Unavailable);
        assert_ne!(seen(proxy), before, "it was asked");
    }
}

/// Under paused time, which moves only where everyone waits: a timeout is seen, and costs nothing.
#[tokio::test]
async fn a_frozen_server_costs_a_few_timeouts_and_then_none() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    server.pause();
    time::pause();
    for _ in 0..FAILURES {
        assert!(waited(tier.get("k")).await >= PATIENCE);
    }
    for _ in 0..10 {
        assert_eq!(waited(tier.get("k")).await, Duration::ZERO);
    }
    // Each of them takes longer than the pause.
    assert!(waited(tier.set("k", "w".into(), TTL)).await >= PATIENCE);
    assert!(waited(tier.add("k", "w".into(), TTL)).await >= PATIENCE);
    assert!(waited(tier.swap("k", token, "w".into(), TTL)).await >= PATIENCE);
    assert!(waited(tier.remove("k", token)).await >= PATIENCE);
    assert!(waited(tier.get("k")).await >= PATIENCE, "it is tried again");
    time::resume();
    server.resume();
    for _ in 0..=FAILURES {
        assert!(tier.get("k").await.is_ok(), "it is back");
    }
}

/// How long an operation takes to fail, by tokio's clock.
async fn waited<T>(operation: impl Future<Output = Result<T, TierError>>) -> Duration {
    let started = Instant::now();
    assert!(operation.await.is_err());
    started.elapsed()
}

#[tokio::test]
async fn a_skipped_read_sends_nothing_until_the_pause_is_over() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    trip(&proxy, &tier, "k").await;
    proxy.to_client().always(Fault::Pass);
    let before = seen(&proxy);
    for _ in 0..10 {
        assert_is_skipped(&tier, "k").await;
    }
    assert_eq!(seen(&proxy), before);
    pass_the_pause().await;
    for _ in 0..=FAILURES {
        assert_eq!(value(&tier, "k").await.unwrap(), "v");
    }
}

#[tokio::test]
async fn a_read_that_is_let_through_and_cancelled_is_not_the_last() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    trip(&proxy, &tier, "k").await;
    pass_the_pause().await;
    proxy.to_client().once(Fault::FreezeAfter(0));
    let frozen = proxy.to_client().frozen();
    tokio::select! {
        found = tier.get("k") => panic!("it ended: {found:?}"),
        () = async {
            proxy.to_client().wait_frozen(frozen + 1).await;
            assert_is_skipped(&tier, "k").await;
        } => {}
    }
    proxy.to_client().always(Fault::Pass);
    assert_is_skipped(&tier, "k").await;
    pass_the_pause().await;
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
}

/// What a commit needs: the read after its fence is not skipped, whatever was before.
#[tokio::test]
async fn any_write_that_is_answered_lets_the_next_read_through() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    for write in ["set", "add", "swap", "remove"] {
        tier.set("k", "v".into(), TTL).await.unwrap();
        let token = token(&tier, "k").await;
        trip(&proxy, &tier, "k").await;
        proxy.to_client().always(Fault::Pass);
        assert_is_skipped(&tier, "k").await;
        match write {
            "set" => tier.set("k", "w".into(), TTL).await.unwrap(),
            "add" => assert!(!tier.add("k", "w".into(), TTL).await.unwrap()),
            "swap" => drop(tier.swap("k", token, "w".into(), TTL).await.unwrap()),
            _ => drop(tier.remove("k", token).await.unwrap()),
        }
        assert!(tier.get("k").await.is_ok(), "after a {write}");
    }
}

#[tokio::test]
async fn writes_count_as_failures_and_are_tried_all_the_same() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    proxy.to_client().always(Fault::CutAfter(0));
    for _ in 0..FAILURES * 2 {
        let error = tier.set("k", "v".into(), TTL).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unknown, "it was sent");
    }
    assert_is_skipped(&tier, "k").await;
}

#[tokio::test]
async fn an_answer_that_is_an_error_is_an_answer() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    proxy
        .to_client()
        .always(Fault::Inject(0, b"SERVER_ERROR busy\r\n".to_vec()));
    for _ in 0..FAILURES * 2 {
        let text = whole_text(&tier.get("k").await.unwrap_err());
        assert!(text.contains("SERVER_ERROR busy"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_is_left_alone_is_so_by_its_own_keys_only() {
    let servers: Option<Vec<_>> = (0..3).map(|_| Memcached::start()).collect();
    let Some(servers) = servers else { return };
    let proxy = Proxy::start(servers[0].address()).await;
    let mut names = vec![proxy.address().to_string()];
    names.extend(servers.iter().skip(1).map(|server| server.address().to_string()));
    let tier = Memcache::connect(&names)
        .unwrap()
        .with_timeout(PATIENCE)
        .with_connect_timeout(PATIENCE);
    let keys: Vec<_> = (0..60).map(|n| format!("session.{n}")).collect();
    for key in &keys {
        tier.set(key, key.clone().into(), TTL).await.unwrap();
    }
    let is_cut_off = |key: &&String| tier.server_of(key) == Some(&names[0]);
    let (lost, kept): (Vec<_>, Vec<_>) = keys.iter().partition(is_cut_off);
    assert!(!lost.is_empty() && !kept.is_empty());
    trip(&proxy, &tier, lost[0]).await;
    let before = seen(&proxy);
    for key in kept {
        assert_eq!(value(&tier, key).await.unwrap(), key);
    }
    for key in lost {
        assert_is_skipped(&tier, key).await;
    }
    assert_eq!(seen(&proxy), before);
}

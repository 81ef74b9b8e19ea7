//! While a server does not answer, reads are not sent to it, but writes are.

use std::time::Duration;

use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, TierError, TierErrorKind};
use session_tests::proxy::{Counts, Fault, Proxy};
use session_tests::services::memcached::Memcached;
use tokio::time::{self, Instant};

use super::{TIMEOUT, TTL, full_report, tier, token, value};

/// How many operations in a row must fail, as documented at `Memcache`.
const FAILURE_THRESHOLD: usize = 3;
/// How often one read is allowed while the breaker is open.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Advances tokio's clock by the interval, while no operation runs.
async fn pass_the_interval() {
    time::pause();
    time::advance(RETRY_INTERVAL).await;
    time::resume();
}

/// The connections and bytes that the proxy has received from clients.
fn traffic(proxy: &Proxy) -> (u64, Counts) {
    (proxy.connections(), proxy.to_server().counts())
}

/// Checks that a read is rejected by the breaker.
async fn assert_is_rejected(tier: &Memcache, key: &str) {
    let error = tier.get(key).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    let text = full_report(&error);
    assert!(text.contains("reads are not sent to it for now"), "{text}");
}

/// Opens the breaker by failing reads: the connection is closed instead of a reply.
async fn trip(proxy: &Proxy, tier: &Memcache, key: &str) {
    proxy.to_client().always(Fault::CutAfter(0));
    for _ in 0..FAILURE_THRESHOLD {
        let before = traffic(proxy);
        assert_eq!(tier.get(key).await.unwrap_err().kind(), TierErrorKind::Unavailable);
        assert_ne!(traffic(proxy), before, "the read was sent");
    }
}

/// Under paused time, which advances only while every task waits, so that timeouts pass at once.
#[tokio::test]
async fn a_frozen_server_costs_a_few_timeouts_and_then_none() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    server.pause();
    time::pause();
    for _ in 0..FAILURE_THRESHOLD {
        assert!(waited(tier.get("k")).await >= TIMEOUT);
    }
    for _ in 0..10 {
        assert_eq!(waited(tier.get("k")).await, Duration::ZERO);
    }
    // Each of them takes longer than the interval.
    assert!(waited(tier.set("k", "w".into(), TTL)).await >= TIMEOUT);
    assert!(waited(tier.add("k", "w".into(), TTL)).await >= TIMEOUT);
    assert!(waited(tier.swap("k", token, "w".into(), TTL)).await >= TIMEOUT);
    assert!(waited(tier.remove("k", token)).await >= TIMEOUT);
    assert!(waited(tier.get("k")).await >= TIMEOUT, "a read is tried again");
    time::resume();
    server.resume();
    for _ in 0..=FAILURE_THRESHOLD {
        assert!(tier.get("k").await.is_ok(), "the server answers again");
    }
}

/// How long an operation takes to fail, by tokio's clock.
async fn waited<T>(operation: impl Future<Output = Result<T, TierError>>) -> Duration {
    let started = Instant::now();
    assert!(operation.await.is_err());
    started.elapsed()
}

#[tokio::test]
async fn a_rejected_read_sends_nothing_until_the_interval_is_over() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    trip(&proxy, &tier, "k").await;
    proxy.to_client().always(Fault::Pass);
    let before = traffic(&proxy);
    for _ in 0..10 {
        assert_is_rejected(&tier, "k").await;
    }
    assert_eq!(traffic(&proxy), before);
    pass_the_interval().await;
    for _ in 0..=FAILURE_THRESHOLD {
        assert_eq!(value(&tier, "k").await.unwrap(), "v");
    }
}

#[tokio::test]
async fn a_cancelled_attempt_does_not_keep_the_breaker_open() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    trip(&proxy, &tier, "k").await;
    pass_the_interval().await;
    proxy.to_client().once(Fault::FreezeAfter(0));
    let frozen = proxy.to_client().frozen();
    tokio::select! {
        found = tier.get("k") => panic!("the read ended: {found:?}"),
        () = async {
            proxy.to_client().wait_frozen(frozen + 1).await;
            assert_is_rejected(&tier, "k").await;
        } => {}
    }
    proxy.to_client().always(Fault::Pass);
    assert_is_rejected(&tier, "k").await;
    pass_the_interval().await;
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
}

/// A commit relies on this: the read after its fence is not rejected.
#[tokio::test]
async fn any_answered_write_closes_the_breaker() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    for write in ["set", "add", "swap", "remove"] {
        tier.set("k", "v".into(), TTL).await.unwrap();
        let token = token(&tier, "k").await;
        trip(&proxy, &tier, "k").await;
        proxy.to_client().always(Fault::Pass);
        assert_is_rejected(&tier, "k").await;
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
    for _ in 0..FAILURE_THRESHOLD * 2 {
        let error = tier.set("k", "v".into(), TTL).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unknown, "the write was sent");
    }
    assert_is_rejected(&tier, "k").await;
}

#[tokio::test]
async fn an_answer_that_is_an_error_is_an_answer() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    proxy
        .to_client()
        .always(Fault::Inject(0, b"SERVER_ERROR busy\r\n".to_vec()));
    for _ in 0..FAILURE_THRESHOLD * 2 {
        let text = full_report(&tier.get("k").await.unwrap_err());
        assert!(text.contains("SERVER_ERROR busy"), "{text}");
    }
}

#[tokio::test]
async fn an_open_breaker_affects_only_the_keys_of_its_server() {
    let servers: Option<Vec<_>> = (0..3).map(|_| Memcached::start()).collect();
    let Some(servers) = servers else { return };
    let proxy = Proxy::start(servers[0].address()).await;
    let mut names = vec![proxy.address().to_string()];
    names.extend(servers.iter().skip(1).map(|server| server.address().to_string()));
    let tier = Memcache::connect(&names)
        .unwrap()
        .with_timeout(TIMEOUT)
        .with_connect_timeout(TIMEOUT);
    let keys: Vec<_> = (0..60).map(|n| format!("session.{n}")).collect();
    for key in &keys {
        tier.set(key, key.clone().into(), TTL).await.unwrap();
    }
    let is_cut_off = |key: &&String| tier.server_of(key) == Some(&names[0]);
    let (lost, kept): (Vec<_>, Vec<_>) = keys.iter().partition(is_cut_off);
    assert!(!lost.is_empty() && !kept.is_empty());
    trip(&proxy, &tier, lost[0]).await;
    let before = traffic(&proxy);
    for key in kept {
        assert_eq!(value(&tier, key).await.unwrap(), key);
    }
    for key in lost {
        assert_is_rejected(&tier, key).await;
    }
    assert_eq!(traffic(&proxy), before);
}

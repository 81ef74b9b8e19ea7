//! A server that is killed, frozen, cut off, or loses its scripts.

use std::time::Duration;

use session_runtime::tier::{CacheTier, Swap, TierErrorKind};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::valkey::ValkeyServer;
use tokio::task::block_in_place;
use tokio::time::{self, Instant};

use super::{TIMEOUT, TTL, full_report, kind, pass_a_second, tier, token, value};

/// How many calls in a row must fail until reads are not sent.
const FAILURE_THRESHOLD: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_not_noticed_by_the_next_call() {
    let Some(mut server) = ValkeyServer::start() else {
        return;
    };
    let tier = tier(server.address());
    assert_eq!(tier.get("k").await.unwrap(), None);
    block_in_place(|| server.restart());
    assert_eq!(tier.get("k").await.unwrap(), None);
    block_in_place(|| server.restart());
    tier.set("k", "v".into(), TTL).await.unwrap();
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    block_in_place(|| server.restart());
    assert!(tier.add("k", "w".into(), TTL).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_unavailable_and_recovers_with_the_first_write() {
    let Some(mut server) = ValkeyServer::start() else {
        return;
    };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    block_in_place(|| server.kill());
    let errors = [
        tier.get("k").await.unwrap_err(),
        tier.add("k", "v".into(), TTL).await.unwrap_err(),
        tier.set("k", "v".into(), TTL).await.unwrap_err(),
        tier.swap("k", token, "v".into(), TTL).await.unwrap_err(),
        tier.remove("k", token).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(
            error.kind(),
            TierErrorKind::Unavailable,
            "nothing was sent, so nothing was applied: {error:?}"
        );
        let report = full_report(&error);
        assert!(report.contains(&server.address().to_string()), "{report}");
        assert_eq!(report.matches("onnection refused").count(), 1, "{report}");
    }
    let rejected = full_report(&tier.get("k").await.unwrap_err());
    assert!(rejected.contains("reads are not sent to it for now"), "{rejected}");
    block_in_place(|| server.restart());
    assert!(tier.add("k", "w".into(), TTL).await.unwrap());
    assert_eq!(value(&tier, "k").await.unwrap(), "w");
}

#[tokio::test]
async fn a_frozen_server_costs_the_timeout_and_leaves_the_outcome_of_writes_unknown() {
    let Some(server) = ValkeyServer::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let before = token(&tier, "k").await;
    server.pause();
    // From here on, time advances to the next deadline whenever every task waits.
    time::pause();
    let started = Instant::now();
    let (one, two) = tokio::join!(tier.set("k", "w".into(), TTL), tier.remove("k", before));
    assert_eq!((kind(one), kind(two)), (TierErrorKind::Unknown, TierErrorKind::Unknown));
    assert_eq!(started.elapsed().as_secs(), TIMEOUT.as_secs());
    // No connection can be had now, so that nothing is sent.
    assert_eq!(kind(tier.set("k", "x".into(), TTL).await), TierErrorKind::Unavailable);
    for _ in 0..FAILURE_THRESHOLD {
        let _rejected_or_timed_out = tier.get("k").await;
    }
    let started = Instant::now();
    assert_eq!(kind(tier.get("k").await), TierErrorKind::Unavailable);
    assert_eq!(started.elapsed(), Duration::ZERO, "reads are not sent");
    time::resume();
    server.resume();
    // The write whose outcome was unknown was applied.
    tier.add("other", "v".into(), TTL).await.unwrap();
    assert_eq!(value(&tier, "k").await.unwrap(), "w");
}

#[tokio::test]
async fn a_read_of_a_frozen_server_is_unavailable_and_its_connection_is_not_used_again() {
    let Some(server) = ValkeyServer::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    server.pause();
    time::pause();
    assert_eq!(kind(tier.get("k").await), TierErrorKind::Unavailable);
    time::resume();
    server.resume();
    assert_eq!(proxy.connections(), 1);
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_is_cut_costs_a_read_nothing_and_leaves_a_write_unknown() {
    let Some(server) = ValkeyServer::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    for cut_after in [0, 1, 5] {
        proxy.to_client().once(Fault::CutAfter(cut_after));
        assert_eq!(value(&tier, "k").await.unwrap(), "v", "cut after {cut_after}");
    }
    for cut_after in [0, 1, 3] {
        proxy.to_client().once(Fault::CutAfter(cut_after));
        let kind = kind(tier.set("k", "w".into(), TTL).await);
        assert_eq!(kind, TierErrorKind::Unknown, "cut after {cut_after}");
        assert_eq!(value(&tier, "k").await.unwrap(), "w");
    }
    // Between two calls: nothing was sent over it.
    for _ in 0..3 {
        proxy.cut().await;
        while server.send(&["CLIENT", "LIST"]).lines().count() > 1 {
            tokio::task::yield_now().await;
        }
        pass_a_second().await;
        tier.set("k", "x".into(), TTL).await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_connection_is_unavailable_until_it_is_accepted() {
    let Some(server) = ValkeyServer::start() else { return };
    let mut proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    proxy.refuse().await;
    assert_eq!(kind(tier.get("k").await), TierErrorKind::Unavailable);
    assert_eq!(kind(tier.set("k", "v".into(), TTL).await), TierErrorKind::Unavailable);
    proxy.accept().await;
    tier.set("k", "v".into(), TTL).await.unwrap();
    proxy.refuse().await;
    assert_eq!(value(&tier, "k").await.unwrap(), "v", "an open connection still works");
}

#[tokio::test]
async fn scripts_that_were_flushed_are_sent_again() {
    let Some(server) = ValkeyServer::start() else { return };
    let tier = tier(server.address());
    let flush = || assert_eq!(server.send(&["SCRIPT", "FLUSH"]), "OK");
    assert_eq!(tier.get("k").await.unwrap(), None);
    flush();
    assert!(tier.add("k", "one".into(), TTL).await.unwrap());
    flush();
    let one = token(&tier, "k").await;
    assert_eq!(tier.swap("k", one, "two".into(), TTL).await.unwrap(), Swap::Done);
    flush();
    assert_eq!(tier.swap("k", one, "no".into(), TTL).await.unwrap(), Swap::Changed);
    flush();
    let two = token(&tier, "k").await;
    assert_eq!(tier.remove("k", two).await.unwrap(), Swap::Done);
}

/// What comes is no answer to what was sent.
#[tokio::test]
async fn what_is_not_understood_closes_the_connection() {
    let Some(server) = ValkeyServer::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    for garbage in [&b"ERROR\r\n"[..], b"$x\r\n", b"\0\0"] {
        let before = proxy.connections();
        proxy.to_client().once(Fault::Inject(0, garbage.to_vec()));
        // It may be noticed before the call, and then costs nothing.
        match tier.set("k", "w".into(), TTL).await {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), TierErrorKind::Unknown, "{error:?}"),
        }
        assert_eq!(value(&tier, "k").await.unwrap(), "w");
        assert!(proxy.connections() > before, "{garbage:?}");
    }
}

/// Somebody else's key, of another type.
#[tokio::test]
async fn a_key_of_another_type_is_refused() {
    let Some(server) = ValkeyServer::start() else { return };
    let tier = tier(server.address());
    server.send(&["LPUSH", "k", "x"]);
    assert_eq!(kind(tier.get("k").await), TierErrorKind::Refused);
    assert_eq!(kind(tier.add("k", "v".into(), TTL).await), TierErrorKind::Refused);
    tier.set("k", "v".into(), TTL).await.unwrap();
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    // One of the same type, not of this crate's making, is none.
    for foreign in ["", "x", "8 bytes.", "fifteen bytes..", "longer than a head is"] {
        server.send(&["SET", "k", foreign]);
        assert_eq!(tier.get("k").await.unwrap(), None, "{foreign:?}");
        assert!(tier.add("k", "v".into(), TTL).await.unwrap(), "{foreign:?}");
    }
}

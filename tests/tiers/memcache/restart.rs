//! A memcached that is killed, restarted or frozen.

use session_runtime::tier::{CacheTier, Swap, TierErrorKind};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;

use super::{BUSY, TTL, full_report, join_all, tier, token, value};

#[tokio::test]
async fn a_restart_is_not_noticed_by_the_next_operation() {
    let Some(mut server) = Memcached::start() else { return };
    let tier = tier(server.address());
    // Several connections, all of which are closed by the restart.
    let warm = join_all((0..4).map(|_| tier.get("k"))).await;
    assert!(warm.iter().all(Result::is_ok));
    server.restart();
    assert_eq!(tier.get("k").await.unwrap(), None);
    server.restart();
    tier.set("k", "v".into(), TTL).await.unwrap();
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    server.restart();
    assert!(tier.add("k", "w".into(), TTL).await.unwrap());
}

#[tokio::test]
async fn a_dead_server_is_unavailable_and_recovers_with_the_first_write() {
    let Some(mut server) = Memcached::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    server.kill();
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
            "nothing was sent, so nothing was applied"
        );
        let report = full_report(&error);
        assert!(report.contains(&server.address().to_string()), "{report}");
        assert_eq!(report.matches("onnection refused").count(), 1, "{report}");
    }
    server.restart();
    assert!(tier.add("k", "w".into(), TTL).await.unwrap());
    assert_eq!(value(&tier, "k").await.unwrap(), "w");
}

/// A restarted memcached counts its cas uniques from 1 again, so an old one would name another value.
#[tokio::test]
async fn a_token_does_not_outlive_the_server() {
    let Some(mut server) = Memcached::start() else { return };
    let tier = tier(server.address());
    for _ in 0..3 {
        tier.set("k", "before".into(), TTL).await.unwrap();
        let stale = token(&tier, "k").await;
        let unique = server.send("mg k c\r\n").unwrap();
        server.restart();
        assert!(tier.add("k", "after".into(), TTL).await.unwrap());
        assert_eq!(
            server.send("mg k c\r\n").unwrap(),
            unique,
            "the test needs the two to have the same cas unique"
        );
        assert_eq!(tier.swap("k", stale, "wrong".into(), TTL).await.unwrap(), Swap::Changed);
        assert_eq!(tier.remove("k", stale).await.unwrap(), Swap::Changed);
        assert_eq!(value(&tier, "k").await.unwrap(), "after");
        server.restart();
    }
}

/// The name leads to another server while a connection to the one before is still open: a host that lost its power has
/// closed none, and a deployment may have both run for a while.
#[tokio::test]
async fn a_token_is_not_valid_for_another_server_that_has_taken_over_the_name() {
    let (Some(old), Some(new)) = (Memcached::start(), Memcached::start()) else {
        return;
    };
    let proxy = Proxy::start(old.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "before".into(), TTL).await.unwrap();
    let stale = token(&tier, "k").await;
    let unique = old.send("mg k c\r\n").unwrap();
    // Until another value has the same cas unique.
    while new.send("mg k c\r\n").unwrap() != unique {
        assert_eq!(new.send("set k 0 60 5\r\nafter\r\n").unwrap(), "STORED");
    }
    // The open connection is busy, so that the next operation needs a new one, which leads to the other server.
    proxy.to_client().once(Fault::FreezeAfter(0));
    let frozen = join_all((0..BUSY).map(|_| tier.get("k")));
    let others = async {
        proxy.to_client().wait_frozen(1).await;
        proxy.retarget(new.address());
        assert_eq!(tier.swap("k", stale, "wrong".into(), TTL).await.unwrap(), Swap::Changed);
        assert_eq!(tier.remove("k", stale).await.unwrap(), Swap::Changed);
        assert_eq!(value(&tier, "k").await.unwrap(), "after");
        proxy.to_client().always(Fault::Pass);
    };
    let (frozen, ()) = tokio::join!(frozen, others);
    for found in frozen {
        assert_eq!(found.unwrap().unwrap().value, "before");
    }
    // Nor is the connection to the server before used any more.
    assert_eq!(value(&tier, "k").await.unwrap(), "after");
    assert_eq!(value(&tier, "k").await.unwrap(), "after");
}

#[tokio::test]
async fn a_frozen_server_costs_the_timeout_and_leaves_the_outcome_of_writes_unknown() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    server.pause();
    // From here on, time advances to the next deadline whenever every task waits.
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    for outcome in join_all((0..2).map(|_| tier.set("k", "w".into(), TTL))).await {
        assert_eq!(outcome.unwrap_err().kind(), TierErrorKind::Unknown);
    }
    assert_eq!(started.elapsed().as_secs(), super::TIMEOUT.as_secs());
    tokio::time::resume();
    server.resume();
    // The write whose outcome was unknown was applied.
    let is_swapped = tier.swap("k", token, "x".into(), TTL).await.unwrap();
    assert_eq!(is_swapped, Swap::Changed);
    assert_eq!(value(&tier, "k").await.unwrap(), "w");
}

/// More than the buffers of both sides of a connection hold.
#[tokio::test]
async fn a_write_that_waits_behind_others_until_its_timeout_is_known_not_to_be_sent() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address()).with_pool_size(1);
    tier.set("k", "v".into(), TTL).await.unwrap();
    server.pause();
    tokio::time::pause();
    let keys: Vec<_> = (0..24).map(|n| format!("large{n}")).collect();
    let large = || vec![7; 1_000_000].into();
    let outcomes = join_all(keys.iter().map(|key| tier.set(key, large(), TTL))).await;
    let kinds: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_err().kind())
        .collect();
    assert_eq!(kinds.first(), Some(&TierErrorKind::Unknown));
    assert_eq!(kinds.last(), Some(&TierErrorKind::Unavailable));
    tokio::time::resume();
    server.resume();
    let tier = super::tier(server.address());
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    for (key, kind) in keys.iter().zip(kinds) {
        assert!(
            kind == TierErrorKind::Unknown || tier.get(key).await.unwrap().is_none(),
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_read_of_a_frozen_server_is_unavailable_and_is_not_retried() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    server.pause();
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    assert_eq!(tier.get("k").await.unwrap_err().kind(), TierErrorKind::Unavailable);
    assert_eq!(started.elapsed().as_secs(), super::TIMEOUT.as_secs());
    tokio::time::resume();
    server.resume();
    assert_eq!(proxy.connections(), 1);
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    assert_eq!(
        proxy.connections(),
        2,
        "the connection with an unread reply is not used again"
    );
}

#[tokio::test]
async fn a_flush_is_a_miss() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    server.flush();
    assert_eq!(tier.get("k").await.unwrap(), None);
    assert_eq!(tier.swap("k", token, "w".into(), TTL).await.unwrap(), Swap::Missing);
}

#[tokio::test]
async fn a_refused_connection_is_unavailable_until_it_is_accepted() {
    let Some(server) = Memcached::start() else { return };
    let mut proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    proxy.refuse().await;
    assert_eq!(tier.get("k").await.unwrap_err().kind(), TierErrorKind::Unavailable);
    assert_eq!(
        tier.set("k", "v".into(), TTL).await.unwrap_err().kind(),
        TierErrorKind::Unavailable
    );
    proxy.accept().await;
    tier.set("k", "v".into(), TTL).await.unwrap();
    proxy.refuse().await;
    assert_eq!(value(&tier, "k").await.unwrap(), "v", "an open connection still works");
    proxy.cut().await;
    assert_eq!(tier.get("k").await.unwrap_err().kind(), TierErrorKind::Unavailable);
}

//! The memcached tier, against a real memcached.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test"
)]

mod breaker;
mod cancel;
mod faults;
mod hostile;
mod ping;
mod pipeline;
mod placement;
mod restart;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, Swap, TierError, TierErrorKind, Token};
use session_tests::proxy::Proxy;
use session_tests::services::memcached::Memcached;

const TTL: Duration = Duration::from_secs(60);
/// Longer than a busy machine takes for anything here.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So many operations at once take a second connection.
const BUSY: usize = 32;

/// A tier on one server, with timeouts for a busy machine.
fn tier(address: SocketAddr) -> Memcache {
    let tier = Memcache::connect([address.to_string()]).unwrap();
    tier.with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT)
}

async fn value(tier: &Memcache, key: &str) -> Option<Bytes> {
    tier.get(key).await.unwrap().map(|cached| cached.value)
}

async fn token(tier: &Memcache, key: &str) -> Token {
    tier.get(key).await.unwrap().expect("the key has a value").token
}

/// The error and all its sources, as a log would show them.
fn full_report(error: &TierError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn a_value_is_added_found_replaced_and_removed() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    assert_eq!(tier.get("k").await.unwrap(), None);
    assert!(tier.add("k", "one".into(), TTL).await.unwrap());
    assert!(!tier.add("k", "two".into(), TTL).await.unwrap());
    let one = tier.get("k").await.unwrap().unwrap();
    assert_eq!(one.value, "one");

    tier.set("k", "two".into(), TTL).await.unwrap();
    let two = tier.get("k").await.unwrap().unwrap();
    assert_eq!(two.value, "two");
    assert_eq!(
        tier.swap("k", one.token, "no".into(), TTL).await.unwrap(),
        Swap::Changed
    );
    assert_eq!(tier.remove("k", one.token).await.unwrap(), Swap::Changed);
    assert_eq!(value(&tier, "k").await.unwrap(), "two");

    assert_eq!(
        tier.swap("k", two.token, "three".into(), TTL).await.unwrap(),
        Swap::Done
    );
    let three = tier.get("k").await.unwrap().unwrap();
    assert_eq!(three.value, "three");
    assert_eq!(tier.remove("k", three.token).await.unwrap(), Swap::Done);
    assert_eq!(tier.get("k").await.unwrap(), None);
    assert_eq!(tier.remove("k", three.token).await.unwrap(), Swap::Missing);
    assert_eq!(
        tier.swap("k", three.token, "no".into(), TTL).await.unwrap(),
        Swap::Missing
    );
    assert!(
        tier.add("k", "again".into(), TTL).await.unwrap(),
        "a removed value does not prevent an add"
    );
}

#[tokio::test]
async fn a_token_changes_with_every_write() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "same".into(), TTL).await.unwrap();
    let before = token(&tier, "k").await;
    assert_eq!(token(&tier, "k").await, before, "a read changes nothing");
    tier.set("k", "same".into(), TTL).await.unwrap();
    assert_ne!(token(&tier, "k").await, before);
    assert_eq!(tier.swap("k", before, "late".into(), TTL).await.unwrap(), Swap::Changed);
}

#[tokio::test]
async fn a_token_is_valid_on_every_connection_of_the_pool() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    let swaps = (0..8).map(|_| tier.swap("k", token, "w".into(), TTL));
    let mut done = 0;
    for swap in join_all(swaps).await {
        done += u32::from(swap.unwrap() == Swap::Done);
    }
    assert_eq!(done, 1, "exactly one swap succeeds");
}

/// Polls all of them concurrently until all are ready.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in futures.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(ready) = future.as_mut().poll(cx) {
                *output = Some(ready);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn any_bytes_and_any_allowed_key_come_back_as_they_were() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    let every_byte: Vec<u8> = (0..=255).collect();
    let values = [
        Bytes::new(),
        Bytes::from_static(b"\r\n"),
        Bytes::from_static(b"\r\nEND\r\nVALUE k 0 1 1\r\nx\r\nEND\r\nERROR\r\n"),
        Bytes::from(every_byte),
        Bytes::from(vec![7; 4096 - 30]),
        Bytes::from(vec![7; 4096]),
        Bytes::from(vec![b'\n'; 1_000_000]),
    ];
    for key in ["k", "!~", &"k".repeat(250)] {
        for expected in &values {
            tier.set(key, expected.clone(), TTL).await.unwrap();
            assert_eq!(value(&tier, key).await.as_ref(), Some(expected));
            let token = token(&tier, key).await;
            assert_eq!(tier.swap(key, token, expected.clone(), TTL).await.unwrap(), Swap::Done);
            assert_eq!(value(&tier, key).await.as_ref(), Some(expected));
        }
    }
}

#[tokio::test]
async fn a_key_that_memcached_would_misread_is_refused() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    for key in ["", "a b", "a\r\nflush_all", "a\tb", "é", "a\0", &"k".repeat(251)] {
        let error = tier.get(key).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Refused, "{key:?}");
        let error = tier.set(key, "v".into(), TTL).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Refused, "{key:?}");
    }
}

#[tokio::test]
async fn a_ttl_is_sent_as_an_exptime() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    let cases = [
        (Duration::from_millis(90_001), 90..=91),
        (Duration::from_secs(60 * 60 * 24 * 30), 2_591_990..=2_592_000),
        (Duration::MAX, 2_591_990..=2_592_000),
    ];
    for (ttl, expected) in cases {
        let left = || {
            let line = server.send("mg k t\r\n").unwrap();
            line.strip_prefix("HD t").unwrap().parse::<i64>().unwrap()
        };
        tier.set("k", "v".into(), ttl).await.unwrap();
        assert!(expected.contains(&left()), "set for {ttl:?}: {}", left());
        let token = token(&tier, "k").await;
        tier.swap("k", token, "v".into(), ttl).await.unwrap();
        assert!(expected.contains(&left()), "swap for {ttl:?}: {}", left());
    }
    tier.set("k", "v".into(), Duration::ZERO).await.unwrap();
    assert_ne!(
        server.send("mg k t\r\n").unwrap(),
        "HD t-1",
        "a ttl of zero must not mean forever"
    );
}

#[tokio::test]
async fn every_operation_is_one_round_trip() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    let round_trips = || (proxy.to_server().counts().reads, proxy.to_client().counts().reads);
    let mut before = round_trips();
    let mut assert_one_round_trip = |what| {
        let after = round_trips();
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{what}");
        before = after;
    };
    tier.get("k").await.unwrap();
    assert_one_round_trip("a hit");
    tier.get("absent").await.unwrap();
    assert_one_round_trip("a miss");
    tier.add("k", "v".into(), TTL).await.unwrap();
    assert_one_round_trip("an add");
    tier.swap("k", token, "w".into(), TTL).await.unwrap();
    assert_one_round_trip("a swap");
    tier.set("k", "x".into(), TTL).await.unwrap();
    assert_one_round_trip("a set");
    tier.remove("k", token).await.unwrap();
    assert_one_round_trip("a remove");
    assert_eq!(proxy.connections(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_a_server_too() {
    let Some(_installed) = Memcached::start() else { return };
    let path = std::env::temp_dir().join(format!("session-tests-{}.sock", std::process::id()));
    let _was_not_there = std::fs::remove_file(&path);
    let mut server = session_tests::services::spawn_tied("memcached", |command| {
        command.args(["-u", "root", "-t", "1", "-s"]).arg(&path);
    });
    let tier = Memcache::connect([format!("unix:{}", path.display())]).unwrap();
    let started = std::time::Instant::now();
    while tier.set("k", "v".into(), TTL).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "memcached does not answer");
        tokio::task::yield_now().await;
    }
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(tier.get("k").await.unwrap_err().kind(), TierErrorKind::Unavailable);
    std::fs::remove_file(&path).unwrap();
}

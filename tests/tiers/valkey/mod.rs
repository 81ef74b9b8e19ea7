//! The Valkey tier, against a real server.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test"
)]

mod cancel;
mod faults;
mod full;
mod life;
mod setup;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use session_runtime::tier::valkey::Valkey;
use session_runtime::tier::{CacheTier, Swap, TierError, TierErrorKind, Token};
use session_tests::proxy::Proxy;
use session_tests::services::valkey::{self, ValkeyServer};
use tokio::time;

const TTL: Duration = Duration::from_secs(60);
/// Longer than a busy machine takes for anything here.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A tier on one server, with timeouts for a busy machine.
fn tier(address: SocketAddr) -> Valkey {
    patient(&valkey::url(address))
}

fn patient(url: &str) -> Valkey {
    let tier = Valkey::connect(url).unwrap();
    tier.with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT)
}

async fn value(tier: &Valkey, key: &str) -> Option<Bytes> {
    tier.get(key).await.unwrap().map(|cached| cached.value)
}

async fn token(tier: &Valkey, key: &str) -> Token {
    tier.get(key).await.unwrap().expect("the key has a value").token
}

/// The error and all its sources, as a log would show them.
fn full_report(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn kind<T: std::fmt::Debug>(outcome: Result<T, TierError>) -> TierErrorKind {
    outcome.unwrap_err().kind()
}

/// Advances tokio's clock by a second, while nothing runs: then the breaker allows a read again, and a server is asked
/// again whether it is the primary.
async fn pass_a_second() {
    time::pause();
    time::advance(Duration::from_secs(1)).await;
    time::resume();
}

#[tokio::test]
async fn a_value_is_added_found_replaced_and_removed() {
    let Some(server) = ValkeyServer::start() else { return };
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
    assert!(tier.add("k", "again".into(), TTL).await.unwrap());
}

#[tokio::test]
async fn a_ttl_is_kept_by_the_server() {
    let Some(server) = ValkeyServer::start() else { return };
    let tier = tier(server.address());
    let left = || server.send(&["PTTL", "k"]).parse::<i64>().unwrap();
    for (ttl, expected) in [
        (Duration::from_millis(90_001), 60_000..=90_001),
        (Duration::MAX, 31_000_000_000_000..=31_536_000_000_000),
    ] {
        tier.set("k", "v".into(), ttl).await.unwrap();
        assert!(expected.contains(&left()), "set for {ttl:?}: {}", left());
        let token = token(&tier, "k").await;
        assert_eq!(tier.swap("k", token, "w".into(), ttl).await.unwrap(), Swap::Done);
        assert!(expected.contains(&left()), "swap for {ttl:?}: {}", left());
        server.send(&["DEL", "k"]);
        assert!(tier.add("k", "v".into(), ttl).await.unwrap());
        assert!(expected.contains(&left()), "add for {ttl:?}: {}", left());
    }
    tier.set("k", "v".into(), Duration::ZERO).await.unwrap();
    assert_ne!(left(), -1, "a ttl of zero must not mean forever");
}

#[tokio::test]
async fn every_operation_is_one_round_trip() {
    let Some(server) = ValkeyServer::start() else { return };
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
    let path = std::env::temp_dir().join(format!("session-tests-valkey-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let Some(_server) = ValkeyServer::start_with(&["--unixsocket", path]) else {
        return;
    };
    let tier = patient(&format!("unix://{path}"));
    tier.check().await.unwrap();
    tier.set("k", "v".into(), TTL).await.unwrap();
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
    std::fs::remove_file(path).unwrap();
}

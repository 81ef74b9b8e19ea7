//! A service that stalls: every answer is held back for a while.

use std::time::{Duration, Instant};

use session_runtime::tier::datastore::Datastore;
use session_runtime::tier::{DurableTier, TierErrorKind};
use session_tests::services::datastore_proxy::{Fault, Method, Proxy};
use session_tests::services::emulator;
use tokio::task::JoinSet;

use super::{builder, bytes, done, soon};

/// How many calls wait on one connection at most, as documented at `DatastoreBuilder::channels`.
const CALLS_PER_CHANNEL: usize = 500;

/// A tier with this many connections behind a proxy, which has a record `k`.
async fn behind_proxy(channels: usize) -> Option<(Datastore, Proxy)> {
    let emulator = emulator::datastore()?;
    let proxy = Proxy::start(&emulator.address()).await;
    let builder = builder(emulator).emulator(proxy.address()).channels(channels);
    let tier = builder.connect().await.unwrap();
    done(tier.insert("k", bytes("one"), soon()).await);
    Some((tier, proxy))
}

#[tokio::test]
async fn calls_beyond_the_limit_fail_at_once_and_the_others_go_on() {
    const BEYOND: usize = 20;
    let Some((tier, proxy)) = behind_proxy(1).await else {
        return;
    };
    proxy.stall(true);
    let mut reads = JoinSet::new();
    for _ in 0..CALLS_PER_CHANNEL + BEYOND {
        let tier = tier.clone();
        reads.spawn(async move { tier.read("k").await });
    }
    for _ in 0..BEYOND {
        let error = reads.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("500 calls wait"), "{cause}");
    }
    let error = tier.insert("other", bytes("one"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    proxy.stall(false);
    for read in reads.join_all().await {
        assert_eq!(read.unwrap().unwrap().value, "one");
    }
    done(tier.insert("other", bytes("one"), soon()).await);
}

/// A connection carries about 100 calls: those of a hundred others would wait for the answer of the first hundred.
#[tokio::test]
async fn calls_are_spread_over_the_connections() {
    let Some((tier, proxy)) = behind_proxy(4).await else {
        return;
    };
    assert_eq!(proxy.connections(), 1, "calls one after the other need one connection");
    proxy.stall(true);
    proxy.take_calls();
    let mut reads = JoinSet::new();
    for _ in 0..8 {
        let tier = tier.clone();
        reads.spawn(async move { tier.read("k").await });
    }
    let connected = async {
        while proxy.connections() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), connected)
        .await
        .expect("four connections");
    proxy.stall(false);
    for read in reads.join_all().await {
        assert_eq!(read.unwrap().unwrap().value, "one");
    }
    assert_eq!(proxy.connections(), 4);
}

/// Prints how a steady load fares while the service stalls, and how soon it is answered again. The seconds of the stall
/// are `SESSION_STALL_SECONDS`; without it, one. A stall of ten reaches the limit of the one connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_recovers_as_soon_as_the_service_does() {
    const PAUSE: Duration = Duration::from_millis(10);
    const CALM: Duration = Duration::from_secs(1);
    let seconds = std::env::var("SESSION_STALL_SECONDS").ok();
    let stall = Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(1));
    let Some((tier, proxy)) = behind_proxy(1).await else {
        return;
    };
    // The emulator would be the bottleneck.
    proxy.always(Method::Lookup, Fault::Answered);
    proxy.always(Method::Commit, Fault::Answered);
    let started = Instant::now();
    let mut calls = JoinSet::new();
    let mut ticks = tokio::time::interval(PAUSE);
    let mut number = 0;
    while started.elapsed() < CALM + stall + CALM * 2 {
        ticks.tick().await;
        proxy.stall((CALM..CALM + stall).contains(&started.elapsed()));
        number += 1;
        let tier = tier.clone();
        calls.spawn(async move {
            let (begun, since) = (started.elapsed(), Instant::now());
            let outcome = if number % 4 == 0 {
                let key = format!("w{number}");
                tier.insert(&key, bytes("one"), soon()).await.map(drop)
            } else {
                tier.read("k").await.map(drop)
            };
            Call {
                begun,
                took: since.elapsed(),
                outcome: outcome.map_err(|error| error.kind()),
            }
        });
    }
    let calls = calls.join_all().await;
    let (calm, rest): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.begun < CALM);
    let (stalled, after): (Vec<_>, Vec<_>) = rest.into_iter().partition(|call| call.begun < CALM + stall);
    for (when, calls) in [("before", &calm), ("during", &stalled), ("after", &after)] {
        println!("{when} a stall of {stall:?}: {}", Summary(calls));
    }
    let last = stalled
        .iter()
        .filter(|call| call.outcome.is_ok())
        .map(|call| call.begun + call.took)
        .max();
    println!(
        "the last call that waited was answered {:?} after the end",
        last.unwrap_or_default().saturating_sub(CALM + stall)
    );
    // Until those that waited are answered, there may be no room.
    let mut recovered = after.iter().filter(|call| call.begun >= CALM + stall + CALM);
    assert!(
        recovered.all(|call| call.outcome.is_ok()),
        "it did not recover within {CALM:?}"
    );
}

struct Call {
    begun: Duration,
    took: Duration,
    outcome: Result<(), TierErrorKind>,
}

struct Summary<'a>(&'a [Call]);

impl std::fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const AT_ONCE: Duration = Duration::from_millis(100);
        let count = |outcome| self.0.iter().filter(|call| call.outcome == outcome).count();
        let failed = self
            .0
            .iter()
            .filter(|call| call.outcome.is_err() && call.took < AT_ONCE);
        let slowest = self.0.iter().map(|call| call.took).max().unwrap_or_default();
        write!(
            f,
            "{} calls, {} answered, {} unavailable, {} unknown; {} failed at once; the slowest took {slowest:?}",
            self.0.len(),
            count(Ok(())),
            count(Err(TierErrorKind::Unavailable)),
            count(Err(TierErrorKind::Unknown)),
            failed.count(),
        )
    }
}

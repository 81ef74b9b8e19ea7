//! The Postgres tier, on servers of Debian's packages.
// clippy.toml allows these in functions marked `#[test]`, not in the functions that they call.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::conformance::{self, Options};
use session_runtime::tier::postgres::{Postgres, PostgresBuilder};
use session_runtime::tier::{DurableTier, Stored, TierError, TierErrorKind, Version, Write};
use session_tests::services::postgres::{self, PostgresServer};
use tokio::task::JoinSet;

mod crash;
mod faults;
mod log;
mod purge;
mod replica;
mod setup;

const HOUR: Duration = Duration::from_hours(1);
/// Longer than a busy machine takes for anything here.
const PATIENT: Duration = Duration::from_secs(30);

/// A tier with a table of its own.
fn builder(server: &PostgresServer) -> PostgresBuilder {
    Postgres::builder(server.url())
        .table(postgres::fresh_table())
        .create_table()
        .call_timeout(PATIENT)
}

async fn tier() -> Option<Postgres> {
    Some(builder(postgres::shared()?).connect().await.unwrap())
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn stored(text: &str, version: Version) -> Stored {
    let value = bytes(text);
    Stored { value, version }
}

fn soon() -> SystemTime {
    SystemTime::now() + HOUR
}

#[track_caller]
fn done(write: Result<Write, TierError>) -> Version {
    match write.unwrap() {
        Write::Done(version) => version,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_rules() {
    let Some(tier) = tier().await else { return };
    let options = Options::new();
    conformance::durable_tier(&std::sync::Arc::new(tier), &options)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_record_is_created_read_replaced_and_deleted() {
    let Some(tier) = tier().await else { return };
    assert_eq!(tier.read("k").await.unwrap(), None);
    let first = done(tier.insert("k", bytes("one"), soon()).await);
    assert_eq!(tier.insert("k", bytes("other"), soon()).await.unwrap(), Write::Conflict);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", first)));
    let second = done(tier.update("k", first, bytes("two"), soon()).await);
    assert!(second > first);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("two", second)));
    assert!(done(tier.delete("k", second).await) >= second);
    assert_eq!(tier.read("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_write_that_changes_nothing_says_why() {
    let Some(tier) = tier().await else { return };
    let first = done(tier.insert("k", bytes("one"), soon()).await);
    let second = done(tier.update("k", first, bytes("two"), soon()).await);
    for stale in [first, Version(second.0 + 1), Version(0), Version(u64::MAX)] {
        let update = tier.update("k", stale, bytes("three"), soon()).await.unwrap();
        assert_eq!(update, Write::Conflict, "{stale:?}");
        assert_eq!(tier.delete("k", stale).await.unwrap(), Write::Conflict, "{stale:?}");
        let update = tier.update("none", stale, bytes("three"), soon()).await.unwrap();
        assert_eq!(update, Write::Missing, "{stale:?}");
        assert_eq!(tier.delete("none", stale).await.unwrap(), Write::Missing, "{stale:?}");
    }
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("two", second)));
}

/// Versions are the clock's microseconds, or one more than the one before where the clock is slow: that of a standby
/// that has taken over may be.
#[tokio::test]
async fn versions_grow_where_the_clock_of_the_server_is_slow() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    let tier = builder(server).table(&table).connect().await.unwrap();
    let first = done(tier.insert("k", bytes("one"), soon()).await);
    let micros = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_micros();
    assert!(
        u128::from(first.0).abs_diff(micros) < 60_000_000,
        "{first:?} at {micros}"
    );
    let ahead = Version(first.0 + 3_600_000_000);
    server.sql(&format!("UPDATE {table} SET version = {}", ahead.0));
    let next = done(tier.update("k", ahead, bytes("two"), soon()).await);
    assert_eq!(next, Version(ahead.0 + 1));
}

#[tokio::test]
async fn the_largest_value_is_kept_and_a_larger_one_changes_nothing() {
    let Some(tier) = tier().await else { return };
    let limit = tier.max_value_len();
    let version = done(tier.insert("k", vec![7; limit].into(), soon()).await);
    let error = tier
        .update("k", version, vec![8; limit + 1].into(), soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::TooLarge { size: limit + 1, limit });
    let value = Bytes::from(vec![7; limit]);
    assert_eq!(tier.read("k").await.unwrap(), Some(Stored { value, version }));
}

#[tokio::test]
async fn tables_are_apart() {
    let (Some(here), Some(there)) = (tier().await, tier().await) else {
        return;
    };
    done(here.insert("k", bytes("here"), soon()).await);
    assert_eq!(there.read("k").await.unwrap(), None);
}

/// Who loses to a delete that is under way is told that there is no record: not what was there when the statement
/// began.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writers_on_one_version_one_wins_and_the_others_are_told_the_truth() {
    let Some(tier) = tier().await else { return };
    for round in 0..50 {
        let key = format!("k{round}");
        let base = done(tier.insert(&key, bytes("one"), soon()).await);
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let (tier, key) = (tier.clone(), key.clone());
            writers.spawn(async move {
                let write = match writer % 2 {
                    0 => tier.update(&key, base, bytes(&format!("{writer}")), soon()).await,
                    _ => tier.delete(&key, base).await,
                };
                (writer, write.unwrap())
            });
        }
        let outcomes = writers.join_all().await;
        let winners: Vec<_> = outcomes
            .iter()
            .filter(|(_, write)| matches!(write, Write::Done(_)))
            .collect();
        let [(winner, Write::Done(version))] = winners[..] else {
            panic!("{outcomes:?}")
        };
        let (expected, lost) = match winner % 2 {
            0 => (Some(stored(&winner.to_string(), *version)), Write::Conflict),
            _ => (None, Write::Missing),
        };
        assert_eq!(tier.read(&key).await.unwrap(), expected, "{outcomes:?}");
        let losers = outcomes.iter().filter(|(writer, _)| writer != winner);
        assert!(losers.clone().all(|(_, write)| *write == lost), "{outcomes:?}");
    }
}

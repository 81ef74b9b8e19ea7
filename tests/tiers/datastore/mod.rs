//! The Datastore tier, on Google's two emulators.
// clippy.toml allows these in functions marked `#[test]`, not in the functions that they call.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::datastore::{Datastore, DatastoreBuilder};
use session_runtime::tier::{DurableTier, Stored, TierError, TierErrorKind, Version, Write};
use session_runtime::{Clock, ManualClock};
use session_tests::services::emulator::{self, Emulator, PROJECT};
use tokio::task::JoinSet;

mod answers;
mod faults;
mod python;
mod stall;

use python::{python_opens_a_session, python_reads_what_was_written};

const HOUR: Duration = Duration::from_hours(1);

fn builder(emulator: &Emulator) -> DatastoreBuilder {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Datastore::builder()
        .project(PROJECT)
        .namespace(format!("test-{}-{number}", std::process::id()))
        .emulator(emulator.address())
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

macro_rules! on_both_emulators {
    ($($name:ident)*) => {
        mod on_datastore { $(#[tokio::test] async fn $name() {
            let Some(emulator) = super::emulator::datastore() else { return };
            super::$name(super::builder(emulator), emulator).await;
        })* }
        mod on_firestore { $(#[tokio::test] async fn $name() {
            let Some(emulator) = super::emulator::firestore() else { return };
            super::$name(super::builder(emulator), emulator).await;
        })* }
    };
}

on_both_emulators! {
    a_record_is_created_read_replaced_and_deleted
    an_insert_over_a_record_changes_nothing
    a_stale_write_changes_nothing
    a_write_on_nothing_is_missing
    versions_grow_across_delete_and_create
    the_same_content_keeps_its_version
    one_of_many_writers_wins
    the_largest_value_fits_under_the_longest_key
    namespaces_and_databases_are_apart
    an_expired_record_is_deleted_when_read
    purge_deletes_only_expired_records
    purge_goes_on_beyond_a_batch
    without_the_index_a_purge_is_refused_and_says_what_to_do
    what_was_written_without_the_index_is_not_found_with_it
    python_reads_what_was_written
    python_opens_a_session
}

async fn a_record_is_created_read_replaced_and_deleted(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.connect().await.unwrap();
    assert_eq!(tier.read("k").await.unwrap(), None);
    let first = done(tier.insert("k", bytes("one"), soon()).await);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", first)));
    let second = done(tier.update("k", first, bytes("two"), soon()).await);
    assert!(second > first);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("two", second)));
    assert!(done(tier.delete("k", second).await) >= second);
    assert_eq!(tier.read("k").await.unwrap(), None);
}

async fn an_insert_over_a_record_changes_nothing(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.connect().await.unwrap();
    let version = done(tier.insert("k", bytes("mine"), soon()).await);
    assert_eq!(tier.insert("k", bytes("yours"), soon()).await.unwrap(), Write::Conflict);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("mine", version)));
    done(tier.insert("expired", bytes("mine"), SystemTime::UNIX_EPOCH).await);
    assert_eq!(
        tier.insert("expired", bytes("yours"), soon()).await.unwrap(),
        Write::Conflict
    );
}

async fn a_stale_write_changes_nothing(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.connect().await.unwrap();
    let first = done(tier.insert("k", bytes("one"), soon()).await);
    let second = done(tier.update("k", first, bytes("two"), soon()).await);
    // Also versions that were never given, such as those from before a database was restored from a backup.
    for stale in [first, Version(second.0 + 1), Version(0), Version(u64::MAX)] {
        assert_eq!(
            tier.update("k", stale, bytes("three"), soon()).await.unwrap(),
            Write::Conflict
        );
        assert_eq!(tier.delete("k", stale).await.unwrap(), Write::Conflict);
    }
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("two", second)));
}

async fn a_write_on_nothing_is_missing(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.connect().await.unwrap();
    let version = done(tier.insert("deleted", bytes("one"), soon()).await);
    done(tier.delete("deleted", version).await);
    for key in ["deleted", "never"] {
        assert_eq!(
            tier.update(key, version, bytes("two"), soon()).await.unwrap(),
            Write::Missing
        );
        assert_eq!(tier.delete(key, version).await.unwrap(), Write::Missing);
        assert_eq!(tier.read(key).await.unwrap(), None);
    }
}

async fn versions_grow_across_delete_and_create(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.connect().await.unwrap();
    let mut last = Version(0);
    for _ in 0..3 {
        let created = done(tier.insert("k", bytes("same"), soon()).await);
        assert!(created > last);
        last = done(tier.delete("k", created).await);
        assert!(last >= created);
    }
    let created = done(tier.insert("k", bytes("same"), soon()).await);
    assert_eq!(tier.delete("k", last).await.unwrap(), Write::Conflict);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("same", created)));
}

async fn the_same_content_keeps_its_version(builder: DatastoreBuilder, _: &Emulator) {
    // The Datastore emulator compares the unindexed properties in the order in which they were sent, which is random.
    let tier = builder.index_expires_at(true).connect().await.unwrap();
    let expires_at = soon();
    let first = done(tier.insert("k", bytes("same"), expires_at).await);
    assert_eq!(done(tier.update("k", first, bytes("same"), expires_at).await), first);
    let later = expires_at + Duration::from_micros(1);
    assert!(done(tier.update("k", first, bytes("same"), later).await) > first);
}

async fn one_of_many_writers_wins(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.connect().await.unwrap();
    let mut base = None;
    for _ in 0..5 {
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let tier = tier.clone();
            let value = bytes(&format!("{base:?} {writer}"));
            writers.spawn(async move {
                let write = match base {
                    None => tier.insert("k", value.clone(), soon()).await,
                    Some(base) => tier.update("k", base, value.clone(), soon()).await,
                };
                (write.unwrap(), value)
            });
        }
        let outcomes = writers.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter(|(write, _)| *write != Write::Conflict).collect();
        let [(Write::Done(version), value)] = winners[..] else {
            panic!("{outcomes:?}")
        };
        let (version, value) = (*version, value.clone());
        assert_eq!(tier.read("k").await.unwrap(), Some(Stored { value, version }));
        base = Some(version);
    }
}

async fn the_largest_value_fits_under_the_longest_key(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.namespace("n".repeat(100)).connect().await.unwrap();
    let key = format!("{:k<1500}", std::process::id());
    let limit = tier.max_value_len();
    let version = done(tier.insert(&key, vec![7; limit].into(), soon()).await);
    let error = tier
        .update(&key, version, vec![8; limit + 1].into(), soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::TooLarge { size: limit + 1, limit });
    let value = Bytes::from(vec![7; limit]);
    assert_eq!(tier.read(&key).await.unwrap(), Some(Stored { value, version }));
}

async fn namespaces_and_databases_are_apart(builder: DatastoreBuilder, _: &Emulator) {
    let here = builder.clone().connect().await.unwrap();
    let elsewhere = [
        builder.clone().namespace("elsewhere").connect().await.unwrap(),
        builder.clone().database("elsewhere").connect().await.unwrap(),
    ];
    let key = std::process::id().to_string();
    done(here.insert(&key, bytes("here"), soon()).await);
    for there in elsewhere {
        assert_eq!(there.read(&key).await.unwrap(), None, "{there:?}");
    }
}

async fn an_expired_record_is_deleted_when_read(builder: DatastoreBuilder, _: &Emulator) {
    let clock = ManualClock::default();
    let tier = builder.clone().clock(clock.clone()).connect().await.unwrap();
    let expires_at = clock.now() + HOUR;
    let version = done(tier.insert("k", bytes("one"), expires_at).await);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
    clock.advance(HOUR);
    assert_eq!(tier.read("k").await.unwrap(), None);
    // Deleted, not hidden: a tier with an earlier clock does not find it either.
    let past = builder.clock(ManualClock::default()).connect().await.unwrap();
    assert_eq!(past.read("k").await.unwrap(), None);
}

async fn purge_deletes_only_expired_records(builder: DatastoreBuilder, _: &Emulator) {
    let clock = ManualClock::default();
    let builder = builder.index_expires_at(true);
    let tier = builder.clock(clock.clone()).connect().await.unwrap();
    for key in ["old 1", "old 2", "old 3"] {
        done(tier.insert(key, bytes("old"), clock.now() + HOUR).await);
    }
    let young = done(tier.insert("young", bytes("young"), clock.now() + HOUR * 3).await);
    let renewed = done(tier.insert("renewed", bytes("old"), clock.now() + HOUR).await);
    let renewed = done(
        tier.update("renewed", renewed, bytes("young"), clock.now() + HOUR * 3)
            .await,
    );

    let then = clock.now() + HOUR * 2;
    assert_eq!(tier.purge_expired(clock.now(), 10).await.unwrap(), 0);
    assert_eq!(tier.purge_expired(then, 0).await.unwrap(), 0);
    assert_eq!(tier.purge_expired(then, 2).await.unwrap(), 2);
    assert_eq!(tier.purge_expired(then, 10).await.unwrap(), 1);
    assert_eq!(tier.purge_expired(then, 10).await.unwrap(), 0);
    assert_eq!(tier.read("young").await.unwrap(), Some(stored("young", young)));
    assert_eq!(tier.read("renewed").await.unwrap(), Some(stored("young", renewed)));
}

async fn purge_goes_on_beyond_a_batch(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.index_expires_at(true).connect().await.unwrap();
    let mut inserts = JoinSet::new();
    for number in 0..210 {
        let tier = tier.clone();
        inserts.spawn(async move {
            tier.insert(&format!("k{number}"), bytes("old"), SystemTime::UNIX_EPOCH)
                .await
        });
    }
    for insert in inserts.join_all().await {
        done(insert);
    }
    assert_eq!(tier.purge_expired(SystemTime::now(), 1_000).await.unwrap(), 210);
}

async fn without_the_index_a_purge_is_refused_and_says_what_to_do(builder: DatastoreBuilder, _: &Emulator) {
    let tier = builder.connect().await.unwrap();
    done(tier.insert("k", bytes("old"), SystemTime::UNIX_EPOCH).await);
    let error = tier.purge_expired(SystemTime::now(), 10).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Refused);
    let text = error.source().unwrap().to_string();
    assert!(
        text.contains("TTL policy") && text.contains("index_expires_at(true)"),
        "{text}"
    );
    assert_eq!(tier.purge_interval(), None);
    // The expiry is still stored, and a read or a TTL policy deletes the record.
    assert_eq!(tier.insert("k", bytes("new"), soon()).await.unwrap(), Write::Conflict);
    assert_eq!(tier.read("k").await.unwrap(), None);
}

async fn what_was_written_without_the_index_is_not_found_with_it(builder: DatastoreBuilder, _: &Emulator) {
    let without = builder.clone().connect().await.unwrap();
    let with = builder.index_expires_at(true).connect().await.unwrap();
    done(without.insert("k", bytes("old"), SystemTime::UNIX_EPOCH).await);
    assert_eq!(with.purge_expired(SystemTime::now(), 10).await.unwrap(), 0);
    done(with.insert("indexed", bytes("old"), SystemTime::UNIX_EPOCH).await);
    assert_eq!(with.purge_expired(SystemTime::now(), 10).await.unwrap(), 1);
}
